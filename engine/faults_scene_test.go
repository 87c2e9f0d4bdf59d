package engine

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io/fs"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mtlsplan/internal/outdir"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/secret"
)

// tree is a directory in memory, by path.
type tree map[string]node

type node struct {
	mode fs.FileMode // with fs.ModeDir
	data string
}

func readTree(t testing.TB, root string) tree {
	t.Helper()
	out := tree{}
	err := filepath.WalkDir(root, func(at string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		n := node{mode: info.Mode()}
		if n.mode.IsRegular() {
			data, err := os.ReadFile(at)
			if err != nil {
				return err
			}
			n.data = string(data)
		}
		name, err := filepath.Rel(root, at)
		out[filepath.ToSlash(name)] = n
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return out
}

func (tr tree) write(t testing.TB, root string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(tr)) {
		at, n := filepath.Join(root, name), tr[name]
		var err error
		if n.mode.IsDir() {
			err = os.MkdirAll(at, 0o755)
		} else {
			err = os.WriteFile(at, []byte(n.data), 0o600)
		}
		if err == nil {
			err = os.Chmod(at, n.mode.Perm())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// spares reports whether a path only saves a run time, and may be lost at any moment.
func spares(name string) bool {
	return slices.Contains([]string{cacheName, "db/stage/cache"}, name)
}

// spared reports whether the k-th change may fail without a word: it is of the cache, or of
// the lock file once the lock is taken, which then only tells the time and remembers notes.
func (s *scene) spared(k int) bool {
	c, written := s.changes[k-1], 0
	for _, before := range s.changes[:k-1] {
		if before.Name == "db/lock" && before.Do != "create" {
			written++
		}
	}
	return spares(c.Name) || c.Name == "db/lock" && written >= 2
}

// transient reports whether a path is not a part of a run's lasting result.
func transient(name string) bool {
	return name == "db/lock" || spares(name) || name == "db/stage" || strings.HasPrefix(name, "db/stage/")
}

// begin makes the directory in which a scene begins.
func (w *world) begin() {
	w.t.Helper()
	r := ran{cfg: w.load(), opt: w.options()}
	var err error
	if r.report, err = Apply(context.Background(), r.cfg, r.opt, quiet{}); err != nil || len(r.report.Failures) > 0 {
		w.t.Fatalf("%v %+v", err, r.report)
	}
	w.checkRecords(r, records{})
}

// scene is a directory, and a run over it with many changes at once.
type scene struct {
	name  string
	start tree
	world world // to be copied
	adopt bool

	stop int // the change at which a first run is killed, 0 for none

	was     records
	reasons map[string]bool // "owner code", of the first plan
	issued  []string        // owners for whom an undisturbed run issues certificates, in order
	shape   string          // the result of an undisturbed run
	changes []outdir.Change // the changes of an undisturbed run
}

// sceneMaker prepares a directory, a spec and a clock for the run.
type sceneMaker struct {
	name  string
	adopt bool
	make  func(w *world)
}

// scenes are tried with faults and with power cuts.
var scenes = []sceneMaker{
	// A user is renewed, one joins, one departs, one is revoked, one gets another
	// passphrase, one brings a request; a mode is narrowed, the CA's key is encrypted
	// again, the CRL is signed and the site is written.
	{"everything", false, func(w *world) {
		w.spec.users[0].attributes = set(w.spec.users[0].attributes, "validity", `"90d"`)
		w.spec.users = append(w.spec.users, userModel{name: "fay"}, userModel{name: "gus"})
		w.begin()
		w.now = w.now.Add(80 * 24 * time.Hour)
		s := &w.spec
		s.users = slices.DeleteFunc(s.users, func(u userModel) bool { return u.name == "gus" })
		change := func(name string, f func(u *userModel)) {
			u := *s.user(name)
			f(&u)
			s.put(u)
		}
		change("bob", func(u *userModel) { u.attributes = set(u.attributes, "revoked", `"keyCompromise"`) })
		change("cyd", func(u *userModel) { u.passphrase, u.previous = "", env("ONE") })
		change("dan", func(u *userModel) {
			u.passphrase, u.attributes = "", set(u.attributes, "csr", `"dan.1.csr"`)
		})
		s.users = append(s.users, userModel{name: "eve"})
		s.ca.passphrase, s.ca.previous = env("CA1"), generate
		s.site = set(s.site, "exempt", `["/hooks/"]`)
		s.guard = "3"
		w.check(os.Chmod(w.out("fay-m.key"), 0o644))
	}},
	{"rollover", false, func(w *world) {
		w.spec.users = w.spec.users[:2]
		w.begin()
		w.now = w.now.Add(24 * time.Hour)
		w.spec.ca.generation = 2
		w.spec.ca.passphrase, w.spec.ca.previous = env("CA1"), generate
		w.spec.users = append(slices.Clone(w.spec.users), userModel{name: "eve"})
	}},
	{"first run", false, func(w *world) { w.spec.users = w.spec.users[:3] }},
	{"adoption", true, func(w *world) {
		w.spec.users = w.spec.users[:3]
		w.begin()
		w.check(os.RemoveAll(w.out("db")))
		w.memory = newMemory()
		w.now = w.now.Add(24 * time.Hour)
		w.spec.users = append(slices.Clone(w.spec.users), userModel{name: "eve"})
	}},
	// The keys of the CA and of a user are not encrypted, that of another user is in the
	// .p12 alone.
	{"adoption of plain keys", true, func(w *world) {
		w.spec.users = w.spec.users[:3]
		w.begin()
		w.check(os.RemoveAll(w.out("db")))
		w.memory = newMemory()
		for _, base := range []string{"ca.m", "ann-m"} {
			pass, err := os.ReadFile(w.out("secrets/" + base + ".pass"))
			w.check(err)
			data, err := os.ReadFile(w.out(base + ".key"))
			w.check(err)
			key, err := pki.OpenKey(data, secret.Line(pass))
			w.check(err)
			der, err := x509.MarshalPKCS8PrivateKey(key)
			w.check(err)
			w.write(w.out(base+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
			w.check(os.Remove(w.out("secrets/" + base + ".pass")))
		}
		for _, name := range []string{"ann-m.p12", "cyd-m.key", "cyd-m.crt", "cyd-m.csr"} {
			w.check(os.Remove(w.out(name)))
		}
		w.now = w.now.Add(24 * time.Hour)
	}},
	// One gets another name, one another name and a new key, one who has made the key
	// another name, one devices; one departs.
	{"renamed", false, func(w *world) {
		s := &w.spec
		s.users[0].attributes = map[string]string{"csr": `"ann.1.csr"`}
		s.users[3].subject = map[string]string{"common_name": `"Dan"`}
		s.users = append(s.users, userModel{name: "gus"})
		w.begin()
		w.now = w.now.Add(24 * time.Hour)
		s.users = slices.Clone(s.users)
		s.users[0].name, s.users[2].name, s.users[3].name = "fay", "cy.d", "eve"
		s.users[1].attributes = set(s.users[1].attributes, "devices", `["laptop", "phone"]`)
		s.users = s.users[:4]
		s.moved = []movedModel{{"ann", "fay"}, {"bob", "bob:laptop"}, {"cyd", "cy.d"}, {"dan", "eve"}}
	}},
	// What lies in clear is sealed; who was sealed to one is sealed to others, and renewed; one
	// whose passphrase cannot be opened is renewed with a new one; one departs.
	{"sealed", false, func(w *world) {
		w.env["IDENTITY"] = identityOne
		one, two := fmt.Sprintf("%q", recipientOne), fmt.Sprintf("%q", recipientTwo)
		s := &w.spec
		s.users = append(slices.Clone(s.users[:2]), userModel{name: "gus", seal: "[" + one + "]"})
		s.users[0].seal = "[" + one + "]"
		s.users[1].seal = "[" + two + "]"
		s.users[0].attributes, s.users[1].attributes = set(s.users[0].attributes, "validity", `"90d"`), map[string]string{"validity": `"90d"`}
		w.begin()
		w.now = w.now.Add(80 * 24 * time.Hour)
		s.users = slices.Clone(s.users[:2])
		s.users[0].seal = "[" + two + "]"
		s.seal = "[" + one + "]"
		s.guard = "3"
	}},
	// Another CA has signed that of the directory. The site admits the certificates of the
	// database alone: it is written with the revocations, and once more with new certificates.
	{"adoption of a CA that another has signed", true, func(w *world) {
		w.spec.users = w.spec.users[:3]
		w.begin()
		w.check(os.RemoveAll(w.out("db")))
		w.memory = newMemory()
		data, err := os.ReadFile(w.out("ca.m.crt"))
		w.check(err)
		certs, err := pki.ParseCertificates(data)
		w.check(err)
		w.write(w.out("ca.m.crt"), signedAbove(w, certs[0]), 0o644)
		w.now = w.now.Add(24 * time.Hour)
		w.spec.users = append(slices.Clone(w.spec.users), userModel{name: "eve"})
	}},
	// One departs, one joins, and one is renewed with the same key. The site names users: it
	// is written with the revocations, and once more with the new certificates.
	{"named users", false, func(w *world) {
		w.spec.site = set(w.spec.site, "headers", `{ "X-Email" = "email" }`)
		w.spec.users = slices.Clone(w.spec.users[:2])
		w.spec.users[1].attributes = map[string]string{"validity": `"90d"`, "reuse_key": "true"}
		w.begin()
		w.now = w.now.Add(80 * 24 * time.Hour)
		w.spec.users = append(slices.Clone(w.spec.users[1:]), userModel{name: "eve"})
	}},
}

// signedAbove is a certificate for the CA that another CA has signed, and that of the
// other behind it.
func signedAbove(w *world, ca *x509.Certificate) []byte {
	key, err := pki.ECDSAP256.Generate()
	w.check(err)
	root := &x509.Certificate{
		Subject: pkix.Name{CommonName: "Root"}, SerialNumber: big.NewInt(1), NotBefore: ca.NotBefore, NotAfter: ca.NotAfter.Add(time.Hour), SubjectKeyId: []byte{1},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	own := *ca
	own.AuthorityKeyId, own.SerialNumber = root.SubjectKeyId, big.NewInt(2)
	var text []byte
	for _, c := range []struct {
		template *x509.Certificate
		public   crypto.PublicKey
	}{{&own, ca.PublicKey}, {root, key.Public()}} {
		der, err := x509.CreateCertificate(rand.Reader, c.template, root, c.public, key)
		w.check(err)
		text = append(text, pki.EncodeCertificate(der)...)
	}
	return text
}

// pointT names the point at which a check has failed.
type pointT struct {
	testing.TB
	point string
}

func (p *pointT) Fatalf(format string, args ...any) {
	p.TB.Helper()
	p.TB.Fatalf("%s: "+format, append([]any{p.point}, args...)...)
}

func (p *pointT) Fatal(args ...any) {
	p.TB.Helper()
	p.TB.Fatal(append([]any{p.point + ":"}, args...)...)
}

func (p *pointT) Logf(string, ...any) {}

func newScene(t testing.TB, m sceneMaker) *scene {
	t.Helper()
	s := &scene{name: m.name, adopt: m.adopt}
	w := &world{
		dir: tempDir(t), now: time.Date(2031, 5, 6, 7, 8, 9, 500_000_000, time.UTC), spec: firstSpec(), applied: firstSpec(),
		env:     map[string]string{"CHALLENGE1": "open-sesame", "CHALLENGE2": "shibboleth"},
		damaged: map[string]original{}, old: map[string][][]byte{}, memory: newMemory(),
	}
	w.t = &pointT{t, s.name}
	for _, v := range []string{"ONE", "TWO", "CA1", "CA2"} {
		w.env[v] = "the-secret-of-" + v
	}
	for user, data := range requests() {
		w.write(filepath.Join(w.dir, user[:3]+"."+user[3:]+".csr"), data, 0o600)
	}
	m.make(w)
	s.start = readTree(t, w.dir)
	s.world = *w
	s.was = w.records()
	w = s.open(t, "undisturbed") // sites name the directory that they are in
	planned, err := NewPlan(context.Background(), w.load(), s.options(w))
	w.check(err)
	s.reasons = map[string]bool{}
	for _, step := range planned.Steps {
		for _, r := range step.Reasons {
			s.reasons[fmt.Sprint(step.Owner, " ", r.Code)] = true
		}
	}
	if s.namesUsers() {
		s.reasons["nginx.m upstream"] = true // a site that names users follows what is left to issue
	}
	s.play(t, w)
	return s
}

// play is the undisturbed run.
func (s *scene) play(t testing.TB, w *world) {
	t.Helper()
	s.changes = nil
	ctx := outdir.WithTrace(context.Background(), func(c outdir.Change, do func() error) error {
		s.changes = append(s.changes, c)
		return do()
	})
	if r, err := Apply(ctx, w.load(), s.options(w), quiet{}); err != nil || len(r.Failures) > 0 || r.Plan.Refused() {
		t.Fatalf("%s: an undisturbed run: %v %+v", s.name, err, r)
	}
	s.shape, s.issued = s.shapeOf(w), s.newOwners(w)
}

func tempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp(fastDir(), "mtlsplan-faults-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// open makes a copy of a scene for a run.
func (s *scene) open(t testing.TB, point string) *world {
	t.Helper()
	w := s.world
	w.t, w.dir = &pointT{t, s.name + ", " + point}, tempDir(t)
	w.old, w.damaged = map[string][][]byte{}, map[string]original{}
	w.memory = memory{maps.Clone(w.memory.serials), maps.Clone(w.memory.revoked), maps.Clone(w.memory.numbers)}
	s.start.write(t, w.dir)
	return &w
}

func (s *scene) options(w *world) Options {
	opt := w.options()
	opt.Adopt = s.adopt
	return opt
}

// shapeOf is the content of a directory without the results of chance and time.
func (s *scene) shapeOf(w *world) string {
	var lines []string
	for name, f := range w.snapshot() {
		if !transient(name) {
			lines = append(lines, fmt.Sprintf("%s %s", name, f.mode))
		}
	}
	for _, row := range w.records().rows {
		lines = append(lines, fmt.Sprintf("%s %c %s", row.Owner, row.State, row.Reason))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// newOwners are the owners of certificates in issued.pem since the beginning of the scene.
func (s *scene) newOwners(w *world) []string {
	var out []string
	for _, e := range w.records().issued[len(s.was.issued):] {
		out = append(out, e.Owner)
	}
	slices.Sort(out)
	return out
}
