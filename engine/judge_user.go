package engine

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mtlsplan/internal/cadb"
	"mtlsplan/internal/config"
	"mtlsplan/internal/plan"
)

// userView is what policies of a user look at.
type userView struct {
	*userFacts
	now    time.Time
	ca     issuer
	cert   *certFacts // what the database holds for the key, else the one in place when it is recorded; nil for none
	issued []int32    // the user\'s entries of the database
	known  []cadb.Row // the user's valid and unexpired rows
	old    []cadb.Row // those of them that nobody needs: issued before cert, and to nobody else who has no other
	state  cadb.State // of cert
	sole   bool       // cert is the one in place
	crtOf  Owner      // whose the one in place is, when it is another's
	keyOf  Owner      // whose the key is, when it is another's
	shared []Owner    // whose cert's serial is
}

// public identifies the key that request and .p12 must hold. After a
// key-mismatch that is the certificate's: they are not blamed for the key.
func (v userView) public() string {
	if v.cert != nil {
		return v.cert.public
	}
	return v.key.public
}

// judgeUser decides on one user, and reports whether that was possible: what is
// to be done, and why, is only said of a user whose files were read.
func judgeUser(v *verdict, obs *Observed, ca issuer, u *userFacts, opt Options) bool {
	if c := u.crt.cert; c != nil && c.notBefore.After(v.late) {
		v.late, v.latest = c.notBefore, u.owner
	}
	view := userView{userFacts: u, now: obs.now, ca: ca, known: obs.validRows(u), issued: obs.db.issued[u.owner]}
	replace := slices.Contains(opt.Replace, u.owner)
	findings, err := examineUser(&view, obs)
	if u.brief && (err != nil || len(findings) > 0 || replace) {
		return false
	}
	if err == nil && replace && u.asked != nil && obs.db.everFor(u.owner, u.key.public) {
		err = errors.New("the key is the user's own, and the request still holds the one to be replaced: give a request with a new key first")
	}
	if err != nil {
		if replace {
			err = fmt.Errorf("%w; to shut the user out now, set revoked in the spec", err)
		}
		v.fail(u.owner, err)
		return true
	}
	if replace && !isRefusal(findings) {
		f := rekey(u, Reason{Code: ReplaceAsked, Message: "--replace asks for a new key", Field: "reason", Want: opt.Reason})
		f[0].revokes = view.known
		if also := others(view.known, u.owner); len(also) > 0 {
			f[0].Message += "; its serial is shared, so this also ends what was issued before to " + also
		}
		if u.spec.Passphrase.Kind == config.Generated && u.asked == nil {
			f[0].makes = append(f[0].makes, kindPass)
		}
		findings = append(findings, f...)
	}
	t := newTask(u.owner, findings)
	if t == nil {
		v.add(nil)
		userNotes(v, view)
		return true
	}
	t.user, t.cert = u, view.cert
	t.reason = superseded
	if replace {
		t.reason = opt.Reason
	}
	if t.newCert && t.step.Action != Refuse {
		if ca.refused {
			return true // the refusal says it for everybody
		}
		if ca.err != nil {
			v.fail(u.owner, ca.err)
			return true
		}
		end := view.end()
		t.step.NotAfter = &end
		if end.Before(obs.now.Add(u.spec.Validity).Truncate(time.Second)) {
			v.cut++
		}
	}
	t.step.Reimport = t.newCert && len(u.p12) > 0
	v.add(t)
	return true
}

func isRefusal(findings []finding) bool {
	return slices.ContainsFunc(findings, func(f finding) bool { return f.action == Refuse })
}

// examineUser finds out in which state a user is.
func examineUser(v *userView, obs *Observed) ([]finding, error) {
	u := v.userFacts
	recorded := len(v.issued) > 0
	p12There := slices.ContainsFunc(u.p12, func(p p12Facts) bool { return !p.missing })
	there := !u.key.missing || !u.crt.missing || !u.csr.missing || p12There || u.spec.CSR != "" && len(u.stray) > 0
	switch {
	case u.err != nil:
		return nil, u.err
	case !recorded && len(v.known) > 0:
		return nil, fmt.Errorf("%s lists certificates of the user that %s does not hold: restore the database from a backup", indexName, issuedName)
	case there && !recorded && !u.taken:
		return []finding{{Reason: Reason{Code: Unrecorded, Message: u.describe() + ", of which the CA database knows nothing: say --adopt to take it over, or move it away to have the user made anew"}, action: Refuse}}, nil
	case u.asked != nil:
		return examineCSR(v, obs)
	case u.pass.err != nil:
		return nil, u.pass.err
	case u.key.opened == cannotBeOpened:
		return nil, fmt.Errorf("%s holds no key that can be read; nothing was touched: restore it from a backup, or move it away to have a new key made", u.key.name)
	case u.key.opened == opensNeither:
		return nil, errWrongPassphrase(u.key, u.pass, u.spec.Passphrase.Kind == config.Generated, !u.spec.PreviousPassphrase.IsZero())
	case u.key.missing:
		f := finding{Reason: Reason{Code: Missing, Message: u.key.name + " is gone"}, action: Rekey, makes: u.fromKey()}
		if u.spec.Passphrase.Kind == config.Generated && u.pass.file.missing {
			f.makes = append(f.makes, kindPass)
		}
		if !there && len(v.known) == 0 {
			f.Message, f.action = "the user has no key and no certificate yet", Create
		}
		return append(ask(*v, keylessPolicies), f), nil
	}
	if f, err := findCert(v, obs); f != nil || err != nil {
		return f, err
	}
	return ask(*v, userPolicies), nil
}

// findCert finds the user's certificate: what the database holds for the key,
// or, when that is nothing valid, the one in place. An older one in place of
// the newest is a damaged file.
func findCert(v *userView, obs *Observed) ([]finding, error) {
	u := v.userFacts
	if newest := obs.db.newest(v.issued, v.key.public, v.now); newest != nil {
		switch {
		case u.crt.cert != nil && u.crt.cert.sum == newest.sum:
			v.cert = u.crt.cert
		case u.brief:
			return lookCloser, nil
		default:
			cert, err := obs.db.certificate(newest)
			if err != nil {
				return nil, err
			}
			v.cert = factsOfCert(cert)
		}
	}
	u.spent = obs.db.givenUp(v.issued, v.key.public)
	switch c := u.crt.cert; {
	case c == nil:
	case obs.db.holds(v.issued, c.sum):
		if v.cert == nil {
			v.cert = c
		}
		v.sole = v.cert.sum == c.sum && u.crt.alone
	default:
		if u.brief {
			return lookCloser, nil
		}
		v.crtOf = obs.db.holder(c)
		if v.crtOf == "" && signedByAny(u.crt.all[0], v.ca.trusted) {
			return unrecorded(u.crt.name + " was issued by the CA, but the CA database knows nothing of it"), nil
		}
	}
	if v.cert == nil {
		v.keyOf = obs.db.keyOwner(v.key.public, u.owner)
		return nil, nil
	}
	r := obs.db.row(v.cert.serial)
	if r == nil {
		return nil, errors.New("the certificate is in " + issuedName + " and not in " + indexName + ": restore the database from a backup")
	}
	v.state, v.shared = r.State, rowOwners(*r)
	// Rows are in the order of issue. One that has ended is not among them, and
	// has superseded nothing that is.
	current := slices.IndexFunc(v.known, func(k cadb.Row) bool { return k.Serial == r.Serial })
	for _, k := range v.known[:max(0, current)] {
		if !obs.needed(k) {
			v.old = append(v.old, k)
		}
	}
	return nil, nil
}

// unrecorded refuses to go on beside a certificate of ours that the database has
// lost: what is not recorded cannot be revoked.
func unrecorded(what string) []finding {
	return []finding{{Reason: Reason{Code: Unrecorded, Message: what + ": restore a newer database, or say --adopt to take it over"}, action: Refuse}}
}

func signedByAny(cert *x509.Certificate, cas []*x509.Certificate) bool {
	return slices.ContainsFunc(cas, func(ca *x509.Certificate) bool { return cert.CheckSignatureFrom(ca) == nil })
}

// userNotes tells what the spec asks for and only the next renewal gives.
func userNotes(v *verdict, view userView) {
	if view.cert != nil && !view.cert.notAfter.Equal(view.ca.notAfter) {
		validityNote(v, view.owner, view.cert.notBefore, view.cert.notAfter, view.spec.Validity)
	}
}

// judgeLeft decides on a user who must have no valid certificate.
func judgeLeft(v *verdict, obs *Observed, l *leftFacts) {
	if l.err != nil {
		v.fail(l.owner, l.err)
		return
	}
	switch {
	case l.lost != "":
		v.add(newTask(l.owner, unrecorded(l.lost+" was issued by the CA, but the CA database knows nothing of it, so that it cannot be revoked")))
		return
	case l.unrecorded:
		v.add(newTask(l.owner, []finding{{Reason: Reason{Code: Unrecorded,
			Message: "files of the user are there, of which the CA database knows nothing, so that nothing can be revoked: say --adopt to take them over, or move them away"}, action: Refuse}}))
		return
	}
	message := "the spec lists the user no more"
	if l.code == Revoked {
		message = "the spec says revoked = \"" + l.reason + "\""
	}
	f := finding{Reason: Reason{Code: l.code, Message: message}, action: Retire, revokes: l.rows, removes: l.files}
	// A serial that others hold too waits until they need it no more.
	f.revokes = slices.DeleteFunc(slices.Clone(l.rows), func(r cadb.Row) bool { return obs.needed(r) })
	if n := len(f.revokes); n > 0 {
		f.Message += "; " + plural(n, "certificate") + " will be revoked"
		f.Field, f.Have = "serial", strings.Join(serials(f.revokes), " ")
		if also := others(f.revokes, l.owner); len(also) > 0 {
			f.Message += ", and with a shared serial what was issued before to " + also
		}
	}
	if len(f.revokes) == 0 && len(f.removes) == 0 {
		v.note(l.owner, true, plan.SharedSerial, "holds serial %s, which %s needs too: it is revoked when everybody has moved to a certificate of their own, or at once with --replace", strings.Join(serials(l.rows), " "), others(l.rows, l.owner))
		v.add(nil)
		return
	}
	t := newTask(l.owner, []finding{f})
	t.left, t.reason = l, l.reason
	v.add(t)
}
