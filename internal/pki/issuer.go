package pki

import "crypto/x509"

// IssuedBy reports whether a CA has issued a certificate with the given issuer
// (DER of the name) and authority key identifier. It goes by names and
// identifiers, and only of a certificate without an identifier it asks for the
// certificate and checks the signature. cert may return nil for one that cannot
// be read.
func IssuedBy(ca *x509.Certificate, issuer, authority string, cert func() *x509.Certificate) bool {
	switch {
	case issuer != string(ca.RawSubject):
		return false
	case authority != "":
		return authority == string(ca.SubjectKeyId)
	}
	c := cert()
	return c != nil && Signed(c, ca)
}
