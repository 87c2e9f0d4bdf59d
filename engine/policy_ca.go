package engine

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"mtlsplan/internal/outdir"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/secret"
)

// caView is what policies of the CA look at.
type caView struct {
	*caFacts
	now  time.Time
	cert *x509.Certificate // the one in place, or the one that the database holds for the key
}

// issuer is what the rest of the plan must know of the CA.
type issuer struct {
	owner     Owner
	trusted   []*x509.Certificate // who may have issued a certificate
	notBefore time.Time
	notAfter  time.Time // of the CA certificate after this plan
	err       error     // why nothing can be issued now
}

var caPolicies = []policy[caView]{
	{Damaged, func(v caView) []finding { // a certificate that does not fit its record is restored
		if v.crt.missing || v.crt.cert != nil && bytes.Equal(v.crt.cert.Raw, v.cert.Raw) {
			return nil
		}
		return []finding{{Reason: Reason{Message: v.crt.name + " is not the certificate that the database holds for the key"}, action: Repair, makes: []string{kindCrt}}}
	}},
	{Missing, func(v caView) []finding {
		if !v.crt.missing {
			return nil
		}
		return []finding{{Reason: Reason{Message: v.crt.name + " is gone; the database holds it"}, action: Repair, makes: []string{kindCrt}}}
	}},
	{Expired, func(v caView) []finding {
		if !v.now.After(v.cert.NotAfter) {
			return nil
		}
		return []finding{{Reason: Reason{
			Message: fmt.Sprintf("the CA certificate has expired on %s, so that nobody gets in and nothing can be issued: raise generation by one in the ca block to roll over to a new CA", day(v.cert.NotAfter)),
			Field:   "validity", Have: day(v.cert.NotAfter)}, action: Refuse}}
	}},
	{Expiring, func(v caView) []finding {
		due := v.cert.NotAfter.Add(-v.spec.RenewBefore)
		if v.now.Before(due) || v.now.After(v.cert.NotAfter) || !v.now.Add(v.spec.Validity).After(v.cert.NotAfter) {
			return nil
		}
		return []finding{{Reason: Reason{
			Message: fmt.Sprintf("the CA certificate ends on %s, and is renewed from %s on; the key and its users stay", day(v.cert.NotAfter), day(due)),
			Field:   "renew_before", Have: day(v.cert.NotAfter)}, action: Reissue, makes: []string{kindCrt}}}
	}},
	{UsageChanged, func(v caView) []finding {
		var out []finding
		for _, m := range pki.CAUsage(v.cert) {
			out = append(out, finding{Reason: Reason{Message: "the CA certificate has another " + m.Field + " than it should", Field: m.Field, Have: m.Have, Want: m.Want},
				action: Reissue, makes: []string{kindCrt}})
		}
		return out
	}},
	{PassphraseChanged, func(v caView) []finding { return keyPassphrase(v.key, v.pass) }},
	{EncodingChanged, func(v caView) []finding { return keyEncoding(v.key, v.spec.KDFIterations) }},
	{Mode, func(v caView) []finding {
		return append(modes(v.pass.file, v.key.fileFacts, v.crt.fileFacts), modes(v.wide...)...)
	}},
}

// judgeCA decides on the CA, and what it can do for the rest of the plan.
func judgeCA(v *verdict, obs *Observed, covers func(Owner) bool) issuer {
	ca := &obs.ca
	is := issuer{owner: ca.owner, notBefore: obs.now.Add(-backdate), notAfter: obs.now.Add(ca.spec.Validity).Truncate(time.Second)}
	findings, cert, err := examineCA(obs)
	if err != nil {
		is.err = fmt.Errorf("%s cannot sign: %w", ca.owner, err)
		if covers(ca.owner) {
			v.fail(ca.owner, err)
		}
	}
	if cert != nil {
		is.trusted = append([]*x509.Certificate{cert}, ca.crt.others...)
	}
	t := newTask(ca.owner, findings)
	if t != nil {
		t.ca, t.cert = ca, cert
		if slices.Contains([]Action{Create, Reissue}, t.step.Action) {
			t.step.NotAfter = &is.notAfter
		}
	}
	if t == nil || t.step.Action != Create && t.step.Action != Reissue || !covers(ca.owner) {
		if cert != nil {
			is.notBefore, is.notAfter = cert.NotBefore, cert.NotAfter
		} else if is.err == nil {
			is.err = fmt.Errorf("%s has to be made first: add --only %s", ca.owner, ca.owner)
		}
	}
	if !covers(ca.owner) {
		// What must be refused is refused whatever was asked for: nobody can be
		// issued anything by such a CA.
		if t != nil && t.step.Action == Refuse {
			v.add(t)
		}
		return is
	}
	if err == nil {
		v.add(t)
		caNotes(v, ca, cert)
	}
	return is
}

// examineCA finds out in which state the CA is. A nil certificate without an
// error means that there is none yet.
func examineCA(obs *Observed) ([]finding, *x509.Certificate, error) {
	ca, db := &obs.ca, obs.db
	refuse := func(code Code, format string, args ...any) []finding {
		return []finding{{Reason: Reason{Code: code, Message: fmt.Sprintf(format, args...)}, action: Refuse}}
	}
	switch {
	case ca.err != nil:
		return nil, nil, ca.err
	case ca.key.missing && len(db.rows) > 0:
		return refuse(Missing, "%s is gone, and certificates were issued with it: restore it from a backup; a new CA is never made as a side effect", ca.key.name), nil, nil
	case ca.key.missing && !ca.crt.missing:
		return refuse(Unrecorded, "%s is there, but neither its key nor a record of it: move it away to have a new CA made, or restore %s", ca.crt.name, ca.key.name), nil, nil
	case ca.key.missing && ca.pass.err != nil:
		return nil, nil, ca.pass.err
	case ca.key.missing:
		makes := []string{kindKey, kindCrt}
		if ca.spec.Passphrase.Kind == secret.Generate && ca.pass.file.missing {
			makes = append(makes, kindPass)
		}
		return []finding{{Reason: Reason{Code: Missing, Message: "there is no CA yet"}, action: Create, makes: makes}}, nil, nil
	case ca.key.opened == cannotBeOpened:
		return refuse(Unreadable, "%s holds no key that can be read: restore it from a backup; it is never replaced", ca.key.name), nil, nil
	case len(db.issued[ca.owner]) == 0:
		return refuse(Unrecorded, "%s is there, but the CA database knows nothing of it: restore %s from a backup, or move the key away to have a new CA made", ca.key.name, issuedName), nil, nil
	case ca.pass.err != nil:
		return nil, caRecorded(obs, ""), ca.pass.err
	case ca.key.opened == opensNeither:
		return nil, caRecorded(obs, ""), errWrongPassphrase(ca.key, ca.pass, ca.spec.Passphrase.Kind == secret.Generate, !ca.spec.PreviousPassphrase.IsZero())
	}
	cert := caRecorded(obs, ca.key.public)
	if cert == nil {
		return refuse(KeyMismatch, "%s is not the key of any CA certificate that the database holds: restore the one that belongs to %s", ca.key.name, ca.crt.name), nil, nil
	}
	return ask(caView{ca, obs.now, cert}, caPolicies), cert, nil
}

// caRecorded is the CA certificate of a key: the one in place when it is
// recorded, else the newest in the database. Without a key, whatever is in
// place counts.
func caRecorded(obs *Observed, public string) *x509.Certificate {
	ca := &obs.ca
	if c := ca.crt.cert; c != nil && obs.db.knows(ca.owner, c.Raw) && (public == "" || pki.PublicID(c.PublicKey) == public) {
		return c
	}
	list := obs.db.issued[ca.owner]
	for i := len(list) - 1; i >= 0; i-- {
		if c, err := x509.ParseCertificate(list[i]); err == nil && (public == "" || pki.PublicID(c.PublicKey) == public) {
			return c
		}
	}
	return nil
}

// caNotes says what the spec asks for and only a new generation can give.
func caNotes(v *verdict, ca *caFacts, cert *x509.Certificate) {
	if cert == nil {
		return
	}
	have, _, err := pki.ParseSubject(cert.RawSubject)
	if err == nil {
		for _, d := range subjectDiff(have, ca.spec.Subject) {
			v.note(ca.owner, false, "%s is %q in the CA certificate and %q in the spec: this takes effect with the next generation", d.Field, d.Have, d.Want)
		}
	}
	if typ := pki.KeyTypeOf(cert.PublicKey); typ != ca.spec.Key {
		v.note(ca.owner, false, "the CA's key is %s and the spec asks for %s: this takes effect with the next generation", typ, ca.spec.Key)
	}
	validityNote(v, ca.owner, cert, ca.spec.Validity)
}

// validityNote tells that a changed validity alone issues nothing.
func validityNote(v *verdict, owner Owner, cert *x509.Certificate, want time.Duration) {
	if have := cert.NotAfter.Sub(cert.NotBefore) - backdate; have != want {
		v.note(owner, false, "the certificate was issued for %s and the spec says %s: this takes effect at the next renewal", days(have), days(want))
	}
}

// errWrongPassphrase says what can be done about a key that does not open.
func errWrongPassphrase(k keyFacts, p passphrases, generated, hasPrevious bool) error {
	switch {
	case generated && p.now.IsZero():
		return fmt.Errorf("the generated passphrase %s is gone, and %s does not open without it: restore it from a backup, or name the passphrase as previous_passphrase", p.file.name, k.name)
	case hasPrevious:
		return fmt.Errorf("neither passphrase nor previous_passphrase opens %s; nothing was touched: name the one that it was made with as previous_passphrase", k.name)
	}
	return fmt.Errorf("the passphrase does not open %s; nothing was touched: correct it, or name the one that the key was made with as previous_passphrase", k.name)
}

// keyPassphrase and keyEncoding are asked of every encrypted key.
func keyPassphrase(k keyFacts, p passphrases) []finding {
	if k.opened != opensPrevious {
		return nil
	}
	makes := []string{kindKey}
	if p.now.IsZero() {
		makes = append(makes, kindPass)
	}
	return []finding{{Reason: Reason{Message: k.name + " opens with previous_passphrase and not with passphrase"}, action: Rebuild, makes: makes}}
}

func keyEncoding(k keyFacts, iterations int) []finding {
	var out []finding
	add := func(field, have, want string) {
		out = append(out, finding{Reason: Reason{Message: k.name + " has another " + field + " than the spec asks for", Field: field, Have: have, Want: want},
			action: Rebuild, makes: []string{kindKey}})
	}
	if k.missing {
		return nil
	}
	if k.info.Encoding != pki.KeyEncoding {
		add("encoding", k.info.Encoding, pki.KeyEncoding)
	} else if k.info.Iterations != iterations {
		add("kdf_iterations", fmt.Sprint(k.info.Iterations), fmt.Sprint(iterations))
	}
	return out
}

// widest is the widest mode that a file or directory may have.
func widest(f fileFacts) fs.FileMode {
	if f.kind == kindDB && (f.name == outdir.DB || f.name == "secrets") {
		return outdir.ModePrivate
	}
	return kindMode(f.kind)
}

// modes finds files whose permission bits are wider than they may be.
func modes(files ...fileFacts) []finding {
	var out []finding
	for _, f := range files {
		want := widest(f)
		if f.missing || f.mode&^want == 0 {
			continue
		}
		out = append(out, finding{Reason: Reason{Message: f.name + " is open to more than it should be", Field: "mode", Have: perm(f.mode), Want: perm(f.mode & want)},
			action: Repair, fixes: []fileFacts{f}})
	}
	return out
}

// subjectDiff names the attributes in which two subjects differ.
func subjectDiff(have, want pki.Subject) []pki.Mismatch {
	var out []pki.Mismatch
	w := subjectFields(want)
	for i, h := range subjectFields(have) {
		if h.value != w[i].value {
			out = append(out, pki.Mismatch{Field: "subject." + h.name, Have: h.value, Want: w[i].value})
		}
	}
	return out
}

// subjectFields are a subject's attributes by the names that the spec has for them.
func subjectFields(s pki.Subject) []struct{ name, value string } {
	return []struct{ name, value string }{
		{"country", s.Country}, {"province", s.Province}, {"locality", s.Locality}, {"organization", s.Organization},
		{"organizational_unit", s.OrganizationalUnit}, {"common_name", s.CommonName}, {"email", s.Email},
	}
}
