package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/youmark/pkcs8"
)

// Whatever octet of an encrypted key is another one, the check sees it: an altered IV
// alters the version at the beginning of the key, over which other readers read. An Ed25519
// key is then another one, which the caller sees.
func TestReopenKey(t *testing.T) {
	for _, kind := range []KeyType{ECDSAP256, Ed25519} {
		key, keys := keyFor(t, kind), NewKeys(pass("pw"))
		data, err := EncryptKey(key, keys, 3)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ReopenKey(data, keys); err != nil || PublicID(got.Public()) != PublicID(key.Public()) {
			t.Errorf("%s: %v", kind, err)
		}
		if _, err := ReopenKey(data, NewKeys(pass("pw"))); err == nil {
			t.Errorf("%s: fresh keys read it", kind)
		}
		block, _ := pem.Decode(data)
		for i := range block.Bytes {
			for bit := range 8 {
				bad := bytes.Clone(block.Bytes)
				bad[i] ^= 1 << bit
				if got, err := ReopenKey(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: bad}), keys); err == nil && PublicID(got.Public()) == PublicID(key.Public()) {
					t.Errorf("%s: bit %d of octet %d goes unnoticed", kind, bit, i)
				}
			}
		}
	}
}

func TestKeysOfEveryType(t *testing.T) {
	d := dir(t.TempDir())
	for _, kind := range KeyTypes {
		t.Run(string(kind), func(t *testing.T) {
			key := keyFor(t, kind)
			if got := KeyTypeOf(key.Public()); got != kind {
				t.Errorf("it is %s", got)
			}
			data, err := EncryptKey(key, NewKeys(pass("pw")), 3000)
			if err != nil {
				t.Fatal(err)
			}
			info, err := InspectKey(data)
			if err != nil || info != (KeyInfo{KeyEncoding, 3000}) {
				t.Errorf("%+v, %v", info, err)
			}
			back, err := OpenKey(data, pass("pw"))
			if err != nil || PublicID(back.Public()) != PublicID(key.Public()) {
				t.Errorf("another key comes back: %v", err)
			}
			p := d.put(t, string(kind), data)
			spki := openssl(t, "pkey", "-in", p, "-passin", "pass:pw", "-pubout", "-outform", "DER")
			want, _ := x509.MarshalPKIXPublicKey(key.Public())
			if !bytes.Equal(spki, want) {
				t.Error("openssl reads another key")
			}
			for range 300 { // the padding of a wrong passphrase is right once in 256 times
				if kind != ECDSAP256 {
					break
				}
				data, _ := EncryptKey(key, NewKeys(pass("pw")), 1)
				if _, err := OpenKey(data, pass("wrong")); !errors.Is(err, ErrPassphrase) {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestKeyEncryptionRefuses(t *testing.T) {
	key := keyFor(t, ECDSAP256)
	for _, c := range []struct {
		pass       word
		iterations int
	}{{word(""), 2048}, {pass("pw"), 0}, {pass("pw"), maxIterations + 1}} {
		if data, err := EncryptKey(key, NewKeys(c.pass), c.iterations); err == nil || data != nil {
			t.Errorf("%d iterations, no passphrase %t: a key was written", c.iterations, c.pass.IsZero())
		}
	}
	if _, err := KeyType("rsa-1024").Generate(); err == nil {
		t.Error("a weak key was made")
	}
}

// Keys as openssl writes them, in all the forms that an administrator may have.
func TestKeysOfOpenSSL(t *testing.T) {
	d := dir(t.TempDir())
	ec := d.put(t, "ec", nil)
	openssl(t, "ecparam", "-genkey", "-name", "prime256v1", "-out", ec) // EC PARAMETERS, EC PRIVATE KEY
	rsa := d.put(t, "rsa", nil)
	openssl(t, "genrsa", "-out", rsa, "-traditional", "2048")
	ed := d.put(t, "ed", nil)
	openssl(t, "genpkey", "-algorithm", "ed25519", "-out", ed)

	for _, c := range []struct {
		name string
		args []string
		want KeyInfo
		err  error // of opening with the right passphrase
	}{
		{"PKCS #8, default", []string{"pkcs8", "-topk8", "-in", rsa, "-passout", "pass:pw"}, KeyInfo{KeyEncoding, 2048}, nil},
		{"PKCS #8, AES-128", []string{"pkcs8", "-topk8", "-in", ec, "-v2", "aes128", "-iter", "1000", "-passout", "pass:pw"}, KeyInfo{"PBES2 AES-128-CBC PBKDF2-HMAC-SHA256", 1000}, nil},
		{"PKCS #8, 3DES, SHA-1", []string{"pkcs8", "-topk8", "-in", ed, "-v2", "des3", "-v2prf", "hmacWithSHA1", "-passout", "pass:pw"}, KeyInfo{"PBES2 DES-EDE3-CBC PBKDF2-HMAC-SHA1", 2048}, nil},
		{"PKCS #8, SHA-512", []string{"pkcs8", "-topk8", "-in", ed, "-v2prf", "hmacWithSHA512", "-passout", "pass:pw"}, KeyInfo{"PBES2 AES-256-CBC PBKDF2-HMAC-SHA512", 2048}, nil},
		{"PKCS #8, scrypt", []string{"pkcs8", "-topk8", "-in", ec, "-scrypt", "-passout", "pass:pw"}, KeyInfo{"PBES2 AES-256-CBC scrypt", 0}, nil},
		{"PKCS #8, version 1.5", []string{"pkcs8", "-topk8", "-in", ec, "-v1", "PBE-SHA1-3DES", "-passout", "pass:pw"}, KeyInfo{pbe3DES, 2048}, nil},
		{"PKCS #8, version 1.5, of two keys", []string{"pkcs8", "-topk8", "-in", ec, "-v1", "PBE-SHA1-2DES", "-passout", "pass:pw"}, KeyInfo{"pbeWithSHAAnd2-KeyTripleDES-CBC", 2048}, ErrUnsupported},
		{"PKCS #8, plain", []string{"pkcs8", "-topk8", "-in", rsa, "-nocrypt"}, KeyInfo{"plain", 0}, nil},
		{"traditional RSA, plain", []string{"rsa", "-in", rsa, "-traditional"}, KeyInfo{"plain", 0}, nil},
		{"traditional RSA, 3DES", []string{"rsa", "-in", rsa, "-traditional", "-des3", "-passout", "pass:pw"}, KeyInfo{"PEM DES-EDE3-CBC", 1}, nil},
		{"traditional RSA, AES", []string{"rsa", "-in", rsa, "-traditional", "-aes256", "-passout", "pass:pw"}, KeyInfo{"PEM AES-256-CBC", 1}, nil},
		{"traditional RSA, Camellia", []string{"rsa", "-in", rsa, "-traditional", "-camellia256", "-passout", "pass:pw"}, KeyInfo{"PEM CAMELLIA-256-CBC", 1}, ErrUnsupported},
		{"traditional EC, plain", []string{"ec", "-in", ec}, KeyInfo{"plain", 0}, nil},
		{"traditional EC, AES", []string{"ec", "-in", ec, "-aes128", "-passout", "pass:pw"}, KeyInfo{"PEM AES-128-CBC", 1}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := openssl(t, c.args...)
			info, err := InspectKey(data)
			if err != nil || info != c.want {
				t.Errorf("%+v, %v, want %+v", info, err, c.want)
			}
			key, err := OpenKey(data, pass("pw"))
			if !errors.Is(err, c.err) || (c.err == nil) != (key != nil) {
				t.Fatalf("%v, want %v", err, c.err)
			}
			if _, err := OpenKey(data, pass("wrong")); c.err == nil && info.Encoding != "plain" && !errors.Is(err, ErrPassphrase) {
				t.Errorf("with a wrong passphrase: %v", err)
			}
		})
	}
	if key, err := OpenKey(read(t, ec), pass("")); err != nil || KeyTypeOf(key.Public()) != ECDSAP256 {
		t.Errorf("EC PARAMETERS before the key: %v", err)
	}
}

// alterDER applies f to the DER in a PEM file.
func alterDER(t *testing.T, data []byte, f func([]byte)) []byte {
	t.Helper()
	b, _ := pem.Decode(data)
	if b == nil {
		t.Fatal("no PEM")
	}
	f(b.Bytes)
	return pem.EncodeToMemory(b)
}

func TestDamagedKeys(t *testing.T) {
	key := keyFor(t, ECDSAP256)
	good, err := EncryptKey(key, NewKeys(pass("pw")), 1)
	if err != nil {
		t.Fatal(err)
	}
	plain, _ := x509.MarshalPKCS8PrivateKey(key)
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "there is no PEM private key in it"},
		{"text", []byte("hello\n"), "there is no PEM private key in it"},
		{"a certificate", EncodeCertificate([]byte{1}), "other than a private key"},
		{"two keys", append(bytes.Clone(good), good...), "more than one"},
		{"half of it", good[:len(good)/2], "there is no PEM private key in it"},
		{"one block less", alterLength(t, good), "it is not an encrypted PKCS #8 key"},
		{"the first octets of the scalar", alterDER(t, good, func(b []byte) { b[len(b)-100] ^= 1 }), ""},
		{"the scalar of a plain key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: flip(plain, 50)}), "do not belong together"},
		{"the work of a year", claiming(t, maxIterations+1), "parameters of its key derivation"},
		{"no work at all", claiming(t, 0), "parameters of its key derivation"},
		{"no cipher", pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED"}, Bytes: plain}), "DEK-Info"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := OpenKey(c.data, pass("pw"))
			if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func flip(b []byte, i int) []byte {
	b = bytes.Clone(b)
	b[i] ^= 1
	return b
}

// alterLength cuts the last octets off the DER.
func alterLength(t *testing.T, data []byte) []byte {
	b, _ := pem.Decode(data)
	return pem.EncodeToMemory(&pem.Block{Type: b.Type, Bytes: b.Bytes[:len(b.Bytes)-16]})
}

// claiming makes an encrypted key that claims another iteration count than the
// one it was made with.
func claiming(t *testing.T, count int) []byte {
	t.Helper()
	der, err := pkcs8.MarshalPrivateKey(keyFor(t, ECDSAP256), []byte("pw"), &pkcs8.Opts{
		Cipher:  pkcs8.AES256CBC,
		KDFOpts: claim{pkcs8.PBKDF2Opts{SaltSize: 8, IterationCount: 1, HMACHash: crypto.SHA256}, count},
	})
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemEncryptedKey, Bytes: der})
}

type claim struct {
	pkcs8.PBKDF2Opts
	count int
}

func (c claim) DeriveKey(password, salt []byte, size int) ([]byte, pkcs8.KDFParameters, error) {
	key, _, err := c.PBKDF2Opts.DeriveKey(password, salt, size)
	return key, claimed{salt, c.count}, err
}

type claimed struct {
	Salt  []byte
	Count int
}

func (claimed) DeriveKey([]byte, int) ([]byte, error) { return nil, errors.New("only written") }

func TestPublicID(t *testing.T) {
	a := PublicID(keyFor(t, ECDSAP256).Public())
	if !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(a) || a == PublicID(keyFor(t, Ed25519).Public()) {
		t.Errorf("%q", a)
	}
	if id := PublicID("no key"); id != "" {
		t.Errorf("%q", id)
	}
	weak, _ := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if k := KeyTypeOf(weak.Public()); k != "ecdsa-p521" {
		t.Error(k)
	}
	if k := KeyTypeOf(nil); k != "unknown" {
		t.Error(k)
	}
}
