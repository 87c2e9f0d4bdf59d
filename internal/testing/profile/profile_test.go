package profile

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// trial is the value that a test puts on trial. It is good until a fault spoils it.
// crypto/x509 makes all of it; no row examines signatures.
type trial struct {
	role     Role
	template x509.Certificate
	key      crypto.Signer
	list     x509.RevocationList
	request  x509.CertificateRequest
	rewrite  func(outer, inner []asn1.RawValue) // the fields of the whole, and of its signed part
}

var keys = sync.OnceValue(func() map[string]crypto.Signer {
	all := map[string]crypto.Signer{}
	for name, curve := range map[string]elliptic.Curve{"ca": elliptic.P256(), "user": elliptic.P256(), "p224": elliptic.P224()} {
		all[name] = must(ecdsa.GenerateKey(curve, rand.Reader))
	}
	all["rsa1024"], all["rsa2048"] = must(rsa.GenerateKey(rand.Reader, 1024)), must(rsa.GenerateKey(rand.Reader, 2048))
	_, all["ed25519"], _ = ed25519.GenerateKey(rand.Reader)
	return all
})

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const email = "ada@example.com"

// rdn is an attribute in an RDN of its own.
func rdn(oid asn1.ObjectIdentifier, tag int, value string) pkix.RelativeDistinguishedNameSET {
	return pkix.RelativeDistinguishedNameSET{{Type: oid, Value: asn1.RawValue{Tag: tag, Bytes: []byte(value)}}}
}

func cn(value string) pkix.RelativeDistinguishedNameSET {
	return rdn(oidName, asn1.TagUTF8String, value)
}

func name(rdns ...pkix.RelativeDistinguishedNameSET) []byte { return marshal(pkix.RDNSequence(rdns)) }

var us, mail = rdn(oidCountry, asn1.TagPrintableString, "US"), rdn(oidEmail, asn1.TagIA5String, email)

func (t *trial) carry(id asn1.ObjectIdentifier, critical bool, value []byte) {
	extensions := &t.template.ExtraExtensions
	*extensions = slices.DeleteFunc(*extensions, func(e pkix.Extension) bool { return e.Id.Equal(id) })
	if value != nil {
		*extensions = append(*extensions, pkix.Extension{Id: id, Critical: critical, Value: value})
	}
}

func keyIDOf(key crypto.Signer) []byte {
	sum := sha256.Sum256(keyBits(must(x509.MarshalPKIXPublicKey(key.Public()))))
	return sum[:20]
}

// make issues the certificate.
func (t *trial) make(ca *x509.Certificate) *x509.Certificate {
	if t.template.SubjectKeyId == nil {
		t.template.SubjectKeyId = keyIDOf(t.key)
	}
	issuer := keys()["ca"]
	if ca == nil {
		ca, issuer = &t.template, t.key
	}
	der := must(x509.CreateCertificate(rand.Reader, &t.template, ca, t.key.Public(), issuer))
	return must(x509.ParseCertificate(t.rewritten(der)))
}

func goodCA() *trial {
	return &trial{role: CA, key: keys()["ca"], template: x509.Certificate{
		SerialNumber: new(big.Int).Lsh(big.NewInt(0x5a), 120), RawSubject: name(us, cn("Example CA")),
		NotBefore: noon, NotAfter: noon.AddDate(10, 0, 0), IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}}
}

func goodUser() *trial {
	return &trial{role: User, key: keys()["user"], template: x509.Certificate{
		SerialNumber: new(big.Int).Lsh(big.NewInt(0xa5), 120), RawSubject: name(us, cn("ada"), mail),
		NotBefore: noon, NotAfter: noon.AddDate(1, 0, 0), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		EmailAddresses: []string{email},
	}, list: x509.RevocationList{Number: big.NewInt(1), ThisUpdate: noon, NextUpdate: noon.AddDate(0, 1, 0),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(9), RevocationTime: noon, ReasonCode: 1}},
	}, request: x509.CertificateRequest{RawSubject: name(us, cn("ada"), mail), EmailAddresses: []string{email}}}
}

// fault is a change of a good value, and the clause that has to be cited for it, ""
// where the value stays good.
type fault struct {
	name, clause string
	spoil        func(*trial)
}

func called(rdns ...pkix.RelativeDistinguishedNameSET) func(*trial) {
	return func(t *trial) { t.template.RawSubject = name(rdns...) }
}

func mailed(address string) func(*trial) {
	return func(t *trial) {
		t.template.RawSubject = name(us, cn("ada"), rdn(oidEmail, asn1.TagIA5String, address))
		t.template.EmailAddresses = []string{address}
	}
}

func keyed(which string) func(*trial) { return func(t *trial) { t.key = keys()[which] } }

func carrying(id asn1.ObjectIdentifier, critical bool, value []byte) func(*trial) {
	return func(t *trial) { t.carry(id, critical, value) }
}

// aCA spoils a CA's certificate.
func aCA(spoil func(*trial)) func(*trial) {
	return func(t *trial) {
		*t = *goodCA()
		spoil(t)
	}
}

// rewritten changes the signed part after it was signed.
func (t *trial) rewritten(der []byte) []byte {
	if t.rewrite == nil {
		return der
	}
	outer := fields(der)
	inner := fields(outer[0].FullBytes)
	t.rewrite(outer, inner)
	outer[0] = asn1.RawValue{FullBytes: marshal(inner)}
	return marshal(outer)
}

// fields are the elements of a SEQUENCE.
func fields(der []byte) (all []asn1.RawValue) {
	_ = must(asn1.Unmarshal(der, &all))
	return all
}

// replace puts other DER in the place of some elements.
func replace(all []asn1.RawValue, from, to []byte) {
	for i := range all {
		if bytes.Equal(all[i].FullBytes, from) {
			all[i].FullBytes = to
		}
	}
}

func ecdsaWithNull(t *trial) {
	id := pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}}
	bare := marshal(id)
	id.Parameters = asn1.NullRawValue
	t.rewrite = func(outer, inner []asn1.RawValue) {
		replace(outer, bare, marshal(id))
		replace(inner, bare, marshal(id))
	}
}

// changing gives one extension of a CRL another value.
func changing(id asn1.ObjectIdentifier, from, to []byte) func(*trial) {
	return func(t *trial) {
		t.rewrite = func(_, inner []asn1.RawValue) {
			last := &inner[len(inner)-1]
			extensions := fields(last.Bytes)
			replace(extensions, marshal(pkix.Extension{Id: id, Value: from}), marshal(pkix.Extension{Id: id, Value: to}))
			*last = asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: marshal(extensions)}
		}
	}
}

var uid, organization = asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}, asn1.ObjectIdentifier{2, 5, 4, 10}

var faultyCertificates = []fault{
	{"good", "", func(*trial) {}},
	{"a good CA", "", aCA(func(*trial) {})},
	{"RSA", "", keyed("rsa2048")},
	{"Ed25519", "", keyed("ed25519")},
	{"no e-mail", "", func(t *trial) { t.template.RawSubject, t.template.EmailAddresses = name(us, cn("ada")), nil }},
	{"an umlaut", "", called(us, cn("Jürgen Groß"), mail)},
	{"OpenSSL's key identifier", "", func(t *trial) {
		sum := sha1.Sum(keyBits(must(x509.MarshalPKIXPublicKey(t.key.Public()))))
		t.template.SubjectKeyId = sum[:]
	}},
	{"a CA with RSA until 2051", "", aCA(func(t *trial) {
		t.key, t.template.NotAfter = keys()["rsa2048"], time.Date(2051, 1, 1, 0, 0, 0, 0, time.UTC)
	})},
	{"a CA with a name that was made by hand", "", aCA(func(t *trial) {
		t.role, t.template.SubjectKeyId = Reissued, []byte{7}
		t.template.RawSubject = name(rdn(oidName, asn1.TagPrintableString, "Hand"), rdn(organization, asn1.TagT61String, "Made"))
	})},
	{"NULL beside ECDSA", "RFC 5280 4.1.1.2", ecdsaWithNull},
	{"serial 7", Promised, func(t *trial) { t.template.SerialNumber = big.NewInt(7) }},
	{"outlives its CA", Promised, func(t *trial) { t.template.NotAfter = noon.AddDate(10, 0, 1) }},
	{"CN as a PrintableString", Promised, called(us, rdn(oidName, asn1.TagPrintableString, "ada"), mail)},
	{"CN as a TeletexString", Promised, called(us, rdn(oidName, asn1.TagT61String, "ada"), mail)},
	{"e-mail as a UTF8String", Promised, called(us, cn("ada"), rdn(oidEmail, asn1.TagUTF8String, email))},
	{"CN before O", Promised, called(us, cn("ada"), rdn(organization, asn1.TagUTF8String, "Example"), mail)},
	{"CN twice", Promised, called(us, cn("ada"), cn("root"), mail)},
	{"two attributes in one RDN", Promised, called(us, append(cn("ada"), mail...))},
	{"an attribute of another kind", Promised, called(us, rdn(uid, asn1.TagUTF8String, "ada"), cn("ada"), mail)},
	{"no CN", Promised, called(us, mail)},
	{"right-to-left in CN", Promised, called(us, cn("ada\u202eroot"), mail)},
	{"zero width in CN", Promised, called(us, cn("a\u200bda"), mail)},
	{"C of three letters", "RFC 5280 A.1", called(rdn(oidCountry, asn1.TagPrintableString, "DEU"), cn("ada"), mail)},
	{"P-224", Promised, keyed("p224")},
	{"RSA with 1024 bits", Promised, keyed("rsa1024")},
	{"an e-mail without a domain", "RFC 5280 4.2.1.6", mailed("ada@")},
	{"an e-mail with a surplus dot", "RFC 5280 4.2.1.6", mailed("a..da@example.com")},
	{"an e-mail with a bad domain", "RFC 5280 4.2.1.6", mailed("ada@-example.com")},
	{"a Netscape comment", Promised, carrying(asn1.ObjectIdentifier{2, 16, 840, 1, 113730, 1, 13}, false, []byte{0x16, 0})},
	{"authorityKeyIdentifier with a serial number", Promised, carrying(oidAuthorityKey, false, marshal(struct {
		Key    []byte `asn1:"tag:0"`
		Serial int    `asn1:"tag:2"`
	}{keyIDOf(keys()["ca"]), 7}))},
	{"subjectKeyIdentifier of another key", Promised, func(t *trial) { t.template.SubjectKeyId = keyIDOf(keys()["ca"]) }},
	{"subjectAltName critical", Promised, carrying(oidAltName, true, altName(email).Value)},
	{"subjectAltName with a DNS name", Promised, func(t *trial) { t.template.DNSNames = []string{"example.com"} }},
	{"no subjectAltName", Promised, func(t *trial) { t.template.EmailAddresses = nil }},
	{"extKeyUsage critical", Promised, carrying(oidExtUsage, true, marshal([]asn1.ObjectIdentifier{oidClientAuth}))},
	{"a CA without a path length", Promised, aCA(func(t *trial) { t.template.MaxPathLenZero = false })},
	{"a CA with extKeyUsage", Promised, aCA(carrying(oidExtUsage, false, marshal([]asn1.ObjectIdentifier{oidClientAuth})))},
}

var faultyCRLs = []fault{
	{"good", "", func(*trial) {}},
	{"no entry", "", func(t *trial) { t.list.RevokedCertificateEntries = nil }},
	{"serial 0", "", func(t *trial) { t.list.RevokedCertificateEntries[0].SerialNumber = new(big.Int) }},
	{"until 2050", "", func(t *trial) { t.list.NextUpdate = time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC) }},
	{"NULL beside ECDSA", "RFC 5280 5.1.1.2", ecdsaWithNull},
	{"thisUpdate a GeneralizedTime in 2026", "RFC 5280 5.1.2.4", func(t *trial) {
		t.rewrite = func(_, inner []asn1.RawValue) {
			inner[3] = asn1.RawValue{Tag: asn1.TagGeneralizedTime, Bytes: []byte("20260301120000Z")}
		}
	}},
	{"a negative serial", "RFC 5280 5.1.2.6", func(t *trial) { t.list.RevokedCertificateEntries[0].SerialNumber = big.NewInt(-1) }},
	{"a serial of 21 octets", "RFC 5280 5.1.2.6", func(t *trial) {
		t.list.RevokedCertificateEntries[0].SerialNumber = new(big.Int).Lsh(big.NewInt(1), 160)
	}},
	{"a distribution point of another list", Promised, func(t *trial) {
		t.list.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 46}, Value: []byte{0x30, 0}}}
	}},
	{"cRLNumber of 21 octets", "RFC 5280 5.2.3", changing(oidCRLNumber, marshal(1), marshal(new(big.Int).Lsh(big.NewInt(1), 159)))},
	{"authorityKeyIdentifier without a key", Promised, changing(oidAuthorityKey,
		authorityKey(&x509.Certificate{SubjectKeyId: keyIDOf(keys()["ca"])}).Value, []byte{0x30, 0})},
	{"an entry with an extension of another kind", Promised, func(t *trial) {
		t.list.RevokedCertificateEntries[0].ExtraExtensions = []pkix.Extension{{Id: uid, Value: []byte{5, 0}}}
	}},
	{"removeFromCRL", "RFC 5280 5.3.1", func(t *trial) { t.list.RevokedCertificateEntries[0].ReasonCode = removeFromCRL }},
}

// attributed puts attributes into a request.
func attributed(attributes ...[]byte) func(*trial) {
	return func(t *trial) {
		t.rewrite = func(_, inner []asn1.RawValue) {
			inner[3] = asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: slices.Concat(attributes...)}
		}
	}
}

func attribute(oid asn1.ObjectIdentifier, values ...[]byte) []byte {
	return marshal([]asn1.RawValue{{FullBytes: marshal(oid)}, {Tag: asn1.TagSet, IsCompound: true, Bytes: slices.Concat(values...)}})
}

func challenge(tag int, text string) func(*trial) {
	return attributed(attribute(oidChallengePassword, marshal(asn1.RawValue{Tag: tag, Bytes: []byte(text)})), sanAsked)
}

var sanAsked = attribute(oidExtensionRequest, marshal([]pkix.Extension{altName(email)}))

var faultyRequests = []fault{
	{"good", "", func(*trial) {}},
	{"a printable challengePassword", "", challenge(asn1.TagPrintableString, "horse 9")},
	{"a challengePassword in UTF-8", "", challenge(asn1.TagUTF8String, "h@rse")},
	{"another subject", Promised, func(t *trial) { t.request.RawSubject = name(cn("root")) }},
	{"NULL beside ECDSA", "RFC 2986 4.2", ecdsaWithNull},
	{"an attribute without a value", "RFC 2985 5.4", attributed(attribute(uid), sanAsked)},
	{"an attribute of another kind", "RFC 2985 5.4", attributed(attribute(uid, asn1.NullBytes), sanAsked)},
	{"no extensionRequest", "RFC 2985 5.4", func(t *trial) { t.request.EmailAddresses = nil }},
	{"another's e-mail address", "RFC 2985 5.4", func(t *trial) { t.request.EmailAddresses = []string{"root@example.com"} }},
	{"a challengePassword as IA5String", "RFC 2985 5.4", challenge(asn1.TagIA5String, "horse")},
	{"a challengePassword that is not printable", "RFC 2985 5.4", challenge(asn1.TagPrintableString, "h@rse")},
	{"a challengePassword of 256 characters", "RFC 2985 5.4", challenge(asn1.TagPrintableString, strings.Repeat("x", 256))},
}

func judgeCertificate(t *trial, rules []rule[certificate]) []Finding {
	ca := goodCA().make(nil)
	c := certificate{role: t.role, ca: ca}
	if t.role == User {
		c.Certificate = t.make(ca)
	} else {
		c.Certificate = t.make(nil)
		c.ca = c.Certificate
	}
	return judge(rules, c)
}

func judgeCRL(t *trial, rules []rule[crl]) []Finding {
	ca := goodCA().make(nil)
	der := must(x509.CreateRevocationList(rand.Reader, &t.list, ca, keys()["ca"]))
	return judge(rules, crl{must(x509.ParseRevocationList(t.rewritten(der))), ca})
}

func judgeRequest(t *trial, rules []rule[request]) []Finding {
	der := must(x509.CreateCertificateRequest(rand.Reader, &t.request, t.key))
	return judge(rules, request{must(x509.ParseCertificateRequest(t.rewritten(der))), goodUser().make(goodCA().make(nil))})
}

// TestFaults shows that each fault is cited, that good values are not, and that every
// row is needed: without it a fault is not found.
func TestFaults(t *testing.T) {
	holdFaults(t, "certificate", certificateRules, faultyCertificates, judgeCertificate)
	holdFaults(t, "CRL", crlRules, faultyCRLs, judgeCRL)
	holdFaults(t, "request", requestRules, faultyRequests, judgeRequest)
}

func holdFaults[T any](t *testing.T, what string, rules []rule[T], faults []fault, ask func(*trial, []rule[T]) []Finding) {
	asked := func(f fault, rules []rule[T]) []Finding {
		trial := goodUser()
		f.spoil(trial)
		return ask(trial, rules)
	}
	for _, f := range faults {
		found := asked(f, rules)
		cited := slices.ContainsFunc(found, func(found Finding) bool { return found.Clause == f.clause })
		if f.clause == "" && found != nil || f.clause != "" && !cited {
			t.Errorf("%s, %s: expected clause %q, have %v", what, f.name, f.clause, found)
		}
	}
	for i, r := range rules {
		others := slices.Delete(slices.Clone(rules), i, i+1)
		if !slices.ContainsFunc(faults, func(f fault) bool { return f.clause != "" && asked(f, others) == nil }) {
			t.Errorf("%s, %s, %s: no fault needs this row", what, r.clause, r.asks)
		}
	}
}

func TestSerialsAndKeyIDs(t *testing.T) {
	ca := goodCA().make(nil)
	user := goodUser().make(ca)
	if found := Serials([]*x509.Certificate{ca, user}); found != nil {
		t.Error(found)
	}
	if found := Serials([]*x509.Certificate{ca, user, user}); len(found) != 1 {
		t.Error("a serial number that occurs twice is not found")
	}
	if !OwnKeyID(user.RawSubjectPublicKeyInfo, user.SubjectKeyId) || OwnKeyID(user.RawSubjectPublicKeyInfo, ca.SubjectKeyId) {
		t.Error("OwnKeyID does not recognise mtlsplan's own identifier, or takes another for it")
	}
}
