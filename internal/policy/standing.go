package policy

import (
	"cmp"
	"slices"
	"time"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
)

// Owners are how the CA, its CRL and all users stand, in the order of the attention
// that they need, and of their ends. A certificate that ends within soon counts as expiring.
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
		return cmp.Or(o.attention(a)-o.attention(b), ends(a).Compare(ends(b)), cmp.Compare(a.Owner, b.Owner))
	})
	return append([]plan.OwnerStatus{o.authority(soon), o.crl()}, out...)
}

// attention orders owners: one that is lower needs it sooner. Whoever is to lose a
// certificate gets in until apply has run. A user who has been revoked and is still
// listed is about to be given one.
func (o *Outlook) attention(s plan.OwnerStatus) int {
	if step := o.steps[s.Owner]; s.StillIn || step != nil && step.Revokes > 0 {
		return -1
	}
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
	s := plan.OwnerStatus{Owner: u.owner, State: plan.StateMissing, Email: spec.Subject.Email, Key: string(u.key), CSR: spec.CSR != ""}
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
	if (s.State == plan.StateValid || s.State == plan.StateExpiring) && u.given && o.Handouts != nil {
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
			if c := o.Have.Out[r.Serial]; c != nil {
				s.Begin, s.Key = c.NotBefore, string(pki.KeyTypeOf(c.X509.PublicKey))
				if spec == nil {
					s.Email = emailOf(c)
				}
			}
			if o.Now.Before(r.NotAfter) {
				s.Next = &plan.NextEvent{Event: plan.EventExpiry, At: plan.Seconds(r.NotAfter)}
			}
		}
		s.StillIn = len(o.Ledger.Valid(string(owner), o.Now)) > 0
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

// emailOf is the e-mail address in a certificate, "" for none.
func emailOf(c *facts.Certificate) string {
	for _, s := range c.SANs {
		if s.Type == pki.SANEmail {
			return s.Value
		}
	}
	return c.Name.Email
}

func (o *Outlook) authority(soon time.Duration) plan.OwnerStatus {
	ca := &o.Config.CA
	s := plan.OwnerStatus{Owner: o.caOwner(), State: plan.StateMissing, Email: ca.Subject.Email}
	if g := o.verdict.Trust.Current(); g != nil {
		s.Begin = g.Cert.NotBefore
		s.Serial, s.Key, s.Generation = pki.SerialHex(g.Cert.SerialNumber), string(pki.KeyTypeOf(g.Cert.PublicKey)), g.Number
		o.dated(&s, g.Cert.NotAfter, g.Cert.NotAfter.Add(-aheadOf(g.Cert, ca.RenewBefore)), soon)
	}
	o.troubled(&s)
	s.Next = next(o.caEvents(o.farAhead(), o.needed()))
	return s
}

// neededByNobody is until when each earlier generation of the CA is needed, by SPKI, if
// no user is: for the run after the one that revokes the last certificate of it, and for
// users who have departed and cannot be revoked.
func (o *Outlook) neededByNobody() map[string]time.Time {
	last := map[string]time.Time{}
	for _, g := range o.verdict.Trust.Past() {
		last[g.SPKI] = o.Now.Add(time.Second)
	}
	for i := range o.Have.Departed {
		owner := o.Have.Departed[i].Owner
		for _, r := range o.Ledger.Valid(string(owner), o.Now) {
			if at, past := last[o.verdict.Trust.issuers[r.Serial]]; past && o.idle(owner) {
				last[o.verdict.Trust.issuers[r.Serial]] = later(at, r.NotAfter)
			}
		}
	}
	return last
}

// needed is until when each earlier generation of the CA is needed, by SPKI.
func (o *Outlook) needed() map[string]time.Time {
	last := o.neededByNobody()
	if len(last) == 0 {
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
