package inventory

import (
	"crypto/x509"

	"mtlsplan/internal/plan"
)

// LastIssued is the certificate most lately issued to an owner, as the ledger that
// was read last holds it; nil when there is none.
func (r *Reader) LastIssued(owner plan.Owner) (*x509.Certificate, error) {
	e := r.ledger.IssuedTo(string(owner)).Last()
	if e == nil {
		return nil, nil
	}
	return r.certificate(e)
}
