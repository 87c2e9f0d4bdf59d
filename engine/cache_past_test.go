package engine

import (
	"context"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"mtlsplan/internal/config"
	"mtlsplan/internal/outdir"
)

// A challenge that the spec asks for no more is seen, whatever is remembered.
func TestCacheSeesAChallengeLeave(t *testing.T) {
	c := afresh(t, strings.Replace(generated, `user "ann" { email = "ann@example.com" }`, `user "ann" {
  email              = "ann@example.com"
  challenge_password = { file = "bob.pass" }
}`, 1))
	if _, err := Apply(context.Background(), c.cfg, c.opt, quiet{}); err != nil {
		t.Fatal(err)
	}
	c.cfg.Users[0].ChallengePassword = config.Source{}
	if plan := c.alike(); strings.Contains(plan, `"steps":[]`) {
		t.Error(plan)
	}
}

// What --adopt has taken into the database in memory, and did not write, is not
// remembered as if issued.pem held it.
func TestCacheOfWhatWasNotAdopted(t *testing.T) {
	c := afresh(t, generated)
	for name, cut := range map[string]func(string) string{
		"db/issued.pem": func(s string) string { return s[:strings.Index(s, "user.bob")] },
		"db/index.txt": func(s string) string {
			var out strings.Builder
			for line := range strings.Lines(s) {
				if !strings.Contains(line, "user.bob") {
					out.WriteString(line)
				}
			}
			return out.String()
		},
	} {
		data, err := os.ReadFile(c.path(name))
		c.must(err)
		c.must(os.WriteFile(c.path(name), []byte(cut(string(data))), 0o600))
	}
	time.Sleep(20 * time.Millisecond) // past the tick of the clock
	c.opt.Adopt, c.opt.Only = true, []Owner{"user.ann"}
	_, err := Apply(context.Background(), c.cfg, c.opt, quiet{})
	c.must(err)
	c.opt.Only = nil
	if plan := c.alike(); strings.Contains(plan, "refuse") {
		t.Error(plan)
	}
}

// The file system's clock is waited for to remember more; a disk that is full by
// then costs that, and no exit code.
func TestCacheWithoutATick(t *testing.T) {
	c := afresh(t, generated)
	c.must(os.Remove(c.path("ann-m.p12")))
	ticks := 0
	ctx := outdir.WithTrace(context.Background(), func(ch outdir.Change, do func() error) error {
		if ch.Name == "db/lock" && string(ch.Data) == "\n" {
			ticks++
			return syscall.ENOSPC
		}
		return do()
	})
	r, err := Apply(ctx, c.cfg, c.opt, quiet{})
	if err != nil || len(r.Done) != 1 || ticks == 0 {
		t.Error(r, err, ticks)
	}
}

// How long a passphrase is that a person has chosen is nowhere in the cache.
func TestCacheHoldsNoLength(t *testing.T) {
	c := newCached(t, two)
	text, err := os.ReadFile(c.path(cacheName))
	c.must(err)
	var m userMemo
	c.must(m.unpack(parseCache(string(text), identityOf(c)).users["bob"]))
	if m.source == (outdir.Stat{}) || m.source.Size != 0 {
		t.Errorf("%+v", m.source)
	}
}

// Where no passphrase is generated there is no secrets/, and users are known all
// the same.
func TestCacheWithoutSecrets(t *testing.T) {
	text := strings.Replace(two, `{ email = "ann@example.com" }`, `{
  email      = "ann@example.com"
  passphrase = { file = "bob.pass" }
}`, 1)
	text = strings.Replace(text, `key = "ecdsa-p256"`, `key = "ecdsa-p256"
  passphrase = { file = "bob.pass" }`, 1)
	c := newCached(t, text)
	if _, err := os.Stat(c.path("secrets")); err == nil {
		t.Error("there is a secrets/")
	}
}

// Another program may judge a certificate otherwise: what one has remembered, the
// next finds out for itself.
func TestCacheIsOfOneProgram(t *testing.T) {
	c := newCached(t, generated)
	defer func(was func() string) { program = was }(program)
	program = func() string { return "another" }
	if n := c.read(); n != 2 {
		t.Errorf("of another program's cache were believed %d users", 2-n)
	}
}

// A run for one user that has to write the cache anew forgets nobody else.
func TestCacheOfARunForOne(t *testing.T) {
	c := newCached(t, generated)
	text, err := os.ReadFile(c.path(cacheName))
	c.must(err)
	c.must(os.WriteFile(c.path(cacheName), append(text, "cut short"...), 0o600))
	c.must(os.Remove(c.path("bob-m.csr"))) // the last of the spec: those before have no slot
	c.opt.Only = []Owner{"user.bob"}
	if r := c.apply(); len(r.Done) != 1 {
		t.Fatal(r)
	}
	again, err := os.ReadFile(c.path(cacheName))
	c.must(err)
	c.opt.Only = nil
	if n := c.read(); n != 0 || strings.Contains(string(again), "cut short") {
		t.Errorf("%d users are read again", n)
	}
}

// A few changes are written behind the cache, and many in its place.
func TestCacheStaysSmall(t *testing.T) {
	c := newCached(t, generated)
	for round := range 100 {
		c.must(os.Remove(c.path("ann-m.csr")))
		c.apply()
		if n := c.read(); n != 0 {
			t.Fatalf("round %d: %d users are read again", round, n)
		}
	}
	text, err := os.ReadFile(c.path(cacheName))
	c.must(err)
	if s := parseCache(string(text), identityOf(c)); s.records > 80 {
		t.Errorf("%d records of two users", s.records)
	}
}

func identityOf(c cached) uint64 {
	info, err := os.Stat(c.cfg.Output)
	c.must(err)
	return outdir.StatOf(info).Ino
}

// Where the names cannot be listed, each user is asked for: nobody has none.
func TestStraysUnlisted(t *testing.T) {
	c := afresh(t, generated)
	dir, err := outdir.Open(c.cfg.Output)
	c.must(err)
	s := newSession(context.Background(), c.cfg, c.opt, dir)
	defer s.close()
	if names := s.observer().strays(); names == nil {
		t.Error("the names were not listed")
	}
	c.must(dir.Close())
	if names := s.observer().strays(); names != nil {
		t.Errorf("a listing that failed tells of %v", names)
	}
}
