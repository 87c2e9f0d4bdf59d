package engine

import (
	"context"
	"strings"

	"mtlsplan/internal/config"
	"mtlsplan/internal/outdir"
	"mtlsplan/internal/plan"
)

// refusal is why apply refuses the CA of a directory, in the words of the plan; nil where
// it does not. What is asked of such a directory cannot be answered either: its database
// may lack revocations.
func (s stock) refusal() error {
	for _, step := range s.verdict.Plan.Steps {
		if step.Action != plan.Refuse || step.Owner != s.have.CA.Owner {
			continue
		}
		var why []string
		for _, reason := range step.Reasons {
			why = append(why, reason.Message)
		}
		return plan.Errorf(plan.Refused, "%s: %s", step.Owner, strings.Join(why, "; "))
	}
	return nil
}

// refused is the refusal of a directory that was not judged yet. It needs no passphrase.
func refused(ctx context.Context, cfg *config.Config, opt Options, dir *outdir.Dir) error {
	opt.scope, opt.glance = func(plan.Owner) bool { return false }, true
	r := newRun(ctx, cfg, opt, dir)
	defer r.in.Close()
	st, err := r.takeStock()
	if err != nil {
		return err
	}
	return st.refusal()
}

// errNothingIssued is of a directory in which there is nothing yet.
func errNothingIssued(cfg *config.Config) error {
	return plan.Errorf(plan.FileError, "%s: nothing was issued here yet: run mtlsplan apply first", cfg.Output)
}
