package engine

import (
	"context"
	"errors"
	"slices"
	"time"

	"mtlsplan/internal/config"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/verify"
)

// Verify reads every byte of the output directory, whatever the cache knows of it, and
// answers every check of every owner: those that fail first. It changes no byte and
// takes no lock. An error means that nothing could be judged.
//
// Where a writer beside it has moved on meanwhile, files and records of two moments may
// contradict each other: then it looks again, as [NewPlan] does.
func Verify(ctx context.Context, cfg *config.Config, opt Options) ([]plan.Check, error) {
	for looks := 1; ; looks++ {
		checks, moved, err := prove(ctx, cfg, opt)
		bad := err != nil || slices.ContainsFunc(checks, func(c plan.Check) bool { return !c.OK })
		if !moved || !bad || looks >= verifyLooks {
			return checks, err
		}
	}
}

// verifyLooks is how often a directory that changes all the time is looked at. Reading
// every byte takes longer than making a plan, so a moment without a writer is rarer.
const verifyLooks = 200

// pause is longer than a run is between two batches.
const pause = 250 * time.Millisecond

func prove(ctx context.Context, cfg *config.Config, opt Options) (checks []plan.Check, moved bool, err error) {
	dir, err := openDir(cfg)
	if err != nil {
		return nil, false, err
	}
	defer dir.Close()
	opt.prove = true
	r := newRun(ctx, cfg, opt, dir)
	defer r.in.Close()
	st, err := r.takeStock()
	if err == nil {
		checks, err = verify.Checks(ctx, verify.Subject{
			Config: cfg, Have: st.have, Ledger: st.ledger, Verdict: st.verdict, Now: r.opt.Now, Parallel: r.opt.Parallel, Signer: r.in.Signer,
		})
	}
	if !dir.Moved() && err == nil && slices.ContainsFunc(checks, func(c plan.Check) bool { return !c.OK }) {
		// A run may be between two of its batches: what is revoked is on record, and the
		// CRL is about to be in place.
		time.Sleep(pause)
	}
	moved = dir.Moved() && ctx.Err() == nil
	if damaged, ok := errors.AsType[*ledger.DamagedError](err); ok {
		return []plan.Check{{Owner: plan.CA(cfg.CA.Name), Check: plan.DatabaseWhole, Code: plan.Damaged, Message: damaged.Error()}}, moved, nil
	}
	if err == nil && st.have.CA.Interrupted && ctx.Err() == nil {
		// A batch that a writer has committed is about to be in place; one that nobody
		// finishes is still there after a moment.
		time.Sleep(20 * time.Millisecond)
		moved = true
	}
	return checks, moved, err
}
