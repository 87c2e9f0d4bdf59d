package engine

import (
	"crypto/sha256"
	"slices"

	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/policy"
)

// revoked are the rows that the next CRL lists, as the ledger stands.
func (c *carryOut) revoked() []ledger.Row {
	return c.verdict.Trust.Revoked(c.writer.Ledger(), c.have.CRL, c.opt.Now, c.verdict.Dropped)
}

// public is what sites are made of, as the ledger stands.
func (c *carryOut) public() policy.Public {
	barred := c.verdict.Trust.Barred(c.writer.Ledger(), c.have.CRL, c.opt.Now, c.verdict.Dropped)
	return policy.Public{Ledger: c.writer.Ledger(), Trusted: c.trusted, Revoked: policy.Refused(c.crl, barred), Since: c.since}
}

// makeSite renders what the ledger says by now, and records its checksums; or the
// checksums alone, where the files are right.
func (c *carryOut) makeSite(r *result) error {
	for _, f := range policy.RenderSite(c.cfg, c.cfg.Sites[r.task.Index], c.public()) {
		sum := sha256.Sum256(f.Data)
		if r.task.MustMake(plan.KindSite) {
			r.put(plan.KindSite, facts.At(f.Name), f.Data, provesSum(sum))
		}
		r.changes = append(r.changes, ledger.Render{Path: f.Name, Sum: sum})
	}
	return nil
}

// publishAgain writes the sites that name users once more, where certificates were
// issued since they were written.
func (c *carryOut) publishAgain(tasks []*policy.Task) error {
	for _, t := range tasks {
		if t.Part != policy.OfSite || !t.MustMake(plan.KindSite) {
			continue
		}
		site := c.cfg.Sites[t.Index]
		if !policy.Follows(c.cfg, site, c.writer.Ledger(), c.trusted) {
			continue
		}
		r := c.build(&result{task: t, again: true})
		if r.err == nil && !slices.ContainsFunc(r.changes, func(change ledger.Change) bool {
			now := change.(ledger.Render)
			written, ok := c.writer.Ledger().Rendered(now.Path)
			return !ok || written != now.Sum
		}) {
			continue
		}
		if err := c.commit([]*result{r}); err != nil {
			return err
		}
	}
	return nil
}
