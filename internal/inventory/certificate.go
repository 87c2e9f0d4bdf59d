package inventory

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"

	"mtlsplan/internal/facts"
	"mtlsplan/internal/pki"
)

// certificates tells what is in a file of certificates.
func certificates(f file) facts.CertificateFile {
	c := facts.CertificateFile{File: f.File}
	if c.Missing {
		return c
	}
	certs, err := pki.ParseCertificates(f.content.Data)
	if c.Why = err; err == nil && len(certs) > 0 {
		c.Form = pki.Form(f.content.Data)
		c.Cert, c.All = factsOf(certs[0]), certs
		c.Alone = sameText(f.content.Data, pki.EncodeCertificate(certs[0].Raw))
	}
	return c
}

// sameText compares a text with one of ours. git may have put a carriage return at
// every line end.
func sameText(data, ours []byte) bool {
	return bytes.Equal(data, ours) || bytes.Equal(bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")), ours)
}

func factsOf(c *x509.Certificate) *facts.Certificate {
	name, rest, err := pki.ParseSubject(c.RawSubject)
	return &facts.Certificate{
		Sum: sha256.Sum256(c.Raw), Serial: pki.SerialHex(c.SerialNumber), SPKI: pki.PublicID(c.PublicKey),
		Subject: string(c.RawSubject), Name: name, Plain: err == nil && len(rest) == 0,
		Issuer: string(c.RawIssuer), Authority: string(c.AuthorityKeyId), SANs: pki.SANs(c),
		NotBefore: c.NotBefore, NotAfter: c.NotAfter, Version: c.Version,
		Unusual: pki.UserUsage(c, &x509.Certificate{SubjectKeyId: c.AuthorityKeyId}),
		X509:    c,
	}
}

// request tells what is in a request.
func request(c *pki.CSR) *facts.Request {
	return &facts.Request{
		Subject: string(c.Subject), SANs: c.SANs, SPKI: pki.PublicID(c.Public), Type: pki.KeyTypeOf(c.Public),
		Sum: sha256.Sum256(c.Raw), Challenged: len(c.Challenge()) > 0,
	}
}
