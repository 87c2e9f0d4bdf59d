package profile

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"strings"
	"unicode/utf8"
)

// request is a request on trial, with the certificate that was issued for it.
type request struct {
	*x509.CertificateRequest
	cert *x509.Certificate
}

var (
	oidChallengePassword = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 7}
	oidExtensionRequest  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 14}
)

// requestRules are the clauses for requests.
var requestRules = []rule[request]{
	{Promised, "the subject is the certificate's, octet by octet", func(r request) string {
		if !bytes.Equal(r.RawSubject, r.cert.RawSubject) {
			return "they differ"
		}
		return ""
	}},
	{"RFC 2986 4.2", "it is signed with SHA-256 or better, and the algorithm has the parameters of its RFC", func(r request) string {
		return algorithmFault(r.Raw)
	}},
	{"RFC 2985 5.4", "the attributes are extensionRequest for the certificate's subjectAltName, and at most a challengePassword", attributesFault},
}

// attributesFault never shows the password itself.
func attributesFault(r request) string {
	var info struct {
		Version      int
		Subject, Key asn1.RawValue
		Attributes   []struct {
			Type   asn1.ObjectIdentifier
			Values []asn1.RawValue `asn1:"set"`
		} `asn1:"tag:0,set"`
	}
	if _, err := asn1.Unmarshal(r.RawTBSCertificateRequest, &info); err != nil {
		return err.Error()
	}
	var asked []byte
	for _, a := range info.Attributes {
		switch {
		case len(a.Values) != 1:
			return fmt.Sprintf("%s has %d values", a.Type, len(a.Values))
		case a.Type.Equal(oidExtensionRequest):
			asked = append(asked, a.Values[0].FullBytes...)
		case !a.Type.Equal(oidChallengePassword):
			return fmt.Sprintf("there is %s", a.Type)
		case !isChallenge(a.Values[0]):
			return "challengePassword is not a PrintableString or UTF8String of 1 to 255 characters"
		}
	}
	var want []byte
	if e := find(r.cert.Extensions, oidAltName); e != nil {
		want = marshal([]pkix.Extension{*e})
	}
	if !bytes.Equal(asked, want) {
		return fmt.Sprintf("extensionRequest is % X, not % X", asked, want)
	}
	return ""
}

// isChallenge reports whether a value is a PrintableString (X.680 section 41.4) or
// UTF8String within its bounds (RFC 2985 section 5.4.1).
func isChallenge(v asn1.RawValue) bool {
	text := string(v.Bytes)
	n := utf8.RuneCountInString(text)
	printable := strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 '()+,-./:=?") == ""
	return n >= 1 && n <= 255 && v.Class == asn1.ClassUniversal &&
		(v.Tag == asn1.TagPrintableString && printable || v.Tag == asn1.TagUTF8String && utf8.ValidString(text))
}
