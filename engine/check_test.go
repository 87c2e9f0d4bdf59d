package engine

import (
	"bytes"
	"context"
	"errors"
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

// TestFirstsAreOpenedAlone: until one file of a kind was opened with nothing but the
// passphrase, every one of the kind is; what only its own keys open is refused.
func TestFirstsAreOpenedAlone(t *testing.T) {
	sound := func([]byte) error { return nil }
	asked, foreign := 0, errors.New("another reader cannot open it")
	alone := func([]byte) error {
		if asked++; asked < 3 {
			return foreign
		}
		return nil
	}
	var f firsts
	for i, want := range []error{foreign, foreign, nil, nil, nil} {
		if err := f.also("compat", sound, alone)(nil); err != want {
			t.Errorf("file %d: %v, want %v", i, err, want)
		}
	}
	if asked != 3 {
		t.Errorf("%d were opened with the passphrase, want 3", asked)
	}
	if err := f.also("modern", sound, func([]byte) error { return foreign })(nil); err != foreign {
		t.Errorf("the first of another kind: %v", err)
	}
	if err := f.also("compat", func([]byte) error { return foreign }, alone)(nil); err != foreign {
		t.Errorf("what its own keys do not open: %v", err)
	}
}

// TestSelfCheckWithTheKeysAtHand: once the first of each kind was opened with the
// passphrase alone, the others are proven with the keys of their encryption, and a change
// of any byte is still noticed.
func TestSelfCheckWithTheKeysAtHand(t *testing.T) {
	var proven int
	for _, p := range makeAll(t, everyKind) {
		if ext := filepath.Ext(p.name); ext != ".p12" && ext != ".key" {
			continue
		}
		proven++
		if err := p.proof(p.data); err != nil {
			t.Fatal(err)
		}
		for i := range p.data {
			altered := bytes.Clone(p.data)
			if altered[i] ^= 1; p.proof(altered) == nil {
				t.Errorf("%s: byte %d goes unnoticed", p.name, i)
			}
		}
	}
	if proven < 5 {
		t.Errorf("only %d files were proven", proven)
	}
}
