package policy

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
)

// What TLS refuses today. A CA that was made by hand long ago is taken over all the
// same: its users get in where the proxy is as old, and a new generation leaves it
// behind.

// weakNotes name the CAs whose keys are too short, with what refuses them.
func (j *judgement) weakNotes() {
	for _, g := range j.trust.Signing() {
		for i, c := range slices.Concat(g.Parents, []*x509.Certificate{g.Cert}) {
			typ := pki.KeyTypeOf(c.PublicKey)
			if !typ.Short() || j.issuer.refused && typ.Bits() < leastSigner {
				continue
			}
			whose, wayOn := "the CA's key", fmt.Sprintf("set generation = %d for a new CA, and move its users with --replace 'user.*'", j.trust.Current().Number+1)
			switch {
			case i < len(g.Parents):
				whose = "the key of " + pki.NameString(c.RawSubject) + ", which is above the CA,"
			case g.Number != j.trust.Current().Number:
				whose, wayOn = fmt.Sprintf("the key of generation %d", g.Number), "move its users with --replace 'user.*'"
			}
			j.warn(j.Have.CA.Owner, plan.WeakCA, "%s is %s, which is too short: OpenSSL refuses everything below it at security level 2, the default of Debian's and Ubuntu's NGINX (\"CA certificate key too weak\"), so nobody gets in there: %s", whose, typ, wayOn)
		}
	}
}

// namedNote says why a CA certificate that should be another is not issued anew yet.
func (j *judgement) namedNote() {
	current := j.trust.Current()
	differs := pki.CAUsage(current.Cert)
	if current.Named == 0 || len(differs) == 0 || j.trust.Signed() || !pki.CanSign(current.Cert) {
		return
	}
	var fields []string
	for _, m := range differs {
		fields = append(fields, m.Field)
	}
	j.note(j.Have.CA.Owner, plan.NamedBySerial, "the CA certificate should be issued anew with its key (%s), and that waits until %s: %s %s it by its serial number, which OpenSSL would refuse then; it is done sooner where they are revoked, with --replace 'user.*'",
		strings.Join(slices.Compact(fields), ", "), day(current.Until), plural(current.Named, "certificate"), agree(current.Named, "names", "name"))
}

// refused says that TLS refuses a mismatch, "" where it does not.
func refused(m pki.Mismatch, ca string) string {
	switch {
	case m.Field == "signatureAlgorithm":
		return fmt.Sprintf("; TLS libraries refuse %s%s today", ca, m.Have)
	case m.Field == "version" && ca != "":
		return "; some TLS libraries refuse a CA of version 1"
	}
	return ""
}
