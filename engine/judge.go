package engine

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"mtlsplan/internal/cadb"
	"mtlsplan/internal/plan"
)

// backdate is how far notBefore, thisUpdate and a revocation date lie before
// now: a proxy whose clock is behind would refuse everybody otherwise.
const backdate = 5 * time.Minute

// finding is one disagreement and what follows from it.
type finding struct {
	Reason
	action  Action
	makes   []string    // kinds of artefact to make again
	fixes   []fileFacts // whose mode is to be narrowed
	removes []fileFacts
	revokes []cadb.Row
}

// policy is one question that is asked of an owner. Policies are pure: they
// read no clock and no disk, and all of them are asked, so that a plan shows
// every reason.
type policy[V any] struct {
	code Code
	ask  func(V) []finding
}

func ask[V any](view V, policies []policy[V]) []finding {
	var out []finding
	for _, p := range policies {
		for _, f := range p.ask(view) {
			f.Code = p.code
			out = append(out, f)
		}
	}
	return out
}

// task is a step with what it takes to carry it out.
type task struct {
	step    Step
	newKey  bool
	newCert bool
	makes   []string // kinds
	fixes   []fileFacts
	removes []fileFacts
	revokes []cadb.Row
	reason  string // of the revocations, by its RFC 5280 name

	ca   *caFacts
	user *userFacts
	slot *slot // the user's, nil for other owners
	left *leftFacts
	site *siteFacts
	cert *certFacts // the certificate that stays, nil for none
}

// mustMake reports whether an artefact is to be made.
func (t *task) mustMake(kind string) bool { return slices.Contains(t.makes, kind) }

// certificate is the one that stays, nil for none.
func (t *task) certificate() *x509.Certificate {
	if t.cert == nil {
		return nil
	}
	return t.cert.full
}

// newTask makes a task of findings: the strongest action, all reasons, first of
// all those for which it is refused.
func newTask(owner Owner, findings []finding) *task {
	if len(findings) == 0 {
		return nil
	}
	slices.SortStableFunc(findings, func(a, b finding) int {
		return cmp.Or(boolInt(b.action == Refuse)-boolInt(a.action == Refuse), plan.Strength(a.Code)-plan.Strength(b.Code))
	})
	t := &task{step: Step{Owner: owner}}
	for _, f := range findings {
		t.step.Reasons = append(t.step.Reasons, f.Reason)
		if slices.Index(Actions, f.action) > slices.Index(Actions, t.step.Action) {
			t.step.Action = f.action
		}
		t.newKey = t.newKey || f.action == Create || f.action == Rekey
		t.newCert = t.newCert || t.newKey || f.action == Reissue
		t.makes = append(slices.Clip(t.makes), f.makes...)
		t.fixes = append(t.fixes, f.fixes...)
		t.removes = append(t.removes, f.removes...)
		t.revokes = append(t.revokes, f.revokes...)
	}
	t.step.Artefacts = append(make([]string, 0, len(t.makes)+len(t.fixes)+len(t.removes)), t.makes...)
	for _, file := range slices.Concat(t.fixes, t.removes) {
		t.step.Artefacts = append(t.step.Artefacts, file.kind)
	}
	t.step.Artefacts = sortKinds(t.step.Artefacts)
	t.step.Generated = t.mustMake(kindPass)
	return t
}

// verdict is a plan with its tasks, in the same order as its steps.
type verdict struct {
	plan   *Plan
	tasks  []*task
	clock  error     // why apply must not go on, nil for no reason
	late   time.Time // the newest notBefore of a user's certificate in place
	latest Owner     // whose it is
	closer []int     // users of whom a memo does not tell enough; the rest is not final then
	cut    int       // users whose certificate ends with the CA
}

func (v *verdict) add(t *task) {
	if t == nil {
		v.plan.Unchanged++
		return
	}
	v.tasks = append(v.tasks, t)
	v.plan.Steps = append(v.plan.Steps, t.step)
}

func (v *verdict) fail(owner Owner, err error) {
	v.plan.Failures = append(v.plan.Failures, plan.FailureOf(owner, err))
}

func (v *verdict) note(owner Owner, warning bool, code Code, format string, args ...any) {
	v.plan.Notes = append(v.plan.Notes, Note{Owner: owner, Code: code, Warning: warning, Message: fmt.Sprintf(format, args...)})
}

// judge decides what has to be done. It is a pure function of what was
// observed and asked.
func judge(obs *Observed, opt Options) *verdict {
	v := &verdict{plan: &Plan{At: obs.now, Steps: []Step{}}}
	covers := opt.covers

	ca := judgeCA(v, obs, covers)
	for i := range obs.users {
		n := len(v.tasks)
		if u := obs.user(i); !judgeUser(v, obs, ca, u, opt) {
			v.closer = append(v.closer, i)
		}
		if len(v.tasks) > n {
			v.tasks[n].slot = &obs.users[i]
			if obs.users[i].absent {
				v.tasks[n].user = nil // until it is built
			}
		}
	}
	for i := range obs.left {
		if covers(obs.left[i].owner) {
			judgeLeft(v, obs, &obs.left[i])
		}
	}
	guard(v, obs, opt)
	if len(planned(v)) > 0 {
		// Whoever is shut out is shut out today, whatever --only says: a
		// revocation that is on no CRL and in no site revokes nothing.
		covers = func(Owner) bool { return true }
	}
	listed := judgeCRL(v, obs, ca, covers)
	for i := range obs.sites {
		if covers(obs.sites[i].owner) {
			judgeSite(v, obs, ca, &obs.sites[i], listed)
		}
	}
	if v.plan.Refused() {
		// Nobody is waiting for what will not be done.
		for i := range v.plan.Steps {
			v.plan.Steps[i].Reimport = false
		}
	}
	for _, u := range obs.cfg.Users {
		for _, i := range obs.db.byOwner[userOwner(u.Name)] {
			if r := obs.db.rows[i]; u.Revoked != "" && r.State == cadb.Revoked && r.Reason != "" && r.Reason != u.Revoked && r.Reason != superseded && obs.now.Before(r.NotAfter) {
				v.note(userOwner(u.Name), false, plan.ReasonKept, "was revoked for %s; a reason is not changed afterwards", r.Reason)
			}
		}
	}
	for _, name := range obs.ca.odd {
		v.note("", false, plan.CacheUnusable, "%s is no file of its own (a directory, a link, a file with a second name): it is neither read nor written, so runs take longer; remove it", name)
	}
	for _, name := range obs.orphans {
		v.note("", true, plan.Orphaned, "%s was written by mtlsplan, and the spec has no such site any more: a proxy that still reads it does not hear of revocations; remove it", name)
	}
	if v.cut > 0 {
		v.note(ca.owner, true, plan.CutToCA, "certificates of %s are cut to the CA's end, %s: renew the CA before then (its renew_before decides when)",
			plural(v.cut, "user"), day(ca.notAfter))
	}
	if behind := clockBehind(v, obs); behind != nil && !opt.AcceptClock {
		v.clock = behind
		v.note("", true, plan.ClockBehind, "%v; apply goes no further than that", behind)
	}
	return v
}

// clockBehind says that now lies before what the directory records as its own
// past: what would be issued would have ended, or not begun, elsewhere.
func clockBehind(v *verdict, obs *Observed) error {
	late, what := newestPast(v, obs)
	if !ahead(obs.now, late) {
		return nil
	}
	return plan.Errorf(plan.ClockBehind, "the clock says %s, but %s is of %s: set the clock right, or say --accept-clock after a mishap", day(obs.now), what, day(late))
}

// newestPast is the newest date that the directory records as its own past.
func newestPast(v *verdict, obs *Observed) (late time.Time, what string) {
	see := func(t time.Time, name string) {
		if t.After(late) {
			late, what = t, name
		}
	}
	if c := obs.ca.crt.cert; c != nil {
		see(c.notBefore, "the CA certificate")
	}
	if v.late.After(late) {
		see(v.late, "the certificate of "+string(v.latest))
	}
	for i := range obs.db.rows {
		see(obs.db.rows[i].Revoked, "a revocation")
	}
	for _, list := range obs.crl.lists {
		see(list.ThisUpdate, "the CRL")
	}
	return late, what
}

// guard refuses a plan that would shut out more users than one run may. It
// counts those who were active before and would have no valid certificate.
func guard(v *verdict, obs *Observed, opt Options) {
	leaving := 0
	for _, t := range v.tasks {
		if t.left != nil && len(t.left.rows) > 0 {
			leaving++
		}
	}
	if leaving == 0 {
		return
	}
	active := obs.active()
	limit := max(1, active/10)
	if m := obs.cfg.Guard.MaxRevocations; m != nil {
		limit = *m
	}
	if leaving <= max(limit, opt.Allow) {
		return
	}
	v.add(newTask(caOwner(obs.cfg), []finding{{
		Reason: Reason{
			Code: Removed,
			Message: fmt.Sprintf("this would leave %s of %d active without a valid certificate, and one run may do that to %d: look at the spec; if it is right, say --allow-revocations %d",
				plural(leaving, "user"), active, limit, leaving),
			Field: "guard.max_revocations", Have: fmt.Sprint(leaving), Want: fmt.Sprint(limit),
		},
		action: Refuse,
	}}))
}

// active counts the users with a valid certificate.
func (obs *Observed) active() int {
	n := 0
	for owner, rows := range obs.db.byOwner {
		if isUser(owner) && slices.ContainsFunc(rows, func(i int32) bool {
			r := &obs.db.rows[i]
			return r.State != cadb.Revoked && obs.now.Before(r.NotAfter)
		}) {
			n++
		}
	}
	return n
}

func isUser(o Owner) bool { return len(o) > 5 && o[:5] == "user." }
