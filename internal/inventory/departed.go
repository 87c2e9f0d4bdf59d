package inventory

import (
	"maps"
	"slices"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/plan"
)

// departed finds the users who must have no valid certificate and still have
// something, a certificate or files: those whom the spec lists as revoked, in its
// order, and then those whom it does not list, in the order of the index. They are
// out whomever the run is about.
func (r *Reader) departed() []facts.Departed {
	if r.opt.Sealed && !r.opt.Glance {
		return nil // nobody is judged
	}
	var out []facts.Departed
	lost := map[string]bool{} // of whom index.txt lacks a certificate
	for _, e := range r.ledger.Lost() {
		lost[e.Owner] = true
	}
	add := func(owner plan.Owner) {
		if d := r.departedUser(owner); len(d.Files) > 0 || d.Err != nil || lost[string(owner)] || len(r.ledger.Valid(string(owner), r.opt.Now)) > 0 {
			out = append(out, d)
		}
	}
	rows := r.ledger.Rows()
	listed := make(map[string]bool, max(len(rows), len(r.opt.Config.Users)))
	for i := range r.opt.Config.Users {
		u := &r.opt.Config.Users[i]
		owner := plan.User(u.Name)
		listed[string(owner)] = true
		if u.Revoked != "" {
			add(owner)
		}
	}
	for i := range rows {
		for _, owner := range rows[i].Owners() {
			if ledger.IsUser(owner) && !listed[owner] {
				listed[owner] = true
				add(plan.Owner(owner))
			}
		}
	}
	for _, owner := range slices.Sorted(maps.Keys(lost)) {
		if ledger.IsUser(owner) && !listed[owner] {
			add(plan.Owner(owner))
		}
	}
	return out
}

// departedUser finds the files of a user, whatever the spec says of them.
func (r *Reader) departedUser(owner plan.Owner) facts.Departed {
	d := facts.Departed{Owner: owner}
	name, _ := owner.UserName()
	if !config.ValidName(name) {
		d.Err = plan.Errorf(plan.DatabaseInconsistent, "the CA database names an owner %q that can have no files", name)
		return d
	}
	base := facts.Base(name, r.opt.Config.CA.Name)
	for _, kind := range facts.UserKinds {
		path := facts.UserPath(base, kind)
		f, exists := r.unread(kind, path)
		if !exists {
			continue
		}
		if err := r.dir.CheckPlain(path.String()); err != nil {
			d.Err = plan.Errorf(plan.FileError, "%w", err)
			return d
		}
		d.Files = append(d.Files, f)
		if kind != plan.KindCrt {
			continue
		}
		// One that cannot be read is somebody else's, or damaged: it is retired unread.
		if crt, err := r.file(kind, path); err == nil {
			d.Crt = certificates(crt)
		}
	}
	return d
}
