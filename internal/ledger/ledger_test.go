package ledger

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io/fs"
	"math/big"
	"testing"
	"time"

	"mtlsplan/internal/pki"
)

var now = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// files are the files of a CA database, as a batch leaves them.
type files map[string][]byte

func (f files) Put(name string, data []byte, _ fs.FileMode) { f[name] = data }

func (f files) Append(name string, size int64, data []byte, _ fs.FileMode) {
	f[name] = append(f[name][:size:size], data...)
}

func (f files) Size(name string) (int64, bool) {
	data, ok := f[name]
	return int64(len(data)), ok
}

func (f files) Part(name string, at, size int64) ([]byte, error) {
	data, ok := f[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return data[at : at+size], nil
}

func (f files) parse(t *testing.T) *Ledger {
	t.Helper()
	text := func(name string) Text { data, ok := f[name]; return Text{data, !ok} }
	l, err := Parse(Files{Index: text(IndexName), Number: text(NumberName), Rendered: text(RenderedName), Attr: text(AttrName), Issued: f[IssuedName]})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// maker issues certificates without any rule.
type maker struct {
	t   *testing.T
	ca  *x509.Certificate
	key *ecdsa.PrivateKey
}

func newMaker(t *testing.T, name string) *maker {
	m := &maker{t: t}
	m.key, m.ca = m.sign(nil, name, 1, now.AddDate(10, 0, 0))
	return m
}

func (m *maker) sign(parent *x509.Certificate, name string, serial int64, end time.Time) (*ecdsa.PrivateKey, *x509.Certificate) {
	m.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		m.t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: now, NotAfter: end, BasicConstraintsValid: true, IsCA: parent == nil, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	signer := m.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		m.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		m.t.Fatal(err)
	}
	return key, cert
}

func (m *maker) user(name string, serial int64) *x509.Certificate {
	_, cert := m.sign(m.ca, name, serial, now.AddDate(1, 0, 0))
	return cert
}

func serial(c *x509.Certificate) string { return pki.SerialHex(c.SerialNumber) }

// TestWithChangesNothing: what would be after a change is another ledger.
func TestWithChangesNothing(t *testing.T) {
	m := newMaker(t, "CA")
	a, b, c := m.user("a", 2), m.user("b", 3), m.user("c", 2)
	f := files{}
	w := NewWriter(f.parse(t))
	w.Record(Issue{"ca.m", m.ca}, Issue{"user.a", a}, Render{"nginx/m", sha256.Sum256(nil)})
	w.Flush(f)
	l := f.parse(t)
	then := l.With(Issue{"user.b", b}, Issue{"user.c", c}, Revoke{Serial: serial(a), When: now, Reason: "keyCompromise"},
		Revoke{Serial: "0F", When: now, Owner: "unknown.G1", NotAfter: now.AddDate(1, 0, 0)}, PassNumber{big.NewInt(7)}, Render{"nginx/n", sha256.Sum256(nil)})

	if n := len(then.Rows()); n != 4 {
		t.Errorf("%d rows afterwards", n)
	}
	if got := then.Row(serial(a)); got.State != Revoked || got.Owner != "user.a,user.c" {
		t.Errorf("a shared serial afterwards: %+v", got)
	}
	if then.Row("0F").State != Revoked || then.Number().Int64() != 8 || then.IssuedTo("user.b").Len() != 1 {
		t.Error("not all changes were made")
	}
	if len(then.RenderedPaths()) != 2 {
		t.Error("a rendered file is not recorded")
	}
	if len(l.Rows()) != 2 || l.Row(serial(a)).State != Valid || l.Row(serial(a)).Owner != "user.a" || l.Number().Int64() != 1 ||
		l.IssuedTo("user.b").Len() != 0 || len(l.RowsOf("user.c")) != 0 || len(l.RenderedPaths()) != 1 {
		t.Error("the ledger itself has changed")
	}
	before := len(f[IndexName])
	NewWriter(l).Flush(f)
	if len(f[IndexName]) != before {
		t.Error("there is something to write")
	}
}

// TestWriterReadsBack: what was flushed is what is read, in memory as in files.
func TestWriterReadsBack(t *testing.T) {
	m := newMaker(t, "CA")
	a, b, c := m.user("a", 2), m.user("b", 3), m.user("c", 4)
	f := files{}
	w := NewWriter(f.parse(t))
	step := func(changes ...Change) {
		t.Helper()
		w.Record(changes...)
		w.Flush(f)
		w.Settle()
		if !w.Written(f) {
			t.Fatal("what was written is not read back")
		}
		l := f.parse(t)
		if string(FormatIndex(l.Rows())) != string(FormatIndex(w.Ledger().Rows())) || len(l.Entries()) != len(w.Ledger().Entries()) || l.Number().Cmp(w.Ledger().Number()) != 0 {
			t.Fatal("files and memory differ")
		}
	}
	step(Issue{"ca.m", m.ca})
	step(Issue{"user.a", a}, Issue{"user.b", b})
	step(Revoke{Serial: serial(a), When: now, Reason: Superseded})
	step(Issue{"user.c", c}) // behind an index that was written anew
	step(Render{"nginx/m", sha256.Sum256([]byte("x"))})
	step(PassNumber{w.FreshNumber(now)})
	for name := range f {
		whole := f[name]
		if name == AttrName {
			continue
		}
		f[name] = append(whole[:len(whole):len(whole)], '\n')
		if w.Written(f) {
			t.Errorf("a line more in %s is not noticed", name)
		}
		for at := range whole {
			f[name] = append([]byte(nil), whole...)
			f[name][at] ^= 1
			if w.Written(f) {
				t.Errorf("another octet at %d of %s is not noticed", at, name)
			}
		}
		f[name] = whole
	}
	if sum, _ := f.parse(t).Rendered("nginx/m"); sum != sha256.Sum256([]byte("x")) {
		t.Error("a checksum is read as another")
	}
}

func TestNewestAndGivenUp(t *testing.T) {
	m := newMaker(t, "CA")
	a := m.user("a", 2)
	spki := pki.PublicID(a.PublicKey)
	l := files{}.parse(t).With(Issue{"ca.m", m.ca}, Issue{"user.a", a})
	if e := l.IssuedTo("user.a").Newest(spki, now); e == nil || e.Serial != serial(a) {
		t.Errorf("newest: %+v", e)
	}
	if l.IssuedTo("user.a").Newest(spki, now.AddDate(2, 0, 0)) != nil {
		t.Error("a certificate past its end is the newest")
	}
	superseded := l.With(Revoke{Serial: serial(a), When: now, Reason: Superseded})
	if superseded.IssuedTo("user.a").GivenUp(spki) || superseded.IssuedTo("user.a").Newest(spki, now) != nil {
		t.Error("a superseded certificate gives the key up, or is the newest")
	}
	if !l.With(Revoke{Serial: serial(a), When: now, Reason: "keyCompromise"}).IssuedTo("user.a").GivenUp(spki) {
		t.Error("a compromised key is not given up")
	}
	if l.Holder(serial(a), sha256.Sum256(a.Raw)) != "user.a" || l.KeyOwner(spki, "user.b") != "user.a" || l.KeyOwner(spki, "user.a") != "" {
		t.Error("holder or owner of the key")
	}
}

// TestGenerations counts who depends on each, and tells issuers without a key
// identifier apart by their signature.
func TestGenerations(t *testing.T) {
	first, second := newMaker(t, "CA"), newMaker(t, "CA")
	a, b, c := first.user("a", 2), second.user("b", 3), first.user("c", 4)
	a.AuthorityKeyId, c.AuthorityKeyId = nil, nil
	l := files{}.parse(t).With(Issue{"ca.m", first.ca}, Issue{"user.a", a}, Issue{"ca.m", second.ca}, Issue{"user.b", b}, Issue{"user.c", c})
	gens := l.Generations("ca.m", now)
	if len(gens) != 2 || gens[0].Number != 1 || gens[0].Dependents != 2 || gens[1].Dependents != 1 {
		t.Fatalf("%+v", gens)
	}
	revoked := l.With(Revoke{Serial: serial(a), When: now.Add(-time.Hour)}, Revoke{Serial: serial(c), When: now})
	if n := revoked.Generations("ca.m", now)[0].Dependents; n != 0 {
		t.Errorf("%d depend on a generation whose last certificate is revoked", n)
	}
}

func TestParseErrorsNameTheFile(t *testing.T) {
	torn := FormatRecord(Record{"user.a", []byte("x")})
	if _, err := Parse(Files{Issued: torn[:len(torn)-20]}); !errors.Is(err, ErrTorn) {
		t.Errorf("an entry that is cut short: %v", err)
	}
	for _, c := range []struct {
		f    Files
		want string
	}{
		{Files{Index: Text{Data: []byte("x\n")}}, IndexName + ": line 1: "},
		{Files{Index: Text{Data: FormatIndex([]Row{{State: Valid, NotAfter: now, Serial: "01"}, {State: Valid, NotAfter: now, Serial: "01"}})}}, IndexName + ": serial 01 stands there twice"},
		{Files{Number: Text{Data: []byte("x")}}, NumberName + ": "},
	} {
		if _, err := Parse(c.f); err == nil || err.Error()[:len(c.want)] != c.want {
			t.Errorf("%v does not begin with %q", err, c.want)
		}
	}
}

func TestADamagedChecksumIsNone(t *testing.T) {
	f := files{}
	w := NewWriter(f.parse(t))
	w.Record(Render{"nginx/a", Sum{1}}, Render{"nginx/b", Sum{2}})
	w.Flush(f)
	f[RenderedName] = append([]byte("junk\n0"), f[RenderedName]...)
	l := f.parse(t)
	if _, ok := l.Rendered("nginx/a"); ok {
		t.Error("a damaged checksum is believed")
	}
	if sum, ok := l.Rendered("nginx/b"); !ok || sum != (Sum{2}) {
		t.Error("a checksum behind a damaged one is lost")
	}
}
