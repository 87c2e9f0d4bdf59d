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

// movedBlocks are all of them, with what it takes to judge one beside the others.
type movedBlocks struct {
	*loader
	listed   map[plan.Owner]hcl.Range
	devices  map[plan.Owner][]string  // of the persons in the spec
	from, to map[plan.Owner]movedRead // the first of each
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
			all = append(all, movedRead(s))
		}
	}
	if len(all) == 0 {
		return
	}
	b := movedBlocks{loader: l, listed: make(map[plan.Owner]hcl.Range, len(l.cfg.Users)), devices: map[plan.Owner][]string{}}
	for i := range l.cfg.Users {
		u := &l.cfg.Users[i]
		b.listed[plan.User(u.Name)] = u.Origin
		if u.Device != "" {
			b.devices[plan.User(u.Person())] = append(b.devices[plan.User(u.Person())], u.Device)
		}
	}
	all = b.eachDevice(all)
	b.from, b.to = map[plan.Owner]movedRead{}, map[plan.Owner]movedRead{}
	for _, m := range slices.Backward(all) {
		b.from[m.from.value], b.to[m.to.value] = m, m
	}
	sound := true
	for _, m := range all {
		sound = b.check(m) && sound
	}
	if sound {
		b.take(all)
	}
}

// take gives the config all former names of each user, the oldest first: one who was renamed
// twice has two blocks, and the database may know any of the names.
func (b *movedBlocks) take(all []movedRead) {
	for _, m := range all {
		if _, on := b.from[m.to.value]; on {
			continue // among those of the last name
		}
		start := m.from.value
		names := []plan.Owner{start}
		for before, more := b.to[start]; more; before, more = b.to[start] {
			start = before.from.value
			names = append(names, start)
		}
		_, isListed := b.listed[m.to.value]
		for _, name := range slices.Backward(names) {
			b.cfg.Moved = append(b.cfg.Moved, config.Moved{From: name, To: m.to.value, Listed: isListed})
		}
	}
}

// eachDevice replaces each moved block of a user with devices by one for each device: they
// go along. Those of a user who is moved on are known from what that user becomes.
func (b *movedBlocks) eachDevice(all []movedRead) []movedRead {
	next := map[plan.Owner][]movedRead{}
	for _, m := range all {
		next[m.from.value.Person()] = append(next[m.from.value.Person()], m)
	}
	busy := map[plan.Owner]bool{}
	var devicesOf func(person plan.Owner) []string
	devicesOf = func(person plan.Owner) []string {
		if list, known := b.devices[person]; known || busy[person] {
			return list
		}
		busy[person] = true
		var out []string
		for _, m := range next[person] {
			name, _ := m.from.value.UserName()
			if _, device, is := strings.Cut(name, plan.DeviceSign); is {
				out = append(out, device)
			} else if !m.to.value.IsDevice() {
				out = append(out, devicesOf(m.to.value)...)
			}
		}
		delete(busy, person)
		return out
	}
	var out []movedRead
	for _, m := range all {
		var devices []string
		if _, plain := b.listed[m.to.value]; !plain && !m.from.value.IsDevice() && !m.to.value.IsDevice() {
			devices = devicesOf(m.to.value)
		}
		if devices == nil {
			out = append(out, m)
		}
		for _, device := range devices {
			of := func(end said[plan.Owner]) said[plan.Owner] {
				return say(end.value+plan.Owner(plan.DeviceSign+device), end.at)
			}
			out = append(out, movedRead{of(m.from), of(m.to)})
		}
	}
	return out
}

// check reports whether a moved block can be carried out, beside all others.
func (b *movedBlocks) check(m movedRead) bool {
	from, to := m.from.value, m.to.value
	if from == to {
		b.error(m.to.at, "Moved to the same name", "from and to are the same. Say in to what the user is called now, or remove the block.")
		return false
	}
	if o := b.from[from]; o != m {
		b.error(m.from.at, "Moved twice", fmt.Sprintf("%s is moved already, %s. A user goes on as one owner: remove one of the two blocks. Further devices need none, they are made anew.", from, place(o.from.at)))
		return false
	}
	if o := b.to[to]; o != m {
		b.error(m.to.at, "New name taken", fmt.Sprintf("%s becomes %s, %s. Two users cannot become one: remove one of the two blocks.", o.from.value, to, place(o.to.at)))
		return false
	}
	_, isListed := b.listed[to]
	next, on := b.from[to]
	if back, around := b.around(m); around {
		if back == nil {
			b.error(m.to.at, "Moved in a circle", fmt.Sprintf("%s is moved in turn, %s, and in the end back to where it was. Names cannot be exchanged: give one of the users a name that nobody has. If it is one user, list the name that the user has now.", to, place(next.from.at)))
		} else if *back == from {
			b.error(m.from.at, "Moved in a circle", fmt.Sprintf("%s is in the spec, and in the end it is moved back to where it was. For a user who has this name again, remove this block.", from))
		}
		return false
	}
	if on && isListed {
		b.error(m.to.at, "Name that passes on", fmt.Sprintf("%s is in the spec and is moved on, %s: these are two users. If %s has this name since an earlier run, remove this block. Else take two runs. In the first, list %s in place of %s, without this block. In the second, list %s in place of %s, with this block in place of the other.",
			to, place(next.from.at), from, from, to, to, from))
		return false
	}
	if at, still := b.listed[from]; still {
		if before, passed := b.to[from]; passed && before != m {
			return false // the block before it says so
		}
		b.error(m.from.at, "Name still in use", fmt.Sprintf("%s is in the spec, %s, so it is not the former name of %s. Remove the moved block if the renaming is done; else take %s out of the spec.", from, place(at), to, from))
		return false
	}
	return true
}

// around reports whether a block leads back to where it begins, by way of others. Where one
// alone of these names is in the spec, it is that of one user, who has it again.
func (b *movedBlocks) around(m movedRead) (back *plan.Owner, around bool) {
	var listed []plan.Owner
	seen := map[plan.Owner]bool{}
	for at, on := m, true; on && !seen[at.from.value]; at, on = b.from[at.to.value] {
		seen[at.from.value] = true
		if _, is := b.listed[at.from.value]; is {
			listed = append(listed, at.from.value)
		}
		around = at.to.value == m.from.value
	}
	if around && len(listed) == 1 {
		back = &listed[0]
	}
	return back, around
}
