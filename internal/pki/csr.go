package pki

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// CSR is a PKCS #10 request (RFC 2986) that was signed with the key in it.
type CSR struct {
	Subject   []byte // DER of the Name
	SANs      []SAN  // that it asks for, of every type
	Public    crypto.PublicKey
	Raw       []byte        // DER
	challenge func() []byte // a function, so that printing a CSR shows no secret
}

// Challenge is the PKCS #9 challengePassword, nil when there is none. It is a
// secret.
func (c *CSR) Challenge() []byte {
	if c.challenge == nil {
		return nil
	}
	return c.challenge()
}

var (
	oidExtensionRequest  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 14} // RFC 2985 section 5.4.2
	oidChallengePassword = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 7}  // RFC 2985 section 5.4.1
	oidSubjectAltName    = asn1.ObjectIdentifier{2, 5, 29, 17}

	contextZero = cbasn1.Tag(0).Constructed().ContextSpecific()
)

// maxChallenge is the upper bound of challengePassword in characters (RFC 2985
// appendix A, pkcs-9-ub-challengePassword).
const maxChallenge = 255

// MakeCSR makes a DER PKCS #10 request (RFC 2986) for the key: the subject
// byte for byte, the subject alternative names, which must be of type
// [SANEmail], and the challenge as challengePassword unless it is zero. A CSR is
// signed and not encrypted: anybody who sees it can read the challenge.
func MakeCSR(subject []byte, sans []SAN, challenge Passphrase, key crypto.Signer) ([]byte, error) {
	if _, err := parseName(subject); err != nil {
		return nil, fmt.Errorf("CSR: subject: %w", err)
	}
	emails, err := emailsOf(sans)
	if err != nil {
		return nil, fmt.Errorf("CSR: %w", err)
	}
	attributes, err := csrAttributes(emails, challenge)
	if err != nil {
		return nil, fmt.Errorf("CSR: %w", err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, errors.New("CSR: the public key cannot be encoded")
	}
	var info cryptobyte.Builder
	info.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		b.AddBytes(subject)
		b.AddBytes(spki)
		b.AddASN1(contextZero, func(b *cryptobyte.Builder) {
			for _, a := range attributes {
				b.AddBytes(a)
			}
		})
	})
	tbs, err := info.Bytes()
	if err != nil {
		return nil, fmt.Errorf("CSR: encoding: %w", err)
	}
	return signCSR(tbs, key)
}

func signCSR(tbs []byte, key crypto.Signer) ([]byte, error) {
	algorithm, hash, err := signature(key.Public())
	if err != nil {
		return nil, fmt.Errorf("CSR: %w", err)
	}
	digest := tbs
	if hash != 0 {
		h := hash.New()
		h.Write(tbs)
		digest = h.Sum(nil)
	}
	sig, err := key.Sign(rand.Reader, digest, hash)
	if err != nil {
		return nil, fmt.Errorf("CSR: signing: %w", err)
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(signatureOIDs[algorithm])
			if algorithm == x509.SHA256WithRSA { // RFC 4055 section 5
				b.AddASN1NULL()
			}
		})
		b.AddASN1BitString(sig)
	})
	return b.Bytes()
}

var signatureOIDs = map[x509.SignatureAlgorithm]asn1.ObjectIdentifier{
	x509.SHA256WithRSA:   {1, 2, 840, 113549, 1, 1, 11},
	x509.ECDSAWithSHA256: {1, 2, 840, 10045, 4, 3, 2},
	x509.ECDSAWithSHA384: {1, 2, 840, 10045, 4, 3, 3},
	x509.ECDSAWithSHA512: {1, 2, 840, 10045, 4, 3, 4},
	x509.PureEd25519:     {1, 3, 101, 112},
}

// csrAttributes are the attributes in the order that DER wants of a SET OF.
func csrAttributes(emails []string, challenge Passphrase) ([][]byte, error) {
	var all [][]byte
	add := func(oid asn1.ObjectIdentifier, value func(*cryptobyte.Builder)) error {
		var b cryptobyte.Builder
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oid)
			b.AddASN1(cbasn1.SET, value)
		})
		der, err := b.Bytes()
		all = append(all, der)
		return err
	}
	if len(emails) > 0 {
		if err := add(oidExtensionRequest, func(b *cryptobyte.Builder) { addSANRequest(b, emails) }); err != nil {
			return nil, err
		}
	}
	if challenge != nil && !challenge.IsZero() {
		text := challenge.Reveal()
		if len(text) > maxChallenge {
			return nil, fmt.Errorf("the challenge password is longer than %d characters, which RFC 2985 allows: use a shorter one", maxChallenge)
		}
		tag := cbasn1.UTF8String
		if isPrintableString(text) {
			tag = cbasn1.PrintableString
		}
		err := add(oidChallengePassword, func(b *cryptobyte.Builder) {
			b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(text)) })
		})
		if err != nil {
			return nil, errors.New("the challenge password cannot be encoded")
		}
	}
	slices.SortFunc(all, bytes.Compare)
	return all, nil
}

func addSANRequest(b *cryptobyte.Builder, emails []string) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidSubjectAltName)
			b.AddASN1(cbasn1.OCTET_STRING, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					for _, e := range emails {
						b.AddASN1(nameEmail, func(b *cryptobyte.Builder) { b.AddBytes([]byte(e)) })
					}
				})
			})
		})
	})
}

// isPrintableString reports whether s is within the character set of X.680
// section 41.4.
func isPrintableString(s string) bool {
	for i := range len(s) {
		if !isAlnum(s[i]) && strings.IndexByte(" '()+,-./:=?", s[i]) < 0 {
			return false
		}
	}
	return true
}

var (
	quotedPEM    = regexp.MustCompile(`(?m)^[ \t>|]+-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----`)
	strangeCurve = regexp.MustCompile(`unsupported elliptic curve|as named curve`) // in crypto/x509's words
)

// ParseCSR reads one PEM PKCS #10 request and checks that it was signed with
// the key that it names. The error is [ErrDamaged] or [ErrUnsupported].
func ParseCSR(data []byte) (*CSR, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // a byte order mark, as programs of Windows write it
	switch {
	case IsUTF16(data):
		return nil, unsupported("it is UTF-16: save it as UTF-8")
	case Form(data) == formCR:
		return nil, unsupported("its lines end in carriage returns alone: save it with the line ends of Unix or Windows")
	case len(data) > 1 && data[0] == 0x30 && data[1] >= 0x80: // a SEQUENCE longer than 127 bytes
		return nil, unsupported("it is DER and not PEM: openssl req -inform DER converts it")
	}
	blocks, err := decodePEM(data, "certificate request", pemCSR, pemOldCSR)
	if err != nil && quotedPEM.Match(data) {
		return nil, unsupported(`something stands before each of its lines, such as blanks or the ">" of a mail: remove it, so that each line begins with the request's own text`)
	}
	if err != nil {
		return nil, err
	}
	if len(blocks) != 1 {
		return nil, damaged("there is more than one certificate request in it")
	}
	r, err := x509.ParseCertificateRequest(blocks[0])
	if err != nil && strangeCurve.MatchString(err.Error()) {
		return nil, unsupported("its key is on a curve that TLS does not offer: make another with RSA, or with ECDSA on P-256, P-384 or P-521")
	}
	if err != nil {
		return nil, damaged("it cannot be read: " + reason(err))
	}
	if err := r.CheckSignature(); err != nil {
		_, insecure := errors.AsType[x509.InsecureAlgorithmError](err)
		if insecure || errors.Is(err, x509.ErrUnsupportedAlgorithm) {
			return nil, unsupported("its key or its signature is of a kind that TLS libraries refuse: use ECDSA or RSA with SHA-256")
		}
		return nil, damaged("it was not signed with the key that it holds")
	}
	challenge, err := readChallenge(r.RawTBSCertificateRequest)
	if err != nil {
		return nil, err
	}
	return &CSR{
		Subject:   r.RawSubject,
		SANs:      sansIn(r.Extensions),
		Public:    r.PublicKey,
		Raw:       r.Raw,
		challenge: challenge,
	}, nil
}

// readChallenge finds the challengePassword, which crypto/x509 does not read.
func readChallenge(tbs []byte) (func() []byte, error) {
	bad := damaged("its attributes cannot be read")
	in := cryptobyte.String(tbs)
	var seq, attributes cryptobyte.String
	var there bool
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.SkipASN1(cbasn1.INTEGER) || !seq.SkipASN1(cbasn1.SEQUENCE) ||
		!seq.SkipASN1(cbasn1.SEQUENCE) || !seq.ReadOptionalASN1(&attributes, &there, contextZero) {
		return nil, bad
	}
	for !attributes.Empty() {
		var a attribute
		var pair, set, content cryptobyte.String
		if !attributes.ReadASN1(&pair, cbasn1.SEQUENCE) || !pair.ReadASN1ObjectIdentifier(&a.oid) || !pair.ReadASN1(&set, cbasn1.SET) {
			return nil, bad
		}
		if !a.oid.Equal(oidChallengePassword) {
			continue
		}
		if !set.ReadAnyASN1(&content, &a.tag) {
			return nil, bad
		}
		a.raw = content
		text, ok := a.utf8()
		if !ok {
			return nil, bad
		}
		text = bytes.Clone(text)
		return func() []byte { return text }, nil
	}
	return nil, nil
}
