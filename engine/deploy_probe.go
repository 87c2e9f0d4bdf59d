package engine

import (
	"context"

	"mtlsplan/internal/policy"
	"mtlsplan/internal/probe"
)

// probe asks the proxy whether it refuses who must not get in and lets the others in.
// everybody is false where nobody who is to get in has a key that opens: before the
// certificates of this run there may be nobody yet.
func (c *carryOut) probe(d *deployment) (everybody bool, err error) {
	to := d.site.Settings.Deploy
	if to.Probe == "" {
		return true, nil
	}
	public := c.public()
	visitors, err := c.castFor(&d.site, c.stock, public.Ledger, c.trusted).visitors()
	if err != nil {
		return false, err
	}
	d.notes = visitors.notes
	ctx, stop := context.WithTimeout(c.ctx, to.Limit())
	defer stop()
	return !visitors.noGood, probe.Gate(ctx, targetOf(&d.site, to.Probe, policy.RenderSite(c.cfg, d.site, public)), visitors.list)
}
