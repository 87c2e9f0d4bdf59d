// Package policy judges: it makes a plan of what a directory holds, what the
// ledger knows and what the spec asks for. It is pure. It reads no disk, no
// clock and no secret, and no package that it imports does.
//
// A policy is one small function, which finds what disagrees, and one row in the
// table of its owner: caPolicies, userPolicies.
package policy

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/plan"
)

// Ask is what a run is asked beside its spec.
type Ask struct {
	Covers      func(plan.Owner) bool // whom the run is about; nil: everybody
	Replace     []plan.Owner          // users to rekey now, revoking what they have
	Reason      string                // of Replace: a name from RFC 5280 section 5.3.1
	Allow       int                   // how many users may be shut out, beyond what the guard allows
	Adopt       bool                  // take over files that the ledger knows nothing of
	AcceptClock bool                  // go on although the clock is behind
	Rehearsal   bool                  // nothing leaves the output directory
	Explain     plan.Owner            // of whom every answer is kept; empty: of nobody
}

// Question is everything that a judgement depends on.
type Question struct {
	Config *config.Config
	Have   *facts.Inventory
	Ledger *ledger.Ledger
	Now    time.Time
	Ask    Ask

	Handouts *ledger.Handouts // what users were given, nil where nobody asks

	Released time.Time // when the program was released: no true clock is before that

	outlook *Outlook // takes over what is found of users, nil for nobody
}

// Verdict is a plan with what it takes to carry it out.
type Verdict struct {
	Plan  *plan.Plan
	Tasks []*Task // in the order of Plan.Steps

	// Found is what the directory tells and the ledger does not: adopted
	// certificates, revocations that only a CRL lists, the number of a CRL. The
	// first batch of a run records it.
	Found []ledger.Change

	// Renamed are the users whose files and records are to be given a new name, before
	// anything else is done: the tasks are for the directory as it is then.
	Renamed []*facts.Moved

	Clock  error          // why apply must not go on, nil for no reason
	Ledger *ledger.Ledger // as it is with Found
	Trust  Trust          // of that ledger

	// Dropped: a rollover in this run leaves the CA that is current now behind: nobody
	// depends on it, or it is compromised.
	Dropped bool

	// Since is [Since] of the CRLs that are in place when the plan is done.
	Since time.Time

	// Blocked is what there would be to do if the CA could sign, and the plan were not
	// refused.
	Blocked []plan.Step

	// Answers are those of all policies that were asked of the owner to explain.
	Answers []plan.Answer

	// CannotSign are the CAs, by SPKI, that stay trusted and whose key can sign no CRL any
	// more.
	CannotSign map[string]bool
}

// Judge decides what has to be done. Every owner is judged by the ledger as it
// would be with what the directory tells beside it.
func Judge(q Question) *Verdict {
	if q.Ask.Covers == nil {
		q.Ask.Covers = func(plan.Owner) bool { return true }
	}
	f := find(q)
	v, left := judge(q, f, nil)
	if v == nil {
		v, _ = judge(q, f, left)
	}
	return v
}

// judge is [Judge], where left are the generations that are known to be left alone by this
// very plan. Where it finds some itself, it gives them and no verdict.
func judge(q Question, f *found, left map[string]bool) (*Verdict, map[string]bool) {
	j := newJudgement(q, f)
	j.trust.left, j.verdict.Trust.left = left, left
	if q.outlook != nil {
		q.outlook.users = nil
	}
	j.judgeCA()
	j.judgeOwed()
	j.judgeMoved()
	j.judgeUsers()
	j.judgeDeparted()
	j.guard()
	j.judgeInClear()
	if left == nil {
		if left = j.leftAlone(); len(left) > 0 {
			return nil, left
		}
	}
	if len(j.planned()) > 0 || j.unpublished() {
		// A revocation takes effect today, whatever --only says: one that is on no
		// CRL and in no site revokes nothing.
		j.Ask.Covers = func(plan.Owner) bool { return true }
	}
	revoked := j.judgeCRL()
	j.judgeSites(revoked)
	j.judgeDeployments(revoked)
	j.closingNotes()
	j.judgeClock()
	return j.finish(), nil
}

// unpublished reports whether a revocation is on no CRL yet, whoever has made it, or has
// not reached a proxy.
func (j *judgement) unpublished() bool {
	if slices.ContainsFunc(j.Have.Sites, func(s facts.Site) bool { return s.Owed && len(s.Copies) > 0 }) {
		return true
	}
	revoked := j.trust.Revoked(j.Ledger, j.Have.CRL, j.Now, false)
	return j.found.learnt > 0 || j.trust.pending(j.Have.CRL, revoked, j.cannotSign()) > 0
}

// judgement is a judgement under way. Its ledger, other than the question's,
// has what was found.
type judgement struct {
	Question
	found   *found
	trust   Trust
	issuer  issuer
	verdict *Verdict

	replace     map[plan.Owner]bool       // who is to be rekeyed
	compromised map[string]bool           // keys that somebody else has; they are not certified again
	leaving     map[string]string         // owners that must have no valid certificate, with the reason
	holders     map[string][]plan.Owner   // of the keys of csr users: who has one
	user        userView                  // of the user who is judged now
	late        time.Time                 // the newest notBefore of a user's certificate in place
	latest      plan.Owner                // whose it is
	respellings map[string][]plan.Owner   // new users by person, but for case, where one like that has departed
	fresh       map[plan.Owner]plan.Owner // users of whom the ledger knows nothing, by person
	persons     map[plan.Owner]bool       // whom the spec lists
	sealed      sealed                    // what is to be told of sealed passphrases
	cut         int                       // users whose certificate ends with the CA's
	shut        map[plan.Owner]bool       // users who had a valid certificate and will have none; devices each by itself
}

func newJudgement(q Question, f *found) *judgement {
	j := &judgement{Question: q, found: f, trust: f.trust, replace: map[plan.Owner]bool{}, leaving: map[string]string{}, shut: map[plan.Owner]bool{}}
	j.Ledger, j.user.needed = f.ledger, j.needed
	j.verdict = &Verdict{Plan: &plan.Plan{At: q.Now, Steps: []plan.Step{}}, Found: f.all(), Ledger: f.ledger, Trust: f.trust}
	for _, owner := range q.Ask.Replace {
		j.replace[owner] = true
	}
	for _, d := range f.departed {
		j.leaving[string(q.Have.Departed[d.index].Owner)] = d.reason
	}
	j.compromised = j.compromisedKeys()
	return j
}

// compromisedKeys are the keys of certificates that are, or with this plan will be, revoked
// because somebody else has the key.
func (j *judgement) compromisedKeys() map[string]bool {
	losing := map[string]bool{} // owners who lose what they have for that reason
	if j.Ask.Reason == ledger.KeyCompromise {
		for owner := range j.replace {
			losing[string(owner)] = true
		}
	}
	for owner, reason := range j.leaving {
		if reason == ledger.KeyCompromise {
			losing[owner] = true
		}
	}
	return j.Ledger.KeysOf(func(r *ledger.Row) bool {
		if r.State == ledger.Revoked {
			return r.Reason == ledger.KeyCompromise
		}
		return len(losing) > 0 && j.Now.Before(r.NotAfter) && slices.ContainsFunc(r.Owners(), func(o string) bool { return losing[o] })
	})
}

// add takes a task into the plan; nil stands for an owner with nothing to do.
func (j *judgement) add(t *Task) {
	v := j.verdict
	if t == nil {
		v.Plan.Unchanged++
		return
	}
	v.Tasks = append(v.Tasks, t)
	v.Plan.Steps = append(v.Plan.Steps, t.Step)
}

func (j *judgement) fail(owner plan.Owner, err error) {
	j.verdict.Plan.Failures = append(j.verdict.Plan.Failures, plan.FailureOf(owner, err))
}

func (j *judgement) note(owner plan.Owner, code plan.Code, format string, args ...any) {
	j.verdict.Plan.Notes = append(j.verdict.Plan.Notes, plan.Note{Owner: owner, Code: code, Message: fmt.Sprintf(format, args...)})
}

func (j *judgement) warn(owner plan.Owner, code plan.Code, format string, args ...any) {
	j.note(owner, code, format, args...)
	j.verdict.Plan.Notes[len(j.verdict.Plan.Notes)-1].Warning = true
}

// finish gives the verdict. A refused plan has its refusals alone: it does nothing
// else, and nobody has to import anything.
func (j *judgement) finish() *Verdict {
	v := j.verdict
	v.sort()
	if !v.Plan.Refused() {
		return v
	}
	for _, s := range v.Plan.Steps {
		if s.Action != plan.Refuse {
			v.Blocked = append(v.Blocked, s)
		}
	}
	v.Tasks = slices.DeleteFunc(v.Tasks, func(t *Task) bool { return t.Step.Action != plan.Refuse })
	v.Plan.Steps = slices.DeleteFunc(v.Plan.Steps, func(s plan.Step) bool { return s.Action != plan.Refuse })
	for i := range v.Plan.Steps {
		v.Plan.Steps[i].Reimport = false
	}
	return v
}

// sort puts tasks and steps into the order of their doing.
func (v *Verdict) sort() {
	slices.SortStableFunc(v.Tasks, func(a, b *Task) int { return cmp.Compare(a.Stage(), b.Stage()) })
	for i, t := range v.Tasks {
		v.Plan.Steps[i] = t.Step
	}
}

// planned are the rows that this plan revokes.
func (j *judgement) planned() []ledger.Row {
	var out []ledger.Row
	for _, t := range j.verdict.Tasks {
		out = append(out, t.Revokes...)
	}
	return out
}
