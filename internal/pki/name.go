package pki

import (
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// A field of a Subject: how it is encoded and what bounds it.
type field struct {
	name string // as the spec writes it
	oid  asn1.ObjectIdentifier
	tag  cbasn1.Tag
	max  int // characters, RFC 5280 appendix A.1
	in   func(*Subject) *string
}

var (
	oidEmail = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}

	// fields in the order in which they are encoded.
	fields = []field{
		{"country", asn1.ObjectIdentifier{2, 5, 4, 6}, cbasn1.PrintableString, 2, func(s *Subject) *string { return &s.Country }},
		{"province", asn1.ObjectIdentifier{2, 5, 4, 8}, cbasn1.UTF8String, 128, func(s *Subject) *string { return &s.Province }},
		{"locality", asn1.ObjectIdentifier{2, 5, 4, 7}, cbasn1.UTF8String, 128, func(s *Subject) *string { return &s.Locality }},
		{"organization", asn1.ObjectIdentifier{2, 5, 4, 10}, cbasn1.UTF8String, 64, func(s *Subject) *string { return &s.Organization }},
		{"organizational_unit", asn1.ObjectIdentifier{2, 5, 4, 11}, cbasn1.UTF8String, 64, func(s *Subject) *string { return &s.OrganizationalUnit }},
		{"common_name", asn1.ObjectIdentifier{2, 5, 4, 3}, cbasn1.UTF8String, 64, func(s *Subject) *string { return &s.CommonName }},
		{"email", oidEmail, cbasn1.IA5String, 255, func(s *Subject) *string { return &s.Email }},
	}

	// shortNames are what OpenSSL calls the attributes of names.
	shortNames = map[string]string{
		"2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST",
		"2.5.4.9": "street", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "title", "2.5.4.13": "description",
		"2.5.4.15": "businessCategory", "2.5.4.17": "postalCode", "2.5.4.20": "telephoneNumber", "2.5.4.41": "name",
		"2.5.4.42": "GN", "2.5.4.43": "initials", "2.5.4.44": "generationQualifier", "2.5.4.45": "x500UniqueIdentifier",
		"2.5.4.46": "dnQualifier", "2.5.4.65": "pseudonym", "2.5.4.97": "organizationIdentifier",
		"0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.25": "DC",
		"1.2.840.113549.1.9.1": "emailAddress", "1.2.840.113549.1.9.2": "unstructuredName",
	}
)

// DER encodes the name: C as PrintableString, emailAddress as IA5String, the
// others as UTF8String, one attribute per RDN, empty fields left out (RFC 5280
// section 4.1.2.4). The error is the first of [Subject.Problems].
func (s Subject) DER() ([]byte, error) {
	if p := s.Problems(); len(p) > 0 {
		return nil, fmt.Errorf("subject %s: %s", p[0].Field, p[0].Summary)
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, f := range fields {
			value := *f.in(&s)
			if value == "" {
				continue
			}
			b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(f.oid)
					b.AddASN1(f.tag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(value)) })
				})
			})
		}
	})
	return b.Bytes()
}

// attribute is one AttributeTypeAndValue.
type attribute struct {
	oid asn1.ObjectIdentifier
	tag cbasn1.Tag
	raw []byte // content octets
	der []byte // the value with its header
}

// parseName reads a Name as its RDNs.
func parseName(der []byte) ([][]attribute, error) {
	bad := errors.New("not a distinguished name")
	in := cryptobyte.String(der)
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() {
		return nil, bad
	}
	var rdns [][]attribute
	for !seq.Empty() {
		var set cryptobyte.String
		if !seq.ReadASN1(&set, cbasn1.SET) || set.Empty() {
			return nil, bad
		}
		var rdn []attribute
		for !set.Empty() {
			var a attribute
			var pair, value, content cryptobyte.String
			if !set.ReadASN1(&pair, cbasn1.SEQUENCE) || !pair.ReadASN1ObjectIdentifier(&a.oid) ||
				!pair.ReadAnyASN1Element(&value, &a.tag) || !pair.Empty() {
				return nil, bad
			}
			a.der = value
			if !value.ReadAnyASN1(&content, &a.tag) {
				return nil, bad
			}
			a.raw = content
			rdn = append(rdn, a)
		}
		rdns = append(rdns, rdn)
	}
	return rdns, nil
}

// ParseSubject reads a DER name into the fields of a Subject, whatever string
// types it uses. rest describes what a Subject cannot hold: other attributes,
// repeated ones, RDNs of several attributes, values that are not text.
func ParseSubject(der []byte) (s Subject, rest []string, err error) {
	rdns, err := parseName(der)
	if err != nil {
		return s, nil, err
	}
	for _, rdn := range rdns {
		if !s.take(rdn) {
			rest = append(rest, rdnString(rdn, readable))
		}
	}
	return s, rest, nil
}

func (s *Subject) take(rdn []attribute) bool {
	if len(rdn) != 1 {
		return false
	}
	text, ok := rdn[0].text()
	if !ok || text == "" {
		return false
	}
	for _, f := range fields {
		if p := f.in(s); f.oid.Equal(rdn[0].oid) && *p == "" {
			*p = text
			return true
		}
	}
	return false
}

// text decodes the value of a string type.
func (a attribute) text() (string, bool) {
	s, ok := a.utf8()
	return string(s), ok && utf8.Valid(s)
}

// utf8 converts a value as OpenSSL does, which does not check a UTF8String.
func (a attribute) utf8() ([]byte, bool) {
	switch a.tag {
	case cbasn1.UTF8String:
		return a.raw, true
	case cbasn1.PrintableString, cbasn1.IA5String, cbasn1.T61String, tagNumeric, tagVisible:
		var b []byte
		for _, c := range a.raw {
			b = utf8.AppendRune(b, rune(c))
		}
		return b, true
	case tagBMP:
		if len(a.raw)%2 != 0 {
			return nil, false
		}
		units := make([]uint16, 0, len(a.raw)/2)
		for i := 0; i < len(a.raw); i += 2 {
			units = append(units, uint16(a.raw[i])<<8|uint16(a.raw[i+1]))
		}
		return []byte(string(utf16.Decode(units))), true
	case tagUniversal:
		if len(a.raw)%4 != 0 {
			return nil, false
		}
		var b []byte
		for i := 0; i < len(a.raw); i += 4 {
			b = utf8.AppendRune(b, rune(uint32(a.raw[i])<<24|uint32(a.raw[i+1])<<16|uint32(a.raw[i+2])<<8|uint32(a.raw[i+3])))
		}
		return b, true
	}
	return nil, false
}

const (
	tagNumeric   = cbasn1.Tag(18)
	tagVisible   = cbasn1.Tag(26)
	tagUniversal = cbasn1.Tag(28)
	tagBMP       = cbasn1.Tag(30)
)

func (a attribute) typeName() string { return nameOf(a.oid, shortNames) }

// nameOf is the name of an object identifier, or the identifier itself where it
// has none.
func nameOf(oid asn1.ObjectIdentifier, names map[string]string) string {
	text := oid.String()
	if n, ok := names[text]; ok {
		return n
	}
	return text
}

// NameString prints a DER name for people, in its order, as "openssl x509
// -subject -nameopt utf8,oneline" does: "C = US, O = Mattermost, CN = mmuser".
// Characters that could harm a terminal are escaped, bidirectional controls among
// them. A name that cannot be read is "(unreadable name)".
func NameString(der []byte) string { return nameString(der, readable) }

// opensslName is NameString with every byte outside ASCII as \XX, which is
// how OpenSSL prints by default (RFC 2253 with quotes).
func opensslName(der []byte) string { return nameString(der, escaped) }

type charset int

const (
	readable charset = iota
	escaped
)

func nameString(der []byte, set charset) string {
	rdns, err := parseName(der)
	if err != nil {
		return "(unreadable name)"
	}
	parts := make([]string, len(rdns))
	for i, rdn := range rdns {
		parts[i] = rdnString(rdn, set)
	}
	return strings.Join(parts, ", ")
}

func rdnString(rdn []attribute, set charset) string {
	parts := make([]string, len(rdn))
	for i, a := range rdn {
		parts[i] = a.typeName() + " = " + a.quoted(set)
	}
	return strings.Join(parts, " + ")
}

// quoted prints a value by RFC 2253, with quotes around it instead of
// backslashes in it where either would do.
func (a attribute) quoted(set charset) string {
	text, ok := a.utf8()
	if !ok {
		return "#" + strings.ToUpper(hex.EncodeToString(a.der))
	}
	var b strings.Builder
	quotes := false
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		c := text[i]
		switch {
		case c < 0x20 || c == 0x7f, c >= 0x80 && (set == escaped || (r == utf8.RuneError && size == 1)):
			fmt.Fprintf(&b, `\%02X`, c)
			size = 1
		case c >= 0x80 && (unicode.IsControl(r) || invisible(r)):
			for _, c := range text[i : i+size] {
				fmt.Fprintf(&b, `\%02X`, c)
			}
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		default:
			edge := c == ' ' && (i == 0 || i == len(text)-1) || c == '#' && i == 0
			quotes = quotes || edge || strings.IndexByte(",+;<>", c) >= 0
			b.Write(text[i : i+size])
		}
		i += size
	}
	if quotes {
		return `"` + b.String() + `"`
	}
	return b.String()
}
