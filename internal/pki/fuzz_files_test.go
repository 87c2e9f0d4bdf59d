package pki

import (
	"crypto/dsa" //lint:ignore SA1019 such keys exist and must be refused in words
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// A file that mtlsplan finds may be anything. Reading it takes a bounded time,
// and fails with an error that callers know.

// within fails where a file asks for more work than a run can stand.
func within(t *testing.T, limit time.Duration, f func()) {
	t.Helper()
	start := time.Now()
	f()
	if took := time.Since(start); took > limit {
		t.Errorf("took %s", took)
	}
}

func FuzzParseCertificates(f *testing.F) {
	ca, user := issue(f, keyFor(f, ECDSAP256), keyFor(f, Ed25519))
	f.Add(append(EncodeCertificate(ca.Raw), EncodeCertificate(user.Raw)...))
	f.Add([]byte("text\n" + string(EncodeCertificate(user.Raw[:len(user.Raw)/2]))))
	f.Add([]byte("-----BEGIN TRUSTED CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		certs, err := ParseCertificates(data)
		known(t, err)
		for _, c := range certs {
			var out strings.Builder
			within(t, 20*time.Second, func() { known(t, WriteText(&out, c)) })
			if text := strings.ReplaceAll(out.String(), "\n", ""); safe(text) != text {
				t.Errorf("its text steers a terminal: %q", text)
			}
		}
	})
}

func FuzzParseCRLs(f *testing.F) {
	key := keyFor(f, ECDSAP256)
	ca, _ := issue(f, key, keyFor(f, Ed25519))
	der, err := SignCRL(CRLRequest{Number: big.NewInt(7), ThisUpdate: from, NextUpdate: to, Entries: []x509.RevocationListEntry{
		{SerialNumber: big.NewInt(99), RevocationTime: from, ReasonCode: 1}}}, ca, key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(EncodeCRL(der))
	f.Add(EncodeCRL(der[:len(der)-9]))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := ParseCRLs(data)
		known(t, err)
	})
}

// FuzzOpenKeyDER puts any DER into a PEM block of each type, past the base64
// that keeps [FuzzOpenKey] from it.
func FuzzOpenKeyDER(f *testing.F) {
	types := []string{pemEncryptedKey, "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "DSA PRIVATE KEY"}
	for _, kind := range []KeyType{RSA2048, ECDSAP256, ECDSAP384, Ed25519} {
		der, err := x509.MarshalPKCS8PrivateKey(keyFor(f, kind))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(1), der)
		data, err := EncryptKey(keyFor(f, kind), NewKeys(pass("pw")), 1)
		if err != nil {
			f.Fatal(err)
		}
		block, _ := pem.Decode(data)
		f.Add(uint8(0), block.Bytes)
	}
	ec, err := x509.MarshalECPrivateKey(keyFor(f, ECDSAP256).(*ecdsa.PrivateKey))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint8(3), ec)
	f.Add(uint8(3), explicitCurve(f))
	d := dsa.PrivateKey{PublicKey: dsa.PublicKey{Parameters: dsa.Parameters{P: big.NewInt(23), Q: big.NewInt(11), G: big.NewInt(4)}, Y: big.NewInt(8)}, X: big.NewInt(7)}
	old, err := asn1.Marshal([]*big.Int{new(big.Int), d.P, d.Q, d.G, d.Y, d.X})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint8(4), old)
	f.Fuzz(func(t *testing.T, kind uint8, der []byte) {
		data := pem.EncodeToMemory(&pem.Block{Type: types[int(kind)%len(types)], Bytes: der})
		info, err := InspectKey(data)
		known(t, err)
		if err == nil && info.Iterations > 1000 {
			return
		}
		within(t, 20*time.Second, func() {
			_, err := OpenKey(data, pass("pw"))
			known(t, err)
		})
	})
}

// explicitCurve is a SEC 1 key whose curve is written out in numbers, which no
// library here reads (and which CVE-2020-0601 made known).
func explicitCurve(t testing.TB) []byte {
	t.Helper()
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddASN1OctetString(make([]byte, 32))
		b.AddASN1(cbasn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(1)
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 2, 840, 10045, 1, 1})
					b.AddASN1BigInt(new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(189)))
				})
			})
		})
	})
	return b.BytesOrPanic()
}
