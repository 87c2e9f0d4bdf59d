package pki

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"strings"
	"testing"

	"software.sslmate.com/src/go-pkcs12"
)

func TestP12(t *testing.T) {
	d := dir(t.TempDir())
	caKey := keyFor(t, ECDSAP256)
	for _, kind := range KeyTypes {
		for _, profile := range Profiles {
			t.Run(string(kind)+" "+string(profile), func(t *testing.T) {
				key := keyFor(t, kind)
				ca, cert := issue(t, caKey, key)
				der, err := profile.Encode(key, cert, []*x509.Certificate{ca}, NewKeys(pass("pw")), 2050)
				if err != nil {
					t.Fatal(err)
				}
				info, err := InspectP12(der)
				if err != nil || info.Profile != profile || info.Iterations != 2050 {
					t.Errorf("%+v, %v", info, err)
				}
				p, err := OpenP12(der, pass("pw"))
				if err != nil {
					t.Fatal(err)
				}
				if PublicID(p.Key.Public()) != PublicID(key.Public()) || !p.Cert.Equal(cert) || len(p.Chain) != 1 || !p.Chain[0].Equal(ca) {
					t.Error("something else comes back")
				}
				if _, err := OpenP12(der, pass("wrong")); !errors.Is(err, ErrPassphrase) {
					t.Error(err)
				}
				out := openssl(t, "pkcs12", "-in", d.put(t, "p12", der), "-passin", "pass:pw", "-nodes")
				if n := bytes.Count(out, []byte("BEGIN CERTIFICATE")); n != 2 || !bytes.Contains(out, EncodeCertificate(cert.Raw)) {
					t.Errorf("openssl reads %d certificates", n)
				}
				said, _ := runOpenSSLTalk("pkcs12", "-info", "-noout", "-in", d.put(t, "p12", der), "-passin", "pass:pw")
				want := "MAC: sha1, Iteration 2050"
				if profile == Modern {
					want = "MAC: sha256, Iteration 2050"
				}
				if !strings.Contains(said, want) || strings.Count(said, "teration 2050") != 3 || strings.Contains(said, "RC2") {
					t.Errorf("openssl says:\n%s", said)
				}
			})
		}
	}
}

// runOpenSSLTalk returns what openssl says on standard error.
func runOpenSSLTalk(args ...string) (string, error) {
	out, err := opensslCommand(args...).CombinedOutput()
	return string(out), err
}

func TestP12Refuses(t *testing.T) {
	key := keyFor(t, ECDSAP256)
	_, cert := issue(t, key, keyFor(t, Ed25519))
	_, own := issue(t, keyFor(t, Ed25519), key)
	for _, c := range []struct {
		want       string
		profile    Profile
		cert       *x509.Certificate
		pass       word
		iterations int
	}{
		{"does not exist", "rc2", own, pass("pw"), 2048},
		{"without a passphrase", Compat, own, word(""), 2048},
		{"takes 2048 to", Compat, own, pass("pw"), 2047},
		{"iterations", Modern, own, pass("pw"), 0},
		{"does not belong", Modern, cert, pass("pw"), 1},
		{"cannot be encoded", Modern, own, pass("secret\U0001F600"), 1},
	} {
		der, err := c.profile.Encode(key, c.cert, nil, NewKeys(c.pass), c.iterations)
		if err == nil || der != nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

// Files as openssl, old and new, and the library can write them.
func TestInspectP12OfOthers(t *testing.T) {
	d := dir(t.TempDir())
	caKey, key := keyFor(t, ECDSAP256), keyFor(t, RSA2048)
	_, cert := issue(t, caKey, key)
	keyPEM, err := EncryptKey(key, NewKeys(pass("pw")), 1)
	if err != nil {
		t.Fatal(err)
	}
	keyFile, certFile := d.put(t, "key", keyPEM), d.put(t, "cert", EncodeCertificate(cert.Raw))
	for _, c := range []struct {
		name  string
		args  []string
		want  P12Info
		opens bool // by the library
	}{
		{"default", nil, P12Info{Modern, "AES-256 + SHA-256", 2048}, true},
		{"more iterations", []string{"-iter", "5000"}, P12Info{Modern, "AES-256 + SHA-256", 5000}, true},
		{"3DES", []string{"-legacy", "-descert"}, P12Info{Compat, "3DES + SHA-1", 2048}, true},
		{"3DES without -legacy", []string{"-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1", "-iter", "2048"}, P12Info{Compat, "3DES + SHA-1", 2048}, true},
		{"a MAC of one round", []string{"-legacy", "-descert", "-nomaciter"}, P12Info{"", "3DES + SHA-1", 1}, true},
		{"RC2", []string{"-legacy"}, P12Info{"", "3DES + RC2-40 + SHA-1", 2048}, true},
		{"another MAC", []string{"-macalg", "sha512"}, P12Info{"", "AES-256 + SHA-512", 2048}, true},
		{"AES-128", []string{"-keypbe", "AES-128-CBC", "-certpbe", "AES-128-CBC"}, P12Info{"", "PBES2 AES-128-CBC PBKDF2-HMAC-SHA256 + SHA-256", 2048}, true},
		{"open certificates", []string{"-certpbe", "NONE"}, P12Info{"", "AES-256 + unencrypted + SHA-256", 2048}, true},
		{"open key", []string{"-keypbe", "NONE"}, P12Info{"", "unencrypted + AES-256 + SHA-256", 2048}, true},
		{"no MAC", []string{"-nomac"}, P12Info{"", "AES-256 + unencrypted + no MAC", 2048}, false},
		{"no key", []string{"-nokeys"}, P12Info{"", "AES-256 + SHA-256", 2048}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := d.put(t, "p12", nil)
			openssl(t, append([]string{"pkcs12", "-export", "-inkey", keyFile, "-in", certFile, "-passin", "pass:pw", "-passout", "pass:pw", "-out", out}, c.args...)...)
			der := read(t, out)
			info, err := InspectP12(der)
			if err != nil || info != c.want {
				t.Errorf("%+v, %v, want %+v", info, err, c.want)
			}
			if p, err := OpenP12(der, pass("pw")); (err == nil) != c.opens || (p != nil) != c.opens {
				t.Errorf("opening: %v", err)
			}
		})
	}
	der, err := pkcs12.Modern2026.WithIterations(777).Encode(key, cert, nil, "pw")
	if err != nil {
		t.Fatal(err)
	}
	if info, err := InspectP12(der); err != nil || info != (P12Info{"", "AES-256 + PBMAC1", 777}) {
		t.Errorf("%+v, %v", info, err)
	}
}

func TestDamagedP12(t *testing.T) {
	key := keyFor(t, ECDSAP256)
	_, cert := issue(t, keyFor(t, Ed25519), key)
	der, err := Modern.Encode(key, cert, nil, NewKeys(pass("pw")), 1)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{
		"empty":        nil,
		"cut":          der[:len(der)-1],
		"more":         append(bytes.Clone(der), 0),
		"not DER":      append([]byte{0x30, 0x80}, der...),
		"another type": EncodeCertificate(cert.Raw),
	} {
		if _, err := InspectP12(bad); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := OpenP12(bad, pass("pw")); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	many, err := Modern.Encode(key, cert, nil, NewKeys(pass("pw")), 2050)
	if err != nil {
		t.Fatal(err)
	}
	copy(many[bytes.LastIndex(many, []byte{2, 2, 0x08, 0x02}):], []byte{2, 2, 0xff, 0xff})
	if _, err := OpenP12(many, pass("pw")); !errors.Is(err, ErrDamaged) {
		t.Errorf("a negative iteration count of the MAC: %v", err)
	}
	// With any octet altered it never opens and never panics.
	for i := range der {
		if p, err := OpenP12(flip(der, i), pass("pw")); err == nil && !p.Cert.Equal(cert) {
			t.Errorf("octet %d altered: another certificate comes back", i)
		}
	}
}

func TestFriendlyName(t *testing.T) {
	named := func(cn string, org ...string) *x509.Certificate {
		return &x509.Certificate{Subject: pkix.Name{CommonName: cn, Organization: org}}
	}
	wide, long := strings.Repeat("😀", 64), strings.Repeat("é", 200)
	for _, c := range []struct {
		cert *x509.Certificate
		ca   []*x509.Certificate
		want string
	}{
		{named("ada"), []*x509.Certificate{named("ca", "Mattermost")}, "ada, Mattermost"},
		{named("ada (laptop)", "Other"), []*x509.Certificate{named("ca", "Mattermost"), named("root", "Root")}, "ada (laptop), Mattermost"},
		{named("ada"), []*x509.Certificate{named("Example CA")}, "ada, Example CA"},
		{named("ada"), []*x509.Certificate{named("Example CA", "")}, "ada, Example CA"},
		{named("ada"), []*x509.Certificate{named("")}, "ada"},
		{named("ada"), nil, "ada"},
		{named(""), []*x509.Certificate{named("ca", "Mattermost")}, "Mattermost"},
		{named(wide), []*x509.Certificate{named("ca", wide)}, wide + ", " + strings.Repeat("😀", 62)},
		{named(long), []*x509.Certificate{named("ca", long)}, long + ", " + strings.Repeat("é", 53)},
		{named("a\xff"), nil, "a\uFFFD"},
	} {
		if got := FriendlyName(c.cert, c.ca); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// What was written is read again with the keys at hand, and by no others.
func TestReopen(t *testing.T) {
	key := keyFor(t, RSA2048)
	ca, cert := issue(t, keyFor(t, ECDSAP256), key)
	for _, profile := range Profiles {
		keys := NewKeys(pass("pw"))
		der, err := profile.Encode(key, cert, []*x509.Certificate{ca}, keys, 2048)
		if err != nil {
			t.Fatal(err)
		}
		p, err := profile.Reopen(der, keys)
		if err != nil || PublicID(p.Key.Public()) != PublicID(key.Public()) || !p.Cert.Equal(cert) || len(p.Chain) != 1 || !p.Chain[0].Equal(ca) ||
			p.Name != "mmuser, Mattermost" {
			t.Errorf("%s: %+v, %v", profile, p, err)
		}
		for name, bad := range map[string]func() error{
			"fresh keys":      func() error { _, err := profile.Reopen(der, NewKeys(pass("pw"))); return err },
			"an altered file": func() error { _, err := profile.Reopen(flip(der, len(der)/2), keys); return err },
			"no profile":      func() error { _, err := Profile("rc2").Reopen(der, keys); return err },
		} {
			if bad() == nil {
				t.Errorf("%s: %s: it is read", profile, name)
			}
		}
		if said := fmt.Sprintf("%v %+v %#v", keys, keys, struct{ K *Keys }{keys}); strings.Contains(said, "pw") {
			t.Errorf("it prints %s", said)
		}
	}
}
