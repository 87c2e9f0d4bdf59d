package pki

import (
	"crypto/ecdsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// known fails for an error that callers cannot tell apart.
func known(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrPassphrase) && !errors.Is(err, ErrUnsupported) {
		t.Errorf("an error of no kind: %v", err)
	}
	if err != nil && strings.ContainsAny(err.Error(), "\n\x1b\x00") {
		t.Errorf("an error that steers a terminal: %q", err)
	}
}

func FuzzInspectP12(f *testing.F) {
	key := keyFor(f, ECDSAP256)
	_, cert := issue(f, key, keyFor(f, Ed25519))
	for _, p := range Profiles {
		der, err := p.Encode(keyFor(f, Ed25519), cert, []*x509.Certificate{cert}, NewKeys(pass("pw")), 2048)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der)
		f.Add(der[:len(der)/2])
	}
	f.Add([]byte{})
	f.Add([]byte{0x30, 0x80, 2, 1, 3})
	f.Add([]byte{0x30, 0x84, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, der []byte) {
		info, err := InspectP12(der)
		known(t, err)
		if err == nil && info.Iterations < maxIterations/1000 {
			_, err = OpenP12(der, pass("pw"))
			known(t, err)
		}
	})
}

func keyFiles(f *testing.F) {
	key := keyFor(f, ECDSAP256)
	data, err := EncryptKey(key, NewKeys(pass("pw")), 1)
	if err != nil {
		f.Fatal(err)
	}
	plain, err := x509.MarshalECPrivateKey(key.(*ecdsa.PrivateKey))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: plain}))
	f.Add([]byte("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"))
	f.Add([]byte("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"))
}

func FuzzInspectKey(f *testing.F) {
	keyFiles(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := InspectKey(data)
		known(t, err)
	})
}

func FuzzOpenKey(f *testing.F) {
	keyFiles(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if info, err := InspectKey(data); err != nil || info.Iterations > 1000 {
			return
		}
		_, err := OpenKey(data, pass("pw"))
		known(t, err)
	})
}

func FuzzParseCSR(f *testing.F) {
	der, err := MakeCSR(subjectDER(f, userName), []SAN{{SANEmail, "a@b"}}, pass("x"), keyFor(f, ECDSAP256))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Add(der[:40])
	f.Fuzz(func(t *testing.T, der []byte) {
		_, err := ParseCSR(EncodeCSR(der))
		known(t, err)
		_, err = readChallenge(der)
		known(t, err)
	})
}

func FuzzParseSubject(f *testing.F) {
	f.Add(subjectDER(f, caName))
	f.Add(rawName(f, []pair{{cn, tagBMP, "\x00a"}, {"1.2.3", 4, "b"}}))
	f.Add(rawName(f, []pair{{cn, cbasn1.UTF8String, "\u009b31m"}, {cn, cbasn1.T61String, "\x85"}}))
	f.Fuzz(func(t *testing.T, der []byte) {
		s, rest, err := ParseSubject(der)
		for _, text := range append(rest, NameString(der), NameOneLine(der), opensslName(der)) {
			if safe(text) != text {
				t.Errorf("it steers a terminal: %q", text)
			}
		}
		if err != nil || len(rest) > 0 || len(s.Problems()) > 0 {
			return
		}
		again, err := s.DER()
		if err != nil {
			t.Fatal(err)
		}
		if back, _, _ := ParseSubject(again); back != s {
			t.Errorf("%+v becomes %+v", s, back)
		}
	})
}

func FuzzSANs(f *testing.F) {
	f.Add([]byte("\x30\x05\x81\x03a@b"))
	f.Add([]byte("\x30\x18\xa0\x16\x06\x0a\x2b\x06\x01\x04\x01\x82\x37\x14\x02\x03\xa0\x08\x0c\x06a@corp"))
	f.Add([]byte("\x30\x05\x88\x03\x2a\x03\x04"))
	f.Fuzz(func(t *testing.T, der []byte) {
		e := pkix.Extension{Id: oidSubjectAltName, Value: der}
		for _, s := range sansIn([]pkix.Extension{e}) {
			if text := s.String(); safe(text) != text {
				t.Errorf("it steers a terminal: %q", text)
			}
		}
		for _, line := range extensionText(e.Id, e.Value) {
			if safe(line) != line {
				t.Errorf("it steers a terminal: %q", line)
			}
		}
	})
}
