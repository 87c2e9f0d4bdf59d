package engine

import (
	"crypto/x509"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"mtlsplan/internal/cadb"
	"mtlsplan/internal/pki"
)

// judgeCRL decides on the CRL file and returns the serials that sites refuse
// when the plan is done.
func judgeCRL(v *verdict, obs *Observed, ca issuer, covers func(Owner) bool) []string {
	owner, crl := crlOwner(obs.cfg), obs.crl
	revoked := serials(crlRows(obs, ca.dropped))
	if v.plan.Refused() {
		return refused(crl, revoked) // what it would revoke stays
	}
	revoked = append(revoked, planned(v)...)
	if !covers(owner) {
		return refused(crl, revoked)
	}
	if obs.crlErr != nil {
		v.fail(owner, obs.crlErr)
		return refused(crl, revoked)
	}
	t := newTask(owner, slices.Concat(crlFindings(obs, ca, revoked), learnt(obs), coded(Mode, modes(crl.fileFacts))))
	blocked := crlBlocked(obs, ca)
	if blocked != nil {
		v.fail(owner, blocked)
	}
	if t == nil {
		if blocked == nil {
			v.add(nil)
		}
		return refused(crl, revoked)
	}
	if !t.mustMake(kindCRL) {
		v.add(t)
		return refused(crl, revoked)
	}
	if ca.err != nil {
		return refused(crl, revoked)
	}
	next := obs.now.Add(obs.cfg.CA.CRLValidity).Truncate(time.Second)
	t.step.NotAfter = &next
	v.add(t)
	return refused(obs.kept(), revoked)
}

// kept are the CRLs that stay as they are when the file is made anew, because
// their CA's key cannot be opened.
func (obs *Observed) kept() crlFacts {
	c := crlFacts{lists: map[string]*x509.RevocationList{}}
	for _, g := range obs.ca.past() {
		if list := obs.crl.lists[g.public]; list != nil && g.blocked() {
			c.lists[g.public] = list
		}
	}
	return c
}

// refused are the serials that a site must refuse: what the database says, and
// what the CRL in place still lists. It does not wait for a CRL that cannot be
// read or signed.
func refused(crl crlFacts, revoked []string) []string {
	out := append(onCRL(crl), revoked...)
	slices.Sort(out)
	return slices.Compact(out)
}

// learnt takes over for good what only the CRL tells. Kept there alone it would
// be lost with the file.
func learnt(obs *Observed) []finding {
	var out []finding
	add := func(code Code, format string, args ...any) {
		out = append(out, finding{Reason: Reason{Code: code, Message: fmt.Sprintf(format, args...)}, action: Repair, makes: []string{kindDB}})
	}
	if obs.learnt > 0 {
		add(Revoked, "the CRL tells of %s of which %s does not: taken over", plural(obs.learnt, "revocation"), indexName)
	}
	if obs.behind {
		add(Damaged, "%s does not come after the CRL in place: it is set to %s", numberName, strings.TrimSpace(string(cadb.FormatNumber(obs.db.number))))
	}
	return out
}

// crlFindings compares the CRLs with the CAs that are trusted after this plan,
// and with the revocations.
func crlFindings(obs *Observed, ca issuer, revoked []string) []finding {
	var findings []finding
	find := func(code Code, action Action, format string, args ...any) {
		findings = append(findings, finding{Reason: Reason{Code: code, Message: fmt.Sprintf(format, args...)}, action: action, makes: []string{kindCRL}})
	}
	crl := obs.crl
	switch {
	case crl.missing:
		text := "there is no CRL yet"
		if obs.db.number.Cmp(big.NewInt(1)) > 0 {
			text = crl.name + " is gone"
		}
		find(Missing, Create, "%s", text)
		return findings
	case crl.damaged && obs.blank():
		findings = append(findings, finding{Reason: Reason{Code: Unrecorded, Message: crl.name + " is there, and the CA database knows nothing of it: move it away, or say --adopt to have it written over"}, action: Refuse})
		return findings
	case crl.damaged:
		find(Damaged, Repair, "%s cannot be read, or no CA that the database knows has signed it", crl.name)
		return findings
	case ca.rolled:
		find(Upstream, Reissue, "the new CA has no CRL yet")
	}
	want := map[string]bool{}
	for _, g := range obs.ca.signing() {
		want[g.public] = true
		list := crl.lists[g.public]
		if list == nil {
			find(Upstream, Reissue, "there is no CRL of generation %d of the CA", g.number)
			continue
		}
		if g.blocked() {
			continue // said once, as a failure
		}
		if list.Number == nil || len(list.AuthorityKeyId) == 0 {
			find(UsageChanged, Reissue, "the CRL has no number or does not say whose it is; some readers refuse that")
		}
		due := list.NextUpdate.Add(-obs.cfg.CA.CRLRenewBefore)
		switch {
		case obs.now.After(list.NextUpdate):
			find(Expired, Reissue, "the CRL has ended on %s, and a proxy that reads it refuses everybody", day(list.NextUpdate))
		case ahead(obs.now, list.ThisUpdate):
			find(Expired, Reissue, "the CRL is valid only from %s on, and a proxy that reads it refuses everybody", day(list.ThisUpdate))
		case !obs.now.Before(due):
			find(Expiring, Reissue, "the CRL ends on %s, and is signed anew from %s on", day(list.NextUpdate), day(due))
		}
	}
	for public := range crl.lists {
		if !want[public] {
			find(Upstream, Reissue, "it holds the CRL of a CA that is trusted no longer")
		}
	}
	if n := len(pending(crl, revoked)); n > 0 {
		find(Revoked, Reissue, "%s not on it yet", is(n, "revoked certificate"))
	}
	return findings
}

// signing are the generations that have to have a CRL: the current one and
// those that somebody still depends on.
func (ca *caFacts) signing() []generation {
	if len(ca.gens) == 0 {
		return nil
	}
	return append([]generation{ca.gens[len(ca.gens)-1]}, ca.past()...)
}

// blocked reports whether an earlier generation's key cannot sign.
func (g generation) blocked() bool {
	return g.key.name != "" && g.key.opened != opensNow && g.key.opened != opensPrevious
}

// crlBlocked says which CRL cannot be signed anew, and until when the one in
// place lasts: that is how long somebody has to find the passphrase.
func crlBlocked(obs *Observed, ca issuer) error {
	until := func(public string) string {
		if list := obs.crl.lists[public]; list != nil {
			return "the CRL in place ends on " + day(list.NextUpdate)
		}
		return "there is none in place"
	}
	if ca.err != nil {
		public := ""
		if n := len(obs.ca.gens); n > 0 {
			public = obs.ca.gens[n-1].public
		}
		return fmt.Errorf("%w; %s", ca.err, until(public))
	}
	for _, g := range obs.ca.past() {
		if g.key.missing {
			return fmt.Errorf("%s is gone, which signs the CRL of generation %d: restore it from a backup; %s", g.key.name, g.number, until(g.public))
		}
		if g.blocked() {
			return fmt.Errorf("neither passphrase nor previous_passphrase of the CA opens %s, which signs the CRL of generation %d; %s", g.key.name, g.number, until(g.public))
		}
	}
	return nil
}

// crlRows are the revoked rows that the next CRL lists. Those of a CA that is
// trusted no longer are on none: nobody gets in with them anyway. dropped says
// that this very run leaves the current CA behind.
func crlRows(obs *Observed, dropped bool) []cadb.Row {
	if len(obs.ca.gens) == 0 {
		return nil
	}
	last := obs.now
	for _, list := range obs.crl.lists {
		if list.ThisUpdate.Before(last) {
			last = list.ThisUpdate
		}
	}
	signing := map[string]bool{}
	for _, g := range obs.ca.signing() {
		signing[g.public] = true
	}
	if dropped {
		delete(signing, obs.ca.gens[len(obs.ca.gens)-1].public)
	}
	return slices.DeleteFunc(obs.db.revokedRows(last), func(r cadb.Row) bool {
		return !signing[obs.signerOf(r)]
	})
}

// signerOf is the identity of the CA key that has issued a row, and on whose CRL
// it belongs.
func (obs *Observed) signerOf(r cadb.Row) string {
	if public, ok := obs.issuers[r.Serial]; ok {
		return public
	}
	for _, g := range obs.ca.gens {
		if r.Owner == unknownOwner(g) {
			return g.public
		}
	}
	return obs.ca.gens[len(obs.ca.gens)-1].public
}

// unknownOwner stands in the owner's place of a certificate that only a
// generation's CRL tells of.
func unknownOwner(g generation) string { return fmt.Sprintf("unknown.G%d", g.number) }

// planned are the serials that this plan revokes.
func planned(v *verdict) []string {
	var out []string
	for _, t := range v.tasks {
		out = append(out, serials(t.revokes)...)
	}
	return out
}

// pending are the serials that must go on the CRL and are not there.
func pending(crl crlFacts, revoked []string) []string {
	on := map[string]bool{}
	for _, s := range onCRL(crl) {
		on[s] = true
	}
	return slices.DeleteFunc(slices.Clone(revoked), func(s string) bool { return on[s] })
}

func onCRL(c crlFacts) []string {
	var out []string
	for _, list := range c.lists {
		for _, e := range list.RevokedCertificateEntries {
			out = append(out, pki.SerialHex(e.SerialNumber))
		}
	}
	slices.Sort(out)
	return out
}
