package pki

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"

	"software.sslmate.com/src/go-pkcs12"
)

// minCompatIterations is the lowest number of iterations of [Compat]: what
// OpenSSL and go-pkcs12 use with 3DES.
const minCompatIterations = 2048

// EncodeP12 makes a PKCS #12 file (RFC 7292) of the key, its certificate and
// the CA certificates. The iterations are those of the encryption of the key, of
// that of the certificates, and of the MAC.
func EncodeP12(p Profile, key crypto.Signer, cert *x509.Certificate, chain []*x509.Certificate, pass Passphrase, iterations int) ([]byte, error) {
	var encoder *pkcs12.Encoder
	least := 1
	switch p {
	case Compat:
		encoder, least = pkcs12.LegacyDES, minCompatIterations
	case Modern:
		encoder = pkcs12.Modern2023
	default:
		return nil, fmt.Errorf("PKCS #12: the profile %q does not exist", string(p))
	}
	switch {
	case pass.IsZero():
		return nil, errors.New("PKCS #12: a private key is never written without a passphrase")
	case iterations < least || iterations > maxIterations:
		return nil, fmt.Errorf("PKCS #12: %d iterations: profile %s takes %d to %d", iterations, p, least, maxIterations)
	case PublicID(cert.PublicKey) != PublicID(key.Public()):
		return nil, errors.New("PKCS #12: the key does not belong to the certificate")
	}
	der, err := encoder.WithIterations(iterations).Encode(key, cert, chain, pass.Reveal())
	if err != nil {
		return nil, errors.New("PKCS #12: the passphrase or the key cannot be encoded")
	}
	return der, nil
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
