package profile

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// crl is a CRL on trial.
type crl struct {
	*x509.RevocationList
	ca *x509.Certificate
}

var (
	oidCRLNumber  = asn1.ObjectIdentifier{2, 5, 29, 20}
	entryMayCarry = []asn1.ObjectIdentifier{
		{2, 5, 29, 21}, // reasonCode
		{2, 5, 29, 23}, // holdInstructionCode and invalidityDate, as `openssl ca` writes them
		{2, 5, 29, 24},
	}
)

// removeFromCRL is a reason that only a delta CRL can have.
const removeFromCRL = 8

// crlRules are the clauses for CRLs, in the order of RFC 5280.
var crlRules = []rule[crl]{
	{"RFC 5280 5.1.1.2", "it is signed with SHA-256 or better, and the algorithm has the parameters of its RFC", func(l crl) string {
		return algorithmFault(l.Raw)
	}},
	{"RFC 5280 5.1.2.4", "times until 2049 are UTCTime, later ones GeneralizedTime, and the rest is in DER", canonicalFault},
	entries("RFC 5280 5.1.2.6", "an entry's serial number is one that a certificate can have", func(e x509.RevocationListEntry) string {
		return numberFault(e.SerialNumber) // an adopted certificate may have 0
	}),
	{Promised, "it has the extensions of a complete CRL that its CA signs itself, and no others", func(l crl) string {
		return extensionsFault(l.Extensions, []pkix.Extension{authorityKey(l.ca), {Id: oidCRLNumber, Value: marshal(l.Number)}})
	}},
	{"RFC 5280 5.2.3", "cRLNumber is not negative and has at most 20 octets", func(l crl) string { return numberFault(l.Number) }},
	entries(Promised, "an entry has a reason at most, with the additions of OpenSSL", func(e x509.RevocationListEntry) string {
		for _, x := range e.Extensions {
			if !slices.ContainsFunc(entryMayCarry, x.Id.Equal) {
				return fmt.Sprintf("there is %s", x.Id)
			}
		}
		return ""
	}),
	entries("RFC 5280 5.3.1", "a reason is one that a complete CRL can have", func(e x509.RevocationListEntry) string {
		if e.ReasonCode == removeFromCRL {
			return "it is removeFromCRL"
		}
		return ""
	}),
}

// entries makes a rule about every entry.
func entries(clause, asks string, fault func(x509.RevocationListEntry) string) rule[crl] {
	return rule[crl]{clause, asks, func(l crl) string {
		for _, e := range l.RevokedCertificateEntries {
			if f := fault(e); f != "" {
				return fmt.Sprintf("entry %X: %s", e.SerialNumber, f)
			}
		}
		return ""
	}}
}

// numberFault judges an INTEGER of at most 20 octets.
func numberFault(n *big.Int) string {
	if n == nil || n.Sign() < 0 || n.BitLen() >= 160 {
		return fmt.Sprintf("it is %X", n)
	}
	return ""
}

// tbsCertList is RFC 5280 section 5.1.
type tbsCertList struct {
	Version    int
	Algorithm  asn1.RawValue
	Issuer     asn1.RawValue
	ThisUpdate time.Time
	NextUpdate time.Time
	Revoked    []struct {
		Serial     *big.Int
		Date       time.Time
		Extensions []pkix.Extension `asn1:"optional"`
	} `asn1:"optional"`
	Extensions []pkix.Extension `asn1:"tag:0,explicit"`
}

// canonicalFault decodes and encodes the list, since encoding/asn1 accepts more forms
// than it writes.
func canonicalFault(l crl) string {
	var list tbsCertList
	if rest, err := asn1.Unmarshal(l.RawTBSRevocationList, &list); err != nil || len(rest) > 0 {
		return fmt.Sprint("it cannot be read: ", err)
	}
	if !bytes.Equal(marshal(list), l.RawTBSRevocationList) {
		return "it changes when it is encoded again"
	}
	return ""
}
