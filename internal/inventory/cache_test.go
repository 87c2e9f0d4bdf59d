package inventory

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/outdir"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/statcache"
)

// warm is a world of which everything is known.
func warm(t *testing.T, sources ...config.Source) *world {
	t.Helper()
	w := newWorld(t, sources...)
	if n := w.keep(); n != len(sources) {
		t.Fatalf("%d users were read", n)
	}
	if n := w.unknown(); n != 0 {
		t.Fatalf("%d users are read again", n)
	}
	return w
}

// Every way to change a file that keeps some of what it is known by is seen,
// down to an edit in the tick of the clock in which it was written.
func TestEveryEditIsSeen(t *testing.T) {
	times := func(w *world, name string) time.Time {
		info, err := os.Stat(w.path(name))
		w.check(err)
		return info.ModTime()
	}
	edits := map[string]func(*world, string){
		"another size":  func(w *world, name string) { w.write(name, append(w.read(name), 'x')) },
		"the same size": func(w *world, name string) { w.alter(name) },
		"the same size and time": func(w *world, name string) {
			was := times(w, name)
			w.alter(name)
			w.check(os.Chtimes(w.path(name), was, was))
		},
		"the same size, time and inode, other times first": func(w *world, name string) {
			was := times(w, name)
			w.check(os.Chtimes(w.path(name), was.Add(time.Hour), was.Add(time.Hour)))
			w.alter(name)
			w.check(os.Chtimes(w.path(name), was, was))
		},
		"another file of the same size and time": func(w *world, name string) {
			was, data := times(w, name), w.read(name)
			data[len(data)/2] ^= 1
			w.write(name+".new", data)
			w.check(os.Chtimes(w.path(name)+".new", was, was))
			w.check(os.Rename(w.path(name)+".new", w.path(name)))
		},
		"no file": func(w *world, name string) { w.remove(name) },
		"a link to a copy": func(w *world, name string) {
			w.check(os.Rename(w.path(name), w.path(name)+".copy"))
			w.check(os.Symlink(filepath.Base(name)+".copy", w.path(name)))
		},
		"a second name": func(w *world, name string) { w.check(os.Link(w.path(name), w.path(name)+".link")) },
		"a directory":   func(w *world, name string) { w.remove(name); w.check(os.Mkdir(w.path(name), 0o700)) },
		"another mode":  func(w *world, name string) { w.check(os.Chmod(w.path(name), 0o666)) },
		"the other user": func(w *world, name string) {
			w.check(os.Rename(w.path(strings.Replace(name, "ann", "bob", 1)), w.path(name)))
		},
	}
	for kind, edit := range edits {
		for _, name := range []string{"ann-m.key", "ann-m.csr", "ann-m.crt", "ann-m.p12", "secrets/ann-m.pass"} {
			t.Run(kind+"/"+name, func(t *testing.T) {
				t.Parallel()
				w := warm(t, generated, generated)
				before := w.alike()
				edit(w, name)
				if w.unknown() == 0 {
					t.Error("it was not seen")
				}
				after := w.alike()
				same := equal(before.Users[0], after.Users[0])
				// Bytes behind the PEM block do not matter.
				if same && kind != "another size" {
					t.Error("the facts are the same")
				}
			})
		}
	}
}

func equal(a, b flatUser) bool {
	return a.Errors == b.Errors && sprint(a) == sprint(b)
}

// A change beside the files is seen, and one of the passphrase's source.
func TestWhatIsBesideIsSeen(t *testing.T) {
	for kind, edit := range map[string]func(*world){
		"another passphrase of the same size and time": func(w *world) {
			name := w.cfg.Users[1].Passphrase.File
			info, err := os.Stat(name)
			w.check(err)
			w.check(os.WriteFile(name, []byte("correct house\n"), 0o600))
			w.check(os.Chtimes(name, info.ModTime(), info.ModTime()))
		},
		"a .p12 that nobody asks for":               func(w *world) { w.write("ann-m.compat.p12", []byte("x")) },
		"a generated passphrase that opens nothing": func(w *world) { w.write("secrets/bob-m.pass", []byte("x\n")) },
		"another source":                            func(w *world) { w.cfg.Users[0].Passphrase = w.cfg.Users[1].Passphrase },
		"a challenge":                               func(w *world) { w.cfg.Users[0].ChallengePassword = config.Source{Kind: config.FromEnv, Env: "PASS"} },
		"one more profile":                          func(w *world) { w.cfg.Users[0].P12 = []pki.Profile{pki.Modern, pki.Compat} },
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := warm(t, generated, config.Source{Kind: config.FromFile})
			before := sprint(w.alike().Users)
			edit(w)
			if w.unknown() == 0 || sprint(w.alike().Users) == before {
				t.Error("it was not seen")
			}
		})
	}
}

// A passphrase from a variable opens the key in every run, and nothing else has to
// be read.
func TestVariablesAreAsked(t *testing.T) {
	t.Parallel()
	w := warm(t, config.Source{Kind: config.FromEnv, Env: "PASS"})
	w.opt.LookupEnv = func(string) (string, bool) { return "another", true }
	if n := w.unknown(); n != 1 {
		t.Errorf("%d users are read", n)
	}
	if u := w.alike().Users[0].User; u.Key.Opening != facts.OpensNeither {
		t.Errorf("%+v", u)
	}
}

// Where no passphrase is generated there is no secrets/, and users are known all
// the same.
func TestNoSecretsDirectory(t *testing.T) {
	t.Parallel()
	w := newWorld(t, config.Source{Kind: config.FromFile})
	w.check(os.RemoveAll(w.path("secrets")))
	w.keep()
	if n := w.unknown(); n != 0 {
		t.Errorf("%d users are read", n)
	}
}

// A challenge password that the spec no longer asks for is seen, whatever is
// remembered.
func TestAChallengeThatLeaves(t *testing.T) {
	t.Parallel()
	w := newWorld(t, generated)
	u := &w.cfg.Users[0]
	pass := w.read("secrets/ann-m.pass")
	r, closeAll := w.reader()
	m, err := r.User(0)
	w.check(err)
	key, err := m.OpenKey()
	w.check(err)
	closeAll()
	w.cfg.Users[0].ChallengePassword = config.Source{Kind: config.FromEnv, Env: "PASS"}
	challenge := r.secrets.from(u.ChallengePassword).value
	der, err := pki.MakeCSR(w.certOf("ann").RawSubject, u.SANs(), challenge, key)
	w.check(err)
	w.write("ann-m.csr", pki.EncodeCSR(der))
	for range 2 { // it is never known whole
		if n := w.keep(); n != 1 {
			t.Errorf("%d users were read", n)
		}
	}
	if u := w.alike().Users[0]; !u.Request.Challenged || u.User.CSR.ChallengeDiffers {
		t.Errorf("%+v", u)
	}
	w.cfg.Users[0].ChallengePassword = config.Source{}
	if u := w.alike().Users[0]; !u.User.CSR.ChallengeDiffers {
		t.Errorf("%+v", u)
	}
	if bytes.Contains(w.read(statcache.Name), bytes.TrimSpace(pass)) {
		t.Error("the cache holds the passphrase")
	}
}

// reader is one that has taken stock, of a directory that is open for writing.
func (w *world) reader() (*Reader, func()) {
	w.Helper()
	dir := w.lock(w.Context())
	r := New(w.Context(), dir, w.opt)
	_, _, err := r.Take()
	w.check(err)
	return r, func() { r.Close(); dir.Close() }
}

// A directory that was copied is known by the digests, and nobody in it is opened
// again; of a passphrase that a person has chosen there is none.
func TestACopyIsKnownByItsDigests(t *testing.T) {
	t.Parallel()
	w := warm(t, generated, config.Source{Kind: config.FromFile})
	out, err := exec.Command("cp", "-r", w.cfg.Output, w.cfg.Output+".copy").CombinedOutput()
	if err != nil {
		t.Fatal(err, string(out))
	}
	w.cfg.Output += ".copy"
	w.check(os.Chmod(w.cfg.Output, 0o755))
	r, closeAll := w.reader()
	defer closeAll()
	opened := 0
	for range r.opened.m.Range {
		opened++
	}
	if opened != 3 { // the CA's key, and bob's two
		t.Errorf("%d containers were opened", opened)
	}
	if n := w.unknown(); n != 2 {
		t.Errorf("%d users are read", n)
	}
	w.alike()
	for _, name := range []string{"ann-m.key", "ann-m.csr", "ann-m.crt", "ann-m.p12", "secrets/ann-m.pass"} {
		was := w.read(name)
		w.alter(name)
		w.alike()
		w.remove(name)
		w.alike()
		w.write(name, was)
	}
	w.alike()
}

// A digest covers the passphrase, so that there is none where one could be
// guessed; and where one file ends and the next begins is in it.
func TestDigestsHoldNothingToGuess(t *testing.T) {
	t.Parallel()
	w := warm(t, generated, config.Source{Kind: config.FromFile})
	dir, err := outdir.Open(w.cfg.Output, nil)
	w.check(err)
	defer dir.Close()
	c := statcache.Open(dir)
	defer c.Close()
	if c.Get("user.ann").Digest == (statcache.Digest{}) || c.Get("user.bob").Digest != (statcache.Digest{}) || c.Get("ca.m").Digest != (statcache.Digest{}) {
		t.Error("not only ann has a digest")
	}
	files := func(key, csr string) []file {
		list := make([]file, 3)
		list[atKey].Kind, list[atKey].content.Data = plan.KindKey, []byte(key)
		list[atCSR].Kind, list[atCSR].content.Data = plan.KindCSR, []byte(csr)
		return list
	}
	pass := line(w.read("secrets/ann-m.pass"))
	a, b := digestOf(generated, pass, files("x", "yz")), digestOf(generated, pass, files("xy", "z"))
	if a == b || a == (statcache.Digest{}) {
		t.Error("where one file ends is not in the digest")
	}
	if digestOf(generated, line([]byte("correct horse\n")), files("x", "yz")) != (statcache.Digest{}) {
		t.Error("there is a digest over a passphrase that a person has put there")
	}
}

// The cache has nothing that a passphrase could be tried on, nor its length.
func TestTheCacheHoldsNoSecret(t *testing.T) {
	t.Parallel()
	w := warm(t, generated, config.Source{Kind: config.FromFile})
	info, err := os.Stat(w.path(statcache.Name))
	w.check(err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %o", info.Mode().Perm())
	}
	for _, secret := range [][]byte{bytes.TrimSpace(w.read("secrets/ann-m.pass")), []byte("correct horse")} {
		for what, digest := range digestsOf(secret) {
			if bytes.Contains(w.read(statcache.Name), digest) {
				t.Errorf("the cache holds %s", what)
			}
		}
	}
	r, closeAll := w.reader()
	defer closeAll()
	if k, ok := r.keyRecord(r.record("user.bob")); !ok || k.source == (outdir.Stat{}) || k.source.Size != 0 {
		t.Errorf("%+v", k)
	}
}

// A run with nothing to do leaves the cache as it is; one that finds it gone or
// damaged writes it again.
func TestTheCacheIsWrittenOnce(t *testing.T) {
	t.Parallel()
	w := warm(t, generated, generated)
	first := w.read(statcache.Name)
	info, err := os.Stat(w.path(statcache.Name))
	w.check(err)
	w.keep()
	again, err := os.Stat(w.path(statcache.Name))
	w.check(err)
	if !os.SameFile(info, again) {
		t.Error("a run with nothing to do has written the cache")
	}
	for name, damage := range map[string]func([]byte) []byte{
		"deleted":         func([]byte) []byte { return nil },
		"empty":           func([]byte) []byte { return []byte{} },
		"cut":             func(b []byte) []byte { return b[:len(b)-3] },
		"cut in the head": func(b []byte) []byte { return b[:5] },
		"altered":         func(b []byte) []byte { b[len(b)/2] ^= 4; return b },
		"another version": func(b []byte) []byte { return bytes.Replace(b, []byte("cache 2"), []byte("cache 3"), 1) },
		"another's":       func(b []byte) []byte { return append([]byte("DIRC"), b...) },
		"twice":           func(b []byte) []byte { return append(b, b...) },
	} {
		if text := damage(bytes.Clone(first)); text == nil {
			w.remove(statcache.Name)
		} else {
			w.write(statcache.Name, text)
		}
		w.alike()
		want := 2
		if name == "twice" { // what is whole is believed
			want = 0
		}
		if n := w.keep(); n != want {
			t.Errorf("%s: %d users were read", name, n)
		}
		if n := w.unknown(); n != 0 {
			t.Errorf("%s: it was not written again: %d users are read", name, n)
		}
	}
}

// A run for one user that writes the cache forgets nobody else.
func TestARunForOne(t *testing.T) {
	t.Parallel()
	w := warm(t, generated, generated, generated)
	w.write("bob-m.csr", w.read("bob-m.csr"))
	w.cfg.Users = w.cfg.Users[:2]
	w.opt.Covers = func(o plan.Owner) bool { return o == "user.bob" }
	if n := w.keep(); n != 1 {
		t.Errorf("%d users were read", n)
	}
	w.opt.Covers = func(plan.Owner) bool { return true }
	if n := w.unknown(); n != 0 {
		t.Errorf("%d users are read again", n)
	}
}

// Where the names cannot be listed, each user is asked for: nobody has none.
func TestStraysUnlisted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, generated)
	w.write("ann-m.compat.p12", nil)
	dir, err := outdir.Open(w.cfg.Output, nil)
	w.check(err)
	r := New(t.Context(), dir, w.opt)
	defer r.Close()
	for range 2 {
		if !r.strays(manyUsers)(&w.cfg.Users[0]) {
			t.Error("it was not seen")
		}
		w.check(dir.Close())
	}
}

// The memory of issued.pem is believed only of the very same file.
func TestIssuedIsRecalled(t *testing.T) {
	t.Parallel()
	w := warm(t, generated, generated)
	recalled := func() bool {
		dir, err := outdir.Open(w.cfg.Output, nil)
		w.check(err)
		defer dir.Close()
		r := New(t.Context(), dir, w.opt)
		defer r.Close()
		var f ledger.Files
		return r.recall(&f) && len(f.Recalled) == 3
	}
	if !recalled() {
		t.Error("it was not recalled")
	}
	w.write(ledger.IssuedName, w.read(ledger.IssuedName))
	if recalled() {
		t.Error("another file was taken for it")
	}
	w.alike()
}
