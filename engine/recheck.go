package engine

import (
	"fmt"
	"slices"
	"strings"

	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
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
	left := &unfinishedError{foreign: true}
	verdict := r.judge(have, led, opt).verdict
	again := verdict.Plan
	for _, f := range again.Failures {
		if !failed[f.Owner] {
			left.add(false, "%s: %s", f.Owner, f.Message)
		}
	}
	shared := ledger.Shared()
	for i, step := range again.Steps {
		if !failed[step.Owner] {
			// Only the modes of files that another program has written meanwhile.
			foreign := !slices.ContainsFunc(step.Reasons, func(r plan.Reason) bool { return r.Code != plan.Mode }) &&
				!slices.ContainsFunc(verdict.Tasks[i].Fixes, func(f facts.File) bool {
					_, ok := shared[strings.TrimSuffix(f.Name(), ".old")]
					return !ok
				})
			left.add(foreign, "%s: %s, because %s", step.Owner, step.Action, step.Reasons[0].Message)
		}
	}
	if len(left.what) > 0 {
		return left
	}
	return nil
}

// unfinishedError says what is left to do at the end of a run.
type unfinishedError struct {
	what    []string
	foreign bool // all of it is what another program has done while the run was under way
}

func (e *unfinishedError) add(foreign bool, format string, args ...any) {
	e.what, e.foreign = append(e.what, fmt.Sprintf(format, args...)), e.foreign && foreign
}

func (e *unfinishedError) Error() string {
	return fmt.Sprintf("the run has finished, but the directory does not match the spec yet: %s: end whatever else writes there, or changes the passphrases, and run apply again; if it says the same with nothing beside it, that is a mistake of mtlsplan: mtlsplan verify tells what is affected",
		strings.Join(e.what, "; "))
}
