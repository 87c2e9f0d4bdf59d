package pki

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Form is how the content of a file is written, where that is not the PEM that
// OpenSSL reads: "" for PEM, "DER", "UTF-16", "UTF-8 with a byte order mark", or
// "lines that end in CR alone". Text around the PEM, and CRLF at the line ends, are
// read by everybody.
func Form(data []byte) string {
	_, form := plainText(data)
	return form
}

const (
	formDER   = "DER"
	formUTF16 = "UTF-16"
	formBOM   = "UTF-8 with a byte order mark"
	formCR    = "lines that end in CR alone"
)

// plainText is a text in UTF-8, without a byte order mark and with line feeds at the
// ends of lines; DER stays as it is.
func plainText(data []byte) (text []byte, form string) {
	switch {
	case isDER(data):
		return data, formDER
	case IsUTF16(data):
		text, form = fromUTF16(data), formUTF16
	case bytes.HasPrefix(data, []byte("\ufeff")):
		text, form = data[len("\ufeff"):], formBOM
	default:
		text = data
	}
	if bytes.IndexByte(text, '\r') >= 0 && bytes.IndexByte(text, '\n') < 0 {
		text = bytes.ReplaceAll(text, []byte("\r"), []byte("\n"))
		if form == "" {
			form = formCR
		}
	}
	return text, form
}

// isDER reports whether data is one SEQUENCE and nothing else.
func isDER(data []byte) bool {
	in := cryptobyte.String(data)
	var seq cryptobyte.String
	return in.ReadASN1(&seq, cbasn1.SEQUENCE) && in.Empty()
}

// IsUTF16 reports whether a text is UTF-16. It goes by the byte order mark, which PowerShell
// writes, or by the zero bytes beside the first characters, which are ASCII in every file
// that is meant here.
func IsUTF16(data []byte) bool {
	if bytes.HasPrefix(data, []byte{0xff, 0xfe}) || bytes.HasPrefix(data, []byte{0xfe, 0xff}) {
		return true
	}
	return len(data) > 3 && len(data)%2 == 0 &&
		(data[0] == 0 && data[1] != 0 && data[2] == 0 && data[3] != 0 || data[0] != 0 && data[1] == 0 && data[2] != 0 && data[3] == 0)
}

func fromUTF16(data []byte) []byte {
	big := data[0] == 0xfe || data[0] == 0
	units := make([]uint16, len(data)/2)
	for i := range units {
		lo, hi := data[2*i], data[2*i+1]
		if big {
			lo, hi = hi, lo
		}
		units[i] = uint16(hi)<<8 | uint16(lo)
	}
	var out []byte
	for _, r := range utf16.Decode(units) {
		if r != '\ufeff' {
			out = utf8.AppendRune(out, r)
		}
	}
	return out
}

// asPEM is the text of a file that may be DER, with a type for what is in it: the
// first that parses takes it.
func asPEM(data []byte, types ...derType) []byte {
	text, form := plainText(data)
	if form != formDER {
		return text
	}
	for _, t := range types {
		if t.is(data) {
			return pem.EncodeToMemory(&pem.Block{Type: t.pem, Bytes: data})
		}
	}
	return text
}

// derType is what DER may be.
type derType struct {
	pem string // type of its PEM block
	is  func(der []byte) bool
}

var (
	derCertificate  = derType{pemCertificate, func(der []byte) bool { _, err := x509.ParseCertificate(der); return err == nil }}
	derCRL          = derType{pemCRL, func(der []byte) bool { _, err := parseCRL(der); return err == nil }}
	derEncryptedKey = derType{pemEncryptedKey, func(der []byte) bool { _, err := parseEncrypted(der); return err == nil }}
	derPlainKey     = derType{"PRIVATE KEY", func(der []byte) bool { _, err := parsePlainKey(der); return err == nil }}
)

// otherContent names what somebody has put where a certificate or a key belongs, with
// the command that takes out what does; "" for what it does not know.
func otherContent(data []byte) string {
	text, form := plainText(data)
	pkcs7 := []byte("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02")
	switch {
	case bytes.Contains(text, []byte("-----BEGIN PKCS7-----")), bytes.Contains(text, []byte("-----BEGIN CERTIFICATE CHAIN-----")):
		return "it is a PKCS #7 bundle: openssl pkcs7 -print_certs takes the certificates out of it"
	case form != formDER:
		return ""
	case bytes.Contains(data[:min(len(data), 40)], pkcs7):
		return "it is a PKCS #7 bundle: openssl pkcs7 -inform DER -print_certs takes the certificates out of it"
	case derCertificate.is(data):
		return "it is a certificate"
	case derPlainKey.is(data), derEncryptedKey.is(data):
		return "it is a private key"
	}
	if _, err := parsePFX(data); err == nil {
		return "it is a PKCS #12 file: give it the name of the user's .p12"
	}
	return ""
}

// withForm adds the form of a file to the encoding of the key in it.
func withForm(encoding string, data []byte) string {
	if form := Form(data); form != "" {
		return strings.Join([]string{encoding, form}, ", ")
	}
	return encoding
}

// strangeKey names a key that crypto/x509 does not read: DSA, or of a curve that TLS
// does not offer; "" for none that is known.
func strangeKey(der []byte) string {
	const dsa, ec = "1.2.840.10040.4.1", "1.2.840.10045.2.1"
	in := cryptobyte.String(der)
	var seq, alg, key cryptobyte.String
	var version int
	var kind, curve asn1.ObjectIdentifier
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.ReadASN1Integer(&version) {
		return ""
	}
	switch {
	case seq.PeekASN1Tag(cbasn1.SEQUENCE): // PKCS #8
		if !seq.ReadASN1(&alg, cbasn1.SEQUENCE) || !alg.ReadASN1ObjectIdentifier(&kind) {
			return ""
		}
	case seq.ReadASN1(&key, cbasn1.OCTET_STRING) && seq.ReadASN1(&alg, cbasn1.Tag(0).ContextSpecific().Constructed()): // SEC 1
		kind = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
	default:
		return ""
	}
	switch kind.String() {
	case dsa:
		return "a DSA key"
	case ec:
		if !alg.ReadASN1ObjectIdentifier(&curve) {
			return "an EC key with parameters of its own"
		}
		if name, strange := curves[curve.String()]; strange {
			return "an EC key on the curve " + name
		}
	}
	return ""
}

// curves are those that OpenSSL offers, and TLS does not.
var curves = map[string]string{
	"1.3.132.0.10": "secp256k1", "1.3.36.3.3.2.8.1.1.7": "brainpoolP256r1", "1.3.36.3.3.2.8.1.1.11": "brainpoolP384r1", "1.3.36.3.3.2.8.1.1.13": "brainpoolP512r1",
	"1.2.840.10045.3.1.1": "prime192v1",
}
