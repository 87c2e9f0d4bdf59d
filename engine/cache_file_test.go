package engine

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"os"
	"strings"
	"testing"

	"mtlsplan/internal/outdir"
	"mtlsplan/internal/pki"
)

// A file that was changed in the tick in which it was read may be changed once
// more without a trace: it is not remembered before the tick is over.
func TestCacheWaitsForTheTick(t *testing.T) {
	s := outdir.Stat{Ino: 1, Size: 2, Mtime: 1000, Ctime: 2000}
	for clock, want := range map[int64]bool{1999: false, 2000: false, 2001: true} {
		if s.Before(clock) != want {
			t.Errorf("changed at %d, at %d: %v", s.Ctime, clock, !want)
		}
	}
	s.Mtime = 5000 // set by hand, or by a clock that was set back since
	if s.Before(3000) {
		t.Error("a file from the future was believed")
	}
	c := newCached(t, generated)
	dir, err := outdir.Lock(context.Background(), c.cfg.Output, "test", 0)
	c.must(err)
	defer dir.Close()
	stats := statsOf(t, dir)
	for range 20 {
		c.must(os.WriteFile(c.path("ann-m.csr"), []byte("x"), 0o600))
		have, _ := stats.Of("ann-m.csr")
		later, err := dir.NextTick()
		c.must(err)
		c.must(os.WriteFile(c.path("ann-m.csr"), []byte("y"), 0o600))
		again, _ := stats.Of("ann-m.csr")
		if !have.Before(later) || again == have || again.Before(later) {
			t.Fatalf("%+v, then the clock %d, then %+v", have, later, again)
		}
	}
}

// An apply with nothing to do leaves the cache as it is; one that finds it gone
// writes it again.
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
		"another version": func(b []byte) []byte { return bytes.Replace(b, []byte("cache 1"), []byte("cache 2"), 1) },
		"another's":       func(b []byte) []byte { return append([]byte("DIRC"), b...) },
		"twice":           func(b []byte) []byte { return append(b, b...) },
	} {
		if text := damage(bytes.Clone(first)); text == nil {
			c.must(os.Remove(c.path(cacheName)))
		} else {
			c.must(os.WriteFile(c.path(cacheName), text, 0o600))
		}
		before := c.plan()
		r, err := Apply(context.Background(), c.cfg, c.opt, quiet{})
		c.must(err)
		if !r.Plan.Empty() || !strings.Contains(before, `"steps":[]`) {
			t.Errorf("%s: there is something to do: %s", name, before)
		}
		if n := c.read(); n != 0 {
			t.Errorf("%s: the next apply has not written it again: %d users are read", name, n)
		}
	}
}

// A cache that came with a copy of the directory is another directory's.
func TestCacheOfACopy(t *testing.T) {
	c := newCached(t, generated)
	text, err := os.ReadFile(c.path(cacheName))
	c.must(err)
	info, err := os.Stat(c.cfg.Output)
	c.must(err)
	ours := outdir.StatOf(info).Ino
	if k := parseCache(string(text), ours); len(k.users) != 2 || len(k.entries) != 3 || !k.whole {
		t.Errorf("%d users, %d entries", len(k.users), len(k.entries))
	}
	if k := parseCache(string(text), ours+1); len(k.users) != 0 || len(k.entries) != 0 || k.whole {
		t.Error("a cache of another directory was believed")
	}
	for i := range text {
		altered := bytes.Clone(text)
		altered[i] ^= 1 << (i % 8)
		if parseCache(string(altered), ours).whole {
			t.Fatalf("nobody has noticed another byte %d of %d", i, len(text))
		}
	}
}

// A memo that a checksum vouches for and that cannot be read, as another program
// might have written it, is none.
func TestCacheOfAnotherProgram(t *testing.T) {
	c := newCached(t, generated)
	text, err := os.ReadFile(c.path(cacheName))
	c.must(err)
	ino := identityOf(c)
	known := parseCache(string(text), ino)
	for _, cut := range []int{1, 50, 400} {
		var w cacheWriter
		w.begin(ino)
		for _, memo := range known.users {
			w.add(recordUser, memo[:len(memo)-cut])
		}
		w.end()
		c.must(os.WriteFile(c.path(cacheName), w.out, 0o600))
		if plan := c.plan(); !strings.Contains(plan, `"steps":[]`) || strings.Contains(plan, "failures") {
			t.Errorf("%d bytes less of a memo: %s", cut, plan)
		}
	}
}

// The cache has nothing that a passphrase could be tried on.
func TestCacheHoldsNoSecret(t *testing.T) {
	c := newCached(t, two)
	text, err := os.ReadFile(c.path(cacheName))
	c.must(err)
	info, err := os.Stat(c.path(cacheName))
	c.must(err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %o", info.Mode().Perm())
	}
	pass, err := os.ReadFile(c.path("secrets/ann-m.pass"))
	c.must(err)
	for _, secret := range [][]byte{bytes.TrimSpace(pass), []byte("correct horse")} {
		for what, digest := range digestsOf(secret) {
			if bytes.Contains(text, digest) {
				t.Errorf("the cache holds %s", what)
			}
		}
	}
}

func FuzzParseCache(f *testing.F) {
	var w cacheWriter
	w.begin(7)
	m := userMemo{p12: []p12Memo{{profile: "compat", iterations: 2048}}}
	m.name, m.cert.authority, m.cert.sans = "ann", "id", []pki.SAN{{Type: pki.SANEmail, Value: "ann@example.com"}}
	w.add(recordUser, m.pack())
	e := issued{owner: "user.ann", at: 3, size: 4, serial: "0A"}
	w.add(recordEntry, e.pack())
	w.issued(outdir.Stat{Ino: 5}, 1)
	w.end()
	f.Add([]byte(w.out))
	f.Add([]byte(cacheFormat))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := parseCache(string(data), 7)
		if c.size > int64(len(data)) || len(c.entries) != c.covered {
			t.Error(c.size, len(c.entries), c.covered)
		}
		var m userMemo
		for _, memo := range c.users {
			if m.unpack(memo) == nil && m.pack() != memo {
				var again userMemo
				if again.unpack(m.pack()) != nil {
					t.Error("a memo that was read cannot be written")
				}
			}
		}
		_ = m.unpack(string(data))
	})
}

func digestsOf(secret []byte) map[string][]byte {
	sum1, sum256, sum512, md := sha1.Sum(secret), sha256.Sum256(secret), sha512.Sum512(secret), md5.Sum(secret)
	return map[string][]byte{"a passphrase": secret, "its SHA-1": sum1[:], "its SHA-256": sum256[:], "its SHA-512": sum512[:], "its MD5": md[:]}
}
