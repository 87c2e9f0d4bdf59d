package profile

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// signed is the form that certificates, CRLs and requests share: what is
// signed, the algorithm and the signature (RFC 5280 section 4.1.1).
type signed struct {
	tbs       []byte // with its header, as it is signed
	outer     []byte // AlgorithmIdentifier beside the signature
	signature []byte
}

func parseSigned(der []byte) (s signed, body cryptobyte.String, err error) {
	in := cryptobyte.String(der)
	var seq, tbs, outer, bits cryptobyte.String
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() {
		return s, nil, errors.New("it is not one SEQUENCE in DER, with nothing behind it")
	}
	if !seq.ReadASN1Element(&tbs, cbasn1.SEQUENCE) || !seq.ReadASN1Element(&outer, cbasn1.SEQUENCE) ||
		!seq.ReadASN1(&bits, cbasn1.BIT_STRING) || !seq.Empty() {
		return s, nil, errors.New("it is not what is signed, an algorithm and a signature")
	}
	var unused uint8
	if !bits.ReadUint8(&unused) || unused != 0 {
		return s, nil, errors.New("its signature is not a BIT STRING of whole octets")
	}
	s = signed{tbs: tbs, outer: outer, signature: bits}
	tbs.ReadASN1(&body, cbasn1.SEQUENCE)
	return s, body, nil
}

// certificate is a TBSCertificate in pieces (RFC 5280 section 4.1).
type certificate struct {
	signed
	role Role
	ca   *certificate // who issued it

	version             int // as it is encoded: 2 is v3, 0 when it is left out
	serial              []byte
	inner               []byte
	issuer, subject     []byte
	notBefore, notAfter moment
	spki                []byte
	uniqueIDs           bool
	extensions
}

func parseCertificate(der []byte) (*certificate, error) {
	s, in, err := parseSigned(der)
	if err != nil {
		return nil, err
	}
	c := &certificate{signed: s}
	var serial, inner, issuer, validity, subject, spki cryptobyte.String
	if !in.ReadOptionalASN1Integer(&c.version, explicit(0), 0) {
		return nil, errors.New("its version cannot be read")
	}
	if !in.ReadASN1(&serial, cbasn1.INTEGER) || !in.ReadASN1Element(&inner, cbasn1.SEQUENCE) ||
		!in.ReadASN1Element(&issuer, cbasn1.SEQUENCE) || !in.ReadASN1(&validity, cbasn1.SEQUENCE) ||
		!in.ReadASN1Element(&subject, cbasn1.SEQUENCE) || !in.ReadASN1Element(&spki, cbasn1.SEQUENCE) {
		return nil, errors.New("a field between its serial number and its public key is not there")
	}
	c.serial, c.inner, c.issuer, c.subject, c.spki = serial, inner, issuer, subject, spki
	if !readTime(&validity, &c.notBefore) || !readTime(&validity, &c.notAfter) || !validity.Empty() {
		return nil, errors.New("its validity is not two times")
	}
	for _, tag := range []cbasn1.Tag{cbasn1.Tag(1).ContextSpecific(), cbasn1.Tag(2).ContextSpecific()} {
		if in.PeekASN1Tag(tag) {
			c.uniqueIDs = true
			in.SkipASN1(tag)
		}
	}
	if c.extensions, err = readOptionalExtensions(&in, explicit(3)); err != nil {
		return nil, err
	}
	if !in.Empty() {
		return nil, errors.New("there is something behind its last field")
	}
	return c, nil
}

func explicit(n uint8) cbasn1.Tag { return cbasn1.Tag(n).ContextSpecific().Constructed() }

// extension is one Extension (RFC 5280 section 4.2).
type extension struct {
	oid      string
	critical bool
	written  bool // critical is written down, which it must not be for FALSE
	value    []byte
}

type extensions []extension

// ext finds an extension, nil when it is not there.
func (all extensions) ext(oid string) *extension {
	for i := range all {
		if all[i].oid == oid {
			return &all[i]
		}
	}
	return nil
}

// list is what rules about extensions look at.
func (all extensions) list() extensions { return all }

func readOptionalExtensions(in *cryptobyte.String, tag cbasn1.Tag) (extensions, error) {
	var wrapped cryptobyte.String
	var there bool
	if !in.ReadOptionalASN1(&wrapped, &there, tag) {
		return nil, errors.New("its extensions cannot be read")
	}
	if !there {
		return nil, nil
	}
	all, ok := readExtensions(&wrapped)
	if !ok || !wrapped.Empty() {
		return nil, errors.New("its extensions are not a list with at least one")
	}
	return all, nil
}

// readExtensions reads an Extensions, which has at least one.
func readExtensions(in *cryptobyte.String) (all extensions, ok bool) {
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || seq.Empty() {
		return nil, false
	}
	for !seq.Empty() {
		var e extension
		var one, value cryptobyte.String
		var oid asn1.ObjectIdentifier
		if !seq.ReadASN1(&one, cbasn1.SEQUENCE) || !one.ReadASN1ObjectIdentifier(&oid) {
			return nil, false
		}
		if e.written = one.PeekASN1Tag(cbasn1.BOOLEAN); e.written && !one.ReadASN1Boolean(&e.critical) {
			return nil, false
		}
		if !one.ReadASN1(&value, cbasn1.OCTET_STRING) || !one.Empty() {
			return nil, false
		}
		e.oid, e.value = oid.String(), value
		all = append(all, e)
	}
	return all, true
}

// moment is a Time as it is encoded (RFC 5280 section 4.1.2.5).
type moment struct {
	tag  cbasn1.Tag
	text string
	at   time.Time // zero when text has not the form that its tag asks for
}

const (
	utcForm         = "060102150405Z"
	generalizedForm = "20060102150405Z"
)

func readTime(in *cryptobyte.String, m *moment) bool {
	var text cryptobyte.String
	if !in.ReadAnyASN1(&text, &m.tag) || m.tag != cbasn1.UTCTime && m.tag != cbasn1.GeneralizedTime {
		return false
	}
	m.text = string(text)
	form := utcForm
	if m.tag == cbasn1.GeneralizedTime {
		form = generalizedForm
	}
	if at, err := time.Parse(form, m.text); err == nil && at.Format(form) == m.text {
		m.at = at
		// Two digits from 50 on are of the 20th century (RFC 5280 section
		// 4.1.2.5.1); Go's turn is at 69.
		if form == utcForm && at.Year() >= 2050 {
			m.at = at.AddDate(-100, 0, 0)
		}
	}
	return true
}

// timeFault judges one time: its form, and which of the two it has to be.
func timeFault(m moment) string {
	switch {
	case m.at.IsZero() && m.tag == cbasn1.UTCTime:
		return fmt.Sprintf("%q is not YYMMDDHHMMSSZ", m.text)
	case m.at.IsZero():
		return fmt.Sprintf("%q is not YYYYMMDDHHMMSSZ", m.text)
	case m.tag == cbasn1.GeneralizedTime && m.at.Year() < 2050:
		return fmt.Sprintf("%q is a GeneralizedTime before 2050", m.text)
	}
	return ""
}

// integerFault judges the octets of a number that may have 20 of them.
func integerFault(octets []byte, zero bool) string {
	switch {
	case len(octets) == 0:
		return "it has no octets"
	case len(octets) > 1 && (octets[0] == 0 && octets[1] < 0x80 || octets[0] == 0xff && octets[1] >= 0x80):
		return "it is encoded in more octets than it needs"
	case octets[0] >= 0x80:
		return "it is negative"
	case len(octets) > 20:
		return fmt.Sprintf("it has %d octets", len(octets))
	case !zero && bytes.Equal(octets, []byte{0}):
		return "it is 0"
	}
	return ""
}

func first(faults ...string) string {
	for _, f := range faults {
		if f != "" {
			return f
		}
	}
	return ""
}
