package profile

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// certificate is a certificate on trial.
type certificate struct {
	*x509.Certificate
	role Role
	ca   *x509.Certificate // its issuer
}

// certificateRules are the clauses for certificates, in the order of RFC 5280.
var certificateRules = []rule[certificate]{
	{"RFC 5280 4.1.1.2", "it is signed with SHA-256 or better, and the algorithm has the parameters of its RFC", func(c certificate) string {
		return algorithmFault(c.Raw)
	}},
	{Promised, "the serial number has 128 random bits", func(c certificate) string {
		// Of 2^32 random numbers of 128 bits, one has fewer than 97.
		if bits := c.SerialNumber.BitLen(); bits <= 96 || bits > 128 {
			return fmt.Sprintf("it has %d bits", bits)
		}
		return ""
	}},
	{Promised, "a certificate does not outlive its CA", func(c certificate) string {
		if c.NotAfter.After(c.ca.NotAfter) {
			return fmt.Sprintf("until %s, the CA until %s", c.NotAfter, c.ca.NotAfter)
		}
		return ""
	}},
	{Promised, "the subject is C, ST, L, O, OU, CN, emailAddress, in this order, each once and in its string type", subjectFault},
	{Promised, "the subject has no control characters and no invisible characters", invisibleFault},
	{"RFC 5280 A.1", "a country has exactly two letters", func(c certificate) string {
		if s := c.attribute(oidCountry); c.role != Reissued && s != "" && len(s) != 2 {
			return fmt.Sprintf("it is %q", s)
		}
		return ""
	}},
	{Promised, "the key is RSA with 2048 bits or more, P-256 or a longer curve, or Ed25519", func(c certificate) string { return strengthFault(c.PublicKey) }},
	{"RFC 5280 4.2.1.6", "an rfc822Name is a mailbox in ASCII", func(c certificate) string {
		for _, address := range c.EmailAddresses {
			if local, _, _ := strings.Cut(address, "@"); len(local) > 64 || !mailbox.MatchString(address) {
				return fmt.Sprintf("%q is not one", address)
			}
		}
		return ""
	}},
	{Promised, "the extensions are those of the profile, in DER, and no others", func(c certificate) string {
		return extensionsFault(c.Extensions, c.wanted())
	}},
}

// mailbox is a Mailbox of RFC 2821 section 4.1.2 without quotes, as RFC 5280 section
// 4.2.1.6 requires.
var mailbox = func() *regexp.Regexp {
	const atom, label = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+", "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
	return regexp.MustCompile(`^` + atom + `(?:\.` + atom + `)*@` + label + `(?:\.` + label + `)*$`)
}()

var (
	oidCountry = asn1.ObjectIdentifier{2, 5, 4, 6}
	oidEmail   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}
	oidName    = asn1.ObjectIdentifier{2, 5, 4, 3}
)

// attributes are the attributes of a subject in their order, with their string types
// (RFC 5280 section 4.1.2.4).
var attributes = []struct {
	oid asn1.ObjectIdentifier
	tag int
}{
	{oidCountry, asn1.TagPrintableString},
	{asn1.ObjectIdentifier{2, 5, 4, 8}, asn1.TagUTF8String},
	{asn1.ObjectIdentifier{2, 5, 4, 7}, asn1.TagUTF8String},
	{asn1.ObjectIdentifier{2, 5, 4, 10}, asn1.TagUTF8String},
	{asn1.ObjectIdentifier{2, 5, 4, 11}, asn1.TagUTF8String},
	{oidName, asn1.TagUTF8String},
	{oidEmail, asn1.TagIA5String},
}

// attribute is the value of an attribute of the subject, "" for none.
func (c certificate) attribute(oid asn1.ObjectIdentifier) string {
	for _, a := range c.Subject.Names {
		if a.Type.Equal(oid) {
			return fmt.Sprint(a.Value)
		}
	}
	return ""
}

// subjectFault encodes the name as it should be, and compares octets.
func subjectFault(c certificate) string {
	if c.role == Reissued {
		return ""
	}
	var name pkix.RDNSequence
	for _, a := range attributes {
		if value := c.attribute(a.oid); value != "" {
			raw := asn1.RawValue{Tag: a.tag, Bytes: []byte(value)}
			name = append(name, pkix.RelativeDistinguishedNameSET{{Type: a.oid, Value: raw}})
		}
	}
	if want := marshal(name); !bytes.Equal(c.RawSubject, want) {
		return fmt.Sprintf("it is % X, not % X", c.RawSubject, want)
	}
	if c.attribute(oidName) == "" {
		return "it has no common name"
	}
	return ""
}

// invisibleFault looks for control characters, for bidirectional and other format
// characters, and for unassigned ones.
func invisibleFault(c certificate) string {
	for _, a := range c.Subject.Names {
		for _, r := range fmt.Sprint(a.Value) {
			if c.role != Reissued && (!unicode.IsGraphic(r) || unicode.Is(unicode.Variation_Selector, r)) {
				return fmt.Sprintf("%s holds U+%04X", a.Type, r)
			}
		}
	}
	return ""
}

func strengthFault(key any) string {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() < 2048 {
			return fmt.Sprintf("RSA with %d bits", k.N.BitLen())
		}
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P224() {
			return "the curve P-224"
		}
	}
	return ""
}

// algorithms are the AlgorithmIdentifiers of mtlsplan's signatures, in DER: RSA with
// NULL (RFC 4055 section 5), ECDSA and Ed25519 without parameters (RFC 5758 section
// 3.2, RFC 8410 section 3).
var algorithms = func() (all [][]byte) {
	for last := 11; last <= 13; last++ {
		all = append(all, marshal(pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, last}, Parameters: asn1.NullRawValue}))
	}
	for last := 2; last <= 4; last++ {
		all = append(all, marshal(pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, last}}))
	}
	return append(all, marshal(pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 3, 101, 112}}))
}()

// algorithmFault examines the algorithm beside the signature. crypto/x509 has already
// compared it with the signed one.
func algorithmFault(raw []byte) string {
	var signed struct {
		What, Algorithm asn1.RawValue
		Signature       asn1.BitString
	}
	_, err := asn1.Unmarshal(raw, &signed)
	if err != nil || !slices.ContainsFunc(algorithms, func(a []byte) bool { return bytes.Equal(a, signed.Algorithm.FullBytes) }) {
		return fmt.Sprintf("it is % X", signed.Algorithm.FullBytes)
	}
	return ""
}

// marshal encodes a value that can always be encoded.
func marshal(v any) []byte {
	der, err := asn1.Marshal(v)
	if err != nil {
		panic(err)
	}
	return der
}

// Extensions (RFC 5280 section 4.2.1).
var (
	oidSubjectKey   = asn1.ObjectIdentifier{2, 5, 29, 14}
	oidKeyUsage     = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidAltName      = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidBasic        = asn1.ObjectIdentifier{2, 5, 29, 19}
	oidAuthorityKey = asn1.ObjectIdentifier{2, 5, 29, 35}
	oidExtUsage     = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidClientAuth   = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 2}
)

// wanted are the extensions that the certificate should have. Each value is in DER,
// so a comparison of octets also checks the encoding.
func (c certificate) wanted() []pkix.Extension {
	all := []pkix.Extension{{Id: oidSubjectKey, Value: marshal(c.keyID())}}
	if c.role == User {
		all = append(all,
			pkix.Extension{Id: oidBasic, Critical: true, Value: []byte{0x30, 0}},
			pkix.Extension{Id: oidKeyUsage, Critical: true, Value: marshal(asn1.BitString{Bytes: []byte{0x80}, BitLength: 1})}, // digitalSignature
			pkix.Extension{Id: oidExtUsage, Value: marshal([]asn1.ObjectIdentifier{oidClientAuth})})
	} else {
		all = append(all,
			pkix.Extension{Id: oidBasic, Critical: true, Value: marshal(struct {
				CA      bool
				PathLen int
			}{true, 0})},
			pkix.Extension{Id: oidKeyUsage, Critical: true, Value: marshal(asn1.BitString{Bytes: []byte{0x06}, BitLength: 7})}) // keyCertSign, cRLSign
	}
	if email := c.attribute(oidEmail); email != "" {
		all = append(all, altName(email))
	}
	// A CA that signs itself may leave it out (section 4.2.1.1).
	if c.role == User || find(c.Extensions, oidAuthorityKey) != nil {
		all = append(all, authorityKey(c.ca))
	}
	return all
}

// keyID is the subjectKeyIdentifier that the certificate should have: the first 160
// bits of SHA-256 of the key (RFC 7093 section 2). A user's may be SHA-1 of the key
// (RFC 5280 section 4.2.1.2). An adopted CA keeps its own, whatever that is.
func (c certificate) keyID() []byte {
	key := keyBits(c.RawSubjectPublicKeyInfo)
	sha1Sum, sha256Sum := sha1.Sum(key), sha256.Sum256(key)
	if c.role == Reissued || c.role == User && bytes.Equal(c.SubjectKeyId, sha1Sum[:]) {
		return c.SubjectKeyId
	}
	return sha256Sum[:20]
}

// OwnKeyID reports whether a subjectKeyIdentifier is made from a
// SubjectPublicKeyInfo in mtlsplan's way (RFC 7093 section 2, method 1). OpenSSL and
// most other programs have another way.
func OwnKeyID(spki, id []byte) bool {
	sum := sha256.Sum256(keyBits(spki))
	return bytes.Equal(id, sum[:20])
}

func keyBits(spki []byte) []byte {
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	_, _ = asn1.Unmarshal(spki, &info) // crypto/x509 has read it
	return info.Key.Bytes
}

func altName(email string) pkix.Extension {
	rfc822Name := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 1, Bytes: []byte(email)}
	return pkix.Extension{Id: oidAltName, Value: marshal([]asn1.RawValue{rfc822Name})}
}

// authorityKey names a CA's key, and neither issuer nor serial number.
func authorityKey(ca *x509.Certificate) pkix.Extension {
	keyIdentifier := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, Bytes: ca.SubjectKeyId}
	return pkix.Extension{Id: oidAuthorityKey, Value: marshal([]asn1.RawValue{keyIdentifier})}
}

func find(all []pkix.Extension, oid asn1.ObjectIdentifier) *pkix.Extension {
	if i := slices.IndexFunc(all, func(e pkix.Extension) bool { return e.Id.Equal(oid) }); i >= 0 {
		return &all[i]
	}
	return nil
}

// extensionsFault compares extensions, whose order does not matter.
func extensionsFault(have, want []pkix.Extension) string {
	var faults []string
	for _, w := range want {
		h := find(have, w.Id)
		switch {
		case h == nil:
			faults = append(faults, fmt.Sprintf("%s is missing", w.Id))
		case h.Critical != w.Critical:
			faults = append(faults, fmt.Sprintf("%s: critical is %t", w.Id, h.Critical))
		case !bytes.Equal(h.Value, w.Value):
			faults = append(faults, fmt.Sprintf("%s is % X, not % X", w.Id, h.Value, w.Value))
		}
	}
	for _, h := range have {
		if find(want, h.Id) == nil {
			faults = append(faults, fmt.Sprintf("there is %s", h.Id))
		}
	}
	return strings.Join(faults, ", ")
}
