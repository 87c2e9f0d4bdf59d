package inventory

import (
	"strings"

	"mtlsplan/internal/facts"
	"mtlsplan/internal/plan"
)

// A user who is renamed is known by the former name until a run has carried that out:
// then the files are read under that name, and the ledger is asked for it.

// findFormer finds whose files still have the former name, the last of several: those who
// have none under the new one.
func (r *Reader) findFormer() {
	r.former = map[string]string{}
	for _, m := range r.opt.Config.Moved {
		from, to := userBase(r, m.From), userBase(r, m.To)
		if m.Listed && from != to && len(r.filesAt(from)) > 0 && len(r.filesAt(to)) == 0 {
			name, _ := m.To.UserName()
			r.former[name] = from
		}
	}
}

func userBase(r *Reader, owner plan.Owner) string {
	name, _ := owner.UserName()
	return facts.Base(name, r.opt.Config.CA.Name)
}

// baseOf is what the names of a user's files begin with now.
func (r *Reader) baseOf(name string) string {
	if base, ok := r.former[name]; ok {
		return base
	}
	return facts.Base(name, r.opt.Config.CA.Name)
}

// filesAt are the files of a user that are there.
func (r *Reader) filesAt(base string) []facts.File {
	var out []facts.File
	for _, kind := range facts.UserKinds {
		if f, exists := r.unread(kind, facts.UserPath(base, kind)); exists {
			out = append(out, f)
		}
	}
	return out
}

// recordedAs is the owner under whom the ledger has what was issued to a user.
func (r *Reader) recordedAs(owner plan.Owner) plan.Owner {
	former := r.formerly[owner]
	if len(former) == 0 || r.ledger.Knows(string(owner)) {
		return owner
	}
	as := owner
	for _, from := range former {
		if r.ledger.Knows(string(from)) && (as == owner || len(r.ledger.Valid(string(from), r.opt.Now)) > 0) {
			as = from
		}
	}
	return as
}

// moved finds what is left to do of renamings. One of which nothing is left is not
// among them.
func (r *Reader) moved() (out []facts.Moved, err error) {
	for _, m := range r.opt.Config.Moved {
		name, _ := m.To.UserName()
		from, to := userBase(r, m.From), userBase(r, m.To)
		former := r.former[name] == from
		if recorded := r.ledger.Knows(string(m.From)); !former && !recorded {
			continue
		}
		f := facts.Moved{From: m.From, To: m.To, Listed: m.Listed}
		if from != to {
			f.Files = r.filesAt(from)
		}
		if len(f.Files) > 0 && !former && m.Listed {
			// On a file system that does not tell case, both names are those of one file.
			if there := r.filesAt(to); len(there) > 0 && !(strings.EqualFold(from, to) && r.dir.SameFile(f.Files[0].Name(), facts.UserPath(to, f.Files[0].Kind).String())) {
				f.Taken = there[0].Name()
			} else if len(there) > 0 {
				f.Files = nil
			}
		}
		for _, kind := range facts.UserKinds {
			if err := r.dir.CheckPlain(facts.UserPath(from, kind).String()); err != nil && f.Err == nil {
				f.Err = plan.Errorf(plan.FileError, "%w", err)
			}
		}
		for i := range f.Files {
			name := f.Files[i].Name()
			if err := r.dir.Held(name); err != nil && f.Err == nil {
				f.Err = plan.Errorf(plan.FileError, "%w", err)
			}
			f.Names = append(f.Names, name)
			f.Files[i].Path = facts.UserPath(to, f.Files[i].Kind)
		}
		for _, e := range r.ledger.CertificatesOf(string(m.From)) {
			der, err := r.der(e)
			if err != nil {
				return nil, err
			}
			f.Certs = append(f.Certs, der)
		}
		out = append(out, f)
	}
	return out, nil
}
