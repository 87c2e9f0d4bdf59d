package p12

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"mtlsplan/internal/testing/sample"
)

// RFC 7292 has no known answers for its appendix B; these are the ones by which
// OpenSSL and Bouncy Castle are tested.
func TestKnownAnswersOfPKCS12(t *testing.T) {
	for _, c := range []struct {
		pass, salt string
		purpose    byte
		iterations int
		want       string
	}{
		{"smeg", "0A58CF64530D823F", forCipher, 1, "8AAAE6297B6CB04642AB5B077851284EB7128F1A2A7FBCA3"},
		{"smeg", "0A58CF64530D823F", forIV, 1, "79993DFE048D3B76"},
		{"smeg", "642B99AB44FB4B1F", forCipher, 1, "F3A95FEC48D7711E985CFE67908C5AB79FA3D7C5CAA5D966"},
		{"smeg", "642B99AB44FB4B1F", forIV, 1, "C0A38D64A79BEA1D"},
		{"smeg", "3D83C0E4546AC140", forMAC, 1, "8D967D88F6CAA9D714800AB3D48051D63F73A312"},
		{"queeg", "05DEC959ACFF72F7", forCipher, 1000, "ED2034E36328830FF09DF1E1A07DD357185DAC0D4F9EB3D4"},
		{"queeg", "05DEC959ACFF72F7", forIV, 1000, "11DEDAD7758D4860"},
		{"queeg", "1682C0FC5B3F7EC5", forCipher, 1000, "483DD6E919D7DE2E8E648BA8F862F3FBFBDC2BCB2C02957F"},
		{"queeg", "1682C0FC5B3F7EC5", forIV, 1000, "9D461D1B00355C50"},
		{"queeg", "263216FCC2FAB31C", forMAC, 1000, "5EC4C7A80DF652294C3925B6489A7AB857C83476"},
	} {
		salt, want := unhex(t, c.salt), unhex(t, c.want)
		got, err := NewKeys(c.pass).derive(derivation{c.purpose, crypto.SHA1, string(salt), c.iterations, len(want)})
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%+v: %X, %v", c, got, err)
		}
	}
}

// RFC 7914 section 11 has them for the PBKDF2 of RFC 8018 with HMAC-SHA-256.
func TestKnownAnswersOfPBKDF2(t *testing.T) {
	for _, c := range []struct {
		pass, salt string
		iterations int
		want       string
	}{
		{"passwd", "salt", 1, "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783"},
		{"Password", "NaCl", 80000, "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56a1d425a1225833549adb841b51c9b3176a272bdebba1d078478f62b397f33c8d"},
	} {
		want := unhex(t, c.want)
		k := NewKeys(c.pass)
		for range 2 { // derived, then remembered
			if got, err := k.derive(derivation{forPBKDF2, crypto.SHA256, c.salt, c.iterations, 64}); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%+v: %x, %v", c, got, err)
			}
		}
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var schemes = []Scheme{TripleDES, AES256}

// content is a key, its certificate and a CA certificate.
func content(t testing.TB, key crypto.Signer, name string) Content {
	t.Helper()
	plain, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "leaf"}, KeyUsage: x509.KeyUsageDigitalSignature,
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
	c := Content{Key: plain, Name: name}
	for _, of := range []struct {
		cert *x509.Certificate
		key  crypto.PublicKey
	}{{leaf, key.Public()}, {ca, caKey.Public()}} {
		der, err := x509.CreateCertificate(rand.Reader, of.cert, ca, of.key, caKey)
		if err != nil {
			t.Fatal(err)
		}
		c.Certs = append(c.Certs, der)
	}
	return c
}

// someKeys are one of each algorithm.
func someKeys(t testing.TB) []crypto.Signer {
	t.Helper()
	_, ed, err1 := ed25519.GenerateKey(rand.Reader)
	ec, err2 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ec384, err3 := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	r, err4 := rsa.GenerateKey(rand.Reader, 2048)
	for _, err := range []error{err1, err2, err3, err4} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return []crypto.Signer{ec, ec384, r, ed}
}

func same(a, b Content) bool {
	return bytes.Equal(a.Key, b.Key) && a.Name == b.Name && slices.EqualFunc(a.Certs, b.Certs, bytes.Equal)
}

// opens is go-pkcs12, which knows nothing of us.
func opens(der []byte, pass string, c Content) error {
	key, cert, chain, err := pkcs12.DecodeChain(der, pass)
	if err != nil {
		return err
	}
	plain, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if !bytes.Equal(plain, c.Key) || !bytes.Equal(cert.Raw, c.Certs[0]) || len(chain) != len(c.Certs)-1 {
		return fmt.Errorf("something else comes back")
	}
	return nil
}

func TestReadsWhatItWrote(t *testing.T) {
	for _, key := range someKeys(t) {
		for _, s := range schemes {
			for _, name := range []string{"", "ada (laptop), Mattermost", "Ада, Ελλάς", "李 😀", strings.Repeat("é", MaxName)} {
				for _, iterations := range []int{1, 2, 2048} {
					c, k := content(t, key, name), NewKeys("pw")
					der, err := k.Write(s, c, iterations)
					if err != nil {
						t.Fatal(err)
					}
					derived := len(k.known)
					if got, err := k.Read(s, der); err != nil || !same(got, c) || len(k.known) != derived {
						t.Errorf("%T %d %q: %v", key, s, name, err)
					}
					if err := opens(der, "pw", c); err != nil {
						t.Errorf("go-pkcs12: %T %d %q: %v", key, s, name, err)
					}
					if _, err := NewKeys("pw").Read(s, der); err == nil {
						t.Error("keys that have written nothing read it")
					}
				}
			}
		}
	}
}

func TestRefusesToWrite(t *testing.T) {
	c := content(t, someKeys(t)[0], "")
	long := c
	long.Name = strings.Repeat("é", MaxName+1)
	for _, bad := range []struct {
		pass       string
		c          Content
		iterations int
	}{{"secret😀", c, 1}, {"pw", Content{}, 1}, {"pw", c, 0}, {"pw", long, 1}} {
		if der, err := NewKeys(bad.pass).Write(AES256, bad.c, bad.iterations); err == nil || der != nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v", err)
		}
	}
}

// Whatever bit of a file is another one, its reading is an error.
func TestFlippedBits(t *testing.T) {
	c := content(t, someKeys(t)[0], "ada, Mattermost")
	for _, s := range schemes {
		k := NewKeys("pw")
		der, err := k.Write(s, c, 3)
		if err != nil {
			t.Fatal(err)
		}
		for i := range der {
			for bit := range 8 {
				bad := bytes.Clone(der)
				bad[i] ^= 1 << bit
				if _, err := k.Read(s, bad); err == nil {
					t.Errorf("scheme %d: bit %d of octet %d is another one, and nobody sees it", s, bit, i)
				}
			}
		}
		for n := range der {
			if _, err := k.Read(s, der[:n]); err == nil {
				t.Errorf("cut to %d octets", n)
			}
		}
		if _, err := k.Read(s, append(der, 0)); err == nil {
			t.Error("an octet more")
		}
	}
}

// Nothing but the comparison of the key tells an altered IV.
func TestFlippedBitsOfKeys(t *testing.T) {
	for _, key := range someKeys(t) {
		c, k := content(t, key, ""), NewKeys("pw")
		der, err := k.WriteKey(c.Key, 3)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := k.ReadKey(der); err != nil || !bytes.Equal(got, c.Key) {
			t.Errorf("%T: %v", key, err)
		}
		for i := range der {
			for bit := range 8 {
				bad := bytes.Clone(der)
				bad[i] ^= 1 << bit
				if got, err := k.ReadKey(bad); err == nil && bytes.Equal(got, c.Key) {
					t.Errorf("%T: bit %d of octet %d is another one, and nobody sees it", key, bit, i)
				}
			}
		}
	}
}

// A writer that does one thing wrong, with a MAC that is right unless that is what
// is wrong, passes neither the check nor any reader.
func TestMutatedWriter(t *testing.T) {
	var bad []written
	c := content(t, someKeys(t)[0], "ada, Mattermost")
	type pieces struct{ certs, key, mac part }
	flip := func(b []byte) { b[0] ^= 0x55 }
	again := func(k *Keys, s Scheme, p *part, padded []byte) {
		block, iv, err := s.cipher(p.params, k.derive)
		if err != nil {
			t.Fatal(err)
		}
		p.data = make([]byte, len(padded))
		for i, prev := 0, iv; i < len(padded); i += block.BlockSize() {
			x := make([]byte, block.BlockSize())
			for j := range x {
				x[j] = padded[i+j] ^ prev[j]
			}
			block.Encrypt(p.data[i:], x)
			prev = p.data[i : i+block.BlockSize()]
		}
	}
	for name, mutate := range map[string]func(k *Keys, s Scheme, p *pieces){
		"salt of the key":                func(_ *Keys, _ Scheme, p *pieces) { flip(p.key.salt) },
		"salt of the certificates":       func(_ *Keys, _ Scheme, p *pieces) { flip(p.certs.salt) },
		"iterations of the key":          func(_ *Keys, _ Scheme, p *pieces) { p.key.iterations++ },
		"iterations of the certificates": func(_ *Keys, _ Scheme, p *pieces) { p.certs.iterations++ },
		"IV of the key": func(_ *Keys, s Scheme, p *pieces) {
			if s == AES256 {
				flip(p.key.iv)
			} else {
				flip(p.key.data)
			}
		},
		"IV of the certificates": func(_ *Keys, s Scheme, p *pieces) {
			if s == AES256 {
				flip(p.certs.iv)
			} else {
				flip(p.certs.data)
			}
		},
		"length of the key": func(_ *Keys, s Scheme, p *pieces) {
			p.key.data = p.key.data[:len(p.key.data)-s.size()]
		},
		"length of the certificates": func(_ *Keys, s Scheme, p *pieces) {
			p.certs.data = p.certs.data[:len(p.certs.data)-s.size()]
		},
		"half a block": func(_ *Keys, _ Scheme, p *pieces) { p.key.data = p.key.data[:len(p.key.data)-3] },
		"padding of zeros": func(k *Keys, s Scheme, p *pieces) {
			n := s.size() - len(c.Key)%s.size()
			again(k, s, &p.key, slices.Concat(c.Key, make([]byte, n)))
		},
		"padding of another count": func(k *Keys, s Scheme, p *pieces) {
			padded := s.pad(c.Key)
			padded[len(padded)-1]++
			again(k, s, &p.key, padded)
		},
		"MAC":            func(_ *Keys, _ Scheme, p *pieces) { flip(p.mac.data) },
		"salt of MAC":    func(_ *Keys, _ Scheme, p *pieces) { flip(p.mac.salt) },
		"rounds of MAC":  func(_ *Keys, _ Scheme, p *pieces) { p.mac.iterations++ },
		"length of MAC":  func(_ *Keys, _ Scheme, p *pieces) { p.mac.data = p.mac.data[:len(p.mac.data)-1] },
		"two MACs of it": func(_ *Keys, _ Scheme, p *pieces) { p.mac.data = append(p.mac.data, p.mac.data...) },
	} {
		for _, s := range schemes {
			k := NewKeys("pw")
			bags, err := certBags(c)
			if err != nil {
				t.Fatal(err)
			}
			write := func(mutate func(*Keys, Scheme, *pieces)) []byte {
				must := func(err error) {
					t.Helper()
					if err != nil {
						t.Fatal(err)
					}
				}
				var p pieces
				p.certs, err = s.encrypt(s.pad(bags), s.draw(3), k.derive)
				must(err)
				p.key, err = s.encrypt(s.pad(c.Key), s.draw(3), k.derive)
				must(err)
				p.mac.params = s.draw(3)
				ofMAC := strings.Contains(name, "MAC")
				if !ofMAC {
					mutate(k, s, &p)
				}
				safe, err := s.safe(c, p.certs, p.key)
				must(err)
				p.mac.data, err = s.mac(safe, p.mac.params, k.derive)
				must(err)
				if ofMAC {
					mutate(k, s, &p)
				}
				der, err := s.pfx(safe, p.mac)
				must(err)
				return der
			}
			if got, err := k.Read(s, write(func(*Keys, Scheme, *pieces) {})); err != nil || !same(got, c) {
				t.Fatalf("nothing mutated: %v", err)
			}
			der := write(mutate)
			if got, err := k.Read(s, der); err == nil && same(got, c) {
				t.Errorf("%s, scheme %d: the check passes it", name, s)
			}
			bad = append(bad, written{Content: c, scheme: s, pass: "pw", der: der, file: name})
		}
	}
	k := NewKeys("pw")
	der, err := k.Write(TripleDES, c, 3)
	if err != nil {
		t.Fatal(err)
	}
	good := written{Content: c, pass: "pw", der: der}
	for name, read := range readers(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := read(t, good); err != nil {
				t.Fatal("a good file:", err)
			}
			some := bad
			if name == "Java" || name == "NSS" { // a second for each file
				some = sample.OneIn(3, bad)
			}
			for _, w := range some {
				if read(t, w) == nil {
					t.Errorf("%s, scheme %d: it opens", w.file, w.scheme)
				}
			}
		})
	}
}

// Two files of the same content have nothing random in common.
func TestFreshSalts(t *testing.T) {
	c, k := content(t, someKeys(t)[0], ""), NewKeys("pw")
	for _, s := range schemes {
		for range 8 {
			if _, err := k.Write(s, c, 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	salts := map[string]bool{}
	for d := range k.known {
		salts[d.salt] = true
	}
	if len(salts) != len(schemes)*8*3 {
		t.Errorf("%d salts", len(salts))
	}
}

func TestKeysAreNotPrinted(t *testing.T) {
	k := NewKeys("hunter2hunter2")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		if said := fmt.Sprintf(verb, k); said != "[secret]" {
			t.Errorf("%s: %s", verb, said)
		}
	}
}
