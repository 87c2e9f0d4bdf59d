package engine

import (
	"fmt"
	"slices"
	"strings"

	"mtlsplan/internal/plan"
)

// recheck makes the plan again, of what is on disk now: it reads back what the
// run has written. The plan must be empty but for the owners that failed. Owners
// whom the run has not touched it has judged already, of the same files; unless
// the CA has changed, on which everybody depends, or a serial was revoked that
// somebody else has too.
func (r *run) recheck(c *carryOut) error {
	opt := r.opt
	opt.Replace = nil
	touched := map[plan.Owner]bool{}
	for _, step := range c.report.Plan.Steps {
		touched[step.Owner] = true
	}
	covers := r.opt.covers
	if !opt.Adopt && !touched[c.have.CA.Owner] && !c.writer.SharedRevoked() {
		covers = func(owner plan.Owner) bool { return touched[owner] && r.opt.covers(owner) }
	}
	have, led, err := r.in.Again(covers, c.writer, opt.Adopt)
	if err != nil {
		return err
	}
	r.settle(have)
	failed := map[plan.Owner]bool{}
	for _, f := range c.report.Failures {
		failed[f.Owner] = true
	}
	opt.scope = covers
	left := &unfinishedError{onlyModes: true}
	again := r.judge(have, led, opt).verdict.Plan
	for _, f := range again.Failures {
		if !failed[f.Owner] {
			left.add(false, "%s: %s", f.Owner, f.Message)
		}
	}
	for _, step := range again.Steps {
		if !failed[step.Owner] {
			modes := !slices.ContainsFunc(step.Reasons, func(r plan.Reason) bool { return r.Code != plan.Mode })
			left.add(modes, "%s: %s, because %s", step.Owner, step.Action, step.Reasons[0].Message)
		}
	}
	if len(left.what) > 0 {
		return left
	}
	return nil
}

// unfinishedError says what is left to do at the end of a run.
type unfinishedError struct {
	what      []string
	onlyModes bool // modes that another program has widened while the run was under way
}

func (e *unfinishedError) add(mode bool, format string, args ...any) {
	e.what, e.onlyModes = append(e.what, fmt.Sprintf(format, args...)), e.onlyModes && mode
}

func (e *unfinishedError) Error() string {
	return fmt.Sprintf("the run has finished, but the directory does not match the spec yet: %s: run apply again, and report this", strings.Join(e.what, "; "))
}
