package engine

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
	"mtlsplan/spec"
)

// cached is a directory with two users whose files are all in the cache.
type cached struct {
	*testing.T
	cfg *spec.Config
	opt Options
}

const two = `
ca "m" {
  subject { common_name = "The CA" }
  key = "ecdsa-p256"
}
defaults { kdf_iterations = 2048 }
user "ann" { email = "ann@example.com" }
user "bob" {
  email      = "bob@example.com"
  passphrase = { file = "bob.pass" }
}
`

// generated is the spec without a file elsewhere: no test has to wait for that file's clock.
var generated = strings.Replace(two, `{ file = "bob.pass" }`, "{ generate = true }", 1)

func newCached(t *testing.T, text string) cached {
	t.Helper()
	// A file elsewhere is trusted to be the same only after two seconds.
	c := named(t, text, time.Now().Add(-time.Hour))
	if strings.Contains(text, "file") {
		time.Sleep(2100 * time.Millisecond)
	}
	c.apply()
	if n := c.read(); n != 0 {
		t.Fatalf("after an apply %d users are read again", n)
	}
	return c
}

// afresh is a directory in which all users were just made, without waiting until the cache
// knows them.
func afresh(t *testing.T, text string) cached {
	t.Helper()
	c := named(t, text, time.Now())
	c.apply()
	return c
}

// named loads a spec beside the passphrase file that it names, with its time of change.
func named(t *testing.T, text string, changed time.Time) cached {
	t.Helper()
	c := cached{t, load(t, text), Options{Now: time.Now(), LookupEnv: os.LookupEnv}}
	pass := filepath.Join(filepath.Dir(c.cfg.Output), "bob.pass")
	c.must(os.WriteFile(pass, []byte("correct horse\n"), 0o600))
	c.must(os.Chtimes(pass, changed, changed))
	return c
}

// apply is an apply that must succeed.
func (c cached) apply() *Report {
	c.Helper()
	r, err := Apply(context.Background(), c.cfg, c.opt, quiet{})
	if err != nil || len(r.Failures) > 0 {
		c.Fatal(err, r)
	}
	return r
}

func (c cached) path(name string) string {
	return filepath.Join(c.cfg.Output, filepath.FromSlash(name))
}

func (c cached) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

// read counts the users that a plan has to read.
func (c cached) read() int {
	c.Helper()
	n, opt := 0, c.opt
	opt.Reading = func(_, total int) { n = total }
	_, err := NewPlan(context.Background(), c.cfg, opt)
	c.must(err)
	return n
}

// plan is the plan as JSON.
func (c cached) planned() string {
	c.Helper()
	p, err := NewPlan(context.Background(), c.cfg, c.opt)
	c.must(err)
	text, err := json.Marshal(plan.NewPlanDocument(p))
	c.must(err)
	return string(text)
}

// cacheName is the file that may be deleted at any time without changing a result.
const cacheName = "db/cache"

// alike checks that the plan is the same without the cache, and returns it.
func (c cached) alike() string {
	c.Helper()
	with := c.planned()
	if err := os.Remove(c.path(cacheName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.Fatal(err)
	}
	if without := c.planned(); with != without {
		c.Fatalf("with the cache\n%s\nand without it\n%s", with, without)
	}
	return with
}

func (c cached) times(name string) time.Time {
	c.Helper()
	info, err := os.Stat(c.path(name))
	c.must(err)
	return info.ModTime()
}

// alter changes a byte in place, so that the size stays.
func (c cached) alter(name string) {
	c.Helper()
	data, err := os.ReadFile(c.path(name))
	c.must(err)
	data[len(data)/2] ^= 1
	f, err := os.OpenFile(c.path(name), os.O_WRONLY, 0)
	c.must(err)
	_, err = f.WriteAt(data, 0)
	c.must(err)
	c.must(f.Close())
}

// An edit is seen even if it keeps some of the stat by which the file is known, and even in
// the same tick of the clock as the write before it.
func TestCacheSeesEveryEdit(t *testing.T) {
	edits := map[string]func(cached, string){
		"another size": func(c cached, name string) {
			f, err := os.OpenFile(c.path(name), os.O_WRONLY|os.O_APPEND, 0)
			c.must(err)
			_, err = f.WriteString("x")
			c.must(err)
			c.must(f.Close())
		},
		"the same size": func(c cached, name string) { c.alter(name) },
		"the same size and time": func(c cached, name string) {
			was := c.times(name)
			c.alter(name)
			c.must(os.Chtimes(c.path(name), was, was))
		},
		"the same size, time and inode, other times first": func(c cached, name string) {
			was := c.times(name)
			c.must(os.Chtimes(c.path(name), was.Add(time.Hour), was.Add(time.Hour)))
			c.alter(name)
			c.must(os.Chtimes(c.path(name), was, was))
		},
		"another file of the same size and time": func(c cached, name string) {
			data, err := os.ReadFile(c.path(name))
			c.must(err)
			was := c.times(name)
			data[len(data)/2] ^= 1
			c.must(os.WriteFile(c.path(name)+".new", data, 0o600))
			c.must(os.Chtimes(c.path(name)+".new", was, was))
			c.must(os.Rename(c.path(name)+".new", c.path(name)))
		},
		"no file": func(c cached, name string) { c.must(os.Remove(c.path(name))) },
		"a link to a copy": func(c cached, name string) {
			c.must(os.Rename(c.path(name), c.path(name)+".copy"))
			c.must(os.Symlink(filepath.Base(name)+".copy", c.path(name)))
		},
		"a second name": func(c cached, name string) { c.must(os.Link(c.path(name), c.path(name)+".link")) },
		"a directory":   func(c cached, name string) { c.must(os.Remove(c.path(name))); c.must(os.Mkdir(c.path(name), 0o700)) },
		"another mode":  func(c cached, name string) { c.must(os.Chmod(c.path(name), 0o666)) },
		"the other user": func(c cached, name string) {
			c.must(os.Rename(c.path(strings.Replace(name, "ann", "bob", 1)), c.path(name)))
		},
	}
	for kind, edit := range edits {
		for _, name := range []string{"ann-m.key", "ann-m.csr", "ann-m.crt", "ann-m.p12", "secrets/ann-m.pass"} {
			if kind == "the other user" && strings.HasPrefix(name, "secrets/") {
				continue
			}
			t.Run(kind+"/"+name, func(t *testing.T) {
				t.Parallel()
				c := newCached(t, generated)
				edit(c, name)
				if c.read() == 0 {
					t.Error("the cache has missed it")
				}
				// Text after a PEM block does not matter.
				if planned := c.alike(); kind != "another size" && strings.Contains(planned, `"steps":[]`) && strings.Contains(planned, `"failures":[]`) {
					t.Errorf("the plan has nothing to say of it: %s", planned)
				}
			})
		}
	}
}

// Changes of other files, and of the passphrase's source.
func TestCacheSeesWhatIsBeside(t *testing.T) {
	for kind, edit := range map[string]func(cached){
		"another passphrase of the same size and time": func(c cached) {
			name := filepath.Join(filepath.Dir(c.cfg.Output), "bob.pass")
			info, err := os.Stat(name)
			c.must(err)
			c.must(os.WriteFile(name, []byte("correct house\n"), 0o600))
			c.must(os.Chtimes(name, info.ModTime(), info.ModTime()))
		},
		"a .p12 that nobody asks for": func(c cached) { c.must(os.WriteFile(c.path("ann-m.modern.p12"), []byte("x"), 0o600)) },
		"a generated passphrase that opens nothing": func(c cached) {
			c.must(os.WriteFile(c.path("secrets/bob-m.pass"), []byte("x\n"), 0o600))
		},
		"another source":   func(c cached) { c.cfg.Users[0].Passphrase = c.cfg.Users[1].Passphrase },
		"a challenge":      func(c cached) { c.cfg.Users[0].ChallengePassword = c.cfg.Users[1].Passphrase },
		"another subject":  func(c cached) { c.cfg.Users[0].Subject.Organization = "Other" },
		"another key":      func(c cached) { c.cfg.Users[0].Key = "ecdsa-p384" },
		"another profile":  func(c cached) { c.cfg.Users[0].P12 = []pki.Profile{"modern"} },
		"one more profile": func(c cached) { c.cfg.Users[0].P12 = []pki.Profile{"compat", "modern"} },
		"other iterations": func(c cached) { c.cfg.Users[0].KDFIterations++ },
		"time": func(c cached) {
			c.cfg.Users[0].RenewBefore = c.cfg.Users[0].Validity + time.Hour
			c.cfg.Users[0].Validity *= 2
		},
		"the database alone": func(c cached) { c.must(os.RemoveAll(c.path("db/issued.pem"))) },
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			c := newCached(t, two)
			edit(c)
			if planned := c.alike(); strings.Contains(planned, `"steps":[]`) && strings.Contains(planned, `"failures":[]`) {
				t.Errorf("the plan has nothing to say of it: %s", planned)
			}
		})
	}
}
