package spec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"mtlsplan/internal/config"
	"mtlsplan/internal/plan"
)

// movedUser reads the owner of a user or of a device.
func (l *loader) movedUser(v value) (none said[plan.Owner]) {
	if !l.is(v, text, `put the owner in double quotes, as in "user.ada"`) {
		return none
	}
	owner := plan.Owner(v.text)
	name, isUser := owner.UserName()
	switch {
	case isUser && config.ValidUser(name):
		return say(owner, v.at)
	case config.ValidUser(v.text) && !isOtherOwner(v.text):
		l.error(v.at, "Not an owner", fmt.Sprintf("A user is written as in reports and flags: %q.", plan.User(v.text)))
	case isOtherOwner(v.text):
		l.error(v.at, "Not a user", "Only users and their devices can be given another name.")
	default:
		l.error(v.at, "Not an owner", `Expected a user or a device of one, as in "user.ada" and "user.ada:laptop".`)
	}
	return none
}

// isOtherOwner reports whether a text is written like the owner of a CA, a CRL or a site.
func isOtherOwner(text string) bool {
	kind, _, dotted := strings.Cut(text, ".")
	return dotted && kind != "user" && (kind == "crl" || slices.Contains(topLevel, kind))
}

// movedRead is a moved block both of whose ends could be read.
type movedRead struct {
	from, to said[plan.Owner]
}

// readMoved reads the moved blocks, once all users are known.
func (l *loader) readMoved(found []*hclsyntax.Block) {
	var all []movedRead
	for _, b := range found {
		l.noLabel(b)
		s := movedBlock{}
		l.readBlock(b.Body, s.target())
		for _, end := range []struct {
			name string
			set  bool
		}{{"from", s.from.set}, {"to", s.to.set}} {
			if !end.set && !tried(b.Body, end.name) {
				l.missing(b.DefRange(), "Incomplete moved block", fmt.Sprintf(`A moved block says what a user was and is: from = "user.ada" and to = "user.ada:laptop". This one has no %s.`, end.name))
			}
		}
		if s.from.set && s.to.set {
			all = append(all, l.eachDevice(movedRead(s))...)
		}
	}
	if len(all) == 0 {
		return
	}
	listed := make(map[plan.Owner]hcl.Range, len(l.cfg.Users))
	for i := range l.cfg.Users {
		listed[plan.User(l.cfg.Users[i].Name)] = l.cfg.Users[i].Origin
	}
	from, to := map[plan.Owner]movedRead{}, map[plan.Owner]movedRead{} // the first of each
	for _, m := range slices.Backward(all) {
		from[m.from.value], to[m.to.value] = m, m
	}
	for _, m := range all {
		if l.checkMoved(m, from, to, listed) {
			_, isListed := listed[m.to.value]
			l.cfg.Moved = append(l.cfg.Moved, config.Moved{From: m.from.value, To: m.to.value, Listed: isListed})
		}
	}
}

// eachDevice is a moved block, or one for each device where a user with devices is renamed:
// they go along.
func (l *loader) eachDevice(m movedRead) []movedRead {
	if m.from.value.IsDevice() || m.to.value.IsDevice() {
		return []movedRead{m}
	}
	var out []movedRead
	for i := range l.cfg.Users {
		if u := &l.cfg.Users[i]; u.Device != "" && plan.User(u.Person()) == m.to.value {
			of := func(end said[plan.Owner]) said[plan.Owner] {
				return say(end.value+plan.Owner(plan.DeviceSign+u.Device), end.at)
			}
			out = append(out, movedRead{of(m.from), of(m.to)})
		}
	}
	if out == nil {
		return []movedRead{m}
	}
	return out
}

// checkMoved reports whether a moved block can be carried out, beside all others, by their
// two ends.
func (l *loader) checkMoved(m movedRead, byFrom, byTo map[plan.Owner]movedRead, listed map[plan.Owner]hcl.Range) bool {
	from, to := m.from.value, m.to.value
	if from == to {
		l.error(m.to.at, "Moved to the same name", "from and to are the same. Say in to what the user is called now, or remove the block.")
		return false
	}
	if o := byFrom[from]; o != m {
		l.error(m.from.at, "Moved twice", fmt.Sprintf("%s is moved already, %s. A user goes on as one owner: remove one of the two blocks. Further devices need none, they are made anew.", from, place(o.from.at)))
		return false
	}
	if o := byTo[to]; o != m {
		l.error(m.to.at, "New name taken", fmt.Sprintf("%s becomes %s, %s. Two users cannot become one: remove one of the two blocks.", o.from.value, to, place(o.to.at)))
		return false
	}
	if next, moved := byFrom[to]; moved {
		l.error(m.to.at, "Moved twice", movedOn(m, next, byFrom))
		return false
	}
	if at, still := listed[from]; still {
		l.error(m.from.at, "Name still in use", fmt.Sprintf("%s is in the spec, %s, so it is not the former name of %s. Remove the moved block if the renaming is done; else take %s out of the spec.", from, place(at), to, from))
		return false
	}
	return true
}

// movedOn says what to do where what one block gives a user another takes again.
func movedOn(m, next movedRead, byFrom map[plan.Owner]movedRead) string {
	end, seen := next, map[plan.Owner]bool{m.from.value: true}
	for !seen[end.from.value] {
		seen[end.from.value] = true
		if o, on := byFrom[end.to.value]; on {
			end = o
		}
	}
	if seen[end.to.value] {
		return fmt.Sprintf("%s is moved in turn, %s, and in the end back to where it was. Names cannot be exchanged: give one of the users a name that nobody has.", m.to.value, place(next.from.at))
	}
	return fmt.Sprintf("%s is moved on, %s. Write the way in one block, from = %q and to = %q, and remove the other.", m.to.value, place(next.from.at), m.from.value, end.to.value)
}
