package policy

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
)

// issuer is what the rest of the plan must know of the CA.
type issuer struct {
	trusted   []*x509.Certificate // who may have issued a certificate
	after     []*x509.Certificate // the CAs that are trusted after this plan; one that it makes has no more than its key, where that is known
	shut      []*x509.Certificate // earlier generations that are compromised
	revoked   map[string]bool     // serials of what those have issued, which this plan revokes
	notBefore time.Time
	notAfter  time.Time // of the CA certificate after this plan
	refused   bool      // the plan holds a refusal of the CA
	rolled    bool      // this plan makes a new generation
	dropped   bool      // and leaves the one before behind
	lost      bool      // and cannot open the key of that
	err       error     // why nothing can be issued now
	closed    bool      // that is because its passphrase is sealed, and nothing is wrong until something is to be signed
}

// judgeCA decides on the CA, and what it can do for the rest of the plan.
func (j *judgement) judgeCA() {
	owner, current, is := j.Have.CA.Owner, j.trust.Current(), &j.issuer
	is.after = j.trust.Certificates()
	is.trusted = append(slices.Clip(is.after), j.leaves()...)
	findings, err := j.examineCA()
	if err != nil {
		is.err = plan.Errorf(plan.CAUnavailable, "%s cannot sign: %w", owner, err)
	}
	is.refused = isRefusal(findings)
	if j.Have.CA.Passphrase.Closed != nil && err == nil && !is.refused {
		findings, err = j.closedCA(findings)
	}
	if err == nil && !is.refused {
		findings, err = j.unsealedCA(findings)
	}
	covered := j.Ask.Covers(owner)
	if !covered && !is.refused {
		// A refusal holds whatever was asked for: such a CA can issue nothing to anybody. And
		// whom nobody depends on any more leaves with the last whom it has issued for.
		findings = slices.DeleteFunc(findings, func(f finding) bool { return f.Code != plan.OverlapOver || len(j.trust.left) == 0 })
	}
	if !is.refused && j.Have.CA.Err == nil { // else one of the two may be what cannot be read
		findings = withGit(&j.Have.CA, findings)
	}
	rolls := current != nil && newTask(OfCA, 0, owner, findings).makesKey()
	t := newTask(OfCA, 0, owner, append(findings, j.examineCompromised(rolls)...))
	if t != nil && t.NewPass {
		t.removeOther(&j.Have.CA.Passphrase, j.Config.CA.Seal)
	}
	if j.Config.CA.Passphrase.Kind == config.Generated {
		j.sealed.see(owner, &j.Have.CA.Passphrase, j.Config.CA.Seal, t)
	}
	is.notBefore, is.notAfter = j.Now.Add(-pki.Backdate), j.Now.Add(j.Config.CA.Validity).Truncate(time.Second)
	switch {
	case t != nil && t.NewCert && !is.refused:
		t.Step.NotAfter = new(is.notAfter)
	case current != nil:
		is.notBefore, is.notAfter = current.Cert.NotBefore, current.Cert.NotAfter
	case is.err == nil && !is.refused:
		is.err = plan.Errorf(plan.CAUnavailable, "%s has to be made first: add --only %s", owner, owner)
	}
	failure := cmp.Or(err, j.Have.CA.Passphrase.Unsealed)
	if covered && failure != nil {
		j.fail(owner, failure)
	}
	if t != nil || covered && failure == nil {
		j.add(t)
	}
	is.rolled = rolls && !is.refused
	is.dropped = is.rolled && (current.Dependents == 0 || j.trust.Compromised(current) || j.trust.left[current.SPKI])
	is.lost = is.rolled && blocked(j.Have.CA.Key)
	j.verdict.Dropped = is.dropped
	if t != nil && t.NewCert && !is.refused {
		if current != nil && (!is.rolled || is.dropped) {
			is.after = is.after[1:]
		}
		made := &x509.Certificate{}
		if current != nil && !is.rolled {
			made.RawSubjectPublicKeyInfo = current.Cert.RawSubjectPublicKeyInfo
		}
		is.after = append([]*x509.Certificate{made}, is.after...)
	}
	if j.trust.Compromised(current) && !is.rolled && !is.refused {
		why := "the new CA cannot be made now"
		if !covered {
			why = "--only leaves out " + string(owner) + ": add --only " + string(owner)
		}
		j.warn(owner, plan.CompromisedTrusted, "generation %d is compromised and still trusted, because %s", current.Number, why)
	}
	if is.rolled && j.trust.Compromised(current) {
		is.trusted = is.trusted[1:] // its users get new certificates in this very run
	}
	if covered && err == nil {
		j.passphraseNote()
		if !is.rolled {
			j.caNotes(t != nil && t.NewCert)
		}
	}
}

// examineCompromised revokes what a compromised generation has issued, and leaves it
// behind. rolls says that this plan makes a new generation: one that would stay the
// current one is not left behind, because nobody would get in any more.
func (j *judgement) examineCompromised(rolls bool) []finding {
	var out []finding
	j.issuer.revoked = map[string]bool{}
	for i := range j.trust.Generations {
		g := &j.trust.Generations[i]
		last := i == len(j.trust.Generations)-1
		if !j.trust.Compromised(g) || last && !rolls {
			continue
		}
		j.issuer.shut = append(j.issuer.shut, g.Cert)
		f := finding{action: plan.Revoke, reason: ledger.CACompromise, Reason: plan.Reason{Code: plan.Revoked, Field: "compromised",
			Message: fmt.Sprintf("generation %d is compromised and no longer trusted", g.Number)}}
		f.revokes = j.dependents(g)
		for i := range f.revokes {
			j.issuer.revoked[f.revokes[i].Serial] = true
		}
		if n := len(f.revokes); n > 0 {
			f.Message += fmt.Sprintf("; %s %s revoked", plural(n, "certificate"), agree(n, "is", "are"))
		}
		if !last && slices.ContainsFunc(j.Have.CA.Crt.All, func(c *x509.Certificate) bool { return pki.PublicID(c.PublicKey) == g.SPKI }) {
			f.makes = []plan.Kind{plan.KindCrt}
		}
		if len(f.revokes) > 0 || len(f.makes) > 0 {
			out = append(out, f)
		}
	}
	return out
}

// examineCA finds out in which state the CA is.
func (j *judgement) examineCA() ([]finding, error) {
	ca, spec := &j.Have.CA, &j.Config.CA
	gens := len(j.trust.Generations)
	no := func(code plan.Code, format string, args ...any) ([]finding, error) {
		return refuse(code, fmt.Sprintf(format, args...)), nil
	}
	torn := func(format string, args ...any) ([]finding, error) {
		return checked(plan.DatabaseWhole, refuse(plan.Missing, fmt.Sprintf(format, args...))), nil
	}
	other := func() string { return j.Ledger.OtherCA(string(ca.Owner)) }
	waysOn := fmt.Sprintf("restore it from a backup, or set generation = %d: a new CA is made then, and the old one stays trusted until its users have moved", gens+1)
	view := &caView{CA: ca, audience: j.audience(ca.Owner), spec: spec, now: j.Now, trust: j.trust, trusted: j.issuer.after, file: j.Ledger.TrustFile(string(ca.Owner), j.issuer.after), adopted: j.found.ca, renewed: j.found.renewed, declined: j.found.declined, owed: j.settled(), restored: j.found.restored}
	view.closed, view.waits = ca.Passphrase.Closed != nil, waits(&ca.Passphrase, j.Config.CA.Seal)
	otherCipher := errOtherCipher(j.Config.Output, &ca.Key)
	lost, halves := len(j.Ledger.Lost()), j.halves()
	switch {
	case ca.Err != nil:
		return nil, fallback(plan.FileError, ca.Err)
	case halves != "":
		return checked(plan.DatabaseWhole, refuse(plan.Damaged, halves+": "+facts.OneState(j.Config.Output))), nil
	case gens == 0 && other() != "":
		return no(plan.Unrecorded, "the directory belongs to %s: put that name back into the ca block, or name another output", other())
	case ca.Key.Missing && gens > 0 && spec.Generation != gens+1:
		return no(plan.Missing, "%s is gone, and certificates were issued with it: %s", ca.Key.Name(), waysOn)
	case lost > 0 && len(j.found.Question.Ledger.Rows()) == 0 && !j.Ask.Adopt:
		return torn("%s is gone or empty, and %s holds %s, of which it told which are revoked: restore it from a backup, or from OpenSSL's copy %s.old; or say --adopt, and all are recorded again, revoked where the CRL says so",
			ledger.IndexName, ledger.IssuedName, plural(lost, "certificate"), ledger.IndexName)
	case lost > 0 && gens == 0:
		return torn("%s holds no certificate of %s, so that nothing tells which CRL is to be believed, and %s that %s does not list under the owner given there: restore it from a backup",
			ledger.IssuedName, ca.Owner, plural(lost, "certificate"), ledger.IndexName)
	case lost > 0:
		return torn("%s lacks %s of %s, and without a CRL that can be read nothing tells which of them are revoked: restore one of the two from a backup",
			ledger.IndexName, plural(lost, "certificate"), ledger.IssuedName)
	case gens > 0 && spec.Generation == gens+1 && ca.Passphrase.Err == nil && lostKey(ca, spec):
		return ask(view, lostKeyPolicies), nil
	case ca.Key.Missing && ca.Passphrase.Err != nil && gens > 0:
		return nil, errUnavailable(&ca.Passphrase)
	case ca.Key.Missing && (len(j.Ledger.Rows()) > 0 || !j.Ledger.Blank()):
		return no(plan.Missing, "%s is gone, and certificates were issued with it: restore it from a backup", ca.Key.Name())
	case ca.Key.Missing && !ca.Crt.Missing:
		return no(plan.Unrecorded, "%s is there, but neither its key nor a record of it: move it away to have a new CA made, or restore %s", ca.Crt.Name(), ca.Key.Name())
	case ca.Key.Missing && ca.Passphrase.Err != nil:
		return nil, errUnavailable(&ca.Passphrase)
	case ca.Key.Missing && spec.Generation > 1:
		return no(plan.KeyChanged, "there is no CA yet, and the spec asks for generation %d: start with generation 1", spec.Generation)
	case ca.Key.Missing && ca.EasyRSA:
		return no(plan.Unrecorded, "easy-rsa has made a CA here: copy private/ca.key to %s, ca.crt to %s and crl.pem to %s (easyrsa gen-crl makes it), of each user private/USER.key to %s and issued/USER.crt to %s, and say --adopt; once everybody is taken over, delete the private directory, whose keys are not encrypted; or name another output, to have a new CA made",
			ca.Key.Name(), ca.Crt.Name(), facts.CAPath(spec.Name, plan.KindCRL), facts.UserPath(facts.Base("USER", spec.Name), plan.KindKey), facts.UserPath(facts.Base("USER", spec.Name), plan.KindCrt))
	case ca.Key.Missing:
		first := firstCA(ca, spec)
		view.hear(plan.Missing, plan.FilesPresent, "there is a CA", first)
		return first, nil
	case otherCipher != nil:
		return no(plan.Unreadable, "%v", otherCipher)
	case ca.Key.Opening == facts.Unreadable && gens > 0:
		return no(plan.Unreadable, "%s holds no key that can be read (%v): %s", ca.Key.Name(), ca.Key.Why, waysOn)
	case ca.Key.Opening == facts.Unreadable:
		return no(plan.Unreadable, "%s holds no key that can be read (%v): restore it from a backup; it is never replaced, but moved away with %s it makes room for a new CA", ca.Key.Name(), ca.Key.Why, ca.Crt.Name())
	case gens == 0 && ca.Crt.Missing:
		return no(plan.Unrecorded, "%s is there, and no certificate of the CA: put it into %s, or move the key away to have a new CA made", ca.Key.Name(), ca.Crt.Name())
	case gens == 0 && ca.Crt.Cert == nil:
		return no(plan.Unrecorded, "%s holds no certificate that can be read (%v): put the CA's certificate there, or move the file and %s away to have a new CA made", ca.Crt.Name(), ca.Crt.Why, ca.Key.Name())
	case gens == 0 && j.Ask.Adopt:
		return no(plan.Unrecorded, "%s was made by hand too, and has to be taken over first: say --only %s as well", ca.Key.Name(), ca.Owner)
	case gens == 0:
		return no(plan.Unrecorded, "%s is there, and beside it %s, of which the CA database knows nothing: say --adopt to take over what was made by hand, or restore %s from a backup", ca.Key.Name(), describeCert(&ca.Crt), ledger.IssuedName)
	case ca.Passphrase.Err != nil:
		return nil, errUnavailable(&ca.Passphrase)
	case ca.Key.Opening == facts.OpensNeither:
		err := errWrongPassphrase(ca.Owner, &ca.Key, &ca.Passphrase, spec.Passphrase, spec.PreviousPassphrase, j.found.ca)
		if gens == 0 || j.found.ca {
			return nil, err
		}
		return nil, fmt.Errorf("%w; if no passphrase is left that opens it, %s", err, j.nextCA())
	case ca.Key.SPKI != j.trust.Current().SPKI && j.found.ca:
		return no(plan.KeyMismatch, "%s and %s do not belong together: put the key and the certificate of one CA there", ca.Key.Name(), ca.Crt.Name())
	case ca.Key.SPKI != j.trust.Current().SPKI:
		return no(plan.KeyMismatch, "%s is not the key of the CA certificate that the database holds: restore the one that belongs to %s", ca.Key.Name(), ca.Crt.Name())
	case ca.Key.Type.Bits() > 0 && ca.Key.Type.Bits() < leastSigner:
		return no(plan.KeyChanged, "%s is %s, with which nothing can be signed any more, and every TLS library refuses what it has signed: move it and %s away to have a new CA made", ca.Key.Name(), ca.Key.Type, ca.Crt.Name())
	case spec.Generation < gens || spec.Generation > gens+1:
		return no(plan.KeyChanged, "the CA is at generation %d and the spec asks for %d: raise it by one at a time, and never lower it", gens, spec.Generation)
	}
	if refused, err := j.examineParents(view); refused != nil || err != nil {
		return refused, err
	}
	return ask(view, caPolicies), nil
}

// leastSigner is the length in bits of the shortest RSA key that crypto/rsa signs with.
const leastSigner = 1024

// lostKey reports whether the CA's key is lost for good. One that merely does not open
// with the passphrase of this run is not: the passphrase may be mistyped, and the new
// key would be encrypted under it.
func lostKey(ca *facts.CA, spec *config.CA) bool {
	return ca.Key.Missing || ca.Key.Opening == facts.Unreadable || ca.Key.Opening == facts.OpensNeither && spec.Passphrase.Kind == config.Generated && !ca.Passphrase.Made
}

// firstCA makes the CA of a directory that has none.
func firstCA(ca *facts.CA, spec *config.CA) []finding {
	first := finding{Reason: plan.Reason{Code: plan.Missing, Message: "there is no CA yet"}, action: plan.Create, makes: []plan.Kind{plan.KindKey, plan.KindCrt}}
	if spec.Passphrase.Kind == config.Generated && ca.Passphrase.Missing {
		first.fresh(spec.Seal)
	}
	if slices.ContainsFunc(ca.Git, func(g facts.GitFile) bool { return !g.Whole() }) {
		first.makes = append(first.makes, plan.KindGit)
	}
	var modes []finding
	for i := range ca.Wide {
		modes = wide(modes, &ca.Wide[i])
	}
	stored := coded(plan.EncodingChanged, sealing(&ca.Passphrase, spec.Passphrase, spec.Seal))
	return slices.Concat(coded(plan.Mode, modes), stored, []finding{first})
}

// settled counts the requests of an interrupted run of which the authority has told
// what became.
func (j *judgement) settled() int {
	n := 0
	for _, o := range j.Have.Owed {
		if o.Err == nil {
			n++
		}
	}
	return n
}

// judgeOwed fails the owners of requests of which nothing can be told.
func (j *judgement) judgeOwed() {
	for _, o := range j.Have.Owed {
		if o.Err != nil {
			j.fail(o.Owner, o.Err)
		}
	}
}
