package pki

import (
	"encoding/asn1"
	"encoding/base64"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var (
	oidData          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidEncryptedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 6}
	oidShroudedKey   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 2}
	oidKeyBag        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 1}
	oidPBMAC1        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 14}

	macNames = map[string]string{
		"1.3.14.3.2.26":          "SHA-1",
		"2.16.840.1.101.3.4.2.4": "SHA-224",
		"2.16.840.1.101.3.4.2.1": "SHA-256",
		"2.16.840.1.101.3.4.2.2": "SHA-384",
		"2.16.840.1.101.3.4.2.3": "SHA-512",
	}
)

// pfx is how the parts of a PKCS #12 file are protected, as far as that shows
// without its passphrase.
type pfx struct {
	keys, others []protection // of the key bags outside of encrypted parts; of all else
	mac          protection
}

// protection is one encryption or MAC; iterations is 0 where none are counted.
type protection struct {
	name       string
	iterations int
}

const (
	noProtection = "none"
	noMAC        = "no MAC"
)

// maxMACKey bounds the key that PBMAC1 derives, in octets: the output of
// SHA-512.
const maxMACKey = 64

// InspectP12 tells how a PKCS #12 file is protected, without opening it. Only
// DER is read, as in every file that OpenSSL, NSS, Java and Windows write
// today. The error is [ErrDamaged] or [ErrUnsupported].
func InspectP12(der []byte) (P12Info, error) {
	p, err := parsePFX(der)
	if err != nil && inBase64(der) {
		return P12Info{}, ErrBase64
	}
	if err != nil {
		return P12Info{}, err
	}
	info := P12Info{Profile: p.profile(), Encoding: p.describe()}
	for _, x := range p.all() {
		if info.Iterations == 0 || x.iterations > 0 && x.iterations < info.Iterations {
			info.Iterations = x.iterations
		}
	}
	return info, nil
}

// inBase64 reports whether a text is a PKCS #12 file in base64.
func inBase64(text []byte) bool {
	der, err := base64.StdEncoding.DecodeString(string(text)) // which reads over line ends
	if err != nil {
		return false
	}
	_, err = parsePFX(der)
	return err == nil
}

func (p pfx) all() []protection { return append(slices.Concat(p.keys, p.others), p.mac) }

// profile is the one of [Profiles] that all parts fit, with the same iterations;
// "" for none.
func (p pfx) profile() Profile {
	if len(p.keys) != 1 || len(p.others) == 0 {
		return ""
	}
	iterations := p.mac.iterations
	fits := func(encryption, mac string) bool {
		return p.mac.name == mac && !slices.ContainsFunc(slices.Concat(p.keys, p.others), func(x protection) bool {
			return x.name != encryption || x.iterations != iterations
		})
	}
	switch {
	case fits(pbe3DES, "SHA-1"):
		return Compat
	case fits(KeyEncoding, "SHA-256"):
		return Modern
	}
	return ""
}

// describe names what is used, each once: "3DES + SHA-1".
func (p pfx) describe() string {
	var names []string
	for _, x := range p.all() {
		name, ok := shortSchemes[x.name]
		if !ok {
			name = x.name
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, " + ")
}

var shortSchemes = map[string]string{
	pbe3DES:                      "3DES",
	KeyEncoding:                  "AES-256",
	"pbeWithSHAAnd40BitRC2-CBC":  "RC2-40",
	"pbeWithSHAAnd128BitRC2-CBC": "RC2-128",
	noProtection:                 "unencrypted",
}

// parsePFX reads a PFX (RFC 7292 section 4).
func parsePFX(der []byte) (pfx, error) {
	var p pfx
	bad := damaged("it is not a PKCS #12 file in DER")
	in := cryptobyte.String(der)
	var seq, content cryptobyte.String
	var version int
	var oid asn1.ObjectIdentifier
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() || !seq.ReadASN1Integer(&version) || version != 3 {
		return p, bad
	}
	if !readContentInfo(&seq, &oid, &content) {
		return p, bad
	}
	if !oid.Equal(oidData) {
		return p, unsupported("the PKCS #12 file is protected by a signature instead of a passphrase")
	}
	var safe, infos cryptobyte.String
	if !content.ReadASN1(&safe, cbasn1.OCTET_STRING) || !content.Empty() ||
		!safe.ReadASN1(&infos, cbasn1.SEQUENCE) || !safe.Empty() {
		return p, bad
	}
	for !infos.Empty() {
		if !readContentInfo(&infos, &oid, &content) {
			return p, bad
		}
		if err := p.addContent(oid, content); err != nil {
			return p, err
		}
	}
	var err error
	p.mac, err = readMAC(seq)
	return p, err
}

// readContentInfo reads a ContentInfo (RFC 5652 section 3): its type, and what
// is within the explicit tag.
func readContentInfo(in *cryptobyte.String, oid *asn1.ObjectIdentifier, content *cryptobyte.String) bool {
	var seq cryptobyte.String
	return in.ReadASN1(&seq, cbasn1.SEQUENCE) && seq.ReadASN1ObjectIdentifier(oid) &&
		seq.ReadASN1(content, contextZero) && seq.Empty()
}

func (p *pfx) addContent(oid asn1.ObjectIdentifier, content cryptobyte.String) error {
	switch {
	case oid.Equal(oidData):
		return p.addOpenBags(content)
	case oid.Equal(oidEncryptedData):
		x, err := readEncryptedData(content)
		p.others = append(p.others, x)
		return err
	}
	return unsupported("the PKCS #12 file is encrypted to a public key")
}

// readEncryptedData reads an EncryptedData (RFC 5652 section 8) up to what is
// encrypted.
func readEncryptedData(in cryptobyte.String) (protection, error) {
	var seq, info, alg cryptobyte.String
	var oid asn1.ObjectIdentifier
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.SkipASN1(cbasn1.INTEGER) || !seq.ReadASN1(&info, cbasn1.SEQUENCE) ||
		!info.ReadASN1ObjectIdentifier(&oid) || !info.ReadASN1(&alg, cbasn1.SEQUENCE) {
		return protection{}, damaged("its encrypted part cannot be read")
	}
	return protectionOf(alg)
}

func protectionOf(alg cryptobyte.String) (protection, error) {
	s, err := parseScheme(alg)
	if err != nil {
		return protection{}, err
	}
	return protection{s.String(), s.iterations}, nil
}

// addOpenBags reads SafeContents (RFC 7292 section 4.2) that are not encrypted
// as a whole; the keys in them usually are.
func (p *pfx) addOpenBags(content cryptobyte.String) error {
	bad := damaged("its bags cannot be read")
	var octets, bags cryptobyte.String
	if !content.ReadASN1(&octets, cbasn1.OCTET_STRING) || !content.Empty() ||
		!octets.ReadASN1(&bags, cbasn1.SEQUENCE) || !octets.Empty() {
		return bad
	}
	for !bags.Empty() {
		var bag, value cryptobyte.String
		var oid asn1.ObjectIdentifier
		if !bags.ReadASN1(&bag, cbasn1.SEQUENCE) || !bag.ReadASN1ObjectIdentifier(&oid) || !bag.ReadASN1(&value, contextZero) {
			return bad
		}
		switch {
		case oid.Equal(oidShroudedKey):
			e, err := parseEncrypted([]byte(value))
			if err != nil {
				return err
			}
			p.keys = append(p.keys, protection{e.scheme.String(), e.scheme.iterations})
		case oid.Equal(oidKeyBag):
			p.keys = append(p.keys, protection{name: noProtection})
		default:
			p.others = append(p.others, protection{name: noProtection})
		}
	}
	return nil
}

// readMAC reads the optional MacData at the end of a PFX.
func readMAC(rest cryptobyte.String) (protection, error) {
	if rest.Empty() {
		return protection{name: noMAC}, nil
	}
	bad := damaged("its MAC cannot be read")
	var mac, info, alg cryptobyte.String
	var oid asn1.ObjectIdentifier
	if !rest.ReadASN1(&mac, cbasn1.SEQUENCE) || !rest.Empty() || !mac.ReadASN1(&info, cbasn1.SEQUENCE) ||
		!info.ReadASN1(&alg, cbasn1.SEQUENCE) || !alg.ReadASN1ObjectIdentifier(&oid) || !mac.SkipASN1(cbasn1.OCTET_STRING) {
		return protection{}, bad
	}
	x := protection{iterations: 1} // DEFAULT 1
	if !mac.Empty() && !mac.ReadASN1Integer(&x.iterations) || !mac.Empty() {
		return protection{}, bad
	}
	if oid.Equal(oidPBMAC1) {
		return readPBMAC1(alg)
	}
	if !saneIterations(x.iterations) {
		return protection{}, bad
	}
	x.name = macNames[oid.String()]
	if x.name == "" {
		x.name = "MAC " + oid.String()
	}
	return x, nil
}

// readPBMAC1 reads the parameters of PBMAC1 (RFC 9579), which counts its
// iterations there.
func readPBMAC1(alg cryptobyte.String) (protection, error) {
	var params, kdf, kdfParams cryptobyte.String
	x := protection{name: "PBMAC1"}
	keyLen := 0
	if !alg.ReadASN1(&params, cbasn1.SEQUENCE) || !params.ReadASN1(&kdf, cbasn1.SEQUENCE) ||
		!kdf.SkipASN1(cbasn1.OBJECT_IDENTIFIER) || !kdf.ReadASN1(&kdfParams, cbasn1.SEQUENCE) ||
		!kdfParams.SkipASN1(cbasn1.OCTET_STRING) || !kdfParams.ReadASN1Integer(&x.iterations) || !saneIterations(x.iterations) ||
		!kdfParams.ReadASN1Integer(&keyLen) || keyLen < 1 || keyLen > maxMACKey {
		return x, damaged("its MAC cannot be read")
	}
	return x, nil
}
