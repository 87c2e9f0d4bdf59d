package policy

import (
	"cmp"
	"fmt"
	"maps"
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
	done map[plan.Owner]*facts.Moved // with this run; of several former names the one that has something
	not  map[plan.Owner]bool         // users who cannot be judged: they cannot be renamed
	why  map[plan.Owner]string       // they cannot, "" where a file is the reason
}

// rename gives the ledger the new names of all who can have them.
func (f *found) rename() {
	f.renamed = renamings{map[plan.Owner]*facts.Moved{}, map[plan.Owner]bool{}, map[plan.Owner]string{}}
	done := f.renamed.done
	for i := range f.Have.Moved {
		m := &f.Have.Moved[i]
		if !m.Listed || !f.Ask.Covers(m.To) {
			continue
		}
		before := done[m.To]
		why := f.obstacle(m)
		if why == "" && before != nil && f.hasSome(before) && f.hasSome(m) {
			why = f.twoFormer(before, m)
		}
		if m.Err != nil || why != "" {
			f.renamed.not[m.To] = true
			f.renamed.why[m.To] = cmp.Or(f.renamed.why[m.To], why)
		}
		if before == nil || f.hasSome(m) {
			done[m.To] = m
		}
	}
	maps.DeleteFunc(done, func(to plan.Owner, _ *facts.Moved) bool { return f.renamed.not[to] })
	var changes []ledger.Change
	for i := range f.Have.Moved {
		if m := &f.Have.Moved[i]; done[m.To] != nil {
			changes = append(changes, Renaming(m))
		}
	}
	if len(changes) > 0 {
		f.ledger = f.ledger.With(changes...)
		f.trust = newTrust(f.Config, f.ledger, f.Now)
	}
}

// hasSome reports whether anything of a former name is still in use.
func (f *found) hasSome(m *facts.Moved) bool {
	return len(m.Files) > 0 || len(f.ledger.Valid(string(m.From), f.Now)) > 0
}

// Renaming is what a ledger learns of a user who is renamed.
func Renaming(m *facts.Moved) ledger.Change {
	return ledger.Rename{From: string(m.From), To: string(m.To), Certs: m.Certs}
}

// obstacle says why a name is not free and what to do, "" where it is.
func (f *found) obstacle(m *facts.Moved) string {
	former, now := len(f.ledger.Valid(string(m.From), f.Now)) > 0, len(f.ledger.Valid(string(m.To), f.Now)) > 0
	const taken = "a moved block gives %s this name, which is not free: "
	switch {
	case former && now:
		return fmt.Sprintf(taken+"%s and %s both have valid certificates in the CA database. If they are two users, list both and remove the block. If they are one, list %s in place of %s for one run, without the block, which revokes what %s has; then do as now",
			m.From, m.From, m.To, m.From, m.To, m.To)
	case m.Taken != "" && now:
		return fmt.Sprintf(taken+"%s is there already, and files of %s too. %s has a valid certificate and %s has none: remove the block", m.From, m.Taken, m.From, m.To, m.From)
	case m.Taken != "":
		return fmt.Sprintf(taken+"%s is there already, and files of %s too. %s has no valid certificate: move that file out of the directory, and with it any other of that name", m.From, m.Taken, m.From, m.To)
	}
	return ""
}

// twoFormer says why a user cannot have had two names, the older one first, and what to do.
func (f *found) twoFormer(older, newer *facts.Moved) string {
	text := fmt.Sprintf("moved blocks say that %s was %s and %s before: ", older.To, older.From, newer.From)
	if len(f.ledger.Valid(string(newer.From), f.Now)) == 0 {
		return text + fmt.Sprintf("%s has valid certificates or files, and %s is there too, whose user has no valid certificate: move that file out of the directory, and with it any other of that name", older.From, newer.Names[0])
	}
	return text + fmt.Sprintf("both still have certificates or files, so that they are two users for the CA database. Remove the block with from = %q; then %s is revoked, unless it is listed as another user", older.From, older.From)
}

// judgeMoved decides on the moved blocks themselves.
func (j *judgement) judgeMoved() {
	open, told := map[plan.Owner]bool{}, map[plan.Owner]bool{}
	for i := range j.Have.Moved {
		m := &j.Have.Moved[i]
		open[m.From] = true
		if !j.Ask.Covers(m.To) {
			continue
		}
		switch {
		case m.Listed && j.found.renamed.done[m.To] != nil:
			j.verdict.Renamed = append(j.verdict.Renamed, m)
		case m.Listed && m.Err != nil:
			j.fail(m.To, fallback(plan.FileError, m.Err))
		case m.Listed:
			if why := j.found.renamed.why[m.To]; why != "" && !told[m.To] {
				told[m.To] = true
				j.refuseMoved(m.To, "%s", why)
			}
		case len(j.Ledger.Valid(string(m.From), j.Now)) > 0:
			j.refuseMoved(m.From, "a moved block says that the user is %s now, whom the spec does not list: correct the block, or remove it if the user has left, and the certificate is revoked", m.To)
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
			j.refuseMoved(m.To, "a moved block says that %s has this name now; the CA database does not know %s, but %s: write a block for each of those that is to go on, with the name that it has now; the others are revoked",
				m.From, m.From, strings.Join(left, " and "))
		} else if became := j.became(m.From); became != "" && !listed[became] && !open[became] && !j.Ledger.Knows(string(m.To)) {
			j.refuseMoved(m.To, "a moved block says that %s had this name before; %s was renamed %s in an earlier run, who is not in the spec any more: write from = %q; if %s has left, remove the block, and the certificate is revoked",
				m.From, m.From, became, became, became)
		} else if meant := j.mistyped(m.From, m.To, listed, open); meant != "" {
			j.warn(m.To, plan.MovedDone, "a moved block says that %s had this name before, and the CA database knows nothing of that; it knows %s, who is not in the spec any more, so that the certificate is revoked: if the two are one user, write from = %q before you apply this; if not, remove the block", m.From, meant, meant)
		} else {
			j.note(m.To, plan.MovedDone, "the CA database knows nothing of %s: the moved block has nothing left to do, and can be removed", m.From)
		}
	}
}

func (j *judgement) refuseMoved(owner plan.Owner, format string, args ...any) {
	j.add(newTask(OfDeparted, 0, owner, refuse(plan.Moved, fmt.Sprintf(format, args...))))
}

// became is the owner of what was recorded under a former name, where some of it is valid;
// "" for none.
func (j *judgement) became(from plan.Owner) plan.Owner {
	if j.Ledger.Knows(string(from)) {
		return ""
	}
	var owner plan.Owner
	for _, e := range j.Ledger.All() {
		if e.Owner != string(from) {
			continue
		}
		if now := j.Ledger.Holder(e.Serial, e.Sum); now != "" && len(j.Ledger.Valid(now, j.Now)) > 0 {
			owner = plan.Owner(now)
		}
	}
	return owner
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
