package inventory

import (
	"context"
	"crypto"
	"crypto/x509"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/outdir"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/secret"
)

// world is an output directory that was made by hand: as a run would leave it.
type world struct {
	*testing.T
	cfg    *config.Config
	opt    Options
	caKey  crypto.Signer
	caCert *x509.Certificate
}

var (
	generated = config.Source{Kind: config.Generated}
	now       = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
)

// newWorld makes a directory with a user of each source. The passphrase's file was
// changed an hour ago as far as anybody can set that.
func newWorld(t *testing.T, sources ...config.Source) *world {
	t.Helper()
	dir := t.TempDir()
	pass := filepath.Join(dir, "pass")
	cfg := &config.Config{Output: filepath.Join(dir, "out"), CA: config.CA{Name: "m", Passphrase: generated, Generation: 1}}
	for i, src := range sources {
		if src.Kind == config.FromFile {
			src.File = pass
		}
		name := []string{"ann", "bob", "cyd", "dan", "eve", "fay"}[i]
		cfg.Users = append(cfg.Users, config.User{Name: name, Subject: pki.Subject{CommonName: name, Email: name + "@example.com"},
			Passphrase: src, P12: []pki.Profile{pki.Modern}, KDFIterations: 1})
	}
	w := &world{T: t, cfg: cfg, opt: Options{Config: cfg, Now: now, Covers: func(plan.Owner) bool { return true }, LookupEnv: lookup}}
	w.check(os.WriteFile(pass, []byte("correct horse\n"), 0o600))
	w.check(os.Chtimes(pass, now, time.Now().Add(-time.Hour)))
	if slices.ContainsFunc(sources, func(s config.Source) bool { return s.Kind == config.FromFile }) {
		time.Sleep(time.Duration(elsewhere) + 100*time.Millisecond) // whence it is believed to be the same
	}
	w.make()
	return w
}

func lookup(name string) (string, bool) { return "tr0ub4dor", name == "PASS" }

func (w *world) check(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) path(name string) string {
	return filepath.Join(w.cfg.Output, filepath.FromSlash(name))
}

func (w *world) read(name string) []byte {
	w.Helper()
	data, err := os.ReadFile(w.path(name))
	w.check(err)
	return data
}

func (w *world) write(name string, data []byte) {
	w.Helper()
	w.check(os.WriteFile(w.path(name), data, 0o600))
}

func (w *world) remove(name string) { w.Helper(); w.check(os.Remove(w.path(name))) }

// alter changes a byte in the place, so that the size stays.
func (w *world) alter(name string) {
	w.Helper()
	data := w.read(name)
	data[len(data)/2] ^= 1
	f, err := os.OpenFile(w.path(name), os.O_WRONLY, 0)
	w.check(err)
	_, err = f.WriteAt(data, 0)
	w.check(err)
	w.check(f.Close())
}

// lock opens the directory for writing, once the tick is over in which it was
// changed last.
func (w *world) lock(ctx context.Context) *outdir.Dir {
	w.Helper()
	time.Sleep(20 * time.Millisecond)
	dir, err := outdir.Lock(ctx, w.cfg.Output, "test", 0, nil)
	w.check(err)
	return dir
}

// make makes the CA and all users.
func (w *world) make() {
	w.Helper()
	dir := w.lock(w.Context())
	defer dir.Close()
	batch := dir.Begin()
	l, err := ledger.Parse(ledger.Files{Number: ledger.Text{Missing: true}})
	w.check(err)
	led := ledger.NewWriter(l)
	w.caKey, err = pki.ECDSAP256.Generate()
	w.check(err)
	subject, err := pki.Subject{CommonName: "The CA"}.DER()
	w.check(err)
	der, err := pki.SignCA(pki.CARequest{Subject: subject, Serial: pki.NewSerial(), NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0)}, w.caKey)
	w.check(err)
	w.caCert, err = x509.ParseCertificate(der)
	w.check(err)
	led.Record(ledger.Issue{Owner: "ca.m", Cert: w.caCert})
	pass := secret.Random()
	key, err := pki.EncryptKey(w.caKey, pki.NewKeys(pass), 1)
	w.check(err)
	batch.Put("ca.m.key", key, 0o600)
	batch.Put("ca.m.crt", pki.EncodeCertificate(der), 0o644)
	batch.Put("secrets/ca.m.pass", []byte(pass.Reveal()+"\n"), 0o600)
	for i := range w.cfg.Users {
		files, _, cert := w.files(&w.cfg.Users[i])
		led.Record(ledger.Issue{Owner: "user." + w.cfg.Users[i].Name, Cert: cert})
		for name, data := range files {
			mode := facts.ModeOf(strings.TrimPrefix(filepath.Ext(name), "."))
			batch.Put(name, data, mode)
		}
	}
	led.Flush(batch)
	w.check(batch.Commit())
}

// files makes a user's files.
func (w *world) files(u *config.User) (files map[string][]byte, pass secret.Value, cert *x509.Certificate) {
	w.Helper()
	base := u.Name + "-m."
	files = map[string][]byte{}
	switch u.Passphrase.Kind {
	case config.Generated:
		pass = secret.Random()
		files["secrets/"+base+"pass"] = []byte(pass.Reveal() + "\n")
	case config.FromEnv:
		pass = secret.New([]byte("tr0ub4dor"))
	default:
		pass = secret.New([]byte("correct horse"))
	}
	key, err := pki.ECDSAP256.Generate()
	w.check(err)
	cert = w.certify(u, key, now.AddDate(1, 0, 0))
	files[base+"crt"] = pki.EncodeCertificate(cert.Raw)
	files[base+"key"], err = pki.EncryptKey(key, pki.NewKeys(pass), 1)
	w.check(err)
	csr, err := pki.MakeCSR(cert.RawSubject, u.SANs(), secret.Value{}, key)
	w.check(err)
	files[base+"csr"] = pki.EncodeCSR(csr)
	files[base+"p12"], err = pki.Modern.Encode(key, cert, []*x509.Certificate{w.caCert}, pki.NewKeys(pass), 1)
	w.check(err)
	return files, pass, cert
}

func (w *world) certify(u *config.User, key crypto.Signer, end time.Time) *x509.Certificate {
	w.Helper()
	subject, err := u.Subject.DER()
	w.check(err)
	der, err := pki.SignUser(pki.UserRequest{Subject: subject, SANs: u.SANs(), Public: key.Public(), Serial: pki.NewSerial(),
		NotBefore: now.Add(-5 * time.Minute), NotAfter: end}, w.caCert, w.caKey)
	w.check(err)
	cert, err := x509.ParseCertificate(der)
	w.check(err)
	return cert
}

// commit changes the ledger, on disk.
func (w *world) commit(changes ...ledger.Change) {
	w.Helper()
	dir := w.lock(w.Context())
	defer dir.Close()
	r := New(w.Context(), dir, w.opt)
	defer r.Close()
	l, err := r.Ledger()
	w.check(err)
	led, batch := ledger.NewWriter(l), dir.Begin()
	led.Record(changes...)
	led.Flush(batch)
	w.check(batch.Commit())
}

func (w *world) revoke(cert *x509.Certificate, reason string) ledger.Change {
	return ledger.Revoke{Serial: pki.SerialHex(cert.SerialNumber), When: now.Add(-time.Minute), Reason: reason}
}

func (w *world) certOf(name string) *x509.Certificate {
	w.Helper()
	certs, err := pki.ParseCertificates(w.read(name + "-m.crt"))
	w.check(err)
	return certs[0]
}

// keep is a run that has nothing to do but to remember. It returns how many users
// it has read.
func (w *world) keep() int {
	w.Helper()
	dir := w.lock(w.Context())
	defer dir.Close()
	_, n := w.take(dir, func(r *Reader) { r.Keep() })
	return n
}

// unknown is how many users a reader has to read.
func (w *world) unknown() int {
	w.Helper()
	dir, err := outdir.Open(w.cfg.Output, nil)
	w.check(err)
	defer dir.Close()
	_, n := w.take(dir, func(*Reader) {})
	return n
}

func (w *world) take(dir *outdir.Dir, then func(*Reader)) (*facts.Inventory, int) {
	w.Helper()
	n, opt := 0, w.opt
	opt.Reading = func(_, total int) { n = max(n, total) }
	r := New(w.Context(), dir, opt)
	defer r.Close()
	inv, _, err := r.Take()
	w.check(err)
	then(r)
	return inv, n
}

// alike checks that the inventory is what it is without a cache, and returns it.
func (w *world) alike() flat {
	w.Helper()
	look := func(thorough bool) flat {
		dir, err := outdir.Open(w.cfg.Output, nil)
		w.check(err)
		defer dir.Close()
		opt := w.opt
		opt.Thorough = thorough
		r := New(w.Context(), dir, opt)
		defer r.Close()
		inv, _, err := r.Take()
		w.check(err)
		return flatten(inv)
	}
	with, without := look(false), look(true)
	if !reflect.DeepEqual(with, without) {
		for i := range with.Users {
			if !reflect.DeepEqual(with.Users[i], without.Users[i]) {
				w.Errorf("with the cache\n%+v\nand without\n%+v", with.Users[i], without.Users[i])
			}
		}
		with.Users, without.Users = nil, nil
		w.Fatalf("with the cache\n%+v\nand without\n%+v", with, without)
	}
	return with
}

// flat is an inventory without pointers, and without what only users who were read
// have.
type flat struct {
	CA, CRL, Departed, Sites, Orphans, Bystanders any
	Users                                         []flatUser
}

type flatUser struct {
	User           facts.User
	Cert, Recorded facts.Certificate
	Request, Asked facts.Request
	Errors         string
}

func flatten(inv *facts.Inventory) flat {
	f := flat{CA: inv.CA, CRL: inv.CRL, Departed: inv.Departed, Sites: inv.Sites, Orphans: inv.Orphans, Bystanders: inv.Bystanders}
	for i := range inv.Users.Len() {
		u := *inv.Users.User(i)
		one := flatUser{User: u}
		for _, err := range []error{u.Err, u.Passphrase.Err, u.Passphrase.PreviousErr} {
			if err != nil {
				one.Errors += err.Error() + "\n"
			}
		}
		cert := func(c *facts.Certificate) facts.Certificate {
			if c == nil {
				return facts.Certificate{}
			}
			out := *c
			out.SANs, out.X509, out.Subject = slices.Clone(c.SANs), nil, ""
			return out
		}
		req := func(r *facts.Request) facts.Request {
			if r == nil {
				return facts.Request{}
			}
			out := *r
			out.SANs, out.Subject, out.Sum = slices.Clone(r.SANs), "", ledger.Sum{}
			return out
		}
		one.Cert, one.Recorded, one.Request, one.Asked = cert(u.Crt.Cert), cert(u.Recorded), req(u.CSR.Request), req(u.Asked)
		u.Err, u.Passphrase.Err, u.Passphrase.PreviousErr, u.P12 = nil, nil, nil, slices.Clone(u.P12)
		u.Crt.Cert, u.Crt.All, u.Recorded, u.CSR.Request, u.Asked = nil, nil, nil, nil, nil
		one.User = u
		f.Users = append(f.Users, one)
	}
	return f
}
