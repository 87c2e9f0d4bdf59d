package policy

import (
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
)

// The policies of a user's key and certificate.

func certMissing(v *userView) []finding {
	switch {
	case !v.Crt.Missing:
		return nil
	case v.cert != nil:
		message := v.Crt.Name() + " is gone; the database holds it"
		if v.Crt.Cert != nil {
			message = "there is no certificate file: the certificate is taken out of the .p12"
		}
		return one(plan.Repair, plan.Reason{Message: message}, plan.KindCrt)
	}
	return v.renew(plan.Reason{Message: v.Crt.Name() + " is gone, and the database holds no valid certificate for the key"})
}

func certDamaged(v *userView) []finding {
	switch {
	case v.Crt.Missing || v.sole:
		return nil
	case v.cert != nil && v.Crt.Cert != nil && v.cert.Sum == v.Crt.Cert.Sum && v.adopted:
		return one(plan.Repair, plan.Reason{Message: v.Crt.Name() + " is not the PEM of the certificate alone" + in(v.Crt.Form) + ": it is written anew"}, plan.KindCrt)
	case v.cert != nil:
		return one(plan.Repair, plan.Reason{Message: v.Crt.Name() + " is not the certificate that was issued; the database holds that one"}, plan.KindCrt)
	case v.Crt.Cert != nil && !issuedByAny(v.Crt.Cert, v.ca.trusted):
		return nil // of a foreign certificate issuerChanged speaks
	case v.crtOf != "":
		return v.renew(plan.Reason{Message: fmt.Sprintf("%s is the certificate of %s, and the database holds no valid one for the key", v.Crt.Name(), v.crtOf)})
	}
	return v.renew(plan.Reason{Message: v.Crt.Name() + " cannot be read or was altered, and the database holds no valid certificate for the key"})
}

func certRevoked(v *userView) []finding {
	switch {
	case v.cert != nil && v.state == ledger.Revoked:
		return v.rekey(plan.Reason{Message: "the certificate is revoked in the CA database, and the spec still lists the user", Field: "serial", Have: v.cert.Serial})
	case v.spent:
		return v.rekey(plan.Reason{Message: "a certificate for the key is revoked in the CA database, and the spec still lists the user"})
	}
	return nil
}

// keyCompromised revokes what was issued for a key that somebody else has, whosever key
// it was when that was found.
func keyCompromised(v *userView) []finding {
	if len(v.compromised) == 0 || v.replaced {
		return nil
	}
	r := plan.Reason{Message: "a certificate for the same key was revoked for keyCompromise: whoever has the key gets in with every other one",
		Field: "serial", Have: strings.Join(Serials(v.compromised), " ")}
	if also := others(v.compromised, v.Owner); also != "" {
		r.Message += "; with a shared serial this also ends what was issued before to " + also
	}
	f := finding{Reason: r, action: plan.Revoke}
	if v.cert != nil && slices.ContainsFunc(v.compromised, func(r ledger.Row) bool { return r.Serial == v.cert.Serial }) {
		f = v.rekey(r)[0]
	}
	f.revokes, f.reason = v.compromised, ledger.KeyCompromise
	return []finding{f}
}

// issuerChanged goes by names and key identifiers: the signature was checked when
// the certificate was issued, and its bytes are compared with the record.
func issuerChanged(v *userView) []finding {
	cert := v.cert
	if cert == nil {
		cert = v.Crt.Cert
	}
	if cert == nil || issuedByAny(cert, v.ca.trusted) {
		return nil
	}
	message := "no CA in the CA certificate file has issued the certificate"
	if issuedByAny(cert, v.ca.shut) {
		message = "the CA generation that has issued the certificate is compromised"
	}
	return v.rekey(plan.Reason{Message: message, Field: "issuer", Have: pki.NameString([]byte(cert.Issuer))})
}

func keyMismatch(v *userView) []finding {
	switch {
	case v.Asked != nil:
		return nil
	case v.keyOf != "":
		return v.rekey(plan.Reason{Message: fmt.Sprintf("%s is the key of %s", v.Key.Name(), v.keyOf)})
	case v.cert == nil || v.cert.SPKI == v.Key.SPKI:
		return nil
	}
	return v.rekey(plan.Reason{Message: v.Key.Name() + " and " + v.Crt.Name() + " do not belong together"})
}

func keyChanged(v *userView) []finding {
	if v.Asked != nil {
		return csrKeyChanged(v)
	}
	if v.Key.Type == v.spec.Key {
		return nil
	}
	message := "the spec asks for another type of key"
	if v.Key.Type.Short() {
		message += fmt.Sprintf(", and TLS libraries refuse %s today", v.Key.Type)
	}
	return v.rekey(plan.Reason{Message: message, Field: "key", Have: string(v.Key.Type), Want: string(v.spec.Key)})
}

func subjectChanged(v *userView) []finding {
	if v.cert == nil {
		return nil
	}
	if !v.cert.Plain {
		return v.rekey(plan.Reason{Message: "the certificate's subject has attributes that a spec cannot ask for", Field: "subject", Have: pki.NameString([]byte(v.cert.Subject))})
	}
	var out []finding
	want := v.spec.Subject
	if strings.EqualFold(want.Email, v.cert.Name.Email) {
		want.Email = v.cert.Name.Email // the same address: see respelt
	}
	for _, d := range subjectDiff(v.cert.Name, want) {
		out = append(out, v.rekey(plan.Reason{Message: "the spec gives another subject", Field: d.Field, Have: d.Have, Want: d.Want})...)
	}
	return out
}

func sanChanged(v *userView) []finding {
	if v.cert == nil || slices.EqualFunc(v.cert.SANs, v.spec.SANs(), sameSAN) {
		return nil
	}
	if slices.ContainsFunc(v.cert.SANs, func(s pki.SAN) bool { return s.Type != pki.SANEmail }) {
		return v.rekey(plan.Reason{Message: "the certificate has subject alternative names that a spec cannot ask for", Field: "subjectAltName",
			Have: pki.TypedSANText(v.cert.SANs), Want: pki.TypedSANText(v.spec.SANs())})
	}
	return v.rekey(plan.Reason{Message: "the spec gives another e-mail address for the subject alternative name", Field: "email",
		Have: pki.SANText(v.cert.SANs), Want: pki.SANText(v.spec.SANs())})
}

// sameSAN compares names as people do: mail for Ada@example.com and ada@example.com goes
// to one person, and a new certificate for a new spelling helps nobody.
func sameSAN(a, b pki.SAN) bool {
	return a == b || a.Type == b.Type && a.Type == pki.SANEmail && strings.EqualFold(a.Value, b.Value)
}

// respelt is the e-mail address in a certificate that the spec writes otherwise, in upper
// or lower case; "" for none.
func (v *userView) respelt() string {
	for _, s := range v.cert.SANs {
		if s.Type == pki.SANEmail && s.Value != v.spec.Subject.Email {
			return s.Value
		}
	}
	return ""
}

func expired(v *userView) []finding {
	if v.cert == nil || !v.now.After(v.cert.NotAfter) {
		return nil
	}
	return v.renew(plan.Reason{Message: "the certificate has expired on " + day(v.cert.NotAfter), Field: "validity", Have: day(v.cert.NotAfter)})
}

// notBegun finds a certificate that is not valid yet, and could be.
func notBegun(v *userView) []finding {
	if v.cert == nil || !ahead(v.now, v.cert.NotBefore) || !v.cert.NotBefore.After(v.ca.notBefore) {
		return nil
	}
	return v.renew(plan.Reason{Message: "the certificate is valid only from " + day(v.cert.NotBefore) + " on", Field: "validity", Have: day(v.cert.NotBefore)})
}

func expiring(v *userView) []finding {
	if v.cert == nil || v.now.After(v.cert.NotAfter) {
		return nil
	}
	due := v.spec.Due(v.cert.NotAfter)
	// A certificate that was cut to the CA's end is due only when a new one
	// would last longer: it would be renewed on every run otherwise.
	if v.now.Before(due) || !v.end().After(v.cert.NotAfter) {
		return nil
	}
	return v.renew(plan.Reason{Message: fmt.Sprintf("the certificate ends on %s, and is renewed from %s on", day(v.cert.NotAfter), day(due)),
		Field: "renew_before", Have: day(v.cert.NotAfter)})
}

func usageChanged(v *userView) []finding {
	var out []finding
	for _, m := range v.unusual() {
		out = append(out, one(plan.Reissue, plan.Reason{Message: "the certificate has another " + m.Field + " than it should" + refused(m, ""), Field: m.Field, Have: m.Have, Want: m.Want}, v.fromCert()...)...)
	}
	return out
}

// unusual is how the certificate differs from what the CA that has issued it, or
// else the current one, would issue today.
func (v *userView) unusual() []pki.Mismatch {
	if v.cert == nil || len(v.ca.trusted) == 0 {
		return nil
	}
	ca := v.ca.trusted[0]
	if i := slices.IndexFunc(v.ca.trusted, func(c *x509.Certificate) bool { return string(c.RawSubject) == v.cert.Issuer }); i >= 0 {
		ca = v.ca.trusted[i]
	}
	switch {
	case v.cert.X509 != nil:
		return pki.UserUsage(v.cert.X509, ca) // also of an authority that is named by more than its key
	case v.cert.Authority == string(ca.SubjectKeyId):
		return v.cert.Unusual
	}
	authority := pki.Mismatch{Field: "authorityKeyIdentifier", Have: keyID(v.cert.Authority), Want: keyID(string(ca.SubjectKeyId))}
	return append(slices.Clone(v.cert.Unusual), authority)
}

func keyID(id string) string { return "keyid:" + hex.EncodeToString([]byte(id)) }

// sharedSerial moves users off a serial that others have too: revoking one
// would revoke all.
func sharedSerial(v *userView) []finding {
	if v.shared == "" {
		return nil
	}
	also := slices.DeleteFunc(strings.Split(v.shared, ","), func(o string) bool { return o == string(v.Owner) })
	return v.rekey(plan.Reason{Message: "the serial is shared with " + strings.Join(also, ", ") + ": revoking it would shut out everybody who has it",
		Field: "serial", Have: v.cert.Serial})
}

// overlapOver revokes what a renewal has superseded, overlap after it.
func overlapOver(v *userView) []finding {
	if end := v.overlapEnd(); end == nil || v.now.Before(*end) || v.adopted {
		return nil // on the day of adoption nobody loses access
	}
	old := v.superseded()
	if len(old) == 0 {
		return nil
	}
	r := plan.Reason{Message: fmt.Sprintf("%s %s been superseded for longer than the overlap of %s", plural(len(old), "certificate"), agree(len(old), "has", "have"), days(*v.spec.Overlap)),
		Field: "overlap", Have: strings.Join(Serials(old), " ")}
	if also := others(old, v.Owner); also != "" {
		r.Message += "; with a shared serial this also ends what was issued before to " + also
	}
	return []finding{{Reason: r, action: plan.Revoke, revokes: old}}
}

func userPassphrase(v *userView) []finding {
	return keyPassphrase(&v.Key, &v.Passphrase, v.spec.Passphrase, v.spec.Seal)
}

func userEncoding(v *userView) []finding {
	return keyEncoding(&v.Key, &v.Passphrase, v.spec.Passphrase, v.spec.Seal, v.spec.KDFIterations)
}
