package policy

import (
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/plan"
	"mtlsplan/render"
)

// RenderSite renders a site. revoked are the serials that it must refuse, trusted
// are the CAs, the current one first.
func RenderSite(cfg *config.Config, site config.Site, revoked []string, trusted []*x509.Certificate) []render.File {
	path := func(kind plan.Kind) string {
		return filepath.Join(cfg.Output, facts.CAPath(cfg.CA.Name, kind).String())
	}
	settings := site.Settings
	settings.ClientCA = cmp.Or(settings.ClientCA, path(plan.KindCrt))
	settings.CRL = cmp.Or(settings.CRL, path(plan.KindCRL))
	var key []byte
	if len(trusted) > 0 {
		key = trusted[0].RawSubjectPublicKeyInfo
	}
	return site.Proxy.Render(render.Site{
		Name:       site.Name,
		Settings:   settings,
		CA:         cfg.CA.Name,
		CAKey:      key,
		Contact:    cfg.CA.Subject.Email,
		Revoked:    revoked,
		Generation: generation(trusted, revoked),
	})
}

// generation is a digest of the CA certificates and the revocations. Numbers would
// not do: two specs with one CA each would share the sessions of their users.
func generation(trusted []*x509.Certificate, revoked []string) string {
	h := sha256.New()
	for _, ca := range trusted {
		sum := sha256.Sum256(ca.Raw)
		h.Write(sum[:])
	}
	fmt.Fprint(h, strings.Join(revoked, "\n"))
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// judgeSites decides on the sites, which refuse some serials when the plan is
// done.
func (j *judgement) judgeSites(revoked []string) {
	for i := range j.Have.Sites {
		s := &j.Have.Sites[i]
		switch {
		case !j.Ask.Covers(s.Owner):
		case s.Err != nil:
			j.fail(s.Owner, fallback(plan.FileError, s.Err))
		case j.issuer.err != nil && j.Have.CA.Crt.Missing:
			j.fail(s.Owner, plan.Errorf(plan.CAUnavailable, "%w; the site would name a CA file that is not there", j.issuer.err))
		default:
			j.add(newTask(OfSite, i, s.Owner, j.examineSite(j.Config.Sites[i], s, revoked)))
		}
	}
}

func (j *judgement) examineSite(site config.Site, have *facts.Site, revoked []string) []finding {
	var out []finding
	trusted := j.issuer.after
	if len(trusted) == 0 {
		trusted = j.Have.CA.Crt.All // made by hand, and not taken over yet
	}
	for _, f := range RenderSite(j.Config, site, revoked, trusted) {
		i := slices.IndexFunc(have.Files, func(r facts.Rendered) bool { return r.Name() == f.Name })
		if i < 0 {
			out = append(out, one(plan.Create, plan.Reason{Code: plan.Missing, Message: f.Name + " is not there"}, plan.KindSite)...)
			continue
		}
		there := &have.Files[i]
		out = append(out, j.examineRendered(site, there, f, revoked)...)
		out = append(out, coded(plan.Mode, wide(nil, &there.File))...)
	}
	return out
}

// examineRendered compares a file with what it should be. The ledger's checksum
// says whether somebody has edited it, or whether it is to be another.
func (j *judgement) examineRendered(site config.Site, have *facts.Rendered, want render.File, revoked []string) []finding {
	found := func(code plan.Code, action plan.Action, message string) []finding {
		return one(action, plan.Reason{Code: code, Message: want.Name + message}, plan.KindSite)
	}
	written, recorded := j.Ledger.Rendered(want.Name)
	switch {
	case have.Missing:
		return found(plan.Missing, plan.Create, " is not there")
	case have.Sum == sha256.Sum256(want.Data) && (recorded || j.Ledger.Blank()):
		return nil
	case have.Sum == sha256.Sum256(want.Data):
		return one(plan.Repair, plan.Reason{Code: plan.Damaged, Message: ledger.RenderedName + " does not have the checksum of " + want.Name + "; it is recorded"}, plan.KindDB)
	case !recorded && !j.Ask.Adopt && (j.Ledger.Blank() || len(j.Ledger.RenderedPaths()) > 0):
		return refuse(plan.Unrecorded, want.Name+" is there, and mtlsplan has not written it: move it away, or say --adopt to have it written over")
	case !recorded && !j.Ask.Adopt:
		return found(plan.Damaged, plan.Repair, " is not what the spec asks for, and "+ledger.RenderedName+", which would tell by whom it was changed, is lost")
	case !recorded || have.Sum != written:
		return found(plan.Damaged, plan.Repair, " was edited by somebody else; the spec is the place for settings")
	}
	revocations := [][]string{onCRL(j.Have.CRL), Refused(j.Have.CRL, j.trust.Barred(j.Ledger, j.Have.CRL, j.Now, false))}
	for _, trusted := range [][]*x509.Certificate{j.trust.Certificates(), j.Have.CA.Crt.All} {
		for _, before := range revocations {
			if slices.ContainsFunc(RenderSite(j.Config, site, before, trusted), func(f render.File) bool {
				return f.Name == want.Name && have.Sum == sha256.Sum256(f.Data)
			}) {
				cas := !slices.Equal(trusted, j.issuer.after)
				return found(plan.Upstream, plan.Rebuild, " was written before "+whatChanged(cas, !slices.Equal(before, revoked))+" changed")
			}
		}
	}
	return found(plan.SettingsChanged, plan.Rebuild, " was written from other settings: its block in the spec, the CA's e-mail or generation, or the output path has changed, or mtlsplan writes it differently now")
}

// whatChanged names that of which a site was made.
func whatChanged(cas, revocations bool) string {
	switch {
	case cas && revocations:
		return "the CAs and the revocations"
	case cas:
		return "the CAs"
	}
	return "the revocations"
}
