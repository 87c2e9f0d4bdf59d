package engine

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"slices"

	"mtlsplan/internal/authority"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/policy"
)

// authority is who signs for a CA.
func (c *carryOut) authority(ca *x509.Certificate) authority.Authority {
	if signer := c.service(ca); signer != nil {
		return signer
	}
	return c.keyFile(pki.PublicID(ca.PublicKey))
}

// service is who signs for a CA in place of its key file, nil for nobody.
func (r *run) service(ca *x509.Certificate) authority.Authority {
	if r.opt.authority == nil {
		return nil
	}
	return r.opt.authority(ca)
}

// keyFile is the authority with a CA key of ours, whose file is opened when it is
// needed first.
func (c *carryOut) keyFile(spki string) *authority.KeyFile {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.keys[spki]; k != nil {
		return k
	}
	gens := c.verdict.Trust.Generations
	i := slices.IndexFunc(gens, func(g ledger.Generation) bool { return g.SPKI == spki })
	if i < 0 {
		return authority.NewKeyFile(nil, func() (crypto.Signer, error) {
			return nil, fmt.Errorf("the CA never had the key %s", spki)
		})
	}
	open := func() (crypto.Signer, error) { return c.in.PastKey(gens[i].Number) }
	if i == len(gens)-1 {
		open = c.openCA
	}
	c.keys[spki] = authority.NewKeyFile(gens[i].Cert, open)
	return c.keys[spki]
}

func (c *carryOut) openCA() (crypto.Signer, error) {
	m, err := c.in.CA()
	if err != nil {
		return nil, err
	}
	return m.OpenKey()
}

// issue has the current CA issue a user's certificate, for a key that is in no
// file yet. The result keeps the request, for the check.
func (c *carryOut) issue(r *result, public crypto.PublicKey, subject []byte, sans []pki.SAN) (*x509.Certificate, error) {
	ca := c.trusted[0]
	notBefore := c.opt.Now.Add(-pki.Backdate)
	if notBefore.Before(ca.NotBefore) {
		notBefore = ca.NotBefore
	}
	r.request = pki.UserRequest{
		Subject: subject, SANs: sans, Public: public,
		Serial: r.serial, NotBefore: notBefore, NotAfter: *r.task.Step.NotAfter,
	}
	cert, err := c.authority(ca).Issue(c.ctx, authority.Request{ID: pki.SerialHex(r.serial), Owner: r.task.Step.Owner, UserRequest: r.request})
	if err != nil {
		return nil, err
	}
	r.issued = append(r.issued, cert)
	return cert, nil
}

// tell tells the authorities of what a task revokes, before that is recorded: a
// crash between the two has it told again.
func (c *carryOut) tell(t *policy.Task) error {
	for _, row := range t.Revokes {
		for _, g := range c.verdict.Trust.Generations {
			if !c.verdict.Trust.Belongs(row, g.SPKI) {
				continue
			}
			if err := c.authority(g.Cert).Revoke(c.ctx, row.Serial, row.Reason); err != nil {
				return plan.Errorf(plan.CAUnavailable, "serial %s: %w", row.Serial, err)
			}
		}
	}
	return nil
}
