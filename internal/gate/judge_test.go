package gate

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"testing"
	"time"

	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
)

var start = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue makes a certificate that lasts from start for so many days; parent nil: a CA that
// signs itself.
func (parent *authority) issue(t *testing.T, serial int64, name string, days int, change func(*x509.Certificate)) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: start, NotAfter: start.AddDate(0, 0, days),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, EmailAddresses: []string{name + "@example.com"},
	}
	if parent == nil {
		c.IsCA, c.BasicConstraintsValid, c.ExtKeyUsage, c.KeyUsage = true, true, nil, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	}
	if change != nil {
		change(c)
	}
	made, public := &authority{c, key}, crypto.PublicKey(key.Public())
	if c.PublicKey != nil {
		public = c.PublicKey
	}
	if parent == nil {
		parent = made
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent.cert, public, parent.key)
	if err != nil {
		t.Fatal(err)
	}
	if made.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return made
}

// world records certificates for owners, and rows of index.txt in the given states.
func world(t *testing.T, cas []*x509.Certificate, issued []issue) *World {
	t.Helper()
	var index, entries []byte
	for _, i := range issued {
		serial := pki.SerialHex(i.cert.SerialNumber)
		state := i.state
		if state == "" {
			state = "V\t270601000000Z\t"
		}
		index = fmt.Appendf(index, "%s\t%s\t%s\t/CN=%s\n", state, serial, i.owner, i.cert.Subject.CommonName)
		if !i.rowOnly {
			entries = append(entries, ledger.FormatRecord(ledger.Record{Owner: i.owner, DER: i.cert.Raw})...)
		}
	}
	l, err := ledger.Parse(ledger.Files{Index: ledger.Text{Data: index}, Issued: entries, Number: ledger.Text{Data: []byte("01\n")}, Attr: ledger.Text{Data: []byte(ledger.Attributes)}})
	if err != nil {
		t.Fatal(err)
	}
	return &World{CAs: cas, Generations: l.Generations("ca.m", start), Ledger: l}
}

type issue struct {
	owner   string
	cert    *x509.Certificate
	state   string // the first three columns of index.txt, "" for valid
	rowOnly bool   // as openssl ca records
}

func TestJudge(t *testing.T) {
	var none *authority
	ca := none.issue(t, 100, "ca", 400, nil)
	next := none.issue(t, 101, "ca G2", 4000, nil)
	left := none.issue(t, 102, "ca G0", 4000, nil)
	brief := none.issue(t, 103, "brief", 100, nil)
	twin := none.issue(t, 100, "ca", 400, nil) // its name is that of ca, its key is not
	revokedAt := start.AddDate(0, 0, 5)

	user := func(by *authority, serial int64, change func(*x509.Certificate)) *x509.Certificate {
		return by.issue(t, serial, "ann", 200, change).cert
	}
	ann, second, old, gone := user(ca, 1, nil), user(next, 2, nil), user(left, 3, nil), user(left, 4, nil)
	revoked, listed, byHand := user(ca, 5, nil), user(ca, 6, nil), user(ca, 7, nil)
	server := user(ca, 8, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	plain := user(ca, 9, func(c *x509.Certificate) { c.ExtKeyUsage, c.EmailAddresses = nil, nil })
	under := user(brief, 10, nil)
	sub := user(ca, 11, func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true })
	short := user(ca, 12, func(c *x509.Certificate) {
		c.PublicKey = &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 1023, 1), E: 65537}
	})
	weak := user(ca, 13, func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA1 })
	const r = "R\t270601000000Z\t270106000000Z"
	w := world(t, []*x509.Certificate{next.cert, ca.cert, brief.cert}, []issue{
		{owner: "ca.m", cert: ca.cert}, {owner: "ca.m", cert: next.cert},
		{owner: "user.ann", cert: ann}, {owner: "user.ann", cert: second}, {owner: "user.ann", cert: old}, {owner: "user.ann", cert: gone, state: r + ",cACompromise"},
		{owner: "user.ann", cert: revoked, state: r}, {owner: "user.ann", cert: listed}, {owner: "unknown", cert: byHand, rowOnly: true},
		{owner: "user.ann", cert: server}, {owner: "user.ann", cert: plain}, {owner: "user.ann", cert: under}, {owner: "user.ann", cert: sub},
		{owner: "user.ann", cert: short}, {owner: "user.ann", cert: weak},
	})
	w.CRLs = map[string]*x509.RevocationList{pki.PublicID(ca.cert.PublicKey): {RevokedCertificateEntries: []x509.RevocationListEntry{
		{SerialNumber: big.NewInt(6), RevocationTime: revokedAt, ReasonCode: 1}, {SerialNumber: big.NewInt(2), RevocationTime: revokedAt},
	}}}

	for _, tt := range []struct {
		name       string
		cert       *x509.Certificate
		day        int
		want       plan.Code
		owner      plan.Owner
		generation int
		why        string
	}{
		{"nothing", nil, 10, plan.NoCertificate, "", 0, ""},
		{"a good one", ann, 10, plan.Admitted, "user.ann", 1, ""},
		{"in its first second", ann, 0, plan.Admitted, "user.ann", 1, ""},
		{"in its last second", ann, 200, plan.Admitted, "user.ann", 1, ""},
		{"the day after", ann, 201, plan.Expired, "user.ann", 1, ""},
		{"the day before", ann, -1, plan.NotYetValid, "user.ann", 1, ""},
		{"of the next generation, a serial that only the CRL of another lists", second, 10, plan.Admitted, "user.ann", 2, ""},
		{"of a generation that has left", old, 10, plan.CALeft, "user.ann", 0, ""},
		{"of a compromised generation", gone, 10, plan.Revoked, "user.ann", 0, "cACompromise"},
		{"revoked", revoked, 10, plan.Revoked, "user.ann", 1, "unspecified"},
		{"revoked and expired", revoked, 300, plan.Revoked, "user.ann", 1, "unspecified"},
		{"on the CRL alone", listed, 10, plan.Revoked, "user.ann", 1, "keyCompromise"},
		{"made by openssl ca", byHand, 10, plan.Admitted, "", 1, ""},
		{"unrecorded", user(ca, 50, nil), 10, plan.NotRecorded, "", 1, ""},
		{"unrecorded and expired", user(ca, 50, nil), 300, plan.Expired, "", 1, ""},
		{"from elsewhere", none.issue(t, 60, "ann", 200, nil).cert, 10, plan.UnknownCA, "", 0, ""},
		{"from elsewhere, with the serial of one that is revoked", none.issue(t, 5, "ann", 200, nil).cert, 10, plan.UnknownCA, "", 0, ""},
		{"from a CA of our CA's name", user(twin, 1, nil), 10, plan.UnknownCA, "", 0, ""},
		{"for servers", server, 10, plan.Unsuitable, "user.ann", 1, ""},
		{"for no stated purpose", plain, 10, plan.Admitted, "user.ann", 1, ""},
		{"with an RSA key of 1024 bits", short, 10, plan.Unsuitable, "user.ann", 1, ""},
		{"signed with SHA-1", weak, 10, plan.Unsuitable, "user.ann", 0, ""},
		{"signed with SHA-1, unrecorded, with the serial of one that is revoked", user(ca, 5, func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA1 }), 10, plan.Unsuitable, "", 0, ""},
		{"that is a CA's", sub, 10, plan.Unsuitable, "user.ann", 1, ""},
		{"the CA's own", ca.cert, 10, plan.Unsuitable, "", 1, ""},
		{"whose CA has ended", under, 150, plan.CAEnded, "user.ann", 0, ""},
	} {
		v := w.Judge(tt.cert, start.AddDate(0, 0, tt.day))
		if v.Code != tt.want || v.Admitted != (tt.want == plan.Admitted) {
			t.Errorf("%s: %s, admitted %v; want %s", tt.name, v.Code, v.Admitted, tt.want)
		}
		if tt.cert == nil {
			continue
		}
		if c := v.Certificate; c.Owner != tt.owner || c.Generation != tt.generation || c.RevokedFor != tt.why || (c.RevokedAt != nil) != (tt.why != "") {
			t.Errorf("%s: owner %q, generation %d, revoked at %v for %q; want %q, %d, %q", tt.name, c.Owner, c.Generation, c.RevokedAt, c.RevokedFor, tt.owner, tt.generation, tt.why)
		}
	}
	if c := w.Judge(ann, start.AddDate(0, 0, 190)).Certificate; c.DaysLeft != 10 || c.Email != "ann@example.com" || c.Serial != "01" {
		t.Errorf("%+v", c)
	}
	if c := w.Judge(ann, start.AddDate(0, 0, 200).Add(time.Hour)).Certificate; c.DaysLeft != -1 {
		t.Errorf("an hour after the end %d days are left", c.DaysLeft)
	}
}
