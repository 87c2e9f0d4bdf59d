package engine

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"mtlsplan/internal/plan"
	"mtlsplan/internal/probe"
	"mtlsplan/spec"
)

const staffed = `
output = "OUTPUT"
ca "m" {
  key = "ecdsa-p256"
  subject { common_name = "CA of m" }
}
defaults { kdf_iterations = 2048 }
user "chosen" {
  email      = "chosen@example.com"
  passphrase = { file = "chosen.pass" }
}
user "ada" { email = "ada@example.com" }
user "bob" {
  email  = "bob@example.com"
  groups = ["admins"]
}
user "gone" { email = "gone@example.com" }
nginx "m" {
  server_name = ["*.example.com"]
  upstream    = ["127.0.0.1:8065"]
}
`

// staff applies a spec, and the visitors are those of the directory that has come of it.
type staff struct {
	t   *testing.T
	dir string
	opt Options
}

func newStaff(t *testing.T) *staff {
	s := &staff{t: t, dir: t.TempDir(), opt: Options{Now: time.Now(), LookupEnv: os.LookupEnv}}
	if err := os.WriteFile(filepath.Join(s.dir, "chosen.pass"), []byte("chosen-by-somebody-1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *staff) apply(text string, opt Options) *spec.Config {
	s.t.Helper()
	text = strings.NewReplacer("OUTPUT", filepath.Join(s.dir, "out"), `"chosen.pass"`, `"`+filepath.Join(s.dir, "chosen.pass")+`"`).Replace(text)
	cfg := load(s.t, text)
	if r, err := Apply(s.t.Context(), cfg, opt, quiet{}); err != nil || len(r.Failures) > 0 {
		s.t.Fatal(err, r)
	}
	return cfg
}

// cast reads the directory and gives those who would be sent, as "who" or "who:in",
// and the notes.
func (s *staff) cast(cfg *spec.Config) (list, notes []string, v visitors) {
	s.t.Helper()
	dir, err := openDir(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	defer dir.Close()
	r := newRun(s.t.Context(), cfg, s.opt, dir)
	defer r.in.Close()
	st, err := r.takeStock()
	if err != nil {
		s.t.Fatal(err)
	}
	c := r.castFor(&cfg.Sites[0], st, st.ledger, st.verdict.Trust.Certificates())
	if v, err = c.visitors(); err != nil {
		s.t.Fatal(err)
	}
	for _, visitor := range v.list {
		who := visitor.Who
		if visitor.In {
			who += ":in"
		}
		list = append(list, who)
	}
	for _, n := range v.notes {
		notes = append(notes, n.Message)
	}
	return list, notes, v
}

func (s *staff) want(cfg *spec.Config, want ...string) {
	s.t.Helper()
	got, notes, v := s.cast(cfg)
	for _, n := range notes {
		got = append(got, "note: "+n)
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		s.t.Errorf("sent are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	in := false
	for _, visitor := range v.list {
		in = in || visitor.In && visitor.Certificate != nil
	}
	if in == v.noGood {
		s.t.Errorf("noGood is %v", v.noGood)
	}
}

const (
	nobody = "a client without a certificate"
	as     = "a self-signed certificate in the name of "
)

func TestVisitors(t *testing.T) {
	s := newStaff(t)
	without := func(text, user string) string {
		before, rest, _ := strings.Cut(text, `user "`+user+`"`)
		_, after, _ := strings.Cut(rest, "}\n")
		return before + after
	}
	cfg := s.apply(staffed, s.opt)
	s.want(cfg, nobody, as+"user.ada", "user.ada:in")

	// Whoever has left keeps the key in db/retired, also the second time.
	cfg = s.apply(without(staffed, "gone"), s.opt)
	s.want(cfg, nobody, as+"user.ada", "the revoked certificate of user.gone", "user.ada:in")
	later := s.opt
	later.Now = later.Now.Add(time.Hour)
	s.opt = later
	s.apply(staffed, s.opt)
	cfg = s.apply(without(staffed, "gone"), s.opt)
	_, _, v := s.cast(cfg)
	if last := v.list[2]; len(v.list) != 4 || !last.Certificate.Leaf.NotBefore.After(s.opt.Now.Add(-30*time.Minute)) {
		t.Errorf("not the certificate that was revoked last: %+v", v.list)
	}

	// The site is for some.
	cfg = s.apply(strings.Replace(without(staffed, "gone"), "upstream ", "allow_groups = [\"admins\"]\n upstream ", 1), s.opt)
	s.want(cfg, nobody, as+"user.bob", "the revoked certificate of user.gone", "user.bob:in")
	cfg = s.apply(strings.Replace(without(staffed, "gone"), "upstream ", "allow_groups = [\"nobody\"]\n upstream ", 1), s.opt)
	s.want(cfg, nobody, "a self-signed certificate", "the revoked certificate of user.gone",
		"note: the probe cannot tell whether a good certificate is let in, because the site lets nobody in whose key opens")

	// Who needs no certificate.
	cfg = s.apply(strings.Replace(staffed, "upstream ", "verify = \"optional\"\n upstream ", 1), s.opt)
	s.want(cfg, nobody+":in", as+"user.ada", "the revoked certificate of user.gone", "user.ada:in")
	cfg = s.apply(strings.Replace(staffed, "upstream ", "exempt = [\"/hooks/\"]\n upstream ", 1), s.opt)
	s.want(cfg, nobody, as+"user.ada", "the revoked certificate of user.gone", "user.ada:in")

	// Keys that cannot be opened.
	for _, name := range []string{"secrets/ada-m.pass", "secrets/bob-m.pass", "secrets/gone-m.pass"} {
		if err := os.Remove(filepath.Join(cfg.Output, name)); err != nil {
			t.Fatal(err)
		}
	}
	s.want(cfg, nobody, as+"user.chosen", "the revoked certificate of user.gone", "user.chosen:in")
	names, _ := filepath.Glob(filepath.Join(cfg.Output, "db/retired/*.pass*"))
	if len(names) != 2 {
		t.Errorf("retired are %q", names)
	}
	for _, name := range append(names, filepath.Join(s.dir, "chosen.pass")) {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	s.want(cfg, nobody, "a self-signed certificate",
		"note: the probe cannot tell whether a revoked certificate is refused, because the key of none opens (there is no passphrase for gone-m.key)",
		"note: the probe cannot tell whether a good certificate is let in, because the site lets nobody in whose key opens (there is no passphrase for ada-m.key)")
}

// TestVisitorsOfReplacedKeys: a revoked certificate cannot be shown once a new key has taken
// the place of its key, and it is no passphrase that is wanting.
func TestVisitorsOfReplacedKeys(t *testing.T) {
	s := newStaff(t)
	s.apply(staffed, s.opt)
	replacing := s.opt
	replacing.Replace = []plan.Owner{"user.ada"}
	cfg := s.apply(staffed, replacing)
	list, notes, _ := s.cast(cfg)
	if len(list) != 3 || len(notes) != 1 || !strings.Contains(notes[0], "because the key of none of those that were tried is kept: with --replace") || !strings.Contains(notes[0], "(ada-m.key has a newer key)") || strings.Contains(notes[0], "opens") {
		t.Errorf("%q, %q", list, notes)
	}
}

// TestVisitorsOfARollover: who is still on the CA before is let in, and nobody is of a CA
// that is compromised.
func TestVisitorsOfARollover(t *testing.T) {
	s := newStaff(t)
	text := strings.Replace(staffed, `ca "m" {`, "ca \"m\" {\n  generation = 1", 1)
	s.apply(text, s.opt)
	text = strings.Replace(text, "generation = 1", "generation = 2", 1)
	cfg := s.apply(text, s.opt)
	s.want(cfg, nobody, as+"user.ada", "user.ada:in")
	cfg = s.apply(strings.Replace(text, "generation = 2", "generation = 2\n  compromised = [1]", 1), s.opt)
	s.want(cfg, nobody, as+"user.ada", "user.ada:in") // the new certificate; the old one is nobody's any more
}

func TestExpiredVisitor(t *testing.T) {
	s := newStaff(t)
	cfg := s.apply(staffed, s.opt)
	s.opt.Now = s.opt.Now.AddDate(2, 0, 0)
	dir, err := openDir(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	r := newRun(t.Context(), cfg, s.opt, dir)
	defer r.in.Close()
	st, err := r.takeStock()
	if err != nil {
		t.Fatal(err)
	}
	c := r.castFor(&cfg.Sites[0], st, st.ledger, st.verdict.Trust.Certificates())
	if h, err := c.expired(); h == nil || err != nil {
		t.Error(h, err)
	}
	if h, _ := c.admitted(""); h != nil {
		t.Errorf("%s is let in", h.owner)
	}
}

func TestProbeTarget(t *testing.T) {
	s := newStaff(t)
	cfg := s.apply(staffed, s.opt)
	got := targetOf(&cfg.Sites[0], "127.0.0.1:443")
	want := probe.Target{Address: "127.0.0.1:443", ServerName: "probe.example.com"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}
