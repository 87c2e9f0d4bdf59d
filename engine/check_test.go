package engine

import (
	"bytes"
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mtlsplan/internal/outdir"
)

// makeAll carries out a first run task by task and returns the results.
func makeAll(t *testing.T, text string) []put {
	t.Helper()
	cfg := load(t, text)
	cfg.Output = filepath.Join(t.TempDir(), "out")
	opt := Options{Now: time.Now(), LookupEnv: os.LookupEnv}
	dir, err := outdir.Lock(context.Background(), cfg.Output, "test", 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	r := newRun(context.Background(), cfg, opt, dir)
	t.Cleanup(r.in.Close)
	st, err := r.takeStock()
	if err != nil {
		t.Fatal(err)
	}
	c := newCarryOut(r, st, quiet{}, &Report{Plan: st.verdict.Plan})
	var puts []put
	for _, task := range st.verdict.Tasks {
		made := c.build(&result{task: task, serial: c.writer.FreshSerial()})
		if made.err != nil {
			t.Fatal(made.err)
		}
		puts = append(puts, made.puts...)
		if err := c.commit([]*result{made}); err != nil {
			t.Fatal(err)
		}
	}
	return puts
}

const everyKind = small + `
user "bea" {
  email = "bea@mattermost.com"
  p12   = ["modern", "compat"]
}
`

// TestSelfCheck: a change of any byte of an artefact is noticed by its proof before the
// artefact is released.
func TestSelfCheck(t *testing.T) {
	puts := makeAll(t, everyKind)
	kinds := map[string]bool{}
	for _, p := range puts {
		kinds[filepath.Ext(p.name)] = true
		if err := p.proof(p.data); err != nil {
			t.Errorf("%s: %v", p.name, err)
		}
		step := max(1, len(p.data)/40)
		for i := 0; i < len(p.data)-1; i += step {
			altered := bytes.Clone(p.data)
			altered[i] ^= 4
			if altered[i] > ' ' && p.proof(altered) == nil {
				t.Errorf("%s: byte %d goes unnoticed, %q for %q", p.name, i, altered[i], p.data[i])
			}
			if p.proof(p.data[:i]) == nil {
				t.Errorf("%s: a cut after %d bytes goes unnoticed", p.name, i)
			}
		}
	}
	if got, want := slices.Sorted(maps.Keys(kinds)), []string{"", ".crl", ".crt", ".csr", ".key", ".p12", ".pass"}; !slices.Equal(got, want) {
		t.Errorf("proven were files of %q, want %q", got, want)
	}
}

// TestSelfCheckOfAnother: an artefact of the same kind that belongs to another user is
// noticed.
func TestSelfCheckOfAnother(t *testing.T) {
	puts, others := makeAll(t, everyKind), makeAll(t, everyKind)
	for i, p := range puts {
		// Two sites of one spec are the same.
		if err := p.proof(others[i].data); err == nil && !strings.HasPrefix(p.name, "nginx/") {
			t.Errorf("%s of another run goes unnoticed", p.name)
		}
	}
}
