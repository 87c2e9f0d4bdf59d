package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agext/levenshtein"

	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/plan"
)

// A user who is renamed keeps what was issued. The judgement goes by the ledger as it
// will be with the new names; it is no finding that any batch may record, because files
// and records get the new name together.

// renamings are those of a run, by the new names.
type renamings struct {
	done map[plan.Owner]*facts.Moved // with this run
	not  map[plan.Owner]bool         // users who cannot be judged: they cannot be renamed
}

// rename gives the ledger the new names of all who can have them.
func (f *found) rename() {
	f.renamed = renamings{map[plan.Owner]*facts.Moved{}, map[plan.Owner]bool{}}
	var changes []ledger.Change
	for i := range f.Have.Moved {
		m := &f.Have.Moved[i]
		switch {
		case !m.Listed || !f.Ask.Covers(m.To):
		case m.Err != nil || f.obstacle(m) != "":
			f.renamed.not[m.To] = true
		default:
			f.renamed.done[m.To] = m
			changes = append(changes, Renaming(m))
		}
	}
	if len(changes) > 0 {
		f.ledger = f.ledger.With(changes...)
		f.trust = newTrust(f.Config, f.ledger, f.Now)
	}
}

// Renaming is what a ledger learns of a user who is renamed.
func Renaming(m *facts.Moved) ledger.Change {
	return ledger.Rename{From: string(m.From), To: string(m.To), Certs: m.Certs}
}

// obstacle says why a name is not free, "" where it is.
func (f *found) obstacle(m *facts.Moved) string {
	switch {
	case len(f.ledger.Valid(string(m.From), f.Now)) > 0 && len(f.ledger.Valid(string(m.To), f.Now)) > 0:
		return fmt.Sprintf("%s and %s both have valid certificates in the CA database", m.From, m.To)
	case m.Taken != "":
		return fmt.Sprintf("%s is there already, and files of %s too", m.Taken, m.From)
	}
	return ""
}

// judgeMoved decides on the moved blocks themselves.
func (j *judgement) judgeMoved() {
	open := map[plan.Owner]bool{}
	for i := range j.Have.Moved {
		m := &j.Have.Moved[i]
		open[m.From] = true
		if !j.Ask.Covers(m.To) {
			continue
		}
		refuse := func(owner plan.Owner, format string, args ...any) {
			j.add(newTask(OfDeparted, 0, owner, refuse(plan.Moved, fmt.Sprintf(format, args...))))
		}
		why := j.found.obstacle(m)
		switch {
		case m.Listed && j.found.renamed.done[m.To] != nil:
			j.verdict.Renamed = append(j.verdict.Renamed, m)
		case m.Listed && m.Err != nil:
			j.fail(m.To, fallback(plan.FileError, m.Err))
		case m.Listed:
			refuse(m.To, "a moved block gives %s this name, which is not free: %s. If they are two users, list both and remove the block; if they are one, take %s out of the spec for one run, which revokes what it has", m.From, why, m.To)
		case len(j.Ledger.Valid(string(m.From), j.Now)) > 0:
			refuse(m.From, "a moved block says that the user is %s now, whom the spec does not list: correct the block, or remove it if the user has left, and the certificate is revoked", m.To)
		}
	}
	listed := map[plan.Owner]bool{}
	for i := range j.Config.Users {
		listed[plan.User(j.Config.Users[i].Name)] = true
	}
	for _, m := range j.Config.Moved {
		if open[m.From] || !j.Ask.Covers(m.To) {
			continue
		}
		// Somebody like that is about to lose what the block is to keep.
		var left []string
		for _, o := range j.Ledger.Owners() {
			owner := plan.Owner(o)
			if ledger.IsUser(o) && owner.Person() == m.From.Person() && !listed[owner] && !open[owner] && len(j.Ledger.Valid(o, j.Now)) > 0 {
				left = append(left, o)
			}
		}
		if len(left) > 0 && !j.Ledger.Knows(string(m.To)) {
			slices.Sort(left)
			j.add(newTask(OfDeparted, 0, m.To, refuse(plan.Moved, fmt.Sprintf("a moved block says that %s has this name now; the CA database does not know %s, but %s: write a block for each of those that is to go on, with the name that it has now; the others are revoked",
				m.From, m.From, strings.Join(left, " and ")))))
		} else if meant := j.mistyped(m.From, m.To, listed, open); meant != "" {
			j.warn(m.To, plan.MovedDone, "a moved block says that %s had this name before, and the CA database knows nothing of that; it knows %s, who is not in the spec any more, so that the certificate is revoked: if the two are one user, write from = %q before you apply this; if not, remove the block", m.From, meant, meant)
		} else {
			j.note(m.To, plan.MovedDone, "the CA database knows nothing of %s: the moved block has nothing left to do, and can be removed", m.From)
		}
	}
}

// mistyped is the departing user whose name is most like one that a moved block gives for
// a user who is new, "" for none.
func (j *judgement) mistyped(from, to plan.Owner, listed, open map[plan.Owner]bool) (meant plan.Owner) {
	if j.Ledger.Knows(string(to)) {
		return "" // the block was carried out, or is about nobody
	}
	name, _ := from.UserName()
	least := 1 + len(name)/4
	for _, o := range j.Ledger.Owners() {
		owner := plan.Owner(o)
		if !ledger.IsUser(o) || listed[owner] || open[owner] || len(j.Ledger.Valid(o, j.Now)) == 0 {
			continue
		}
		other, _ := owner.UserName()
		if d := levenshtein.Distance(strings.ToLower(name), strings.ToLower(other), nil); d <= least {
			meant, least = owner, d-1
		}
	}
	return meant
}

// userMoved says that files and records get another name.
func userMoved(v *userView) []finding {
	if v.moved == nil {
		return nil
	}
	r := plan.Reason{Message: "the user had another name before: files and records get the new one, and what was issued stays valid",
		Field: "moved", Have: string(v.moved.From), Want: string(v.moved.To)}
	f := finding{Reason: r, action: plan.Rebuild, renames: []plan.Kind{plan.KindDB}}
	for i := range v.moved.Files {
		f.renames = append(f.renames, v.moved.Files[i].Kind)
	}
	return []finding{f}
}

// sameName refuses a user of the spec with the files of one who is no longer there: most
// likely it is the same user, whom nobody means to shut out.
func (j *judgement) sameName(d *departed, have *facts.Departed) []finding {
	if have.Twin == "" || len(d.rows) == 0 && (len(have.Files) == 0 || j.Ledger.Knows(string(have.Twin))) {
		return nil
	}
	what := "only upper and lower case differ"
	if have.Owner.IsDevice() != have.Twin.IsDevice() {
		what = "their files have the same names"
	}
	return refuse(plan.Moved, fmt.Sprintf("the spec lists %s and not %s any more, and %s: for one and the same user, write a moved block with from = %q and to = %q; for another, take %s out of the spec for one run, so that %s is revoked first",
		have.Twin, have.Owner, what, have.Owner, have.Twin, have.Twin, have.Owner))
}

// filesOfTwin reports whether the files of a user of the spec are those of somebody who is
// refused for having the same name.
func (j *judgement) filesOfTwin(owner plan.Owner) bool {
	return slices.ContainsFunc(j.found.departed, func(d departed) bool {
		have := &j.Have.Departed[d.index]
		return have.Twin == owner && len(have.Files) == 0 && len(d.rows) > 0
	})
}

// successor is a new owner in the spec who may be one who has departed: a user who has
// devices now, or no longer; "" for none.
func (j *judgement) successor(owner plan.Owner) plan.Owner {
	if j.fresh == nil {
		j.fresh = map[plan.Owner]plan.Owner{}
		for i := range j.Config.Users {
			if o := plan.User(j.Config.Users[i].Name); !j.Ledger.Knows(string(o)) && j.fresh[o.Person()] == "" {
				j.fresh[o.Person()] = o
			}
		}
	}
	if o := j.fresh[owner.Person()]; o.IsDevice() != owner.IsDevice() {
		return o
	}
	return ""
}
