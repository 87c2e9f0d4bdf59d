package inventory

import (
	"maps"
	"path"
	"slices"
	"strings"
	"time"

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
	if r.opt.Blind && !r.opt.Glance {
		return nil // nobody is judged
	}
	var out []facts.Departed
	lost := map[string]bool{} // of whom index.txt lacks a certificate
	for _, e := range r.ledger.Lost() {
		lost[e.Owner] = true
	}
	add := func(owner, twin plan.Owner) {
		recorded := string(r.recordedAs(owner))
		d := r.departedUser(owner, twin)
		if len(d.Files) > 0 || d.Err != nil || lost[recorded] || len(r.ledger.Valid(recorded, r.opt.Now)) > 0 {
			out = append(out, d)
		}
	}
	rows := r.ledger.Rows()
	listed := make(map[string]plan.Owner, max(len(rows), len(r.opt.Config.Users))) // by what their files are called, but for case
	for i := range r.opt.Config.Users {
		u := &r.opt.Config.Users[i]
		owner := plan.User(u.Name)
		listed[fileName(owner)] = owner
		if u.Revoked != "" {
			add(owner, "")
		}
	}
	seen := map[string]bool{}
	for _, m := range r.opt.Config.Moved {
		seen[string(m.From)] = m.Listed // who has not departed
	}
	depart := func(owner string) {
		if twin := listed[fileName(plan.Owner(owner))]; string(twin) != owner && !seen[owner] && ledger.IsUser(owner) {
			seen[owner] = true
			add(plan.Owner(owner), twin)
		}
	}
	for i := range rows {
		for _, owner := range rows[i].Owners() {
			depart(owner)
		}
	}
	for _, owner := range slices.Sorted(maps.Keys(lost)) {
		depart(owner)
	}
	return out
}

// out are the certificates of users who must have none. One that cannot be read is not
// among them: it is shown without what it says.
func (r *Reader) out() map[string]*facts.Certificate {
	if !r.opt.Glance {
		return nil
	}
	in := make(map[string]bool, len(r.opt.Config.Users)) // who may come in
	for i := range r.opt.Config.Users {
		u := &r.opt.Config.Users[i]
		in[string(r.recordedAs(plan.User(u.Name)))] = u.Revoked == ""
	}
	out := map[string]*facts.Certificate{}
	entries := r.ledger.Entries()
	for i := range entries {
		e := &entries[i]
		if !ledger.IsUser(e.Owner) || in[e.Owner] || r.opt.Now.After(time.Unix(e.NotAfter, 0)) {
			continue
		}
		if cert, err := r.certificate(e); err == nil {
			out[e.Serial] = factsOf(cert)
		}
	}
	return out
}

// Retired are the files of a user that db/retired keeps, relative to the output directory.
// What cannot be listed is not among them.
func (r *Reader) Retired(owner plan.Owner) []string {
	name, _ := owner.UserName()
	names, _ := r.dir.List(facts.RetiredDir)
	base := facts.Base(name, r.opt.Config.CA.Name)
	var out []string
	for _, kind := range facts.UserKinds {
		for _, n := range versions(names, path.Base(facts.UserPath(base, kind).String())) {
			out = append(out, facts.RetiredDir+"/"+n)
		}
	}
	return out
}

// fileName is what the names of a user's files begin with, in lower case.
func fileName(owner plan.Owner) string {
	name, _ := owner.UserName()
	return strings.ToLower(strings.Replace(name, plan.DeviceSign, ".", 1))
}

// departedUser finds the files of a user, whatever the spec says of them. The twin is a
// user of the spec whose files are called like them, but for case: what they share is
// the twin's.
func (r *Reader) departedUser(owner, twin plan.Owner) facts.Departed {
	d := facts.Departed{Owner: owner, Twin: twin}
	name, _ := owner.UserName()
	if !config.ValidUser(name) {
		d.Err = plan.Errorf(plan.DatabaseInconsistent, "the CA database names an owner %q that can have no files", name)
		return d
	}
	base := r.baseOf(name)
	other := ""
	if twin != "" {
		other = userBase(r, twin)
	}
	for _, kind := range facts.UserKinds {
		at := facts.UserPath(base, kind)
		f, exists := r.unread(kind, at)
		if !exists || twin != "" && (base == other || r.dir.SameFile(at.String(), facts.UserPath(other, kind).String())) {
			continue
		}
		if err := r.dir.CheckPlain(at.String()); err != nil {
			d.Err = plan.Errorf(plan.FileError, "%w", err)
			return d
		}
		d.Files = append(d.Files, f)
		if kind != plan.KindCrt {
			continue
		}
		// One that cannot be read is somebody else's, or damaged: it is retired unread.
		if crt, err := r.file(kind, at); err == nil {
			d.Crt = certificates(crt)
		}
	}
	return d
}
