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

// judgeCRL decides on the CRL and returns the serials that are on it when the
// plan is done.
func judgeCRL(v *verdict, obs *Observed, ca issuer, covers func(Owner) bool) []string {
	owner, c, crl := crlOwner(obs.cfg), obs.cfg.CA, obs.crl
	if !covers(owner) || v.plan.Refused() {
		return onCRL(crl)
	}
	if obs.crlErr != nil {
		v.fail(owner, obs.crlErr)
		return onCRL(crl)
	}
	var findings []finding
	find := func(code Code, action Action, format string, args ...any) {
		findings = append(findings, finding{Reason: Reason{Code: code, Message: fmt.Sprintf(format, args...)}, action: action, makes: []string{kindCRL}})
	}
	switch {
	case crl.missing:
		find(Missing, Create, "there is no CRL yet")
	case crl.list == nil:
		find(Damaged, Repair, "%s cannot be read, or the CA has not signed it", crl.name)
	default:
		due := crl.list.NextUpdate.Add(-c.CRLRenewBefore)
		switch {
		case obs.now.After(crl.list.NextUpdate):
			find(Expired, Reissue, "the CRL has ended on %s, and a proxy that reads it refuses everybody", day(crl.list.NextUpdate))
		case !obs.now.Before(due):
			find(Expiring, Reissue, "the CRL ends on %s, and is signed anew from %s on", day(crl.list.NextUpdate), day(due))
		}
	}
	if n := len(pendingRevocations(v, obs)); n > 0 {
		find(Revoked, Reissue, "%s not on it yet", is(n, "revoked certificate"))
	}
	findings = append(findings, coded(Mode, modes(crl.fileFacts))...)
	t := newTask(owner, findings)
	if t == nil {
		v.add(nil)
		return onCRL(crl)
	}
	if !t.makes[kindCRL] {
		v.add(t)
		return onCRL(crl)
	}
	if ca.err != nil {
		end := "there is none yet"
		if crl.list != nil {
			end = "the one in place ends on " + day(crl.list.NextUpdate)
		}
		v.fail(owner, fmt.Errorf("%w; %s", ca.err, end))
		return onCRL(crl)
	}
	next := obs.now.Add(c.CRLValidity).Truncate(time.Second)
	t.step.NotAfter = &next
	v.add(t)
	var listed []string
	for _, t := range v.tasks {
		for _, r := range t.revokes {
			listed = append(listed, r.Serial)
		}
	}
	for _, r := range crlRows(obs) {
		listed = append(listed, r.Serial)
	}
	slices.Sort(listed)
	return slices.Compact(listed)
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

// crlRows are the revoked rows that the next CRL lists.
func crlRows(obs *Observed) []cadb.Row {
	last := obs.now
	if obs.crl.list != nil {
		last = obs.crl.list.ThisUpdate
	}
	return obs.db.revokedRows(last)
}

// pendingRevocations are the serials that must go on the CRL and are not there:
// of this plan, and of the database.
func pendingRevocations(v *verdict, obs *Observed) []string {
	on := map[string]bool{}
	for _, s := range onCRL(obs.crl) {
		on[s] = true
	}
	var out []string
	for _, t := range v.tasks {
		for _, r := range t.revokes {
			out = append(out, r.Serial)
		}
	}
	for _, r := range crlRows(obs) {
		out = append(out, r.Serial)
	}
	return slices.DeleteFunc(out, func(s string) bool { return on[s] })
}

func onCRL(c crlFacts) []string {
	if c.list == nil {
		return nil
	}
	out := make([]string, len(c.list.RevokedCertificateEntries))
	for i, e := range c.list.RevokedCertificateEntries {
		out[i] = pki.SerialHex(e.SerialNumber)
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

// siteText renders a site; revoked are the serials that it must refuse.
func siteText(obs *Observed, site spec.Site, revoked []string) []byte {
	path := func(kind string, settings ...string) string {
		for _, s := range settings {
			if p := site.Values.String(s); p != "" {
				return p
			}
		}
		return filepath.Join(obs.cfg.Output, caFile(obs.cfg, kind))
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d\n%s", obs.cfg.CA.Generation, strings.Join(revoked, "\n")))
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

func judgeSite(v *verdict, obs *Observed, s *siteFacts, revoked []string) {
	if s.err != nil {
		v.fail(s.owner, s.err)
		return
	}
	text := siteText(obs, s.spec, revoked)
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
	default:
		find(SettingsChanged, Rebuild, "the settings, the CA or the revocations give another text")
	}
	findings = append(findings, coded(Mode, modes(s.fileFacts))...)
	t := newTask(s.owner, findings)
	if t != nil {
		t.site, t.text = s, text
	}
	v.add(t)
}
