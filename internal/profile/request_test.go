package profile

import (
	"slices"
	"strings"
	"testing"
)

// faultyRequest is a good request with one thing wrong, and the clause that
// has to be cited for it.
type faultyRequest struct {
	name, clause string
	spoil        func(*requestParts)
}

func asking(attributes ...[]byte) func(*requestParts) {
	return func(p *requestParts) { p.attributes = attributes }
}

func sanRequest(email string) []byte {
	return attributeOf(oidExtensionRequest, seq(ext(oidAltName, false, seq(tlv(0x81, []byte(email))))))
}

func challenge(tag byte, text string) []byte {
	return attributeOf(oidChallengePassword, tlv(tag, []byte(text)))
}

var faultyRequests = []faultyRequest{
	{"an attribute without a value", "RFC 2986 4", asking(attributeOf("1.2.3"))},
	{"version 2", "RFC 2986 4.1", func(p *requestParts) { p.version = tlv(2, []byte{1}) }},
	{"another subject", Promised, func(p *requestParts) { p.subject = userName("") }},
	{"another key", Promised, func(p *requestParts) { p.spki, p.signer = keys()["ca"].spki, keys()["ca"].signer }},
	{"NULL beside ECDSA", "RFC 2986 4.2", func(p *requestParts) { p.outer = seq(oid("1.2.840.10045.4.3.2"), null) }},
	{"SHA-1", Promised, func(p *requestParts) { p.outer = seq(oid("1.2.840.10045.4.1")) }},
	{"an altered signature", "RFC 2986 4.2", func(p *requestParts) { p.damageSignature = true }},
	{"signed by another key", "RFC 2986 4.2", func(p *requestParts) { p.signer = keys()["ca"].signer }},
	{"attributes out of order", "X.690 11.6", asking(sanRequest(email), challenge(printable, "horse 9"))},
	{"an attribute of another kind", Promised, asking(attributeOf("1.2.3", null), sanRequest(email))},
	{"no extensionRequest", "RFC 2985 5.4.2", asking()},
	{"another's e-mail address", "RFC 2985 5.4.2", asking(sanRequest("root@example.com"))},
	{"a challengePassword as IA5String", "RFC 2985 5.4.1", asking(challenge(ia5, "horse"), sanRequest(email))},
	{"a challengePassword that is not printable", "RFC 2985 5.4.1", asking(challenge(printable, "h@rse"), sanRequest(email))},
	{"a challengePassword of 256 characters", "RFC 2985 5.4.1", asking(sanRequest(email), challenge(printable, strings.Repeat("x", 256)))},
}

func (f faultyRequest) findings(rules []rule[*request]) []Finding {
	p := goodRequest()
	f.spoil(p)
	return requestBy(rules, p.der(), goodUser().der())
}

func TestFaultyRequests(t *testing.T) {
	for _, f := range faultyRequests {
		t.Run(f.name, func(t *testing.T) { wantCited(t, f.findings(requestRules), f.clause) })
	}
}

func TestEveryRequestRowIsNeeded(t *testing.T) {
	for i, r := range requestRules {
		others := slices.Delete(slices.Clone(requestRules), i, i+1)
		if !slices.ContainsFunc(faultyRequests, func(f faultyRequest) bool { return len(f.findings(others)) == 0 }) {
			t.Errorf("%s, %s: no faulty request is found by it alone", r.clause, r.asks)
		}
	}
}

func TestGoodRequests(t *testing.T) {
	wantNone(t, Request(goodRequest().der(), goodUser().der()))
	p := goodRequest()
	asking(challenge(utf8Tag, "h@rse"), sanRequest(email))(p)
	wantNone(t, Request(p.der(), goodUser().der()))
}
