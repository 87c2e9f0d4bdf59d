package engine

import (
	"crypto/sha256"

	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/policy"
)

// revoked are the rows that the next CRL lists, as the ledger stands.
func (c *carryOut) revoked() []ledger.Row {
	return c.verdict.Trust.Revoked(c.writer.Ledger(), c.have.CRL, c.opt.Now, c.verdict.Dropped)
}

// makeSite renders what the ledger says by now, and records its checksums; or the
// checksums alone, where the files are right.
func (c *carryOut) makeSite(r *result) error {
	barred := c.verdict.Trust.Barred(c.writer.Ledger(), c.have.CRL, c.opt.Now, c.verdict.Dropped)
	serials := policy.Refused(c.crl, barred)
	for _, f := range policy.RenderSite(c.cfg, c.cfg.Sites[r.task.Index], serials, c.trusted) {
		sum := sha256.Sum256(f.Data)
		if r.task.MustMake(plan.KindSite) {
			r.put(plan.KindSite, facts.At(f.Name), f.Data, provesSum(sum))
		}
		r.changes = append(r.changes, ledger.Render{Path: f.Name, Sum: sum})
	}
	return nil
}
