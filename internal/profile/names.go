package profile

import (
	"encoding/asn1"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// attribute is one AttributeTypeAndValue (RFC 5280 section 4.1.2.4).
type attribute struct {
	oid   string
	tag   cbasn1.Tag
	value string
}

// attributeRule is what an attribute has to be: the order of the table is the
// order in the name, the bound is that of RFC 5280 appendix A.1, in characters.
type attributeRule struct {
	name, oid string
	tag       cbasn1.Tag
	max       int
}

const (
	oidCountry    = "2.5.4.6"
	oidCommonName = "2.5.4.3"
	oidEmail      = "1.2.840.113549.1.9.1"
)

var attributeRules = []attributeRule{
	{"C", oidCountry, cbasn1.PrintableString, 2},
	{"ST", "2.5.4.8", cbasn1.UTF8String, 128},
	{"L", "2.5.4.7", cbasn1.UTF8String, 128},
	{"O", "2.5.4.10", cbasn1.UTF8String, 64},
	{"OU", "2.5.4.11", cbasn1.UTF8String, 64},
	{"CN", oidCommonName, cbasn1.UTF8String, 64},
	{"emailAddress", oidEmail, cbasn1.IA5String, 255},
}

// rankOf is the place of an attribute in the table, -1 when it has none.
func rankOf(oid string) int {
	for i, a := range attributeRules {
		if a.oid == oid {
			return i
		}
	}
	return -1
}

// readName reads a Name with its header as RDNs.
func readName(der []byte) (rdns [][]attribute, ok bool) {
	in := cryptobyte.String(der)
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() {
		return nil, false
	}
	for !seq.Empty() {
		var set cryptobyte.String
		if !seq.ReadASN1(&set, cbasn1.SET) || set.Empty() {
			return nil, false
		}
		var rdn []attribute
		for !set.Empty() {
			var a attribute
			var pair, value cryptobyte.String
			var oid asn1.ObjectIdentifier
			if !set.ReadASN1(&pair, cbasn1.SEQUENCE) || !pair.ReadASN1ObjectIdentifier(&oid) ||
				!pair.ReadAnyASN1(&value, &a.tag) || !pair.Empty() {
				return nil, false
			}
			a.oid, a.value = oid.String(), string(value)
			rdn = append(rdn, a)
		}
		rdns = append(rdns, rdn)
	}
	return rdns, true
}

// attributesOf are all attributes of a name, whatever RDN they are in.
func attributesOf(name []byte) (all []attribute) {
	rdns, _ := readName(name)
	for _, rdn := range rdns {
		all = append(all, rdn...)
	}
	return all
}

// emailOf is the e-mail address in a name, "" when it has none.
func emailOf(name []byte) string {
	for _, a := range attributesOf(name) {
		if a.oid == oidEmail {
			return a.value
		}
	}
	return ""
}

func nameSyntaxFault(name []byte) string {
	if _, ok := readName(name); !ok {
		return "it is no sequence of sets of attributes"
	}
	return ""
}

func nameEmptyFault(name []byte) string {
	if rdns, ok := readName(name); ok && len(rdns) == 0 {
		return "it has no attribute"
	}
	return ""
}

func singleFault(name []byte) string {
	rdns, _ := readName(name)
	for _, rdn := range rdns {
		if len(rdn) != 1 {
			return fmt.Sprintf("%d attributes are in one RDN", len(rdn))
		}
	}
	return ""
}

func orderFault(name []byte) string {
	last := -1
	for _, a := range attributesOf(name) {
		rank := rankOf(a.oid)
		switch {
		case rank < 0:
			return "there is an attribute " + a.oid
		case rank <= last:
			return attributeRules[rank].name + " is out of place"
		}
		last = rank
	}
	return ""
}

func commonNameFault(name []byte) string {
	all := attributesOf(name)
	for _, a := range all {
		if a.oid == oidCommonName {
			return ""
		}
	}
	if len(all) == 0 {
		return ""
	}
	return "there is none"
}

// eachValue asks about every attribute that the table knows.
func eachValue(ask func(attributeRule, attribute) string) func([]byte) string {
	return func(name []byte) string {
		for _, a := range attributesOf(name) {
			if rank := rankOf(a.oid); rank >= 0 {
				if fault := ask(attributeRules[rank], a); fault != "" {
					return attributeRules[rank].name + " " + fault
				}
			}
		}
		return ""
	}
}

func stringTypeFault(r attributeRule, a attribute) string {
	if a.tag != r.tag {
		return fmt.Sprintf("has the ASN.1 type %d, not %d", a.tag, r.tag)
	}
	return ""
}

// alphabetFault holds a value against the alphabet of its own string type
// (X.680 section 41).
func alphabetFault(_ attributeRule, a attribute) string {
	ok := true
	switch a.tag {
	case cbasn1.UTF8String:
		ok = utf8.ValidString(a.value)
	case cbasn1.IA5String:
		ok = isASCII(a.value)
	case cbasn1.PrintableString:
		ok = strings.Trim(a.value, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 '()+,-./:=?") == ""
	}
	if !ok {
		return "holds what its string type does not"
	}
	return ""
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0
}

func upperBoundFault(r attributeRule, a attribute) string {
	if n := utf8.RuneCountInString(a.value); n > r.max && a.oid != oidCountry {
		return fmt.Sprintf("has %d characters, and %d are allowed", n, r.max)
	}
	return ""
}

func lowerBoundFault(_ attributeRule, a attribute) string {
	if a.value == "" && a.oid != oidCountry {
		return "is empty"
	}
	return ""
}

func countryFault(_ attributeRule, a attribute) string {
	if a.oid == oidCountry && (len(a.value) != 2 || strings.Trim(a.value, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "") {
		return fmt.Sprintf("is %q, not two capital letters", a.value)
	}
	return ""
}

// invisibleFault looks for NUL and other control characters, bidirectional
// and other format characters, and those that Unicode has not assigned.
func invisibleFault(_ attributeRule, a attribute) string {
	for _, r := range a.value {
		if r != utf8.RuneError && (!unicode.IsGraphic(r) || unicode.Is(unicode.Variation_Selector, r)) {
			return fmt.Sprintf("holds U+%04X", r)
		}
	}
	return ""
}

// mailboxFault judges an address as RFC 5280 section 4.2.1.6 wants it: a
// Mailbox of RFC 2821 section 4.1.2, in ASCII, without anything around it.
func mailboxFault(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 1 || at > 64 || !isASCII(address) || strings.ContainsFunc(address, notInMailbox) {
		return fmt.Sprintf("%q is no address of the form name@domain in ASCII", address)
	}
	local, domain := address[:at], address[at+1:]
	if strings.Contains("."+local+".", "..") {
		return fmt.Sprintf("%q has a surplus dot", address)
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "-") != label || strings.ContainsFunc(label, notInLabel) {
			return fmt.Sprintf("%q has a part of its domain that is none", address)
		}
	}
	return ""
}

func notInMailbox(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),:;<>[\]`, r)
}

func notInLabel(r rune) bool {
	return r != '-' && !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z')
}
