package spec

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
)

// column is one thing that a roster can say of a user.
type column struct {
	name  string
	row   *attribute // nil: the user's name
	place string     // of a secret: env, file, command or generate
}

// columns are all of them: the attributes of a user block, those of its subject
// as subject.NAME, and the places of its secrets as NAME.PLACE.
var columns = func() []*column {
	out := []*column{{name: "name"}}
	for i := range attributes {
		a := &attributes[i]
		switch {
		case a.in&inUser != 0 && a.secret:
			for _, p := range placesOf(a) {
				out = append(out, &column{a.name + "." + p, a, p})
			}
		case a.in&inUser != 0:
			out = append(out, &column{a.name, a, ""})
		}
		if a.in&inSubject != 0 {
			out = append(out, &column{"subject." + a.name, a, ""})
		}
		if a.in&inSealFor != 0 {
			out = append(out, &column{"seal." + a.name, a, ""})
		}
	}
	return out
}()

// generable reports whether a secret can be generated. Nobody would know a generated
// challenge password, and to a generated identity nothing was sealed.
func generable(a *attribute) bool { return a.name != "challenge_password" && a.name != "identity" }

// placesOf are where a secret can be.
func placesOf(a *attribute) []string {
	if !generable(a) {
		return slices.DeleteFunc(slices.Clone(secretPlaces), func(p string) bool { return p == "generate" })
	}
	return secretPlaces
}

var columnByName = func() map[string]*column {
	out := map[string]*column{}
	for _, c := range columns {
		out[c.name] = c
	}
	return out
}()

// RosterColumns are the names of all columns that a roster can have.
func RosterColumns() []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	return names
}

// row is the user that is being read. It is reused for the next one, to spare
// the collector 100,000 of them.
type row struct {
	at      hcl.Range
	name    value
	said    map[string]hcl.Range // in YAML and JSON, where a name can come twice
	block   userBlock
	secrets []secretCell
}

type secretCell struct {
	row   *attribute
	value value // an object with the one place
}

func (r *roster) begin(at hcl.Range) {
	r.count++
	r.user.at, r.user.name = at, value{at: at, kind: cell}
	r.user.block = userBlock{}
	r.user.secrets = r.user.secrets[:0]
	clear(r.user.said)
}

// cell takes what one column says of the user. An empty cell says nothing. Spaces
// around what a list from elsewhere says are dropped, since nobody can correct it there.
func (r *roster) cell(c *column, v value) {
	if r.mapped != nil && v.kind == cell {
		v.text = strings.TrimSpace(v.text)
	}
	if v.kind == cell && c.row != nil {
		if v.text == "" {
			return
		}
		if !r.trimmed(v) {
			if c.place != "" {
				r.src.hide(v.at)
			}
			return
		}
	}
	if v.kind == cell && isFormula(v.text) {
		if c.place != "" {
			r.src.hide(v.at)
		}
		r.error(v.at, formula, formulaAdvice)
		if c.row == nil {
			r.user.name = v
		}
		return
	}
	if r.guessed && strings.ContainsFunc(v.text, func(c rune) bool { return c >= utf8.RuneSelf }) {
		r.advise(v.at, "Roster that is not UTF-8", "This list was read as Windows-1252, which Windows writes in Western Europe and America. If this value does not read right, have the list written as UTF-8.")
	}
	switch {
	case c.row == nil:
		r.user.name = v
	case c.place != "":
		r.secretCell(c, v)
	default:
		to := r.user.block.target()
		if c.row.in&inSealFor != 0 {
			to = to.sealFor()
		}
		c.row.read(r.loader, to, v)
	}
}

// trimmed reports spaces around a cell, which no value has on purpose.
func (r *roster) trimmed(v value) bool {
	if strings.TrimSpace(v.text) == v.text {
		return true
	}
	r.error(v.at, "Space around a value", fmt.Sprintf("This begins or ends with %s, which would be part of the value. Remove it.", spaceAround(v.text)))
	return false
}

// spaceAround names the outermost space of a text, which may be one that only
// looks like a space.
func spaceAround(s string) string {
	space, _ := utf8.DecodeRuneInString(s)
	if !unicode.IsSpace(space) {
		space, _ = utf8.DecodeLastRuneInString(s)
	}
	switch space {
	case ' ':
		return "a space"
	case '\n', '\r':
		return "a line end"
	}
	return fmt.Sprintf("the space U+%04X", space)
}

func (r *roster) secretCell(c *column, v value) {
	for _, s := range r.user.secrets {
		if s.row == c.row {
			r.error(v.at, "Two sources of one secret",
				fmt.Sprintf("A secret has exactly one source, and this user already has %s.%s, %s. Leave one of the two empty.", c.row.name, s.value.members[0].name, place(s.value.at)))
			return
		}
	}
	r.user.secrets = append(r.user.secrets, secretCell{c.row, value{at: v.at, kind: object, members: []member{{c.place, v.at, v}}}})
}

// end completes the user, if it has a usable name.
func (r *roster) end() {
	u := &r.user
	for _, s := range u.secrets {
		s.row.read(r.loader, u.block.target(), s.value)
	}
	name := u.name
	switch {
	case name.kind == cell && name.text == "":
		r.error(name.at, "User without a name", "Every user needs a name. If this entry is not for a user, remove it.")
		return
	case name.kind == cell && isFormula(name.text):
		return // it was reported
	case !r.is(name, text, "put it in double quotes"), !r.trimmed(name):
		return
	}
	if r.claim(name.text, name.at, "user", r.users) {
		u.block.name, u.block.origin = name.text, name.at
		r.addUser(&u.block)
	}
}

// object takes a user of YAML or JSON.
func (r *roster) object(v value) {
	if v.kind != object {
		r.count++
		r.error(v.at, "Not a user", "Each entry of the list is a user: a set of attributes, a name among them.")
		return
	}
	names := memberNames("", v)
	if r.found == nil && r.mapped == nil && !r.elsewhere && (fromElsewhere(names) || !known(names) && foreign(names)) {
		r.elsewhere = true
		r.error(v.members[0].at, "Columns of another program", "The attributes of these users have other names than ours: "+theirNames(names)+". "+mappingAdvice(names, nil))
	}
	if r.elsewhere {
		r.count++
		r.src.hide(v.at)
		return
	}
	r.find(names)
	if !r.counts(v) {
		r.skipped++
		r.src.hide(v.at)
		return
	}
	r.begin(v.at)
	if r.user.said == nil {
		r.user.said = map[string]hcl.Range{}
	}
	r.members("", v)
	r.end()
}

// counts reports whether a user of YAML or JSON meets all conditions. Of a list
// one item has to.
func (r *roster) counts(v value) bool {
	for i := range r.where {
		c := &r.where[i]
		if !r.holds(c, "", v) {
			return false
		}
	}
	return true
}

func (r *roster) holds(c *condition, prefix string, v value) bool {
	for _, m := range v.members {
		name := prefix + m.name
		switch {
		case name == c.theirs.value:
			r.met[name] = true
			if m.value.kind == list {
				return slices.ContainsFunc(m.value.list, func(e value) bool { return e.kind == cell && c.holds(e.text) })
			}
			met := m.value.kind == cell && c.holds(m.value.text)
			if m.value.kind == cell && !met {
				c.found.add(m.value.text)
			}
			return met
		case m.value.kind == object && strings.HasPrefix(c.theirs.value, name+"."):
			if r.holds(c, name+".", m.value) {
				return true
			}
		}
	}
	return false
}

// memberNames are the names in a user of YAML or JSON, with dots for those in
// mappings.
func memberNames(prefix string, v value) []string {
	var names []string
	for _, m := range v.members {
		if m.value.kind == object {
			names = append(names, memberNames(prefix+m.name+".", m.value)...)
		} else {
			names = append(names, prefix+m.name)
		}
	}
	return names
}

func (r *roster) members(prefix string, v value) {
	var nested []string
	for _, m := range v.members {
		name := prefix + m.name
		if m.value.kind == object && (r.mapped == nil && prefix == "" && hasParts(name) || r.reaches(name+".")) {
			if slices.Contains(nested, name) {
				r.error(m.at, "Attribute given twice", fmt.Sprintf("This user already has %s. Put all of it in one place.", name))
				r.src.hide(m.value.at)
				continue
			}
			nested = append(nested, name)
			r.members(name+".", m.value)
			continue
		}
		of := r.columns(name, m.at)
		if len(of) == 0 {
			r.src.hide(m.value.at)
			continue
		}
		if first, twice := r.user.said[name]; twice {
			r.error(m.at, "Attribute given twice", fmt.Sprintf("This user already has %s, %s. Remove one of the two.", name, place(first)))
			continue
		}
		r.user.said[name] = m.at
		for _, c := range of {
			r.cell(c, m.value)
		}
	}
}

// reaches reports whether an attribute that counts is in the mapping of YAML or
// JSON whose names begin like this.
func (r *roster) reaches(prefix string) bool {
	for name := range r.mapped {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return slices.ContainsFunc(r.where, func(c condition) bool { return strings.HasPrefix(c.theirs.value, prefix) })
}

// hasParts reports whether there are columns NAME.PART.
func hasParts(name string) bool {
	a := rows[inUser][name]
	return slices.Contains(partedBlocks, name) || a != nil && a.secret
}

// partedBlocks are the blocks in a user block whose attributes are columns NAME.ATTRIBUTE.
var partedBlocks = blockNames(inUser)

// unknownColumn is a name without a meaning. It is reported once in a roster.
type unknownColumn struct {
	at     hcl.Range
	others int
}

// columns are what a name says of a user: nothing where it is unknown, or ignored.
// The cells of such a column must not be shown: they could be anything.
func (r *roster) columns(name string, at hcl.Range) []*column {
	if r.mapped != nil {
		return r.mapped[name]
	}
	if c := oneColumn[name]; c != nil {
		return c
	}
	if slices.ContainsFunc(r.where, func(c condition) bool { return c.theirs.value == name }) {
		return nil
	}
	r.guarded = true
	if u := r.unknown[name]; u != nil {
		u.others++
	} else {
		r.unknown[name] = &unknownColumn{at: at}
	}
	return nil
}

// oneColumn are our columns by their names, each as a list.
var oneColumn = func() map[string][]*column {
	out := map[string][]*column{}
	for _, c := range columns {
		out[c.name] = []*column{c}
	}
	return out
}()
