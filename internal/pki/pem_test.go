package pki

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestParseCertificates(t *testing.T) {
	key := keyFor(t, ECDSAP256)
	ca, user := issue(t, key, keyFor(t, Ed25519))
	a, b := EncodeCertificate(ca.Raw), EncodeCertificate(user.Raw)
	keyPEM, err := EncryptKey(key, NewKeys(pass("pw")), 1)
	if err != nil {
		t.Fatal(err)
	}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

	certs, err := ParseCertificates(join([]byte("text\n"), a, []byte("more\n"), b, []byte("end")))
	if err != nil || len(certs) != 2 || !certs[0].Equal(ca) || !certs[1].Equal(user) {
		t.Errorf("%d certificates, %v", len(certs), err)
	}
	if certs, err = ParseCertificates(bytes.ReplaceAll(join(a, b), []byte("\n"), []byte("\r\n"))); err != nil || len(certs) != 2 {
		t.Errorf("with carriage returns: %v", err)
	}
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"nothing", nil, "no PEM certificate"},
		{"text", []byte("hello"), "no PEM certificate"},
		{"a key", join(a, keyPEM), "private key"},
		{"a CRL", join(a, EncodeCRL([]byte{1})), "other than a certificate"},
		{"a cut one at the end", join(a, b[:len(b)/2]), "cut or altered"},
		{"a cut one before", join(b[:len(b)/2], a), "cut or altered"},
		{"an altered one in the middle", join(a, bytes.Replace(b, []byte("MII"), []byte("M!!"), 1), a), "cut or altered"},
		{"an altered begin", join(a, bytes.Replace(b, []byte("BEGIN CERTIFICATE"), []byte("BEGIN CERTIFIKATE"), 1)), "cut or altered"},
		{"no certificate in it", EncodeCertificate([]byte{0x30, 0}), "cannot be read"},
	} {
		if _, err := ParseCertificates(c.data); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestParseCRLs(t *testing.T) {
	key := keyFor(t, ECDSAP256)
	ca, _ := issue(t, key, keyFor(t, Ed25519))
	one := EncodeCRL(crlFor(t, ca, key))
	if crls, err := ParseCRLs(append(bytes.Clone(one), one...)); err != nil || len(crls) != 2 {
		t.Errorf("%d, %v", len(crls), err)
	}
	for want, data := range map[string][]byte{
		"no PEM CRL":       nil,
		"other than a CRL": EncodeCertificate(ca.Raw),
		"cannot be read":   EncodeCRL(ca.Raw),
		"cut or altered":   append(bytes.Clone(one), one[:200]...),
	} {
		if _, err := ParseCRLs(data); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
