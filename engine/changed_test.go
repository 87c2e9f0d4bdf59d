package engine

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mtlsplan/internal/outdir"
	"mtlsplan/internal/plan"
)

// planned does something between the judgement and what follows from it.
type planned struct {
	quiet
	do func()
}

func (p planned) Planned(*plan.Plan) { p.do() }

// TestARequestThatWasSwapped: the request that was judged is the one that is
// certified, or none is.
func TestARequestThatWasSwapped(t *testing.T) {
	dir := tempDir(t)
	csr := filepath.Join(dir, "dan.csr")
	write := func(name string) {
		if err := os.WriteFile(csr, requests()[name], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg := load(t, strings.Replace(small, `user "mmuser"`, `user "dan" { csr = "`+csr+`" }
user "mmuser"`, 1))
	cfg.Output = filepath.Join(dir, "pki")
	write("dan1")
	opt := Options{Now: time.Now(), LookupEnv: os.LookupEnv}
	r, err := Apply(t.Context(), cfg, opt, planned{do: func() { write("dan2") }})
	if err != nil || len(r.Failures) != 1 || r.Failures[0].Owner != "user.dan" || !strings.Contains(r.Failures[0].Message, "was changed while the run was under way") {
		t.Fatalf("%v, %+v", err, r)
	}
	if _, err := os.Stat(filepath.Join(cfg.Output, "dan-m.crt")); err == nil {
		t.Error("a certificate was issued")
	}
}

// TestAKeyThatWasSwapped: a key that is not the one that was judged gets no
// certificate.
func TestAKeyThatWasSwapped(t *testing.T) {
	c := newCached(t, strings.Replace(generated, "defaults { kdf_iterations = 2048 }", "defaults {\n  kdf_iterations = 2048\n  reuse_key      = true\n}", 1))
	opt := c.opt
	opt.Now = opt.Now.AddDate(0, 0, 340)
	swap := func() {
		for _, name := range []string{"%-m.key", "secrets/%-m.pass"} {
			data, err := os.ReadFile(c.path(strings.Replace(name, "%", "bob", 1)))
			c.must(err)
			c.must(os.WriteFile(c.path(strings.Replace(name, "%", "ann", 1)), data, 0o600))
		}
	}
	r, err := Apply(context.Background(), c.cfg, opt, planned{do: swap})
	if err != nil || len(r.Failures) != 1 || r.Failures[0].Owner != "user.ann" {
		t.Fatalf("%v, %+v", err, r)
	}
}

// TestAKeyThatIsLostBehindTheRun: a run whose files cannot be judged afterwards has
// not come off.
func TestAKeyThatIsLostBehindTheRun(t *testing.T) {
	cfg := load(t, small)
	ctx := outdir.WithTrace(t.Context(), func(ch outdir.Change, do func() error) error {
		err := do()
		if ch.Do == "rename" && ch.To == "mmuser-m.key" {
			name := filepath.Join(cfg.Output, "mmuser-m.key")
			if err := os.WriteFile(name, []byte("no key"), 0o600); err != nil {
				t.Error(err)
			}
		}
		return err
	})
	_, err := Apply(ctx, cfg, Options{Now: time.Now(), LookupEnv: os.LookupEnv}, quiet{})
	if err == nil || !strings.Contains(err.Error(), "user.mmuser") {
		t.Errorf("the run says: %v", err)
	}
}
