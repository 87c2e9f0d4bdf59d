package pki

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestCSR(t *testing.T) {
	d := dir(t.TempDir())
	name := subjectDER(t, userName)
	for _, kind := range KeyTypes {
		t.Run(string(kind), func(t *testing.T) {
			key := keyFor(t, kind)
			der, err := MakeCSR(name, []SAN{{SANEmail, userName.Email}, {SANEmail, "second@mattermost.com"}}, pass("a & b"), key)
			if err != nil {
				t.Fatal(err)
			}
			data := EncodeCSR(der)
			csr, err := ParseCSR(data)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(csr.Subject, name) || len(csr.SANs) != 2 || PublicID(csr.Public) != PublicID(key.Public()) ||
				string(csr.Challenge()) != "a & b" || !bytes.Equal(csr.Raw, der) {
				t.Errorf("%+v", csr)
			}
			// DER sorts the members of a SET OF, and the shorter one is the challenge.
			challenge, extensions := []byte{0x86, 0xf7, 0x0d, 1, 9, 7}, []byte{0x86, 0xf7, 0x0d, 1, 9, 14}
			if i, j := bytes.Index(der, challenge), bytes.Index(der, extensions); i < 0 || j < i {
				t.Errorf("the attributes are not sorted: %d, %d", i, j)
			}
			said := string(openssl(t, "req", "-verify", "-noout", "-text", "-in", d.put(t, "csr", data)))
			for _, want := range []string{"emailAddress = mmuser@mattermost.com", "email:mmuser@mattermost.com, email:second@mattermost.com", "challengePassword        :a & b"} {
				if !strings.Contains(said, want) {
					t.Errorf("openssl does not say %q:\n%s", want, said)
				}
			}
		})
	}
}

func TestCSRWithoutAttributes(t *testing.T) {
	key := keyFor(t, ECDSAP256)
	der, err := MakeCSR(subjectDER(t, Subject{CommonName: "x"}), nil, word(""), key)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := ParseCSR(EncodeCSR(der))
	if err != nil || csr.Challenge() != nil || csr.SANs != nil {
		t.Errorf("%+v, %v", csr, err)
	}
	if out := string(openssl(t, "req", "-verify", "-noout", "-text", "-in", dir(t.TempDir()).put(t, "csr", EncodeCSR(der)))); !strings.Contains(out, "(none)") {
		t.Error(out)
	}
}

func TestChallengeIsPrintableStringWhereItFits(t *testing.T) {
	key, name := keyFor(t, ECDSAP256), subjectDER(t, userName)
	for text, want := range map[string]string{"Az09 '()+,-./:=?": "PRINTABLESTRING", "a*b": "UTF8STRING", "a@b": "UTF8STRING"} {
		der, err := MakeCSR(name, nil, pass(text), key)
		if err != nil {
			t.Fatal(err)
		}
		out := string(openssl(t, "asn1parse", "-inform", "DER", "-in", dir(t.TempDir()).put(t, "csr", der)))
		if _, after, _ := strings.Cut(out, ":challengePassword"); !strings.Contains(after, want) {
			t.Errorf("%q is no %s:\n%s", text, want, out)
		}
	}
}

func TestCSRRefuses(t *testing.T) {
	key, name := keyFor(t, ECDSAP256), subjectDER(t, userName)
	for _, c := range []struct {
		want      string
		subject   []byte
		sans      []SAN
		challenge string
	}{
		{"not a distinguished name", []byte{1}, nil, ""},
		{"name@domain", name, []SAN{{SANEmail, "x"}}, ""},
		{"dns:a.b is of a type", name, []SAN{{SANDNS, "a.b"}}, ""},
		{"longer than 255", name, nil, strings.Repeat("x", 256)},
	} {
		if _, err := MakeCSR(c.subject, c.sans, pass(c.challenge), key); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

func TestCSROfOthers(t *testing.T) {
	d := dir(t.TempDir())
	config := d.put(t, "config", []byte("[req]\ndistinguished_name=d\nattributes=a\nprompt=no\n[d]\nCN=mmuser\n[a]\nunstructuredName=x\nchallengePassword=secret1\n"))
	data := openssl(t, "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", d.put(t, "key", nil), "-config", config,
		"-addext", "subjectAltName=email:a@b.c", "-text")
	csr, err := ParseCSR(data)
	if err != nil || string(csr.Challenge()) != "secret1" || len(csr.SANs) != 1 || NameString(csr.Subject) != "CN = mmuser" {
		t.Fatalf("%+v, %v", csr, err)
	}
	for _, how := range [][]string{{"ed448"}, {"rsa:2048", "-md5"}} {
		odd := openssl(t, append([]string{"req", "-new", "-nodes", "-keyout", d.put(t, "odd", nil), "-subj", "/CN=x", "-newkey"}, how...)...)
		if _, err := ParseCSR(odd); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%v: %v", how, err)
		}
	}
	for name, bad := range map[string][]byte{
		"not signed with the key": alterDER(t, data, func(b []byte) { b[len(b)-1] ^= 1 }),
		"other than":              append(bytes.Clone(data), EncodeCertificate([]byte{1})...),
		"more than one":           append(bytes.Clone(data), data...),
		"no PEM":                  nil,
		"cut or altered":          append(bytes.Clone(data), "-----BEGIN CERTIFICATE REQUEST-----\nMII"...),
		"cannot be read":          EncodeCSR([]byte{0x30, 0}),
		"private key":             append(bytes.Clone(data), read(t, string(d)+"/key")...),
	} {
		if _, err := ParseCSR(bad); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want %q", err, name)
		}
	}
}
