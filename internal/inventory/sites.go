package inventory

import (
	"crypto/sha256"

	"mtlsplan/internal/facts"
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
				rendered.Sum, rendered.Gate = sha256.Sum256(f.content.Data), site.Proxy.Gate(f.content.Data)
				if r.opt.Prove {
					rendered.Refused = site.Proxy.Refused(f.content.Data)
				}
			}
			s.Files = append(s.Files, rendered)
		}
		out = append(out, s)
	}
	return out
}

// orphans finds files that lie there as they were rendered and that no site of the
// spec has. They are left alone, since a proxy may still read them.
func (r *Reader) orphans(sites []facts.Site) []string {
	have := map[string]bool{}
	for _, s := range sites {
		for _, f := range s.Files {
			have[f.Name()] = true
		}
	}
	var out []string
	for _, name := range r.ledger.RenderedPaths() {
		if have[name] {
			continue
		}
		f, err := r.file(plan.KindSite, facts.At(name))
		if written, _ := r.ledger.Rendered(name); err == nil && !f.Missing && sha256.Sum256(f.content.Data) == written {
			out = append(out, name)
		}
	}
	return out
}
