package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"mtlsplan/internal/outdir"
	"mtlsplan/spec"
)

// session is one run over one output directory.
type session struct {
	ctx    context.Context
	cfg    *spec.Config
	opt    Options
	dir    *outdir.Dir
	vault  *vault
	opened openings
}

func newSession(ctx context.Context, cfg *spec.Config, opt Options, dir *outdir.Dir) *session {
	opt.Now = opt.Now.UTC()
	if opt.Parallel < 1 {
		opt.Parallel = runtime.GOMAXPROCS(0)
	}
	return &session{ctx: ctx, cfg: cfg, opt: opt, dir: dir, vault: newVault(ctx, cfg, opt.LookupEnv)}
}

// NewPlan says what Apply would do. It changes no byte and takes no lock.
func NewPlan(ctx context.Context, cfg *spec.Config, opt Options) (*Plan, error) {
	if err := checkOnly(cfg, opt); err != nil {
		return nil, err
	}
	for looks := 1; ; looks++ {
		plan, moved, err := look(ctx, cfg, opt)
		accuses := err != nil || plan.accuses()
		if !moved || !accuses && looks >= 3 || looks >= 20 {
			return plan, err
		}
	}
}

// look makes a plan. Where a writer beside it has moved on meanwhile, the plan
// may compare files and records of two moments: then it is worth another look,
// above all when it accuses somebody.
func look(ctx context.Context, cfg *spec.Config, opt Options) (plan *Plan, moved bool, err error) {
	dir, err := outdir.Open(cfg.Output)
	if err != nil {
		return nil, false, err
	}
	defer dir.Close()
	obs, err := newSession(ctx, cfg, opt, dir).observe()
	if err != nil {
		return nil, dir.Moved() && ctx.Err() == nil, err
	}
	return judge(obs, opt).plan, dir.Moved() && ctx.Err() == nil, ctx.Err()
}

// accuses reports whether a plan says that something is wrong with what is
// there, and not only that time or the spec has moved on.
func (p *Plan) accuses() bool {
	return p.Refused() || len(p.Failures) > 0 || slices.ContainsFunc(p.Steps, func(s Step) bool {
		return slices.ContainsFunc(s.Reasons, func(r Reason) bool {
			return slices.Contains([]Code{Damaged, Missing, KeyMismatch, IssuerChanged, Mode}, r.Code)
		})
	})
}

// checkOnly refuses owners that neither the spec nor the database knows: a
// typing error would otherwise be a plan with nothing to do.
func checkOnly(cfg *spec.Config, opt Options) error {
	known := map[Owner]bool{}
	for _, owner := range Owners(cfg) {
		known[owner] = true
	}
	var gone []Owner
	for _, owner := range opt.Only {
		if !known[owner] {
			gone = append(gone, owner)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	dir, err := outdir.Open(cfg.Output)
	if err != nil {
		return err
	}
	defer dir.Close()
	db, err := readDatabase(dir)
	if err != nil {
		return err
	}
	for _, owner := range gone {
		if len(db.byOwner[owner]) == 0 {
			return &UnknownOwnerError{Owner: owner}
		}
	}
	return nil
}

// Apply makes the directory match the spec. An error means that the run
// stopped; what was finished before is in place and safe. A failed owner is
// no error: it is in the report.
func Apply(ctx context.Context, cfg *spec.Config, opt Options, w Watcher) (*Report, error) {
	if err := checkOnly(cfg, opt); err != nil {
		return nil, err
	}
	// What an interrupted run had committed is finished in here. A crash: the next
	// run does so.
	dir, err := outdir.Lock(ctx, cfg.Output, holder(opt.Command), opt.LockTimeout)
	var locked *outdir.ErrLocked
	if errors.As(err, &locked) {
		return nil, &LockedError{Dir: cfg.Output, Holder: locked.Holder}
	}
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	s := newSession(ctx, cfg, opt, dir)
	obs, err := s.observe()
	if err != nil {
		return nil, err
	}
	v := judge(obs, opt)
	report := &Report{Plan: v.plan, Failures: v.plan.Failures}
	if v.clock != nil {
		return nil, v.clock
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w.Planned(v.plan)
	if v.plan.Refused() || v.plan.Empty() {
		return report, nil
	}
	e := newExecutor(s, obs, w, report)
	if err := e.run(ctx, v.tasks); err != nil {
		return report, err
	}
	// A crash from here on costs the check and the report only.
	return report, s.recheck(report)
}

func holder(command string) string {
	host, _ := os.Hostname()
	return fmt.Sprintf("pid %d on %s, mtlsplan %s", os.Getpid(), host, command)
}

// recheck makes the plan again, of what is on disk now. It must be empty but
// for the owners that failed.
func (s *session) recheck(report *Report) error {
	obs, err := s.observe()
	if err != nil {
		return err
	}
	opt := s.opt
	opt.Replace = nil
	failed := map[Owner]bool{}
	for _, f := range report.Failures {
		failed[f.Owner] = true
	}
	var left []string
	v := judge(obs, opt)
	for _, step := range v.plan.Steps {
		if !failed[step.Owner] {
			left = append(left, fmt.Sprintf("%s: %s, because %s", step.Owner, step.Action, step.Reasons[0].Message))
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("the run has finished, but the directory does not match the spec yet: %s: run apply again, and report this", strings.Join(left, "; "))
	}
	return nil
}
