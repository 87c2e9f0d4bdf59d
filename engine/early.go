package engine

import (
	"errors"
	"slices"

	"mtlsplan/internal/config"
	"mtlsplan/internal/outdir"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/policy"
)

// A program that gives a user's passphrase may take minutes, or hang. Nobody who
// should be out stays in meanwhile: before the programs are asked, what needs no user's
// passphrase is judged and carried out as far as it takes access away. So it is before
// users are renamed, since all that is made of the plan is made after that.

// revokeEarly is that part of a run; nil where there is nothing of it to do. What is
// wrong beside it the run itself finds again, and says.
func (r *run) revokeEarly() (*Report, error) {
	r.in.Unask(true)
	defer r.in.Unask(false)
	st, err := r.takeStock()
	if plan.CodeOf(err) == plan.Refused {
		return nil, err // while nothing was changed
	}
	if err != nil || !takesAny(st.verdict) {
		return nil, r.ctx.Err()
	}
	if err := r.isAsSavedSoFar(st); err != nil {
		return nil, err
	}
	if err := r.agreed(st.verdict); err != nil {
		return nil, err
	}
	if err := rehearse(r.dir, r.opt); err != nil {
		return nil, err
	}
	report := &Report{Plan: &plan.Plan{At: r.opt.Now}}
	c := newCarryOut(r, st, unseen{}, report)
	c.early = true
	err = c.all()
	if _, moved := errors.AsType[*outdir.ErrForeign](err); moved {
		err = nil // the run itself plans anew
	}
	report.Plan.Steps = report.Done
	if err == nil && len(report.Done) == 0 {
		return nil, nil
	}
	return report, err
}

// asksPrograms reports whether a program is asked for what opens the files of users.
func (r *run) asksPrograms() bool {
	return r.cfg.Seal.Identity.Kind == config.FromCommand || slices.ContainsFunc(r.cfg.Users, asksPrograms)
}

func asksPrograms(u config.User) bool {
	return u.Passphrase.Kind == config.FromCommand || u.PreviousPassphrase.Kind == config.FromCommand || u.ChallengePassword.Kind == config.FromCommand
}

// takesAny reports whether anything of what is judged can and must be done early.
func takesAny(v *policy.Verdict) bool {
	return v.Clock == nil && !v.Plan.Refused() && slices.ContainsFunc(v.Tasks, takesAccess)
}

// takesAccess reports whether a task revokes something, or publishes what is revoked.
func takesAccess(t *policy.Task) bool { return len(t.Revokes) > 0 || t.Stage() == policy.Publish }

// and is the plan of a whole run, of which some was done early. The plan counts owners that
// the run covers; what shuts somebody out is done for others too.
func (before *Report) and(p *plan.Plan, covers func(plan.Owner) bool) *plan.Plan {
	if before == nil {
		return p
	}
	whole, has, counted := *p, map[plan.Owner]bool{}, map[plan.Owner]bool{}
	whole.Notes = slices.Concat(before.Plan.Notes, p.Notes)
	for _, s := range p.Steps {
		has[s.Owner] = true
	}
	whole.Steps = nil
	for _, s := range before.Done {
		if has[s.Owner] {
			continue
		}
		whole.Steps = append(whole.Steps, s)
		if s.Action != plan.Retire && !counted[s.Owner] && covers(s.Owner) { // whoever has left is no owner any more
			whole.Unchanged--
		}
		counted[s.Owner] = true // a site may have two steps
	}
	whole.Steps = append(whole.Steps, p.Steps...)
	return &whole
}

// unseen is a watcher for what is told later.
type unseen struct{}

func (unseen) Planned(*plan.Plan)  {}
func (unseen) Done([]plan.Step)    {}
func (unseen) Failed(plan.Failure) {}
