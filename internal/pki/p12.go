package pki

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"

	"software.sslmate.com/src/go-pkcs12"

	"mtlsplan/internal/p12"
)

// encodeP12 writes a PKCS #12 file.
func encodeP12(scheme p12.Scheme) func(crypto.Signer, *x509.Certificate, []*x509.Certificate, *Keys, int) ([]byte, error) {
	return func(key crypto.Signer, cert *x509.Certificate, chain []*x509.Certificate, keys *Keys, iterations int) ([]byte, error) {
		plain, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return nil, errors.New("PKCS #12: a private key of this type cannot be encoded")
		}
		c := p12.Content{Key: plain, Certs: [][]byte{cert.Raw}, Name: FriendlyName(cert, chain)}
		for _, ca := range chain {
			c.Certs = append(c.Certs, ca.Raw)
		}
		return keys.derived.Write(scheme, c, iterations)
	}
}

func reopenP12(scheme p12.Scheme) func([]byte, *Keys) (*P12, error) {
	return func(der []byte, keys *Keys) (*P12, error) {
		c, err := keys.derived.Read(scheme, der)
		if err != nil {
			return nil, err
		}
		key, err := parsePlainKey(c.Key)
		if err != nil {
			return nil, err
		}
		certs, err := x509.ParseCertificates(slices.Concat(c.Certs...))
		if err != nil || len(certs) != len(c.Certs) {
			return nil, damaged("its certificates cannot be read")
		}
		return &P12{Name: c.Name, Key: key, Cert: certs[0], Chain: certs[1:]}, nil
	}
}

// FriendlyName is what a person recognises a certificate by in a list: its common
// name, then the organization of the first of its CAs, else that one's common
// name: "ada, Mattermost". Without any CA at hand, they are those of its issuer. It is cut
// to what PKCS #12 holds; where the names have none of these, it is the subject as a whole.
func FriendlyName(cert *x509.Certificate, chain []*x509.Certificate) string {
	var parts []string
	if cert.Subject.CommonName != "" {
		parts = append(parts, cert.Subject.CommonName)
	}
	ca := cert.Issuer
	if len(chain) > 0 {
		ca = chain[0].Subject
	}
	by := ca.CommonName
	if len(ca.Organization) > 0 && ca.Organization[0] != "" {
		by = ca.Organization[0]
	}
	if by != "" {
		parts = append(parts, by)
	}
	name := strings.Join(parts, ", ")
	if name == "" {
		name = NameString(cert.RawSubject)
	}
	units := 0
	for i, r := range name {
		if units += max(utf16.RuneLen(r), 1); units > p12.MaxName {
			name = name[:i]
			break
		}
	}
	return strings.ToValidUTF8(name, "\uFFFD")
}

// Keys is a passphrase that remembers the keys derived from it: what was encrypted
// with it is opened again at no cost. Nobody may use it from two goroutines at a
// time.
type Keys struct {
	pass    Passphrase
	derived *p12.Keys
}

// NewKeys begins with no key.
func NewKeys(pass Passphrase) *Keys { return &Keys{pass, p12.NewKeys(pass.Reveal())} }

// Format keeps passphrase and keys out of whatever is printed.
func (k *Keys) Format(f fmt.State, verb rune) { k.derived.Format(f, verb) }

// OpenP12 decrypts a PKCS #12 file. An altered file cannot be told from a
// wrong passphrase, because the MAC covers both: either is [ErrPassphrase].
// The other errors are [ErrDamaged] and [ErrUnsupported].
func OpenP12(der []byte, pass Passphrase) (*P12, error) {
	// This bounds the iterations, which the library does not.
	if _, err := InspectP12(der); err != nil {
		return nil, err
	}
	if p, _ := parsePFX(der); p.mac.name == noMAC && pass.Reveal() != "" {
		return nil, unsupported("the PKCS #12 file has no MAC")
	}
	key, cert, chain, err := pkcs12.DecodeChain(der, pass.Reveal())
	if err != nil {
		return nil, p12Error(err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, damaged("its key cannot sign")
	}
	return &P12{Key: signer, Cert: cert, Chain: chain}, nil
}

// p12Error keeps the kind of a library's error and drops its text.
func p12Error(err error) error {
	if _, ok := errors.AsType[pkcs12.NotImplementedError](err); ok {
		return unsupported("the PKCS #12 file is encoded in a way that few programs use")
	}
	if errors.Is(err, pkcs12.ErrIncorrectPassword) || errors.Is(err, pkcs12.ErrDecryption) {
		return ErrPassphrase
	}
	return damaged("the PKCS #12 file cannot be read")
}
