package policy

import (
	"slices"
	"time"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
)

// userView is what policies of a user look at. It is of the user who is judged
// now, and overwritten for the next.
type userView struct {
	*facts.User
	audience
	spec   *config.User
	now    time.Time
	ca     *issuer
	needed func(ledger.Row) bool

	issued      ledger.Issued
	known       []ledger.Row       // the user's valid and unexpired rows, oldest first
	cert        *facts.Certificate // what the ledger holds for the key, else the one in place when it is recorded; nil for none
	state       ledger.State       // of cert
	shared      string             // the owners of cert's serial, "" for this user alone
	sole        bool               // cert is the one in place
	spent       bool               // the key must not be certified again
	compromised []ledger.Row       // those of known for a key that somebody else has
	crtOf       string             // whose the one in place is, when it is another's
	keyOf       string             // whose the key is, when it is another's

	replaced bool         // --replace asks for a new key
	adopted  bool         // this run takes over what lies there
	lost     bool         // the CA had issued that, and the ledger has lost it
	further  []string     // serials of other certificates in the user's files, which this run takes over too
	moved    *facts.Moved // the user had another name before; nil for none
}

// userPolicies are asked of every user who has a key.
var userPolicies = []policy[*userView]{
	{plan.Unrecorded, plan.CertificateRecorded, userAdopted, "what lies there is on record"},
	{plan.Moved, plan.FilesPresent, userMoved, "files and records have the name that the user has now"},
	{plan.Missing, plan.FilesPresent, certMissing, "the certificate is there"},
	{plan.Damaged, plan.CertificateRecorded, certDamaged, "the certificate is the one that was issued"},
	{plan.Revoked, plan.CertificateValid, certRevoked, "neither the certificate nor its key is revoked"},
	{plan.Revoked, plan.CertificateValid, keyCompromised, "nobody else has a key of the user"},
	{plan.IssuerChanged, plan.CertificateValid, issuerChanged, "a CA that is trusted has issued the certificate"},
	{plan.KeyMismatch, plan.KeyMatches, keyMismatch, "the certificate is for the key"},
	{plan.KeyChanged, plan.CertificateAsSpecified, keyChanged, "the key is of the type that the spec asks for"},
	{plan.SubjectChanged, plan.CertificateAsSpecified, subjectChanged, "the certificate has the name that the spec gives"},
	{plan.SANChanged, plan.CertificateAsSpecified, sanChanged, "the certificate has the e-mail address that the spec gives"},
	{plan.Expired, plan.CertificateValid, expired, "the certificate has not ended"},
	{plan.Expired, plan.CertificateValid, notBegun, "the certificate has begun"},
	{plan.Expiring, plan.CertificateValid, expiring, "the certificate does not end soon"},
	{plan.UsageChanged, plan.CertificateAsSpecified, usageChanged, "the certificate is what would be issued today"},
	{plan.UsageChanged, plan.CertificateRecorded, sharedSerial, "nobody else has the serial of the certificate"},
	{plan.OverlapOver, plan.CertificateValid, overlapOver, "the certificates before it have ended, or overlap has not"},
	{plan.PassphraseChanged, plan.KeyOpens, userPassphrase, "the key opens with the passphrase"},
	{plan.EncodingChanged, plan.Encodings, userEncoding, "the key is encrypted as the spec asks"},
	{plan.Missing, plan.FilesPresent, csrMissing, "the request is there"},
	{plan.Damaged, plan.CSRMatches, csrDamaged, "the request is the one that the certificate answers"},
	{plan.Upstream, plan.CSRMatches, csrUpstream, "the request is the one that the user has made"},
	{plan.PassphraseChanged, plan.CSRMatches, challengeDiffers, "the request has the challenge password that the spec gives"},
	{plan.Missing, plan.FilesPresent, p12Missing, everyP12},
	{plan.Damaged, plan.P12Opens, p12Damaged, "every .p12 can be read"},
	{plan.PassphraseChanged, plan.P12Opens, p12Passphrase, "every .p12 opens with the passphrase"},
	{plan.EncodingChanged, plan.Encodings, p12Encoding, "every .p12 is encrypted as the spec asks"},
	{plan.Upstream, plan.P12Matches, p12Upstream, "every .p12 holds what lies beside it"},
	{plan.EncodingChanged, plan.FilesPresent, strayFiles, "no file lies about that the spec has no use for"},
	{plan.EncodingChanged, plan.Encodings, userSealing, storedAsAsked},
	{plan.PassphraseChanged, plan.FilesPresent, userStrayPass, "no generated passphrase lies about that opens nothing"},
	{plan.Mode, plan.Modes, userModes, "no file is open to more than it should be"},
}

// keylessPolicies are asked of a user whose key has to be made first: of what
// that does not touch.
var keylessPolicies = []policy[*userView]{
	{plan.Unrecorded, plan.CertificateRecorded, userAdopted, "what lies there is on record"},
	{plan.Moved, plan.FilesPresent, userMoved, "files and records have the name that the user has now"},
	{plan.Revoked, plan.CertificateValid, keyCompromised, "nobody else has a key of the user"},
	{plan.EncodingChanged, plan.FilesPresent, strayFiles, "no file lies about that the spec has no use for"},
	{plan.EncodingChanged, plan.Encodings, userSealing, storedAsAsked},
	{plan.PassphraseChanged, plan.FilesPresent, userStrayPass, "no generated passphrase lies about that opens nothing"},
	{plan.Mode, plan.Modes, userModes, "no file is open to more than it should be"},
}

func (j *judgement) judgeUsers() {
	j.findHolders()
	for i := range j.Have.Users.Len() {
		j.judgeUser(i)
		if j.outlook != nil {
			j.outlook.see(j, i)
		}
	}
}

// judgeUser decides on one user. Nothing of the view outlasts it.
func (j *judgement) judgeUser(i int) {
	u, v := j.Have.Users.User(i), &j.user
	if j.found.renamed.not[u.Owner] {
		return // judgeMoved says why
	}
	adopted, isAdopted := j.found.users[u.Owner]
	*v = userView{
		User: u, audience: j.audience(u.Owner), spec: &j.Config.Users[j.Have.Users.Spec(i)], now: j.Now, ca: &j.issuer, needed: v.needed,
		issued: j.Ledger.IssuedTo(string(u.Owner)), known: j.Ledger.AppendValid(v.known[:0], string(u.Owner), j.Now),
		replaced: j.replace[u.Owner], adopted: isAdopted, lost: adopted.lost, further: j.found.further[u.Owner], moved: j.found.renamed.done[u.Owner],
	}
	v.closed, v.waits = u.Passphrase.Closed != nil, u.Asked == nil && waits(&u.Passphrase, v.spec.Seal)
	if len(j.compromised) > 0 {
		under := v.issued.Under(j.compromised)
		for _, r := range v.known {
			if under[r.Serial] {
				v.compromised = append(v.compromised, r)
			}
		}
	}
	if c := u.Crt.Cert; c != nil && c.NotBefore.After(j.late) {
		j.late, j.latest = c.NotBefore, u.Owner
	}
	findings, err := j.examineUser(v)
	if err == nil && v.replaced && u.Asked != nil && v.issued.EverFor(u.Key.SPKI) {
		err = plan.Errorf(plan.KeyReused, "the key is the user's own, and the request still holds the old key: supply a request with a new key first")
	}
	if err != nil {
		j.fail(u.Owner, err)
		j.addRevocations(i, v.unjudged(j.Ask.Reason))
		j.addRenaming(i)
		return
	}
	if v.replaced && !isRefusal(findings) {
		findings = append(findings, v.replace(j.Ask.Reason)...)
	}
	if u.Asked == nil {
		findings = closedRekey(&u.Passphrase, v.spec.Seal, findings)
	}
	t := newTask(OfUser, i, u.Owner, findings)
	if t != nil && t.NewPass {
		t.removeOther(&u.Passphrase, v.spec.Seal)
	}
	if v.spec.Passphrase.Kind == config.Generated && u.Asked == nil {
		j.sealed.see(u.Owner, &u.Passphrase, v.spec.Seal, t)
	}
	if err := j.sealedTooWell(v, t); err != nil {
		j.fail(u.Owner, err)
		j.addRevocations(i, findings)
		j.addRenaming(i)
		return
	}
	if t == nil {
		j.add(nil)
		if v.cert != nil && !v.cert.NotAfter.Equal(j.issuer.notAfter) {
			j.validityNote(u.Owner, v.cert.NotBefore, v.cert.NotAfter, v.spec.Validity)
		}
		if v.cert != nil && v.respelt() != "" {
			j.note(u.Owner, plan.NextRenewal, "the e-mail address is %q in the certificate and %q in the spec, which differ in upper and lower case alone: this takes effect at the next renewal", v.respelt(), v.spec.Subject.Email)
		}
		return
	}
	if v.cert != nil {
		t.Keep = v.cert.Sum
	}
	if !t.NewKey || u.Asked != nil {
		t.Key = u.Key.SPKI
	}
	if t.NewCert && t.Step.Action != plan.Refuse {
		if j.issuer.refused {
			j.verdict.Blocked = append(j.verdict.Blocked, t.Step)
			return // the refusal says it for everybody
		}
		if j.issuer.err != nil {
			j.fail(u.Owner, j.issuer.err)
			j.verdict.Blocked = append(j.verdict.Blocked, t.Step)
			j.addRevocations(i, findings)
			j.addRenaming(i)
			return
		}
		if u.Asked != nil && u.Asked.Type == pki.Ed25519 { // a user's whose key is made here, the spec warns of
			j.warn(u.Owner, plan.NotForBrowsers, "the request holds an Ed25519 key, and no browser offers a client certificate with one: it is fine for programs such as curl; of a person who uses a browser ask for a request with an ecdsa-p256 key")
		}
		t.Step.NotAfter = new(v.end())
		t.Step.Superseded = v.superseding(t)
		if t.Step.NotAfter.Before(uncut(j.Now, v.spec.Validity)) {
			j.cut++
		}
	}
	t.Step.Reimport = t.NewCert && len(u.P12) > 0
	j.add(t)
}

// addRevocations does of findings what takes access away, where nothing new can be
// made: whoever should be out is out.
func (j *judgement) addRevocations(i int, findings []finding) {
	var left []finding
	for _, f := range findings {
		if len(f.revokes) > 0 {
			left = append(left, finding{Reason: f.Reason, action: plan.Revoke, revokes: f.revokes, reason: f.reason})
		}
	}
	if len(left) == 0 {
		return
	}
	left[0].Message += "; a new certificate cannot be made now"
	if revoked := newTask(OfUser, i, j.user.Owner, left).Revokes; len(revoked) == len(j.user.known) {
		left[0].Message += ", so that the user has none until it can"
	}
	if left[0].removes = j.givenUp(); len(left[0].removes) > 0 {
		left[0].Message += ", and what the old passphrase opens is removed"
	}
	t := newTask(OfUser, i, j.user.Owner, left)
	t.NewPass = len(t.Removes) > 0
	if !j.user.replaced && len(t.Revokes) == len(j.user.known) {
		j.shut[j.user.Owner] = true
	}
	j.add(t)
}

// givenUp are the files of a user who is replaced that are of no use any more: the next run
// would give the new key the passphrase of the old one, which may be why it is replaced. Where
// something else keeps the user from being judged, they stay.
func (j *judgement) givenUp() []facts.File {
	v := &j.user
	if !v.replaced || v.Asked != nil || v.Err != nil || v.spec.Passphrase.Kind != config.Generated ||
		j.issuer.err == nil && !v.Passphrase.Unusable && v.ChallengeErr == nil {
		return nil
	}
	files := []facts.File{v.Passphrase.File, v.Key.File, v.Crt.File}
	if other := v.Passphrase.Other; other != nil {
		files = append(files, *other)
	}
	for i := range v.P12 {
		files = append(files, v.P12[i].File)
	}
	given := map[string]bool{}
	return slices.DeleteFunc(files, func(f facts.File) bool {
		twice := given[f.Name()] // a key that lies in a .p12
		given[f.Name()] = true
		return f.Missing || twice
	})
}

// addRenaming gives a user the new name of whom nothing else can be done.
func (j *judgement) addRenaming(i int) {
	if t := newTask(OfUser, i, j.user.Owner, coded(plan.Moved, userMoved(&j.user))); t != nil {
		j.add(t)
	}
}

// superseding are the certificates that a task leaves valid beside the new one.
func (v *userView) superseding(t *Task) []plan.Superseded {
	var out []plan.Superseded
	for _, r := range v.known {
		if v.ca.revoked[r.Serial] || slices.ContainsFunc(t.Revokes, func(gone ledger.Row) bool { return gone.Serial == r.Serial }) {
			continue
		}
		s := plan.Superseded{Serial: r.Serial, ValidUntil: r.NotAfter}
		if o := v.spec.Overlap; o != nil && v.now.Add(*o).Before(r.NotAfter) && !v.needed(r) {
			s.ValidUntil, s.Overlap = v.now.Add(*o), true
		}
		out = append(out, s)
	}
	return out
}

// endOf is when a certificate ends that is issued now: a user's never outlives the
// CA's, which ends at ca.
func endOf(now time.Time, validity time.Duration, ca time.Time) time.Time {
	end := uncut(now, validity)
	if end.After(ca) {
		return ca
	}
	return end
}

func uncut(now time.Time, validity time.Duration) time.Time {
	return now.Add(validity).Truncate(time.Second)
}

func (v *userView) end() time.Time { return endOf(v.now, v.spec.Validity, v.ca.notAfter) }
