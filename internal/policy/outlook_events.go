package policy

import (
	"slices"
	"time"

	"mtlsplan/internal/ledger"
	"mtlsplan/internal/plan"
)

// revocation is when a user who must have no certificate loses it: in the next run. Nil for
// nothing to lose, or where apply does nothing.
func (o *Outlook) revocation(owner plan.Owner) *plan.Event {
	if s := o.steps[owner]; s != nil && s.Action == plan.Retire && s.Revokes > 0 {
		return &plan.Event{At: o.Now.UTC(), Owner: owner, Event: plan.EventRevocation, Action: s.Action}
	}
	return nil
}

// userEvents gives a user's events until a time, or until emit says that it is
// enough. In last it keeps until when a generation of the CA is needed for them.
func (o *Outlook) userEvents(u *userOutlook, until time.Time, last map[string]time.Time, emit func(plan.Event) bool) {
	spec := &o.Config.Users[u.spec]
	need := func(s superseded) {
		end := s.end
		if s.over {
			end = end.Add(time.Second) // a CA leaves in the run after the one that revokes its last certificate
		}
		if at, past := last[o.verdict.Trust.issuers[s.serial]]; past {
			last[o.verdict.Trust.issuers[s.serial]] = later(at, end)
		}
	}
	event := func(at time.Time, what string, action plan.Action) bool {
		return at.After(until) || emit(plan.Event{At: later(o.Now, at).UTC(), Owner: u.owner, Event: what, Action: action, CSR: spec.CSR != ""})
	}
	gone := func(s superseded) bool {
		if s.over {
			return event(s.end, plan.EventOverlapOver, plan.Revoke)
		}
		return event(s.end, plan.EventExpiry, "")
	}
	action := plan.Rekey
	if spec.CSR != "" || spec.ReuseKey {
		action = plan.Reissue
	}
	older := u.older
	if u.step != nil {
		older = nil
		for _, s := range u.step.Superseded {
			older = append(older, superseded{s.Serial, s.ValidUntil, s.Overlap})
		}
	}
	for _, s := range older {
		need(s)
	}
	end := u.row.NotAfter
	var at time.Time
	switch {
	case o.idle(u.owner):
		for _, s := range u.older {
			if !event(s.end, plan.EventExpiry, "") {
				return
			}
		}
		if u.there && u.row.State != ledger.Revoked && o.Now.Before(end) {
			need(superseded{u.row.Serial, end, false})
			event(end, plan.EventExpiry, "")
		}
		return
	case u.step != nil:
		if !event(o.Now, plan.EventRenewal, u.step.Action) || u.given && !event(o.Now, plan.EventImport, "") {
			return
		}
		at, end = o.Now, *u.step.NotAfter
	case !u.there || u.row.State == ledger.Revoked:
		return // nothing is there, and nothing can be made
	}
	for _, s := range older {
		if !gone(s) {
			return
		}
	}
	serial := u.row.Serial
	if u.step != nil {
		serial = ""
	}
	for !at.After(until) {
		due := later(at, later(o.Now, spec.Due(end)))
		when, next, ok := o.issueAt(due, end, spec.Validity)
		if !ok {
			need(superseded{serial, end, false})
			event(end, plan.EventExpiry, "")
			return
		}
		s := superseded{serial: serial, end: end}
		if spec.Overlap != nil && when.Add(*spec.Overlap).Before(end) {
			s.end, s.over = when.Add(*spec.Overlap), true
		}
		need(s)
		if when.After(end) && !event(end, plan.EventExpiry, "") || when.After(until) {
			return
		}
		if !event(when, plan.EventRenewal, action) || u.given && !event(when, plan.EventImport, "") {
			return
		}
		if end.After(when) && !gone(s) {
			return
		}
		at, end, serial = when, next, ""
	}
}

// caEvents are the reissues of the CA until a time, its end where there is none, and
// when earlier generations leave; last is when nobody needs them any more.
func (o *Outlook) caEvents(until time.Time, last map[string]time.Time) []plan.Event {
	var out []plan.Event
	owner := o.caOwner()
	if s := o.steps[owner]; s != nil && s.NotAfter != nil && !o.idle(owner) {
		out = append(out, plan.Event{At: o.Now, Owner: owner, Event: plan.EventReissue, Action: s.Action})
	}
	for i, l := range o.ca {
		if i > 0 && !l.at.After(until) {
			out = append(out, plan.Event{At: l.at.UTC(), Owner: owner, Event: plan.EventReissue, Action: plan.Reissue})
		}
	}
	if n := len(o.ca); n > 0 && !o.ca[n-1].end.Before(o.Now) {
		out = append(out, plan.Event{At: o.ca[n-1].end.UTC(), Owner: owner, Event: plan.EventExpiry})
	}
	for _, g := range o.verdict.Trust.Past() {
		if !o.idle(owner) {
			out = append(out, plan.Event{At: last[g.SPKI].UTC(), Owner: owner, Event: plan.EventOverlapOver, Action: plan.Retire})
		}
	}
	return out
}

// crlEvents are when the CRL is signed anew: before it ends, and when a certificate is
// revoked.
func (o *Outlook) crlEvents(until time.Time, revocations []time.Time) []plan.Event {
	owner, ca := plan.CRL(o.Config.CA.Name), &o.Config.CA
	var out []plan.Event
	end, there := o.crlEnd()
	switch s := o.steps[owner]; {
	case o.idle(owner) || o.failed[o.caOwner()]:
		if there && !end.Before(o.Now) {
			out = append(out, plan.Event{At: end.UTC(), Owner: owner, Event: plan.EventExpiry})
		}
		return out
	case s != nil && s.NotAfter != nil:
		out = append(out, plan.Event{At: o.Now, Owner: owner, Event: plan.EventCRL, Action: s.Action})
		end = *s.NotAfter
	case !there:
		return nil
	}
	slices.SortFunc(revocations, time.Time.Compare)
	for {
		at := later(o.Now, end.Add(-ca.CRLRenewBefore))
		for len(revocations) > 0 && !revocations[0].After(o.Now) {
			revocations = revocations[1:] // the step has them
		}
		if len(revocations) > 0 && revocations[0].Before(at) {
			at = revocations[0]
		}
		if at.After(until) {
			return out
		}
		for len(revocations) > 0 && !revocations[0].After(at) {
			revocations = revocations[1:]
		}
		out = append(out, plan.Event{At: at.UTC(), Owner: owner, Event: plan.EventCRL, Action: plan.Reissue})
		end = at.Add(ca.CRLValidity).Truncate(time.Second)
	}
}

// crlEnd is when the first of the CRLs in place ends that have to be there; there is
// false where one of them is missing.
func (o *Outlook) crlEnd() (end time.Time, there bool) {
	crl := &o.Have.CRL
	for _, g := range o.verdict.Trust.Signing() {
		list := crl.Lists[g.SPKI]
		if list == nil {
			return time.Time{}, false
		}
		if end.IsZero() || list.NextUpdate.Before(end) {
			end = list.NextUpdate
		}
	}
	return end, !crl.Missing && !crl.Damaged && !end.IsZero()
}
