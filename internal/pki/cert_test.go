package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"strings"
	"testing"
	"time"

	zx509 "github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"
)

// lints are the rules that concern a private CA for client certificates.
func lints(t *testing.T) lint.Registry {
	t.Helper()
	r, err := lint.GlobalRegistry().Filter(lint.FilterOptions{
		IncludeSources: lint.SourceList{lint.RFC5280, lint.RFC3279, lint.RFC5480, lint.RFC5891, lint.RFC8813, lint.Community},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func clean(t *testing.T, what string, r *zlint.ResultSet) {
	t.Helper()
	passed := 0
	for name, res := range r.Results {
		switch res.Status {
		case lint.Warn, lint.Error, lint.Fatal:
			t.Errorf("%s: zlint %s: %s: %s", what, name, res.Status, res.Details)
		case lint.Pass:
			passed++
		}
	}
	if passed < 10 {
		t.Errorf("%s: only %d lints apply", what, passed)
	}
}

func lintCertificate(t *testing.T, what string, c *x509.Certificate) {
	t.Helper()
	z, err := zx509.ParseCertificate(c.Raw)
	if err != nil {
		t.Fatal(err)
	}
	clean(t, what, zlint.LintCertificateEx(z, lints(t)))
}

// A CA and a user of every type of key.
func TestWhatIsIssuedPassesItsJudges(t *testing.T) {
	for _, kind := range KeyTypes {
		t.Run(string(kind), func(t *testing.T) {
			d := dir(t.TempDir())
			caKey, userKey := keyFor(t, kind), keyFor(t, kind)
			ca, user := issue(t, caKey, userKey)
			lintCertificate(t, "CA", ca)
			lintCertificate(t, "user", user)
			list := crlFor(t, ca, caKey)
			zcrl, err := zx509.ParseRevocationList(list)
			if err != nil {
				t.Fatal(err)
			}
			clean(t, "CRL", zlint.LintRevocationListEx(zcrl, lints(t)))

			caFile := d.put(t, "ca", EncodeCertificate(ca.Raw))
			userFile := d.put(t, "user", EncodeCertificate(user.Raw))
			crlFile := d.put(t, "crl", EncodeCRL(list))
			verify := []string{"verify", "-x509_strict", "-purpose", "sslclient", "-crl_check", "-CAfile", caFile, "-CRLfile", crlFile,
				"-attime", "1772452800", userFile} // the day after
			openssl(t, verify...)
			openssl(t, "crl", "-in", crlFile, "-CAfile", caFile, "-noout", "-verify")

			revoked := d.put(t, "crl", EncodeCRL(crlFor(t, ca, caKey, user.SerialNumber)))
			if out, err := runOpenSSL(verify...); err == nil || !strings.Contains(string(out), "certificate revoked") {
				t.Errorf("%s does not revoke: %s", revoked, out)
			}
			if got := CAUsage(ca); got != nil {
				t.Errorf("CA: %+v", got)
			}
			if got := UserUsage(user, ca); got != nil {
				t.Errorf("user: %+v", got)
			}
		})
	}
}

func TestContentsOfCertificates(t *testing.T) {
	caKey, userKey := keyFor(t, ECDSAP384), keyFor(t, ECDSAP256)
	ca, user := issue(t, caKey, userKey)
	if !bytes.Equal(user.RawSubject, subjectDER(t, userName)) || !bytes.Equal(user.RawIssuer, ca.RawSubject) {
		t.Error("the names are not those that were asked for")
	}
	if !user.NotBefore.Equal(from) || !user.NotAfter.Equal(to) {
		t.Errorf("%s to %s", user.NotBefore, user.NotAfter)
	}
	if user.SignatureAlgorithm != x509.ECDSAWithSHA384 {
		t.Error(user.SignatureAlgorithm)
	}
	if !bytes.Equal(user.AuthorityKeyId, ca.SubjectKeyId) || len(user.SubjectKeyId) != 20 || ca.AuthorityKeyId != nil {
		t.Error("the key identifiers are wrong")
	}
	if len(user.EmailAddresses) != 1 || user.EmailAddresses[0] != userName.Email || ca.EmailAddresses[0] != caName.Email {
		t.Errorf("%q, %q", user.EmailAddresses, ca.EmailAddresses)
	}

	// A CA that is reissued with its key and name leaves every user valid.
	der, err := SignCA(CARequest{Subject: ca.RawSubject, Serial: NewSerial(), NotBefore: from.AddDate(0, 1, 0), NotAfter: to.AddDate(20, 0, 0)}, caKey)
	if err != nil {
		t.Fatal(err)
	}
	again := parse(t, der)
	d := dir(t.TempDir())
	openssl(t, "verify", "-x509_strict", "-purpose", "sslclient", "-attime", "1782000000",
		"-CAfile", d.put(t, "ca", EncodeCertificate(again.Raw)), d.put(t, "user", EncodeCertificate(user.Raw)))

	// Fractions of seconds are cut, and times are written in UTC.
	zone := time.FixedZone("x", 3*3600)
	der, err = SignUser(UserRequest{subjectDER(t, userName), nil, userKey.Public(), big.NewInt(1),
		from.Add(999 * time.Millisecond).In(zone), ca.NotAfter.Add(999 * time.Millisecond)}, ca, caKey)
	if err != nil {
		t.Fatal(err)
	}
	if c := parse(t, der); !c.NotBefore.Equal(from) || !c.NotAfter.Equal(ca.NotAfter) || c.EmailAddresses != nil {
		t.Errorf("%s to %s", c.NotBefore, c.NotAfter)
	}
}

func TestSigningRefuses(t *testing.T) {
	caKey, userKey := keyFor(t, ECDSAP256), keyFor(t, Ed25519)
	ca, _ := issue(t, caKey, userKey)
	good := UserRequest{subjectDER(t, userName), []SAN{{SANEmail, "a@b"}}, userKey.Public(), big.NewInt(1), from, to}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p224, _ := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	with := func(f func(*x509.Certificate)) *x509.Certificate { c := *ca; f(&c); return &c }
	for _, c := range []struct {
		want   string
		ca     *x509.Certificate
		key    crypto.Signer
		change func(*UserRequest)
	}{
		{"serial number", ca, caKey, func(r *UserRequest) { r.Serial = nil }},
		{"serial number", ca, caKey, func(r *UserRequest) { r.Serial = new(big.Int) }},
		{"serial number", ca, caKey, func(r *UserRequest) { r.Serial = big.NewInt(-1) }},
		{"serial number", ca, caKey, func(r *UserRequest) { r.Serial = new(big.Int).Lsh(big.NewInt(1), 159) }},
		{"is empty", ca, caKey, func(r *UserRequest) { r.NotAfter = r.NotBefore }},
		{"is empty", ca, caKey, func(r *UserRequest) { r.NotBefore, r.NotAfter = r.NotAfter, r.NotBefore }},
		{"years", ca, caKey, func(r *UserRequest) { r.NotBefore = time.Time{} }},
		{"after its CA's", ca, caKey, func(r *UserRequest) { r.NotAfter = ca.NotAfter.Add(time.Second) }},
		{"name@domain", ca, caKey, func(r *UserRequest) { r.SANs = []SAN{{SANEmail, "a@b"}, {SANEmail, "c"}} }},
		{"upn:ann@corp is of a type", ca, caKey, func(r *UserRequest) { r.SANs = []SAN{{SANUPN, "ann@corp"}} }},
		{"not a distinguished name", ca, caKey, func(r *UserRequest) { r.Subject = []byte("x") }},
		{"subject is empty", ca, caKey, func(r *UserRequest) { r.Subject = []byte{0x30, 0} }},
		{"that of the CA", ca, caKey, func(r *UserRequest) { r.Subject = ca.RawSubject }},
		{"too weak", ca, caKey, func(r *UserRequest) { r.Public = weak.Public() }},
		{"ecdsa-p224 cannot sign", ca, caKey, func(r *UserRequest) { r.Public = p224.Public() }},
		{"cannot sign", ca, caKey, func(r *UserRequest) { r.Public = nil }},
		{"does not belong", ca, userKey, func(*UserRequest) {}},
		{"basicConstraints", with(func(c *x509.Certificate) { c.IsCA = false }), caKey, func(*UserRequest) {}},
		{"keyUsage", with(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }), caKey, func(*UserRequest) {}},
		{"subject key identifier", with(func(c *x509.Certificate) { c.SubjectKeyId = nil }), caKey, func(*UserRequest) {}},
	} {
		r := good
		c.change(&r)
		if der, err := SignUser(r, c.ca, c.key); err == nil || der != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	if _, err := SignUser(good, ca, caKey); err != nil {
		t.Error(err)
	}
	if _, err := SignCA(CARequest{Subject: ca.RawSubject, Serial: new(big.Int), NotBefore: from, NotAfter: to}, caKey); err == nil {
		t.Error("a CA with serial 0 is signed")
	}
	if _, err := SignCA(CARequest{Subject: ca.RawSubject, Serial: big.NewInt(1), NotBefore: from, NotAfter: from.AddDate(9000, 0, 0)}, caKey); err == nil {
		t.Error("a CA that ends in the year 11026 is signed")
	}
}

func TestSerials(t *testing.T) {
	seen := map[string]bool{}
	long := 0
	for range 1000 {
		n := NewSerial()
		der, err := asn1.Marshal(n)
		if err != nil || n.Sign() <= 0 || len(der) > 2+17 {
			t.Fatal(n, err)
		}
		if n.BitLen() > 120 {
			long++
		}
		seen[SerialHex(n)] = true
	}
	if len(seen) != 1000 || long < 950 {
		t.Errorf("%d different serials of 1000, %d of full length", len(seen), long)
	}
	for n, want := range map[int64]string{0: "00", 1: "01", 0xa: "0A", 0x3ff: "03FF", 0x12fd1: "012FD1", 0xff: "FF", -1: "-01"} {
		if got := SerialHex(big.NewInt(n)); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

func TestUsageFindsWhatDiffers(t *testing.T) {
	caKey, userKey := keyFor(t, ECDSAP256), keyFor(t, RSA2048)
	ca, _ := issue(t, caKey, keyFor(t, ECDSAP256))
	base := x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: to, RawSubject: subjectDER(t, userName),
		BasicConstraintsValid: true, KeyUsage: userKeyUsage, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		SubjectKeyId: []byte{1}, AuthorityKeyId: ca.SubjectKeyId,
	}
	for _, c := range []struct {
		want   Mismatch
		change func(*x509.Certificate)
	}{
		{Mismatch{}, func(*x509.Certificate) {}},
		{Mismatch{}, func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 16, 840, 1, 113730, 1, 13}, Value: []byte{0x16, 1, 'x'}}}
		}},
		{Mismatch{"extensions", "critical, 1.2.3", "none"}, func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}
		}},
		{Mismatch{"basicConstraints", "none", "critical, CA:FALSE"}, func(c *x509.Certificate) { c.BasicConstraintsValid = false }},
		{Mismatch{"basicConstraints", "critical, CA:TRUE", "critical, CA:FALSE"}, func(c *x509.Certificate) { c.IsCA = true }},
		{Mismatch{"basicConstraints", "CA:FALSE", "critical, CA:FALSE"}, func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: oidBasicConstraints, Value: []byte{0x30, 0}}}
		}},
		{Mismatch{"keyUsage", "none", "critical, digitalSignature"}, func(c *x509.Certificate) { c.KeyUsage = 0 }},
		{Mismatch{"keyUsage", "critical, digitalSignature, keyEncipherment", "critical, digitalSignature"}, func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageKeyEncipherment }},
		{Mismatch{"extKeyUsage", "none", "clientAuth"}, func(c *x509.Certificate) { c.ExtKeyUsage = nil }},
		{Mismatch{"extKeyUsage", "clientAuth, serverAuth", "clientAuth"}, func(c *x509.Certificate) { c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth) }},
		{Mismatch{"extKeyUsage", "clientAuth, 1.2.3", "clientAuth"}, func(c *x509.Certificate) { c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{1, 2, 3}} }},
		{Mismatch{"subjectKeyIdentifier", "none", "an identifier of the key"}, func(c *x509.Certificate) { c.SubjectKeyId = nil }},
		{Mismatch{"authorityKeyIdentifier", "keyid:0203, issuer and serial number", ""}, func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: oidAuthorityKeyID, Value: []byte{0x30, 7, 0x80, 2, 2, 3, 0x82, 1, 9}}}
		}},
	} {
		template := base
		c.change(&template)
		parent := *ca
		if template.ExtraExtensions != nil && template.ExtraExtensions[0].Id.Equal(oidAuthorityKeyID) {
			parent.SubjectKeyId, template.AuthorityKeyId = nil, nil
		}
		der, err := x509.CreateCertificate(rand.Reader, &template, &parent, userKey.Public(), caKey)
		if err != nil {
			t.Fatal(err)
		}
		got := UserUsage(parse(t, der), ca)
		if c.want == (Mismatch{}) {
			if got != nil {
				t.Errorf("%+v", got)
			}
			continue
		}
		if c.want.Want == "" {
			c.want.Want = "keyid:" + strings.ToLower(strings.ReplaceAll(upperColons(ca.SubjectKeyId), ":", ""))
		}
		if len(got) != 1 || got[0] != c.want {
			t.Errorf("%+v, want %+v", got, c.want)
		}
	}
}

// The guide's way: no extension file, so that openssl 3.0 makes version 1.
func TestUsageOfTheGuidesCertificates(t *testing.T) {
	d := dir(t.TempDir())
	caKey, caFile, csr := d.put(t, "ca.key", nil), d.put(t, "ca.crt", nil), d.put(t, "csr", nil)
	openssl(t, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", caKey, "-out", caFile, "-subj", "/CN=ca", "-days", "30")
	openssl(t, "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", d.put(t, "k", nil), "-out", csr, "-subj", "/CN=u")
	user := openssl(t, "x509", "-req", "-in", csr, "-CA", caFile, "-CAkey", caKey, "-set_serial", "1", "-sha1")
	certs, err := ParseCertificates(append(read(t, caFile), user...))
	if err != nil {
		t.Fatal(err)
	}
	fields := func(m []Mismatch) string {
		var names []string
		for _, x := range m {
			names = append(names, x.Field+"="+x.Have)
		}
		return strings.Join(names, " ")
	}
	if got, want := fields(CAUsage(certs[0])), "basicConstraints=critical, CA:TRUE keyUsage=none"; got != want {
		t.Errorf("CA: %s, want %s", got, want)
	}
	if got, want := fields(UserUsage(certs[1], certs[0])), "version=1 signatureAlgorithm=SHA1-RSA basicConstraints=none keyUsage=none extKeyUsage=none subjectKeyIdentifier=none authorityKeyIdentifier=none"; got != want {
		t.Errorf("user: %s, want %s", got, want)
	}
}
