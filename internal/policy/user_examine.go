package policy

import (
	"slices"
	"strings"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/plan"
)

// examineUser finds out in which state a user is.
func (j *judgement) examineUser(v *userView) ([]finding, error) {
	u := v.User
	recorded, there := v.issued.Len() > 0, v.anythingThere()
	switch {
	case u.Err != nil:
		return nil, fallback(plan.FileError, u.Err)
	case u.Asked != nil:
		if err := weak(u.Asked.Key); err != nil {
			return nil, plan.Errorf(plan.CSRInvalid, "the request %s: %w", v.spec.CSR, err)
		}
	}
	switch {
	case j.strange(v) && recorded:
		return unrecorded(v.Crt.Name() + " was issued by the CA, but the CA database knows nothing of it"), nil
	case recorded && j.furtherLost(v) != "":
		return unrecorded("the user's files hold another certificate of this CA (serial " + j.furtherLost(v) + "), of which the CA database knows nothing, so that it cannot be revoked"), nil
	case !recorded && len(v.known) > 0:
		return nil, plan.Errorf(plan.DatabaseInconsistent, "%s lists certificates of the user that %s does not hold: restore the database from a backup", ledger.IndexName, ledger.IssuedName)
	case there && !recorded && !v.adopted && j.Ask.Adopt && u.Passphrase.Err != nil:
		return nil, errUnavailable(&u.Passphrase)
	case there && !recorded && j.Ask.Adopt && u.Passphrase.Closed != nil:
		return nil, plan.Errorf(plan.PassphraseUnavailable, "%w, so that what was made by hand cannot be taken over: run apply where the identity is", u.Passphrase.Closed)
	case there && !recorded && !v.adopted && j.Ask.Adopt:
		return nil, errNoKeyInside(j.Config.Output, v)
	case v.adopted && u.Crt.Why != nil:
		return nil, plan.Errorf(plan.Unreadable, "%s holds no certificate that can be read (%w); nothing was touched: put the user's certificate there, or move it away to have a new one issued", u.Crt.Name(), u.Crt.Why)
	case there && !recorded && !v.adopted && j.filesOfTwin(v.Owner):
		return nil, nil // the refusal of the other one says it
	case there && !recorded && !v.adopted:
		return refuse(plan.Unrecorded, v.describe()+", of which the CA database knows nothing: say --adopt to take it over, or move it away to have the user made anew"), nil
	case u.Asked != nil:
		return j.examineCSR(v)
	case u.ChallengeErr != nil:
		return nil, fallback(plan.PassphraseUnavailable, u.ChallengeErr)
	case v.replaced && v.shut():
		return ask(v, keylessPolicies), nil
	case u.Passphrase.Err != nil:
		return nil, errUnavailable(&u.Passphrase)
	case u.ChallengeReused:
		return nil, plan.Errorf(plan.PassphraseUnavailable, "the challenge password equals the key's passphrase, and a CSR is not encrypted: give another one")
	case errOtherCipher(j.Config.Output, &u.Key) != nil:
		return nil, errOtherCipher(j.Config.Output, &u.Key)
	case u.Key.Opening == facts.Unreadable:
		return nil, plan.Errorf(plan.Unreadable, "%s holds no key that can be read; nothing was touched: restore it from a backup, or have a new key made with %s (what is there: %v)", u.Key.Name(), replaceFlag(v.Owner, v.adopted), u.Key.Why)
	case u.Key.Opening == facts.OpensNeither && u.Key.InP12:
		return nil, plan.Errorf(plan.PassphraseWrong, "there is no key file, and no passphrase at hand opens %s; nothing was touched: name the passphrase that it was made with as previous_passphrase, or move it away to have the user made anew", u.Key.Name())
	case u.Key.Opening == facts.OpensNeither:
		return nil, errWrongPassphrase(v.Owner, &u.Key, &u.Passphrase, v.spec.Passphrase, v.spec.PreviousPassphrase, v.adopted)
	case u.Key.Missing:
		first := v.firstKey(there)
		v.hear(plan.Missing, plan.FilesPresent, "the key is there", []finding{first})
		return append(ask(v, keylessPolicies), first), nil
	}
	return j.examineCert(v)
}

// shut reports whether the key cannot be opened, and a new one can be made all the
// same: a generated passphrase is made with it, and any other is at hand.
func (v *userView) shut() bool {
	if v.spec.Passphrase.Kind != config.Generated && v.Passphrase.Err != nil {
		return false
	}
	return v.Passphrase.Err != nil || v.Key.Opening == facts.Unreadable || v.Key.Opening == facts.OpensNeither
}

// anythingThere reports whether a user has any file that is made from a key.
func (v *userView) anythingThere() bool {
	if hasFiles(v.User) || v.spec.CSR != "" && len(v.Stray) > 0 {
		return true
	}
	for i := range v.P12 {
		if !v.P12[i].Missing {
			return true
		}
	}
	return false
}

// firstKey makes the key of a user who has none.
func (v *userView) firstKey(there bool) finding {
	f := finding{Reason: plan.Reason{Code: plan.Missing}, action: plan.Rekey, makes: v.fromKey()}
	if v.spec.Passphrase.Kind == config.Generated && v.Passphrase.Missing {
		f.fresh(v.spec.Seal)
	}
	if !there && len(v.known) == 0 {
		f.Message, f.action = "the user has no key and no certificate yet", plan.Create
	} else {
		f.Message = v.Key.Name() + " is gone"
	}
	return f
}

// examineCert finds the user's certificate and asks all policies: it is what the
// ledger holds for the key, or, when that is nothing valid, the one in place. An
// older one in place of the newest is a damaged file.
func (j *judgement) examineCert(v *userView) ([]finding, error) {
	if newest := v.issued.Newest(v.Key.SPKI, v.now); newest != nil {
		v.cert = v.atHand(newest.Sum)
	}
	v.spent = v.issued.GivenUp(v.Key.SPKI) || j.compromised[v.Key.SPKI] && !v.replaced
	switch c := v.Crt.Cert; {
	case c == nil:
	case v.issued.Holds(c.Sum):
		if v.cert == nil {
			v.cert = c
		}
		v.sole = v.cert.Sum == c.Sum && v.Crt.Alone
	default:
		v.crtOf = j.Ledger.Holder(c.Serial, c.Sum)
		if v.crtOf == "" && signedByAny(c, v.ca.trusted) {
			return unrecorded(v.Crt.Name() + " was issued by the CA, but the CA database knows nothing of it"), nil
		}
	}
	if v.cert == nil {
		v.keyOf = j.Ledger.KeyOwner(v.Key.SPKI, string(v.Owner))
		return ask(v, userPolicies), nil
	}
	r := j.Ledger.Row(v.cert.Serial)
	if r == nil && j.issuer.refused {
		return nil, nil // the refusal says it for everybody
	}
	if r == nil {
		return nil, plan.Errorf(plan.DatabaseInconsistent, "the certificate is in %s and not in %s: restore the database from a backup", ledger.IssuedName, ledger.IndexName)
	}
	if v.state = r.State; strings.Contains(r.Owner, ",") {
		v.shared = r.Owner
	}
	return ask(v, userPolicies), nil
}

// atHand is the certificate with a checksum, nil when the facts do not have it:
// the inventory went by the ledger, and what was found beside it may have revoked
// what the ledger holds as the newest. Then the one in place is judged.
func (v *userView) atHand(sum ledger.Sum) *facts.Certificate {
	for _, c := range [...]*facts.Certificate{v.Crt.Cert, v.Recorded} {
		if c != nil && c.Sum == sum {
			return c
		}
	}
	return nil
}

// superseded are the user's valid certificates that nobody needs: issued before
// the one that counts, and to nobody else who has no other.
func (v *userView) superseded() []ledger.Row {
	// Rows are in the order of issue. One that has ended is not among them, and
	// has superseded nothing that is.
	current := slices.IndexFunc(v.known, func(r ledger.Row) bool { return r.Serial == v.cert.Serial })
	return slices.DeleteFunc(slices.Clone(v.known[:max(0, current)]), v.needed)
}

// The artefacts by what they are made from.

func (v *userView) fromKey() []plan.Kind {
	if v.Asked != nil {
		return []plan.Kind{plan.KindCSR, plan.KindCrt}
	}
	return v.withP12(plan.KindKey, plan.KindCSR, plan.KindCrt)
}

func (v *userView) fromCert() []plan.Kind { return v.withP12(plan.KindCrt) }

func (v *userView) withP12(kinds ...plan.Kind) []plan.Kind {
	out := make([]plan.Kind, 0, len(kinds)+len(v.P12)+1)
	out = append(out, kinds...)
	for i := range v.P12 {
		out = append(out, v.P12[i].Kind)
	}
	return out
}

// rekey makes a new key. The key of a csr user is the user's own: only the
// certificate can be made anew.
func (v *userView) rekey(r plan.Reason) []finding {
	if v.Asked != nil {
		return one(plan.Reissue, r, v.fromCert()...)
	}
	return one(plan.Rekey, r, v.fromKey()...)
}

// renew is rekey or reissue, as the spec has it for a renewal by time.
func (v *userView) renew(r plan.Reason) []finding {
	if v.Asked != nil || v.spec.ReuseKey && !v.Key.Missing && !v.spent {
		return one(plan.Reissue, r, v.fromCert()...)
	}
	return v.rekey(r)
}

// unjudged is what is found of a user in whose files nothing can be judged.
func (v *userView) unjudged(reason string) []finding {
	var out []finding
	if v.replaced && len(v.known) > 0 && (v.Asked == nil || reason != ledger.Superseded) {
		// A csr user whose request still holds the old key would be given a certificate
		// for it again.
		out = append(out, v.replace(reason)...)
	}
	return append(out, coded(plan.Revoked, keyCompromised(v))...)
}

// replace is what --replace asks for, whatever the state of the user.
func (v *userView) replace(reason string) []finding {
	f := v.rekey(plan.Reason{Code: plan.ReplaceAsked, Message: "--replace asks for a new key", Field: "reason", Want: reason})
	f[0].revokes, f[0].reason = v.known, reason
	if also := others(v.known, v.Owner); also != "" {
		f[0].Message += "; its serial is shared, so this also ends what was issued before to " + also
	}
	if v.spec.Passphrase.Kind == config.Generated && v.Asked == nil {
		f[0].fresh(v.spec.Seal)
	}
	return f
}
