package engine

import (
	"io/fs"
	"path"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/outdir"
	"mtlsplan/internal/plan"
)

// options are how the output directory of a spec is opened.
func options(cfg *config.Config) []outdir.Option {
	if cfg.VersionControl {
		return []outdir.Option{outdir.Checkout}
	}
	return nil
}

// narrowCheckout gives what a checkout has made the modes that mtlsplan gives it. It
// happens before anything is read, so that no plan has to tell of it. A crash in here: the
// next run goes on.
func (r *run) narrowCheckout() error {
	if !r.cfg.VersionControl {
		return nil
	}
	var err error
	narrow := func(name string, widest fs.FileMode) {
		if err == nil {
			err = r.dir.Narrow(name, widest)
		}
	}
	list := func(dir string) (names []string) {
		if err == nil {
			names, err = r.dir.List(dir)
		}
		return names
	}
	for _, dir := range []string{outdir.DB, facts.RetiredDir, facts.SecretsDir} {
		narrow(dir, facts.ModePrivate)
		for _, name := range list(dir) {
			switch name = dir + "/" + name; name {
			case facts.RetiredDir:
			case outdir.DB + "/stage":
				narrow(name, facts.ModePrivate)
			default:
				narrow(name, facts.ModeSecret)
			}
		}
	}
	there := map[string]bool{}
	for _, name := range list(".") {
		there[name] = true
	}
	own := func(kind plan.Kind, at facts.Path) {
		if name := at.String(); there[name] {
			narrow(name, facts.ModeOf(kind))
		}
	}
	for _, kind := range []plan.Kind{plan.KindKey, plan.KindCSR, plan.KindCrt, plan.KindCRL} {
		own(kind, facts.CAPath(r.cfg.CA.Name, kind))
	}
	for i := range r.cfg.Users {
		base := facts.Base(r.cfg.Users[i].Name, r.cfg.CA.Name)
		for _, kind := range facts.UserKinds {
			own(kind, facts.UserPath(base, kind))
		}
	}
	for _, name := range facts.GitNames() {
		own(plan.KindGit, facts.At(name))
	}
	for _, site := range r.cfg.Sites {
		for _, name := range site.Proxy.Files(site.Settings) {
			for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
				narrow(dir, outdir.ModeDir)
			}
			narrow(name, facts.ModePublic)
		}
	}
	return err
}
