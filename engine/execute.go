package engine

import (
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"time"

	"mtlsplan/internal/outdir"
	"mtlsplan/internal/plan"
)

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

	mu      sync.Mutex               // of the database and of signers: one batch is committed while the next is built
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
	case t.mustMake(kindCRL):
		return e.buildCRL
	}
	return func(*built) error { return nil }
}

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
			b := e.build(t)
			if b.err != nil {
				return fmt.Errorf("%s: %w", t.step.Owner, b.err)
			}
			// A crash before it: no CA, or the old one alone. Behind it: the new one is
			// in place and has issued nothing, and the next plan is for the others.
			if err := e.commit([]*built{b}); err != nil {
				return err
			}
		case t.slot != nil:
			users = append(users, t)
		case t.left != nil:
			left = append(left, t)
		default:
			rest = append(rest, t)
		}
	}
	// A crash between two batches: the users before it are done, and the next
	// plan has those behind it.
	if err := e.batches(ctx, users, batchSize); err != nil {
		return err
	}
	// Each batch of those who leave writes the whole index anew.
	if err := e.batches(ctx, left, 16*batchSize); err != nil {
		return err
	}
	// The CRL lists what the batches before have revoked, and sites what it lists.
	// Each is built of what the one before has come to. A crash before them: what
	// was revoked is so in the database only, and gets in until the next run, whose
	// plan finds the CRL and the sites behind the database.
	for _, t := range rest {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := e.commit([]*built{e.build(t)}); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// build makes what one task asks for, in memory, and proves it. A failure has
// nothing of it.
func (e *executor) build(t *task) *built {
	b := &built{task: t}
	if t.slot != nil && t.slot.absent {
		t.user = absentFacts(e.s.cfg, t.slot.spec)
	}
	err := e.makerOf(t)(b)
	if err == nil {
		err = b.selfCheck()
	}
	if err != nil {
		return &built{task: t, err: err}
	}
	if b.then != nil {
		b.then()
	}
	if !b.known {
		e.s.opened.keep(b.opened)
	}
	return b
}

// commit makes what was built durable and visible, and then tells of it. An
// error stops the run: what the database has learnt in memory is not on disk.
func (e *executor) commit(done []*built) error {
	batch := e.s.dir.Begin()
	for _, b := range done {
		if b.err != nil {
			e.fail(b.task.step.Owner, b.err)
		}
	}
	ok := e.record(done, batch)
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
	// Until here all is in memory, and in staged files that nobody reads. A crash
	// within: none of the batch, or all of it once the next run has its lock.
	if err := batch.Commit(); err != nil {
		return err
	}
	// A crash from here on: it is done and durable, and nobody was told.
	e.obs.db.settle()
	if len(ok) == 0 {
		return nil
	}
	steps := make([]Step, len(ok))
	for i, b := range ok {
		steps[i] = b.task.step
		if b.task.slot != nil { // its facts are no longer so, and of 100,000 users they fill the memory
			b.task.slot.full = nil
		}
	}
	e.report.Done = append(e.report.Done, steps...)
	e.watch.Done(steps)
	return nil
}

// record takes what was built into the database, whose changes come first in
// the batch, and returns what did not fail. The next batch is being built
// meanwhile, and asks the database for serials.
func (e *executor) record(done []*built, batch *outdir.Batch) (ok []*built) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, b := range done {
		if b.err != nil {
			continue
		}
		for _, cert := range b.issued {
			e.obs.db.issue(b.task.step.Owner, cert)
		}
		e.revoke(b.task)
		ok = append(ok, b)
	}
	e.obs.db.flush(batch)
	return ok
}

func (e *executor) fail(owner Owner, err error) {
	f := plan.FailureOf(owner, err)
	e.report.Failures = append(e.report.Failures, f)
	e.watch.Failed(f)
}
