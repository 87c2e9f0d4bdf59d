package policy

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"time"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
)

// caNotes says what the spec asks for and only a new generation can give, and
// who still depends on an earlier one. reissued says that this plan gives the CA a new
// certificate: what only waits for one is then no news.
func (j *judgement) caNotes(reissued bool) {
	ca, spec, current := j.Have.CA.Owner, &j.Config.CA, j.trust.Current()
	if current == nil {
		return
	}
	cert := current.Cert
	if have, _, err := pki.ParseSubject(cert.RawSubject); err == nil {
		for _, d := range subjectDiff(have, GenerationSubject(spec.Subject, current.Number)) {
			j.note(ca, plan.NextGeneration, "%s is %q in the CA certificate and %q in the spec: this takes effect with the next generation", d.Field, d.Have, d.Want)
		}
	}
	if have := pki.KeyTypeOf(cert.PublicKey); have != spec.Key {
		j.note(ca, plan.NextGeneration, "the CA's key is %s and the spec asks for %s: this takes effect with the next generation", have, spec.Key)
	}
	if j.trust.Signed() {
		j.signedNotes()
	} else if !reissued {
		j.validityNote(ca, cert.NotBefore, cert.NotAfter, spec.Validity)
	}
	j.weakNotes()
	j.namedNote()
	own := ""
	if slices.ContainsFunc(j.Config.Users, func(u config.User) bool { return u.CSR != "" }) {
		own = ", and of a csr user with a request with a new key"
	}
	for _, g := range j.trust.Past() {
		n := g.Dependents
		j.note(ca, plan.OldGeneration, "%s %s still on generation %d; %s, or at once with apply --replace OWNER%s; mtlsplan status names the owners",
			plural(n, "certificate"), agree(n, "is", "are"), g.Number, agree(n, "it moves at its next renewal", "they move at their next renewal"), own)
	}
}

// passphraseNote warns of a passphrase of the CA that whoever gets a copy of its key
// can guess.
func (j *judgement) passphraseNote() {
	ca, spec := &j.Have.CA, &j.Config.CA
	if !ca.Passphrase.Weak {
		return
	}
	text := "the passphrase that was chosen is easy to guess for whoever gets a copy of " + ca.Key.Name() + ": "
	if j.Config.VersionControl {
		text += "take a random one, as openssl rand -hex 16 prints"
	} else {
		text += "use { generate = true }"
	}
	if !ca.Key.Missing {
		text += ", with the source of the old one as previous_passphrase"
	}
	if spec.KDFIterations < config.IterationsChosen {
		text += fmt.Sprintf("; with kdf_iterations = %d each guess at least takes longer", config.IterationsChosen)
	}
	j.warn(ca.Owner, plan.WeakPassphrase, "%s", text)
}

// validityNote tells that a changed validity alone issues nothing.
func (j *judgement) validityNote(owner plan.Owner, from, to time.Time, want time.Duration) {
	// It may have been backdated or not.
	if have := to.Sub(from).Round(time.Hour); have != want {
		j.note(owner, plan.NextRenewal, "the certificate was issued for %s and the spec says %s: this takes effect at the next renewal", days(have), days(want))
	}
}

// closingNotes are about what no step changes.
func (j *judgement) closingNotes() {
	j.reasonNotes()
	j.sealedNotes()
	for _, name := range j.Have.CA.Odd {
		j.note("", plan.CacheUnusable, "%s is not a plain file with one link, so the cache is not used and runs take longer: remove it", name)
	}
	for _, name := range j.Have.CA.SetAside {
		j.warn("", plan.SetAside, "%s is what another program wrote in the place of the file, and cannot be read: see what it was to revoke or to issue, do that again, and remove it", name)
	}
	for _, name := range j.Have.Orphans {
		if path.IsAbs(name) {
			if !deploys(j.verdict.Tasks) { // until then the proxy may need it
				j.warn("", plan.Orphaned, "%s was put there by mtlsplan, and no site of the spec names it now, so nobody updates it: see that the configuration of the proxy does not name it any more, reload the proxy, and then remove it", name)
			}
			continue
		}
		j.warn("", plan.Orphaned, "%s was written by mtlsplan, and no site of the spec has it now: a proxy that still reads it misses revocations; remove it", name)
	}
	for i := range j.Have.Sites {
		if s := &j.Have.Sites[i]; s.Owed && len(s.Copies) > 0 {
			j.warn(s.Owner, plan.NotDeployed, "the last deployment has failed or was interrupted, so the proxy may go by an older state: whoever was revoked since may get in, and whoever was given a new certificate may not, until apply succeeds")
		}
	}
	for _, c := range Strangers(j.Have, j.Ledger, j.Have.CA.Crt.All, j.Now) {
		j.warn("", plan.Stranger, "%s", StrangerText(c.Name()))
	}
	if j.cut > 0 {
		when := "renew the CA before then (its renew_before decides when)"
		if j.trust.Signed() && !j.issuer.rolled {
			when = "have it renewed before then by " + pki.NameString(j.trust.Current().Cert.RawIssuer)
		}
		j.warn(j.Have.CA.Owner, plan.CutToCA, "certificates of %s are cut to the CA's end, %s: %s",
			plural(j.cut, "user"), day(j.issuer.notAfter), when)
	}
}

func deploys(tasks []*Task) bool {
	return slices.ContainsFunc(tasks, func(t *Task) bool { return t.Part == OfDeploy })
}

// reasonNotes tells of revoked users for whom the spec gives another reason than
// they were revoked for.
func (j *judgement) reasonNotes() {
	var onCRL map[string]string
	for i := range j.Config.Users {
		u := &j.Config.Users[i]
		if u.Revoked == "" {
			continue
		}
		for _, r := range j.Ledger.RowsOf(string(plan.User(u.Name))) {
			if r.State != ledger.Revoked || !j.Now.Before(r.NotAfter) {
				continue
			}
			if r.Reason == "" && onCRL == nil { // index.txt has no word for every reason; the CRL has
				onCRL = j.trust.reasonsOn(j.Have.CRL)
			}
			if reason := cmp.Or(r.Reason, onCRL[r.Serial]); reason != "" && reason != u.Revoked && reason != ledger.Superseded {
				j.note(plan.User(u.Name), plan.ReasonKept, "was revoked for %s; a reason is not changed afterwards", reason)
			}
		}
	}
}

// reasonsOn are the reasons on CRLs, by serial.
func (t Trust) reasonsOn(crl facts.CRL) map[string]string {
	out := map[string]string{}
	for _, g := range t.Generations {
		list := crl.Lists[g.SPKI]
		if list == nil {
			continue
		}
		for _, e := range list.RevokedCertificateEntries {
			if serial := pki.SerialHex(e.SerialNumber); out[serial] == "" {
				out[serial] = pki.ReasonName(e.ReasonCode)
			}
		}
	}
	return out
}
