package engine

import (
	"context"
	"time"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/policy"
)

// Status says how every owner stands. It changes no byte, takes no lock and reads no
// secret: what is encrypted is taken for what it should be. A certificate that ends
// within soon counts as expiring.
func Status(ctx context.Context, cfg *config.Config, opt Options, soon time.Duration) (*plan.Status, error) {
	v, o, err := survey(ctx, cfg, opt)
	if err != nil {
		return nil, err
	}
	return statusOf(cfg, opt, v, o, soon), nil
}

func statusOf(cfg *config.Config, opt Options, v *policy.Verdict, o *policy.Outlook, soon time.Duration) *plan.Status {
	s := &plan.Status{At: opt.Now.UTC(), Owners: o.Owners(soon), Plan: v.Plan, LastGood: LastRun(cfg).EndedWell, Groups: map[plan.Owner][]string{}}
	for i := range cfg.Users {
		if u := &cfg.Users[i]; len(u.Groups) > 0 {
			s.Groups[plan.User(u.Name)] = u.Groups
		}
	}
	return s
}

// Overview says how every owner stands and what happens until a time, by one look at the
// directory. It reads as [Status] does.
func Overview(ctx context.Context, cfg *config.Config, opt Options, until time.Time) (*plan.Status, []plan.Event, error) {
	v, o, err := survey(ctx, cfg, opt)
	if err != nil {
		return nil, nil, err
	}
	return statusOf(cfg, opt, v, o, 0), o.Events(until), nil
}

// Forecast says what happens until a time, if apply runs whenever something is due. It
// reads as [Status] does.
func Forecast(ctx context.Context, cfg *config.Config, opt Options, until time.Time) ([]plan.Event, *plan.Plan, error) {
	v, o, err := survey(ctx, cfg, opt)
	if err != nil {
		return nil, nil, err
	}
	return o.Events(until), v.Plan, nil
}

// survey judges at a glance, and again where a writer beside it has moved on, as
// [NewPlan] does.
func survey(ctx context.Context, cfg *config.Config, opt Options) (*policy.Verdict, *policy.Outlook, error) {
	opt.glance = true
	for looks := 1; ; looks++ {
		v, o, moved, err := glance(ctx, cfg, opt)
		bad := err != nil || accuses(v.Plan)
		if !moved || !bad && looks >= 3 || looks >= 20 {
			return v, o, err
		}
	}
}

func glance(ctx context.Context, cfg *config.Config, opt Options) (v *policy.Verdict, o *policy.Outlook, moved bool, err error) {
	dir, err := openDir(cfg)
	if err != nil {
		return nil, nil, false, err
	}
	defer dir.Close()
	r := newRun(ctx, cfg, opt, dir)
	defer r.in.Close()
	have, led, err := r.in.Take()
	moved = dir.Moved() && ctx.Err() == nil
	if err != nil {
		return nil, nil, moved, err
	}
	v, o = r.outlook(have, led)
	return v, o, moved, ctx.Err()
}

// outlook judges what was read, beside what users were given.
func (r *run) outlook(have *facts.Inventory, led *ledger.Ledger) (*policy.Verdict, *policy.Outlook) {
	r.settle(have)
	q := r.question(have, led, r.opt)
	handouts, err := readHandouts(r.dir)
	q.Handouts = handouts
	v, o := policy.Survey(q)
	if err != nil {
		v.Plan.Notes = append(v.Plan.Notes, plan.Note{Code: plan.HandoutsDamaged, Warning: true, Message: err.Error()})
	}
	return v, o
}
