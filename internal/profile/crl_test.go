package profile

import (
	"bytes"
	"crypto/sha1"
	"slices"
	"testing"
)

func sha1Of(key []byte) []byte {
	sum := sha1.Sum(key)
	return sum[:]
}

func wantCited(t *testing.T, found []Finding, clause string) {
	t.Helper()
	if !slices.ContainsFunc(found, func(f Finding) bool { return f.Clause == clause }) {
		t.Errorf("%s is not cited: %v", clause, found)
	}
}

func wantNone(t *testing.T, found []Finding) {
	t.Helper()
	for _, f := range found {
		t.Error(f)
	}
}

// faultyCRL is a good CRL with one thing wrong, and the clause that has to be
// cited for it.
type faultyCRL struct {
	name, clause string
	spoil        func(*listParts)
}

func listing(entries ...[]byte) func(*listParts) { return func(p *listParts) { p.entries = entries } }

func carrying(extensions ...[]byte) func(*listParts) {
	return func(p *listParts) { p.extensions = slices.Concat(extensions...) }
}

// entry is a revoked certificate with these extensions.
func entry(extensions ...[]byte) []byte { return seq(one, revoked, seq(extensions...)) }

func authorityKey() []byte { return authorityOf(keys()["ca"]) }

var faultyCRLs = []faultyCRL{
	{"an entry without a date", "RFC 5280 5.1", listing(seq(one))},
	{"an entry with an empty list of extensions", "RFC 5280 5.1", listing(seq(one, revoked, seq()))},
	{"two algorithms", "RFC 5280 5.1.1.2", func(p *listParts) { p.inner = seq(oid("1.2.840.10045.4.3.3")) }},
	{"NULL beside ECDSA", "RFC 5280 5.1.1.2", func(p *listParts) {
		p.inner = seq(oid("1.2.840.10045.4.3.2"), null)
		p.outer = p.inner
	}},
	{"SHA-1", Promised, func(p *listParts) {
		p.inner = seq(oid("1.2.840.10045.4.1"))
		p.outer = p.inner
	}},
	{"an altered signature", "RFC 5280 5.1.1.3", func(p *listParts) { p.damageSignature = true }},
	{"version 1", "RFC 5280 5.1.2.1", func(p *listParts) { p.version = nil }},
	{"another issuer", "RFC 5280 5.1.2.3", func(p *listParts) { p.issuer = seq(cn("Example CA")) }},
	{"thisUpdate a GeneralizedTime in 2026", "RFC 5280 5.1.2.4", func(p *listParts) { p.this = at(generalized, "20260301115500Z") }},
	{"no nextUpdate", "RFC 5280 5.1.2.5", func(p *listParts) { p.next = nil }},
	{"nextUpdate without seconds", "RFC 5280 5.1.2.5", func(p *listParts) { p.next = at(utc, "2603311200Z") }},
	{"nextUpdate before thisUpdate", "RFC 5280 5.1.2.5", func(p *listParts) { p.next = at(utc, "260301115400Z") }},
	{"an empty list", "RFC 5280 5.1.2.6", func(p *listParts) { p.entries, p.always = nil, true }},
	{"a negative serial", "RFC 5280 5.1.2.6", listing(seq(tlv(2, []byte{0x80}), revoked))},
	{"a serial of 21 octets", "RFC 5280 5.1.2.6", listing(seq(tlv(2, bytes.Repeat([]byte{1}, 21)), revoked))},
	{"a serial twice", "RFC 5280 5.1.2.6", listing(seq(one, revoked), seq(one, revoked))},
	{"a revocation date with a zone", "RFC 5280 5.1.2.6", listing(seq(one, at(utc, "260215120000+0000")))},
	{"revoked after thisUpdate", Promised, listing(seq(one, at(utc, "260301115501Z")))},

	{"an extension twice", "RFC 5280 4.2", func(p *listParts) { carrying(authorityKey(), number, number)(p) }},
	{"critical FALSE is written", "RFC 5280 4.2", func(p *listParts) {
		carrying(authorityKey(), seq(oid(oidCRLNumber), []byte{1, 1, 0}, tlv(4, tlv(2, []byte{1}))))(p)
	}},
	{"a delta CRL", Promised, func(p *listParts) { carrying(authorityKey(), number, ext("2.5.29.27", true, tlv(2, []byte{1})))(p) }},
	{"a number that is none", "RFC 5280 5.2", func(p *listParts) { carrying(authorityKey(), ext(oidCRLNumber, false, []byte{5, 0}))(p) }},
	{"no authorityKeyIdentifier", "RFC 5280 5.2.1", carrying(number)},
	{"authorityKeyIdentifier critical", "RFC 5280 5.2.1", func(p *listParts) {
		carrying(ext(oidAuthorityKey, true, seq(tlv(0x80, keys()["ca"].id))), number)(p)
	}},
	{"authorityKeyIdentifier without a key", Promised, carrying(ext(oidAuthorityKey, false, seq()), number)},
	{"authorityKeyIdentifier of another key", "RFC 5280 5.2.1", func(p *listParts) { carrying(authorityOf(keys()["user"]), number)(p) }},
	{"no cRLNumber", "RFC 5280 5.2.3", func(p *listParts) { carrying(authorityKey())(p) }},
	{"cRLNumber critical", "RFC 5280 5.2.3", func(p *listParts) { carrying(authorityKey(), ext(oidCRLNumber, true, tlv(2, []byte{1})))(p) }},
	{"cRLNumber of 21 octets", "RFC 5280 5.2.3", func(p *listParts) {
		carrying(authorityKey(), ext(oidCRLNumber, false, tlv(2, bytes.Repeat([]byte{1}, 21))))(p)
	}},
	{"a negative cRLNumber", "RFC 5280 5.2.3", func(p *listParts) { carrying(authorityKey(), ext(oidCRLNumber, false, tlv(2, []byte{0xff})))(p) }},

	{"a reason twice", "RFC 5280 5.3", listing(entry(ext(oidReason, false, compromi), ext(oidReason, false, compromi)))},
	{"critical FALSE is written in an entry", "RFC 5280 5.3", listing(entry(seq(oid(oidReason), []byte{1, 1, 0}, tlv(4, compromi))))},
	{"another CA's certificate", Promised, listing(entry(ext("2.5.29.29", true, seq(tlv(0xa4, seq(cn("x")))))))},
	{"reason 7", "RFC 5280 5.3.1", listing(reasoned(tlv(10, []byte{7})))},
	{"reason 99", "RFC 5280 5.3.1", listing(reasoned(tlv(10, []byte{99})))},
	{"removeFromCRL", "RFC 5280 5.3.1", listing(reasoned(tlv(10, []byte{8})))},
	{"a reason that is an INTEGER", "RFC 5280 5.3.1", listing(reasoned(tlv(2, []byte{1})))},
	{"reason 0", "RFC 5280 5.3.1", listing(reasoned(tlv(10, []byte{0})))},
	{"a reason critical", "RFC 5280 5.3.1", listing(entry(ext(oidReason, true, compromi)))},
	{"an invalidity date critical", "RFC 5280 5.3.2", listing(entry(ext(oidInvalidityDate, true, at(generalized, "20260101000000Z"))))},
	{"an invalidity date as UTCTime", "RFC 5280 5.3.2", listing(entry(ext(oidInvalidityDate, false, at(utc, "260101000000Z"))))},
	{"a CA that may not sign it", "RFC 5280 4.2.1.3", func(p *listParts) { p.caUsage = ext(oidKeyUsage, true, tlv(3, []byte{2, 0x04})) }},
}

func (f faultyCRL) findings(rules []rule[*crl]) []Finding {
	p := goodCRL()
	f.spoil(p)
	list, ca := p.der()
	return crlBy(rules, list, ca)
}

func TestFaultyCRLs(t *testing.T) {
	for _, f := range faultyCRLs {
		t.Run(f.name, func(t *testing.T) { wantCited(t, f.findings(crlRules), f.clause) })
	}
}

func TestEveryCRLRowIsNeeded(t *testing.T) {
	for i, r := range crlRules {
		others := slices.Delete(slices.Clone(crlRules), i, i+1)
		if !slices.ContainsFunc(faultyCRLs, func(f faultyCRL) bool { return len(f.findings(others)) == 0 }) {
			t.Errorf("%s, %s: no faulty CRL is found by it alone", r.clause, r.asks)
		}
	}
}

func TestGoodCRLs(t *testing.T) {
	for name, change := range map[string]func(*listParts){
		"as it is":  func(*listParts) {},
		"no entry":  func(p *listParts) { p.entries = nil },
		"serial 0":  listing(seq(tlv(2, []byte{0}), revoked)),
		"in 2050":   func(p *listParts) { p.next = at(generalized, "20500101000000Z") },
		"OpenSSL's": listing(entry(ext(oidReason, false, compromi), ext(oidInvalidityDate, false, at(generalized, "20260101000000Z")))),
	} {
		t.Run(name, func(t *testing.T) {
			p := goodCRL()
			change(p)
			wantNone(t, CRL(p.der()))
		})
	}
}
