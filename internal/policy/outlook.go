package policy

import (
	"cmp"
	"slices"
	"time"

	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
)

// Outlook is what a judgement tells of the present and of the time after it: how
// owners stand, and what happens if apply runs whenever something is due. Dates come
// from the certificates and CRLs in place; what follows a renewal comes from the spec.
type Outlook struct {
	Question
	verdict *Verdict
	failed  map[plan.Owner]bool
	steps   map[plan.Owner]*plan.Step
	users   []userOutlook // in the order of the inventory
	ca      []lease       // the certificates of the CA that issues, the one in place or planned first
}

// lease is the time of a certificate of the CA: who is issued one between at and the
// next lease ends with it, at the latest.
type lease struct{ at, end time.Time }

// userOutlook is what is known of a user who was judged.
type userOutlook struct {
	spec  int // place in the users of the spec
	owner plan.Owner
	key   pki.KeyType
	there bool       // there is a certificate: the row is set
	row   ledger.Row // of the certificate that counts
	begin time.Time  // of it
	sum   ledger.Sum // of it
	older []superseded
	step  *plan.Step // that issues, nil for none
	given bool       // what is issued has to be given to the user: a .p12, or the certificate for the user's own key
}

// superseded is an earlier certificate of a user that is still valid.
type superseded struct {
	serial string
	end    time.Time // when it ends, or is revoked
	over   bool      // it is revoked
}

// Survey judges, and looks ahead.
func Survey(q Question) (*Verdict, *Outlook) {
	o := &Outlook{}
	q.outlook = o
	o.verdict = Judge(q)
	o.Question = q
	o.Ledger = o.verdict.Ledger // with what was found
	p := o.verdict.Plan
	o.failed, o.steps = map[plan.Owner]bool{}, map[plan.Owner]*plan.Step{}
	for _, f := range p.Failures {
		o.failed[f.Owner] = true
	}
	for i := range p.Steps {
		o.steps[p.Steps[i].Owner] = &p.Steps[i]
	}
	for i := range o.users {
		if s := o.steps[o.users[i].owner]; s != nil && s.NotAfter != nil {
			o.users[i].step = s
		}
	}
	o.ca = o.leases()
	return o.verdict, o
}

// see takes over what a judgement has found of a user.
func (o *Outlook) see(j *judgement, i int) {
	v := &j.user
	u := userOutlook{spec: j.Have.Users.Spec(i), owner: v.Owner, key: v.Key.Type, given: len(v.P12) > 0 || v.spec.CSR != ""}
	cert := v.cert
	if cert == nil && v.Crt.Cert != nil && v.issued.Holds(v.Crt.Cert.Sum) {
		cert = v.Crt.Cert // what was found before is no reason not to show it
	}
	if cert != nil {
		if r := j.Ledger.Row(cert.Serial); r != nil {
			u.there, u.row, u.begin, u.sum = true, *r, cert.NotBefore, cert.Sum
		}
		if cert.X509 != nil {
			u.key = pki.KeyTypeOf(cert.X509.PublicKey)
		}
	}
	for _, r := range v.known {
		if u.there && r.Serial != u.row.Serial {
			s := superseded{serial: r.Serial, end: r.NotAfter}
			if over := v.overlapEnd(); over != nil && over.Before(r.NotAfter) && !v.needed(r) {
				s.end, s.over = *over, true
			}
			u.older = append(u.older, s)
		}
	}
	o.users = append(o.users, u)
}

// overlapEnd is when the certificates before the one that counts are revoked, nil for
// never.
func (v *userView) overlapEnd() *time.Time {
	if v.spec.Overlap == nil || v.cert == nil {
		return nil
	}
	// notBefore lies pki.Backdate before the renewal.
	return new(v.cert.NotBefore.Add(pki.Backdate + *v.spec.Overlap))
}

// caOwner is the owner of the CA.
func (o *Outlook) caOwner() plan.Owner { return o.Have.CA.Owner }

// idle reports whether apply does nothing for an owner, whatever is due.
func (o *Outlook) idle(owner plan.Owner) bool { return o.verdict.Plan.Refused() || o.failed[owner] }

// leases are the certificates of the CA: the one that issues now, and those that
// follow it until no user can hold one any more.
func (o *Outlook) leases() []lease {
	var list []lease
	ca := &o.Config.CA
	current := o.verdict.Trust.Current()
	s := o.steps[o.caOwner()]
	switch {
	case s != nil && s.NotAfter != nil && !o.verdict.Plan.Refused():
		list = append(list, lease{o.Now, *s.NotAfter})
	case current != nil:
		list = append(list, lease{current.Cert.NotBefore, current.Cert.NotAfter})
	default:
		return nil
	}
	if o.idle(o.caOwner()) || o.verdict.Trust.Signed() { // another CA renews what it has signed
		return list
	}
	const century = 100 * 365 * 24 * time.Hour
	for {
		last := list[len(list)-1]
		at := later(o.Now, last.end.Add(-ca.RenewBefore))
		end := uncut(at, ca.Validity)
		if at.After(o.Now.Add(century)) || at.After(last.end) || !end.After(last.end) {
			return list
		}
		list = append(list, lease{at, end})
	}
}

// farAhead is a time before which everything happens at least once.
func (o *Outlook) farAhead() time.Time { return o.Now.Add(1 << 62) }

// issueAt is when a certificate can be issued that outlasts end, at the earliest at a
// time, and when that would end; ok is false for never.
func (o *Outlook) issueAt(at, end time.Time, validity time.Duration) (when, notAfter time.Time, ok bool) {
	if o.idle(o.caOwner()) {
		return time.Time{}, time.Time{}, false
	}
	after, _ := slices.BinarySearchFunc(o.ca, at, func(l lease, at time.Time) int { return cmp.Or(l.at.Compare(at), -1) })
	for _, l := range o.ca[max(0, after-1):] { // the one that issues at that time, and those that follow
		when := later(at, l.at)
		if notAfter := endOf(when, validity, l.end); notAfter.After(end) && !when.After(l.end) {
			return when, notAfter, true
		}
	}
	return time.Time{}, time.Time{}, false
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Events are all events from now until a time, in their order.
func (o *Outlook) Events(until time.Time) []plan.Event {
	var out []plan.Event
	var revocations []time.Time
	last := o.neededByNobody()
	for i := range o.users {
		u := &o.users[i]
		o.userEvents(u, until, last, func(e plan.Event) bool {
			out = append(out, e)
			if e.Event == plan.EventOverlapOver {
				revocations = append(revocations, e.At)
			}
			return true
		})
	}
	for i := range o.Have.Departed {
		owner := o.Have.Departed[i].Owner
		if e := o.revocation(owner); e != nil {
			out = append(out, *e)
		} else if o.idle(owner) {
			for _, r := range o.Ledger.Valid(string(owner), o.Now) {
				out = append(out, plan.Event{At: r.NotAfter, Owner: owner, Event: plan.EventExpiry})
			}
		}
	}
	for _, e := range o.caEvents(until, last) {
		if out = append(out, e); e.Event == plan.EventOverlapOver {
			revocations = append(revocations, e.At) // its CRL leaves with it
		}
	}
	out = append(out, o.crlEvents(until, revocations)...)
	out = slices.DeleteFunc(out, func(e plan.Event) bool { return e.At.After(until) })
	slices.SortStableFunc(out, func(a, b plan.Event) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Owner, b.Owner))
	})
	return out
}

// rank is the place of an event among those of one moment.
func rank(e plan.Event) int {
	return slices.IndexFunc(plan.Events(), func(w plan.Word) bool { return w.Name == e.Event })
}

// Revocations are the certificates of an owner that are revoked, by time. index.txt has no
// word for every reason; the CRL has.
func (o *Outlook) Revocations(owner plan.Owner) []plan.RevokedCertificate {
	var out []plan.RevokedCertificate
	onCRL := o.verdict.Trust.reasonsOn(o.Have.CRL)
	for _, r := range o.Ledger.RowsOf(string(owner)) {
		if r.State == ledger.Revoked {
			out = append(out, plan.RevokedCertificate{Serial: r.Serial, At: r.Revoked.UTC(), Reason: cmp.Or(r.Reason, onCRL[r.Serial], "unspecified")})
		}
	}
	slices.SortStableFunc(out, func(a, b plan.RevokedCertificate) int { return a.At.Compare(b.At) })
	return out
}

// Next are the events of an owner as far as its next renewal: the first of each kind
// of the CA and its CRL.
func (o *Outlook) Next(owner plan.Owner) []plan.Event {
	var out []plan.Event
	far := o.Now.Add(o.Config.CA.CRLValidity * 2)
	switch owner {
	case o.caOwner():
		out = o.caEvents(o.farAhead(), o.needed())
	case plan.CRL(o.Config.CA.Name):
		out = o.crlEvents(far, o.overlaps(far))
	default:
		if i := slices.IndexFunc(o.users, func(u userOutlook) bool { return u.owner == owner }); i >= 0 {
			out = o.nextOfUser(&o.users[i])
			break
		}
		if _, isUser := owner.UserName(); !isUser {
			break
		}
		if e := o.revocation(owner); e != nil {
			out = append(out, *e)
		}
		// Of a user who is out: until then the CRL and the sites refuse what is revoked.
		for _, r := range o.Ledger.RowsOf(string(owner)) {
			if o.Now.Before(r.NotAfter) {
				out = append(out, plan.Event{At: r.NotAfter, Owner: owner, Event: plan.EventExpiry})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b plan.Event) int { return a.At.Compare(b.At) })
	if _, user := owner.UserName(); user {
		return out
	}
	seen := map[string]bool{}
	return slices.DeleteFunc(out, func(e plan.Event) bool {
		again := seen[e.Event] || e.Event == plan.EventExpiry && seen[plan.EventReissue]
		seen[e.Event] = true
		return again
	})
}
