package pki

import (
	"crypto/x509"
	"encoding/pem"
	"strings"
)

// PEM block types (RFC 7468).
const (
	pemCertificate  = "CERTIFICATE"
	pemCSR          = "CERTIFICATE REQUEST"
	pemOldCSR       = "NEW CERTIFICATE REQUEST"
	pemCRL          = "X509 CRL"
	pemEncryptedKey = "ENCRYPTED PRIVATE KEY"
)

// EncodeCertificate encodes a DER certificate as PEM.
func EncodeCertificate(der []byte) []byte { return encodePEM(pemCertificate, der) }

// EncodeCSR encodes a DER PKCS #10 request as PEM.
func EncodeCSR(der []byte) []byte { return encodePEM(pemCSR, der) }

// EncodeCRL encodes a DER CRL as PEM.
func EncodeCRL(der []byte) []byte { return encodePEM(pemCRL, der) }

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// ParseCertificates reads all certificates of a PEM file, in its order, or the one of
// a DER file; a PEM file may have any [Form]. Text around them is allowed, as openssl writes it. There must be at least one
// certificate and no other PEM block; a private key has a message of its own,
// because the file is public. The error is [ErrDamaged].
func ParseCertificates(data []byte) ([]*x509.Certificate, error) {
	blocks, err := decodePEM(asPEM(data, derCertificate), "certificate", pemCertificate, "X509 CERTIFICATE", "TRUSTED CERTIFICATE")
	if err != nil {
		return nil, err
	}
	certs := make([]*x509.Certificate, len(blocks))
	for i, der := range blocks {
		if certs[i], err = x509.ParseCertificate(der); err != nil {
			return nil, damaged("a certificate in it cannot be read: " + reason(err))
		}
	}
	return certs, nil
}

// ParseCRLs reads all CRLs of a PEM file as [ParseCertificates] reads
// certificates.
func ParseCRLs(data []byte) ([]*x509.RevocationList, error) {
	blocks, err := decodePEM(asPEM(data, derCRL), "CRL", pemCRL)
	if err != nil {
		return nil, err
	}
	crls := make([]*x509.RevocationList, len(blocks))
	for i, der := range blocks {
		if crls[i], err = parseCRL(der); err != nil {
			return nil, damaged("a CRL in it cannot be read: " + reason(err))
		}
	}
	return crls, nil
}

// decodePEM returns the content of all PEM blocks, which must be of one of the
// given types and complete.
func decodePEM(data []byte, what string, types ...string) ([][]byte, error) {
	var found [][]byte
	for rest := data; ; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			break
		}
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return nil, damaged("there is a private key in it, which does not belong in a public file: remove it, and consider that key compromised")
		}
		known := false
		for _, t := range types {
			known = known || t == block.Type
		}
		if !known {
			if what := otherContent(data); what != "" {
				return nil, damaged(what)
			}
			return nil, damaged("there is a PEM block other than a " + what + " in it")
		}
		found = append(found, block.Bytes)
	}
	switch begun := strings.Count("\n"+string(data), "\n-----BEGIN "); {
	case begun == 0 && otherContent(data) != "":
		return nil, damaged(otherContent(data))
	case begun == 0:
		return nil, damaged("there is no PEM " + what + " in it")
	case begun != len(found):
		// pem.Decode skips a block that it cannot read.
		return nil, damaged("a PEM block in it is cut or altered")
	}
	return found, nil
}

// reason is the message of an error of crypto/x509, without its prefix and
// harmless to print.
func reason(err error) string {
	return safe(strings.TrimPrefix(err.Error(), "x509: "))
}
