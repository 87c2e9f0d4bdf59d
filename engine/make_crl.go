package engine

import (
	"crypto/x509"
	"math/big"

	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
)

// makeCRL has a CRL signed for every CA that is trusted, of what the ledger says
// by now. A CA whose key cannot be opened keeps the CRL that it has.
func (c *carryOut) makeCRL(r *result) error {
	kept := c.verdict.Kept(c.have.CRL)
	number := c.writer.FreshNumber(c.opt.Now)
	var text []byte
	var signed []signedCRL
	for _, ca := range c.trusted {
		spki := pki.PublicID(ca.PublicKey)
		if list := kept.Lists[spki]; list != nil {
			text = append(text, pki.EncodeCRL(list.Raw)...)
			signed = append(signed, signedCRL{ca: ca, kept: list.Raw})
			continue
		}
		if c.verdict.CannotSign[spki] {
			continue
		}
		request := pki.CRLRequest{
			Number: number, ThisUpdate: c.opt.Now.Add(-pki.Backdate), NextUpdate: *r.task.Step.NotAfter, Entries: c.crlEntries(spki),
		}
		der, err := c.authority(ca).CRL(c.ctx, request)
		if err != nil {
			return err
		}
		text = append(text, pki.EncodeCRL(der)...)
		signed = append(signed, signedCRL{ca: ca, request: request})
		r.changes = append(r.changes, ledger.PassNumber{Used: number})
		number = new(big.Int).Add(number, big.NewInt(1))
	}
	r.then = func() { c.crl, c.since = kept, c.verdict.Since }
	r.put(plan.KindCRL, facts.CAPath(c.cfg.CA.Name, plan.KindCRL), text, provesCRLs(signed))
	return nil
}

// crlEntries are the entries of a CA's CRL. A revocation is never dated later than the
// first CRL that lists it.
func (c *carryOut) crlEntries(spki string) []x509.RevocationListEntry {
	var out []x509.RevocationListEntry
	latest := c.opt.Now.Add(-pki.Backdate)
	for _, row := range c.revoked() {
		if !c.verdict.Trust.Belongs(row, spki) {
			continue
		}
		serial, _ := new(big.Int).SetString(row.Serial, 16)
		code, _ := pki.ReasonCode(row.Reason)
		when := row.Revoked
		if when.After(latest) {
			when = latest
		}
		out = append(out, x509.RevocationListEntry{SerialNumber: serial, RevocationTime: when, ReasonCode: code})
	}
	return out
}
