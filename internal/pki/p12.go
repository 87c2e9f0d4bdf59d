package pki

import (
	"crypto"
	"crypto/x509"
	"errors"

	"software.sslmate.com/src/go-pkcs12"
)

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
