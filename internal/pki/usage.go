package pki

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Mismatch is one way in which a certificate differs from what would be issued
// today.
type Mismatch struct {
	Field string // name of the field or extension in RFC 5280: "keyUsage"
	Have  string // for people
	Want  string // for people
}

var (
	oidSubjectKeyID     = asn1.ObjectIdentifier{2, 5, 29, 14}
	oidKeyUsage         = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidBasicConstraints = asn1.ObjectIdentifier{2, 5, 29, 19}
	oidAuthorityKeyID   = asn1.ObjectIdentifier{2, 5, 29, 35}
	oidExtKeyUsage      = asn1.ObjectIdentifier{2, 5, 29, 37}
)

const none = "none"

// UserUsage compares a user's certificate with what [SignUser] sets, apart
// from subject, SAN, key, serial number and dates. How a key identifier was
// computed does not matter, and neither do extensions that are not critical and
// that SignUser never sets: no reader acts on them.
func UserUsage(cert, ca *x509.Certificate) []Mismatch {
	var m mismatches
	m.version(cert)
	m.algorithm(cert)
	m.compare("basicConstraints", basicConstraintsText(cert), "critical, CA:FALSE")
	m.compare("keyUsage", keyUsageText(cert), "critical, digitalSignature")
	m.compare("extKeyUsage", extKeyUsageText(cert), "clientAuth")
	m.subjectKeyID(cert)
	m.compare("authorityKeyIdentifier", authorityKeyIDText(cert), "keyid:"+hex.EncodeToString(ca.SubjectKeyId))
	m.critical(cert)
	return m
}

// CAUsage compares a CA's certificate with what [SignCA] sets, as [UserUsage]
// does. A self-signed certificate may name its own key as its authority's.
func CAUsage(cert *x509.Certificate) []Mismatch {
	var m mismatches
	m.version(cert)
	m.algorithm(cert)
	m.compare("basicConstraints", basicConstraintsText(cert), "critical, CA:TRUE, pathlen:0")
	m.compare("keyUsage", keyUsageText(cert), "critical, keyCertSign, cRLSign")
	m.compare("extKeyUsage", extKeyUsageText(cert), none)
	m.subjectKeyID(cert)
	if have := authorityKeyIDText(cert); have != "keyid:"+hex.EncodeToString(cert.SubjectKeyId) {
		m.compare("authorityKeyIdentifier", have, none)
	}
	m.critical(cert)
	return m
}

type mismatches []Mismatch

func (m *mismatches) compare(field, have, want string) {
	if have != want {
		*m = append(*m, Mismatch{field, have, want})
	}
}

func (m *mismatches) version(cert *x509.Certificate) {
	m.compare("version", strconv.Itoa(cert.Version), "3")
}

// algorithm accepts every signature with a hash of 256 bits or more.
func (m *mismatches) algorithm(cert *x509.Certificate) {
	switch cert.SignatureAlgorithm {
	case x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA,
		x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS,
		x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512, x509.PureEd25519:
	default:
		m.compare("signatureAlgorithm", cert.SignatureAlgorithm.String(), "SHA-256 or better")
	}
}

func (m *mismatches) subjectKeyID(cert *x509.Certificate) {
	if len(cert.SubjectKeyId) == 0 {
		m.compare("subjectKeyIdentifier", none, "an identifier of the key")
	}
}

// critical reports critical extensions that SignUser never sets: a reader that
// does not know one must refuse the certificate.
func (m *mismatches) critical(cert *x509.Certificate) {
	known := []asn1.ObjectIdentifier{oidBasicConstraints, oidKeyUsage, oidExtKeyUsage, oidSubjectKeyID, oidAuthorityKeyID, oidSubjectAltName}
	for _, e := range cert.Extensions {
		if e.Critical && !slices.ContainsFunc(known, e.Id.Equal) {
			m.compare("extensions", "critical, "+e.Id.String(), none)
		}
	}
}

func extension(cert *x509.Certificate, oid asn1.ObjectIdentifier) *pkix.Extension {
	for i, e := range cert.Extensions {
		if e.Id.Equal(oid) {
			return &cert.Extensions[i]
		}
	}
	return nil
}

// withCritical puts the extension's flag before its text.
func withCritical(e *pkix.Extension, parts ...string) string {
	if e == nil {
		return none
	}
	if e.Critical {
		parts = append([]string{"critical"}, parts...)
	}
	return strings.Join(parts, ", ")
}

func basicConstraintsText(cert *x509.Certificate) string {
	parts := []string{"CA:FALSE"}
	if cert.IsCA {
		parts[0] = "CA:TRUE"
		if cert.MaxPathLen > 0 || cert.MaxPathLenZero {
			parts = append(parts, "pathlen:"+strconv.Itoa(cert.MaxPathLen))
		}
	}
	return withCritical(extension(cert, oidBasicConstraints), parts...)
}

// keyUsageNames are the bits of RFC 5280 section 4.2.1.3 in their order.
var keyUsageNames = []string{
	"digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment", "keyAgreement",
	"keyCertSign", "cRLSign", "encipherOnly", "decipherOnly",
}

func keyUsageText(cert *x509.Certificate) string {
	var parts []string
	for i, name := range keyUsageNames {
		if cert.KeyUsage&(1<<i) != 0 {
			parts = append(parts, name)
		}
	}
	return withCritical(extension(cert, oidKeyUsage), parts...)
}

// extKeyUsageNames are the purposes of RFC 5280 section 4.2.1.12.
var extKeyUsageNames = map[x509.ExtKeyUsage]string{
	x509.ExtKeyUsageAny:             "anyExtendedKeyUsage",
	x509.ExtKeyUsageServerAuth:      "serverAuth",
	x509.ExtKeyUsageClientAuth:      "clientAuth",
	x509.ExtKeyUsageCodeSigning:     "codeSigning",
	x509.ExtKeyUsageEmailProtection: "emailProtection",
	x509.ExtKeyUsageTimeStamping:    "timeStamping",
	x509.ExtKeyUsageOCSPSigning:     "OCSPSigning",
}

func extKeyUsageText(cert *x509.Certificate) string {
	var parts []string
	for _, u := range cert.ExtKeyUsage {
		name, ok := extKeyUsageNames[u]
		if !ok {
			name = "another purpose"
		}
		parts = append(parts, name)
	}
	for _, oid := range cert.UnknownExtKeyUsage {
		parts = append(parts, oid.String())
	}
	return withCritical(extension(cert, oidExtKeyUsage), parts...)
}

// authorityKeyIDText reads an AuthorityKeyIdentifier (RFC 5280 section
// 4.2.1.1) also where it names the issuer's certificate, which crypto/x509
// ignores.
// NumberOfIssuer is the serial of the certificate of its CA that a certificate names in
// its authority key identifier, as [SerialHex] prints it, "" for none (RFC 5280 section
// 4.2.1.1). OpenSSL takes no other certificate of that CA, even if it is for the same
// key.
func NumberOfIssuer(cert *x509.Certificate) string {
	e := extension(cert, oidAuthorityKeyID)
	if e == nil {
		return ""
	}
	in := cryptobyte.String(e.Value)
	var seq cryptobyte.String
	keyid, names, number := cbasn1.Tag(0).ContextSpecific(), cbasn1.Tag(1).ContextSpecific().Constructed(), cbasn1.Tag(2).ContextSpecific()
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.SkipOptionalASN1(keyid) || !seq.SkipOptionalASN1(names) {
		return ""
	}
	var bytes cryptobyte.String
	if !seq.ReadASN1(&bytes, number) || len(bytes) == 0 || bytes[0] >= 0x80 {
		return ""
	}
	return SerialHex(new(big.Int).SetBytes(bytes))
}

func authorityKeyIDText(cert *x509.Certificate) string {
	e := extension(cert, oidAuthorityKeyID)
	if e == nil {
		return none
	}
	var parts []string
	in := cryptobyte.String(e.Value)
	var seq, keyid cryptobyte.String
	var there bool
	tag := cbasn1.Tag(0).ContextSpecific()
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.ReadOptionalASN1(&keyid, &there, tag) {
		return withCritical(e, "unreadable")
	}
	if there {
		parts = append(parts, "keyid:"+hex.EncodeToString(keyid))
	}
	if !seq.Empty() {
		parts = append(parts, "issuer and serial number")
	}
	return withCritical(e, parts...)
}
