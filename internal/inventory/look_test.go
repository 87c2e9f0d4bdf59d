package inventory

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
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
	"mtlsplan/internal/statcache"
	"mtlsplan/render"
)

// A user of whom nothing is there is reported as reading would report them.
func TestAbsent(t *testing.T) {
	t.Parallel()
	env := config.Source{Kind: config.FromEnv, Env: "PASS"}
	cfg := &config.Config{Output: t.TempDir(), CA: config.CA{Name: "m", Passphrase: generated}, Users: []config.User{
		{Name: "ann", Passphrase: generated, P12: []pki.Profile{pki.Compat}},
		{Name: "bob", Passphrase: generated, P12: []pki.Profile{pki.Modern, pki.Compat}},
		{Name: "cyd", Passphrase: env, P12: []pki.Profile{pki.Compat}},
		{Name: "dan", Passphrase: generated, ChallengePassword: env},
	}}
	dir, err := outdir.Open(cfg.Output, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	r := New(t.Context(), dir, Options{Config: cfg, Now: now, Covers: func(plan.Owner) bool { return true }, LookupEnv: lookup})
	defer r.Close()
	inv, _, err := r.Take()
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{true, true, false, false} {
		u := &cfg.Users[i]
		read := r.readUser(u).Facts
		if nothing(u, read) != want || r.users.slots[i].absent != want {
			t.Errorf("%s: %v", u.Name, !want)
		}
		if said := inv.Users.User(i); !reflect.DeepEqual(read, said) {
			t.Errorf("%s: read %+v\nsaid %+v", u.Name, read, said)
		}
		m, err := r.User(i)
		if err != nil || !reflect.DeepEqual(m.Facts, read) {
			t.Errorf("%s: %+v, %v", u.Name, m, err)
		}
	}
}

// A user whose certificate is not the newest for its key, in the ledger, is read.
func TestTheLedgerDecidesWhoIsKnown(t *testing.T) {
	t.Parallel()
	w := warm(t, generated, generated, generated, generated)
	r, closeAll := w.reader()
	m, err := r.User(0)
	w.check(err)
	key, err := m.OpenKey()
	w.check(err)
	closeAll()
	renewed := w.certify(&w.cfg.Users[0], key, now.AddDate(2, 0, 0))
	w.commit(ledger.Issue{Owner: "user.ann", Cert: renewed}, w.revoke(w.certOf("bob"), "keyCompromise"), w.revoke(w.certOf("cyd"), ledger.Superseded))
	if n := w.keep(); n != 3 {
		t.Errorf("%d users were read", n)
	}
	users := w.alike().Users
	if users[0].Recorded.Serial != pki.SerialHex(renewed.SerialNumber) || users[0].Cert.Serial == users[0].Recorded.Serial {
		t.Errorf("ann: %+v", users[0].Recorded)
	}
	for i, want := range []bool{true, false, false, true} {
		if have := users[i].Recorded.Serial != ""; have != want {
			t.Errorf("%d: %+v", i, users[i].Recorded)
		}
	}
	r, closeAll = w.reader()
	defer closeAll()
	for i, cert := range []*x509.Certificate{renewed, w.certOf("bob"), w.certOf("cyd"), w.certOf("dan")} {
		m, err := r.User(i)
		w.check(err)
		if have, err := r.Certificate(m, users[i].Cert.Sum); err != nil || !have.Equal(w.certOf(w.cfg.Users[i].Name)) {
			t.Error(i, err)
		}
		if i == 0 {
			if have, err := r.Certificate(m, users[0].Recorded.Sum); err != nil || !have.Equal(cert) {
				t.Error(err)
			}
		}
		if _, err := r.Certificate(m, ledger.Sum{1}); err == nil {
			t.Error("a certificate that nobody has was found")
		}
	}
}

// A reader beside a writer reads the ledger again behind a second look.
func TestAReaderLooksAgain(t *testing.T) {
	t.Parallel()
	w := warm(t, generated)
	u := &w.cfg.Users[0]
	files, _, cert := w.files(u)
	dir, err := outdir.Open(w.cfg.Output, nil)
	w.check(err)
	defer dir.Close()
	r := New(t.Context(), dir, w.opt)
	defer r.Close()
	r.users, err = r.readUsers()
	w.check(err)
	if r.users.slots[0].rec == nil {
		t.Fatal("the user is not known")
	}
	// The writer revokes what was seen, between the files and the ledger, and issues
	// another after it.
	w.commit(w.revoke(w.certOf("ann"), ""))
	w.check(r.readLedger())
	w.commit(ledger.Issue{Owner: "user.ann", Cert: cert})
	for name, data := range files {
		w.write(name, data)
	}
	w.check(r.relate())
	if have := r.users.User(0); have.Crt.Cert == nil || have.Recorded != have.Crt.Cert {
		t.Errorf("%+v", have)
	}
}

// A file that a run has made and opened itself is not opened when it is read back.
func TestMadeIsNotOpened(t *testing.T) {
	t.Parallel()
	for _, src := range []config.Source{generated, {Kind: config.FromEnv, Env: "PASS"}} {
		w := newWorld(t, src)
		u := &w.cfg.Users[0]
		files, pass, cert := w.files(u)
		r, closeAll := w.reader()
		led, batch := ledger.NewWriter(r.ledger), r.dir.Begin()
		for name, data := range files {
			batch.Put(name, data, 0o600)
		}
		led.Record(ledger.Issue{Owner: "user.ann", Cert: cert})
		led.Flush(batch)
		r.opened.m.Clear()
		r.Made(u, files, pass, cert)
		w.check(batch.Commit())
		count := func() (n int) {
			for range r.opened.m.Range {
				n++
			}
			return n
		}
		before := count()
		inv, l, err := r.Again(w.opt.Covers, led, false)
		w.check(err)
		if have := inv.Users.User(0); l != led.Ledger() || have.Recorded == nil || have.Recorded.Sum != have.P12[0].Cert || have.Key.Opening != facts.OpensNow {
			t.Errorf("%+v", have)
		}
		if n := count() - before; n != 0 {
			t.Errorf("%d containers were opened", n)
		}
		r.Keep()
		closeAll()
		if n := w.unknown(); n != 0 {
			t.Errorf("%d users are read again", n)
		}
		w.alike()
	}
}

// A run that ended early keeps the memory of the files it opened.
func TestKeepOpened(t *testing.T) {
	t.Parallel()
	w := newWorld(t, generated, generated)
	r, closeAll := w.reader()
	files, pass, cert := w.files(&w.cfg.Users[1])
	r.Made(&w.cfg.Users[1], files, pass, cert)
	r.KeepOpened()
	closeAll()
	dir, err := outdir.Open(w.cfg.Output, nil)
	w.check(err)
	defer dir.Close()
	c := statcache.Open(dir)
	defer c.Close()
	if c.Get("user.ann") == nil || c.Get("user.bob").Digest == (statcache.Digest{}) || c.Get(ledger.IssuedName) != nil {
		t.Errorf("%+v, %+v", c.Get("user.ann"), c.Get("user.bob"))
	}
}

// Of files that may have changed since they were opened nothing is remembered.
func TestTheTickIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, generated)
	dir := w.lock(w.Context())
	defer dir.Close()
	w.write("ann-m.csr", w.read("ann-m.csr"))
	r := New(w.Context(), dir, w.opt)
	defer r.Close()
	_, _, err := r.Take()
	w.check(err)
	if r.cache.Get("user.ann") != nil {
		t.Error("it was remembered")
	}
	if r.users.slots[0].rec == nil {
		t.Error("it was not even packed")
	}
	r.cache.Renew()
	_, _, err = r.Take()
	w.check(err)
	if rec := r.cache.Get("user.ann"); rec == nil || rec.Digest == (statcache.Digest{}) {
		t.Error("it was not remembered")
	}
}

// An append that is under way is over after a moment for a reader; a writer says
// what is wrong with the file.
func TestATornEntry(t *testing.T) {
	t.Parallel()
	w := newWorld(t, generated)
	whole := w.read(ledger.IssuedName)
	w.write(ledger.IssuedName, append(whole, "user.bob\n-----BEGIN CERT"...))
	dir := w.lock(w.Context())
	r := New(w.Context(), dir, w.opt)
	_, _, err := r.Take()
	r.Close()
	w.check(dir.Close())
	if want := w.cfg.Output + "/db/issued.pem: the last entry is cut short: restore it from a backup"; err == nil || err.Error() != want || !errors.Is(err, ledger.ErrTorn) {
		t.Errorf("%v\nnot %s", err, want)
	}
	done := make(chan error)
	go func() {
		time.Sleep(30 * time.Millisecond)
		done <- os.WriteFile(w.path(ledger.IssuedName), whole, 0o600)
	}()
	w.unknown()
	w.check(<-done)
}

// The CA's files, what is rendered, and what is left of departed users.
func TestTheRest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, generated, generated, generated)
	der, err := pki.SignCRL(pki.CRLRequest{Number: bigOne, ThisUpdate: now.Add(-time.Hour), NextUpdate: now.AddDate(0, 1, 0)}, w.caCert, w.caKey)
	w.check(err)
	w.write("ca.m.crl", pki.EncodeCRL(der))
	w.check(os.Mkdir(w.path("nginx"), 0o755))
	w.write("nginx/gone", []byte("x"))
	w.commit(ledger.Render{Path: "nginx/gone", Sum: sha256.Sum256([]byte("x"))}, ledger.Render{Path: "nginx/lost"})
	w.check(os.Chmod(w.path("db/crlnumber"), 0o644))
	w.check(os.Symlink("nowhere", w.path(statcache.Name)))
	w.cfg.Users[1].Revoked = "superseded"
	w.cfg.Users = w.cfg.Users[:2]
	inv := w.taken()
	if len(inv.CRL.Lists) != 1 || inv.CRL.Damaged || inv.CRL.Err != nil {
		t.Errorf("CRL: %+v", inv.CRL)
	}
	if len(inv.Orphans) != 1 || inv.Orphans[0] != "nginx/gone" {
		t.Errorf("orphans: %v", inv.Orphans)
	}
	if len(inv.CA.Wide) != 1 || inv.CA.Wide[0].Name() != "db/crlnumber" || len(inv.CA.Odd) != 1 || inv.CA.Odd[0] != statcache.Name {
		t.Errorf("wide %+v, odd %v", inv.CA.Wide, inv.CA.Odd)
	}
	var left []string
	for _, d := range inv.Departed {
		if d.Crt.Cert == nil || len(d.Files) != 5 || d.Files[0].Kind != plan.KindPass {
			t.Errorf("%+v", d)
		}
		left = append(left, string(d.Owner))
	}
	if strings.Join(left, " ") != "user.bob user.cyd" || inv.Users.Len() != 1 {
		t.Errorf("departed: %v", left)
	}
	if ca := inv.CA; ca.Err != nil || ca.Key.Opening != facts.OpensNow || !ca.Crt.Alone || !ca.Passphrase.Made || len(ca.Past) != 0 {
		t.Errorf("%+v", ca)
	}
}

var bigOne = big.NewInt(1)

func (w *world) taken() *facts.Inventory {
	w.Helper()
	dir, err := outdir.Open(w.cfg.Output, nil)
	w.check(err)
	defer dir.Close()
	inv, _ := w.take(dir, func(*Reader) {})
	return inv
}

// The CA's key is opened with whichever passphrase does it.
func TestCAMaterial(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cfg.CA.PreviousPassphrase, w.cfg.CA.Passphrase = generated, config.Source{Kind: config.FromEnv, Env: "PASS"}
	if k := w.taken().CA.Key; k.Opening != facts.OpensPrevious || k.SPKI != pki.PublicID(w.caKey.Public()) {
		t.Errorf("%+v", k)
	}
	w.check(os.MkdirAll(w.path("db/retired"), 0o700))
	old, err := pki.EncryptKey(w.caKey, pki.NewKeys(secret.New([]byte("tr0ub4dor"))), 1)
	w.check(err)
	w.write("db/retired/ca.m.G1.key", old)
	r, closeAll := w.reader()
	defer closeAll()
	m, err := r.CA()
	w.check(err)
	key, err := m.OpenKey()
	w.check(err)
	past, err := r.PastKey(1)
	w.check(err)
	if pki.PublicID(key.Public()) != pki.PublicID(past.Public()) || m.Passphrase.IsZero() || string(m.KeyFile) != string(w.read("ca.m.key")) {
		t.Errorf("%+v", m)
	}
	if _, err := r.PastKey(2); err == nil || !strings.HasPrefix(err.Error(), "db/retired/ca.m.G2.key: ") {
		t.Error(err)
	}
}

// Of a secret that cannot be read, and of a request that cannot be used, the
// owner's facts tell, with a code.
func TestErrorsHaveCodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, generated, generated, generated)
	w.cfg.Users[0].Passphrase = config.Source{Kind: config.FromEnv, Env: "NONE"}
	w.cfg.Users[1].CSR = filepath.Join(t.TempDir(), "bob.csr")
	w.check(os.WriteFile(w.cfg.Users[1].CSR, []byte("x"), 0o600))
	w.remove("cyd-m.crt")
	w.check(os.Mkdir(w.path("cyd-m.crt"), 0o755))
	inv := w.taken()
	for i, want := range []struct {
		code plan.Code
		err  string
	}{
		{plan.PassphraseUnavailable, "passphrase: environment variable NONE is not set: set it, or name another source"},
		{plan.CSRInvalid, "the request " + w.cfg.Users[1].CSR + ": damaged: there is no PEM certificate request in it"},
		{plan.FileError, w.path("cyd-m.crt") + ": this is a directory where mtlsplan keeps a plain file: move it away"},
	} {
		u := inv.Users.User(i)
		err := errors.Join(u.Err, u.Passphrase.Err)
		if f := plan.FailureOf(u.Owner, err); f.Code != want.code || f.Message != want.err {
			t.Errorf("%+v", f)
		}
	}
	if stray := inv.Users.User(1).Stray; len(stray) != 3 || stray[2].Kind != plan.KindPass {
		t.Errorf("%+v", stray)
	}
}

// Without secrets everything is seen that they are not needed for, and no source of
// one is asked.
func TestBlind(t *testing.T) {
	t.Parallel()
	w := newWorld(t, generated, config.Source{Kind: config.FromEnv, Env: "PASS"})
	w.opt.Blind = true
	w.opt.LookupEnv = func(string) (string, bool) { t.Error("a variable was asked for"); return "", false }
	inv := w.taken()
	if inv.CA.Crt.Cert == nil || inv.CA.Key.Opening != facts.NotTried || inv.Users.User(1).P12[0].Opening != facts.NotTried || inv.Users.User(0).Crt.Cert == nil {
		t.Errorf("%+v", inv.CA)
	}
}

// Files that do not belong together are not remembered.
func TestFits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, generated)
	r, closeAll := w.reader()
	defer closeAll()
	if !fits(r.readUser(&w.cfg.Users[0]).Facts) {
		t.Fatal("they do not fit together")
	}
	for what, change := range map[string]func(*facts.User){
		"a stray file":                 func(u *facts.User) { u.Stray = make([]facts.File, 1) },
		"no request":                   func(u *facts.User) { u.CSR.Request = nil },
		"no certificate":               func(u *facts.User) { u.Crt.Cert = nil },
		"no .p12":                      func(u *facts.User) { u.P12 = nil },
		"a .p12 that is not there":     func(u *facts.User) { u.P12[0].Missing = true },
		"a .p12 that does not open":    func(u *facts.User) { u.P12[0].Opening = facts.OpensNeither },
		"a .p12 of another key":        func(u *facts.User) { u.P12[0].SPKI = "x" },
		"a .p12 of another cert":       func(u *facts.User) { u.P12[0].Cert[0] ^= 1 },
		"a .p12 of no profile":         func(u *facts.User) { u.P12[0].Info.Profile = "" },
		"more than the certificate":    func(u *facts.User) { u.Crt.Alone = false },
		"an unusual certificate":       func(u *facts.User) { u.Crt.Cert.Unusual = make([]pki.Mismatch, 1) },
		"no authority":                 func(u *facts.User) { u.Crt.Cert.Authority = "" },
		"a name with more in it":       func(u *facts.User) { u.Crt.Cert.Plain = false },
		"another type of SAN":          func(u *facts.User) { u.Crt.Cert.SANs[0].Type, u.CSR.Request.SANs[0].Type = "x", "x" },
		"a certificate of another key": func(u *facts.User) { u.Crt.Cert.SPKI, u.P12[0].SPKI = "x", "x" },
		"a request of another key":     func(u *facts.User) { u.CSR.Request.SPKI = "x" },
		"a request of another name":    func(u *facts.User) { u.CSR.Request.Subject = "x" },
		"a request with another SAN":   func(u *facts.User) { u.CSR.Request.SANs[0].Value = "x" },
		"an error":                     func(u *facts.User) { u.Err = errors.New("x") },
	} {
		m := r.readUser(&w.cfg.Users[0])
		m.Facts.CSR.Request.SANs = w.cfg.Users[0].SANs()
		change(m.Facts)
		if fits(m.Facts) {
			t.Errorf("%s: they fit together", what)
		}
	}
}

// Of a site every file is read that its proxy renders, and what no proxy renders any
// more is an orphan, unless it was changed by hand.
func TestSites(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	proxy := &render.Proxy{Name: "proxy", Files: func(s render.Settings) []string { return []string{s.File, "proxy/none", "ca.m.key/x"} },
		Gate: func(data []byte) string { return "gate of " + string(data) }}
	w.cfg.Sites = []config.Site{{Name: "site", Proxy: proxy, Settings: render.Settings{File: "proxy/one"}}}
	w.check(os.Mkdir(w.path("proxy"), 0o755))
	w.write("proxy/one", []byte("one"))
	w.write("proxy/two", []byte("two"))
	w.write("proxy/three", []byte("by hand"))
	w.commit(ledger.Render{Path: "proxy/one"}, ledger.Render{Path: "proxy/two", Sum: sha256.Sum256([]byte("two"))},
		ledger.Render{Path: "proxy/three", Sum: sha256.Sum256([]byte("three"))})
	inv := w.taken()
	s := inv.Sites[0]
	if s.Owner != "proxy.site" || len(s.Files) != 3 || s.Files[0].Sum != sha256.Sum256([]byte("one")) || !s.Files[1].Missing || s.Files[1].Sum != (ledger.Sum{}) || s.Err == nil || s.Files[0].Gate != "gate of one" || s.Files[1].Gate != "" {
		t.Errorf("%+v", s)
	}
	if strings.Join(inv.Orphans, " ") != "proxy/two" {
		t.Error(inv.Orphans)
	}
}

// A certificate of a user whom the run is not about is seen with --adopt, and only
// where the ledger knows nothing of the user.
func TestBystanders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, generated, generated)
	ann := w.cfg.Users[0]
	ann.Name = "zoe"
	w.cfg.Users = append(w.cfg.Users, ann, config.User{Name: "yan", Passphrase: generated})
	w.write("zoe-m.crt", w.read("ann-m.crt"))
	w.opt.Covers = func(plan.Owner) bool { return false }
	if inv := w.taken(); len(inv.Bystanders) != 0 {
		t.Errorf("%+v", inv.Bystanders)
	}
	w.opt.Adopt = true
	if inv := w.taken(); len(inv.Bystanders) != 1 || inv.Bystanders[0].Owner != "user.zoe" || inv.Bystanders[0].Crt.Cert.X509 == nil {
		t.Errorf("%+v", inv.Bystanders)
	}
}
