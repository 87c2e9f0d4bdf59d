package engine

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"mtlsplan/internal/plan"
	"mtlsplan/spec"
)

type quiet struct{}

func (quiet) Planned(*plan.Plan)  {}
func (quiet) Done([]plan.Step)    {}
func (quiet) Failed(plan.Failure) {}

func load(t testing.TB, text string) *spec.Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "mtlsplan.hcl")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, _, diags := spec.Load(t.Context(), file, "")
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return cfg
}

const small = `
ca "m" {
  subject {
    organization = "Mattermost"
    common_name  = "example.mattermost.com"
    email        = "admin@mattermost.com"
  }
  key = "ecdsa-p256"
}
user "mmuser" { email = "mmuser@mattermost.com" }
nginx "mattermost" {
  server_name = ["example.mattermost.com"]
  upstream    = ["127.0.0.1:8065"]
}
`

func TestSecondApplyIsEmpty(t *testing.T) {
	cfg := load(t, small)
	opt := Options{Now: time.Now(), LookupEnv: os.LookupEnv}
	r, err := Apply(context.Background(), cfg, opt, quiet{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range r.Done {
		t.Logf("%s %s %v %v", s.Owner, s.Action, s.Artefacts, s.Reasons)
	}
	p, err := NewPlan(context.Background(), cfg, opt)
	if err != nil || !p.Empty() {
		t.Fatal(err, p)
	}
}
