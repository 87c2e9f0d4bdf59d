package engine

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

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
	return &session{ctx: ctx, cfg: cfg, opt: opt, dir: dir, vault: newVault(ctx, cfg, opt.LookupEnv)}
}

// NewPlan says what Apply would do. It changes no byte and takes no lock.
func NewPlan(ctx context.Context, cfg *spec.Config, opt Options) (*Plan, error) {
	if err := checkOnly(cfg, opt); err != nil {
		return nil, err
	}
	dir, err := outdir.Open(cfg.Output)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	obs, err := newSession(ctx, cfg, opt, dir).observe()
	if err != nil {
		return nil, err
	}
	return judge(obs, opt).plan, ctx.Err()
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

// executor carries out a plan: it builds in memory on all cores and commits in
// batches.
type executor struct {
	s      *session
	obs    *Observed
	watch  Watcher
	report *Report

	trusted []*x509.Certificate // the current CA first
	dropped bool                // a rollover in this run leaves nobody behind
	crl     crlFacts            // what stays of the CRLs in place

	mu      sync.Mutex
	signers map[string]crypto.Signer // keys of CAs that were opened, by their identity
}

func newExecutor(s *session, obs *Observed, w Watcher, report *Report) *executor {
	return &executor{s: s, obs: obs, watch: w, report: report, trusted: obs.trust(), crl: obs.crl, signers: map[string]crypto.Signer{}}
}

// makerOf is what makes a task's artefacts; a task may have none to make.
func (e *executor) makerOf(t *task) func(*built) error {
	switch {
	case t.ca != nil:
		return e.buildCA
	case t.user != nil:
		return e.buildUser
	case t.left != nil:
		return e.buildLeft
	case t.site != nil:
		return e.buildSite
	case t.makes[kindCRL]:
		return e.buildCRL
	}
	return func(*built) error { return nil }
}

// batchSize is the number of users that are built and committed together: it
// bounds what a crash can undo and what is held in memory.
const batchSize = 256

func (e *executor) now() time.Time { return e.obs.now }

func (e *executor) serial() *big.Int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.obs.db.fresh()
}

// signer opens the key of a CA when it is needed first.
func (e *executor) signer(public string) (crypto.Signer, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if key := e.signers[public]; key != nil {
		return key, nil
	}
	ca := &e.obs.ca
	file := ca.key
	if i := slices.IndexFunc(ca.gens, func(g generation) bool { return g.public == public && g.key.name != "" }); i >= 0 {
		file = ca.gens[i].key
	}
	key, err := unlock(file, ca.pass)
	if err != nil {
		return nil, err
	}
	e.signers[public] = key
	return key, nil
}

func (e *executor) run(ctx context.Context, tasks []*task) error {
	var users, left, rest []*task
	for _, t := range tasks {
		switch {
		case t.ca != nil:
			if t.newKey && len(t.ca.gens) > 0 {
				// The old key still has a CRL to sign, and leaves its place now.
				e.dropped = t.ca.gens[len(t.ca.gens)-1].valid == 0
				if _, err := e.signer(t.ca.key.public); err != nil {
					return fmt.Errorf("%s: %w", t.step.Owner, err)
				}
			}
			b := e.build(t, true)
			if b.err != nil {
				return fmt.Errorf("%s: %w", t.step.Owner, b.err)
			}
			if err := e.commit([]*built{b}); err != nil {
				return err
			}
		case t.user != nil:
			users = append(users, t)
		case t.left != nil:
			left = append(left, t)
		default:
			rest = append(rest, t)
		}
	}
	if err := e.batches(ctx, users, batchSize); err != nil {
		return err
	}
	// Each batch of those who leave writes the whole index anew.
	if err := e.batches(ctx, left, 16*batchSize); err != nil {
		return err
	}
	// The CRL lists what the batches before have revoked, and sites what it lists.
	return e.batches(ctx, rest, 1)
}

// batches builds tasks on all cores and commits them, so many at a time. An
// interrupt ends it between two batches; what was only built is forgotten.
func (e *executor) batches(ctx context.Context, tasks []*task, size int) error {
	for part := range slices.Chunk(tasks, size) {
		done := make([]*built, len(part))
		forEach(ctx, len(part), func(i int) { done[i] = e.build(part[i], provenInFull(i, len(part))) })
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := e.commit(done); err != nil {
			return err
		}
	}
	return nil
}

// build makes what one task asks for, in memory, and proves it.
func (e *executor) build(t *task, full bool) *built {
	b := &built{task: t, full: full}
	err := e.makerOf(t)(b)
	if err == nil {
		err = b.selfCheck()
	}
	if err != nil {
		return &built{task: t, err: err}
	}
	return b
}

// commit makes what was built durable and visible, and then tells of it. An
// error stops the run: what the database has learnt in memory is not on disk.
func (e *executor) commit(done []*built) error {
	batch := e.s.dir.Begin()
	var ok []*built
	for _, b := range done {
		if b.err != nil {
			e.fail(b.task.step.Owner, b.err)
			continue
		}
		for _, cert := range b.issued {
			e.obs.db.issue(b.task.step.Owner, cert)
		}
		e.revoke(b.task)
		ok = append(ok, b)
	}
	e.obs.db.flush(batch)
	for _, b := range ok {
		for _, name := range b.before {
			batch.Remove(name)
		}
		for _, m := range b.moves {
			batch.Move(m.from, m.to, outdir.ModeSecret)
		}
		for _, p := range b.puts {
			batch.Put(p.name, p.data, p.mode)
		}
		for _, f := range b.task.fixes {
			batch.Chmod(f.name, f.mode&widest(f))
		}
		for _, name := range b.after {
			batch.Remove(name)
		}
	}
	if err := batch.Commit(); err != nil {
		return err
	}
	for _, b := range ok {
		e.report.Done = append(e.report.Done, b.task.step)
		e.watch.Done(b.task.step)
	}
	return nil
}

func (e *executor) fail(owner Owner, err error) {
	f := Failure{Owner: owner, Message: err.Error()}
	e.report.Failures = append(e.report.Failures, f)
	e.watch.Failed(f)
}
