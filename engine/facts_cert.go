package engine

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"time"

	"mtlsplan/internal/pki"
	"mtlsplan/internal/secret"
)

// certFacts is what the policies use of a certificate, small enough to be kept
// for every user.
type certFacts struct {
	sum       [sha256.Size]byte // of the DER: which certificate it is
	serial    string            // upper-case hex
	public    string            // identity of the key
	subject   string            // DER of the name, "" where only name is at hand
	name      pki.Subject       // what it says
	plain     bool              // and that is all that it says
	issuer    string            // DER of the name
	authority string            // key identifier of the issuer's, "" for none
	sans      []pki.SAN         // in the certificate's order
	notBefore time.Time
	notAfter  time.Time
	version   int
	usual     bool // it is what would be issued today, by a CA with the authority's identifier

	// full is the certificate itself, nil where only the facts are at hand. They
	// are, for the usual certificate of a user for whom there is nothing to do.
	full *x509.Certificate
}

func factsOfCert(c *x509.Certificate) *certFacts {
	name, rest, err := pki.ParseSubject(c.RawSubject)
	return &certFacts{
		name: name, plain: err == nil && len(rest) == 0,
		sum: sha256.Sum256(c.Raw), serial: pki.SerialHex(c.SerialNumber), public: pki.PublicID(c.PublicKey),
		subject: string(c.RawSubject), issuer: string(c.RawIssuer), authority: string(c.AuthorityKeyId),
		sans:      pki.SANs(c),
		notBefore: c.NotBefore, notAfter: c.NotAfter, version: c.Version,
		usual: len(c.AuthorityKeyId) > 0 && len(pki.UserUsage(c, &x509.Certificate{SubjectKeyId: c.AuthorityKeyId})) == 0,
		full:  c,
	}
}

// csrContent is what the policies use of a request.
type csrContent struct {
	subject   string // DER of the name
	sans      []pki.SAN
	public    string // identity of the key
	challenge secret.Value
	key       crypto.PublicKey // nil where only the facts are at hand
	raw       []byte           // DER, nil likewise
}

func contentOfCSR(data []byte) (*csrContent, error) {
	c, err := pki.ParseCSR(data)
	if err != nil {
		return nil, err
	}
	return &csrContent{string(c.Subject), c.SANs, pki.PublicID(c.Public), secret.New(c.Challenge()), c.Public, c.Raw}, nil
}
