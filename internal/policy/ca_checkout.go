package policy

import (
	"crypto/x509"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
)

// What is asked of a directory that version control keeps.

// judgeInClear refuses to go on beside a passphrase in clear that the next commit would
// give to everybody who may read the repository. One that this plan removes is none.
func (j *judgement) judgeInClear() {
	if len(j.Have.CA.InClear) == 0 || !j.Config.VersionControl {
		return
	}
	gone, leaving := map[string]bool{}, map[string]bool{} // leaving: to db/retired
	for _, t := range j.verdict.Tasks {
		to := gone
		if j.retires(t) {
			to = leaving
		}
		for i := range t.Removes {
			to[t.Removes[i].Name()] = true
		}
	}
	var all, left, nobodys []string
	owned := j.ownedPasses()
	for _, f := range j.Have.CA.InClear {
		name := f.Name()
		if gone[name] {
			continue
		}
		all = append(all, name)
		if owned[name] || leaving[name] || isRetired(name) {
			left = append(left, name)
		} else {
			nobodys = append(nobodys, name)
		}
	}
	if len(all) == 0 {
		return
	}
	called := func(some []string) string { // some of all
		if len(some) < len(all) {
			return joined(some)
		}
		return agree(len(some), "it", "them")
	}
	var ways []string
	if len(left) > 0 {
		ways = append(ways, j.wayOut(left, called(left), leaving))
	}
	if n := len(nobodys); n > 0 {
		ways = append(ways, "delete "+called(nobodys)+" or move "+agree(n, "it", "them")+" out of the directory, since "+agree(n, "it belongs", "they belong")+" to nobody in the spec")
	}
	j.add(newTask(OfCA, 0, j.Have.CA.Owner, refuse(plan.InClear, fmt.Sprintf(
		"version_control = true, and %s %s a passphrase in clear: %s", joined(all), agree(len(all), "holds", "hold"), strings.Join(ways, "; ")))))
}

// isRetired reports whether a file is one of a user who has left.
func isRetired(name string) bool { return strings.HasPrefix(name, facts.RetiredDir+"/") }

// ownedPasses are the names of the passphrases in clear that the CA and the users of the spec
// may have, under the name of before, too.
func (j *judgement) ownedPasses() map[string]bool {
	ca := j.Config.CA.Name
	names := map[string]bool{facts.CAPath(ca, plan.KindPass).String(): true}
	for i := range j.Config.Users {
		names[facts.UserPath(facts.Base(j.Config.Users[i].Name, ca), plan.KindPass).String()] = true
	}
	for _, m := range j.Have.Moved {
		for _, name := range m.Names {
			names[name] = true
		}
	}
	return names
}

// wayOut says what becomes of passphrases in clear. Those of whoever has left, and of whoever
// is leaving, open nothing that is in force. The sentence calls them what called says.
func (j *judgement) wayOut(left []string, called string, leaving map[string]bool) string {
	sealed := j.sealedByApply()
	all := func(is func(name string) bool) bool {
		return !slices.ContainsFunc(left, func(name string) bool { return !is(name) })
	}
	const history = "what was committed before stays in the history of the repository"
	switch {
	case all(func(name string) bool { return sealed[name] }):
		return "the spec has that sealed, so run apply without --only, and correct first what it says of an owner whom it cannot serve; " + history + ", so give whoever it belonged to a new key (--replace)"
	case all(isRetired):
		return "delete " + called + ", since no key in place opens with " + agree(len(left), "it", "them") + ", and apply again; " + history
	case all(func(name string) bool { return sealed[name] || isRetired(name) || leaving[name] }):
		return "take the line out, apply, delete what is left in db/retired, and put the line back; " + history
	}
	return "take the line out, name another source in passphrase and { generate = true } as previous_passphrase, apply, delete what is left in db/retired, and put the line back; " + history + ", so give whoever it belonged to a new key (--replace)"
}

// sealedByApply are the names of the passphrases in clear that a run seals which reaches
// their owners.
func (j *judgement) sealedByApply() map[string]bool {
	names := map[string]bool{}
	ca := &j.Config.CA
	if ca.Passphrase.Kind == config.Generated && len(ca.Seal) > 0 {
		names[facts.CAPath(ca.Name, plan.KindPass).String()] = true
	}
	for i := range j.Config.Users {
		if u := &j.Config.Users[i]; u.CSR == "" && len(u.Seal) > 0 {
			names[facts.UserPath(facts.Base(u.Name, ca.Name), plan.KindPass).String()] = true
		}
	}
	return names
}

// retires reports whether what a task takes away goes to db/retired.
func (j *judgement) retires(t *Task) bool {
	return t.Part == OfDeparted || t.Part == OfUser && j.Config.Users[j.Have.Users.Spec(t.Index)].CSR != ""
}

// halves says why the files of a directory in version control are not those of one state:
// somebody has merged two by hand, and what only one of them knew of revocations may be
// lost; "" where they are. With --adopt a person says to go by what is there.
func (j *judgement) halves() string {
	if !j.Config.VersionControl {
		return ""
	}
	led, crl := j.found.Question.Ledger, &j.Have.CRL
	unlisted, unissued := j.Ledger.Unlisted(), led.Unissued()
	switch {
	case len(j.Have.CA.Unmerged) > 0:
		return joined(j.Have.CA.Unmerged) + " has marks of a merge that git could not finish"
	case len(unissued) > 0:
		return fmt.Sprintf("%s has %s that %s lacks", ledger.IndexName, plural(len(unissued), "certificate"), ledger.IssuedName)
	case j.Ask.Adopt:
		return ""
	case len(unlisted) > 0:
		return fmt.Sprintf("%s has %s that %s lacks, and nothing tells whether they are revoked", ledger.IssuedName, plural(len(unlisted), "certificate"), ledger.IndexName)
	case crl.Damaged && !led.Blank():
		return crl.Name() + " cannot be read, or no CA that the database knows has signed it, and it may list revocations of which nothing else tells"
	}
	for _, c := range Strangers(j.Have, led, j.everTrusted(), j.Now) {
		return c.Name() + " was issued by this CA, and neither the spec nor the CA database knows the user"
	}
	for _, g := range j.trust.Generations {
		list := crl.Lists[g.SPKI]
		if list == nil {
			continue
		}
		for _, e := range entries(*crl, g, list) {
			if r := led.Row(pki.SerialHex(e.SerialNumber)); r != nil && r.State == ledger.Revoked && OtherRevocation(list, &e, r) != "" {
				return fmt.Sprintf("of serial %s, %s says that it %s", r.Serial, crl.Name(), OtherRevocation(list, &e, r))
			}
		}
	}
	return j.refusedElsewhere()
}

// unfinished records what issued.pem holds and index.txt lacks, and revokes it: a job was
// killed between the two, and has pushed that without the batch that would finish it, so
// the key is lost and nobody was given anything. It does so only where none of it is in
// place; else the two are of different states, and [judgement.halves] refuses.
func (f *found) unfinished() []ledger.Change {
	list := f.ledger.Unlisted()
	if len(list) == 0 || len(f.ledger.Rows()) == 0 {
		return nil
	}
	placed := map[ledger.Sum]bool{}
	place := func(c *facts.Certificate) {
		if c != nil {
			placed[c.Sum] = true
		}
	}
	for i := range f.Config.Users {
		if !f.Ask.Covers(plan.User(f.Config.Users[i].Name)) {
			return nil // whose certificate was not read
		}
	}
	for i := range f.Have.Users.Len() {
		place(f.Have.Users.User(i).Crt.Cert)
	}
	for i := range f.Have.Departed {
		place(f.Have.Departed[i].Crt.Cert)
	}
	var out []ledger.Change
	when, listed := f.Now.Add(-pki.Backdate).Truncate(time.Second).UTC(), onCRL(f.Have.CRL)
	for _, e := range list {
		cert, err := x509.ParseCertificate(e.DER)
		if err != nil || placed[e.Sum] || !ledger.IsUser(e.Owner) {
			return nil
		}
		f.restored = append(f.restored, e.Owner)
		out = append(out, ledger.Restore{Owner: e.Owner, Cert: cert})
		if _, on := slices.BinarySearch(listed, e.Serial); !on { // else learn takes it from there
			out = append(out, ledger.Revoke{Serial: e.Serial, When: when, Reason: ledger.Superseded})
		}
	}
	return out
}

// everTrusted are the certificates of every key that the CA has had.
func (j *judgement) everTrusted() []*x509.Certificate {
	var out []*x509.Certificate
	for _, g := range j.trust.Generations {
		out = append(out, g.Cert)
	}
	return out
}

// strange reports whether the certificate in a user's place is one of ours that the CA
// database does not know. Elsewhere its key decides what becomes of it; a directory that is
// in version control has it from another state, whatever became of the key.
func (j *judgement) strange(v *userView) bool {
	c := v.Crt.Cert
	return j.Config.VersionControl && c != nil && c.X509 != nil && j.Ledger.Holder(c.Serial, c.Sum) == "" && signedByAny(c, j.everTrusted())
}

// refusedElsewhere finds a certificate that a site refuses and of whose revocation nothing
// else tells.
func (j *judgement) refusedElsewhere() string {
	on := onCRL(j.Have.CRL)
	for _, site := range j.Have.Sites {
		for _, f := range site.Files {
			for _, serial := range f.Refused {
				r := j.found.Question.Ledger.Row(serial)
				_, listed := slices.BinarySearch(on, serial)
				if !listed && (r == nil || r.State != ledger.Revoked && j.Now.Before(r.NotAfter)) {
					return fmt.Sprintf("%s refuses serial %s, of whose revocation neither %s nor the CRL tells", f.Name(), serial, ledger.IndexName)
				}
			}
		}
	}
	return ""
}

// OtherRevocation says how an entry of a CRL differs from the row of the same certificate,
// "" where it does not.
func OtherRevocation(list *x509.RevocationList, e *x509.RevocationListEntry, r *ledger.Row) string {
	when, reason := r.Revoked, pki.ReasonName(e.ReasonCode)
	if when.After(list.ThisUpdate) {
		// No revocation on a CRL is dated later than it, and thisUpdate is backdated. Whoever
		// has dated the row may have a clock that is ahead.
		when = list.ThisUpdate
	}
	switch {
	case !when.Equal(e.RevocationTime):
		return fmt.Sprintf("was revoked on %s, and %s says %s", day(e.RevocationTime), ledger.IndexName, day(r.Revoked))
	case r.Reason != "" && reason != r.Reason:
		return fmt.Sprintf("was revoked for %s, and %s says %s", reason, ledger.IndexName, r.Reason)
	}
	return ""
}

// crlElsewhere finds that a CRL was signed which is not the one in place: crlnumber is from
// a newer state than it. Readers that have seen the other take only a newer one.
func (j *judgement) crlElsewhere() []finding {
	newest := newestNumber(j.Have.CRL)
	if !j.Config.VersionControl || newest == nil || j.Ledger.Number().Cmp(new(big.Int).Add(newest, big.NewInt(1))) <= 0 {
		return nil
	}
	return []finding{crlFound(plan.Upstream, plan.CRLNumber, plan.Reissue, "it has the number %X, and %s says that one with a higher number was signed", newest, ledger.NumberName)}
}
