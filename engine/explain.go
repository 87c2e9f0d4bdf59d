package engine

import (
	"context"
	"slices"

	"mtlsplan/internal/config"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/policy"
)

// Explain says why apply would or would not touch an owner: every policy that is asked
// of it and its answer, and what happens next. It changes no byte and takes no lock,
// and reads what a plan reads.
func Explain(ctx context.Context, cfg *config.Config, opt Options, owner plan.Owner) (*plan.Explanation, error) {
	dir, err := openDir(cfg)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	if _, user := owner.UserName(); user {
		opt.Only = []plan.Owner{owner, plan.CA(cfg.CA.Name)}
	}
	r := newRun(ctx, cfg, opt, dir)
	defer r.in.Close()
	have, led, err := r.in.Take()
	if err != nil {
		return nil, err
	}
	r.settle(have)
	q := r.question(have, led, r.opt)
	q.Ask.Explain = owner
	v, o := policy.Survey(q)
	e := &plan.Explanation{Owner: owner, At: r.opt.Now, Answers: v.Answers, Next: o.Next(owner)}
	for _, s := range slices.Concat(v.Plan.Steps, v.Blocked) {
		if s.Owner == owner || s.Action == plan.Refuse {
			e.Steps = append(e.Steps, s)
		}
	}
	heard := map[string]bool{}
	for _, a := range e.Answers {
		for _, reason := range a.Reasons {
			heard[string(reason.Code)+reason.Message] = true
		}
	}
	for _, s := range e.Steps {
		for _, reason := range s.Reasons {
			if !heard[string(reason.Code)+reason.Message] { // a refusal comes before the policies
				e.Answers = append(e.Answers, plan.Answer{Code: reason.Code, Check: reason.Check, Reasons: []plan.Reason{reason}})
			}
		}
	}
	for _, f := range v.Plan.Failures {
		if f.Owner == owner {
			e.Failures = append(e.Failures, f)
		}
	}
	for _, n := range v.Plan.Notes {
		if n.Owner == owner {
			e.Notes = append(e.Notes, n)
		}
	}
	for _, s := range o.Owners(0) {
		if s.Owner == owner {
			e.Status, e.Departed = &s, s.Departed
		}
	}
	if _, user := owner.UserName(); user {
		i := slices.IndexFunc(cfg.Users, func(u config.User) bool { return plan.User(u.Name) == owner })
		e.Departed = i < 0
		e.Out = e.Departed || cfg.Users[i].Revoked != ""
	}
	if e.Out {
		e.Revocations, e.Retired = o.Revocations(owner), r.in.Retired(owner)
	}
	return e, ctx.Err()
}
