package pki

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"strings"
	"testing"
	"unicode"

	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

func text(t *testing.T, c *x509.Certificate) string {
	t.Helper()
	var b strings.Builder
	if err := WriteText(&b, c); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTextIsThatOfOpenSSL(t *testing.T) {
	d := dir(t.TempDir())
	same := func(t *testing.T, data []byte) {
		t.Helper()
		certs, err := ParseCertificates(data)
		if err != nil {
			t.Fatal(err)
		}
		want := string(openssl(t, "x509", "-text", "-noout", "-in", d.put(t, "c", data)))
		if got := text(t, certs[0]); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
	for _, kind := range KeyTypes {
		t.Run(string(kind), func(t *testing.T) {
			ca, user := issue(t, keyFor(t, kind), keyFor(t, kind))
			same(t, EncodeCertificate(ca.Raw))
			same(t, EncodeCertificate(user.Raw))
		})
	}
	config := d.put(t, "config", []byte("[req]\ndistinguished_name=r\n[r]\n[d]\nCN=x\nO=y\n"))
	key := d.put(t, "key", nil)
	for name, args := range map[string][]string{
		"version 1 to 3, small serial": {"-set_serial", "255"},
		"the usual extensions": {"-addext", "keyUsage=critical,digitalSignature,nonRepudiation,keyEncipherment,decipherOnly", "-addext", "nsComment=hello",
			"-addext", "extendedKeyUsage=serverAuth,clientAuth,emailProtection,1.2.3.4", "-addext", "basicConstraints=critical,CA:TRUE,pathlen:300",
			"-addext", "subjectAltName=DNS:a.b,IP:1.2.3.4,IP:2001:db8::1,URI:http://a,email:a@b,dirName:d,RID:1.2.3.4,otherName:1.3.6.1.4.1.311.20.2.3;UTF8:user@corp,otherName:1.2.3.4;UTF8:x,otherName:1.2.3.4;INTEGER:5"},
		"an authority by name":      {"-addext", "authorityKeyIdentifier=keyid,issuer:always"},
		"an extension nobody knows": {"-addext", "1.2.3.5=DER:0c02610b"},
	} {
		t.Run(name, func(t *testing.T) {
			same(t, openssl(t, append([]string{"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521", "-nodes", "-keyout", key, "-subj", "/CN=Zoë, \"x\"", "-utf8", "-config", config}, args...)...))
		})
	}
}

func TestTextIsHarmless(t *testing.T) {
	key := keyFor(t, ECDSAP256)
	evil := "\x1b]0;x\x07\n\u202e\u009b"
	name := rawName(t, one(pair{cn, cbasn1.UTF8String, "a" + evil}))
	value := func(tag byte, s string) []byte { return append([]byte{tag, byte(len(s))}, s...) }
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: to, RawSubject: name,
		ExtraExtensions: []pkix.Extension{
			{Id: asn1.ObjectIdentifier{2, 16, 840, 1, 113730, 1, 13}, Value: value(0x16, evil)},
			{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: value(0x0c, evil)},
			{Id: oidExtKeyUsage, Value: value(0x30, string(value(6, "\x2a\x03")))},
		},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range text(t, parse(t, der)) {
		if r != '\n' && (r > unicode.MaxASCII || unicode.IsControl(r)) {
			t.Errorf("%U at %d", r, i)
		}
	}
}
