// Package authority signs: certificates and CRLs of one CA key. Today the
// key is in a file that this process opens; a token or a service is another
// implementation of [Authority], and nothing else changes.
package authority

import (
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
	"sync"

	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
)

// Request asks for a user's certificate.
type Request struct {
	// ID names the request for good: asked again with the same ID, an authority that
	// remembers gives the certificate that it has issued. It is the serial in
	// upper-case hex.
	ID    string
	Owner plan.Owner
	pki.UserRequest
}

// Authority signs with one CA key.
type Authority interface {
	// Chain is the CA's certificate, and behind it those of its parents, if it has any.
	Chain() []*x509.Certificate

	// Ready reports why nothing can be signed now, nil for no reason.
	Ready(ctx context.Context) error

	// Issue gives a certificate. It may be called from several goroutines.
	Issue(ctx context.Context, r Request) (*x509.Certificate, error)

	// Revoke tells the authority that a certificate is revoked, by its serial in
	// upper-case hex and the RFC 5280 name of a reason, "" for unspecified. It may be
	// told again.
	Revoke(ctx context.Context, serial, reason string) error

	// CRL signs a CRL and gives its DER.
	CRL(ctx context.Context, r pki.CRLRequest) ([]byte, error)
}

// Rememberer is an [Authority] that outlives this process: what it was asked to
// issue exists, whatever becomes of the run. A request to it is recorded before
// it is asked, and after a crash the next run asks what became of it.
type Rememberer interface {
	Authority

	// Issued gives the certificate of an earlier request, nil when none was issued.
	Issued(ctx context.Context, id string) (*x509.Certificate, error)
}

// KeyFile is an authority whose key is in a file. It forgets what it has signed:
// a signature that was lost with this process was never seen by anybody.
type KeyFile struct {
	cert *x509.Certificate
	open func() (crypto.Signer, error)

	mu  sync.Mutex
	key crypto.Signer
}

// NewKeyFile is the authority with a certificate. open is called when the key is
// needed first.
func NewKeyFile(cert *x509.Certificate, open func() (crypto.Signer, error)) *KeyFile {
	return &KeyFile{cert: cert, open: open}
}

// Key opens the key, once.
func (k *KeyFile) Key() (crypto.Signer, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.key != nil {
		return k.key, nil
	}
	key, err := k.open()
	if err != nil {
		return nil, plan.Errorf(plan.CAUnavailable, "%w", err)
	}
	if pki.PublicID(key.Public()) != pki.PublicID(k.cert.PublicKey) {
		return nil, plan.Errorf(plan.CAUnavailable, "the key of the CA was changed while the run was under way: run again")
	}
	k.key = key
	return key, nil
}

// Chain is the certificate alone: it signs itself.
func (k *KeyFile) Chain() []*x509.Certificate { return []*x509.Certificate{k.cert} }

// Ready opens the key.
func (k *KeyFile) Ready(context.Context) error {
	_, err := k.Key()
	return err
}

// Issue signs a certificate.
func (k *KeyFile) Issue(_ context.Context, r Request) (*x509.Certificate, error) {
	key, err := k.Key()
	if err != nil {
		return nil, err
	}
	der, err := pki.SignUser(r.UserRequest, k.cert, key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("user certificate: it was signed and cannot be read: %w", err)
	}
	return cert, nil
}

// Revoke does nothing: the next CRL carries the revocation.
func (k *KeyFile) Revoke(context.Context, string, string) error { return nil }

// CRL signs a CRL.
func (k *KeyFile) CRL(_ context.Context, r pki.CRLRequest) ([]byte, error) {
	key, err := k.Key()
	if err != nil {
		return nil, err
	}
	return pki.SignCRL(r, k.cert, key)
}
