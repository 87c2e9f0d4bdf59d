package engine

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"mtlsplan/internal/cadb"
	"mtlsplan/internal/pki"
)

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

// present are the names of the files made from the certificate that are there.
func (u *userFacts) present() []string {
	var out []string
	if !u.crt.missing {
		out = append(out, u.crt.name)
	}
	for _, p := range u.p12 {
		if !p.missing {
			out = append(out, p.name)
		}
	}
	return out
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
	{Expired, notBegun},
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
		return rekey(v.userFacts, Reason{Message: "the certificate is revoked in the CA database, and the spec still lists the user", Field: "serial", Have: v.cert.serial})
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
	return rekey(v.userFacts, Reason{Message: "no CA in the CA certificate file has issued the certificate", Field: "issuer", Have: pki.NameString([]byte(cert.issuer))})
}

func issuedByAny(cert *certFacts, cas []*x509.Certificate) bool {
	return slices.ContainsFunc(cas, func(ca *x509.Certificate) bool { return issuedBy(cert, ca) })
}

// issuedBy goes by names and key identifiers: the signature was checked when
// the certificate was issued, and its bytes are compared with the record. Only
// a certificate without an identifier has its signature checked.
func issuedBy(cert *certFacts, ca *x509.Certificate) bool {
	switch {
	case cert.issuer != string(ca.RawSubject):
		return false
	case cert.authority != "":
		return cert.authority == string(ca.SubjectKeyId)
	}
	return cert.full.CheckSignatureFrom(ca) == nil
}

func keyMismatch(v userView) []finding {
	if v.keyOf != "" && v.asked == nil {
		return rekey(v.userFacts, Reason{Message: fmt.Sprintf("%s is the key of %s", v.key.name, v.keyOf)})
	}
	if v.cert == nil || v.cert.public == v.key.public || v.asked != nil {
		return nil
	}
	return rekey(v.userFacts, Reason{Message: v.key.name + " and " + v.crt.name + " do not belong together"})
}

func keyChanged(v userView) []finding {
	if v.asked != nil {
		return csrKeyChanged(v)
	}
	if have := v.key.typ; have != v.spec.Key {
		return rekey(v.userFacts, Reason{Message: "the spec asks for another type of key", Field: "key", Have: string(have), Want: string(v.spec.Key)})
	}
	return nil
}

func subjectChanged(v userView) []finding {
	if v.cert == nil {
		return nil
	}
	if !v.cert.plain {
		return rekey(v.userFacts, Reason{Message: "the certificate's subject has attributes that a spec cannot ask for", Field: "subject", Have: pki.NameString([]byte(v.cert.subject))})
	}
	var out []finding
	for _, d := range subjectDiff(v.cert.name, v.spec.Subject) {
		out = append(out, rekey(v.userFacts, Reason{Message: "the spec gives another subject", Field: d.Field, Have: d.Have, Want: d.Want})...)
	}
	return out
}

func sanChanged(v userView) []finding {
	if v.cert == nil {
		return nil
	}
	have, want := v.cert.sans, v.spec.SANs()
	if slices.Equal(have, want) {
		return nil
	}
	message := "the spec gives another e-mail address for the subject alternative name"
	if !onlyEmail(have) {
		message = "the certificate has subject alternative names that a spec cannot ask for"
	}
	return rekey(v.userFacts, Reason{Message: message, Field: "email",
		Have: sanText(have), Want: sanText(want)})
}

func onlyEmail(sans []pki.SAN) bool {
	return !slices.ContainsFunc(sans, func(s pki.SAN) bool { return s.Type != pki.SANEmail })
}

// sanText lists subject alternative names: an e-mail address by itself, others
// behind their type.
func sanText(sans []pki.SAN) string {
	texts := make([]string, len(sans))
	for i, s := range sans {
		if texts[i] = s.Value; s.Type != pki.SANEmail {
			texts[i] = s.String()
		}
	}
	return strings.Join(texts, " ")
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
	if v.cert == nil || !v.now.After(v.cert.notAfter) {
		return nil
	}
	return renew(v.userFacts, Reason{Message: "the certificate has expired on " + day(v.cert.notAfter), Field: "validity", Have: day(v.cert.notAfter)})
}

// notBegun finds a certificate that is not valid yet, and could be.
func notBegun(v userView) []finding {
	if v.cert == nil || !ahead(v.now, v.cert.notBefore) || !v.cert.notBefore.After(v.ca.notBefore) {
		return nil
	}
	return renew(v.userFacts, Reason{Message: "the certificate is valid only from " + day(v.cert.notBefore) + " on", Field: "validity", Have: day(v.cert.notBefore)})
}

func expiring(v userView) []finding {
	if v.cert == nil || v.now.After(v.cert.notAfter) {
		return nil
	}
	due := v.cert.notAfter.Add(-v.spec.RenewBefore)
	// A certificate that was cut to the CA's end is due only when a new one
	// would last longer: it would be renewed on every run otherwise.
	if v.now.Before(due) || !v.end().After(v.cert.notAfter) {
		return nil
	}
	return renew(v.userFacts, Reason{Message: fmt.Sprintf("the certificate ends on %s, and is renewed from %s on", day(v.cert.notAfter), day(due)),
		Field: "renew_before", Have: day(v.cert.notAfter)})
}

func usageChanged(v userView) []finding {
	if v.cert == nil || len(v.ca.trusted) == 0 {
		return nil
	}
	ca := v.ca.trusted[0]
	if i := slices.IndexFunc(v.ca.trusted, func(c *x509.Certificate) bool { return string(c.RawSubject) == v.cert.issuer }); i >= 0 {
		ca = v.ca.trusted[i]
	}
	if v.cert.usual && v.cert.authority == string(ca.SubjectKeyId) {
		return nil
	}
	if v.cert.full == nil {
		return lookCloser
	}
	var out []finding
	for _, m := range pki.UserUsage(v.cert.full, ca) {
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
	over := v.cert.notBefore.Add(backdate + *v.spec.Overlap)
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

func userModes(v userView) []finding {
	files := []fileFacts{v.pass.file, v.key.fileFacts, v.csr.fileFacts, v.crt.fileFacts}
	for _, p := range v.p12 {
		files = append(files, p.fileFacts)
	}
	return modes(files...)
}
