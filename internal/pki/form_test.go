package pki

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"testing"
	"unicode/utf16"
)

// inUTF16 is a text as programs of Windows write it.
func inUTF16(text []byte, big, mark bool) []byte {
	units := utf16.Encode([]rune(string(text)))
	if mark {
		units = append([]uint16{0xfeff}, units...)
	}
	var out []byte
	for _, u := range units {
		if pair := []byte{byte(u), byte(u >> 8)}; big {
			out = append(out, pair[1], pair[0])
		} else {
			out = append(out, pair...)
		}
	}
	return out
}

// chainOf makes a chain of so many CAs, the lowest first, and the key of that.
func chainOf(t *testing.T, n int) (chain []*x509.Certificate, lowest crypto.Signer) {
	t.Helper()
	var above *x509.Certificate
	var signer crypto.Signer
	for i := range n {
		key, err := ECDSAP256.Generate()
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{
			Subject: pkix.Name{CommonName: fmt.Sprint("CA ", n-i)}, SerialNumber: big.NewInt(int64(i + 1)), NotBefore: from, NotAfter: to,
			IsCA: true, BasicConstraintsValid: true, KeyUsage: caKeyUsage, SubjectKeyId: []byte{byte(i), 1},
		}
		if above == nil {
			above, signer = template, key
		}
		der, err := x509.CreateCertificate(rand.Reader, template, above, key.Public(), signer)
		if err != nil {
			t.Fatal(err)
		}
		if above, err = x509.ParseCertificate(der); err != nil {
			t.Fatal(err)
		}
		chain, signer = append([]*x509.Certificate{above}, chain...), key
	}
	return chain, signer
}

// TestForms: keys, certificates and CRLs are the same in every form.
func TestForms(t *testing.T) {
	ca, caKey := chainOf(t, 1)
	key, err := ECDSAP256.Generate()
	if err != nil {
		t.Fatal(err)
	}
	encrypted, err := EncryptKey(key, NewKeys(pass("a passphrase")), 1000)
	if err != nil {
		t.Fatal(err)
	}
	crl, err := SignCRL(CRLRequest{Number: big.NewInt(7), ThisUpdate: ca[0].NotBefore, NextUpdate: ca[0].NotAfter}, ca[0], caKey)
	if err != nil {
		t.Fatal(err)
	}
	der := func(text []byte) []byte {
		block, _ := pem.Decode(text)
		return block.Bytes
	}
	forms := []struct {
		name string
		of   func(text []byte) []byte
		want string
	}{
		{"PEM", slices.Clone[[]byte], ""},
		{"CRLF", func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")) }, ""},
		{"text before", func(b []byte) []byte { return append([]byte("Bag Attributes\n    friendlyName: ada\n"), b...) }, ""},
		{"CR", func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\n"), []byte("\r")) }, formCR},
		{"mark", func(b []byte) []byte { return append([]byte("\ufeff"), b...) }, formBOM},
		{"UTF-16LE", func(b []byte) []byte { return inUTF16(b, false, true) }, formUTF16},
		{"UTF-16BE", func(b []byte) []byte { return inUTF16(b, true, true) }, formUTF16},
		{"UTF-16LE without a mark", func(b []byte) []byte { return inUTF16(b, false, false) }, formUTF16},
		{"UTF-16BE without a mark", func(b []byte) []byte { return inUTF16(b, true, false) }, formUTF16},
		{"UTF-16, CRLF", func(b []byte) []byte {
			return inUTF16(bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")), false, true)
		}, formUTF16},
		{"DER", der, formDER},
	}
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			data := f.of(EncodeCertificate(ca[0].Raw))
			if have := Form(data); have != f.want {
				t.Errorf("the form is %q, want %q", have, f.want)
			}
			if certs, err := ParseCertificates(data); err != nil || len(certs) != 1 || !certs[0].Equal(ca[0]) {
				t.Errorf("certificate: %v %v", certs, err)
			}
			if lists, err := ParseCRLs(f.of(EncodeCRL(crl))); err != nil || len(lists) != 1 || lists[0].Number.Int64() != 7 {
				t.Errorf("CRL: %v %v", lists, err)
			}
			want := KeyEncoding
			if f.want != "" {
				want += ", " + f.want
			}
			data = f.of(encrypted)
			if info, err := InspectKey(data); err != nil || info.Encoding != want || info.Plain() {
				t.Errorf("key: %+v %v, want %q", info, err, want)
			}
			if opened, err := OpenKey(data, pass("a passphrase")); err != nil || PublicID(opened.Public()) != PublicID(key.Public()) {
				t.Errorf("key: %v", err)
			}
			if _, err := OpenKey(data, pass("another")); err == nil {
				t.Error("the key opens with another passphrase")
			}
			plain, err := x509.MarshalPKCS8PrivateKey(key)
			if err != nil {
				t.Fatal(err)
			}
			data = f.of(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: plain}))
			if info, err := InspectKey(data); err != nil || !info.Plain() {
				t.Errorf("plain key: %+v %v", info, err)
			}
			if opened, err := OpenKey(data, pass("")); err != nil || PublicID(opened.Public()) != PublicID(key.Public()) {
				t.Errorf("plain key: %v", err)
			}
		})
	}
}

// TestAbove: a chain is found in whatever order its certificates are given, and one
// that is not whole, or goes in a circle, is told.
func TestAbove(t *testing.T) {
	chain, _ := chainOf(t, 4)
	other, _ := chainOf(t, 4)
	own, above := chain[0], chain[1:]
	equal := func(a, b []*x509.Certificate) bool { return slices.EqualFunc(a, b, (*x509.Certificate).Equal) }
	mixed := slices.Concat(other, []*x509.Certificate{above[2], own, above[0], above[1]})
	if found, whole := Above(own, mixed); !whole || !equal(found, above) {
		t.Errorf("%d certificates, whole: %v", len(found), whole)
	}
	if found, whole := Above(own, above[:2]); whole || !equal(found, above[:2]) {
		t.Errorf("without the last: %d certificates, whole: %v", len(found), whole)
	}
	if found, whole := Above(own, other); whole || len(found) != 0 {
		t.Errorf("others of the same names: %d certificates, whole: %v", len(found), whole)
	}
	if found, whole := Above(above[2], mixed); !whole || len(found) != 0 {
		t.Errorf("of the one that signs itself: %d certificates, whole: %v", len(found), whole)
	}
	if Signed(own, other[1]) || !Signed(own, chain[1]) {
		t.Error("a signature is taken for another")
	}
}
