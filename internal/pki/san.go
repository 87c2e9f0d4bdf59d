package pki

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// SANType is a kind of subject alternative name: one of the choices of a
// GeneralName (RFC 5280 section 4.2.1.6), or a kind of otherName.
type SANType string

const (
	SANEmail        SANType = "email"     // rfc822Name
	SANDNS          SANType = "dns"       // dNSName
	SANIP           SANType = "ip"        // iPAddress, in the form of RFC 5952
	SANURI          SANType = "uri"       // uniformResourceIdentifier
	SANUPN          SANType = "upn"       // otherName 1.3.6.1.4.1.311.20.2.3: the user principal name of a Windows domain
	SANDirName      SANType = "dirname"   // directoryName, in the form of [NameString]
	SANRegisteredID SANType = "rid"       // registeredID, in dots
	SANOtherName    SANType = "othername" // any other otherName: its OID, a semicolon, and its value as "#" and the hex of its DER
	SANUnknown      SANType = "unknown"   // any other, or one that cannot be read: "#" and the hex of its DER
)

// SAN is one subject alternative name. Its value is that of the certificate, and
// may hold characters that harm a terminal.
type SAN struct {
	Type  SANType
	Value string
}

// String is "type:value" with control and invisible characters as their code
// points.
func (s SAN) String() string { return string(s.Type) + ":" + safe(s.Value) }

// SANs are all subject alternative names of a certificate in the order of its
// extension. One of a type that is not known here is a [SANUnknown].
func SANs(cert *x509.Certificate) []SAN { return sansIn(cert.Extensions) }

func sansIn(extensions []pkix.Extension) []SAN {
	for _, e := range extensions {
		if !e.Id.Equal(oidSubjectAltName) {
			continue
		}
		names, ok := parseGeneralNames(e.Value)
		if !ok {
			return []SAN{{SANUnknown, hexDER(e.Value)}}
		}
		var sans []SAN
		for _, n := range names {
			sans = append(sans, n.san())
		}
		return sans
	}
	return nil
}

// SANText lists subject alternative names: e-mail addresses by themselves, and with
// a name of another type among them as [TypedSANText] does.
func SANText(sans []SAN) string {
	texts := make([]string, len(sans))
	for i, s := range sans {
		if texts[i] = s.Value; s.Type != SANEmail || strings.Contains(s.Value, ":") {
			return TypedSANText(sans)
		}
	}
	return strings.Join(texts, " ")
}

// TypedSANText lists subject alternative names, each behind its type.
func TypedSANText(sans []SAN) string {
	texts := make([]string, len(sans))
	for i, s := range sans {
		texts[i] = s.String()
	}
	return strings.Join(texts, " ")
}

// emailsOf are the values of names of type [SANEmail]. Any other type is an
// error: it is not issued.
func emailsOf(sans []SAN) ([]string, error) {
	var emails []string
	for _, s := range sans {
		if s.Type != SANEmail {
			return nil, fmt.Errorf("the subject alternative name %s is of a type that is not issued: only e-mail addresses are", s)
		}
		if err := CheckEmail(s.Value); err != nil {
			return nil, err
		}
		emails = append(emails, s.Value)
	}
	return emails, nil
}

// The choices of a GeneralName.
var (
	nameOther        = cbasn1.Tag(0).ContextSpecific().Constructed()
	nameEmail        = cbasn1.Tag(1).ContextSpecific()
	nameDNS          = cbasn1.Tag(2).ContextSpecific()
	nameX400         = cbasn1.Tag(3).ContextSpecific().Constructed()
	nameDirectory    = cbasn1.Tag(4).ContextSpecific().Constructed()
	nameEDIParty     = cbasn1.Tag(5).ContextSpecific().Constructed()
	nameURI          = cbasn1.Tag(6).ContextSpecific()
	nameIP           = cbasn1.Tag(7).ContextSpecific()
	nameRegisteredID = cbasn1.Tag(8).ContextSpecific()
)

var oidUPN = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3}

// generalName is one GeneralName (RFC 5280 section 4.2.1.6).
type generalName struct {
	choice cbasn1.Tag
	der    []byte                // the whole
	value  []byte                // content octets; of an otherName those of its value
	oid    asn1.ObjectIdentifier // of an otherName or a registeredID
	other  []byte                // an otherName's value with its header
	tag    cbasn1.Tag            // of that
}

// parseGeneralNames reads GeneralNames, false where they are malformed.
func parseGeneralNames(der []byte) ([]generalName, bool) {
	in := cryptobyte.String(der)
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() {
		return nil, false
	}
	var names []generalName
	for !seq.Empty() {
		n, ok := readGeneralName(&seq)
		if !ok {
			return nil, false
		}
		names = append(names, n)
	}
	return names, true
}

func readGeneralName(in *cryptobyte.String) (n generalName, ok bool) {
	var der, value cryptobyte.String
	if !in.ReadAnyASN1Element(&der, &n.choice) {
		return n, false
	}
	n.der = der
	if !der.ReadAnyASN1(&value, &n.choice) {
		return n, false
	}
	n.value = value
	switch n.choice {
	case nameOther:
		return n, n.readOther(value)
	case nameRegisteredID:
		rest, err := asn1.UnmarshalWithParams(n.der, &n.oid, "tag:8")
		return n, err == nil && len(rest) == 0
	}
	return n, true
}

// readOther reads the content of an OtherName.
func (n *generalName) readOther(in cryptobyte.String) bool {
	var explicit, element, value cryptobyte.String
	if !in.ReadASN1ObjectIdentifier(&n.oid) || !in.ReadASN1(&explicit, contextZero) || !in.Empty() ||
		!explicit.ReadAnyASN1Element(&element, &n.tag) || !explicit.Empty() {
		return false
	}
	n.other = element
	if !element.ReadAnyASN1(&value, &n.tag) {
		return false
	}
	n.value = value
	return true
}

func (n generalName) san() SAN {
	switch n.choice {
	case nameEmail:
		return SAN{SANEmail, string(n.value)}
	case nameDNS:
		return SAN{SANDNS, string(n.value)}
	case nameURI:
		return SAN{SANURI, string(n.value)}
	case nameDirectory:
		return SAN{SANDirName, NameString(n.value)}
	case nameRegisteredID:
		return SAN{SANRegisteredID, n.oid.String()}
	case nameIP:
		if ip, ok := netip.AddrFromSlice(n.value); ok {
			return SAN{SANIP, ip.String()}
		}
	case nameOther:
		if n.oid.Equal(oidUPN) && n.tag == cbasn1.UTF8String && utf8.Valid(n.value) {
			return SAN{SANUPN, string(n.value)}
		}
		return SAN{SANOtherName, n.oid.String() + ";" + hexDER(n.other)}
	}
	return SAN{SANUnknown, hexDER(n.der)}
}

func hexDER(der []byte) string { return "#" + hex.EncodeToString(der) }
