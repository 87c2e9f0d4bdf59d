package profile

import (
	"bytes"
	"fmt"
	"math/big"
)

// certificateRules are the clauses for certificates, in the order of RFC 5280.
var certificateRules = []rule[*certificate]{
	{"RFC 5280 4.1.1.2", "the algorithm beside the signature is the one that is signed", func(c *certificate) string {
		if !bytes.Equal(c.inner, c.outer) {
			return "they differ"
		}
		return ""
	}},
	{"RFC 5280 4.1.1.2", "the algorithm has the parameters of its RFC", (*certificate).parametersFault},
	{Promised, "SHA-256 or better", (*certificate).algorithmFault},
	{"RFC 5280 4.1.1.3", "the issuer's key made the signature", func(c *certificate) string { return c.signatureFault(c.ca.spki) }},
	{"RFC 5280 4.1.2.1", "version 3", func(c *certificate) string {
		if c.version != 2 {
			return fmt.Sprintf("its version is %d", c.version+1)
		}
		return ""
	}},
	{"RFC 5280 4.1.2.2", "the serial number is positive and has at most 20 octets", func(c *certificate) string {
		return integerFault(c.serial, false)
	}},
	{Promised, "the serial number has 128 random bits", randomFault},
	{"RFC 5280 4.1.2.4", "the issuer is the CA's subject, octet by octet", func(c *certificate) string {
		if !bytes.Equal(c.issuer, c.ca.subject) {
			return "they differ"
		}
		return ""
	}},
	{"RFC 5280 4.1.2.5", "times until 2049 are UTCTime, later ones GeneralizedTime, to the second and with a Z", func(c *certificate) string {
		return first(timeFault(c.notBefore), timeFault(c.notAfter))
	}},
	{"RFC 5280 4.1.2.5", "the validity begins before it ends", func(c *certificate) string {
		if readable(c.notBefore, c.notAfter) && !c.notBefore.at.Before(c.notAfter.at) {
			return fmt.Sprintf("from %s to %s", c.notBefore.text, c.notAfter.text)
		}
		return ""
	}},
	{Promised, "a certificate does not outlive its CA", func(c *certificate) string {
		if readable(c.notAfter, c.ca.notAfter) && c.notAfter.at.After(c.ca.notAfter.at) {
			return fmt.Sprintf("until %s, the CA until %s", c.notAfter.text, c.ca.notAfter.text)
		}
		return ""
	}},
	subject("RFC 5280 4.1.2.4", "the subject is a Name", nameSyntaxFault),
	subject("RFC 5280 4.1.2.6", "the subject is not empty", nameEmptyFault),
	subject("RFC 5280 4.1.2.4", "C is a PrintableString, emailAddress an IA5String, all others are UTF8Strings", eachValue(stringTypeFault)),
	subject("RFC 5280 4.1.2.4", "values are in the alphabet of their string type", eachValue(alphabetFault)),
	subject("RFC 5280 A.1", "values are within their upper bounds", eachValue(upperBoundFault)),
	subject("RFC 5280 A.1", "values have at least one character", eachValue(lowerBoundFault)),
	subject("RFC 5280 A.1", "a country has exactly two letters", eachValue(countryFault)),
	subject(Promised, "one attribute in an RDN", singleFault),
	subject(Promised, "the attributes are C, ST, L, O, OU, CN, emailAddress, in this order and each once", orderFault),
	subject(Promised, "there is a common name", commonNameFault),
	subject(Promised, "no character is a control character or cannot be seen", eachValue(invisibleFault)),
	{"RFC 5280 4.1.2.7", "the public key's algorithm has the parameters of its RFC", func(c *certificate) string { return keyParametersFault(c.spki) }},
	{"RFC 5280 4.1.2.7", "the public key is one", func(c *certificate) string { return keyFault(c.spki) }},
	{Promised, "RSA from 2048 bits on, P-256 or more, Ed25519", func(c *certificate) string { return strengthFault(c.spki) }},
	{"RFC 5280 4.1.2.8", "no unique identifiers", func(c *certificate) string {
		if c.uniqueIDs {
			return "there are some"
		}
		return ""
	}},

	{"RFC 5280 4.2", "no extension is there twice", twiceFault[*certificate]},
	{"RFC 5280 4.2", "critical is not written when it is FALSE, its default", defaultFault[*certificate]},
	{Promised, "only the extensions of the profile", onlyExtensions[*certificate](oidAuthorityKey, oidSubjectKey, oidKeyUsage, oidAltName, oidBasic, oidExtUsage)},
	{"RFC 5280 4.2", "an extension's value is what its name says, in DER", func(c *certificate) string {
		return syntaxFault(c.extensions, certificateExtensions)
	}},
	{"RFC 5280 4.2.1.1", "authorityKeyIdentifier is there, but for a CA that signs itself", func(c *certificate) string {
		if c.role == User && c.ext(oidAuthorityKey) == nil {
			return "it is missing"
		}
		return ""
	}},
	{"RFC 5280 4.2.1.1", "authorityKeyIdentifier is not critical", criticality[*certificate](oidAuthorityKey, false)},
	{Promised, "authorityKeyIdentifier names the key only", func(c *certificate) string { return authorityFormFault(c.extensions) }},
	{"RFC 5280 4.2.1.1", "authorityKeyIdentifier is the CA's subjectKeyIdentifier", func(c *certificate) string {
		return authorityFault(c.extensions, c.ca)
	}},
	{"RFC 5280 4.2.1.2", "subjectKeyIdentifier is there", present(oidSubjectKey, CA, Reissued, User)},
	{"RFC 5280 4.2.1.2", "subjectKeyIdentifier is not critical", criticality[*certificate](oidSubjectKey, false)},
	{"RFC 5280 4.2.1.2", "subjectKeyIdentifier is made from the key", subjectKeyFault},
	{"RFC 5280 4.2.1.3", "keyUsage is there", present(oidKeyUsage, CA, Reissued, User)},
	{"RFC 5280 4.2.1.3", "keyUsage is critical", criticality[*certificate](oidKeyUsage, true)},
	{"RFC 5280 4.2.1.3", "keyUsage is keyCertSign and cRLSign for a CA, digitalSignature for a user", keyUsageFault},
	{"RFC 5280 4.2.1.6", "subjectAltName is there when the subject has an e-mail address", func(c *certificate) string {
		if emailOf(c.subject) != "" && c.ext(oidAltName) == nil {
			return "it is missing"
		}
		return ""
	}},
	{"RFC 5280 4.2.1.6", "subjectAltName is not critical beside a subject", criticality[*certificate](oidAltName, false)},
	{Promised, "subjectAltName is the subject's e-mail address and nothing else", altNameFault},
	{"RFC 5280 4.2.1.6", "an rfc822Name is a mailbox in ASCII", func(c *certificate) string {
		for _, n := range c.altNames() {
			if n.tag == rfc822Name {
				if fault := mailboxFault(n.value); fault != "" {
					return fault
				}
			}
		}
		return ""
	}},
	{"RFC 5280 4.2.1.9", "basicConstraints is there", present(oidBasic, CA, Reissued, User)},
	{"RFC 5280 4.2.1.9", "basicConstraints is critical", criticality[*certificate](oidBasic, true)},
	{"RFC 5280 4.2.1.9", "cA is TRUE for a CA and FALSE for a user", func(c *certificate) string {
		if b, ok := c.basic(); ok && b.isCA == (c.role == User) {
			return fmt.Sprintf("it is %t", b.isCA)
		}
		return ""
	}},
	{"RFC 5280 4.2.1.9", "a CA's path length is 0, a user has none", func(c *certificate) string {
		b, ok := c.basic()
		if want := map[Role]int64{CA: 0, Reissued: 0, User: -1}[c.role]; ok && b.pathLen != want {
			return fmt.Sprintf("it is %d (-1 for none)", b.pathLen)
		}
		return ""
	}},
	{"RFC 5280 4.2.1.12", "extKeyUsage is there for a user", present(oidExtUsage, User)},
	{Promised, "extKeyUsage is not critical", criticality[*certificate](oidExtUsage, false)},
	{Promised, "a user's extKeyUsage is clientAuth and nothing else, a CA has none", extUsageFault},
}

// subject makes a rule about the subject.
func subject(clause, asks string, fault func(name []byte) string) rule[*certificate] {
	return rule[*certificate]{clause, asks, func(c *certificate) string {
		if c.role == Reissued {
			return ""
		}
		return fault(c.subject)
	}}
}

func readable(times ...moment) bool {
	for _, m := range times {
		if m.at.IsZero() {
			return false
		}
	}
	return true
}

// randomFault takes fewer than 96 significant bits for too few random ones:
// of 2^32 serial numbers with 128 random bits, one has so few.
func randomFault(c *certificate) string {
	if bits := new(big.Int).SetBytes(c.serial).BitLen(); integerFault(c.serial, false) == "" && (bits <= 96 || bits > 128) {
		return fmt.Sprintf("it has %d bits", bits)
	}
	return ""
}

// Serials judges the serial numbers of certificates of one CA, which are DER:
// each has its own (RFC 5280 section 4.1.2.2).
func Serials(certificates [][]byte) []Finding {
	var found []Finding
	seen := map[string]bool{}
	for _, der := range certificates {
		c, err := parseCertificate(der)
		if err != nil {
			return []Finding{{"RFC 5280 4.1", err.Error()}}
		}
		serial := string(c.serial)
		if seen[serial] {
			found = append(found, Finding{"RFC 5280 4.1.2.2", fmt.Sprintf("two certificates have the serial number %X", serial)})
		}
		seen[serial] = true
	}
	return found
}
