package engine

import (
	"bytes"
	"crypto/sha256"
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

// judgeCRL decides on the CRL file and returns the serials that are on it when
// the plan is done.
func judgeCRL(v *verdict, obs *Observed, ca issuer, covers func(Owner) bool) []string {
	owner, crl := crlOwner(obs.cfg), obs.crl
	if !covers(owner) || v.plan.Refused() {
		return onCRL(crl)
	}
	if obs.crlErr != nil {
		v.fail(owner, obs.crlErr)
		return onCRL(crl)
	}
	t := newTask(owner, append(crlFindings(v, obs, ca), coded(Mode, modes(crl.fileFacts))...))
	blocked := crlBlocked(obs, ca)
	if blocked != nil {
		v.fail(owner, blocked)
	}
	if t == nil {
		if blocked == nil {
			v.add(nil)
		}
		return onCRL(crl)
	}
	if !t.makes[kindCRL] {
		v.add(t)
		return onCRL(crl)
	}
	if ca.err != nil {
		return onCRL(crl)
	}
	next := obs.now.Add(obs.cfg.CA.CRLValidity).Truncate(time.Second)
	t.step.NotAfter = &next
	v.add(t)
	listed := planned(v)
	for _, r := range crlRows(obs) {
		listed = append(listed, r.Serial)
	}
	slices.Sort(listed)
	return slices.Compact(listed)
}

// crlFindings compares the CRLs with the CAs that are trusted after this plan,
// and with the revocations.
func crlFindings(v *verdict, obs *Observed, ca issuer) []finding {
	var findings []finding
	find := func(code Code, action Action, format string, args ...any) {
		findings = append(findings, finding{Reason: Reason{Code: code, Message: fmt.Sprintf(format, args...)}, action: action, makes: []string{kindCRL}})
	}
	crl := obs.crl
	switch {
	case crl.missing:
		find(Missing, Create, "there is no CRL yet")
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
	if n := len(pendingRevocations(v, obs)); n > 0 {
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
// trusted no longer are on none: nobody gets in with them anyway.
func crlRows(obs *Observed) []cadb.Row {
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
	return slices.DeleteFunc(obs.db.revokedRows(last), func(r cadb.Row) bool {
		public, known := obs.issuers[r.Serial]
		return known && !signing[public]
	})
}

// planned are the serials that this plan revokes.
func planned(v *verdict) []string {
	var out []string
	for _, t := range v.tasks {
		for _, r := range t.revokes {
			out = append(out, r.Serial)
		}
	}
	return out
}

// pendingRevocations are the serials that must go on the CRL and are not there.
func pendingRevocations(v *verdict, obs *Observed) []string {
	on := map[string]bool{}
	for _, s := range onCRL(obs.crl) {
		on[s] = true
	}
	out := planned(v)
	for _, r := range crlRows(obs) {
		out = append(out, r.Serial)
	}
	return slices.DeleteFunc(out, func(s string) bool { return on[s] })
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
	path := func(kind string, settings ...string) string {
		for _, s := range settings {
			if p := site.Values.String(s); p != "" {
				return p
			}
		}
		return filepath.Join(obs.cfg.Output, caFile(obs.cfg, kind))
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %d\n%s", obs.cfg.CA.Generation, trusted, strings.Join(revoked, "\n")))
	return withDigest(site.Proxy.Render(render.Site{
		Name:       site.Name,
		Values:     site.Values,
		ClientCA:   path(kindCrt, "deploy.client_ca", "client_ca"),
		CRL:        path(kindCRL, "deploy.crl", "crl"),
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
	text := siteText(obs, s.spec, revoked, ca.count())
	var findings []finding
	find := func(code Code, action Action, message string) {
		findings = append(findings, finding{Reason: Reason{Code: code, Message: message}, action: action, makes: []string{kindSite}})
	}
	switch {
	case s.missing:
		find(Missing, Create, s.name+" is not there")
	case bytes.Equal(s.data, text):
	case !untouched(s.data):
		find(Damaged, Repair, s.name+" was edited by somebody else; the spec is the place for settings")
	case bytes.Equal(s.data, siteText(obs, s.spec, onCRL(obs.crl), max(1, len(obs.trust())))):
		find(Upstream, Rebuild, "the CAs or the revocations give another text")
	default:
		find(SettingsChanged, Rebuild, "the settings give another text")
	}
	findings = append(findings, coded(Mode, modes(s.fileFacts))...)
	t := newTask(s.owner, findings)
	if t != nil {
		t.site, t.text = s, text
	}
	v.add(t)
}
