package engine

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"mtlsplan/internal/config"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
)

// caView is what policies of the CA look at.
type caView struct {
	*caFacts
	now   time.Time
	trust []*x509.Certificate // what the certificate file should hold, the current CA first
}

// current is the certificate of the current generation.
func (v caView) current() *x509.Certificate { return v.trust[0] }

// issuer is what the rest of the plan must know of the CA.
type issuer struct {
	owner     Owner
	trusted   []*x509.Certificate // who may have issued a certificate
	notBefore time.Time
	notAfter  time.Time // of the CA certificate after this plan
	refused   bool      // the plan holds a refusal of the CA
	rolled    bool      // this plan makes a new generation
	dropped   bool      // and nobody depends on the one before
	err       error     // why nothing can be issued now
}

// count is how many CAs are trusted after this plan.
func (is issuer) count() int {
	n := max(1, len(is.trusted))
	if is.rolled && !is.dropped {
		n++
	}
	return n
}

var caPolicies = []policy[caView]{
	{Interrupted, func(v caView) []finding {
		if !v.interrupted {
			return nil
		}
		return []finding{{Reason: Reason{Message: "a run is at work, or was interrupted: what it has begun counts as done here, and apply finishes it first"}, action: Repair, makes: []string{kindDB}}}
	}},
	{Unrecorded, caAdopted},
	{KeyChanged, caRollover},
	{Missing, func(v caView) []finding {
		if !v.crt.missing {
			return nil
		}
		return []finding{{Reason: Reason{Message: v.crt.name + " is gone; the database holds it"}, action: Repair, makes: []string{kindCrt}}}
	}},
	{Damaged, func(v caView) []finding {
		if v.crt.missing || len(v.foreign()) == 0 && v.complete() {
			return nil
		}
		return []finding{{Reason: Reason{Message: v.crt.name + " does not hold what the database holds"}, action: Repair, makes: []string{kindCrt}}}
	}},
	{OverlapOver, func(v caView) []finding {
		var left []string
		for _, c := range v.crt.all {
			if !holds(v.trust, c) && v.knowsKey(c) && pki.PublicID(c.PublicKey) != v.key.public {
				left = append(left, pki.NameString(c.RawSubject))
			}
		}
		if len(left) == 0 {
			return nil
		}
		return []finding{{Reason: Reason{Message: fmt.Sprintf("nobody has a valid certificate of %s any more; it is trusted no longer", left[0])}, action: Retire, makes: []string{kindCrt}}}
	}},
	{Expired, func(v caView) []finding {
		if !v.now.After(v.current().NotAfter) || v.rolls() {
			return nil
		}
		return []finding{{Reason: Reason{
			Message: fmt.Sprintf("the CA certificate has expired on %s, so that nobody gets in and nothing can be issued: raise generation by one in the ca block to roll over to a new CA", day(v.current().NotAfter)),
			Field:   "validity", Have: day(v.current().NotAfter)}, action: Refuse}}
	}},
	{Expired, func(v caView) []finding {
		begin := v.current().NotBefore
		if !ahead(v.now, begin) || v.rolls() {
			return nil
		}
		return []finding{{Reason: Reason{
			Message: fmt.Sprintf("the CA certificate is valid only from %s on, so that nobody gets in; the key and its users stay", day(begin)),
			Field:   "validity", Have: day(begin)}, action: Reissue, makes: []string{kindCrt}}}
	}},
	{Expiring, func(v caView) []finding {
		end := v.current().NotAfter
		due := end.Add(-v.spec.RenewBefore)
		if v.now.Before(due) || v.now.After(end) || !v.now.Add(v.spec.Validity).After(end) || v.rolls() {
			return nil
		}
		return []finding{{Reason: Reason{
			Message: fmt.Sprintf("the CA certificate ends on %s, and is renewed from %s on; the key and its users stay", day(end), day(due)),
			Field:   "renew_before", Have: day(end)}, action: Reissue, makes: []string{kindCrt}}}
	}},
	{UsageChanged, func(v caView) []finding {
		var out []finding
		for _, m := range pki.CAUsage(v.current()) {
			out = append(out, finding{Reason: Reason{Message: "the CA certificate has another " + m.Field + " than it should", Field: m.Field, Have: m.Have, Want: m.Want},
				action: Reissue, makes: []string{kindCrt}})
		}
		return out
	}},
	{PassphraseChanged, func(v caView) []finding {
		out := keyPassphrase(v.key, v.pass)
		for _, g := range v.past() {
			if g.key.opened == opensPrevious {
				out = append(out, finding{Reason: Reason{Message: g.key.name + " opens with previous_passphrase and not with passphrase"}, action: Rebuild, makes: []string{kindDB}})
			}
		}
		return out
	}},
	{EncodingChanged, func(v caView) []finding { return keyEncoding(v.key, v.spec.KDFIterations) }},
	{PassphraseChanged, func(v caView) []finding { return strayPass(v.pass, v.spec.Passphrase) }},
	{Mode, func(v caView) []finding {
		return append(modes(v.pass.file, v.key.fileFacts, v.crt.fileFacts), modes(v.wide...)...)
	}},
}

// caRollover makes a new key under a new name, because the spec asks for the
// next generation.
func caRollover(v caView) []finding {
	if !v.rolls() {
		return nil
	}
	return []finding{{Reason: Reason{
		Message: "the spec asks for the next generation: a new CA, beside which the old one is trusted until its last user has moved",
		Field:   "generation", Have: fmt.Sprint(len(v.gens)), Want: fmt.Sprint(v.spec.Generation)}, action: Rekey, makes: []string{kindKey, kindCrt}}}
}

func (ca *caFacts) rolls() bool { return len(ca.gens) > 0 && ca.spec.Generation == len(ca.gens)+1 }

// past are the earlier generations that somebody still depends on, newest first.
func (ca *caFacts) past() []generation {
	var out []generation
	for i := len(ca.gens) - 2; i >= 0; i-- {
		if ca.gens[i].valid > 0 {
			out = append(out, ca.gens[i])
		}
	}
	return out
}

// trust is what the certificate file should hold: the current CA, and behind it
// what past generations are needed.
func (obs *Observed) trust() []*x509.Certificate {
	ca := &obs.ca
	if len(ca.gens) == 0 {
		return nil
	}
	out := []*x509.Certificate{ca.gens[len(ca.gens)-1].cert}
	for _, g := range ca.past() {
		out = append(out, g.cert)
	}
	return out
}

func holds(list []*x509.Certificate, c *x509.Certificate) bool {
	return slices.ContainsFunc(list, func(l *x509.Certificate) bool { return bytes.Equal(l.Raw, c.Raw) })
}

func (ca *caFacts) knowsKey(c *x509.Certificate) bool {
	return slices.ContainsFunc(ca.gens, func(g generation) bool { return g.public == pki.PublicID(c.PublicKey) })
}

// foreign are certificates in the file that the database knows nothing of.
func (v caView) foreign() []*x509.Certificate {
	return slices.DeleteFunc(slices.Clone(v.crt.all), v.knowsKey)
}

// complete reports whether the file holds everything that it should, in order.
func (v caView) complete() bool {
	have := v.crt.all
	return len(have) >= len(v.trust) && slices.EqualFunc(have[:len(v.trust)], v.trust, (*x509.Certificate).Equal)
}

// judgeCA decides on the CA, and what it can do for the rest of the plan.
func judgeCA(v *verdict, obs *Observed, covers func(Owner) bool) issuer {
	ca := &obs.ca
	is := issuer{owner: ca.owner, trusted: obs.trust(), notBefore: obs.now.Add(-backdate), notAfter: obs.now.Add(ca.spec.Validity).Truncate(time.Second)}
	findings, err := examineCA(obs)
	if err != nil {
		is.err = fmt.Errorf("%s cannot sign: %w", ca.owner, err)
	}
	t := newTask(ca.owner, findings)
	if t != nil {
		t.ca = ca
		if t.newCert {
			t.step.NotAfter = &is.notAfter
		}
	}
	if t == nil || !t.newCert || !covers(ca.owner) {
		is.refused = t != nil && t.step.Action == Refuse
		if len(is.trusted) > 0 {
			is.notBefore, is.notAfter = is.trusted[0].NotBefore, is.trusted[0].NotAfter
		} else if is.err == nil {
			is.err = fmt.Errorf("%s has to be made first: add --only %s", ca.owner, ca.owner)
		}
	}
	switch {
	case !covers(ca.owner):
		// What must be refused is refused whatever was asked for: nobody can
		// be issued anything by such a CA.
		if t != nil && t.step.Action == Refuse {
			v.add(t)
		}
	case err != nil:
		v.fail(ca.owner, err)
	default:
		is.rolled = t != nil && t.newKey && len(ca.gens) > 0
		is.dropped = is.rolled && ca.gens[len(ca.gens)-1].valid == 0
		v.add(t)
		if t == nil || !t.newKey {
			caNotes(v, ca, is.trusted)
		}
	}
	return is
}

// examineCA finds out in which state the CA is.
func examineCA(obs *Observed) ([]finding, error) {
	ca, db := &obs.ca, obs.db
	refuse := func(code Code, format string, args ...any) []finding {
		return []finding{{Reason: Reason{Code: code, Message: fmt.Sprintf(format, args...)}, action: Refuse}}
	}
	switch {
	case ca.err != nil:
		return nil, ca.err
	case len(ca.gens) == 0 && db.otherCA(ca.owner) != "":
		return refuse(Unrecorded, "the directory belongs to %s: put that name back into the ca block, or name another output", db.otherCA(ca.owner)), nil
	case ca.key.missing && len(db.rows)+len(db.issued) > 0:
		return refuse(Missing, "%s is gone, and certificates were issued with it: restore it from a backup; a new CA is never made as a side effect", ca.key.name), nil
	case len(db.lost) > 0:
		return refuse(Missing, "%s does not list what %s holds, of %s: whom it says nothing of could not be kept out; restore the database from a backup", indexName, issuedName, joined(db.lost)), nil
	case ca.key.missing && !ca.crt.missing:
		return refuse(Unrecorded, "%s is there, but neither its key nor a record of it: move it away to have a new CA made, or restore %s", ca.crt.name, ca.key.name), nil
	case ca.key.missing && ca.pass.err != nil:
		return nil, ca.pass.err
	case ca.key.missing && ca.spec.Generation > 1:
		return refuse(KeyChanged, "there is no CA yet, and the spec asks for generation %d: start with generation 1", ca.spec.Generation), nil
	case ca.key.missing:
		makes := []string{kindKey, kindCrt}
		if ca.spec.Passphrase.Kind == config.Generated && ca.pass.file.missing {
			makes = append(makes, kindPass)
		}
		return append(coded(Mode, modes(ca.wide...)),
			finding{Reason: Reason{Code: Missing, Message: "there is no CA yet"}, action: Create, makes: makes}), nil
	case ca.key.opened == cannotBeOpened:
		return refuse(Unreadable, "%s holds no key that can be read: restore it from a backup; it is never replaced", ca.key.name), nil
	case len(ca.gens) == 0 && obs.adopting:
		return refuse(Unrecorded, "%s was made by hand too, and has to be taken over first: say --only %s as well", ca.key.name, ca.owner), nil
	case len(ca.gens) == 0:
		return refuse(Unrecorded, "%s is there, and beside it %s, of which the CA database knows nothing: say --adopt to take over what was made by hand, or restore %s from a backup", ca.key.name, describeCert(ca.crt), issuedName), nil
	case ca.pass.err != nil:
		return nil, ca.pass.err
	case ca.key.opened == opensNeither:
		return nil, errWrongPassphrase(ca.key, ca.pass, ca.spec.Passphrase.Kind == config.Generated, !ca.spec.PreviousPassphrase.IsZero())
	case ca.key.public != ca.gens[len(ca.gens)-1].public:
		return refuse(KeyMismatch, "%s is not the key of the CA certificate that the database holds: restore the one that belongs to %s", ca.key.name, ca.crt.name), nil
	case ca.spec.Generation < len(ca.gens) || ca.spec.Generation > len(ca.gens)+1:
		return refuse(KeyChanged, "the CA is at generation %d and the spec asks for %d: it rises by one at a time and never falls", len(ca.gens), ca.spec.Generation), nil
	}
	return ask(caView{ca, obs.now, obs.trust()}, caPolicies), nil
}

// caNotes says what the spec asks for and only a new generation can give.
func caNotes(v *verdict, ca *caFacts, trusted []*x509.Certificate) {
	if len(trusted) == 0 {
		return
	}
	cert := trusted[0]
	if have, _, err := pki.ParseSubject(cert.RawSubject); err == nil {
		for _, d := range subjectDiff(have, generationSubject(ca.spec.Subject, len(ca.gens))) {
			v.note(ca.owner, false, plan.NextGeneration, "%s is %q in the CA certificate and %q in the spec: this takes effect with the next generation", d.Field, d.Have, d.Want)
		}
	}
	if typ := pki.KeyTypeOf(cert.PublicKey); typ != ca.spec.Key {
		v.note(ca.owner, false, plan.NextGeneration, "the CA's key is %s and the spec asks for %s: this takes effect with the next generation", typ, ca.spec.Key)
	}
	validityNote(v, ca.owner, cert.NotBefore, cert.NotAfter, ca.spec.Validity)
	for _, g := range ca.past() {
		v.note(ca.owner, false, plan.OldGeneration, "%s still on generation %d; they move at their next renewal, or at once with --replace", is(g.valid, "certificate"), g.number)
	}
}

// generationSubject is the CA's subject with its generation in the name: two
// keys under one name would leave a reader to guess which has signed.
func generationSubject(s pki.Subject, generation int) pki.Subject {
	if generation > 1 {
		s.CommonName += fmt.Sprintf(" G%d", generation)
	}
	return s
}

// validityNote tells that a changed validity alone issues nothing.
func validityNote(v *verdict, owner Owner, from, to time.Time, want time.Duration) {
	// Whoever issued it may have backdated it or not.
	if have := to.Sub(from).Round(time.Hour); have != want {
		v.note(owner, false, plan.NextRenewal, "the certificate was issued for %s and the spec says %s: this takes effect at the next renewal", days(have), days(want))
	}
}
