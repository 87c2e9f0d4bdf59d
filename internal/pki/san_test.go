package pki

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"slices"
	"testing"
)

// madeWith has openssl make a certificate and a request with the same names.
func madeWith(t *testing.T, names string) (*x509.Certificate, *CSR) {
	t.Helper()
	d := dir(t.TempDir())
	config := d.put(t, "config", []byte("[req]\ndistinguished_name=r\n[r]\n[d]\nC=DE\nCN=x\n"))
	args := []string{"req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", d.put(t, "key", nil),
		"-subj", "/CN=mmuser", "-utf8", "-config", config, "-addext", "subjectAltName=" + names}
	certs, err := ParseCertificates(openssl(t, append(args, "-x509")...))
	if err != nil {
		t.Fatal(err)
	}
	csr, err := ParseCSR(openssl(t, args...))
	if err != nil {
		t.Fatal(err)
	}
	return certs[0], csr
}

func TestSANs(t *testing.T) {
	for names, want := range map[string][]SAN{
		"email:a@b.c,DNS:a.b,email:d@e.f":                 {{SANEmail, "a@b.c"}, {SANDNS, "a.b"}, {SANEmail, "d@e.f"}},
		"IP:192.0.2.1,IP:2001:db8::1":                     {{SANIP, "192.0.2.1"}, {SANIP, "2001:db8::1"}},
		"URI:urn:a,RID:1.2.3.4":                           {{SANURI, "urn:a"}, {SANRegisteredID, "1.2.3.4"}},
		"dirName:d":                                       {{SANDirName, "C = DE, CN = x"}},
		"otherName:1.3.6.1.4.1.311.20.2.3;UTF8:user@corp": {{SANUPN, "user@corp"}},
		"otherName:1.3.6.1.4.1.311.20.2.3;INTEGER:5":      {{SANOtherName, "1.3.6.1.4.1.311.20.2.3;#020105"}},
		"otherName:1.2.3.4;UTF8:x":                        {{SANOtherName, "1.2.3.4;#0c0178"}},
	} {
		cert, csr := madeWith(t, names)
		if got := SANs(cert); !slices.Equal(got, want) {
			t.Errorf("%s: %v", names, got)
		}
		if !slices.Equal(csr.SANs, want) {
			t.Errorf("request for %s: %v", names, csr.SANs)
		}
	}
}

// A name that nothing here can read is seen, too.
func TestSANsOverlookNothing(t *testing.T) {
	key := keyFor(t, ECDSAP256)
	for value, want := range map[string]SAN{
		"\x30\x03\xa3\x01\x00":         {SANUnknown, "#a30100"},
		"\x30\x03\x89\x01x":            {SANUnknown, "#890178"},
		"\x30\x05\xa1\x03a@b":          {SANUnknown, "#a103614062"},
		"\x30\x05\xa0\x03\x02\x01\x05": {SANUnknown, "#3005a003020105"},
	} {
		der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
			SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: to,
			ExtraExtensions: []pkix.Extension{{Id: oidSubjectAltName, Value: []byte(value)}},
		}, &x509.Certificate{}, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		if got := SANs(parse(t, der)); !slices.Equal(got, []SAN{want}) {
			t.Errorf("%x: %v", value, got)
		}
	}
	if got := (SAN{SANURI, "a\x1b\u202e"}).String(); got != `uri:a\u001b\u202e` {
		t.Error(got)
	}
}

func TestSANText(t *testing.T) {
	ann, bob := SAN{SANEmail, "ann@a.b"}, SAN{SANEmail, "bob@a.b"}
	for want, sans := range map[string][]SAN{
		"":                              nil,
		"ann@a.b":                       {ann},
		"ann@a.b bob@a.b":               {ann, bob},
		"upn:ann@a.b":                   {{SANUPN, "ann@a.b"}},
		"email:ann@a.b upn:ann@a.b":     {ann, {SANUPN, "ann@a.b"}},
		"email:upn:ann@a.b":             {{SANEmail, "upn:ann@a.b"}},
		`uri:urn:a\u202e email:ann@a.b`: {{SANURI, "urn:a\u202e"}, ann},
	} {
		if got := SANText(sans); got != want {
			t.Errorf("%q, and should be %q", got, want)
		}
	}
}
