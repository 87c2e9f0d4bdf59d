package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"

	"mtlsplan/internal/outdir"
	"mtlsplan/spec"
)

// session is one run over one output directory.
type session struct {
	ctx     context.Context
	cfg     *spec.Config
	opt     Options
	dir     *outdir.Dir
	vault   *vault
	opened  openings
	cache   *cache
	digests digests
	stats   *outdir.Stats // nil where nothing can be known by them
	clock   int64         // of the directory, of before anything was read; 0 for a reader
	db      *database

	// thorough: every file is read, whatever the cache knows of it.
	thorough bool
}

func newSession(ctx context.Context, cfg *spec.Config, opt Options, dir *outdir.Dir) *session {
	opt.Now = opt.Now.UTC()
	if opt.Parallel < 1 {
		opt.Parallel = runtime.GOMAXPROCS(0)
	}
	s := &session{ctx: ctx, cfg: cfg, opt: opt, dir: dir, vault: newVault(ctx, cfg, opt.LookupEnv), digests: digests{dir: dir}}
	s.stats, _ = dir.Stats()
	s.cache = openCache(dir, s.stats)
	if dir.Writable() {
		s.clock, _ = dir.Started()
	}
	return s
}

func (s *session) close() {
	if s.stats != nil {
		s.stats.Close()
	}
}

func (s *session) observer() *observer {
	return &observer{dir: s.dir, cfg: s.cfg, vault: s.vault, opened: &s.opened, cache: s.cache, digests: &s.digests, stats: s.stats, clock: s.clock}
}

// judge decides, and looks closer where that is not possible yet.
func (s *session) judge(obs *Observed) (*Observed, *verdict, error) {
	for {
		v := judge(obs, s.opt)
		if len(v.closer) == 0 {
			return obs, v, nil
		}
		var err error
		if obs, err = s.lookCloser(obs, v.closer); err != nil {
			return nil, nil, err
		}
	}
}

// NewPlan says what Apply would do. It changes no byte and takes no lock.
func NewPlan(ctx context.Context, cfg *spec.Config, opt Options) (*Plan, error) {
	if err := checkOnly(cfg, opt); err != nil {
		return nil, err
	}
	for looks := 1; ; looks++ {
		plan, moved, err := look(ctx, cfg, opt)
		accuses := err != nil || accuses(plan)
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
	s := newSession(ctx, cfg, opt, dir)
	defer s.close()
	obs, err := s.observe()
	if err != nil {
		return nil, dir.Moved() && ctx.Err() == nil, err
	}
	_, v, err := s.judge(obs)
	if err != nil {
		return nil, dir.Moved() && ctx.Err() == nil, err
	}
	return v.plan, dir.Moved() && ctx.Err() == nil, ctx.Err()
}

// accuses reports whether a plan says that something is wrong with what is
// there, and not only that time or the spec has moved on.
func accuses(p *Plan) bool {
	return p.Refused() || len(p.Failures) > 0 || slices.ContainsFunc(p.Steps, func(s Step) bool {
		return slices.ContainsFunc(s.Reasons, func(r Reason) bool {
			return slices.Contains([]Code{Damaged, Missing, KeyMismatch, IssuerChanged, Mode}, r.Code)
		})
	})
}

// checkOnly refuses owners that neither the spec nor the database knows: a
// typing error would otherwise be a plan with nothing to do.
func checkOnly(cfg *spec.Config, opt Options) error {
	if len(opt.Only) == 0 {
		return nil
	}
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
	db, err := readDatabase(dir, &cache{}, nil)
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
	defer s.close()
	report, err := s.apply(w)
	if begun := report != nil || ctx.Err() != nil; err != nil && begun && s.stats != nil {
		// What was opened need not be opened again. A run that could not begin leaves
		// no trace.
		s.digests.keep(cfg, s.stats)
	}
	return report, err
}

func (s *session) apply(w Watcher) (*Report, error) {
	obs, err := s.observe()
	if err != nil {
		return nil, err
	}
	obs, v, err := s.judge(obs)
	if err != nil {
		return nil, err
	}
	report := &Report{Plan: v.plan, Failures: v.plan.Failures}
	if v.clock != nil {
		return nil, v.clock
	}
	if err := s.ctx.Err(); err != nil {
		return nil, err
	}
	w.Planned(v.plan)
	if v.plan.Refused() {
		return report, nil
	}
	if v.plan.Empty() {
		s.keep(obs, nil)
		return report, nil
	}
	e := newExecutor(s, obs, w, report)
	if err := e.run(s.ctx, v.tasks); err != nil {
		return report, err
	}
	// A crash from here on costs the check and the report only.
	after, err := s.recheck(obs, report)
	if err != nil {
		return report, err
	}
	s.keep(obs, after)
	return report, nil
}

func holder(command string) string {
	host, _ := os.Hostname()
	return fmt.Sprintf("pid %d on %s, mtlsplan %s", os.Getpid(), host, command)
}
