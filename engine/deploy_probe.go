package engine

import (
	"context"

	"mtlsplan/internal/plan"
	"mtlsplan/internal/probe"
)

// probe asks the proxy whether it refuses who must not get in and lets the others in.
// everybody is false where nobody who is to get in has a key that opens: before the
// certificates of this run there may be nobody yet.
func (c *carryOut) probe(d *deployment, copies []copied) (everybody bool, err error) {
	to := d.site.Settings.Deploy
	if to.Probe == "" {
		return true, nil
	}
	visitors, err := c.castFor(&d.site, c.stock, c.writer.Ledger(), c.trusted).visitors()
	if err != nil {
		return false, err
	}
	d.notes = visitors.notes
	target := targetOf(&d.site, to.Probe)
	target.Patience = to.Limit() / 10
	for _, f := range copies {
		if f.Kind == plan.KindSite {
			target.Gate = d.site.Proxy.Gate(f.want.Data)
		}
	}
	ctx, stop := context.WithTimeout(c.ctx, to.Limit())
	defer stop()
	return !visitors.noGood, probe.Gate(ctx, target, visitors.list)
}
