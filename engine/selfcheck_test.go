package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mtlsplan/internal/outdir"
)

// makeAll carries out a first run task by task and gives what was made.
func makeAll(t *testing.T, text string, full bool) []put {
	t.Helper()
	cfg := load(t, text)
	cfg.Output = filepath.Join(t.TempDir(), "out")
	opt := Options{Now: time.Now(), LookupEnv: os.LookupEnv}
	dir, err := outdir.Lock(context.Background(), cfg.Output, "test", 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	s := newSession(context.Background(), cfg, opt, dir)
	obs, err := s.observe()
	if err != nil {
		t.Fatal(err)
	}
	v := judge(obs, opt)
	e := newExecutor(s, obs, quiet{}, &Report{Plan: v.plan})
	var puts []put
	for _, task := range v.tasks {
		b := e.build(task, full)
		if b.err != nil {
			t.Fatal(b.err)
		}
		puts = append(puts, b.puts...)
		if err := e.commit([]*built{b}); err != nil {
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

// TestSelfCheck: whatever byte of an artefact is another than was meant, its
// proof notices before it is released.
func TestSelfCheck(t *testing.T) {
	puts := makeAll(t, everyKind, true)
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
				t.Errorf("%s: an end after %d bytes goes unnoticed", p.name, i)
			}
		}
	}
	if got, want := slices.Sorted(maps.Keys(kinds)), []string{"", ".crl", ".crt", ".csr", ".key", ".p12", ".pass"}; !slices.Equal(got, want) {
		t.Errorf("proven were files of %q, want %q", got, want)
	}
}

// TestSelfCheckOfAnother: an artefact of the same kind that belongs to
// somebody else is noticed, also where the batch is too large to open it.
func TestSelfCheckOfAnother(t *testing.T) {
	for _, full := range []bool{true, false} {
		puts, others := makeAll(t, everyKind, full), makeAll(t, everyKind, full)
		for i, p := range puts {
			sampled := !full && (strings.HasSuffix(p.name, ".p12") || strings.HasSuffix(p.name, ".key") || strings.HasSuffix(p.name, ".csr"))
			if err := p.proof(others[i].data); err == nil && !sampled && !strings.HasPrefix(p.name, "nginx/") {
				t.Errorf("full %v: %s of another run goes unnoticed", full, p.name)
			}
		}
	}
}

// TestOneFailureProvesAll: where one of a large batch does not stand its check,
// all of the batch are proven in full.
func TestOneFailureProvesAll(t *testing.T) {
	var text strings.Builder
	text.WriteString(small)
	for i := range inFull + 20 {
		fmt.Fprintf(&text, "user \"u%03d\" {\n}\n", i)
	}
	cfg := load(t, text.String())
	cfg.Output = filepath.Join(t.TempDir(), "out")
	opt := Options{Now: time.Now(), LookupEnv: os.LookupEnv}
	dir, err := outdir.Lock(context.Background(), cfg.Output, "test", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	s := newSession(context.Background(), cfg, opt, dir)
	obs, err := s.observe()
	if err != nil {
		t.Fatal(err)
	}
	v := judge(obs, opt)
	var users []*task
	e := newExecutor(s, obs, quiet{}, &Report{Plan: v.plan})
	for _, task := range v.tasks {
		if task.ca != nil {
			if b := e.build(task, true); b.err != nil {
				t.Fatal(b.err)
			}
		}
		if task.user != nil {
			users = append(users, task)
		}
	}
	full := func(out []*built) (n int) {
		for _, b := range out {
			if b.full {
				n++
			}
		}
		return n
	}
	out := e.buildAll(context.Background(), users)
	if n := full(out); n != (len(users)+oneOfMany-1)/oneOfMany {
		t.Errorf("%d of %d are proven in full", n, len(users))
	}
	out[0] = &built{task: users[0], err: errors.New("x"), unproven: true}
	e.proveAll(context.Background(), out)
	if n := full(out[1:]); n != len(users)-1 {
		t.Errorf("after a failure %d of %d are proven in full", n, len(users)-1)
	}
}
