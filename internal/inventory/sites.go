package inventory

import (
	"crypto/sha256"
	"path"
	"slices"
	"strings"

	"mtlsplan/internal/config"
	"mtlsplan/internal/deploy"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
)

// sites reads the files of all sites of the spec.
func (r *Reader) sites() []facts.Site {
	var out []facts.Site
	for i := range r.opt.Config.Sites {
		site := &r.opt.Config.Sites[i]
		s := facts.Site{Owner: plan.Site(site.Proxy.Name, site.Name)}
		for _, name := range site.Proxy.Files(site.Settings) {
			f, err := r.file(plan.KindSite, facts.At(name))
			s.Err = firstOf(s.Err, err)
			rendered := facts.Rendered{File: f.File}
			if err == nil && !f.Missing {
				rendered.Data = f.content.Data
				rendered.Sum, rendered.Gate = sha256.Sum256(f.content.Data), site.Proxy.Gate(f.content.Data)
				if r.opt.Prove {
					rendered.Refused = site.Proxy.Refused(f.content.Data)
				}
			}
			s.Files = append(s.Files, rendered)
		}
		s.Copies = r.copies(site)
		s.Owed = slices.ContainsFunc(r.owed.Deployments, func(d ledger.Deployment) bool { return d.Owner == string(s.Owner) })
		out = append(out, s)
	}
	return out
}

// copies reads what lies on the proxy's host in the places of a site's copies.
func (r *Reader) copies(site *config.Site) []facts.Copy {
	var out []facts.Copy
	for _, t := range site.Settings.Deploy.Targets() {
		c := facts.Copy{Kind: copied[t.Attribute], Path: t.Path}
		if c.From = facts.CAPath(r.opt.Config.CA.Name, c.Kind); c.Kind == plan.KindSite {
			c.From = facts.At(site.Settings.File)
		}
		f, err := r.file(c.Kind, c.From)
		if err == nil && !f.Missing {
			c.Source = sha256.Sum256(f.content.Data)
		}
		there, failed := deploy.Read(r.ctx, t.Path)
		c.Missing, c.Err = there.Missing, firstOf(err, failed)
		if failed == nil && !there.Missing {
			c.Sum = sha256.Sum256(there.Data)
			switch c.Kind {
			case plan.KindSite:
				c.Data = there.Data
			case plan.KindCrt:
				c.CAs, _ = pki.ParseCertificates(there.Data)
			}
		}
		out = append(out, c)
	}
	return out
}

// copied are the files that the targets of a deployment are copies of.
var copied = map[string]plan.Kind{"crl": plan.KindCRL, "client_ca": plan.KindCrt, "site": plan.KindSite}

// orphans finds files that lie there as they were rendered and that no site of the
// spec has. They are left alone, since a proxy may still read them.
func (r *Reader) orphans(sites []facts.Site) []string {
	have := map[string]bool{}
	for _, s := range sites {
		for _, f := range s.Files {
			have[f.Name()] = true
		}
		for _, c := range s.Copies {
			have[c.Path] = true
		}
	}
	var out []string
	for _, name := range r.ledger.RenderedPaths() {
		if have[name] {
			continue
		}
		written, _ := r.ledger.Rendered(name)
		if path.IsAbs(name) { // a copy on the proxy's host
			there, err := deploy.Read(r.ctx, name)
			if err == nil && !there.Missing && sha256.Sum256(there.Data) == written {
				out = append(out, name)
			}
			continue
		}
		if r.isSiteToo(name, have) {
			continue
		}
		f, err := r.file(plan.KindSite, facts.At(name))
		if err == nil && !f.Missing && sha256.Sum256(f.content.Data) == written {
			out = append(out, name)
		}
	}
	return out
}

// isSiteToo reports whether a name is that of a file in another spelling, on a file system
// that does not tell upper and lower case.
func (r *Reader) isSiteToo(name string, have map[string]bool) bool {
	for other := range have {
		if strings.EqualFold(name, other) && r.dir.SameFile(name, other) {
			return true
		}
	}
	return false
}
