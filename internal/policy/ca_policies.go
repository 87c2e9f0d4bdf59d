package policy

import (
	"bytes"
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

// caView is what policies of the CA look at.
type caView struct {
	*facts.CA
	audience
	spec     *config.CA
	now      time.Time
	trust    Trust
	trusted  []*x509.Certificate // what the certificate file should hold, the current CA first
	adopted  bool
	renewed  *x509.Certificate   // [found.renewed]
	declined string              // [found.declined]
	file     []*x509.Certificate // trusted, with the CAs above them: what the file should hold
	restored []string            // owners of certificates that index.txt lacked
	owed     int                 // requests of an interrupted run that are settled
}

// caPolicies are asked of a CA that is recorded and whose key opens.
var caPolicies = []policy[*caView]{
	{plan.Interrupted, plan.DatabaseWhole, caInterrupted, "nothing that a run has begun is left undone"},
	{plan.Damaged, plan.DatabaseWhole, caRestored, "index.txt has all that was issued"},
	{plan.Unrecorded, plan.CertificateRecorded, caAdopted, "what lies there is on record"},
	{plan.Upstream, plan.CertificateRecorded, caRenewed, "what a CA above has signed anew is on record"},
	{plan.KeyChanged, plan.CertificateAsSpecified, caRollover, "the generation is the one that the spec asks for"},
	{plan.Missing, plan.FilesPresent, caCertMissing, "the certificate file is there"},
	{plan.Damaged, plan.CertificateRecorded, caCertDamaged, "the certificate file holds the certificates that are on record"},
	{plan.OverlapOver, plan.CertificateRecorded, caLeaves, "the certificate file holds no CA on which nobody depends"},
	{plan.Expired, plan.CertificateValid, caExpired, "the certificate has not ended"},
	{plan.Expired, plan.CertificateValid, caNotBegun, "the certificate has begun"},
	{plan.Expiring, plan.CertificateValid, caExpiring, "the certificate does not end soon, or another CA has to renew it"},
	{plan.UsageChanged, plan.CertificateAsSpecified, caUsageChanged, "the certificate is what would be issued today"},
	{plan.Missing, plan.FilesPresent, caRequest, "a CA above has a request to sign where it has to"},
	{plan.PassphraseChanged, plan.KeyOpens, caPassphrase, "the keys open with the passphrase"},
	{plan.EncodingChanged, plan.Encodings, caEncoding, "the key is encrypted as the spec asks"},
	{plan.EncodingChanged, plan.Encodings, caSealing, storedAsAsked},
	{plan.PassphraseChanged, plan.FilesPresent, caStrayPass, "no generated passphrase lies about that opens nothing"},
	gitPolicies[0],
	gitPolicies[1],
	{plan.Mode, plan.Modes, caModes, "no file is open to more than it should be"},
}

// lostKeyPolicies are asked of a CA whose key cannot be opened any more, and whose
// next generation the spec asks for.
var lostKeyPolicies = []policy[*caView]{
	{plan.Interrupted, plan.DatabaseWhole, caInterrupted, "nothing that a run has begun is left undone"},
	{plan.Damaged, plan.DatabaseWhole, caRestored, "index.txt has all that was issued"},
	{plan.KeyChanged, plan.CertificateAsSpecified, caRollover, "the generation is the one that the spec asks for"},
	{plan.Damaged, plan.CertificateRecorded, caCertDamaged, "the certificate file holds the certificates that are on record"},
	{plan.EncodingChanged, plan.Encodings, caSealing, storedAsAsked},
	{plan.PassphraseChanged, plan.FilesPresent, caStrayPass, "no generated passphrase lies about that opens nothing"},
	gitPolicies[0],
	gitPolicies[1],
	{plan.Mode, plan.Modes, caModes, "no file is open to more than it should be"},
}

// current is the certificate of the current generation.
func (v *caView) current() *x509.Certificate { return v.trusted[0] }

// rolls reports whether the spec asks for the next generation.
func (v *caView) rolls() bool { return v.spec.Generation == v.trust.Current().Number+1 }

func caInterrupted(v *caView) []finding {
	var out []finding
	add := func(message string) {
		out = append(out, one(plan.Repair, plan.Reason{Message: message}, plan.KindDB)...)
	}
	if v.Interrupted {
		add("a run is at work, or was interrupted: what it has begun counts as done here, and apply finishes it first")
	}
	if v.owed > 0 {
		add("an interrupted run has asked for " + plural(v.owed, "certificate") + ": what was issued is recorded and revoked")
	}
	return out
}

// caRestored says what was found of certificates that index.txt lacks.
func caRestored(v *caView) []finding {
	n := len(v.restored)
	if n == 0 {
		return nil
	}
	what := "now recorded again; those on the CRL are revoked"
	if len(v.Git) > 0 {
		what = "as after a job that was killed; none of that is in place, so it is recorded and revoked"
	}
	return one(plan.Repair, plan.Reason{Message: fmt.Sprintf("%s lacks %s that %s holds (of %s), %s",
		ledger.IndexName, plural(n, "certificate"), ledger.IssuedName, joined(v.restored), what)}, plan.KindDB)
}

// caAdopted says what was found of the CA.
func caAdopted(v *caView) []finding {
	if !v.adopted {
		return nil
	}
	return one(plan.Adopt, plan.Reason{Message: fmt.Sprintf("made by hand: a key of type %s (%s), %s; it is taken over",
		v.Key.Type, v.Key.Info.Encoding, describeCert(&v.Crt))})
}

// caRollover makes a new key under a new name.
func caRollover(v *caView) []finding {
	if !v.rolls() {
		return nil
	}
	message := "the spec asks for the next generation: a new CA, beside which the old one is trusted until its last user has moved"
	switch {
	case v.trust.Compromised(v.trust.Current()), v.trust.left[v.trust.Current().SPKI]:
		message = "the spec asks for the next generation: a new CA, in place of the old one"
	case v.Key.Missing:
		message += "; the key of the old one is lost"
	case blocked(v.Key):
		message += "; the key of the old one cannot be opened, and is kept as it is"
	}
	f := one(plan.Rekey, plan.Reason{Message: message,
		Field: "generation", Have: fmt.Sprint(v.trust.Current().Number), Want: fmt.Sprint(v.spec.Generation)}, plan.KindKey, plan.KindCrt)
	if v.spec.Passphrase.Kind == config.Generated && !v.Passphrase.Made {
		f[0].fresh(v.spec.Seal)
	}
	return f
}

func caCertMissing(v *caView) []finding {
	if !v.Crt.Missing {
		return nil
	}
	return one(plan.Repair, plan.Reason{Message: v.Crt.Name() + " is gone; the database holds it"}, plan.KindCrt)
}

func caCertDamaged(v *caView) []finding {
	have := v.Crt.All
	// Those of earlier generations may still be there, with the CAs above them.
	foreign := func(c *x509.Certificate) bool {
		return !v.trust.knowsKey(c) && !slices.ContainsFunc(v.trust.Generations, func(g ledger.Generation) bool {
			return slices.ContainsFunc(have, g.Cert.Equal) && slices.ContainsFunc(g.Parents, c.Equal)
		})
	}
	whole := len(have) >= len(v.file) && slices.EqualFunc(have[:len(v.file)], v.file, (*x509.Certificate).Equal)
	if v.Crt.Missing || whole && v.Crt.Form == "" && !slices.ContainsFunc(have, foreign) {
		return nil
	}
	if whole && v.Crt.Form != "" {
		return one(plan.Repair, plan.Reason{Message: fmt.Sprintf("%s is not PEM that a proxy reads (%s): it is written anew", v.Crt.Name(), v.Crt.Form)}, plan.KindCrt)
	}
	message := v.Crt.Name() + " does not hold what the database holds"
	if v.declined != "" {
		message += "; " + v.declined
	}
	if i := slices.IndexFunc(have, foreign); i >= 0 && v.adopted {
		message = fmt.Sprintf("%s also holds %s, which is neither a CA of this spec nor above one: it is taken out, and users of that CA are no longer let in", v.Crt.Name(), pki.NameString(have[i].RawSubject))
	}
	return one(plan.Repair, plan.Reason{Message: message}, plan.KindCrt)
}

// caLeaves takes an earlier generation out of the certificate file.
func caLeaves(v *caView) []finding {
	for _, c := range v.Crt.All {
		trusted := slices.ContainsFunc(v.trusted, func(t *x509.Certificate) bool { return bytes.Equal(t.Raw, c.Raw) })
		if !trusted && v.trust.knowsKey(c) && pki.PublicID(c.PublicKey) != v.Key.SPKI && !v.trust.leftBehind(c) {
			when := "has a valid certificate of %s any more"
			if v.trust.left[pki.PublicID(c.PublicKey)] {
				when = "will have a valid certificate of %s when this is done"
			}
			return one(plan.Retire, plan.Reason{Message: fmt.Sprintf("nobody "+when+"; it is no longer trusted", pki.NameString(c.RawSubject))}, plan.KindCrt)
		}
	}
	return nil
}

func caExpired(v *caView) []finding {
	end := v.current().NotAfter
	if !v.now.After(end) || v.rolls() || v.trust.Signed() {
		return nil
	}
	return one(plan.Refuse, plan.Reason{
		Message: fmt.Sprintf("the CA certificate has expired on %s, so that nobody gets in and nothing can be issued: raise generation by one in the ca block to roll over to a new CA", day(end)),
		Field:   "validity", Have: day(end)})
}

func caNotBegun(v *caView) []finding {
	begin := v.current().NotBefore
	if !ahead(v.now, begin) || v.rolls() || v.trust.Signed() {
		return nil
	}
	return one(plan.Reissue, plan.Reason{
		Message: fmt.Sprintf("the CA certificate is valid only from %s on, so that nobody gets in; the key and its users stay", day(begin)),
		Field:   "validity", Have: day(begin)}, plan.KindCrt)
}

func caExpiring(v *caView) []finding {
	end := v.current().NotAfter
	due := end.Add(-v.spec.RenewBefore)
	if v.now.Before(due) || v.now.After(end) || !v.now.Add(v.spec.Validity).After(end) || v.rolls() || v.trust.Signed() {
		return nil
	}
	rest := "the key and its users stay"
	if n := v.trust.Current().Named; n > 0 {
		rest = fmt.Sprintf("%s %s the old one by its serial number and %s refused by OpenSSL from then on: move their users before with --replace 'user.*'", plural(n, "certificate"), agree(n, "names", "name"), agree(n, "is", "are"))
	}
	return one(plan.Reissue, plan.Reason{
		Message: fmt.Sprintf("the CA certificate ends on %s, and is renewed from %s on; %s", day(end), day(due), rest),
		Field:   "renew_before", Have: day(end)}, plan.KindCrt)
}

func caUsageChanged(v *caView) []finding {
	var out []finding
	if v.trust.Signed() {
		return nil // what it holds is for the CA above it to say
	}
	if v.trust.Current().Named > 0 && pki.CanSign(v.current()) {
		return nil // caNotes tells of it
	}
	rest := ""
	if n := v.trust.Current().Named; n > 0 {
		rest = fmt.Sprintf("; %s %s the old one by its serial number and %s refused by OpenSSL from then on", plural(n, "certificate"), agree(n, "names", "name"), agree(n, "is", "are"))
	}
	for _, m := range pki.CAUsage(v.current()) {
		out = append(out, one(plan.Reissue, plan.Reason{Message: "the CA certificate has another " + m.Field + " than it should" + refused(m, "a CA with ") + rest, Field: m.Field, Have: m.Have, Want: m.Want}, plan.KindCrt)...)
	}
	return out
}

func caPassphrase(v *caView) []finding {
	out := keyPassphrase(&v.Key, &v.Passphrase, v.spec.Passphrase, v.spec.Seal)
	for _, g := range v.trust.Past() {
		if k := pastKey(v.CA, v.spec.Name, g); k.Opening == facts.OpensPrevious {
			out = append(out, one(plan.Rebuild, plan.Reason{Message: k.Name() + " opens with previous_passphrase and not with passphrase"}, plan.KindDB)...)
		}
	}
	return out
}

// pastKey is the key of an earlier generation.
func pastKey(ca *facts.CA, name string, g ledger.Generation) facts.Key {
	if k, ok := ca.Past[g.Number]; ok {
		return k
	}
	return facts.Key{File: facts.File{Kind: plan.KindKey, Path: facts.PastKeyPath(name, g.Number), Missing: true}}
}

func caEncoding(v *caView) []finding {
	return keyEncoding(&v.Key, &v.Passphrase, v.spec.Passphrase, v.spec.Seal, v.spec.KDFIterations)
}

func caStrayPass(v *caView) []finding { return strayPass(&v.Passphrase, v.spec.Passphrase) }

func caModes(v *caView) []finding {
	out := wide(wide(wide(wide(nil, &v.Passphrase.File), &v.Key.File), &v.Crt.File), &v.CSR.File)
	for i := range v.Wide {
		out = wide(out, &v.Wide[i])
	}
	return out
}
