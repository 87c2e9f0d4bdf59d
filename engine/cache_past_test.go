package engine

import (
	"bytes"
	"context"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"mtlsplan/internal/config"
	"mtlsplan/internal/outdir"
	"mtlsplan/internal/plan"
)

// A challenge password that is no longer in the spec is noticed, whatever the cache holds.
func TestCacheSeesAChallengeLeave(t *testing.T) {
	c := afresh(t, strings.Replace(generated, `user "ann" { email = "ann@example.com" }`, `user "ann" {
  email              = "ann@example.com"
  challenge_password = { file = "bob.pass" }
}`, 1))
	if _, err := Apply(context.Background(), c.cfg, c.opt, quiet{}); err != nil {
		t.Fatal(err)
	}
	c.cfg.Users[0].ChallengePassword = config.Source{}
	if said := c.alike(); strings.Contains(said, `"steps":[]`) {
		t.Error(said)
	}
}

// Certificates that --adopt has added to the database in memory, but has not written, are
// not remembered as if issued.pem held them.
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
	c.opt.Adopt, c.opt.Only = true, []plan.Owner{"user.ann"}
	_, err := Apply(context.Background(), c.cfg, c.opt, quiet{})
	c.must(err)
	c.opt.Only = nil
	if said := c.alike(); strings.Contains(said, "refuse") {
		t.Error(said)
	}
}

// A run waits for the file system's clock in order to remember more. If the disk is full by
// then, that is lost, but the exit code stays.
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

// Without generated passphrases there is no secrets/, and users are known all the same.
func TestCacheWithoutSecrets(t *testing.T) {
	text := strings.Replace(two, `{ email = "ann@example.com" }`, `{
  email      = "ann@example.com"
  passphrase = { file = "bob.pass" }
}`, 1)
	text = strings.Replace(text, `key = "ecdsa-p256"`, `key = "ecdsa-p256"
  passphrase = { file = "bob.pass" }`, 1)
	c := newCached(t, text)
	if _, err := os.Stat(c.path("secrets")); err == nil {
		t.Error("there is a directory secrets")
	}
}

// A run for one user, which writes the cache again, keeps all other users in it.
func TestCacheOfARunForOne(t *testing.T) {
	c := newCached(t, generated)
	c.must(os.Remove(c.path("bob-m.csr")))
	c.opt.Only = []plan.Owner{"user.bob"}
	if r := c.apply(); len(r.Done) != 1 {
		t.Fatal(r)
	}
	c.opt.Only = nil
	if n := c.read(); n != 0 {
		t.Errorf("%d users are read again", n)
	}
}

// An apply with nothing to do leaves the cache as it is; if the cache is missing or damaged,
// it writes the cache again.
func TestCacheIsWrittenOnce(t *testing.T) {
	c := newCached(t, two)
	first, err := os.ReadFile(c.path(cacheName))
	c.must(err)
	info, err := os.Stat(c.path(cacheName))
	c.must(err)
	for range 2 {
		_, err := Apply(context.Background(), c.cfg, c.opt, quiet{})
		c.must(err)
	}
	again, err := os.Stat(c.path(cacheName))
	c.must(err)
	if !os.SameFile(info, again) || !again.ModTime().Equal(info.ModTime()) {
		t.Error("a run with nothing to do has written the cache")
	}
	for name, damage := range map[string]func([]byte) []byte{
		"deleted":         func([]byte) []byte { return nil },
		"empty":           func([]byte) []byte { return []byte{} },
		"cut":             func(b []byte) []byte { return b[:len(b)-3] },
		"cut in the head": func(b []byte) []byte { return b[:5] },
		"altered":         func(b []byte) []byte { b[len(b)/2] ^= 4; return b },
		"another version": func(b []byte) []byte {
			return bytes.Replace(b, []byte("mtlsplan cache "), []byte("mtlsplan cache 9"), 1)
		},
		"another's": func(b []byte) []byte { return append([]byte("DIRC"), b...) },
		"twice":     func(b []byte) []byte { return append(b, b...) },
	} {
		if text := damage(bytes.Clone(first)); text == nil {
			c.must(os.Remove(c.path(cacheName)))
		} else {
			c.must(os.WriteFile(c.path(cacheName), text, 0o600))
		}
		before := c.planned()
		r, err := Apply(context.Background(), c.cfg, c.opt, quiet{})
		c.must(err)
		if !r.Plan.Empty() || !strings.Contains(before, `"steps":[]`) {
			t.Errorf("%s: expected nothing to do: %s", name, before)
		}
		if n := c.read(); n != 0 {
			t.Errorf("%s: the next apply has not written the cache again: %d users are read", name, n)
		}
	}
}
