package profile

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// request is a CertificationRequestInfo in pieces (RFC 2986 section 4.1).
type request struct {
	signed
	cert *certificate // what was issued for it

	version    int
	subject    []byte
	spki       []byte
	attributes []requestAttribute
}

type requestAttribute struct {
	oid    string
	der    []byte
	values cryptobyte.String // content of the SET
}

const (
	oidExtensionRequest  = "1.2.840.113549.1.9.14"
	oidChallengePassword = "1.2.840.113549.1.9.7"
)

func parseRequest(der []byte) (*request, error) {
	s, in, err := parseSigned(der)
	if err != nil {
		return nil, err
	}
	r := &request{signed: s}
	var subject, spki, attributes cryptobyte.String
	if !in.ReadASN1Integer(&r.version) || !in.ReadASN1Element(&subject, cbasn1.SEQUENCE) ||
		!in.ReadASN1Element(&spki, cbasn1.SEQUENCE) || !in.ReadASN1(&attributes, explicit(0)) || !in.Empty() {
		return nil, errors.New("it is not version, subject, public key and attributes")
	}
	r.subject, r.spki = subject, spki
	for !attributes.Empty() {
		var a requestAttribute
		var element, pair cryptobyte.String
		var oid asn1.ObjectIdentifier
		if !attributes.ReadASN1Element(&element, cbasn1.SEQUENCE) {
			return nil, errors.New("an attribute cannot be read")
		}
		a.der = element
		if !element.ReadASN1(&pair, cbasn1.SEQUENCE) || !pair.ReadASN1ObjectIdentifier(&oid) ||
			!pair.ReadASN1(&a.values, cbasn1.SET) || !pair.Empty() || a.values.Empty() {
			return nil, errors.New("an attribute is not a name with values")
		}
		a.oid = oid.String()
		r.attributes = append(r.attributes, a)
	}
	return r, nil
}

// requestRules are the clauses for requests.
var requestRules = []rule[*request]{
	{"RFC 2986 4.1", "version 1", func(r *request) string {
		if r.version != 0 {
			return fmt.Sprintf("its version is %d", r.version+1)
		}
		return ""
	}},
	{Promised, "the subject is the certificate's, octet by octet", func(r *request) string {
		if !bytes.Equal(r.subject, r.cert.subject) {
			return "they differ"
		}
		return ""
	}},
	{Promised, "the public key is the certificate's", func(r *request) string {
		if !bytes.Equal(r.spki, r.cert.spki) {
			return "they differ"
		}
		return ""
	}},
	{"RFC 2986 4.2", "the algorithm has the parameters of its RFC", (*request).parametersFault},
	{Promised, "SHA-256 or better", (*request).algorithmFault},
	{"RFC 2986 4.2", "its own key made the signature", func(r *request) string { return r.signatureFault(r.spki) }},
	{"X.690 11.6", "the attributes are in the order of their octets, each once", func(r *request) string {
		for i := 1; i < len(r.attributes); i++ {
			if bytes.Compare(r.attributes[i-1].der, r.attributes[i].der) >= 0 || r.attributes[i-1].oid == r.attributes[i].oid {
				return r.attributes[i].oid + " is out of place"
			}
		}
		return ""
	}},
	{Promised, "the attributes are extensionRequest and challengePassword only", func(r *request) string {
		for _, a := range r.attributes {
			if !slices.Contains([]string{oidExtensionRequest, oidChallengePassword}, a.oid) {
				return "there is " + a.oid
			}
		}
		return ""
	}},
	{"RFC 2985 5.4.2", "extensionRequest asks for the certificate's subjectAltName", extensionRequestFault},
	{"RFC 2985 5.4.1", "a challengePassword is one PrintableString or UTF8String of 1 to 255 characters", challengeFault},
}

func (r *request) attribute(oid string) *requestAttribute {
	for i := range r.attributes {
		if r.attributes[i].oid == oid {
			return &r.attributes[i]
		}
	}
	return nil
}

func extensionRequestFault(r *request) string {
	want := r.cert.ext(oidAltName)
	a := r.attribute(oidExtensionRequest)
	if a == nil {
		if want != nil {
			return "it is missing"
		}
		return ""
	}
	values := a.values
	all, ok := readExtensions(&values)
	if !ok || !values.Empty() {
		return "it cannot be read"
	}
	if len(all) != 1 || want == nil || all[0].oid != oidAltName || !bytes.Equal(all[0].value, want.value) {
		return "it asks for something else"
	}
	return ""
}

// challengeFault says nothing of the password itself.
func challengeFault(r *request) string {
	a := r.attribute(oidChallengePassword)
	if a == nil {
		return ""
	}
	values := a.values
	var text cryptobyte.String
	var tag cbasn1.Tag
	if !values.ReadAnyASN1(&text, &tag) || !values.Empty() || tag != cbasn1.PrintableString && tag != cbasn1.UTF8String ||
		len(text) == 0 || len([]rune(string(text))) > 255 || alphabetFault(attributeRule{}, attribute{tag: tag, value: string(text)}) != "" {
		return "it is not"
	}
	return ""
}
