package pki

import (
	"encoding/asn1"
	"fmt"
	"math/big"
	"net/netip"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// extensionNames are OpenSSL's long names.
var extensionNames = map[string]string{
	"2.5.29.14":               "X509v3 Subject Key Identifier",
	"2.5.29.15":               "X509v3 Key Usage",
	"2.5.29.17":               "X509v3 Subject Alternative Name",
	"2.5.29.18":               "X509v3 Issuer Alternative Name",
	"2.5.29.19":               "X509v3 Basic Constraints",
	"2.5.29.30":               "X509v3 Name Constraints",
	"2.5.29.31":               "X509v3 CRL Distribution Points",
	"2.5.29.32":               "X509v3 Certificate Policies",
	"2.5.29.35":               "X509v3 Authority Key Identifier",
	"2.5.29.36":               "X509v3 Policy Constraints",
	"2.5.29.37":               "X509v3 Extended Key Usage",
	"2.5.29.46":               "X509v3 Freshest CRL",
	"2.5.29.54":               "X509v3 Inhibit Any Policy",
	"1.3.6.1.5.5.7.1.1":       "Authority Information Access",
	"1.3.6.1.5.5.7.1.24":      "TLS Feature",
	"2.16.840.1.113730.1.1":   "Netscape Cert Type",
	"2.16.840.1.113730.1.13":  "Netscape Comment",
	"1.3.6.1.4.1.11129.2.4.2": "CT Precertificate SCTs",
}

// purposeNames are OpenSSL's long names of extended key usages.
var purposeNames = map[string]string{
	"2.5.29.37.0":            "Any Extended Key Usage",
	"1.3.6.1.5.5.7.3.1":      "TLS Web Server Authentication",
	"1.3.6.1.5.5.7.3.2":      "TLS Web Client Authentication",
	"1.3.6.1.5.5.7.3.3":      "Code Signing",
	"1.3.6.1.5.5.7.3.4":      "E-mail Protection",
	"1.3.6.1.5.5.7.3.8":      "Time Stamping",
	"1.3.6.1.5.5.7.3.9":      "OCSP Signing",
	"1.3.6.1.4.1.311.20.2.2": "Microsoft Smartcard Login",
}

// extensionTexts print the content of an extension in lines, false where it is
// malformed.
var extensionTexts = map[string]func(cryptobyte.String) ([]string, bool){
	"2.5.29.14":              textKeyID,
	"2.5.29.15":              textKeyUsage,
	"2.5.29.17":              textAltNames,
	"2.5.29.19":              textBasicConstraints,
	"2.5.29.35":              textAuthorityKeyID,
	"2.5.29.37":              textPurposes,
	"2.16.840.1.113730.1.13": textComment,
}

func extensionText(oid asn1.ObjectIdentifier, value []byte) []string {
	if f := extensionTexts[oid.String()]; f != nil {
		if lines, ok := f(cryptobyte.String(value)); ok {
			return lines
		}
	}
	return []string{dots(value)}
}

// dots prints printable ASCII as it is, and any other byte as a dot.
func dots(b []byte) string {
	out := make([]byte, len(b))
	for i, c := range b {
		if c < 0x20 || c > 0x7e {
			c = '.'
		}
		out[i] = c
	}
	return string(out)
}

func upperColons(b []byte) string { return strings.ToUpper(colons(b)) }

func textKeyID(in cryptobyte.String) ([]string, bool) {
	var id cryptobyte.String
	ok := in.ReadASN1(&id, cbasn1.OCTET_STRING) && in.Empty()
	return []string{upperColons(id)}, ok
}

var keyUsageTexts = []string{
	"Digital Signature", "Non Repudiation", "Key Encipherment", "Data Encipherment", "Key Agreement",
	"Certificate Sign", "CRL Sign", "Encipher Only", "Decipher Only",
}

func textKeyUsage(in cryptobyte.String) ([]string, bool) {
	var bits asn1.BitString
	if !in.ReadASN1BitString(&bits) {
		return nil, false
	}
	var names []string
	for i, n := range keyUsageTexts {
		if bits.At(i) != 0 {
			names = append(names, n)
		}
	}
	return []string{strings.Join(names, ", ")}, true
}

func textBasicConstraints(in cryptobyte.String) ([]string, bool) {
	var seq cryptobyte.String
	isCA := false
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) {
		return nil, false
	}
	if seq.PeekASN1Tag(cbasn1.BOOLEAN) && !seq.ReadASN1Boolean(&isCA) {
		return nil, false
	}
	text := "CA:FALSE"
	if isCA {
		text = "CA:TRUE"
	}
	if !seq.Empty() {
		length := new(big.Int)
		if !seq.ReadASN1Integer(length) {
			return nil, false
		}
		text += ", pathlen:" + length.String()
	}
	return []string{text}, true
}

func textPurposes(in cryptobyte.String) ([]string, bool) {
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) {
		return nil, false
	}
	var names []string
	for !seq.Empty() {
		var oid asn1.ObjectIdentifier
		if !seq.ReadASN1ObjectIdentifier(&oid) {
			return nil, false
		}
		names = append(names, nameOf(oid, purposeNames))
	}
	return []string{strings.Join(names, ", ")}, true
}

// textAuthorityKeyID prints the key identifier alone without its label, as
// OpenSSL does.
func textAuthorityKeyID(in cryptobyte.String) ([]string, bool) {
	var seq, keyid, issuer, serial cryptobyte.String
	var hasKey, hasIssuer, hasSerial bool
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) ||
		!seq.ReadOptionalASN1(&keyid, &hasKey, cbasn1.Tag(0).ContextSpecific()) ||
		!seq.ReadOptionalASN1(&issuer, &hasIssuer, cbasn1.Tag(1).ContextSpecific().Constructed()) ||
		!seq.ReadOptionalASN1(&serial, &hasSerial, cbasn1.Tag(2).ContextSpecific()) || !seq.Empty() {
		return nil, false
	}
	var lines []string
	if hasKey {
		label := ""
		if hasIssuer || hasSerial {
			label = "keyid:"
		}
		lines = append(lines, label+upperColons(keyid))
	}
	for hasIssuer && !issuer.Empty() {
		name, ok := readGeneralName(&issuer)
		if !ok {
			return nil, false
		}
		lines = append(lines, name.text())
	}
	if hasSerial {
		lines = append(lines, "serial:"+upperColons(new(big.Int).SetBytes(serial).Bytes()))
	}
	return lines, true
}

func textAltNames(in cryptobyte.String) ([]string, bool) {
	names, ok := parseGeneralNames(in)
	if len(names) == 0 {
		return []string{"<EMPTY>"}, ok
	}
	var texts []string
	for _, n := range names {
		texts = append(texts, n.text())
	}
	return []string{strings.Join(texts, ", ")}, ok
}

// text prints one GeneralName. OpenSSL has names of its own for a few more
// kinds of otherName; here they have their OID.
func (n generalName) text() string {
	switch n.choice {
	case nameEmail:
		return "email:" + dots(n.value)
	case nameDNS:
		return "DNS:" + dots(n.value)
	case nameDirectory:
		return "DirName:" + NameOneLine(n.value)
	case nameURI:
		return "URI:" + dots(n.value)
	case nameIP:
		return "IP Address:" + ipText(n.value)
	case nameRegisteredID:
		return "Registered ID:" + n.oid.String()
	case nameOther:
		value := "<unsupported>"
		if n.tag == cbasn1.UTF8String || n.tag == cbasn1.IA5String {
			value = dots(n.value)
		}
		return fmt.Sprintf("othername: %s::%s", nameOf(n.oid, otherNames), value)
	case nameX400:
		return "X400Name:<unsupported>"
	case nameEDIParty:
		return "EdiPartyName:<unsupported>"
	}
	return "<unsupported>"
}

var otherNames = map[string]string{oidUPN.String(): "UPN"}

// ipText prints an IPv6 address without shortening it.
func ipText(b []byte) string {
	ip, ok := netip.AddrFromSlice(b)
	if !ok {
		return "<invalid>"
	}
	if ip.Is4() {
		return ip.String()
	}
	parts := make([]string, 8)
	for i := range parts {
		parts[i] = fmt.Sprintf("%X", uint16(b[2*i])<<8|uint16(b[2*i+1]))
	}
	return strings.Join(parts, ":")
}

func textComment(in cryptobyte.String) ([]string, bool) {
	var text cryptobyte.String
	ok := in.ReadASN1(&text, cbasn1.IA5String) && in.Empty()
	return []string{dots(text)}, ok
}
