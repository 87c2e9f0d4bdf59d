package profile

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/asn1"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

const (
	oidSubjectKey   = "2.5.29.14"
	oidKeyUsage     = "2.5.29.15"
	oidAltName      = "2.5.29.17"
	oidBasic        = "2.5.29.19"
	oidAuthorityKey = "2.5.29.35"
	oidExtUsage     = "2.5.29.37"

	oidClientAuth = "1.3.6.1.5.5.7.3.2"
)

// extended is what carries extensions: a certificate, a CRL or its entry.
type extended interface{ list() extensions }

func twiceFault[T extended](v T) string {
	seen := map[string]bool{}
	for _, e := range v.list() {
		if seen[e.oid] {
			return e.oid + " is"
		}
		seen[e.oid] = true
	}
	return ""
}

func defaultFault[T extended](v T) string {
	for _, e := range v.list() {
		if e.written && !e.critical {
			return e.oid + " has it"
		}
	}
	return ""
}

func onlyExtensions[T extended](known ...string) func(T) string {
	return func(v T) string {
		for _, e := range v.list() {
			if !slices.Contains(known, e.oid) {
				return "there is " + e.oid
			}
		}
		return ""
	}
}

func criticality[T extended](oid string, want bool) func(T) string {
	return func(v T) string {
		if e := v.list().ext(oid); e != nil && e.critical != want {
			return fmt.Sprintf("critical is %t", e.critical)
		}
		return ""
	}
}

func present(oid string, roles ...Role) func(*certificate) string {
	return func(c *certificate) string {
		if slices.Contains(roles, c.role) && c.ext(oid) == nil {
			return "it is missing"
		}
		return ""
	}
}

// certificateExtensions are the readers of the values; a value that its reader
// refuses is no such value.
var certificateExtensions = map[string]func(value []byte) bool{
	oidSubjectKey:   func(v []byte) bool { _, ok := readOctets(v); return ok },
	oidKeyUsage:     func(v []byte) bool { _, ok := readUsage(v); return ok },
	oidAltName:      func(v []byte) bool { _, ok := readAltNames(v); return ok },
	oidBasic:        func(v []byte) bool { _, ok := readBasic(v); return ok },
	oidAuthorityKey: func(v []byte) bool { _, ok := readAuthority(v); return ok },
	oidExtUsage:     func(v []byte) bool { _, ok := readPurposes(v); return ok },
}

func syntaxFault(all extensions, readers map[string]func([]byte) bool) string {
	for _, e := range all {
		if read := readers[e.oid]; read != nil && !read(e.value) {
			return fmt.Sprintf("%s is % X", e.oid, e.value)
		}
	}
	return ""
}

func readOctets(value []byte) ([]byte, bool) {
	in := cryptobyte.String(value)
	var octets cryptobyte.String
	ok := in.ReadASN1(&octets, cbasn1.OCTET_STRING) && in.Empty() && len(octets) > 0
	return octets, ok
}

// authority is an AuthorityKeyIdentifier (RFC 5280 section 4.2.1.1).
type authority struct {
	key  []byte
	more bool // issuer or serial number
}

func readAuthority(value []byte) (a authority, ok bool) {
	in := cryptobyte.String(value)
	var seq, key cryptobyte.String
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() || !seq.ReadOptionalASN1(&key, nil, cbasn1.Tag(0).ContextSpecific()) {
		return a, false
	}
	a = authority{key, !seq.Empty()}
	return a, seq.SkipOptionalASN1(explicit(1)) && seq.SkipOptionalASN1(cbasn1.Tag(2).ContextSpecific()) && seq.Empty()
}

func authorityFormFault(all extensions) string {
	if e := all.ext(oidAuthorityKey); e != nil {
		if a, ok := readAuthority(e.value); ok && (a.more || len(a.key) == 0) {
			return "it names issuer and serial number, or no key"
		}
	}
	return ""
}

func authorityFault(all extensions, ca *certificate) string {
	have, want := all.ext(oidAuthorityKey), ca.ext(oidSubjectKey)
	if have == nil || want == nil {
		return ""
	}
	a, ok := readAuthority(have.value)
	key, readable := readOctets(want.value)
	if ok && readable && len(a.key) > 0 && !bytes.Equal(a.key, key) {
		return fmt.Sprintf("%X, not %X", a.key, key)
	}
	return ""
}

// subjectKeyFault knows the two methods in use: SHA-1 of the key (RFC 5280
// section 4.2.1.2) and the first 160 bits of its SHA-256 (RFC 7093 section 2).
// A CA that was taken over keeps the one it came with, whatever that is.
func subjectKeyFault(c *certificate) string {
	e := c.ext(oidSubjectKey)
	if e == nil || c.role != User {
		return ""
	}
	id, ok := readOctets(e.value)
	_, _, key := splitKey(c.spki)
	sha1Sum, sha256Sum := sha1.Sum(key), sha256.Sum256(key)
	if ok && !bytes.Equal(id, sha1Sum[:]) && !bytes.Equal(id, sha256Sum[:20]) {
		return fmt.Sprintf("%X is not", id)
	}
	return ""
}

// OwnKeyID reports whether the certificate names its key as mtlsplan does (RFC
// 7093 section 2, method 1), which OpenSSL and most others do not.
func OwnKeyID(der []byte) bool {
	c, err := parseCertificate(der)
	if err != nil {
		return false
	}
	e := c.ext(oidSubjectKey)
	if e == nil {
		return false
	}
	id, ok := readOctets(e.value)
	_, _, key := splitKey(c.spki)
	sum := sha256.Sum256(key)
	return ok && bytes.Equal(id, sum[:20])
}

// readUsage reads a named bit list: the first bit is the highest here, the last
// one that is written must be set, and the octets end with it (X.690 section
// 11.2.2).
func readUsage(value []byte) (usage uint16, ok bool) {
	in := cryptobyte.String(value)
	var list cryptobyte.String
	var unused uint8
	if !in.ReadASN1(&list, cbasn1.BIT_STRING) || !in.Empty() || !list.ReadUint8(&unused) || len(list) < 1 || len(list) > 2 {
		return 0, false
	}
	last := list[len(list)-1]
	if last == 0 || bits.TrailingZeros8(last) != int(unused) {
		return 0, false
	}
	usage = uint16(list[0]) << 8
	if len(list) == 2 {
		usage |= uint16(list[1])
	}
	return usage, true
}

// Bits of KeyUsage (RFC 5280 section 4.2.1.3), the first one highest.
const (
	digitalSignature = 1 << 15
	keyCertSign      = 1 << 10
	cRLSign          = 1 << 9
)

func (c *certificate) usage() (uint16, bool) {
	if e := c.ext(oidKeyUsage); e != nil {
		return readUsage(e.value)
	}
	return 0, false
}

func keyUsageFault(c *certificate) string {
	want := map[Role]uint16{CA: keyCertSign | cRLSign, Reissued: keyCertSign | cRLSign, User: digitalSignature}[c.role]
	if usage, ok := c.usage(); ok && usage != want {
		return fmt.Sprintf("the bits are %016b, not %016b", usage, want)
	}
	return ""
}

// altName is one GeneralName (RFC 5280 section 4.2.1.6).
type altName struct {
	tag   cbasn1.Tag
	value string
}

const rfc822Name = cbasn1.Tag(1 | 0x80)

func readAltNames(value []byte) (all []altName, ok bool) {
	in := cryptobyte.String(value)
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() || seq.Empty() {
		return nil, false
	}
	for !seq.Empty() {
		var n altName
		var v cryptobyte.String
		if !seq.ReadAnyASN1(&v, &n.tag) || n.tag&0xc0 != 0x80 {
			return nil, false
		}
		n.value = string(v)
		all = append(all, n)
	}
	return all, true
}

func (c *certificate) altNames() []altName {
	if e := c.ext(oidAltName); e != nil {
		all, _ := readAltNames(e.value)
		return all
	}
	return nil
}

func altNameFault(c *certificate) string {
	all, email := c.altNames(), emailOf(c.subject)
	if all == nil || len(all) == 1 && all[0] == (altName{rfc822Name, email}) {
		return ""
	}
	var have []string
	for _, n := range all {
		have = append(have, fmt.Sprintf("[%d] %q", n.tag&0x1f, n.value))
	}
	return fmt.Sprintf("it is %s, the subject has %q", strings.Join(have, ", "), email)
}

// basicConstraints of RFC 5280 section 4.2.1.9.
type basicConstraints struct {
	isCA    bool
	pathLen int64 // -1 for none
}

func readBasic(value []byte) (b basicConstraints, ok bool) {
	in := cryptobyte.String(value)
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() {
		return b, false
	}
	b.pathLen = -1
	if seq.PeekASN1Tag(cbasn1.BOOLEAN) && (!seq.ReadASN1Boolean(&b.isCA) || !b.isCA) {
		return b, false // FALSE is the default, which DER leaves out
	}
	if seq.PeekASN1Tag(cbasn1.INTEGER) && !seq.ReadASN1Integer(&b.pathLen) {
		return b, false
	}
	return b, seq.Empty()
}

func (c *certificate) basic() (basicConstraints, bool) {
	if e := c.ext(oidBasic); e != nil {
		return readBasic(e.value)
	}
	return basicConstraints{}, false
}

func readPurposes(value []byte) (all []string, ok bool) {
	in := cryptobyte.String(value)
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() || seq.Empty() {
		return nil, false
	}
	for !seq.Empty() {
		var oid asn1.ObjectIdentifier
		if !seq.ReadASN1ObjectIdentifier(&oid) {
			return nil, false
		}
		all = append(all, oid.String())
	}
	return all, true
}

func extUsageFault(c *certificate) string {
	e := c.ext(oidExtUsage)
	if e == nil {
		return ""
	}
	if all, ok := readPurposes(e.value); ok && (c.role != User || !slices.Equal(all, []string{oidClientAuth})) {
		return "it is " + strings.Join(all, ", ")
	}
	return ""
}
