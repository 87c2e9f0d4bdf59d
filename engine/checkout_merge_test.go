package engine

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
	"mtlsplan/spec"
)

// TestMergedByHand lets two histories go on from a common base, as two jobs do that each
// push to a branch, and merges their directories at random: of each file one side, both, or
// the marks of a conflict. Either the run refuses with a message, or what comes of it is
// sound: every revocation that any of the files tells of holds, and every certificate in
// place is on record.
func TestMergedByHand(t *testing.T) {
	configure(t)
	outcomes := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(fastDir(), "mtlsplan-merge-")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		m := newMerging(t, dir)
		for range mergesOfAPair {
			outcomes[m.merge(t)]++
		}
	})
	for _, name := range slices.Sorted(maps.Keys(outcomes)) {
		t.Logf("%4d %s", outcomes[name], name)
	}
}

const mergesOfAPair = 8

// side is one directory, and what its spec says.
type side struct {
	dir   string
	users []string
	gen   int
	now   time.Time
	files map[string][]byte
}

// merging is a pair of histories.
type merging struct {
	dir              string
	base, ours, them side
	git              bool
}

func (s *side) hcl(out string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `
version_control = true
output = %q
ca "m" {
  key = "ecdsa-p256"
  kdf_iterations = 1000
  generation = %d
  passphrase = { env = "P" }
  subject { common_name = "m" }
}
guard { max_revocations = 9 }
defaults {
  kdf_iterations = 1000
  p12 = ["modern"]
  passphrase = { env = "P" }
}
nginx "m" {
  server_name = ["chat.example.com"]
  upstream = ["127.0.0.1:8065"]
  client_ca = "/etc/nginx/ca.crt"
}
`, out, s.gen)
	for _, u := range s.users {
		fmt.Fprintf(&b, "user %q {}\n", u)
	}
	return strings.NewReplacer("{ common", "{\n common", "\"m\" }\n}", "\"m\"\n}\n}", "{ max_revocations = 9 }", "{\nmax_revocations = 9\n}").Replace(b.String())
}

func (s *side) load(t rapid.TB) *spec.Config {
	file := filepath.Join(filepath.Dir(s.dir), filepath.Base(s.dir)+".hcl")
	if err := os.WriteFile(file, []byte(s.hcl(s.dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, _, diags := spec.Load(context.Background(), file, "")
	if diags.HasErrors() {
		t.Fatalf("%v\n%s", diags, s.hcl(s.dir))
	}
	return cfg
}

func (s *side) options() Options {
	return Options{Now: s.now, LookupEnv: func(string) (string, bool) { return "a passphrase of no importance", true }}
}

func (s *side) apply(t rapid.TB, opt Options) {
	opt.Allow = 9
	r, err := Apply(context.Background(), s.load(t), opt, quiet{})
	if err != nil || len(r.Failures) > 0 || r.Plan.Refused() {
		t.Fatalf("%v %s", err, summary(r))
	}
}

func newMerging(t *rapid.T, dir string) *merging {
	m := &merging{dir: dir}
	_, err := exec.LookPath("git")
	m.git = err == nil
	m.base = side{dir: filepath.Join(dir, "base"), users: []string{"ann", "bob", "cyd"}, gen: 1, now: time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)}
	m.base.apply(t, m.base.options())
	m.base.live(t, 1)
	for name, s := range map[string]*side{"ours": &m.ours, "them": &m.them} {
		*s = m.base
		s.dir, s.users = filepath.Join(dir, name), slices.Clone(m.base.users)
		if err := copyOutput(m.base.dir, s.dir); err != nil {
			t.Fatal(err)
		}
	}
	m.ours.live(t, 3)
	m.them.live(t, 3)
	for _, s := range []*side{&m.base, &m.ours, &m.them} {
		s.files = readOutput(t, s.dir)
	}
	return m
}

// live lets some things happen, each with a run.
func (s *side) live(t *rapid.T, most int) {
	for range rapid.IntRange(1, most).Draw(t, "events") {
		opt := s.options()
		switch event := rapid.SampledFrom([]string{"come", "leave", "leave", "replace", "replace", "lost", "crl", "renewal", "rollover"}).Draw(t, "event"); event {
		case "come":
			for _, u := range []string{"dan", "eve", "fay"} {
				if !slices.Contains(s.users, u) {
					s.users = append(s.users, u)
					break
				}
			}
		case "leave":
			if i := rapid.IntRange(0, len(s.users)-1).Draw(t, "who"); len(s.users) > 1 {
				s.users = slices.Delete(s.users, i, i+1)
			}
		case "replace", "lost":
			opt.Replace = []plan.Owner{plan.User(rapid.SampledFrom(s.users).Draw(t, "who"))}
			if opt.Reason = "superseded"; event == "lost" {
				opt.Reason = "keyCompromise"
			}
		case "crl":
			s.now = s.now.AddDate(0, 0, 22)
		case "renewal":
			s.now = s.now.AddDate(0, 0, 340)
		case "rollover":
			if s.gen == 1 {
				s.gen = 2
			}
		}
		opt.Now = s.now
		s.apply(t, opt)
		s.now = s.now.Add(time.Hour)
	}
}

func copyOutput(from, to string) error {
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	return os.CopyFS(to, os.DirFS(from))
}

// readOutput has the files that a repository would keep.
func readOutput(t rapid.TB, dir string) map[string][]byte {
	out := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(dir, path)
		if err != nil || d.IsDir() || name == "db/lock" || strings.HasPrefix(name, "db/cache") || strings.HasPrefix(name, "db/stage") {
			return err
		}
		out[name], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// merge makes one directory of both, and judges what a run makes of it.
func (m *merging) merge(t *rapid.T) string {
	names := map[string]bool{}
	for _, s := range []*side{&m.base, &m.ours, &m.them} {
		for name := range s.files {
			names[name] = true
		}
	}
	merged := side{dir: filepath.Join(m.dir, "merged"), gen: max(m.ours.gen, m.them.gen), now: m.ours.now}
	if m.them.now.After(merged.now) {
		merged.now = m.them.now
	}
	merged.now = merged.now.Add(time.Hour)
	for _, u := range []string{"ann", "bob", "cyd", "dan", "eve", "fay"} {
		ours, them := slices.Contains(m.ours.users, u), slices.Contains(m.them.users, u)
		if base := slices.Contains(m.base.users, u); base && ours && them || !base && (ours || them) {
			merged.users = append(merged.users, u)
		}
	}
	if rapid.IntRange(0, 5).Draw(t, "spec") == 0 {
		merged.users, merged.gen = m.ours.users, m.ours.gen
	}
	if len(merged.users) == 0 {
		merged.users = []string{"zoe"}
	}
	// Most files come from one side; the more others there are, the less may be sound.
	usual := rapid.SampledFrom([]string{"ours", "them", "union", "git"}).Draw(t, "usually")
	odd := rapid.IntRange(1, 6).Draw(t, "odd, of 10")
	if err := os.RemoveAll(merged.dir); err != nil {
		t.Fatal(err)
	}
	var done []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		a, inA := m.ours.files[name]
		b, inB := m.them.files[name]
		how := usual
		if rapid.IntRange(0, 9).Draw(t, "of "+name) < odd {
			how = rapid.SampledFrom([]string{"ours", "them", "union", "marks", "git", "base", "less", "twice"}).Draw(t, "how "+name)
		}
		data, there := a, inA
		switch {
		case inA == inB && bytes.Equal(a, b):
			if how != "less" && how != "twice" {
				how = ""
			}
		case how == "them":
			data, there = b, inB
		case how == "base":
			if data, there = m.base.files[name]; !there {
				data, there = a, inA
			}
		case !inA || !inB:
			if how == "union" || how == "marks" || how == "git" {
				if data, there = a, true; !inA {
					data = b
				}
			}
		case how == "union":
			data = union(a, b)
		case how == "marks":
			data = conflicting(a, b)
		case how == "git":
			data = m.threeWay(t, a, m.base.files[name], b)
		}
		if text := name != ledger.AttrName && strings.HasPrefix(name, "db/") || strings.HasSuffix(name, ".crl"); there && (how == "less" || how == "twice") && text {
			lines := bytes.SplitAfter(data, []byte("\n"))
			if i := rapid.IntRange(0, len(lines)-1).Draw(t, "line"); how == "less" {
				data = bytes.Join(slices.Delete(slices.Clone(lines), i, i+1), nil)
			} else {
				data = bytes.Join(slices.Insert(slices.Clone(lines), i, lines[i]), nil)
			}
		}
		if how != "" {
			done = append(done, name+": "+how)
		}
		if there {
			path := filepath.Join(merged.dir, name)
			_ = os.MkdirAll(filepath.Dir(path), 0o755)
			if err := os.WriteFile(path, data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return m.judge(t, &merged, strings.Join(done, "\n"))
}

func union(a, b []byte) []byte {
	have := map[string]bool{}
	for line := range bytes.Lines(a) {
		have[string(line)] = true
	}
	out := slices.Clone(a)
	for line := range bytes.Lines(b) {
		if !have[string(line)] {
			out = append(out, line...)
		}
	}
	return out
}

// conflicting is a file of which no hand has touched the conflict.
func conflicting(a, b []byte) []byte {
	la, lb := bytes.SplitAfter(a, []byte("\n")), bytes.SplitAfter(b, []byte("\n"))
	from, to := 0, 0
	for from < min(len(la), len(lb)) && bytes.Equal(la[from], lb[from]) {
		from++
	}
	for to < min(len(la), len(lb))-from && bytes.Equal(la[len(la)-1-to], lb[len(lb)-1-to]) {
		to++
	}
	mid := func(l [][]byte) [][]byte { return l[from : len(l)-to] }
	return bytes.Join(slices.Concat(la[:from], [][]byte{[]byte("<<<<<<< HEAD\n")}, mid(la), [][]byte{[]byte("=======\n")}, mid(lb), [][]byte{[]byte(">>>>>>> theirs\n")}, la[len(la)-to:]), nil)
}

// threeWay is what git makes of a text file where .gitattributes does not stop it.
func (m *merging) threeWay(t rapid.TB, a, base, b []byte) []byte {
	if !m.git || bytes.IndexByte(a, 0) >= 0 {
		return a
	}
	var files []string
	for i, data := range [][]byte{a, base, b} {
		name := filepath.Join(m.dir, fmt.Sprint("part", i))
		files = append(files, name)
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, _ := exec.Command("git", append([]string{"merge-file", "-p"}, files...)...).Output() // its status counts the conflicts
	return out
}

// told are the serials of whose revocation any of the files tells.
func told(t rapid.TB, dir string, cfg *spec.Config, cas []*x509.Certificate) map[string]string {
	out := map[string]string{}
	index, _ := os.ReadFile(filepath.Join(dir, "db/index.txt"))
	for line := range strings.Lines(string(index)) {
		if rows, err := ledger.ParseIndex([]byte(line)); err == nil && len(rows) == 1 && rows[0].State == ledger.Revoked {
			out[rows[0].Serial] = "index.txt"
		}
	}
	crl, _ := os.ReadFile(filepath.Join(dir, "ca.m.crl"))
	for block, rest := pem.Decode(crl); block != nil; block, rest = pem.Decode(rest) {
		list, err := x509.ParseRevocationList(block.Bytes)
		if err != nil || !slices.ContainsFunc(cas, func(ca *x509.Certificate) bool { return pki.SignedCRL(list, ca) }) {
			continue
		}
		for _, e := range list.RevokedCertificateEntries {
			out[pki.SerialHex(e.SerialNumber)] = "the CRL"
		}
	}
	for _, site := range cfg.Sites {
		text, _ := os.ReadFile(filepath.Join(dir, site.Settings.File))
		for _, serial := range site.Proxy.Refused(text) {
			out[serial] = "the site"
		}
	}
	return out
}

func (m *merging) certificates() map[string]*x509.Certificate {
	out := map[string]*x509.Certificate{}
	for _, s := range []*side{&m.base, &m.ours, &m.them} {
		list, _, _ := ledger.ParseRecords(s.files["db/issued.pem"])
		for _, r := range list {
			if c, err := x509.ParseCertificate(r.DER); err == nil {
				out[pki.SerialHex(c.SerialNumber)] = c
			}
		}
	}
	return out
}

// judge applies a merged directory and says what became of it.
func (m *merging) judge(t *rapid.T, s *side, done string) string {
	cfg := s.load(t)
	all := m.certificates()
	var cas []*x509.Certificate
	for _, c := range all {
		if c.IsCA {
			cas = append(cas, c)
		}
	}
	before := told(t, s.dir, cfg, cas)
	opt := s.options()
	opt.Allow = 9
	was := readOutput(t, s.dir)
	p, err := NewPlan(context.Background(), cfg, opt)
	checks, verr := Verify(context.Background(), cfg, opt)
	fail := func(format string, args ...any) {
		t.Helper()
		t.Fatalf("%s\n%s\nspec: %v generation %d", fmt.Sprintf(format, args...), done, s.users, s.gen)
	}
	report, aerr := Apply(context.Background(), cfg, opt, quiet{})
	switch {
	case err != nil:
		if aerr == nil {
			fail("plan says %v and apply does not", err)
		}
		if !strings.Contains(err.Error(), ": ") {
			fail("no remedy: %v", err)
		}
		if verr == nil && !slices.ContainsFunc(checks, func(c plan.Check) bool { return !c.OK }) {
			fail("plan says %v and verify nothing", err)
		}
		return "error: " + wordsOf(err.Error())
	case p.Refused():
		if aerr != nil || !report.Plan.Refused() {
			fail("plan refuses and apply does not: %v", aerr)
		}
		if diff := differing(was, readOutput(t, s.dir)); len(diff) > 0 {
			fail("refused, and changed: %v", diff)
		}
		return "refused: " + wordsOf(p.Steps[0].Reasons[0].Message)
	case aerr != nil:
		fail("apply: %v\n%s", aerr, summary(report))
	}
	after := told(t, s.dir, cfg, cas)
	index, _ := os.ReadFile(filepath.Join(s.dir, "db/index.txt"))
	rows, err := ledger.ParseIndex(index)
	if err != nil {
		fail("%v", err)
	}
	state := map[string]ledger.Row{}
	for _, r := range rows {
		state[r.Serial] = r
	}
	for serial, where := range before {
		if c := all[serial]; c == nil || s.now.After(c.NotAfter) {
			continue
		}
		if after[serial] == "" || state[serial].State != ledger.Revoked {
			fail("%s told that %s (%s) is revoked, and it is not any more\n%s", where, serial, all[serial].Subject.CommonName, summary(report))
		}
	}
	issued, _ := os.ReadFile(filepath.Join(s.dir, "db/issued.pem"))
	records, _, err := ledger.ParseRecords(issued)
	if err != nil {
		fail("%v", err)
	}
	for name, data := range readOutput(t, s.dir) {
		if !strings.HasSuffix(name, "-m.crt") || strings.Contains(name, "/") {
			continue
		}
		c, err := pki.ParseCertificates(data)
		if err != nil || len(c) == 0 {
			if len(report.Failures) == 0 {
				fail("%s: %v", name, err)
			}
			continue
		}
		serial := pki.SerialHex(c[0].SerialNumber)
		owner := "user." + strings.TrimSuffix(name, "-m.crt")
		if state[serial].Owner != owner || !slices.ContainsFunc(records, func(r ledger.Record) bool { return bytes.Equal(r.DER, c[0].Raw) && r.Owner == owner }) {
			fail("%s is not on record\n%s", name, summary(report))
		}
	}
	if len(report.Failures) > 0 {
		return "incomplete: " + wordsOf(report.Failures[0].Message)
	}
	next, err := NewPlan(context.Background(), cfg, opt)
	if err != nil || !next.Empty() {
		fail("the next plan: %v %v", err, next)
	}
	checks, err = Verify(context.Background(), cfg, opt)
	if err != nil {
		fail("verify: %v", err)
	}
	for _, c := range checks {
		if !c.OK {
			fail("verify: %s %s", c.Owner, c.Message)
		}
	}
	if p.Empty() {
		return "nothing to do"
	}
	return "applied"
}

func differing(a, b map[string][]byte) []string {
	var out []string
	for name := range a {
		if !bytes.Equal(a[name], b[name]) {
			out = append(out, name)
		}
	}
	return out
}

// wordsOf is a message without what differs from run to run.
func wordsOf(message string) string {
	message = regexp.MustCompile(`[^ ]*/merged/|[0-9A-F]{16,}|[a-z]+(-m\.)|[0-9]+`).ReplaceAllString(message, "$1")
	words := strings.Fields(message)
	return strings.Join(words[:min(len(words), 9)], " ")
}
