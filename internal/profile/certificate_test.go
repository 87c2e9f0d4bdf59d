package profile

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// faultyCertificate is a good certificate with one thing wrong, and the clause
// that has to be cited for it.
type faultyCertificate struct {
	name, clause string
	role         Role
	spoil        func(*parts)
}

func replaced(id string, der []byte) func(*parts) {
	return func(p *parts) { p.extensions[id] = der }
}

func without(id string) func(*parts) { return func(p *parts) { delete(p.extensions, id) } }

func called(rdns ...[]byte) func(*parts) {
	return func(p *parts) { p.subject = userName(email, rdns...) }
}

func cn(value string) []byte { return rdn(oidCommonName, utf8Tag, value) }

// deprived is a user whose subject has no e-mail address.
func deprived(p *parts, subject []byte) {
	p.subject = subject
	delete(p.extensions, oidAltName)
}

var faultyCertificates = []faultyCertificate{
	{"something behind it", "RFC 5280 4.1", User, func(p *parts) { p.unwrapped = []byte{5, 0} }},
	{"bits of the signature unused", "RFC 5280 4.1", User, func(p *parts) { p.unusedSignature = true }},
	{"critical is 01 and not FF", "RFC 5280 4.1", User, func(p *parts) { p.more = seq(oid("1.2.3"), []byte{1, 1, 1}, []byte{4, 0}) }},
	{"two algorithms", "RFC 5280 4.1.1.2", User, func(p *parts) { p.inner = seq(oid("1.2.840.10045.4.3.3")) }},
	{"NULL beside ECDSA", "RFC 5280 4.1.1.2", User, func(p *parts) {
		p.inner = seq(oid("1.2.840.10045.4.3.2"), null)
		p.outer = p.inner
	}},
	{"SHA-1", Promised, User, func(p *parts) {
		p.inner = seq(oid("1.2.840.10045.4.1"))
		p.outer = p.inner
	}},
	{"an altered signature", "RFC 5280 4.1.1.3", User, func(p *parts) { p.damageSignature = true }},
	{"signed by itself", "RFC 5280 4.1.1.3", User, func(p *parts) { p.signer = keys()["user"].signer }},
	{"version 1", "RFC 5280 4.1.2.1", User, func(p *parts) { p.version = nil }},
	{"serial 0", "RFC 5280 4.1.2.2", User, func(p *parts) { p.serial = tlv(2, []byte{0}) }},
	{"serial negative", "RFC 5280 4.1.2.2", User, func(p *parts) { p.serial = tlv(2, bytes.Repeat([]byte{0x85}, 16)) }},
	{"serial of 21 octets", "RFC 5280 4.1.2.2", User, func(p *parts) { p.serial = tlv(2, bytes.Repeat([]byte{0x55}, 21)) }},
	{"serial in too many octets", "RFC 5280 4.1.2.2", User, func(p *parts) { p.serial = tlv(2, []byte{0}, serial) }},
	{"serial 7", Promised, User, func(p *parts) { p.serial = tlv(2, []byte{7}) }},
	{"issuer in another string type", "RFC 5280 4.1.2.4", User, func(p *parts) {
		p.issuer = seq(rdn(oidCountry, printable, "US"), rdn("2.5.4.10", printable, "Example"), rdn(oidCommonName, printable, "Example CA"))
	}},
	{"GeneralizedTime in 2027", "RFC 5280 4.1.2.5", User, func(p *parts) { p.to = at(generalized, "20270301120000Z") }},
	{"a fraction of a second", "RFC 5280 4.1.2.5", User, func(p *parts) { p.to = at(generalized, "20270301120000.5Z") }},
	{"no seconds", "RFC 5280 4.1.2.5", User, func(p *parts) { p.to = at(utc, "2703011200Z") }},
	{"a time zone", "RFC 5280 4.1.2.5", User, func(p *parts) { p.to = at(utc, "270301120000+0100") }},
	{"ends before it begins", "RFC 5280 4.1.2.5", User, func(p *parts) { p.to = at(utc, "260201120000Z") }},
	{"outlives its CA", Promised, User, func(p *parts) { p.to = at(utc, "360227120001Z") }},
	{"outlives its CA, after 2049", Promised, User, func(p *parts) { p.to = at(generalized, "20500227120001Z") }},
	{"a subject that is none", "RFC 5280 4.1.2.4", User, func(p *parts) { deprived(p, seq(seq(oid(oidCommonName)))) }},
	{"an empty subject", "RFC 5280 4.1.2.6", User, func(p *parts) { deprived(p, seq()) }},
	{"C as a UTF8String", "RFC 5280 4.1.2.4", User, func(p *parts) {
		p.subject = seq(rdn(oidCountry, utf8Tag, "US"), cn("ada"), rdn(oidEmail, ia5, email))
	}},
	{"CN as a PrintableString", "RFC 5280 4.1.2.4", User, called(rdn(oidCommonName, printable, "ada"))},
	{"CN as a TeletexString", "RFC 5280 4.1.2.4", User, called(rdn(oidCommonName, 0x14, "ada"))},
	{"e-mail as a UTF8String", "RFC 5280 4.1.2.4", User, func(p *parts) {
		p.subject = seq(cn("ada"), rdn(oidEmail, utf8Tag, email))
	}},
	{"CN not UTF-8", "RFC 5280 4.1.2.4", User, called(cn("ad\xe4"))},
	{"CN of 65 characters", "RFC 5280 A.1", User, called(cn(strings.Repeat("ä", 65)))},
	{"L of 129 characters", "RFC 5280 A.1", User, called(rdn("2.5.4.7", utf8Tag, strings.Repeat("l", 129)), cn("ada"))},
	{"CN empty", "RFC 5280 A.1", User, called(cn(""))},
	{"C of three letters", "RFC 5280 A.1", User, func(p *parts) {
		p.subject = seq(rdn(oidCountry, printable, "DEU"), cn("ada"), rdn(oidEmail, ia5, email))
	}},
	{"C in lower case", "RFC 5280 A.1", User, func(p *parts) {
		p.subject = seq(rdn(oidCountry, printable, "de"), cn("ada"), rdn(oidEmail, ia5, email))
	}},
	{"two attributes in one RDN", Promised, User, called(tlv(0x31,
		seq(oid("2.5.4.10"), tlv(utf8Tag, []byte("A"))), seq(oid("2.5.4.11"), tlv(utf8Tag, []byte("B")))), cn("ada"))},
	{"CN before O", Promised, User, called(cn("ada"), rdn("2.5.4.10", utf8Tag, "Example"))},
	{"CN twice", Promised, User, called(cn("ada"), cn("root"))},
	{"an attribute of another kind", Promised, User, called(rdn("0.9.2342.19200300.100.1.1", utf8Tag, "ada"), cn("ada"))},
	{"no CN", Promised, User, called(rdn("2.5.4.10", utf8Tag, "Example"))},
	{"NUL in CN", Promised, User, called(cn("ada\x00.evil"))},
	{"a newline in CN", Promised, User, called(cn("ada\nroot"))},
	{"right-to-left in CN", Promised, User, called(cn("ada\u202eroot"))},
	{"zero width in CN", Promised, User, called(cn("a\u200bda"))},
	{"RSA without NULL", "RFC 5280 4.1.2.7", User, func(p *parts) {
		p.withKey(keys()["rsa2048"])
		_, _, key := splitKey(p.spki)
		p.spki = seq(seq(oid(oidRSA)), bitString(key))
	}},
	{"Ed25519 with NULL", "RFC 5280 4.1.2.7", User, func(p *parts) {
		p.withKey(keys()["ed25519"])
		_, _, key := splitKey(p.spki)
		p.spki = seq(seq(oid(oidEd25519), null), bitString(key))
	}},
	{"a point that is not on the curve", "RFC 5280 4.1.2.7", User, func(p *parts) {
		_, parameters, key := splitKey(p.spki)
		key = slices.Clone(key)
		key[len(key)-1] ^= 1
		p.spki = seq(seq(oid(oidEC), parameters), bitString(key))
		p.extensions[oidSubjectKey] = ext(oidSubjectKey, false, tlv(4, sha1Of(key)))
	}},
	{"P-224", Promised, User, func(p *parts) { p.withKey(keys()["p224"]) }},
	{"RSA with 1024 bits", Promised, User, func(p *parts) { p.withKey(keys()["rsa1024"]) }},
	{"a unique identifier", "RFC 5280 4.1.2.8", User, func(p *parts) { p.unique = tlv(0x82, []byte{0, 1}) }},

	{"an extension twice", "RFC 5280 4.2", User, func(p *parts) { p.more = p.extensions[oidKeyUsage] }},
	{"critical FALSE is written", "RFC 5280 4.2", User, func(p *parts) {
		p.extensions[oidSubjectKey] = seq(oid(oidSubjectKey), []byte{1, 1, 0}, tlv(4, tlv(4, keys()["user"].id)))
	}},
	{"a critical extension that nobody knows", Promised, User, func(p *parts) { p.more = ext("1.2.3.4", true, []byte{5, 0}) }},
	{"a Netscape comment", Promised, User, func(p *parts) { p.more = ext("2.16.840.1.113730.1.13", false, tlv(0x16, []byte("by hand"))) }},
	{"keyUsage with a bit too many", "RFC 5280 4.2", User, replaced(oidKeyUsage, ext(oidKeyUsage, true, tlv(3, []byte{6, 0x80})))},
	{"keyUsage without a bit", "RFC 5280 4.2", User, replaced(oidKeyUsage, ext(oidKeyUsage, true, tlv(3, []byte{0})))},
	{"keyUsage with an octet too many", "RFC 5280 4.2", User, replaced(oidKeyUsage, ext(oidKeyUsage, true, tlv(3, []byte{7, 0x80, 0})))},
	{"cA FALSE is written", "RFC 5280 4.2", User, replaced(oidBasic, ext(oidBasic, true, seq([]byte{1, 1, 0})))},
	{"an empty subjectAltName", "RFC 5280 4.2", User, replaced(oidAltName, ext(oidAltName, false, seq()))},
	{"subjectKeyIdentifier that is no OCTET STRING", "RFC 5280 4.2", User, replaced(oidSubjectKey, ext(oidSubjectKey, false, []byte{5, 0}))},
	{"no authorityKeyIdentifier", "RFC 5280 4.2.1.1", User, without(oidAuthorityKey)},
	{"authorityKeyIdentifier critical", "RFC 5280 4.2.1.1", User, func(p *parts) {
		p.extensions[oidAuthorityKey] = ext(oidAuthorityKey, true, seq(tlv(0x80, keys()["ca"].id)))
	}},
	{"authorityKeyIdentifier with a serial number", Promised, User, func(p *parts) {
		p.extensions[oidAuthorityKey] = ext(oidAuthorityKey, false, seq(tlv(0x80, keys()["ca"].id), tlv(0xa1, tlv(0xa4, caName())), tlv(0x82, serial)))
	}},
	{"authorityKeyIdentifier of another key", "RFC 5280 4.2.1.1", User, func(p *parts) { p.extensions[oidAuthorityKey] = authorityOf(keys()["user"]) }},
	{"no subjectKeyIdentifier", "RFC 5280 4.2.1.2", User, without(oidSubjectKey)},
	{"a CA without subjectKeyIdentifier", "RFC 5280 4.2.1.2", CA, without(oidSubjectKey)},
	{"subjectKeyIdentifier critical", "RFC 5280 4.2.1.2", User, func(p *parts) {
		p.extensions[oidSubjectKey] = ext(oidSubjectKey, true, tlv(4, keys()["user"].id))
	}},
	{"subjectKeyIdentifier of another key", "RFC 5280 4.2.1.2", User, func(p *parts) {
		p.extensions[oidSubjectKey] = ext(oidSubjectKey, false, tlv(4, keys()["ca"].id))
	}},
	{"no keyUsage", "RFC 5280 4.2.1.3", User, without(oidKeyUsage)},
	{"keyUsage not critical", "RFC 5280 4.2.1.3", User, replaced(oidKeyUsage, ext(oidKeyUsage, false, tlv(3, []byte{7, 0x80})))},
	{"a user with keyCertSign", "RFC 5280 4.2.1.3", User, replaced(oidKeyUsage, ext(oidKeyUsage, true, tlv(3, []byte{2, 0x84})))},
	{"a user with keyEncipherment", "RFC 5280 4.2.1.3", User, replaced(oidKeyUsage, ext(oidKeyUsage, true, tlv(3, []byte{5, 0xa0})))},
	{"a CA without cRLSign", "RFC 5280 4.2.1.3", CA, replaced(oidKeyUsage, ext(oidKeyUsage, true, tlv(3, []byte{2, 0x04})))},
	{"no subjectAltName", "RFC 5280 4.2.1.6", User, without(oidAltName)},
	{"subjectAltName critical", "RFC 5280 4.2.1.6", User, replaced(oidAltName, ext(oidAltName, true, seq(tlv(0x81, []byte(email)))))},
	{"subjectAltName with a DNS name", Promised, User, replaced(oidAltName, ext(oidAltName, false, seq(tlv(0x81, []byte(email)), tlv(0x82, []byte("example.com")))))},
	{"subjectAltName of somebody else", Promised, User, replaced(oidAltName, ext(oidAltName, false, seq(tlv(0x81, []byte("root@example.com")))))},
	{"an e-mail without a domain", "RFC 5280 4.2.1.6", User, func(p *parts) { p.named("ada@") }},
	{"an e-mail in angle brackets", "RFC 5280 4.2.1.6", User, func(p *parts) { p.named("<ada@example.com>") }},
	{"an e-mail that is not ASCII", "RFC 5280 4.2.1.6", User, func(p *parts) { p.named("adä@example.com") }},
	{"an e-mail with a surplus dot", "RFC 5280 4.2.1.6", User, func(p *parts) { p.named("a..da@example.com") }},
	{"an e-mail with a bad domain", "RFC 5280 4.2.1.6", User, func(p *parts) { p.named("ada@-example.com") }},
	{"no basicConstraints", "RFC 5280 4.2.1.9", User, without(oidBasic)},
	{"basicConstraints not critical", "RFC 5280 4.2.1.9", CA, replaced(oidBasic, ext(oidBasic, false, seq(yes, tlv(2, []byte{0}))))},
	{"a user with CA:TRUE", "RFC 5280 4.2.1.9", User, replaced(oidBasic, ext(oidBasic, true, seq(yes)))},
	{"a CA without a path length", "RFC 5280 4.2.1.9", CA, replaced(oidBasic, ext(oidBasic, true, seq(yes)))},
	{"no extKeyUsage", "RFC 5280 4.2.1.12", User, without(oidExtUsage)},
	{"extKeyUsage critical", Promised, User, replaced(oidExtUsage, ext(oidExtUsage, true, seq(oid(oidClientAuth))))},
	{"serverAuth", Promised, User, replaced(oidExtUsage, ext(oidExtUsage, false, seq(oid("1.3.6.1.5.5.7.3.1"))))},
	{"any purpose beside clientAuth", Promised, User, replaced(oidExtUsage, ext(oidExtUsage, false, seq(oid(oidClientAuth), oid("2.5.29.37.0"))))},
	{"a CA with extKeyUsage", Promised, CA, replaced(oidExtUsage, ext(oidExtUsage, false, seq(oid(oidClientAuth))))},
}

func (f faultyCertificate) findings(rules []rule[*certificate]) []Finding {
	p := goodUser()
	if f.role == CA {
		p = goodCA()
	}
	f.spoil(p)
	der, issuer := p.der(), goodCA().der()
	if f.role == CA {
		issuer = der
	}
	return certificateBy(rules, f.role, der, issuer)
}

func TestFaultyCertificates(t *testing.T) {
	for _, f := range faultyCertificates {
		t.Run(f.name, func(t *testing.T) { wantCited(t, f.findings(certificateRules), f.clause) })
	}
}

// Without its row, a fault goes by without a word: no row stands in for another.
func TestEveryCertificateRowIsNeeded(t *testing.T) {
	for i, r := range certificateRules {
		others := slices.Delete(slices.Clone(certificateRules), i, i+1)
		if !slices.ContainsFunc(faultyCertificates, func(f faultyCertificate) bool {
			return len(f.findings(others)) == 0
		}) {
			t.Errorf("%s, %s: no faulty certificate is found by it alone", r.clause, r.asks)
		}
	}
}

func TestGoodCertificates(t *testing.T) {
	ca := goodCA().der()
	wantNone(t, Certificate(CA, ca, ca))
	wantNone(t, Certificate(User, goodUser().der(), ca))
	for name, change := range map[string]func(*parts){
		"RSA":       func(p *parts) { p.withKey(keys()["rsa2048"]) },
		"Ed25519":   func(p *parts) { p.withKey(keys()["ed25519"]) },
		"no e-mail": func(p *parts) { deprived(p, userName("")) },
		"an umlaut": called(cn("Jürgen Groß")),
		"OpenSSL's SKI": func(p *parts) {
			_, _, k := splitKey(p.spki)
			replaced(oidSubjectKey, ext(oidSubjectKey, false, tlv(4, sha1Of(k))))(p)
		},
		"64 characters":  called(cn(strings.Repeat("ä", 64))),
		"every RDN once": called(rdn("2.5.4.8", utf8Tag, "ST"), rdn("2.5.4.7", utf8Tag, "L"), rdn("2.5.4.10", utf8Tag, "O"), rdn("2.5.4.11", utf8Tag, "OU"), cn("x")),
	} {
		t.Run(name, func(t *testing.T) {
			p := goodUser()
			change(p)
			wantNone(t, Certificate(User, p.der(), ca))
		})
	}
	t.Run("a CA with the name that somebody gave it by hand", func(t *testing.T) {
		p := goodCA()
		p.subject = seq(rdn(oidCommonName, printable, "Hand"), rdn("2.5.4.10", 0x14, "Made"))
		p.issuer = p.subject
		wantNone(t, Certificate(Reissued, p.der(), p.der()))
		wantCited(t, Certificate(CA, p.der(), p.der()), "RFC 5280 4.1.2.4")
	})
	t.Run("a CA signed with RSA until 2051", func(t *testing.T) {
		p := goodCA()
		k := keys()["rsa2048"]
		p.withKey(k)
		p.signer, p.to = k.signer, at(generalized, "20510101000000Z")
		p.inner = seq(oid("1.2.840.113549.1.1.11"), null)
		p.outer = p.inner
		wantNone(t, Certificate(CA, p.der(), p.der()))
	})
}

func TestSerials(t *testing.T) {
	ca, user := goodCA().der(), goodUser().der()
	wantNone(t, Serials([][]byte{ca, user}))
	wantCited(t, Serials([][]byte{ca, user, user}), "RFC 5280 4.1.2.2")
}

func TestOwnKeyID(t *testing.T) {
	p := goodUser()
	if !OwnKeyID(p.der()) {
		t.Error("mtlsplan's way to name a key is not known")
	}
	_, _, key := splitKey(p.spki)
	p.extensions[oidSubjectKey] = ext(oidSubjectKey, false, tlv(4, sha1Of(key)))
	if OwnKeyID(p.der()) {
		t.Error("OpenSSL's way to name a key is taken for mtlsplan's")
	}
}
