package profile

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// DER by hand: crypto/x509 would not make most of what is wanted here.

func tlv(tag byte, contents ...[]byte) []byte {
	content := slices.Concat(contents...)
	n := len(content)
	head := []byte{tag}
	switch {
	case n < 0x80:
		head = append(head, byte(n))
	case n < 0x100:
		head = append(head, 0x81, byte(n))
	default:
		head = append(head, 0x82, byte(n>>8), byte(n))
	}
	return append(head, content...)
}

func seq(contents ...[]byte) []byte { return tlv(0x30, contents...) }

func oid(dotted string) []byte {
	var id asn1.ObjectIdentifier
	for n := range strings.SplitSeq(dotted, ".") {
		i, _ := strconv.Atoi(n)
		id = append(id, i)
	}
	der, err := asn1.Marshal(id)
	if err != nil {
		panic(err)
	}
	return der
}

func bitString(content []byte) []byte { return tlv(3, []byte{0}, content) }

const (
	utc         = 0x17
	generalized = 0x18
	printable   = 0x13
	ia5         = 0x16
	utf8Tag     = 0x0c
)

// at is a time of one of the two types.
func at(tag byte, text string) []byte { return tlv(tag, []byte(text)) }

// rdn is an RDN of one attribute.
func rdn(id string, tag byte, value string) []byte {
	return tlv(0x31, seq(oid(id), tlv(tag, []byte(value))))
}

// ext is an extension; critical is written when it is set.
func ext(id string, critical bool, value []byte) []byte {
	flag := []byte{}
	if critical {
		flag = tlv(1, []byte{0xff})
	}
	return seq(oid(id), flag, tlv(4, value))
}

var yes = []byte{1, 1, 0xff}

type keyPair struct {
	signer crypto.Signer
	spki   []byte
	id     []byte
}

func pair(signer crypto.Signer, err error) keyPair {
	if err != nil {
		panic(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		panic(err)
	}
	_, _, key := splitKey(spki)
	sum := sha256.Sum256(key)
	return keyPair{signer, spki, sum[:20]}
}

// keys are made once; the tests need a CA, a user and some odd ones.
var keys = sync.OnceValue(func() map[string]keyPair {
	p224, err224 := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	ca, errCA := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	user, errUser := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	weak, errWeak := rsa.GenerateKey(rand.Reader, 1024)
	strong, errStrong := rsa.GenerateKey(rand.Reader, 2048)
	_, ed, errEd := ed25519.GenerateKey(rand.Reader)
	return map[string]keyPair{
		"ca": pair(ca, errCA), "user": pair(user, errUser), "p224": pair(p224, err224),
		"rsa1024": pair(weak, errWeak), "rsa2048": pair(strong, errStrong), "ed25519": pair(ed, errEd),
	}
})

var (
	ecdsaSHA256 = seq(oid("1.2.840.10045.4.3.2"))
	serial      = append([]byte{0x5a}, make([]byte, 15)...)
)

func caName() []byte {
	return seq(rdn(oidCountry, printable, "US"), rdn("2.5.4.10", utf8Tag, "Example"), rdn(oidCommonName, utf8Tag, "Example CA"))
}

// userName is the subject of the good user, with more RDNs in the place of its
// common name if there are any.
func userName(email string, more ...[]byte) []byte {
	if more == nil {
		more = [][]byte{rdn(oidCommonName, utf8Tag, "ada")}
	}
	name := slices.Concat(rdn(oidCountry, printable, "US"), slices.Concat(more...))
	if email != "" {
		name = append(name, rdn(oidEmail, ia5, email)...)
	}
	return seq(name)
}

// parts are the DER of a certificate's fields.
type parts struct {
	version, serial, inner, outer    []byte
	issuer, from, to, subject, spki  []byte
	unique                           []byte
	extensions                       map[string][]byte // by object identifier
	more                             []byte            // extensions behind them
	unwrapped                        []byte            // behind the last field
	signer                           crypto.Signer
	damageSignature, unusedSignature bool
}

func (p *parts) der() []byte {
	list := [][]byte{}
	for _, id := range slices.Sorted(maps.Keys(p.extensions)) {
		list = append(list, p.extensions[id])
	}
	list = append(list, p.more)
	wrapped := []byte{}
	if len(slices.Concat(list...)) > 0 {
		wrapped = tlv(0xa3, seq(list...))
	}
	tbs := seq(p.version, p.serial, p.inner, p.issuer, seq(p.from, p.to), p.subject, p.spki, p.unique, wrapped, p.unwrapped)
	return sign(tbs, p.outer, p.signer, p.damageSignature, p.unusedSignature)
}

func sign(tbs, outer []byte, signer crypto.Signer, damage, unused bool) []byte {
	digest, hash := sha256.Sum256(tbs), crypto.SHA256
	message := digest[:]
	if _, ok := signer.(ed25519.PrivateKey); ok {
		message, hash = tbs, 0
	}
	signature, err := signer.Sign(rand.Reader, message, hash)
	if err != nil {
		panic(err)
	}
	if damage {
		signature[len(signature)-1] ^= 1
	}
	bits := bitString(signature)
	if unused {
		bits = tlv(3, []byte{1}, signature, []byte{0})
	}
	return seq(tbs, outer, bits)
}

func goodCA() *parts {
	ca := keys()["ca"]
	return &parts{
		version: tlv(0xa0, tlv(2, []byte{2})), serial: tlv(2, serial), inner: ecdsaSHA256, outer: ecdsaSHA256,
		issuer: caName(), subject: caName(), from: at(utc, "260301115500Z"), to: at(utc, "360227120000Z"), spki: ca.spki,
		extensions: map[string][]byte{
			oidBasic:      ext(oidBasic, true, seq(yes, tlv(2, []byte{0}))),
			oidKeyUsage:   ext(oidKeyUsage, true, tlv(3, []byte{1, 0x06})),
			oidSubjectKey: ext(oidSubjectKey, false, tlv(4, ca.id)),
		},
		signer: ca.signer,
	}
}

const email = "ada@example.com"

func goodUser() *parts {
	ca, user := keys()["ca"], keys()["user"]
	return &parts{
		version: tlv(0xa0, tlv(2, []byte{2})), serial: tlv(2, append([]byte{0, 0xa5}, make([]byte, 15)...)), inner: ecdsaSHA256, outer: ecdsaSHA256,
		issuer: caName(), subject: userName(email), from: at(utc, "260301115500Z"), to: at(utc, "270301120000Z"), spki: user.spki,
		extensions: map[string][]byte{
			oidBasic:        ext(oidBasic, true, seq()),
			oidKeyUsage:     ext(oidKeyUsage, true, tlv(3, []byte{7, 0x80})),
			oidExtUsage:     ext(oidExtUsage, false, seq(oid(oidClientAuth))),
			oidAltName:      ext(oidAltName, false, seq(tlv(0x81, []byte(email)))),
			oidSubjectKey:   ext(oidSubjectKey, false, tlv(4, user.id)),
			oidAuthorityKey: ext(oidAuthorityKey, false, seq(tlv(0x80, ca.id))),
		},
		signer: ca.signer,
	}
}

// withKey gives the certificate another key, with its identifier.
func (p *parts) withKey(k keyPair) {
	p.spki = k.spki
	p.extensions[oidSubjectKey] = ext(oidSubjectKey, false, tlv(4, k.id))
}

// named gives the certificate another e-mail address, in both places.
func (p *parts) named(email string) {
	p.subject = userName(email)
	p.extensions[oidAltName] = ext(oidAltName, false, seq(tlv(0x81, []byte(email))))
}

// listParts are the DER of a CRL's fields.
type listParts struct {
	version, inner, outer, issuer []byte
	this, next                    []byte
	entries                       [][]byte
	always                        bool // the list is there when it is empty
	extensions                    []byte
	caUsage                       []byte
	damageSignature               bool
}

func (p *listParts) der() (list, ca []byte) {
	entries := []byte{}
	if len(p.entries) > 0 || p.always {
		entries = seq(p.entries...)
	}
	extensions := []byte{}
	if len(p.extensions) > 0 {
		extensions = tlv(0xa0, seq(p.extensions))
	}
	issuer := goodCA()
	if p.caUsage != nil {
		issuer.extensions[oidKeyUsage] = p.caUsage
	}
	tbs := seq(p.version, p.inner, p.issuer, p.this, p.next, entries, extensions)
	return sign(tbs, p.outer, keys()["ca"].signer, p.damageSignature, false), issuer.der()
}

var (
	number   = ext(oidCRLNumber, false, tlv(2, []byte{1}))
	one      = tlv(2, []byte{0x0a, 1})
	revoked  = at(utc, "260215120000Z")
	compromi = tlv(10, []byte{1}) // keyCompromise
)

func authorityOf(k keyPair) []byte { return ext(oidAuthorityKey, false, seq(tlv(0x80, k.id))) }

func reasoned(value []byte) []byte { return seq(one, revoked, seq(ext(oidReason, false, value))) }

func goodCRL() *listParts {
	return &listParts{
		version: tlv(2, []byte{1}), inner: ecdsaSHA256, outer: ecdsaSHA256, issuer: caName(),
		this: at(utc, "260301115500Z"), next: at(utc, "260331120000Z"),
		entries:    [][]byte{reasoned(compromi), seq(tlv(2, []byte{0x0b}), revoked)},
		extensions: slices.Concat(authorityOf(keys()["ca"]), number),
	}
}

// requestParts are the DER of a request's fields.
type requestParts struct {
	version, subject, spki []byte
	outer                  []byte
	attributes             [][]byte
	signer                 crypto.Signer
	damageSignature        bool
}

func (p *requestParts) der() []byte {
	return sign(seq(p.version, p.subject, p.spki, tlv(0xa0, p.attributes...)), p.outer, p.signer, p.damageSignature, false)
}

func attributeOf(id string, values ...[]byte) []byte { return seq(oid(id), tlv(0x31, values...)) }

func goodRequest() *requestParts {
	return &requestParts{
		version: tlv(2, []byte{0}), subject: userName(email), spki: keys()["user"].spki, outer: ecdsaSHA256,
		attributes: [][]byte{
			attributeOf(oidChallengePassword, tlv(printable, []byte("horse 9"))),
			attributeOf(oidExtensionRequest, seq(ext(oidAltName, false, seq(tlv(0x81, []byte(email)))))),
		},
		signer: keys()["user"].signer,
	}
}
