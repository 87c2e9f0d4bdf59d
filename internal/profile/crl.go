package profile

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// crl is a TBSCertList in pieces (RFC 5280 section 5.1).
type crl struct {
	signed
	ca *certificate

	version    int // as it is encoded: 1 is v2, 0 when it is left out
	inner      []byte
	issuer     []byte
	thisUpdate moment
	nextUpdate *moment
	empty      bool // revokedCertificates is there and holds nothing
	entries    []crlEntry
	extensions
}

// crlEntry is one revoked certificate.
type crlEntry struct {
	serial []byte
	date   moment
	extensions
}

func parseCRL(der []byte) (*crl, error) {
	s, in, err := parseSigned(der)
	if err != nil {
		return nil, err
	}
	l := &crl{signed: s}
	if in.PeekASN1Tag(cbasn1.INTEGER) && !in.ReadASN1Integer(&l.version) {
		return nil, errors.New("its version cannot be read")
	}
	var inner, issuer cryptobyte.String
	if !in.ReadASN1Element(&inner, cbasn1.SEQUENCE) || !in.ReadASN1Element(&issuer, cbasn1.SEQUENCE) || !readTime(&in, &l.thisUpdate) {
		return nil, errors.New("a field between its version and thisUpdate is not there")
	}
	l.inner, l.issuer = inner, issuer
	if in.PeekASN1Tag(cbasn1.UTCTime) || in.PeekASN1Tag(cbasn1.GeneralizedTime) {
		l.nextUpdate = new(moment)
		readTime(&in, l.nextUpdate)
	}
	if in.PeekASN1Tag(cbasn1.SEQUENCE) {
		var list cryptobyte.String
		if !in.ReadASN1(&list, cbasn1.SEQUENCE) {
			return nil, errors.New("its list cannot be read")
		}
		l.empty = list.Empty()
		for !list.Empty() {
			e, err := readEntry(&list)
			if err != nil {
				return nil, err
			}
			l.entries = append(l.entries, e)
		}
	}
	if l.extensions, err = readOptionalExtensions(&in, explicit(0)); err != nil {
		return nil, err
	}
	if !in.Empty() {
		return nil, errors.New("there is something behind its last field")
	}
	return l, nil
}

func readEntry(list *cryptobyte.String) (e crlEntry, err error) {
	var one, serial cryptobyte.String
	if !list.ReadASN1(&one, cbasn1.SEQUENCE) || !one.ReadASN1(&serial, cbasn1.INTEGER) || !readTime(&one, &e.date) {
		return e, errors.New("an entry is not a serial number with a date")
	}
	e.serial = serial
	if !one.Empty() {
		var ok bool
		if e.extensions, ok = readExtensions(&one); !ok || !one.Empty() {
			return e, errors.New("an entry's extensions are not a list with at least one")
		}
	}
	return e, nil
}

const (
	oidCRLNumber       = "2.5.29.20"
	oidReason          = "2.5.29.21"
	oidHoldInstruction = "2.5.29.23"
	oidInvalidityDate  = "2.5.29.24"
)

// crlRules are the clauses for CRLs, in the order of RFC 5280.
var crlRules = []rule[*crl]{
	{"RFC 5280 5.1.1.2", "the algorithm beside the signature is the one that is signed", func(l *crl) string {
		if !bytes.Equal(l.inner, l.outer) {
			return "they differ"
		}
		return ""
	}},
	{"RFC 5280 5.1.1.2", "the algorithm has the parameters of its RFC", (*crl).parametersFault},
	{Promised, "SHA-256 or better", (*crl).algorithmFault},
	{"RFC 5280 5.1.1.3", "the CA's key made the signature", func(l *crl) string { return l.signatureFault(l.ca.spki) }},
	{"RFC 5280 5.1.2.1", "version 2", func(l *crl) string {
		if l.version != 1 {
			return fmt.Sprintf("its version is %d", l.version+1)
		}
		return ""
	}},
	{"RFC 5280 5.1.2.3", "the issuer is the CA's subject, octet by octet", func(l *crl) string {
		if !bytes.Equal(l.issuer, l.ca.subject) {
			return "they differ"
		}
		return ""
	}},
	{"RFC 5280 5.1.2.4", "thisUpdate until 2049 is a UTCTime, later a GeneralizedTime, to the second and with a Z", func(l *crl) string {
		return timeFault(l.thisUpdate)
	}},
	{"RFC 5280 5.1.2.5", "nextUpdate is there", func(l *crl) string {
		if l.nextUpdate == nil {
			return "it is missing"
		}
		return ""
	}},
	{"RFC 5280 5.1.2.5", "nextUpdate until 2049 is a UTCTime, later a GeneralizedTime, to the second and with a Z", func(l *crl) string {
		if l.nextUpdate == nil {
			return ""
		}
		return timeFault(*l.nextUpdate)
	}},
	{"RFC 5280 5.1.2.5", "nextUpdate is after thisUpdate", func(l *crl) string {
		if l.nextUpdate != nil && readable(l.thisUpdate, *l.nextUpdate) && !l.thisUpdate.at.Before(l.nextUpdate.at) {
			return fmt.Sprintf("from %s to %s", l.thisUpdate.text, l.nextUpdate.text)
		}
		return ""
	}},
	{"RFC 5280 5.1.2.6", "a list without an entry is left out", func(l *crl) string {
		if l.empty {
			return "it is there"
		}
		return ""
	}},
	entries("RFC 5280 5.1.2.6", "an entry's serial number is one that a certificate can have", func(_ *crl, e crlEntry) string {
		return integerFault(e.serial, true) // a certificate that was adopted may have 0
	}),
	{"RFC 5280 5.1.2.6", "no serial number is listed twice", func(l *crl) string {
		seen := map[string]bool{}
		for _, e := range l.entries {
			if seen[string(e.serial)] {
				return fmt.Sprintf("%X is", e.serial)
			}
			seen[string(e.serial)] = true
		}
		return ""
	}},
	entries("RFC 5280 5.1.2.6", "a revocation date until 2049 is a UTCTime, later a GeneralizedTime, to the second and with a Z", func(_ *crl, e crlEntry) string {
		return timeFault(e.date)
	}),
	entries(Promised, "no revocation date is after thisUpdate", func(l *crl, e crlEntry) string {
		if readable(e.date, l.thisUpdate) && e.date.at.After(l.thisUpdate.at) {
			return fmt.Sprintf("%s is", e.date.text)
		}
		return ""
	}),

	{"RFC 5280 4.2", "no extension is there twice", twiceFault[*crl]},
	{"RFC 5280 4.2", "critical is not written when it is FALSE, its default", defaultFault[*crl]},
	{Promised, "only the extensions of a complete CRL that is its CA's own", onlyExtensions[*crl](oidAuthorityKey, oidCRLNumber)},
	{"RFC 5280 5.2", "an extension's value is what its name says, in DER", func(l *crl) string {
		return syntaxFault(l.extensions, crlExtensions)
	}},
	{"RFC 5280 5.2.1", "authorityKeyIdentifier is there", crlPresent(oidAuthorityKey)},
	{"RFC 5280 5.2.1", "authorityKeyIdentifier is not critical", criticality[*crl](oidAuthorityKey, false)},
	{Promised, "authorityKeyIdentifier names the key only", func(l *crl) string { return authorityFormFault(l.extensions) }},
	{"RFC 5280 5.2.1", "authorityKeyIdentifier is the CA's subjectKeyIdentifier", func(l *crl) string {
		return authorityFault(l.extensions, l.ca)
	}},
	{"RFC 5280 5.2.3", "cRLNumber is there", crlPresent(oidCRLNumber)},
	{"RFC 5280 5.2.3", "cRLNumber is not critical", criticality[*crl](oidCRLNumber, false)},
	{"RFC 5280 5.2.3", "cRLNumber is not negative and has at most 20 octets", func(l *crl) string {
		if e := l.ext(oidCRLNumber); e != nil {
			if octets, ok := readNumber(e.value); ok {
				return integerFault(octets, true)
			}
		}
		return ""
	}},

	entries("RFC 5280 5.3", "no extension of an entry is there twice", func(_ *crl, e crlEntry) string { return twiceFault(e) }),
	entries("RFC 5280 5.3", "critical is not written when it is FALSE, its default", func(_ *crl, e crlEntry) string { return defaultFault(e) }),
	entries(Promised, "an entry has only a reason, and what OpenSSL has written about one", func(_ *crl, e crlEntry) string {
		return onlyExtensions[crlEntry](oidReason, oidHoldInstruction, oidInvalidityDate)(e)
	}),
	entries("RFC 5280 5.3.1", "a reason is one that a complete CRL can have", func(_ *crl, e crlEntry) string {
		if code, there, ok := e.reason(); there && (!ok || code < 0 || code > 10 || code == 7 || code == 8) {
			return fmt.Sprintf("it is %d", code)
		}
		return ""
	}),
	entries("RFC 5280 5.3.1", "a reason that is unspecified is left out", func(_ *crl, e crlEntry) string {
		if code, there, ok := e.reason(); there && ok && code == 0 {
			return "it is there"
		}
		return ""
	}),
	entries("RFC 5280 5.3.1", "a reason is not critical", func(_ *crl, e crlEntry) string { return criticality[crlEntry](oidReason, false)(e) }),
	entries("RFC 5280 5.3.2", "an invalidity date is not critical", func(_ *crl, e crlEntry) string {
		return criticality[crlEntry](oidInvalidityDate, false)(e)
	}),
	entries("RFC 5280 5.3.2", "an invalidity date is a GeneralizedTime, to the second and with a Z", func(_ *crl, e crlEntry) string {
		x := e.ext(oidInvalidityDate)
		if x == nil {
			return ""
		}
		in := cryptobyte.String(x.value)
		var m moment
		if !readTime(&in, &m) || !in.Empty() || m.tag != cbasn1.GeneralizedTime || m.at.IsZero() {
			return fmt.Sprintf("it is %q", x.value)
		}
		return ""
	}),

	{"RFC 5280 4.2.1.3", "the CA may sign CRLs", func(l *crl) string {
		if usage, ok := l.ca.usage(); ok && usage&cRLSign == 0 {
			return "its keyUsage does not have cRLSign"
		}
		return ""
	}},
}

// entries makes a rule about every entry.
func entries(clause, asks string, fault func(*crl, crlEntry) string) rule[*crl] {
	return rule[*crl]{clause, asks, func(l *crl) string {
		for _, e := range l.entries {
			if f := fault(l, e); f != "" {
				return fmt.Sprintf("entry %X: %s", e.serial, f)
			}
		}
		return ""
	}}
}

func crlPresent(oid string) func(*crl) string {
	return func(l *crl) string {
		if l.ext(oid) == nil {
			return "it is missing"
		}
		return ""
	}
}

var crlExtensions = map[string]func(value []byte) bool{
	oidAuthorityKey: certificateExtensions[oidAuthorityKey],
	oidCRLNumber:    func(v []byte) bool { _, ok := readNumber(v); return ok },
}

func readNumber(value []byte) ([]byte, bool) {
	in := cryptobyte.String(value)
	var octets cryptobyte.String
	ok := in.ReadASN1(&octets, cbasn1.INTEGER) && in.Empty()
	return octets, ok
}

// reason is the code of an entry's reasonCode, ok when it could be read.
func (e crlEntry) reason() (code int, there, ok bool) {
	x := e.ext(oidReason)
	if x == nil {
		return 0, false, false
	}
	in := cryptobyte.String(x.value)
	ok = in.ReadASN1Enum(&code) && in.Empty()
	return code, true, ok
}
