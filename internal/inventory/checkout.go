package inventory

import (
	"errors"
	"strings"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/plan"
)

// checkout reads what matters only where the directory is in version control.
func (r *Reader) checkout(ca *facts.CA) error {
	if !r.opt.Config.VersionControl {
		return nil
	}
	var sites []string
	for _, site := range r.opt.Config.Sites {
		sites = append(sites, site.Proxy.Files(site.Settings)...)
	}
	for _, name := range facts.GitNames() {
		f, err := r.file(plan.KindGit, facts.At(name))
		ca.Err = firstOf(ca.Err, err)
		ca.Git = append(ca.Git, facts.GitFile{File: f.File, Text: f.content.Data, Sites: sites})
	}
	name := r.opt.Config.CA.Name
	for _, name := range []string{facts.CAPath(name, plan.KindCrt).String(), facts.CAPath(name, plan.KindCRL).String(), ledger.AttrName, ledger.RenderedName, ledger.SealedName, ledger.HandoutsName} {
		if f, err := r.read(name); err == nil && facts.Unmerged(f.Data) { // what cannot be read is said elsewhere
			ca.Unmerged = append(ca.Unmerged, name)
		}
	}
	return nil
}

// inClear finds passphrases in clear where the spec wants none: nowhere in version control,
// and of whoever has left, none where anything is sealed.
func (r *Reader) inClear(ca *facts.CA) error {
	var dirs []string
	switch cfg := r.opt.Config; {
	case cfg.VersionControl:
		dirs = []string{facts.SecretsDir, facts.RetiredDir}
	case sealsAny(cfg):
		dirs = []string{facts.RetiredDir}
	}
	for _, dir := range dirs {
		names, err := r.dir.List(dir)
		if err != nil {
			return err
		}
		for _, name := range names {
			if !holdsClear(name) {
				continue
			}
			if f, exists := r.unread(plan.KindPass, facts.At(dir+"/"+name)); exists {
				ca.InClear = append(ca.InClear, f)
			}
		}
	}
	return nil
}

// holdsClear reports whether a name is that of a passphrase in clear. Whoever has left more
// than once has left NAME.pass.1, too.
func holdsClear(name string) bool {
	const ending = "." + plan.KindPass
	unnumbered := strings.TrimRight(name, "0123456789")
	return strings.HasSuffix(name, ending) || unnumbered != name && strings.HasSuffix(unnumbered, ending+".")
}

// sealsAny reports whether the spec has any passphrase sealed.
func sealsAny(cfg *config.Config) bool {
	for i := range cfg.Users {
		if len(cfg.Users[i].Seal) > 0 {
			return true
		}
	}
	return len(cfg.CA.Seal) > 0
}

// asKept is a file with the mode that counts apart: version control keeps none, so whatever
// a checkout has given it beyond what it may have is judged as if it were not there.
func (r *Reader) asKept(f facts.File) facts.File {
	if r.opt.Config.VersionControl {
		f.Loose |= f.Mode &^ f.Widest()
		f.Mode &= f.Widest()
	}
	return f
}

// keepModes is asKept for the files of a user.
func (r *Reader) keepModes(u *facts.User) {
	if !r.opt.Config.VersionControl {
		return
	}
	for _, f := range []*facts.File{&u.Passphrase.File, &u.Key.File, &u.CSR.File, &u.Crt.File} {
		*f = r.asKept(*f)
	}
	for i := range u.P12 {
		u.P12[i].File = r.asKept(u.P12[i].File)
	}
}

// damaged refuses a directory with a file of the database that cannot be read. In version
// control it says what has most likely become of it there, and its history is the backup.
func (r *Reader) damaged(err error) error {
	if d, ok := errors.AsType[*ledger.DamagedError](err); ok && r.opt.Config.VersionControl {
		d.Way = facts.OneState(r.dir.Path())
	}
	return plan.Errorf(plan.Refused, "%s/%w", r.dir.Path(), err)
}
