package pki

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"software.sslmate.com/src/go-pkcs12"
)

// minCompatIterations is the lowest number of iterations of [Compat]: what
// OpenSSL and go-pkcs12 use with 3DES.
const minCompatIterations = 2048

// container is one kind of file that holds key, certificate and CA certificates
// under a passphrase.
type container struct {
	profile Profile
	ending  string // of the file's name
	further string // the same of a user who has another of these files
	least   int    // iterations
	encode  func(key crypto.Signer, cert *x509.Certificate, chain []*x509.Certificate, pass string, iterations int) ([]byte, error)
	inspect func(data []byte) (P12Info, error)
	open    func(data []byte, pass Passphrase) (*P12, error)
}

// containers are all there are. A new one is a row here: the spec's attribute,
// the reading, the policies, the making and the check all go by this table.
var containers = []container{
	{Compat, "p12", "compat.p12", minCompatIterations, encodeWith(pkcs12.LegacyDES), InspectP12, OpenP12},
	{Modern, "p12", "modern.p12", 1, encodeWith(pkcs12.Modern2023), InspectP12, OpenP12},
}

// Profiles are all profiles that may be asked for, in the order in which they are
// shown.
var Profiles = func() []Profile {
	var list []Profile
	for _, c := range containers {
		list = append(list, c.profile)
	}
	return list
}()

// container is the row of a profile.
func (p Profile) container() (container, error) {
	i := slices.IndexFunc(containers, func(c container) bool { return c.profile == p })
	if i < 0 {
		return container{}, fmt.Errorf("the profile %q does not exist", string(p))
	}
	return containers[i], nil
}

// Ending is what the names of a profile's files end in, "" for no profile: "p12"
// for the first of a user, "modern.p12" for a further one.
func (p Profile) Ending(first bool) string {
	for i := range containers {
		if c := &containers[i]; c.profile == p && first {
			return c.ending
		} else if c.profile == p {
			return c.further
		}
	}
	return ""
}

// Encode makes a file of the key, its certificate and the CA certificates. The
// iterations are those of the encryption of the key, of that of the certificates,
// and of the MAC.
func (p Profile) Encode(key crypto.Signer, cert *x509.Certificate, chain []*x509.Certificate, pass Passphrase, iterations int) ([]byte, error) {
	c, err := p.container()
	switch {
	case err != nil:
		return nil, fmt.Errorf("PKCS #12: %w", err)
	case pass.IsZero():
		return nil, errors.New("PKCS #12: a private key is never written without a passphrase")
	case iterations < c.least || iterations > maxIterations:
		return nil, fmt.Errorf("PKCS #12: %d iterations: profile %s takes %d to %d", iterations, p, c.least, maxIterations)
	case PublicID(cert.PublicKey) != PublicID(key.Public()):
		return nil, errors.New("PKCS #12: the key does not belong to the certificate")
	}
	return c.encode(key, cert, chain, pass.Reveal(), iterations)
}

// Inspect tells how a file that was made for a profile is protected, without
// opening it. The error is [ErrDamaged] or [ErrUnsupported].
func (p Profile) Inspect(data []byte) (P12Info, error) {
	c, err := p.container()
	if err != nil {
		return P12Info{}, err
	}
	return c.inspect(data)
}

// Open decrypts a file that was made for a profile. The error is [ErrPassphrase],
// [ErrDamaged] or [ErrUnsupported].
func (p Profile) Open(data []byte, pass Passphrase) (*P12, error) {
	c, err := p.container()
	if err != nil {
		return nil, err
	}
	return c.open(data, pass)
}

func encodeWith(encoder *pkcs12.Encoder) func(crypto.Signer, *x509.Certificate, []*x509.Certificate, string, int) ([]byte, error) {
	return func(key crypto.Signer, cert *x509.Certificate, chain []*x509.Certificate, pass string, iterations int) ([]byte, error) {
		der, err := encoder.WithIterations(iterations).Encode(key, cert, chain, pass)
		if err != nil {
			return nil, errors.New("PKCS #12: the passphrase or the key cannot be encoded")
		}
		return der, nil
	}
}

// OpenP12 decrypts a PKCS #12 file. An altered file cannot be told from a
// wrong passphrase, because the MAC covers both: either is [ErrPassphrase].
// The other errors are [ErrDamaged] and [ErrUnsupported].
func OpenP12(der []byte, pass Passphrase) (*P12, error) {
	// This bounds the iterations, which the library does not.
	if _, err := InspectP12(der); err != nil {
		return nil, err
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
