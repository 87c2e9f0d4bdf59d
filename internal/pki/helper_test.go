package pki

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

var (
	from = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	to   = from.AddDate(1, 0, 0)

	caName   = Subject{"US", "Maryland", "Meade", "Mattermost", "Smarttotem", "example.mattermost.com", "admin@mattermost.com"}
	userName = Subject{"US", "Maryland", "Meade", "Mattermost", "Smarttotem", "mmuser", "mmuser@mattermost.com"}
)

// word is a passphrase that may be printed.
type word string

func (w word) Reveal() string { return string(w) }
func (w word) IsZero() bool   { return w == "" }

func pass(s string) word { return word(s) }

// keyFor makes one key of each type for all tests: RSA keys take a while.
func keyFor(t testing.TB, kind KeyType) crypto.Signer {
	t.Helper()
	keys.Lock()
	defer keys.Unlock()
	if keys.m[kind] == nil {
		k, err := kind.Generate()
		if err != nil {
			t.Fatal(err)
		}
		keys.m[kind] = k
	}
	return keys.m[kind]
}

var keys = struct {
	sync.Mutex
	m map[KeyType]crypto.Signer
}{m: map[KeyType]crypto.Signer{}}

func subjectDER(t testing.TB, s Subject) []byte {
	t.Helper()
	der, err := s.DER()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func parse(t testing.TB, der []byte) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// issue makes a CA and a user certificate with keys of the given types.
func issue(t testing.TB, caKey, userKey crypto.Signer) (ca, user *x509.Certificate) {
	t.Helper()
	der, err := SignCA(CARequest{Subject: subjectDER(t, caName), Serial: NewSerial(), NotBefore: from, NotAfter: to.AddDate(9, 0, 0)}, caKey)
	if err != nil {
		t.Fatal(err)
	}
	ca = parse(t, der)
	der, err = SignUser(UserRequest{subjectDER(t, userName), []SAN{{SANEmail, userName.Email}}, userKey.Public(), NewSerial(), from, to}, ca, caKey)
	if err != nil {
		t.Fatal(err)
	}
	return ca, parse(t, der)
}

func crlFor(t testing.TB, ca *x509.Certificate, key crypto.Signer, serials ...*big.Int) []byte {
	t.Helper()
	r := CRLRequest{Number: big.NewInt(1), ThisUpdate: from, NextUpdate: from.AddDate(0, 1, 0)}
	for _, s := range serials {
		r.Entries = append(r.Entries, x509.RevocationListEntry{SerialNumber: s, RevocationTime: from, ReasonCode: 5})
	}
	der, err := SignCRL(r, ca, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// dir is a directory for the files that openssl reads.
type dir string

func (d dir) put(t testing.TB, name string, data []byte) string {
	t.Helper()
	p := filepath.Join(string(d), name)
	if err := os.WriteFile(p, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// openssl runs the judge of most tests here and returns its standard output.
func openssl(t testing.TB, args ...string) []byte {
	t.Helper()
	out, err := runOpenSSL(args...)
	if err != nil {
		t.Fatalf("openssl %v: %v\n%s", args, err, out)
	}
	return out
}

func runOpenSSL(args ...string) ([]byte, error) {
	cmd := opensslCommand(args...)
	var out, talk bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &talk
	if err := cmd.Run(); err != nil {
		return append(out.Bytes(), talk.Bytes()...), err
	}
	return out.Bytes(), nil
}

func opensslCommand(args ...string) *exec.Cmd { return exec.Command("openssl", args...) }

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
