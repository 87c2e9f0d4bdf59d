package pki

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"math/big"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

func TestSubjectDER(t *testing.T) {
	der := subjectDER(t, Subject{Country: "US", CommonName: "ä", Email: "a@b"})
	const want = "302e" +
		"310b3009" + "0603550406" + "13025553" + // C, PrintableString
		"310b3009" + "0603550403" + "0c02c3a4" + // CN, UTF8String
		"31123010" + "06092a864886f70d010901" + "1603614062" // emailAddress, IA5String
	if got := hex.EncodeToString(der); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	back, rest, err := ParseSubject(subjectDER(t, caName))
	if back != caName || rest != nil || err != nil {
		t.Errorf("%+v, %v, %v", back, rest, err)
	}
	if _, err := (Subject{Country: "usa", CommonName: "x"}).DER(); err == nil || !strings.Contains(err.Error(), "country") {
		t.Errorf("a name that cannot be issued is encoded: %v", err)
	}
}

// A pair is an attribute for names that a Subject cannot hold.
type pair struct {
	oid   string
	tag   cbasn1.Tag
	value string
}

func rawName(t testing.TB, rdns ...[]pair) []byte {
	t.Helper()
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, rdn := range rdns {
			b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
				for _, p := range rdn {
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						oid, err := x509.ParseOID(p.oid)
						if err != nil {
							t.Fatal(err)
						}
						der, err := oid.MarshalBinary()
						if err != nil {
							t.Fatal(err)
						}
						b.AddASN1(cbasn1.OBJECT_IDENTIFIER, func(b *cryptobyte.Builder) { b.AddBytes(der) })
						b.AddASN1(p.tag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(p.value)) })
					})
				}
			})
		}
	})
	der, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

const cn = "2.5.4.3"

func one(p pair) []pair { return []pair{p} }

func TestParseSubjectOfOthers(t *testing.T) {
	der := rawName(t,
		one(pair{"2.5.4.6", cbasn1.UTF8String, "DE"}),
		one(pair{"2.5.4.10", cbasn1.T61String, "M\xfcller"}),
		one(pair{"2.5.4.11", tagBMP, "\x00O\x20\xac"}),
		one(pair{"2.5.4.11", cbasn1.UTF8String, "second"}),
		one(pair{"0.9.2342.19200300.100.1.25", cbasn1.IA5String, "org"}),
		[]pair{{cn, cbasn1.UTF8String, "x"}, {"2.5.4.4", cbasn1.UTF8String, "y"}},
		one(pair{"2.5.4.7", cbasn1.OCTET_STRING, "z"}),
		one(pair{cn, cbasn1.PrintableString, "mmuser"}),
	)
	s, rest, err := ParseSubject(der)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Subject{Country: "DE", Organization: "Müller", OrganizationalUnit: "O€", CommonName: "mmuser"}); s != want {
		t.Errorf("%+v", s)
	}
	if want := []string{"OU = second", "DC = org", "CN = x + SN = y", "L = #04017A"}; !reflect.DeepEqual(rest, want) {
		t.Errorf("%q", rest)
	}
	for _, bad := range []string{"", "30", "3003", "300331013000", "0500", "30003000"} {
		b, _ := hex.DecodeString(bad)
		if _, _, err := ParseSubject(b); err == nil {
			t.Errorf("%q is taken for a name", bad)
		}
	}
}

// The names are put into certificates, and openssl says how it prints them.
func TestNamesAsOpenSSLPrintsThem(t *testing.T) {
	d := dir(t.TempDir())
	key := keyFor(t, ECDSAP256)
	for _, c := range []struct {
		name     string
		der      []byte
		readable string // "" for what openssl prints with -nameopt utf8
	}{
		{"the guide's", subjectDER(t, caName), ""},
		{"non-ASCII", rawName(t, one(pair{cn, cbasn1.UTF8String, "Zoë Müller €"})), "CN = Zoë Müller €"},
		{"quotes and commas", rawName(t, one(pair{cn, cbasn1.UTF8String, `a, "b" \c;<d>+e`})), ""},
		{"edges", rawName(t, one(pair{cn, cbasn1.UTF8String, " a "}), one(pair{"2.5.4.10", cbasn1.UTF8String, "#b#"})), ""},
		{"slashes", rawName(t, one(pair{cn, cbasn1.UTF8String, "x/emailAddress=admin@b+c"})), ""},
		{"control characters", rawName(t, one(pair{cn, cbasn1.UTF8String, "a\x00\x1b[31m\nb\x7f"})), `CN = a\00\1B[31m\0Ab\7F`},
		{"C1 control characters", rawName(t, one(pair{cn, cbasn1.UTF8String, "a\u009b31mb"})), `CN = a\C2\9B31mb`},
		{"bidirectional", rawName(t, one(pair{cn, cbasn1.UTF8String, "a\u202eb"})), `CN = a\E2\80\AEb`},
		{"Latin-1", rawName(t, one(pair{cn, cbasn1.T61String, "M\xfcller"})), "CN = Müller"},
		{"BMPString", rawName(t, one(pair{cn, tagBMP, "\x00O\x20\xac"})), "CN = O€"},
		{"several in one RDN", rawName(t, []pair{{cn, cbasn1.UTF8String, "x"}, {"2.5.4.5", cbasn1.PrintableString, "1"}}), ""},
		{"unknown attribute", rawName(t, one(pair{"1.2.3.4.5", cbasn1.UTF8String, "x"})), ""},
		{"many", rawName(t, one(pair{"2.5.4.4", cbasn1.UTF8String, "a"}), one(pair{"2.5.4.42", cbasn1.UTF8String, "b"}),
			one(pair{"0.9.2342.19200300.100.1.1", cbasn1.UTF8String, "c"}), one(pair{"2.5.4.12", cbasn1.UTF8String, "d"})), ""},
		{"empty value", rawName(t, one(pair{cn, cbasn1.UTF8String, ""})), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: to, RawSubject: c.der, SignatureAlgorithm: x509.ECDSAWithSHA256}
			cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
			if err != nil {
				t.Fatal(err)
			}
			p := d.put(t, "c", EncodeCertificate(cert))
			said := func(opt string) string {
				out := string(openssl(t, "x509", "-noout", "-subject", "-nameopt", opt, "-in", p))
				return strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(out, "subject="), " "), "\n")
			}
			if got, want := NameOneLine(c.der), said("compat"); got != want {
				t.Errorf("one line: %q, want %q", got, want)
			}
			if got, want := opensslName(c.der), said("oneline"); got != want {
				t.Errorf("as openssl: %q, want %q", got, want)
			}
			want := c.readable
			if want == "" {
				want = said("oneline,utf8,-esc_msb")
			}
			if got := NameString(c.der); got != want {
				t.Errorf("for people: %q, want %q", got, want)
			}
		})
	}
	// OpenSSL refuses to read these two at all.
	if got := NameString(rawName(t, one(pair{cn, cbasn1.UTF8String, "a\xffb"}))); got != `CN = a\FFb` {
		t.Error(got)
	}
	if got := NameString(rawName(t, one(pair{cn, cbasn1.OCTET_STRING, "z"}))); got != "CN = #04017A" {
		t.Error(got)
	}
	if got := NameString([]byte{1}); got != "(unreadable name)" {
		t.Error(got)
	}
}

func TestDERIsWhatTheStandardLibraryReads(t *testing.T) {
	var seq pkix.RDNSequence
	if rest, err := asn1.Unmarshal(subjectDER(t, caName), &seq); err != nil || len(rest) > 0 {
		t.Fatal(err)
	}
	var n pkix.Name
	n.FillFromRDNSequence(&seq)
	if n.CommonName != caName.CommonName || n.Country[0] != "US" || len(n.Names) != 7 {
		t.Errorf("%+v", n)
	}
	for i, rdn := range seq {
		if len(rdn) != 1 {
			t.Errorf("RDN %d has %d attributes", i, len(rdn))
		}
	}
}
