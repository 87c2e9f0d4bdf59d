package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/inventory"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/outdir"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/policy"
)

// run is one run over one output directory.
type run struct {
	ctx context.Context
	cfg *config.Config
	opt Options
	dir *outdir.Dir
	in  *inventory.Reader
}

// stock is the input of a run: inventory, ledger and verdict.
type stock struct {
	have    *facts.Inventory
	ledger  *ledger.Ledger
	verdict *policy.Verdict
}

func newRun(ctx context.Context, cfg *config.Config, opt Options, dir *outdir.Dir) *run {
	opt.Now = opt.Now.UTC()
	if opt.Parallel < 1 {
		opt.Parallel = runtime.GOMAXPROCS(0)
	}
	if opt.traced = opt.Trace != nil; !opt.traced {
		opt.Trace = func(string, string) func() { return func() {} }
	}
	return &run{ctx: ctx, cfg: cfg, opt: opt, dir: dir, in: inventory.New(ctx, dir, inventory.Options{
		Config: cfg, Now: opt.Now, Covers: opt.covers, Adopt: opt.Adopt, Thorough: opt.thorough, Prove: opt.prove, Blind: opt.blind, Glance: opt.glance, Granted: opt.NoSecrets, Parallel: opt.Parallel,
		LookupEnv: opt.LookupEnv, Reading: opt.Reading, Trace: opt.Trace,
	})}
}

// takeStock reads what lies there and judges it.
func (r *run) takeStock() (stock, error) {
	have, led, err := r.in.Take()
	if err != nil {
		return stock{}, err
	}
	r.settle(have)
	return r.judge(have, led, r.opt), nil
}

// takeStockAgain is takeStock after this run or another program has changed something.
func (r *run) takeStockAgain() (stock, error) {
	r.dir.Reread()
	have, led, err := r.in.Again(r.opt.covers, nil, true)
	if err != nil {
		return stock{}, err
	}
	r.settle(have)
	return r.judge(have, led, r.opt), nil
}

// openDir opens an output directory for reading.
func openDir(cfg *config.Config) (*outdir.Dir, error) {
	return outdir.Open(cfg.Output, ledger.Shared(), options(cfg)...)
}

func (r *run) judge(have *facts.Inventory, led *ledger.Ledger, opt Options) stock {
	ended := r.opt.Trace("judge", "all owners")
	v := policy.Judge(r.question(have, led, opt))
	ended()
	if r.opt.traced {
		for _, s := range v.Plan.Steps {
			var codes []string
			for _, reason := range s.Reasons {
				codes = append(codes, string(reason.Code))
			}
			r.opt.Trace("policy", fmt.Sprintf("%s of %s: %s", strings.Join(codes, ", "), s.Owner, s.Action))()
		}
	}
	return stock{have, led, v}
}

func (r *run) question(have *facts.Inventory, led *ledger.Ledger, opt Options) policy.Question {
	return policy.Question{
		Config: r.cfg, Have: have, Ledger: led, Now: opt.Now,
		Released: opt.Released,
		Ask:      policy.Ask{Covers: opt.covers, Replace: opt.Replace, Reason: opt.Reason, Allow: opt.Allow, Adopt: opt.Adopt, AcceptClock: opt.AcceptClock, Rehearsal: opt.Rehearsal},
	}
}

// NewPlan says what Apply would do. It changes no byte and takes no lock.
func NewPlan(ctx context.Context, cfg *config.Config, opt Options) (*plan.Plan, error) {
	return newPlan(ctx, cfg, opt, nil)
}

// PlanToSave is NewPlan, with what the plan was made from.
func PlanToSave(ctx context.Context, cfg *config.Config, opt Options) (*plan.Plan, *plan.Basis, error) {
	basis := &plan.Basis{}
	p, err := newPlan(ctx, cfg, opt, basis)
	return p, basis, err
}

// newPlan is NewPlan. A basis, if there is one, is filled.
func newPlan(ctx context.Context, cfg *config.Config, opt Options, basis *plan.Basis) (*plan.Plan, error) {
	if err := checkOnly(ctx, cfg, opt); err != nil {
		return nil, err
	}
	opt.glance = opt.glance || opt.NoSecrets
	for looks := 1; ; looks++ {
		p, moved, err := look(ctx, cfg, opt, basis)
		bad := err != nil || accuses(p)
		if !moved || !bad && looks >= 3 || looks >= 20 {
			return p, err
		}
	}
}

// look makes a plan. Where a writer beside it has moved on meanwhile, the plan
// may compare files and records of two moments: then it is worth another look,
// above all when it accuses somebody.
func look(ctx context.Context, cfg *config.Config, opt Options, basis *plan.Basis) (p *plan.Plan, moved bool, err error) {
	dir, err := openDir(cfg)
	if err != nil {
		return nil, false, err
	}
	defer dir.Close()
	if _, err := checkRehearsal(dir, opt); err != nil {
		return nil, false, err
	}
	r := newRun(ctx, cfg, opt, dir)
	defer r.in.Close()
	st, err := r.takeStock()
	if err == nil && basis != nil {
		*basis, err = r.basis(st)
	}
	moved = dir.Moved() && ctx.Err() == nil
	if err != nil {
		return nil, moved, err
	}
	return st.verdict.Plan, moved, ctx.Err()
}

// accuses reports whether a plan says that something is wrong with what is
// there, and not only that time or the spec has moved on.
func accuses(p *plan.Plan) bool {
	return p.Refused() || len(p.Failures) > 0 || slices.ContainsFunc(p.Steps, func(s plan.Step) bool {
		return slices.ContainsFunc(s.Reasons, func(r plan.Reason) bool {
			return slices.Contains([]plan.Code{plan.Damaged, plan.Missing, plan.KeyMismatch, plan.IssuerChanged, plan.Mode}, r.Code)
		})
	})
}

// checkOnly refuses owners that neither the spec nor the ledger knows: a typing
// error would otherwise be a plan with nothing to do.
func checkOnly(ctx context.Context, cfg *config.Config, opt Options) error {
	if len(opt.Only) == 0 {
		return nil
	}
	known := Owners(cfg)
	fits := func(pattern plan.Owner) bool {
		return slices.ContainsFunc(known, func(o plan.Owner) bool { return o.Fits(pattern) })
	}
	gone := slices.DeleteFunc(slices.Clone(opt.Only), fits)
	if len(gone) == 0 {
		return nil
	}
	dir, err := openDir(cfg)
	if err != nil {
		return err
	}
	defer dir.Close()
	r := newRun(ctx, cfg, opt, dir)
	defer r.in.Close()
	led, err := r.in.Ledger()
	if err != nil {
		return err
	}
	known = nil
	for _, owner := range led.Owners() {
		if ledger.IsUser(owner) {
			known = append(known, plan.Owner(owner))
		}
	}
	for _, pattern := range gone {
		if !fits(pattern) {
			return &UnknownOwnerError{Owner: pattern}
		}
	}
	return nil
}

// Apply makes the directory match the spec. An error means that the run
// stopped; what was finished before is in place and safe. A failed owner is
// no error: it is in the report.
func Apply(ctx context.Context, cfg *config.Config, opt Options, w Watcher) (*Report, error) {
	if err := checkOnly(ctx, cfg, opt); err != nil {
		return nil, err
	}
	if err := refuseEarly(cfg, opt); err != nil {
		return nil, err
	}
	// This finishes what an interrupted run had committed. A crash: the next run
	// does so.
	dir, err := lock(ctx, cfg, opt)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	r := newRun(ctx, cfg, opt, dir)
	defer r.in.Close()
	if err := r.narrowCheckout(); err != nil {
		return nil, err
	}
	report, err := r.apply(w)
	_, asks := errors.AsType[*UnagreedError](err)
	if begun := report != nil || ctx.Err() != nil || asks; err != nil && begun {
		// A file that was opened need not be opened again. A run that could not begin
		// leaves no trace.
		r.in.KeepOpened()
	}
	if report != nil {
		// Last of all: the time of the lock file is the clock that the cache goes by.
		r.remember(report, err)
	}
	return report, err
}

// plansAgain is how often a run plans again because another program has changed the CA
// database.
const plansAgain = 3

func (r *run) apply(w Watcher) (*Report, error) {
	var before *Report
	var st stock
	var err error
	early := r.asksPrograms()
	if !early {
		st, err = r.takeStock()
		early = err == nil && len(st.verdict.Renamed) > 0 && takesAny(st.verdict)
	}
	if early {
		if before, err = r.revokeEarly(); err == nil {
			st, err = r.takeStockAgain()
		}
	}
	if err == nil {
		err = cmp.Or(st.verdict.Clock, r.ctx.Err())
	}
	if err != nil {
		if before != nil {
			w.Planned(before.Plan)
			w.Done(before.Done)
		}
		return before, err
	}
	p := st.verdict.Plan
	if err := r.isAsSaved(st, before); err != nil {
		return before, err
	}
	if before == nil { // else it was agreed, and is done
		if err := r.agreed(st.verdict); err != nil {
			return nil, err
		}
	}
	report := &Report{Plan: before.and(p, r.opt.covers), Failures: p.Failures}
	w.Planned(report.Plan)
	if before != nil {
		report.Done = before.Done
		w.Done(before.Done)
	}
	if p.Refused() {
		return report, nil
	}
	if err := rehearse(r.dir, r.opt); err != nil {
		return nil, err
	}
	for again := 0; !st.verdict.Plan.Empty(); again++ {
		next, err := r.rename(st, w, report)
		if err == nil {
			st = next
			err = r.carryOut(st, w, report)
		}
		foreign, moved := errors.AsType[*outdir.ErrForeign](err)
		switch {
		case err == nil:
			r.in.Keep()
			return report, nil
		case !moved:
			return report, err
		case r.opt.Saved != nil:
			return report, r.savedOvertaken(foreign, report)
		case again == plansAgain:
			return report, fmt.Errorf("%s/%w for the %dth time during this run: run again when it has ended", r.cfg.Output, foreign, again+1)
		}
		if st, err = r.planAgain(foreign, w, report); err != nil {
			return report, err
		}
	}
	r.in.Keep()
	return report, nil
}

// agreed refuses a plan that revokes what somebody has without agreement. Certificates
// that are superseded and whose overlap is over are nobody's loss.
func (r *run) agreed(v *policy.Verdict) error {
	if r.opt.Agreed == nil || v.Plan.Refused() {
		return nil
	}
	var e UnagreedError
	for _, t := range v.Tasks {
		if len(t.Revokes) == 0 || r.opt.Agreed(t.Step.Owner) || !slices.ContainsFunc(t.Step.Reasons, func(r plan.Reason) bool {
			return r.Code == plan.Removed || r.Code == plan.Revoked || r.Code == plan.ReplaceAsked
		}) {
			continue
		}
		e.Steps = append(e.Steps, t.Step)
		for i := range t.Revokes {
			for _, owner := range t.Revokes[i].Owners() {
				e.Users = append(e.Users, plan.Owner(owner))
			}
		}
	}
	if len(e.Steps) == 0 {
		return nil
	}
	slices.Sort(e.Users)
	e.Users = slices.Compact(e.Users)
	return &e
}

// carryOut carries out a plan and checks what has come of it. The error is an
// [outdir.ErrForeign] where another program has changed the CA database meanwhile.
func (r *run) carryOut(st stock, w Watcher, report *Report) error {
	c := newCarryOut(r, st, w, report)
	if err := c.all(); err != nil {
		return err
	}
	// A crash from here on costs the check and the report only.
	err := r.recheck(c)
	name := r.dir.Foreign()
	if left, ok := errors.AsType[*unfinishedError](err); ok && name == "" && left.foreign {
		name = outdir.DB
	}
	if err != nil && name != "" {
		return &outdir.ErrForeign{Name: name}
	}
	return err
}

// planAgain makes the plan of what is left to do after another program has changed the
// CA database. Nobody is replaced twice.
func (r *run) planAgain(foreign error, w Watcher, report *Report) (stock, error) {
	done := map[plan.Owner]bool{}
	for _, step := range report.Done {
		done[step.Owner] = true
	}
	r.opt.Replace = slices.DeleteFunc(slices.Clone(r.opt.Replace), func(owner plan.Owner) bool { return done[owner] })
	st, err := r.takeStockAgain()
	if err != nil {
		return stock{}, err
	}
	p := st.verdict.Plan
	if p.Refused() {
		return stock{}, fmt.Errorf("%s/%w, and the plan as it is now is refused: see what mtlsplan plan says", r.cfg.Output, foreign)
	}
	report.Failures = p.Failures // who failed before is judged again, and tried again
	// A site may have two steps, one of them its deployment.
	key := func(s plan.Step) string { return fmt.Sprint(s.Owner, slices.Contains(s.Artefacts, plan.KindDeploy)) }
	all, had := *report.Plan, map[string]bool{}
	for _, step := range all.Steps {
		had[key(step)] = true
	}
	all.Steps = slices.Clip(all.Steps)
	for _, step := range p.Steps {
		if !had[key(step)] {
			all.Steps = append(all.Steps, step)
		}
	}
	report.Plan = &all
	w.Planned(p)
	return st, r.ctx.Err()
}

// lock takes the lock of the output directory, in which this run may work.
func lock(ctx context.Context, cfg *config.Config, opt Options) (*outdir.Dir, error) {
	dir, err := outdir.Lock(ctx, cfg.Output, holder(opt.Command), opt.LockTimeout, ledger.Shared(), options(cfg)...)
	if locked, ok := errors.AsType[*outdir.ErrLocked](err); ok {
		return nil, &LockedError{Dir: cfg.Output, Holder: locked.Holder}
	}
	if err != nil {
		return nil, err
	}
	if _, err := checkRehearsal(dir, opt); err != nil {
		dir.Close()
		return nil, err
	}
	return dir, nil
}

func holder(command string) string {
	host, _ := os.Hostname()
	return fmt.Sprintf("pid %d on %s, mtlsplan %s", os.Getpid(), host, command)
}
