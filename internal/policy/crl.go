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

// judgeCRL decides on the CRL file and returns the serials that sites refuse
// when the plan is done.
func (j *judgement) judgeCRL() []string {
	owner, crl := plan.CRL(j.Config.CA.Name), j.Have.CRL
	rows := j.trust.Revoked(j.Ledger, crl, j.Now, j.issuer.dropped)
	barred := j.trust.barred(rows, j.Ledger, j.Now, j.issuer.dropped)
	j.verdict.Since = Since(crl)
	if j.verdict.Plan.Refused() {
		return Refused(crl, barred) // what it would revoke stays
	}
	planned := j.planned()
	barred = append(barred, Serials(planned)...)
	j.verdict.CannotSign = j.cannotSign()
	revoked := slices.DeleteFunc(append(rows, planned...), func(r ledger.Row) bool { return !j.onNextCRL(r) })
	if !j.Ask.Covers(owner) {
		return Refused(crl, barred)
	}
	if crl.Err != nil {
		j.fail(owner, fallback(plan.FileError, crl.Err))
		return Refused(crl, barred)
	}
	examined, learnt, modes := j.examineCRL(revoked), j.learnt(), checked(plan.Modes, coded(plan.Mode, wide(nil, &crl.File)))
	a := j.audience(owner)
	a.hearEach(crlQuestions, examined)
	a.hearEach(learntQuestions, learnt)
	a.hear(plan.Mode, plan.Modes, "the file is not open to more than it should be", modes)
	t := newTask(OfCRL, 0, owner, slices.Concat(examined, learnt, modes))
	var stuck error
	if !j.issuer.closed || t != nil && t.MustMake(plan.KindCRL) {
		stuck = j.crlBlocked(owner)
	}
	if stuck != nil {
		j.fail(owner, stuck)
	}
	switch {
	case t == nil:
		if stuck == nil {
			j.add(nil)
		}
	case !t.MustMake(plan.KindCRL):
		j.add(t)
	case j.issuer.err != nil:
		j.verdict.Blocked = append(j.verdict.Blocked, t.Step)
	default:
		t.Step.NotAfter = new(j.Now.Add(j.Config.CA.CRLValidity).Truncate(time.Second))
		j.add(t)
		crl = j.verdict.Kept(j.Have.CRL)
		made := j.Now.Add(-pki.Backdate).Truncate(time.Second)
		if kept := Since(crl); !kept.IsZero() && kept.Before(made) {
			made = kept
		}
		j.verdict.Since = made
	}
	return Refused(crl, barred)
}

// onNextCRL reports whether a row that is revoked, or that this plan revokes, will be
// on the next CRL: a CA on whose CRL it belongs signs one then.
func (j *judgement) onNextCRL(r ledger.Row) bool {
	const fresh = "" // the SPKI of a CA that this plan makes
	if j.issuer.rolled && j.trust.Belongs(r, fresh) {
		return true
	}
	return slices.ContainsFunc(j.trust.Signing(), func(g ledger.Generation) bool {
		left := j.issuer.dropped && g.SPKI == j.trust.Current().SPKI
		return !left && !j.verdict.CannotSign[g.SPKI] && j.trust.Belongs(r, g.SPKI)
	})
}

// learnt takes over for good what only the CRL tells. Kept there alone it would
// be lost with the file.
func (j *judgement) learnt() []finding {
	var out []finding
	add := func(code plan.Code, check plan.CheckName, message string) {
		out = append(out, one(plan.Repair, plan.Reason{Code: code, Check: check, Message: message}, plan.KindDB)...)
	}
	if n := j.found.learnt; n > 0 {
		add(plan.Revoked, plan.CRLEntries, fmt.Sprintf("the CRL lists %s that %s lacks, now recorded", plural(n, "revocation"), ledger.IndexName))
	}
	if j.found.behind {
		add(plan.Damaged, plan.CRLNumber, fmt.Sprintf("the number in %s is not above that of the CRL in place; it is set to %s", ledger.NumberName, strings.TrimSpace(string(ledger.FormatNumber(j.Ledger.Number())))))
	}
	return out
}

// crlFound is a finding for which the CRL is made anew.
func crlFound(code plan.Code, check plan.CheckName, action plan.Action, format string, args ...any) finding {
	return one(action, plan.Reason{Code: code, Check: check, Message: fmt.Sprintf(format, args...)}, plan.KindCRL)[0]
}

// examineCRL compares the CRLs with the CAs that are trusted after this plan,
// and with the revocations.
func (j *judgement) examineCRL(revoked []ledger.Row) []finding {
	crl := &j.Have.CRL
	blank := !j.Ask.Adopt && j.Ledger.Blank()
	switch {
	case crl.Missing && j.Ledger.Number().Cmp(big.NewInt(1)) > 0:
		return []finding{crlFound(plan.Missing, plan.FilesPresent, plan.Create, "%s is gone", crl.Name())}
	case crl.Missing && j.found.ca && j.Have.CA.RevokedIn == "crl.pem":
		return refuse(plan.Unrecorded, fmt.Sprintf("crl.pem lies there and %s does not, so whoever it revokes would get in: copy it there, or move it away if it is not this CA's", crl.Name()))
	case crl.Missing && j.found.ca && j.Have.CA.RevokedIn != "":
		return refuse(plan.Unrecorded, fmt.Sprintf("%s lists certificates that are revoked, who would get in without a CRL: have one made (easyrsa gen-crl, or openssl ca -gencrl) and put it into %s, or move %[1]s away if it is not this CA's", j.Have.CA.RevokedIn, crl.Name()))
	case crl.Missing:
		return []finding{crlFound(plan.Missing, plan.FilesPresent, plan.Create, "there is no CRL yet")}
	case crl.Damaged && j.found.ca:
		return refuse(plan.Unrecorded, crl.Name()+" is no CRL of this CA that can be read, and nobody whom it lists would stay out: put the CA's own there, or move it away if nobody was revoked")
	case crl.Damaged && blank:
		return refuse(plan.Unrecorded, crl.Name()+" is there, and the CA database knows nothing of it: move it away, or say --adopt to have it written over")
	case crl.Damaged:
		return []finding{crlFound(plan.Damaged, plan.CRLSigned, plan.Repair, "%s cannot be read, or no CA that the database knows has signed it", crl.Name())}
	}
	var out []finding
	if crl.Form != "" {
		out = append(out, crlFound(plan.EncodingChanged, plan.CRLSigned, plan.Rebuild, "%s is not PEM that a proxy reads (%s)", crl.Name(), crl.Form))
	}
	if j.issuer.rolled {
		out = append(out, crlFound(plan.Upstream, plan.CRLSigned, plan.Reissue, "the new CA has no CRL yet"))
	}
	signing := map[string]bool{}
	current := j.trust.Current()
	for _, g := range j.trust.Signing() {
		signing[g.SPKI] = true
		list := crl.Lists[g.SPKI]
		if g.Number != current.Number && blocked(j.pastKey(g)) {
			continue // crlBlocked says it
		}
		if list == nil {
			out = append(out, crlFound(plan.Upstream, plan.CRLSigned, plan.Reissue, "there is no CRL of generation %d of the CA", g.Number))
			continue
		}
		out = append(out, j.examineList(list)...)
	}
	for spki := range crl.Lists {
		if !signing[spki] {
			out = append(out, crlFound(plan.Upstream, plan.CRLSigned, plan.Reissue, "it holds the CRL of a CA that is no longer trusted"))
		}
	}
	out = append(out, j.crlElsewhere()...)
	if len(crl.More) > 0 {
		out = append(out, crlFound(plan.Damaged, plan.CRLSigned, plan.Repair, "%s holds more than one CRL of the same CA, of which readers take any", crl.Name()))
	}
	if n := j.trust.pending(*crl, revoked, j.verdict.CannotSign); n > 0 {
		out = append(out, crlFound(plan.Revoked, plan.CRLEntries, plan.Reissue, "%s %s not on it yet", plural(n, "revoked certificate"), agree(n, "is", "are")))
	}
	return out
}

// examineList finds what is wrong with a CRL that can be signed anew.
func (j *judgement) examineList(list *x509.RevocationList) []finding {
	var out []finding
	if list.Number == nil || len(list.AuthorityKeyId) == 0 {
		out = append(out, crlFound(plan.UsageChanged, plan.CRLNumber, plan.Reissue, "the CRL has no number or does not say whose it is; some readers refuse that"))
	}
	due := list.NextUpdate.Add(-j.Config.CA.CRLRenewBefore)
	switch {
	case j.Now.After(list.NextUpdate):
		out = append(out, crlFound(plan.Expired, plan.CRLCurrent, plan.Reissue, "the CRL has ended on %s, and a proxy that reads it refuses everybody", day(list.NextUpdate)))
	case ahead(j.Now, list.ThisUpdate):
		out = append(out, crlFound(plan.Expired, plan.CRLCurrent, plan.Reissue, "the CRL is valid only from %s on, and a proxy that reads it refuses everybody", day(list.ThisUpdate)))
	case !j.Now.Before(due):
		out = append(out, crlFound(plan.Expiring, plan.CRLCurrent, plan.Reissue, "the CRL ends on %s, and is signed anew from %s on", day(list.NextUpdate), day(due)))
	}
	return out
}

func (j *judgement) pastKey(g ledger.Generation) facts.Key {
	return pastKey(&j.Have.CA, j.Config.CA.Name, g)
}

// cannotSign are the CAs, by SPKI, that stay trusted and whose key can sign no CRL.
func (j *judgement) cannotSign() map[string]bool {
	out := map[string]bool{}
	if current := j.trust.Current(); j.issuer.lost && !j.issuer.dropped {
		out[current.SPKI] = true
	}
	for _, g := range j.trust.Past() {
		if blocked(j.pastKey(g)) {
			out[g.SPKI] = true
		}
	}
	return out
}

// crlBlocked says which CRL cannot be signed anew, and until when the one in place
// lasts. It is an error where somebody can find the passphrase until then, and a
// warning where the key itself is gone.
func (j *judgement) crlBlocked(owner plan.Owner) error {
	until := func(g *ledger.Generation) string {
		if g != nil && j.Have.CRL.Lists[g.SPKI] != nil {
			return "the CRL in place ends on " + day(j.Have.CRL.Lists[g.SPKI].NextUpdate)
		}
		return "there is none in place"
	}
	if j.issuer.err != nil {
		in := ""
		if current := j.trust.Current(); current != nil {
			in = j.stillIn(*current)
		}
		return plan.Errorf(plan.CRLUnavailable, "%w; %s%s", j.issuer.err, until(j.trust.Current()), in)
	}
	const wayOn = "move its users at once with --replace 'user.*'; a site with revocation = \"map\" needs no CRL"
	var stuck error
	for _, g := range j.trust.Signing() {
		if !j.verdict.CannotSign[g.SPKI] {
			continue
		}
		k := j.pastKey(g)
		if g.Number == j.trust.Current().Number { // this plan moves it there
			k.Missing = j.Have.CA.Key.Missing
		}
		in := j.stillIn(g)
		switch {
		case k.Missing && in == "":
			j.warn(owner, plan.CRLEnds, "%s, which signs the CRL of generation %d, is lost; %s: restore the key from a backup, or %s", k.Name(), g.Number, until(&g), wayOn)
		case stuck != nil:
		case k.Missing:
			stuck = plan.Errorf(plan.CRLUnavailable, "%s, which signs the CRL of generation %d, is lost; %s%s: restore the key from a backup, or %s", k.Name(), g.Number, until(&g), in, wayOn)
		default:
			stuck = plan.Errorf(plan.CRLUnavailable, "neither passphrase nor previous_passphrase of the CA opens %s, which signs the CRL of generation %d; %s%s: name the passphrase as previous_passphrase, or move the key file away and %s", k.Name(), g.Number, until(&g), in, wayOn)
		}
	}
	return stuck
}

// stillIn says who gets in although revoked, because a site goes by the CRL alone and
// the CA cannot sign a new one; "" for nobody.
func (j *judgement) stillIn(g ledger.Generation) string {
	i := slices.IndexFunc(j.Config.Sites, func(s config.Site) bool { return s.Settings.Revocation == "crl" })
	if i < 0 {
		return ""
	}
	var owners []string
	on := onCRL(j.Have.CRL)
	rows := append(j.trust.Revoked(j.Ledger, j.Have.CRL, j.Now, false), j.planned()...)
	for _, r := range rows {
		if _, listed := slices.BinarySearch(on, r.Serial); !listed && ledger.IsUser(r.Owner) && j.trust.Belongs(r, g.SPKI) {
			owners = append(owners, r.Owner)
		}
	}
	if len(owners) == 0 {
		return ""
	}
	slices.Sort(owners)
	owners = slices.Compact(owners)
	site := j.Config.Sites[i]
	return fmt.Sprintf("; until then %s still %s in through %s, which reads the CRL alone", joined(owners), agree(len(owners), "gets", "get"), plan.Site(site.Proxy.Name, site.Name))
}
