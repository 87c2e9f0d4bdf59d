package engine

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"mtlsplan/render"
	"mtlsplan/spec"
)

// blank reports whether mtlsplan has never worked in the directory, so that a
// file in it is somebody else's.
func (obs *Observed) blank() bool { return !obs.adopting && len(obs.db.issued) == 0 }

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

func siteText(obs *Observed, site spec.Site, revoked []string, trusted int) []byte {
	return withDigest(site.Proxy.Render(siteOf(obs, site, revoked, trusted))[0].Data)
}

// siteOf is what a site is rendered from; revoked are the serials that it must
// refuse, trusted is the number of CAs.
func siteOf(obs *Observed, site spec.Site, revoked []string, trusted int) render.Site {
	path := func(kind string) string { return filepath.Join(obs.cfg.Output, caFile(obs.cfg, kind)) }
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %d\n%s", obs.cfg.CA.Generation, trusted, strings.Join(revoked, "\n")))
	settings := site.Settings
	settings.ClientCA = cmp.Or(settings.ClientCA, path(kindCrt))
	settings.CRL = cmp.Or(settings.CRL, path(kindCRL))
	return render.Site{
		Name:       site.Name,
		Settings:   settings,
		CA:         obs.cfg.CA.Name,
		Contact:    obs.cfg.CA.Subject.Email,
		Revoked:    revoked,
		Generation: hex.EncodeToString(sum[:8]),
	}
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
