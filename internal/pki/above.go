package pki

import (
	"bytes"
	"crypto/x509"
)

// Above finds the CAs above a certificate, from the one that has signed it to the one
// that signs itself: among those given, the newest of several that are for one key.
// whole is false where one is missing. Above a certificate that names itself as its
// issuer there is none.
func Above(cert *x509.Certificate, among []*x509.Certificate) (chain []*x509.Certificate, whole bool) {
	for len(chain) <= len(among) {
		if bytes.Equal(cert.RawIssuer, cert.RawSubject) {
			return chain, true
		}
		var next *x509.Certificate
		for _, c := range among {
			if !c.Equal(cert) && Signed(cert, c) && (next == nil || c.NotAfter.After(next.NotAfter)) {
				next = c
			}
		}
		if next == nil {
			return chain, false
		}
		chain, cert = append(chain, next), next
	}
	return nil, false // they sign one another in a circle
}

// Signed reports whether a CA has signed a certificate, with whatever hash: what was
// issued with MD5 or SHA-1 was issued all the same, though nobody accepts it today.
func Signed(cert, ca *x509.Certificate) bool {
	if !bytes.Equal(cert.RawIssuer, ca.RawSubject) {
		return false
	}
	return signed(ca, cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature)
}

// SelfIssued reports whether a certificate names itself as its issuer.
func SelfIssued(cert *x509.Certificate) bool { return bytes.Equal(cert.RawIssuer, cert.RawSubject) }
