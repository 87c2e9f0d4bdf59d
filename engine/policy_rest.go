package engine

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mtlsplan/internal/cadb"
	"mtlsplan/internal/pki"
	"mtlsplan/render"
	"mtlsplan/spec"
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
	if !t.makes[kindCRL] {
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
		add(Revoked, "the CRL lists %s that %s does not say: they are taken over", plural(obs.learnt, "revocation"), indexName)
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
		find(Missing, Create, "there is no CRL yet")
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
		if g.blocked() {
			return fmt.Errorf("neither passphrase nor previous_passphrase of the CA opens %s, which signs the CRL of generation %d; %s", g.key.name, g.number, until(g.public))
		}
	}
	return nil
}

func is(n int, noun string) string {
	if n == 1 {
		return "1 " + noun + " is"
	}
	return plural(n, noun) + " are"
}

func coded(code Code, findings []finding) []finding {
	for i := range findings {
		findings[i].Code = code
	}
	return findings
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

// blank reports whether mtlsplan has never worked in the directory, so that a
// file in it is somebody else's.
func (obs *Observed) blank() bool { return !obs.adopting && len(obs.db.issued) == 0 }

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

// digestPrefix begins the last line of a site. It says whether somebody has
// edited the file, or whether the spec asks for another text.
const digestPrefix = "# sha256 of everything above: "

func withDigest(text []byte) []byte {
	sum := sha256.Sum256(text)
	return append(text, digestPrefix+hex.EncodeToString(sum[:])+"\n"...)
}

func untouched(text []byte) bool {
	i := bytes.LastIndex(text, []byte(digestPrefix))
	return i >= 0 && bytes.Equal(withDigest(bytes.Clone(text[:i])), text)
}

// siteText renders a site; revoked are the serials that it must refuse, trusted
// is the number of CAs.
func siteText(obs *Observed, site spec.Site, revoked []string, trusted int) []byte {
	path := func(kind string) string { return filepath.Join(obs.cfg.Output, caFile(obs.cfg, kind)) }
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %d\n%s", obs.cfg.CA.Generation, trusted, strings.Join(revoked, "\n")))
	return withDigest(site.Proxy.Render(render.Site{
		Name:       site.Name,
		Values:     site.Values,
		ClientCA:   site.Values.ClientCA(path(kindCrt)),
		CRL:        site.Values.CRL(path(kindCRL)),
		CA:         obs.cfg.CA.Name,
		Contact:    obs.cfg.CA.Subject.Email,
		Revoked:    revoked,
		Generation: hex.EncodeToString(sum[:8]),
	}))
}

func judgeSite(v *verdict, obs *Observed, ca issuer, s *siteFacts, revoked []string) {
	if s.err != nil {
		v.fail(s.owner, s.err)
		return
	}
	if ca.err != nil && obs.ca.crt.missing {
		v.fail(s.owner, fmt.Errorf("%w; the site would name a CA file that is not there", ca.err))
		return
	}
	text := siteText(obs, s.spec, revoked, ca.count())
	var findings []finding
	find := func(code Code, action Action, message string) {
		findings = append(findings, finding{Reason: Reason{Code: code, Message: message}, action: action, makes: []string{kindSite}})
	}
	switch {
	case s.missing:
		find(Missing, Create, s.name+" is not there")
	case bytes.Equal(s.data, text):
	case obs.blank() && !untouched(s.data):
		findings = append(findings, finding{Reason: Reason{Code: Unrecorded, Message: s.name + " is there, and mtlsplan has not written it: move it away, or say --adopt to have it written over"}, action: Refuse})
	case !untouched(s.data):
		find(Damaged, Repair, s.name+" was edited by somebody else; the spec is the place for settings")
	case slices.ContainsFunc([][]string{onCRL(obs.crl), refused(obs.crl, serials(crlRows(obs, false)))}, func(before []string) bool {
		return bytes.Equal(s.data, siteText(obs, s.spec, before, max(1, len(obs.trust()))))
	}):
		find(Upstream, Rebuild, "the CAs or the revocations give another text")
	default:
		find(SettingsChanged, Rebuild, "the settings give another text")
	}
	findings = append(findings, coded(Mode, modes(s.fileFacts))...)
	t := newTask(s.owner, findings)
	if t != nil {
		t.site = s
	}
	v.add(t)
}
