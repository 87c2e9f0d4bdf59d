package verify

import (
	"fmt"
	"slices"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/plan"
)

// judged takes over what the policies have found: every step that apply would do is a
// check that fails, unless only time has made it due.
func (p *proof) judged() {
	v := p.Verdict
	for _, s := range v.Plan.Steps {
		p.anyDue = p.anyDue || slices.ContainsFunc(s.Reasons, due)
	}
	for i := range v.Plan.Steps {
		p.step(&v.Plan.Steps[i], "")
	}
	when := " once the CA can sign"
	if v.Plan.Refused() {
		when = refused
		p.unjudged[p.Have.CA.Owner], p.unjudged[plan.CRL(p.Config.CA.Name)] = true, true
	}
	blocked := map[plan.Owner]bool{}
	for i := range v.Blocked {
		blocked[v.Blocked[i].Owner] = true
		p.step(&v.Blocked[i], when)
	}
	silent := map[plan.Owner]bool{} // users whose secret is elsewhere and cannot be had
	for i := range p.Have.Users.Len() {
		u, spec := p.Have.Users.User(i), &p.Config.Users[p.Have.Users.Spec(i)]
		p.unjudged[u.Owner] = p.unjudged[u.Owner] || u.Key.Missing && u.Asked == nil
		silent[u.Owner] = elsewhere(&u.Passphrase, &u.Key, spec.Passphrase) || u.ChallengeErr != nil
	}
	ca := &p.Have.CA
	p.closed(ca.Owner, &ca.Passphrase)
	for i := range p.Have.Users.Len() {
		u := p.Have.Users.User(i)
		p.closed(u.Owner, &u.Passphrase)
	}
	if v.Clock != nil {
		p.add(plan.Check{Owner: ca.Owner, Check: plan.DatabaseWhole, Code: plan.ClockBehind, Message: v.Clock.Error()})
	}
	silent[ca.Owner] = elsewhere(&ca.Passphrase, &ca.Key, p.Config.CA.Passphrase)
	caFails := ca.Passphrase.Closed != nil
	for _, f := range v.Plan.Failures {
		caFails = caFails || f.Owner == ca.Owner
	}
	for _, f := range v.Plan.Failures {
		switch {
		case f.Code == plan.CAUnavailable && blocked[f.Owner]:
			continue // its reasons are said
		case f.Code == plan.CRLUnavailable && caFails:
			continue // the CRL in place is judged all the same
		case f.Code == plan.CRLUnavailable: // of the key of an earlier generation
			p.fail(ca.Owner, plan.KeyOpens, f.Code, "%s", f.Message)
			continue
		}
		p.unjudged[f.Owner] = true
		p.add(plan.Check{Owner: f.Owner, Check: p.checkOfFailure(f), Code: f.Code, Message: f.Message,
			Unproven: f.Code == plan.PassphraseUnavailable && silent[f.Owner]})
	}
}

// closed leaves open what only a passphrase proves that is sealed and not opened here.
func (p *proof) closed(owner plan.Owner, pass *facts.Passphrase) {
	if pass.Closed == nil {
		return
	}
	p.add(plan.Check{Owner: owner, Check: plan.KeyOpens, Code: plan.PassphraseUnavailable, Unproven: true,
		Message: fmt.Sprintf("%v: what it opens is not proven; run verify where the identity is", pass.Closed)})
	for _, check := range []plan.CheckName{plan.KeyMatches, plan.P12Opens, plan.P12Matches} {
		p.failed[id(owner, check)] = true
	}
}

// elsewhere reports whether a passphrase cannot be had from where the spec says, and
// nothing of the directory is to blame. A generated one is a file of the directory.
func elsewhere(p *facts.Passphrase, k *facts.Key, source config.Source) bool {
	sealed := p.Closed != nil || p.Err != nil && p.Unusable && p.Kind == plan.KindSealed
	return sealed || p.Err != nil && source.Kind != config.Generated || k.Opening == facts.OpensNeither && p.PreviousErr != nil
}

// due are the reasons that nothing but time has given: nothing is wrong.
func due(r plan.Reason) bool { return r.Code == plan.Expiring || r.Code == plan.OverlapOver }

// follows reports whether a reason of a CRL or a site may only follow from what is due: it
// will have to tell of what is not there yet. Whether a revocation that is there has
// reached them, the proofs find.
func (p *proof) follows(s *plan.Step, r plan.Reason) bool {
	return p.anyDue && !ledger.IsUser(string(s.Owner)) && s.Owner != p.Have.CA.Owner &&
		(r.Code == plan.Upstream || r.Code == plan.Revoked && r.Check == plan.CRLEntries)
}

// refused stands for the time at which a plan is no longer refused. What there is to do
// then may be another thing.
const refused = "refused"

func (p *proof) step(s *plan.Step, when string) {
	// Of files that are not there no more can be said.
	p.absent[s.Owner] = p.absent[s.Owner] || s.Action == plan.Create
	for _, r := range s.Reasons {
		if due(r) || p.follows(s, r) {
			continue
		}
		check := r.Check
		if check == "" {
			check = p.checkOf(s.Owner, r.Code)
		}
		p.add(plan.Check{Owner: s.Owner, Check: check, Code: r.Code, Message: r.Message + remedy(s, when)})
	}
}

// remedy is what apply would do about a reason; the message of a refusal has its own.
func remedy(s *plan.Step, when string) string {
	switch {
	case s.Action == plan.Refuse:
		return ""
	case when == refused:
		return "; the plan is refused, so see to that first"
	case s.Action == plan.Rekey && ledger.IsUser(string(s.Owner)):
		return ": mtlsplan apply makes a new key" + when + ", and the user must import a new .p12"
	case s.Action == plan.Create || s.Action == plan.Rekey:
		return ": mtlsplan apply makes what is missing" + when
	case s.Action == plan.Revoke || s.Action == plan.Retire:
		return ": mtlsplan apply sees to it" + when
	}
	return ": mtlsplan apply mends it" + when
}

// checkOf is the check of a reason that no row of a policy has found.
func (p *proof) checkOf(owner plan.Owner, code plan.Code) plan.CheckName {
	ca := p.Have.CA.Owner
	switch {
	case code == plan.Missing:
		return plan.FilesPresent
	case ledger.IsUser(string(owner)) && (code == plan.Removed || code == plan.Revoked):
		return plan.DepartedGone
	case ledger.IsUser(string(owner)), owner == ca && code == plan.Unrecorded:
		return plan.CertificateRecorded
	case owner == ca && code == plan.Unreadable:
		return plan.KeyOpens
	case owner == ca && code == plan.KeyMismatch:
		return plan.KeyMatches
	case owner == ca && code == plan.KeyChanged:
		return plan.CertificateAsSpecified
	case owner == ca && code == plan.Revoked: // of a compromised generation
		return plan.CertificateValid
	case owner == ca:
		return plan.DatabaseWhole
	case owner == plan.CRL(p.Config.CA.Name):
		return plan.CRLSigned
	}
	return plan.SiteCurrent
}

func (p *proof) checkOfFailure(f plan.Failure) plan.CheckName {
	user := ledger.IsUser(string(f.Owner))
	switch f.Code {
	case plan.FileError:
		return plan.FilesPresent
	case plan.DatabaseInconsistent:
		return plan.DatabaseWhole
	case plan.CSRInvalid, plan.KeyReused, plan.KeyCompromised:
		return plan.CSRMatches
	}
	switch {
	case user || f.Owner == p.Have.CA.Owner:
		return plan.KeyOpens
	case f.Owner == plan.CRL(p.Config.CA.Name):
		return plan.CRLCurrent
	}
	return plan.SiteCurrent
}
