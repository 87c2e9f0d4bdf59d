package engine

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mtlsplan/internal/cadb"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/secret"
)

// userView is what policies of a user look at.
type userView struct {
	*userFacts
	now    time.Time
	ca     issuer
	cert   *x509.Certificate // what the database holds for the key, else the one in place when it is recorded; nil for none
	known  []cadb.Row        // the user's valid and unexpired rows
	old    []cadb.Row        // those of them that nobody needs: issued before cert, and to nobody else who has no other
	state  cadb.State        // of cert
	sole   bool              // cert is the one in place
	crtOf  Owner             // whose the one in place is, when it is another's
	keyOf  Owner             // whose the key is, when it is another's
	shared []Owner           // whose cert's serial is
}

// public identifies the key that request and .p12 must hold. After a
// key-mismatch that is the certificate's: they are not blamed for the key.
func (v userView) public() string {
	if v.cert != nil {
		return pki.PublicID(v.cert.PublicKey)
	}
	return v.key.public
}

// Artefacts by what they are made from.
func (u *userFacts) p12Kinds() []string {
	var out []string
	for _, p := range u.p12 {
		out = append(out, p.kind)
	}
	return out
}

func (u *userFacts) fromKey() []string {
	if u.asked != nil {
		return []string{kindCSR, kindCrt}
	}
	return slices.Concat([]string{kindKey, kindCSR, kindCrt}, u.p12Kinds())
}
func (u *userFacts) fromCert() []string { return append([]string{kindCrt}, u.p12Kinds()...) }

// userPolicies are asked of every user who has a key.
var userPolicies = []policy[userView]{
	{Unrecorded, adopted},
	{Missing, certMissing},
	{Damaged, certDamaged},
	{Revoked, certRevoked},
	{IssuerChanged, issuerChanged},
	{KeyMismatch, keyMismatch},
	{KeyChanged, keyChanged},
	{SubjectChanged, subjectChanged},
	{SANChanged, sanChanged},
	{Expired, expired},
	{Expiring, expiring},
	{UsageChanged, usageChanged},
	{UsageChanged, sharedSerial},
	{OverlapOver, overlapOver},
	{PassphraseChanged, func(v userView) []finding { return keyPassphrase(v.key, v.pass) }},
	{EncodingChanged, func(v userView) []finding { return keyEncoding(v.key, v.spec.KDFIterations) }},
	{Missing, csrMissing},
	{Damaged, csrDamaged},
	{Upstream, csrUpstream},
	{PassphraseChanged, challengeChanged},
	{Missing, p12Missing},
	{Damaged, p12Damaged},
	{PassphraseChanged, p12Passphrase},
	{EncodingChanged, p12Encoding},
	{Upstream, p12Upstream},
	{EncodingChanged, strayP12},
	{PassphraseChanged, func(v userView) []finding { return strayPass(v.pass, v.spec.Passphrase) }},
	{Mode, userModes},
}

// keylessPolicies are asked of a user whose key has to be made first: of what
// that does not touch.
var keylessPolicies = []policy[userView]{
	{Unrecorded, adopted},
	{EncodingChanged, strayP12},
	{PassphraseChanged, func(v userView) []finding { return strayPass(v.pass, v.spec.Passphrase) }},
	{Mode, userModes},
}

// rekey makes a new key. The key of a csr user is the user's own: only the
// certificate can be made anew.
func rekey(u *userFacts, r Reason) []finding {
	if u.asked != nil {
		return []finding{{Reason: r, action: Reissue, makes: u.fromCert()}}
	}
	return []finding{{Reason: r, action: Rekey, makes: u.fromKey()}}
}

// renew is rekey or reissue, as the spec has it for a renewal by time.
func renew(u *userFacts, r Reason) []finding {
	if u.asked != nil || u.spec.ReuseKey && !u.key.missing && !u.spent {
		return []finding{{Reason: r, action: Reissue, makes: u.fromCert()}}
	}
	return rekey(u, r)
}

func certMissing(v userView) []finding {
	switch {
	case !v.crt.missing:
		return nil
	case v.cert != nil:
		return []finding{{Reason: Reason{Message: v.crt.name + " is gone; the database holds it"}, action: Repair, makes: []string{kindCrt}}}
	}
	return renew(v.userFacts, Reason{Message: v.crt.name + " is gone, and the database holds no valid certificate for the key"})
}

func certDamaged(v userView) []finding {
	switch {
	case v.crt.missing || v.sole:
		return nil
	case v.cert == nil && v.crt.cert != nil && !issuedByAny(v.crt.cert, v.ca.trusted):
		return nil // of a foreign certificate issuerChanged speaks
	case v.cert != nil:
		return []finding{{Reason: Reason{Message: v.crt.name + " is not the certificate that was issued; the database holds that one"}, action: Repair, makes: []string{kindCrt}}}
	}
	if v.crtOf != "" {
		return renew(v.userFacts, Reason{Message: fmt.Sprintf("%s is the certificate of %s, and the database holds no valid one for the key", v.crt.name, v.crtOf)})
	}
	return renew(v.userFacts, Reason{Message: v.crt.name + " cannot be read or was altered, and the database holds no valid certificate for the key"})
}

func certRevoked(v userView) []finding {
	switch {
	case v.cert != nil && v.state == cadb.Revoked:
		return rekey(v.userFacts, Reason{Message: "the certificate is revoked in the CA database, and the spec still lists the user", Field: "serial", Have: pki.SerialHex(v.cert.SerialNumber)})
	case v.spent:
		return rekey(v.userFacts, Reason{Message: "a certificate for the key is revoked in the CA database, and the spec still lists the user"})
	}
	return nil
}

func issuerChanged(v userView) []finding {
	cert := v.cert
	if cert == nil {
		cert = v.crt.cert
	}
	if cert == nil || issuedByAny(cert, v.ca.trusted) {
		return nil
	}
	return rekey(v.userFacts, Reason{Message: "no CA in the CA certificate file has issued the certificate", Field: "issuer", Have: pki.NameString(cert.RawIssuer)})
}

func issuedByAny(cert *x509.Certificate, cas []*x509.Certificate) bool {
	return slices.ContainsFunc(cas, func(ca *x509.Certificate) bool { return issuedBy(cert, ca) })
}

// issuedBy goes by names and key identifiers: the signature was checked when
// the certificate was issued, and its bytes are compared with the record. Only
// a certificate without an identifier has its signature checked.
func issuedBy(cert, ca *x509.Certificate) bool {
	switch {
	case !bytes.Equal(cert.RawIssuer, ca.RawSubject):
		return false
	case len(cert.AuthorityKeyId) > 0:
		return bytes.Equal(cert.AuthorityKeyId, ca.SubjectKeyId)
	}
	return cert.CheckSignatureFrom(ca) == nil
}

func keyMismatch(v userView) []finding {
	if v.keyOf != "" && v.asked == nil {
		return rekey(v.userFacts, Reason{Message: fmt.Sprintf("%s is the key of %s", v.key.name, v.keyOf)})
	}
	if v.cert == nil || pki.PublicID(v.cert.PublicKey) == v.key.public || v.asked != nil {
		return nil
	}
	return rekey(v.userFacts, Reason{Message: v.key.name + " and " + v.crt.name + " do not belong together"})
}

func keyChanged(v userView) []finding {
	if v.asked != nil {
		return csrKeyChanged(v)
	}
	if have := pki.KeyTypeOf(v.key.key); have != v.spec.Key {
		return rekey(v.userFacts, Reason{Message: "the spec asks for another type of key", Field: "key", Have: string(have), Want: string(v.spec.Key)})
	}
	return nil
}

func subjectChanged(v userView) []finding {
	if v.cert == nil {
		return nil
	}
	have, rest, err := pki.ParseSubject(v.cert.RawSubject)
	if err != nil || len(rest) > 0 {
		return rekey(v.userFacts, Reason{Message: "the certificate's subject has attributes that a spec cannot ask for", Field: "subject", Have: pki.NameString(v.cert.RawSubject)})
	}
	var out []finding
	for _, d := range subjectDiff(have, v.spec.Subject) {
		out = append(out, rekey(v.userFacts, Reason{Message: "the spec gives another subject", Field: d.Field, Have: d.Have, Want: d.Want})...)
	}
	return out
}

func sanChanged(v userView) []finding {
	if v.cert == nil {
		return nil
	}
	have, want := v.cert.EmailAddresses, emails(v.spec.Subject)
	other := len(v.cert.DNSNames) + len(v.cert.IPAddresses) + len(v.cert.URIs)
	if slices.Equal(have, want) && other == 0 {
		return nil
	}
	return rekey(v.userFacts, Reason{Message: "the spec gives another e-mail address for the subject alternative name", Field: "email",
		Have: strings.Join(have, " "), Want: strings.Join(want, " ")})
}

// emails are the rfc822Names of a subject's certificate.
func emails(s pki.Subject) []string {
	if s.Email == "" {
		return nil
	}
	return []string{s.Email}
}

// end is when a certificate issued now would end: a user's never outlives the CA's.
func (v userView) end() time.Time {
	end := v.now.Add(v.spec.Validity).Truncate(time.Second)
	if end.After(v.ca.notAfter) {
		end = v.ca.notAfter
	}
	return end
}

func expired(v userView) []finding {
	if v.cert == nil || !v.now.After(v.cert.NotAfter) {
		return nil
	}
	return renew(v.userFacts, Reason{Message: "the certificate has expired on " + day(v.cert.NotAfter), Field: "validity", Have: day(v.cert.NotAfter)})
}

func expiring(v userView) []finding {
	if v.cert == nil || v.now.After(v.cert.NotAfter) {
		return nil
	}
	due := v.cert.NotAfter.Add(-v.spec.RenewBefore)
	// A certificate that was cut to the CA's end is due only when a new one
	// would last longer: it would be renewed on every run otherwise.
	if v.now.Before(due) || !v.end().After(v.cert.NotAfter) {
		return nil
	}
	return renew(v.userFacts, Reason{Message: fmt.Sprintf("the certificate ends on %s, and is renewed from %s on", day(v.cert.NotAfter), day(due)),
		Field: "renew_before", Have: day(v.cert.NotAfter)})
}

func usageChanged(v userView) []finding {
	if v.cert == nil || len(v.ca.trusted) == 0 {
		return nil
	}
	ca := v.ca.trusted[0]
	if i := slices.IndexFunc(v.ca.trusted, func(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, v.cert.RawIssuer) }); i >= 0 {
		ca = v.ca.trusted[i]
	}
	var out []finding
	for _, m := range pki.UserUsage(v.cert, ca) {
		out = append(out, finding{Reason: Reason{Message: "the certificate has another " + m.Field + " than it should", Field: m.Field, Have: m.Have, Want: m.Want},
			action: Reissue, makes: v.fromCert()})
	}
	return out
}

// overlapOver revokes what a renewal has superseded, overlap after it.
func overlapOver(v userView) []finding {
	if v.spec.Overlap == nil || v.cert == nil {
		return nil
	}
	// notBefore lies backdate before the renewal.
	over := v.cert.NotBefore.Add(backdate + *v.spec.Overlap)
	if v.now.Before(over) {
		return nil
	}
	if len(v.old) == 0 {
		return nil
	}
	r := Reason{Message: fmt.Sprintf("%s superseded for longer than the overlap of %s", have(len(v.old), "certificate"), days(*v.spec.Overlap)),
		Field: "overlap", Have: strings.Join(serials(v.old), " ")}
	if also := others(v.old, v.owner); also != "" {
		r.Message += "; with a shared serial this also ends what was issued before to " + also
	}
	return []finding{{Reason: r, action: Revoke, revokes: v.old}}
}

func have(n int, noun string) string {
	if n == 1 {
		return "1 " + noun + " has been"
	}
	return plural(n, noun) + " have been"
}

func serials(rows []cadb.Row) []string {
	var out []string
	for _, r := range rows {
		out = append(out, r.Serial)
	}
	return out
}

func userModes(v userView) []finding {
	files := []fileFacts{v.pass.file, v.key.fileFacts, v.csr.fileFacts, v.crt.fileFacts}
	for _, p := range v.p12 {
		files = append(files, p.fileFacts)
	}
	return modes(files...)
}

// judgeUser decides on one user.
func judgeUser(v *verdict, obs *Observed, ca issuer, u *userFacts, opt Options) {
	view := userView{userFacts: u, now: obs.now, ca: ca, known: obs.db.valid(u.owner, obs.now)}
	replace := slices.Contains(opt.Replace, u.owner)
	findings, err := examineUser(&view, obs)
	if err == nil && replace && u.asked != nil && len(obs.db.issuedFor(u.owner, u.key.public)) > 0 {
		err = errors.New("the key is the user's own, and the request still holds the one to be replaced: give a request with a new key first")
	}
	if err != nil {
		if replace {
			err = fmt.Errorf("%w; to shut the user out now, set revoked in the spec", err)
		}
		v.fail(u.owner, err)
		return
	}
	if replace && !isRefusal(findings) {
		f := rekey(u, Reason{Code: ReplaceAsked, Message: "--replace asks for a new key", Field: "reason", Want: opt.Reason})
		f[0].revokes = view.known
		if also := others(view.known, u.owner); len(also) > 0 {
			f[0].Message += "; its serial is shared, so this also ends what was issued before to " + also
		}
		if u.spec.Passphrase.Kind == secret.Generate && u.asked == nil {
			f[0].makes = append(f[0].makes, kindPass)
		}
		findings = append(findings, f...)
	}
	t := newTask(u.owner, findings)
	if t == nil {
		v.add(nil)
		userNotes(v, view)
		return
	}
	t.user, t.cert = u, view.cert
	t.reason = superseded
	if replace {
		t.reason = opt.Reason
	}
	if t.newCert && t.step.Action != Refuse {
		if ca.refused {
			return // the refusal says it for everybody
		}
		if ca.err != nil {
			v.fail(u.owner, ca.err)
			return
		}
		end := view.end()
		t.step.NotAfter = &end
		if end.Before(obs.now.Add(u.spec.Validity).Truncate(time.Second)) {
			v.cut++
		}
	}
	t.step.Reimport = t.newCert && len(u.p12) > 0
	v.add(t)
}

func isRefusal(findings []finding) bool {
	return slices.ContainsFunc(findings, func(f finding) bool { return f.action == Refuse })
}

// examineUser finds out in which state a user is.
func examineUser(v *userView, obs *Observed) ([]finding, error) {
	u := v.userFacts
	recorded := len(obs.db.issued[u.owner]) > 0
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
		return nil, errWrongPassphrase(u.key, u.pass, u.spec.Passphrase.Kind == secret.Generate, !u.spec.PreviousPassphrase.IsZero())
	case u.key.missing:
		f := finding{Reason: Reason{Code: Missing, Message: u.key.name + " is gone"}, action: Rekey, makes: u.fromKey()}
		if u.spec.Passphrase.Kind == secret.Generate && u.pass.file.missing {
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
	v.cert = obs.db.newest(u.owner, v.key.public, v.now)
	u.spent = obs.db.givenUp(u.owner, v.key.public)
	switch c := u.crt.cert; {
	case c == nil:
	case obs.db.knows(u.owner, c.Raw):
		if v.cert == nil {
			v.cert = c
		}
		v.sole = v.cert.Equal(c) && u.crt.alone
	default:
		v.crtOf = obs.db.holder(c)
		if v.crtOf == "" && signedByAny(c, v.ca.trusted) {
			return unrecorded(u.crt.name + " was issued by the CA, but the CA database knows nothing of it"), nil
		}
	}
	if v.cert == nil {
		v.keyOf = obs.db.keyOwner(v.key.public, u.owner)
		return nil, nil
	}
	r := obs.db.row(v.cert.SerialNumber)
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
	if view.cert != nil && !view.cert.NotAfter.Equal(view.ca.notAfter) {
		validityNote(v, view.owner, view.cert, view.spec.Validity)
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
		v.note(l.owner, true, "holds serial %s, which %s needs too: it is revoked when everybody has moved to a certificate of their own, or at once with --replace", strings.Join(serials(l.rows), " "), others(l.rows, l.owner))
		v.add(nil)
		return
	}
	t := newTask(l.owner, []finding{f})
	t.left, t.reason = l, l.reason
	v.add(t)
}
