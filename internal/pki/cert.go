package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// maxSerial bounds serial and CRL numbers: 20 octets with the sign (RFC 5280
// section 4.1.2.2).
var maxSerial = new(big.Int).Lsh(big.NewInt(1), 159)

// NewSerial makes a serial number of 128 random bits, never 0. Its top bit may
// be set: DER then puts a zero octet before it, 17 octets of the 20 that RFC
// 5280 section 4.1.2.2 allows, and it stays positive.
func NewSerial() *big.Int {
	for {
		var b [16]byte
		_, _ = rand.Read(b[:]) // never fails: see crypto/rand
		if n := new(big.Int).SetBytes(b[:]); n.Sign() > 0 {
			return n
		}
	}
}

// SerialHex prints a serial number as index.txt and NGINX's $ssl_client_serial
// do: upper-case hex in whole bytes, "00" for 0.
func SerialHex(serial *big.Int) string {
	s := strings.ToUpper(serial.Text(16))
	digits := strings.TrimPrefix(s, "-")
	if len(digits)%2 != 0 {
		return s[:len(s)-len(digits)] + "0" + digits
	}
	return s
}

// SignCA issues the self-signed certificate of a CA: v3, basicConstraints
// critical CA:TRUE with path length 0, keyUsage critical keyCertSign and
// cRLSign, subject key identifier. The e-mail of the subject is also put into
// a subjectAltName, as RFC 5280 section 4.1.2.6 asks.
func SignCA(r CARequest, key crypto.Signer) ([]byte, error) {
	if err := checkRequest(r.Subject, r.Serial, r.NotBefore, r.NotAfter); err != nil {
		return nil, fmt.Errorf("CA certificate: %w", err)
	}
	template, err := newTemplate(r.Subject, r.Serial, r.NotBefore, r.NotAfter, key.Public(), key.Public())
	if err != nil {
		return nil, fmt.Errorf("CA certificate: %w", err)
	}
	if len(r.KeyID) > 0 {
		template.SubjectKeyId = r.KeyID
	}
	template.IsCA = true
	template.MaxPathLenZero = true
	template.KeyUsage = caKeyUsage
	if s, _, err := ParseSubject(r.Subject); err == nil && s.Email != "" && CheckEmail(s.Email) == nil {
		template.EmailAddresses = []string{s.Email}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("CA certificate: signing: %w", err)
	}
	return der, nil
}

// SignUser issues a user's certificate: v3, basicConstraints critical
// CA:FALSE, keyUsage critical digitalSignature, extendedKeyUsage clientAuth,
// the e-mail addresses as subjectAltName, both key identifiers. The authority's
// is by key only, so that it stays right when the CA is reissued with its key.
// A subject alternative name of another type is an error.
func SignUser(r UserRequest, ca *x509.Certificate, caKey crypto.Signer) ([]byte, error) {
	if err := checkUser(r, ca); err != nil {
		return nil, fmt.Errorf("user certificate: %w", err)
	}
	emails, err := emailsOf(r.SANs)
	if err != nil {
		return nil, fmt.Errorf("user certificate: %w", err)
	}
	if err := checkIssuer(ca, caKey, x509.KeyUsageCertSign); err != nil {
		return nil, err
	}
	template, err := newTemplate(r.Subject, r.Serial, r.NotBefore, r.NotAfter, r.Public, caKey.Public())
	if err != nil {
		return nil, fmt.Errorf("user certificate: %w", err)
	}
	template.KeyUsage = userKeyUsage
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	template.EmailAddresses = emails
	der, err := x509.CreateCertificate(rand.Reader, template, ca, r.Public, caKey)
	if err != nil {
		return nil, fmt.Errorf("user certificate: signing: %w", err)
	}
	return der, nil
}

const (
	caKeyUsage   = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	userKeyUsage = x509.KeyUsageDigitalSignature
)

func newTemplate(subject []byte, serial *big.Int, notBefore, notAfter time.Time, pub, signer crypto.PublicKey) (*x509.Certificate, error) {
	ski, err := keyID(pub)
	if err != nil {
		return nil, err
	}
	alg, _, err := signature(signer)
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		RawSubject:            subject,
		SerialNumber:          serial,
		NotBefore:             seconds(notBefore),
		NotAfter:              seconds(notAfter),
		SignatureAlgorithm:    alg,
		BasicConstraintsValid: true,
		SubjectKeyId:          ski,
	}, nil
}

func seconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

func checkUser(r UserRequest, ca *x509.Certificate) error {
	if err := checkRequest(r.Subject, r.Serial, r.NotBefore, r.NotAfter); err != nil {
		return err
	}
	if seconds(r.NotAfter).After(ca.NotAfter) {
		return fmt.Errorf("it would end on %s, after its CA's on %s", stamp(r.NotAfter), stamp(ca.NotAfter))
	}
	if bytes.Equal(r.Subject, ca.RawSubject) {
		return errors.New("its subject is that of the CA, so every reader would take it for self-signed")
	}
	if _, _, err := signature(r.Public); err != nil {
		return err
	}
	if k, ok := r.Public.(*rsa.PublicKey); ok && k.N.BitLen() < 2048 {
		return fmt.Errorf("a key of type %s is too weak: use 2048 bits or more", KeyTypeOf(k))
	}
	return nil
}

func checkRequest(subject []byte, serial *big.Int, notBefore, notAfter time.Time) error {
	if rdns, err := parseName(subject); err != nil {
		return fmt.Errorf("subject: %w", err)
	} else if len(rdns) == 0 {
		return errors.New("its subject is empty")
	}
	if serial == nil || serial.Sign() <= 0 || serial.Cmp(maxSerial) >= 0 {
		return errors.New("its serial number is not positive with at most 20 octets")
	}
	return checkTimes(notBefore, notAfter)
}

// checkTimes bounds both to what UTCTime and GeneralizedTime hold.
func checkTimes(from, to time.Time) error {
	from, to = seconds(from), seconds(to)
	switch {
	case !from.Before(to):
		return fmt.Errorf("its validity from %s to %s is empty", stamp(from), stamp(to))
	case from.Year() < 1950 || to.Year() > 9999:
		return errors.New("its validity is not within the years 1950 to 9999")
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// checkIssuer makes sure that readers accept what ca signs.
func checkIssuer(ca *x509.Certificate, key crypto.Signer, use x509.KeyUsage) error {
	switch {
	case PublicID(ca.PublicKey) != PublicID(key.Public()):
		return errors.New("CA: its key does not belong to its certificate")
	case !ca.BasicConstraintsValid || !ca.IsCA:
		return errors.New("CA: its certificate is not that of a CA (basicConstraints)")
	case ca.KeyUsage != 0 && ca.KeyUsage&use == 0: // none: whatever it may be used for
		return errors.New("CA: its certificate does not allow signing this (keyUsage)")
	case len(ca.SubjectKeyId) == 0:
		return errors.New("CA: its certificate has no subject key identifier")
	}
	return nil
}

// CanSign reports whether readers accept what a CA with this certificate signs, be it
// as it would be issued today or not.
func CanSign(ca *x509.Certificate) bool {
	return ca.BasicConstraintsValid && ca.IsCA && len(ca.SubjectKeyId) > 0 && (ca.KeyUsage == 0 || ca.KeyUsage&caKeyUsage == caKeyUsage)
}

// keyID is the key identifier of RFC 7093 section 2, method 1: the first 160
// bits of the SHA-256 of the key. OpenSSL makes its own with SHA-1. Readers only
// compare them.
func keyID(pub crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, errors.New("its public key cannot be encoded")
	}
	var spki struct {
		Algorithm asn1.RawValue
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &spki); err != nil {
		return nil, errors.New("its public key cannot be encoded")
	}
	sum := sha256.Sum256(spki.Key.RightAlign())
	return sum[:20], nil
}

// signature is the algorithm and the hash that a key signs with: SHA-256, or a
// hash as strong as the curve.
func signature(pub crypto.PublicKey) (x509.SignatureAlgorithm, crypto.Hash, error) {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		return x509.SHA256WithRSA, crypto.SHA256, nil
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return x509.ECDSAWithSHA256, crypto.SHA256, nil
		case elliptic.P384():
			return x509.ECDSAWithSHA384, crypto.SHA384, nil
		case elliptic.P521():
			return x509.ECDSAWithSHA512, crypto.SHA512, nil
		}
	case ed25519.PublicKey:
		return x509.PureEd25519, 0, nil
	}
	return 0, 0, fmt.Errorf("a key of type %s cannot sign", KeyTypeOf(pub))
}
