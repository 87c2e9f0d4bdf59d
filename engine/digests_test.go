package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mtlsplan/internal/config"
	"mtlsplan/internal/outdir"
	"mtlsplan/spec"
)

func init() { digestsFrom = 1 } // in all tests of the package

// recognised are the users whom a plan knows by their digest.
func (c cached) recognised() (names []string) {
	c.Helper()
	dir, err := outdir.Open(c.cfg.Output)
	c.must(err)
	defer dir.Close()
	s := newSession(context.Background(), c.cfg, c.opt, dir)
	defer s.close()
	for i := range c.cfg.Users {
		if _, ok := s.observer().recognise(&c.cfg.Users[i]); ok {
			names = append(names, c.cfg.Users[i].Name)
		}
	}
	return names
}

// A directory that was copied is known by its digests, and nobody in it is opened
// again.
func TestDigestsSurviveACopy(t *testing.T) {
	c := newCached(t, generated)
	out, err := exec.Command("cp", "-r", c.cfg.Output, c.cfg.Output+".copy").CombinedOutput()
	if err != nil {
		t.Fatal(err, string(out))
	}
	c.cfg.Output += ".copy"
	c.must(os.Chmod(c.cfg.Output, 0o755))
	if n, known := c.read(), c.recognised(); n != 2 || len(known) != 2 {
		t.Errorf("%d users are not in the cache, and known are %v", n, known)
	}
	if plan := c.alike(); !strings.Contains(plan, `"steps":[]`) {
		t.Error(plan)
	}
}

// Whatever byte of a user is another one, the digest is not that user's.
func TestDigestsSeeEveryEdit(t *testing.T) {
	c := newCached(t, generated)
	names := []string{"ann-m.key", "ann-m.csr", "ann-m.crt", "ann-m.p12", "secrets/ann-m.pass"}
	for _, name := range names {
		was, err := os.ReadFile(c.path(name))
		c.must(err)
		c.alter(name)
		if known := c.recognised(); !slices.Equal(known, []string{"bob"}) {
			t.Errorf("%s altered: known are %v", name, known)
		}
		c.must(os.Remove(c.path(name)))
		if known := c.recognised(); !slices.Equal(known, []string{"bob"}) {
			t.Errorf("%s gone: known are %v", name, known)
		}
		c.must(os.WriteFile(c.path(name), was, 0o600))
	}
	if known := c.recognised(); len(known) != 2 {
		t.Errorf("all restored: known are %v", known)
	}
	for _, name := range names {
		bobs, err := os.ReadFile(c.path(strings.Replace(name, "ann", "bob", 1)))
		c.must(err)
		c.must(os.WriteFile(c.path(name), bobs, 0o600))
	}
	if known := c.recognised(); !slices.Equal(known, []string{"bob"}) {
		t.Errorf("bob's files in ann's place: known are %v", known)
	}
	c.must(os.WriteFile(c.path("bob-m.modern.p12"), nil, 0o600))
	if known := c.recognised(); len(known) != 0 {
		t.Errorf("a .p12 that nobody asks for: known are %v", known)
	}
}

// A digest covers the passphrase, so that there is none where one could be
// guessed: of a person's choice, from wherever it comes.
func TestDigestsHoldNothingToGuess(t *testing.T) {
	c := newCached(t, two)
	text, err := os.ReadFile(c.path(digestsName))
	c.must(err)
	if lines := strings.Split(string(text), "\n"); len(lines) != 3 || !strings.HasPrefix(lines[1], "ann ") {
		t.Errorf("%s", text)
	}
	info, err := os.Stat(c.path(digestsName))
	c.must(err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %o", info.Mode().Perm())
	}
	pass, err := os.ReadFile(c.path("secrets/ann-m.pass"))
	c.must(err)
	for what, digest := range digestsOf(bytes.TrimSpace(pass)) {
		if bytes.Contains(text, digest) || bytes.Contains(text, fmt.Appendf(nil, "%x", digest)) {
			t.Errorf("the digests hold %s", what)
		}
	}
	file := func(kind, data string) fileFacts { return fileFacts{kind: kind, data: []byte(data)} }
	if digestOf(c.cfg.Users[0].Passphrase, file(kindPass, "correct horse\n"), file(kindKey, "x")) != (digest{}) {
		t.Error("there is a digest over a passphrase that a person has put there")
	}
	if a, b := digestOf(c.cfg.Users[0].Passphrase, file(kindPass, string(pass)), file(kindKey, "x"), file(kindCSR, "yz")),
		digestOf(c.cfg.Users[0].Passphrase, file(kindPass, string(pass)), file(kindKey, "xy"), file(kindCSR, "z")); a == b || a == (digest{}) {
		t.Error("where one file ends and the next begins is not in the digest")
	}
}

// Damaged digests cost time and nothing else, and the next change mends them.
func TestDamagedDigests(t *testing.T) {
	c := newCached(t, generated)
	first, err := os.ReadFile(c.path(digestsName))
	c.must(err)
	for name, damage := range map[string]struct {
		do   func([]byte) []byte
		know int
	}{
		"empty":           {func([]byte) []byte { return []byte{} }, 0},
		"cut":             {func(b []byte) []byte { return b[:len(b)-3] }, 1},
		"another version": {func(b []byte) []byte { return bytes.Replace(b, []byte("digests 1"), []byte("digests 2"), 1) }, 0},
		"altered":         {func(b []byte) []byte { b[len(b)-9] ^= 1; return b }, 1},
		"more":            {func(b []byte) []byte { return append(b, "bob \nx\n\n ann"...) }, 2},
	} {
		c.must(os.WriteFile(c.path(digestsName), damage.do(bytes.Clone(first)), 0o600))
		_ = os.Remove(c.path(cacheName))
		if known := c.recognised(); len(known) != damage.know {
			t.Errorf("%s: known are %v", name, known)
		}
		r, err := Apply(context.Background(), c.cfg, c.opt, quiet{})
		c.must(err)
		if !r.Plan.Empty() {
			t.Errorf("%s: there is something to do", name)
		}
		if known := c.recognised(); len(known) != 2 {
			t.Errorf("%s: after the next apply known are %v", name, known)
		}
	}
}

// Of files that may have changed since they were opened no digest is learnt: it
// would be believed for good.
func TestDigestsOfWhatWasOpened(t *testing.T) {
	c := afresh(t, generated)
	for _, late := range []bool{false, true} {
		c.must(os.Remove(c.path(digestsName)))
		c.must(os.WriteFile(c.path(digestsName), nil, 0o600))
		dir, err := outdir.Lock(context.Background(), c.cfg.Output, "test", 0)
		c.must(err)
		s := newSession(context.Background(), c.cfg, c.opt, dir)
		if s.clock, err = dir.NextTick(); late {
			s.clock = 0
		}
		c.must(err)
		s.cache = &cache{}
		s.observer().look(&slot{spec: &c.cfg.Users[0]}, true)
		if known := s.digests.of("ann") != (digest{}); known == late {
			t.Errorf("time unknown %v: known %v", late, known)
		}
		s.close()
		c.must(dir.Close())
	}
}

// What is outdated does not heap up, and what holds is not lost with it.
func TestDigestsStaySmall(t *testing.T) {
	out := filepath.Join(tempDir(t), "out")
	dir, err := outdir.Lock(context.Background(), out, "test", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	stats := statsOf(t, dir)
	cfg := &spec.Config{}
	want := map[string]digest{}
	for i := range 100 {
		cfg.Users = append(cfg.Users, spec.User{Name: fmt.Sprint("user", i), Passphrase: config.Source{Kind: config.Generated}})
	}
	for round := range 40 {
		found := map[string]digest{}
		for i := range 10 {
			found[fmt.Sprint("user", (round*10+i)%100)] = digest{byte(round + 1)}
		}
		maps.Copy(want, found)
		now := &digests{dir: dir}
		for name, sum := range found {
			now.learn(name, sum)
		}
		now.keep(cfg, stats)
		have := &digests{dir: dir}
		for name, sum := range want {
			if have.of(name) != sum {
				t.Fatalf("round %d: %s has %x, want %x", round, name, have.of(name), sum)
			}
		}
		if info, err := os.Stat(filepath.Join(out, digestsName)); err != nil || info.Size() > 100*80*5/4+5000 {
			t.Fatal(round, info, err)
		}
	}
	cfg.Users = cfg.Users[:1]
	now := &digests{dir: dir}
	now.learn("user0", digest{0xaa})
	now.keep(cfg, stats)
	if text := dir.Text(digestsName); text != digestsFormat+"user0 aa"+strings.Repeat("0", 62)+"\n" {
		t.Errorf("of those who left is still there:\n%s", text)
	}
}

// What was opened before an interrupt is not opened again: of the users who are in
// place when an apply ends early, and of those whom it had looked at.
func TestAnInterruptedRunKeepsItsDigests(t *testing.T) {
	text := `
ca "m" {
  subject { common_name = "The CA" }
  key = "ecdsa-p256"
}
`
	for i := range batchSize + 50 {
		text += fmt.Sprintf("user \"u%d\" { email = \"u%d@example.com\" }\n", i, i)
	}
	c := named(t, text, time.Now())
	ctx, stop := context.WithCancel(t.Context())
	if _, err := Apply(ctx, c.cfg, c.opt, &stopper{left: 2, stop: stop}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	lines := func() int {
		text, _ := os.ReadFile(c.path(digestsName)) // none: none
		return len(parseDigests(string(text)))
	}
	keys, err := filepath.Glob(filepath.Join(c.cfg.Output, "u*.key"))
	if err != nil || len(keys) != batchSize || lines() < len(keys) {
		t.Fatalf("%d users are in place, and %d digests: %v", len(keys), lines(), err)
	}

	c.apply()
	for _, name := range []string{cacheName, digestsName} {
		if err := os.Remove(c.path(name)); err != nil {
			t.Fatal(err)
		}
	}
	// One that cannot begin leaves no trace.
	opt := c.opt
	opt.Now = opt.Now.AddDate(0, 0, -2)
	if _, err := Apply(t.Context(), c.cfg, opt, quiet{}); err == nil || lines() > 0 {
		t.Errorf("with a clock that is behind: %v, %d digests", err, lines())
	}
	ctx, stop = context.WithCancel(t.Context())
	opt = c.opt
	opt.Reading = func(done, total int) {
		if total != batchSize+50 {
			t.Errorf("%d of %d read", done, total)
		}
		if done == 100 {
			stop()
		}
	}
	if _, err := Apply(ctx, c.cfg, opt, quiet{}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if n := lines(); n < 90 || n > 110 { // one whose files this very tick has written is left for later
		t.Errorf("100 users were read, and %d digests kept", n)
	}
}
