package engine

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"mtlsplan/internal/authority"
	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/outdir"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/policy"
)

// carryOut carries out a plan: it builds in memory on all cores and commits in
// batches.
type carryOut struct {
	*run
	stock
	watch  Watcher
	report *Report
	early  bool // only what takes access away is done
	firsts firsts

	trusted []*x509.Certificate // the current CA first
	crl     facts.CRL           // what stays of the CRLs in place
	since   time.Time           // [policy.Since] of the CRLs in place

	deployments []*deployment

	commits  sync.Mutex // one batch at a time
	owed     ledger.Owed
	restate  bool                  // the file does not say what is owed, and the next batch has it do so
	sealed   *ledger.Sealed        // to whom passphrases are sealed, as on the disk
	recorded map[*policy.Task]bool // whose revocations are recorded; written before anything is built

	mu     sync.Mutex // of what follows: one batch is committed while the next is built
	writer *ledger.Writer
	keys   map[string]*authority.KeyFile // of CAs, by SPKI
}

func newCarryOut(r *run, st stock, w Watcher, report *Report) *carryOut {
	c := &carryOut{run: r, stock: st, watch: w, report: report,
		trusted: st.verdict.Trust.Certificates(), crl: st.have.CRL, since: policy.Since(st.have.CRL),
		writer: ledger.NewWriter(st.ledger), keys: map[string]*authority.KeyFile{}, sealed: r.in.Sealed().Clone(), recorded: map[*policy.Task]bool{}}
	// In memory; the first batch makes it durable.
	c.writer.Record(st.verdict.Found...)
	c.owed.Requests = stillOwed(st.have)
	c.restate = len(c.owed.Requests) < len(st.have.Owed)
	c.oweDeployments()
	return c
}

// all does every task of the plan.
func (c *carryOut) all() error {
	err := c.inStages()
	if err == nil || c.ctx.Err() != nil {
		err = cmp.Or(err, c.saveSealed())
	}
	return err
}

// inStages does the tasks, revocations first: an interrupt, a full disk or a time limit
// leaves somebody without a new certificate, and nobody in who should be out.
func (c *carryOut) inStages() error {
	var stages [policy.Follow + 1][]*policy.Task
	for _, t := range c.verdict.Tasks {
		stages[t.Stage()] = append(stages[t.Stage()], t)
	}
	var failed error // of the CA: nothing is issued, and whoever should be out is out
	for _, t := range stages[policy.First] {
		err := c.ca(t)
		if _, ofCA := errors.AsType[*caError](err); err != nil && !ofCA {
			return err
		}
		if failed = err; err != nil { // the CA stays as it is, with all that it has revoked
			v := *c.verdict
			v.Dropped, c.verdict = false, &v
		}
	}
	// A crash behind it: the certificates are revoked in the ledger, and get in until
	// the CRL and the sites say so; the next plan finds both behind the ledger, and the
	// files of departed users still there.
	if err := c.revoke(slices.Concat(stages[policy.Take], stages[policy.Give])); err != nil {
		return err
	}
	// The CRL lists what is revoked, and sites what it lists. Each is built of what the
	// one before has come to.
	for _, t := range stages[policy.Publish] {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		if err := c.do(t); err != nil {
			return err
		}
	}
	// A crash before it: the copies differ from what is in the directory, or the
	// deployment is owed.
	if err := c.deploy(); err != nil {
		return err
	}
	// Moving thousands of files may take its time, and lets nobody in.
	if err := c.batches(c.settled(stages[policy.Take]), 16*batchSize); err != nil || failed != nil {
		return cmp.Or(err, failed)
	}
	if c.early {
		return nil
	}
	// A crash between two batches: the users before it are done, and the next
	// plan has those behind it.
	given := c.batches(stages[policy.Give], batchSize)
	if given != nil && c.ctx.Err() == nil {
		return given
	}
	// After an interrupt, too: whoever has a new certificate is let in by it. A crash
	// before it: the next plan finds the sites behind the ledger.
	for _, t := range stages[policy.Follow] {
		if err := c.do(t); err != nil {
			return err
		}
	}
	if err := c.publishAgain(stages[policy.Publish]); err != nil {
		return err
	}
	if err := cmp.Or(given, c.ctx.Err()); err != nil {
		return err
	}
	return c.deployAgain()
}

// settled are tasks of users who have their names. What is done early is done before
// users are renamed, and files and records of the others get the new names first.
func (c *carryOut) settled(tasks []*policy.Task) []*policy.Task {
	renamed := make(map[plan.Owner]bool, len(c.verdict.Renamed))
	for _, m := range c.verdict.Renamed {
		renamed[m.To] = true
	}
	return slices.DeleteFunc(tasks, func(t *policy.Task) bool { return renamed[t.Step.Owner] })
}

// revoke takes from users what they lose, before anything is made for anybody. One
// of whom the authority cannot be told is told of with the rest of the task.
//
// A user who is replaced loses the files too: a run that is interrupted now must not
// leave the old passphrase to the next one.
func (c *carryOut) revoke(tasks []*policy.Task) error {
	var gone []string
	for _, t := range tasks {
		if len(t.Revokes) == 0 || c.tell(t) != nil {
			continue
		}
		c.recorded[t] = true
		c.writer.Record(c.revocations(t)...)
		if t.Part == policy.OfUser && t.NewPass {
			path := c.pathsOf(c.user(t))
			var files []string
			for _, kind := range slices.Concat(facts.P12Kinds, []plan.Kind{plan.KindCrt, plan.KindKey, plan.KindPass, plan.KindSealed}) {
				files = append(files, path(kind).String())
			}
			if c.heldAny(files) == nil { // else the task fails, and says why
				gone = append(gone, files...)
			}
		}
	}
	if len(c.recorded) == 0 {
		return nil
	}
	c.commits.Lock()
	defer c.commits.Unlock()
	batch := c.dir.Begin()
	c.record(nil, batch)
	for _, name := range gone {
		batch.Remove(name)
	}
	c.noteSealed(batch, nil, gone)
	if err := batch.Commit(); err != nil {
		return err
	}
	c.writer.Settle()
	return nil
}

// revocations are those that a task asks for.
func (c *carryOut) revocations(t *policy.Task) []ledger.Change {
	when := c.opt.Now.Add(-pki.Backdate).Truncate(time.Second).UTC()
	out := make([]ledger.Change, 0, len(t.Revokes))
	for i := range t.Revokes {
		out = append(out, ledger.Revoke{Serial: t.Revokes[i].Serial, When: when, Reason: t.Revokes[i].Reason})
	}
	return out
}

// ca does the CA's task, on which all others depend. A CA that is compromised loses
// its certificates in the same batch.
func (c *carryOut) ca(t *policy.Task) error {
	if now := c.verdict.Trust.Current(); t.NewKey && now != nil && !c.verdict.Dropped && !c.verdict.CannotSign[now.SPKI] {
		// The old key still has a CRL to sign, and leaves its place now.
		if err := c.authority(now.Cert).Ready(c.ctx); err != nil {
			return &caError{t.Step.Owner, err}
		}
	}
	r := c.build(&result{task: t})
	if r.err != nil {
		return &caError{t.Step.Owner, r.err}
	}
	// A crash before it: no CA, or the old one alone. Behind it: the new one is
	// in place and has issued nothing, and the next plan is for the others.
	return c.commit([]*result{r})
}

// caError says why the CA's task cannot be done; nothing of it is.
type caError struct {
	owner plan.Owner
	err   error
}

func (e *caError) Error() string { return string(e.owner) + ": " + e.err.Error() }
func (e *caError) Unwrap() error { return e.err }

// do does a task by itself.
func (c *carryOut) do(t *policy.Task) error { return c.commit([]*result{c.build(&result{task: t})}) }

// make is what makes a task's artefacts; a task may have none to make.
func (c *carryOut) make(r *result) error {
	switch t := r.task; {
	case t.Part == policy.OfCA:
		return c.makeCA(r)
	case t.Part == policy.OfUser:
		return c.makeUser(r)
	case t.Part == policy.OfDeparted:
		r.retire(c.retiredName)
	case t.Part == policy.OfSite && (t.MustMake(plan.KindSite) || t.MustMake(plan.KindDB)):
		return c.makeSite(r)
	case t.MustMake(plan.KindCRL):
		return c.makeCRL(r)
	}
	return nil
}

// build makes what a task asks for, in memory, and proves it. A failure has nothing
// of it.
func (c *carryOut) build(r *result) *result {
	t := r.task
	defer c.opt.Trace("make", string(t.Step.Owner))()
	err := c.make(r)
	if err == nil {
		err = r.check()
	}
	if err == nil {
		err = c.held(r)
	}
	if err == nil && !c.recorded[t] {
		err = c.tell(t)
	}
	if err != nil {
		if c.recorded[t] {
			err = fmt.Errorf("%w; what the plan revokes of the user is revoked all the same", err)
		}
		return &result{task: t, err: err}
	}
	if r.then != nil {
		r.then()
	}
	return r
}

// held says why a file of a result cannot be changed. Found before a batch, that is its
// owner's trouble and nobody else's; within, it would stop the run, and the revocations of
// all others.
func (c *carryOut) held(r *result) error {
	err := c.heldAny(r.names())
	for _, f := range r.task.Fixes {
		err = cmp.Or(err, c.dir.Fixed(f.Name()))
	}
	switch t := r.task; {
	case err == nil:
	case t.Part == policy.OfCRL || t.Part == policy.OfSite:
		err = fmt.Errorf("%w; until then whoever goes by the file that is there lets in who was revoked since", err)
	case t.NewPass && c.recorded[t]:
		err = fmt.Errorf("%w with the same --replace, since the passphrase is still the old one", err)
	}
	return err
}

func (c *carryOut) heldAny(names []string) error {
	for _, name := range names {
		if err := c.dir.Held(name); err != nil {
			return err
		}
	}
	return nil
}

// commit makes results durable and visible, and then tells of them. An error
// stops the run: what the ledger has learnt in memory is not on disk.
func (c *carryOut) commit(done []*result) error {
	c.commits.Lock()
	defer c.commits.Unlock()
	batch := c.dir.Begin()
	ok := c.record(done, batch)
	c.paid(ok, batch)
	c.noteAllSealed(batch, ok)
	for _, r := range ok {
		for _, name := range r.before {
			batch.Remove(name)
		}
		for _, m := range r.moves {
			batch.Move(m.from, m.to, outdir.ModeSecret)
		}
		for _, p := range r.puts {
			batch.Put(p.name, p.data, p.mode)
		}
		for _, f := range r.task.Fixes {
			batch.Chmod(f.Name(), f.Mode&f.Widest())
		}
		for _, name := range r.after {
			batch.Remove(name)
		}
	}
	ended := c.opt.Trace("put into place", c.placed(ok))
	// Until here all is in memory. A crash within: none of the batch, or all of it once
	// the next run has its lock.
	err := batch.Commit()
	ended()
	if err != nil {
		return err
	}
	// A crash from here on: it is done and durable, and nobody was told.
	c.writer.Settle()
	for _, r := range done {
		if r.err != nil {
			c.fail(plan.FailureOf(r.task.Step.Owner, r.err))
		}
	}
	if len(ok) == 0 {
		return nil
	}
	var steps []plan.Step
	for _, r := range ok {
		if !r.again {
			steps = append(steps, r.task.Step)
		}
	}
	c.done(steps...)
	return nil
}

// placed names the files of results that are put into place, if anybody hears of it.
func (c *carryOut) placed(ok []*result) string {
	if !c.opt.traced {
		return ""
	}
	names := []string{"the CA database"}
	for _, r := range ok {
		for _, p := range r.puts {
			names = append(names, p.name)
		}
	}
	return strings.Join(names, " ")
}

func (c *carryOut) done(steps ...plan.Step) {
	if len(steps) > 0 {
		c.report.Done = append(c.report.Done, steps...)
		c.watch.Done(steps)
	}
}

// record takes results into the ledger, whose changes come first in the batch,
// and returns what did not fail. The next batch is being built meanwhile, and
// asks the writer for serials.
func (c *carryOut) record(done []*result, batch *outdir.Batch) (ok []*result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range done {
		if r.err != nil {
			continue
		}
		for _, cert := range r.issued {
			c.writer.Record(ledger.Issue{Owner: string(r.task.Step.Owner), Cert: cert})
		}
		if !c.recorded[r.task] {
			c.writer.Record(c.revocations(r.task)...)
		}
		c.writer.Record(r.changes...)
		ok = append(ok, r)
	}
	c.writer.Flush(batch)
	return ok
}

func (c *carryOut) fail(f plan.Failure) {
	c.report.Failures = append(c.report.Failures, f)
	c.watch.Failed(f)
}

// user is what the spec says of a task's user.
func (c *carryOut) user(t *policy.Task) *config.User {
	return &c.cfg.Users[c.have.Users.Spec(t.Index)]
}

// retiredName is a free name in db/retired: a user may depart more than once.
func (c *carryOut) retiredName(name string) string {
	return c.freeName(path.Join(facts.RetiredDir, path.Base(name)))
}

// freeName is a name that nothing has yet.
func (c *carryOut) freeName(base string) string {
	to := base
	for n := 1; ; n++ {
		if _, exists := c.dir.FileMode(to); !exists {
			return to
		}
		to = fmt.Sprintf("%s.%d", base, n)
	}
}
