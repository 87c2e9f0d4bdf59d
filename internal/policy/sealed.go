package policy

import (
	"cmp"
	"fmt"
	"slices"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/plan"
)

// How a generated passphrase is stored: in clear, or sealed to recipients. To seal it in
// another way it has to be opened, and to make it anew it has not.

// fresh makes a generated passphrase anew; what there was of it is written over.
func (f *finding) fresh(recipients []string) {
	f.makes, f.generates = append(f.makes, facts.PassKind(recipients)), true
}

// storedAsAsked is so where sealing has nothing to say, unless the passphrase waits.
const storedAsAsked = "the generated passphrase is stored as the spec asks"

// waits reports whether a passphrase is to be sealed to others and cannot be opened.
func waits(p *facts.Passphrase, recipients []string) bool {
	return p.Closed != nil && !p.Missing && (!p.Recorded || !sameRecipients(p.Recipients, recipients))
}

// sealing compares how a generated passphrase is stored with how the spec has it. Of one
// that cannot be opened, sealingNotes tell.
func sealing(p *facts.Passphrase, source config.Source, recipients []string) []finding {
	if source.Kind != config.Generated || p.Missing || p.Closed != nil || p.Unsealed != nil {
		return nil
	}
	again := func(field, have, want, format string, args ...any) []finding {
		f := one(plan.Rebuild, plan.Reason{Message: fmt.Sprintf(format, args...), Field: field, Have: have, Want: want}, facts.PassKind(recipients))
		if p.Kind != facts.PassKind(recipients) {
			f[0].removes = []facts.File{p.File}
		}
		return f
	}
	const field = "seal.recipients"
	want := config.ShortRecipients(recipients)
	switch {
	case len(recipients) == 0 && p.Kind == plan.KindSealed:
		return again(field, config.ShortRecipients(p.Recipients), "", "%s is sealed, and the spec seals it to nobody", p.Name())
	case len(recipients) > 0 && p.Kind == plan.KindPass:
		return again(field, "", want, "%s is in clear, and the spec seals it", p.Name())
	case len(recipients) > 0 && !p.Recorded:
		return again(field, "", want, "nothing tells to whom %s is sealed", p.Name())
	case !sameRecipients(p.Recipients, recipients):
		return again(field, config.ShortRecipients(p.Recipients), want, "%s is sealed to others than the spec names", p.Name())
	case p.Other == nil:
		return nil
	}
	return []finding{{Reason: plan.Reason{Message: fmt.Sprintf("%s lies beside %s and is of no use", p.Other.Name(), p.Name())}, action: plan.Rebuild, removes: []facts.File{*p.Other}}}
}

func sameRecipients(a, b []string) bool { return len(without(a, b)) == 0 && len(without(b, a)) == 0 }

// without are those of a that b lacks.
func without(a, b []string) []string {
	var out []string
	for _, r := range a {
		if !slices.Contains(b, r) {
			out = append(out, r)
		}
	}
	return out
}

func userSealing(v *userView) []finding {
	if v.Asked != nil {
		return nil
	}
	return sealing(&v.Passphrase, v.spec.Passphrase, v.spec.Seal)
}

func caSealing(v *caView) []finding { return sealing(&v.Passphrase, v.spec.Passphrase, v.spec.Seal) }

// closedRekey gives a new passphrase to a new key where the old one is sealed and cannot be
// opened.
func closedRekey(p *facts.Passphrase, recipients []string, findings []finding) []finding {
	newKey := slices.ContainsFunc(findings, func(f finding) bool { return f.action == plan.Create || f.action == plan.Rekey })
	if p.Closed == nil || !newKey || slices.ContainsFunc(findings, func(f finding) bool { return f.generates }) {
		return findings
	}
	f := finding{Reason: plan.Reason{Code: plan.PassphraseChanged, Check: plan.KeyOpens, Message: fmt.Sprintf("%v: the new key gets a new passphrase", p.Closed)}, action: plan.Rekey}
	f.fresh(recipients)
	return append(findings, f)
}

// removeOther removes the other form of a passphrase that is made anew.
func (t *Task) removeOther(p *facts.Passphrase, recipients []string) {
	for _, f := range []*facts.File{&p.File, p.Other} {
		if f == nil || f.Missing || f.Kind == facts.PassKind(recipients) || !facts.IsPass(f.Kind) {
			continue
		}
		if slices.ContainsFunc(t.Removes, func(r facts.File) bool { return r.Kind == f.Kind }) {
			continue
		}
		t.Removes = append(t.Removes, *f)
		t.Step.Artefacts = plan.SortKinds(append(t.Step.Artefacts, f.Kind))
	}
}

// Opens reports whether a task can be done only with the owner's passphrase, or with the
// key that it opens.
func (t *Task) Opens() bool {
	return !t.NewKey && slices.ContainsFunc(t.Makes, func(kind plan.Kind) bool {
		return kind == plan.KindKey || kind == plan.KindCSR || facts.IsP12(kind) || facts.IsPass(kind)
	})
}

// sealedTooWell is why a user's task cannot be done with the identity at hand, or without one.
func (j *judgement) sealedTooWell(v *userView, t *Task) error {
	p := &v.Passphrase
	switch {
	case t == nil || t.Step.Action == plan.Refuse || v.Asked != nil:
		return nil
	case p.Unusable && t.NewPass && len(v.spec.Seal) > 0:
		return errUnavailable(p)
	case p.Closed == nil || !t.Opens():
		return nil
	}
	way := ""
	if j.issuer.err == nil { // else whoever is replaced would be shut out
		way = ", or have a new key made with " + replaceFlag(v.Owner, v.adopted)
	}
	return errClosed(p, t, way)
}

// unsealedCA takes a new key from what is to be done for a CA whose passphrase cannot be
// sealed: beside it the passphrase would lie in clear.
func (j *judgement) unsealedCA(findings []finding) ([]finding, error) {
	ca := &j.Have.CA
	if ca.Passphrase.Unsealed == nil {
		return findings, nil
	}
	rest := slices.DeleteFunc(slices.Clone(findings), func(f finding) bool { return newTask(OfCA, 0, ca.Owner, []finding{f}).NewKey })
	if len(rest) == len(findings) || !ca.Key.Missing && !blocked(ca.Key) {
		return rest, nil
	}
	j.issuer.err = plan.Errorf(plan.CAUnavailable, "%s cannot sign: %w", ca.Owner, ca.Passphrase.Unsealed)
	return rest, ca.Passphrase.Unsealed
}

// closedCA takes from what is to be done for a CA whose passphrase is sealed and cannot be
// opened whatever needs its key, and says that it could not be done. A CA whose key is gone
// gets a new one with a new passphrase.
func (j *judgement) closedCA(findings []finding) ([]finding, error) {
	ca, is := &j.Have.CA, &j.issuer
	if ca.Key.Missing {
		return closedRekey(&ca.Passphrase, j.Config.CA.Seal, findings), nil
	}
	is.err, is.closed = plan.Errorf(plan.CAUnavailable, "%s cannot sign: %w: run apply where the identity is", ca.Owner, ca.Passphrase.Closed), true
	var rest []finding
	var needing *Task
	for _, f := range findings {
		t := newTask(OfCA, 0, ca.Owner, []finding{f})
		if !t.NewCert && !t.Opens() {
			rest = append(rest, f)
		} else if needing == nil {
			needing = t
		}
	}
	if needing == nil {
		return findings, nil
	}
	return rest, errClosed(&ca.Passphrase, needing, "; where every identity is lost for good, "+j.nextCA())
}

// nextCA says how a CA whose key nobody can open is left behind.
func (j *judgement) nextCA() string {
	ca := &j.Have.CA
	files := "the key file"
	if p := &ca.Passphrase; p.Kind == plan.KindSealed && !p.Missing { // one in clear may open earlier keys
		files += " and " + ca.Passphrase.Name()
	}
	text := fmt.Sprintf("move %s away and set generation = %d: a new CA is made then", files, len(j.trust.Generations)+1)
	if j.trust.Compromised(j.trust.Current()) {
		return text + ", and all that the old one has issued is revoked and made anew"
	}
	return text + ", and the old one stays trusted until its users have moved"
}

// errClosed says what cannot be done because a passphrase is sealed.
func errClosed(p *facts.Passphrase, t *Task, way string) error {
	return plan.Errorf(plan.PassphraseUnavailable, "%s; what is to be done takes the passphrase, but %w: run apply where the identity is%s", t.Step.Reasons[0].Message, p.Closed, way)
}

// sealed collects what notes tell of sealed passphrases.
type sealed struct {
	removed []plan.Owner // sealed anew now, to fewer recipients
	who     []string     // the recipients that were removed
	waiting []plan.Owner // to be sealed to others, and cannot be opened
	unseal  bool         // some of those to nobody
	gone    bool         // some of those have recipients that the spec does not name
	closed  []plan.Owner // that the identity at hand does not open
	absent  error        // why there is no identity, of the first
}

// see takes in an owner with a generated passphrase, and the task of that owner, if any.
func (s *sealed) see(owner plan.Owner, p *facts.Passphrase, recipients []string, t *Task) {
	if p.Kind != plan.KindSealed || p.Missing || t != nil && t.NewPass {
		return
	}
	if p.Wrong {
		s.closed = append(s.closed, owner)
	}
	left := without(p.Recipients, recipients)
	switch {
	case waits(p, recipients):
		s.waiting = append(s.waiting, owner)
		s.absent = cmp.Or(s.absent, p.Closed)
		s.unseal = s.unseal || len(recipients) == 0
		s.gone = s.gone || len(left) > 0 && len(recipients) > 0
	case p.Closed == nil && len(left) > 0 && len(recipients) > 0 && t != nil && t.MustMake(plan.KindSealed):
		s.removed = append(s.removed, owner)
		for _, r := range left {
			if short := config.ShortRecipient(r); !slices.Contains(s.who, short) {
				s.who = append(s.who, short)
			}
		}
	}
}

// sealedNotes tell of what is sealed and cannot be opened, and of recipients who had what
// they have no more.
func (j *judgement) sealedNotes() {
	s := &j.sealed
	const keeps = "whoever is no recipient any more has read the passphrase, and keeps it in copies and in the history of a repository"
	if len(s.closed) > 0 {
		j.warn("", plan.SealedToOthers, "the identity at hand opens nothing that is sealed for %s: name the private key of one of the recipients that %s was written with", joined(s.closed), "db/sealed.json")
	}
	if n := len(s.waiting); n > 0 {
		text := fmt.Sprintf("what is stored for %s is sealed otherwise than the spec asks, and stays so until apply runs where the identity is (%v)", joined(s.waiting), s.absent)
		if s.unseal {
			text += "; with recipients = [] and the identity in the seal block, it is stored in clear again"
		}
		if s.gone {
			j.warn("", plan.NotSealedAnew, "%s; %s: %s", text, keeps, j.newPassphrases(s.waiting))
		} else {
			j.note("", plan.NotSealedAnew, "%s", text)
		}
	}
	if list := j.Have.CA.InClear; len(list) > 0 && !j.Config.VersionControl {
		var names []string
		for _, f := range list {
			names = append(names, f.Name())
		}
		j.warn("", plan.RetiredInClear, "%s, in clear: delete %s", joined(names)+
			agree(len(list), " is the passphrase of a user who has left", " are passphrases of users who have left"), agree(len(list), "it, since no key in use opens with it", "them, since no key in use opens with them"))
	}
	if len(s.removed) > 0 {
		j.warn("", plan.RecipientRemoved, "%s: that is %s, of %s; sealing anew takes nothing back: %s", keeps, joined(s.who), joined(s.removed), j.newPassphrases(s.removed))
	}
}

// newPassphrases says how those are replaced that others have read. Without a CA that can
// sign, --replace would only revoke, so the CA comes first.
func (j *judgement) newPassphrases(owners []plan.Owner) string {
	ca, current := &j.Have.CA, len(j.trust.Generations)
	users := slices.DeleteFunc(slices.Clone(owners), func(o plan.Owner) bool { return o == ca.Owner })
	way := "mtlsplan apply"
	if len(users) > 3 {
		way += " --replace OWNER --reason keyCompromise, with --replace OWNER once for each user,"
	} else if len(users) > 0 {
		for _, user := range users {
			way += " " + replaceFlag(user, false)
		}
		way += " --reason keyCompromise"
	}
	way += " makes new keys with new passphrases, and revokes what was issued for the old ones"
	switch {
	case len(users) < len(owners) && ca.Passphrase.Closed != nil:
		return fmt.Sprintf("apply says what to do where the identity is; where every identity is lost for good, move %s and %s away, set generation = %d, list generation %d in compromised, and run mtlsplan apply: "+
			"it makes a new CA, and for every user a new key, with a new passphrase where the old one is sealed; --replace before that would only revoke", ca.Key.Name(), ca.Passphrase.Name(), current+1, current)
	case len(users) == 0:
		way = "mtlsplan apply makes a new CA, and a new key for every user"
		fallthrough
	case len(users) < len(owners):
		return fmt.Sprintf("for the CA, name another source of its passphrase with previous_passphrase = { generate = true }, set generation = %d, and list generation %d in compromised, since its key opens with what they have read; then %s", current+1, current, way)
	case j.issuer.err != nil:
		return "once the CA can sign, " + way + "; before that, --replace would only revoke"
	}
	return way
}
