package probe

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"time"

	"mtlsplan/internal/pki"
)

// Impostor is a certificate that says of its holder what another one says, and that no
// CA has signed but itself; like may be nil, for a name that nobody has. It is good for
// an hour and its key is nowhere but in memory.
func Impostor(like *x509.Certificate, now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "mtlsplan probe"}, SerialNumber: pki.NewSerial(),
		NotBefore: now.Add(-pki.Backdate), NotAfter: now.Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true,
	}
	if like != nil {
		template.RawSubject, template.EmailAddresses = like.RawSubject, like.EmailAddresses
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
