package policy

import (
	"cmp"
	"slices"
	"time"

	"mtlsplan/internal/config"
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
	p12   bool
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
	u := userOutlook{spec: j.Have.Users.Spec(i), owner: v.Owner, key: v.Key.Type, p12: len(v.P12) > 0}
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
	if o.idle(o.caOwner()) {
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
	for i, l := range o.ca {
		if i+1 < len(o.ca) && !o.ca[i+1].at.After(at) {
			continue // another has followed by then
		}
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
	last := map[string]time.Time{} // when nobody needs a generation any more, by SPKI
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
		if rows := o.Ledger.Valid(string(owner), o.Now); o.idle(owner) {
			for _, r := range rows {
				out = append(out, plan.Event{At: r.NotAfter, Owner: owner, Event: plan.EventExpiry})
			}
		}
	}
	out = append(out, o.caEvents(until, last)...)
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

// userEvents gives a user's events until a time, or until emit says that it is
// enough. In last it keeps until when a generation of the CA is needed for them.
func (o *Outlook) userEvents(u *userOutlook, until time.Time, last map[string]time.Time, emit func(plan.Event) bool) {
	spec := &o.Config.Users[u.spec]
	need := func(serial string, end time.Time) {
		if signer, ok := o.verdict.Trust.issuers[serial]; ok && last != nil {
			last[signer] = later(last[signer], end)
		}
	}
	event := func(at time.Time, what string, action plan.Action) bool {
		return at.After(until) || emit(plan.Event{At: later(o.Now, at).UTC(), Owner: u.owner, Event: what, Action: action})
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
		need(s.serial, s.end)
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
			need(u.row.Serial, end)
			event(end, plan.EventExpiry, "")
		}
		return
	case u.step != nil:
		if !event(o.Now, plan.EventRenewal, u.step.Action) || u.step.Reimport && !event(o.Now, plan.EventImport, "") {
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
			need(serial, end)
			event(end, plan.EventExpiry, "")
			return
		}
		s := superseded{serial: serial, end: end}
		if spec.Overlap != nil && when.Add(*spec.Overlap).Before(end) {
			s.end, s.over = when.Add(*spec.Overlap), true
		}
		need(serial, s.end)
		if when.After(end) && !event(end, plan.EventExpiry, "") || when.After(until) {
			return
		}
		if !event(when, plan.EventRenewal, action) || u.p12 && !event(when, plan.EventImport, "") {
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
		if at, ok := last[g.SPKI]; ok && !o.idle(owner) {
			out = append(out, plan.Event{At: later(o.Now, at).UTC(), Owner: owner, Event: plan.EventOverlapOver, Action: plan.Retire})
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

// Owners are how the CA, its CRL and all users stand, in the order of [plan.States] and
// of their ends. A certificate that ends within soon counts as expiring.
func (o *Outlook) Owners(soon time.Duration) []plan.OwnerStatus {
	numbers := map[string]int{}
	for _, g := range o.verdict.Trust.Generations {
		numbers[g.SPKI] = g.Number
	}
	generation := func(r ledger.Row) int {
		if o.verdict.Trust.Current() == nil {
			return 0
		}
		return numbers[o.verdict.Trust.Signer(r)]
	}
	out := make([]plan.OwnerStatus, 0, len(o.users)+2)
	for i := range o.users {
		out = append(out, o.user(&o.users[i], soon, generation))
	}
	out = append(out, o.revoked(generation)...)
	slices.SortStableFunc(out, func(a, b plan.OwnerStatus) int {
		return cmp.Or(attention(a)-attention(b), ends(a).Compare(ends(b)), cmp.Compare(a.Owner, b.Owner))
	})
	return append([]plan.OwnerStatus{o.authority(soon), o.crl()}, out...)
}

// attention orders states: one that is lower needs it sooner. A user who has been
// revoked and is still listed is about to be given a certificate.
func attention(s plan.OwnerStatus) int {
	if s.State == plan.StateRevoked && s.Next != nil && s.Next.Event == plan.EventRenewal {
		return 1
	}
	return slices.IndexFunc(plan.States(), func(w plan.Word) bool { return w.Name == s.State })
}

func ends(s plan.OwnerStatus) time.Time {
	if s.NotAfter == nil {
		return time.Time{}
	}
	return *s.NotAfter
}

// dated sets when a certificate or CRL ends, and the state that follows from that.
func (o *Outlook) dated(s *plan.OwnerStatus, end, due time.Time, soon time.Duration) {
	left := int(end.Sub(o.Now) / (24 * time.Hour))
	if o.Now.After(end) {
		left = -int((o.Now.Sub(end) + 24*time.Hour - 1) / (24 * time.Hour))
	}
	s.NotAfter, s.DaysLeft = new(plan.Seconds(end)), &left
	switch {
	case o.Now.After(end):
		s.State = plan.StateExpired
	case !o.Now.Before(due) || soon > 0 && !end.After(o.Now.Add(soon)):
		s.State = plan.StateExpiring
	default:
		s.State = plan.StateValid
	}
}

// troubled sets the state of an owner who cannot be judged, or whom apply refuses to
// touch.
func (o *Outlook) troubled(s *plan.OwnerStatus) {
	step := o.steps[s.Owner]
	if o.failed[s.Owner] || step != nil && step.Action == plan.Refuse && !slices.ContainsFunc(step.Reasons, harmless) {
		s.State = plan.StateFailed
	}
}

// harmless reports whether a refusal says nothing of its owner: the guard speaks for
// the users, and an end is a state of its own.
func harmless(r plan.Reason) bool { return r.Code == plan.Removed || r.Code == plan.Expired }

func next(events []plan.Event) *plan.NextEvent {
	if len(events) == 0 {
		return nil
	}
	first := slices.MinFunc(events, func(a, b plan.Event) int { return a.At.Compare(b.At) })
	return &plan.NextEvent{Event: first.Event, At: plan.Seconds(first.At)}
}

func (o *Outlook) user(u *userOutlook, soon time.Duration, generation func(ledger.Row) int) plan.OwnerStatus {
	spec := &o.Config.Users[u.spec]
	s := plan.OwnerStatus{Owner: u.owner, State: plan.StateMissing, Email: spec.Subject.Email, Key: string(u.key)}
	if u.there {
		s.Serial, s.Generation, s.Begin = u.row.Serial, generation(u.row), u.begin
		due := spec.Due(u.row.NotAfter)
		if at, _, ok := o.issueAt(due, u.row.NotAfter, spec.Validity); ok {
			due = at // one that was cut to the CA's end is due when that is renewed
		}
		o.dated(&s, u.row.NotAfter, due, soon)
		if u.row.State == ledger.Revoked {
			s.State = plan.StateRevoked
		}
	}
	o.troubled(&s)
	s.Next = next(o.nextOfUser(u))
	if (s.State == plan.StateValid || s.State == plan.StateExpiring) && (u.p12 || spec.CSR != "") && o.Handouts != nil {
		s.HandedOut, s.Sum = new(o.Handouts.Has(u.sum)), u.sum
	}
	return s
}

// nextOfUser are a user's events as far as the next renewal. That an earlier
// certificate ends is none: the user has a newer one.
func (o *Outlook) nextOfUser(u *userOutlook) []plan.Event {
	var out []plan.Event
	o.userEvents(u, o.farAhead(), nil, func(e plan.Event) bool {
		out = append(out, e)
		return e.Event != plan.EventRenewal
	})
	if n := len(out); n > 0 && out[n-1].Event == plan.EventRenewal {
		out = slices.DeleteFunc(out, func(e plan.Event) bool { return e.Event == plan.EventExpiry })
	}
	return out
}

// revoked are the users who must have no certificate: those whom the spec marks as
// revoked, and those who have departed and have certificates that have not ended.
func (o *Outlook) revoked(generation func(ledger.Row) int) []plan.OwnerStatus {
	var out []plan.OwnerStatus
	add := func(owner plan.Owner, spec *config.User) {
		s := plan.OwnerStatus{Owner: owner, State: plan.StateRevoked, Departed: spec == nil}
		if spec != nil {
			s.Email = spec.Subject.Email
		}
		rows := o.Ledger.RowsOf(string(owner))
		if len(rows) > 0 {
			r := slices.MaxFunc(rows, func(a, b ledger.Row) int { return a.NotAfter.Compare(b.NotAfter) })
			s.Serial, s.Generation = r.Serial, generation(r)
			o.dated(&s, r.NotAfter, r.NotAfter, 0)
			s.State = plan.StateRevoked
			if o.Now.Before(r.NotAfter) {
				s.Next = &plan.NextEvent{Event: plan.EventExpiry, At: plan.Seconds(r.NotAfter)}
			}
		}
		o.troubled(&s)
		if spec != nil || s.Next != nil {
			out = append(out, s)
		}
	}
	listed := make(map[string]bool, len(o.Config.Users))
	for i := range o.Config.Users {
		u := &o.Config.Users[i]
		listed[string(plan.User(u.Name))] = true
		if u.Revoked != "" {
			add(plan.User(u.Name), u)
		}
	}
	for _, owner := range o.Ledger.Owners() {
		for _, one := range (ledger.Row{Owner: owner}).Owners() {
			if ledger.IsUser(one) && !listed[one] {
				listed[one] = true
				add(plan.Owner(one), nil)
			}
		}
	}
	return out
}

func (o *Outlook) authority(soon time.Duration) plan.OwnerStatus {
	ca := &o.Config.CA
	s := plan.OwnerStatus{Owner: o.caOwner(), State: plan.StateMissing, Email: ca.Subject.Email}
	if g := o.verdict.Trust.Current(); g != nil {
		s.Begin = g.Cert.NotBefore
		s.Serial, s.Key, s.Generation = pki.SerialHex(g.Cert.SerialNumber), string(pki.KeyTypeOf(g.Cert.PublicKey)), g.Number
		o.dated(&s, g.Cert.NotAfter, g.Cert.NotAfter.Add(-ca.RenewBefore), soon)
	}
	o.troubled(&s)
	s.Next = next(o.caEvents(o.farAhead(), o.needed()))
	return s
}

// needed is until when each earlier generation of the CA is needed, by SPKI.
func (o *Outlook) needed() map[string]time.Time {
	last := map[string]time.Time{}
	if len(o.verdict.Trust.Past()) == 0 {
		return last
	}
	for i := range o.users {
		u := &o.users[i]
		o.userEvents(u, o.farAhead(), last, func(e plan.Event) bool { return e.Event != plan.EventRenewal })
	}
	return last
}

func (o *Outlook) crl() plan.OwnerStatus {
	s := plan.OwnerStatus{Owner: plan.CRL(o.Config.CA.Name), State: plan.StateMissing}
	if end, there := o.crlEnd(); there {
		s.Begin = Since(o.Have.CRL)
		o.dated(&s, end, end.Add(-o.Config.CA.CRLRenewBefore), 0)
	}
	o.troubled(&s)
	until := o.Now.Add(o.Config.CA.CRLValidity * 2)
	s.Next = next(o.crlEvents(until, o.overlaps(until)))
	return s
}

// overlaps are when certificates are revoked because their overlap is over.
func (o *Outlook) overlaps(until time.Time) []time.Time {
	var out []time.Time
	for i := range o.users {
		o.userEvents(&o.users[i], until, nil, func(e plan.Event) bool {
			if e.Event == plan.EventOverlapOver {
				out = append(out, e.At)
			}
			return e.Event != plan.EventOverlapOver
		})
	}
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
		for i := range o.users {
			if o.users[i].owner == owner {
				out = o.nextOfUser(&o.users[i])
			}
		}
		for i := range o.Have.Departed {
			for _, r := range o.Ledger.RowsOf(string(owner)) {
				if o.Have.Departed[i].Owner == owner && o.Now.Before(r.NotAfter) {
					out = append(out, plan.Event{At: r.NotAfter, Owner: owner, Event: plan.EventExpiry})
				}
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
