package spec

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// What is said of a column that is none of ours.

func (r *roster) reportUnknown() {
	for _, name := range slices.Sorted(maps.Keys(r.unknown)) {
		u := r.unknown[name]
		summary, detail := unknownName(name, r.called)
		whose := "user"
		if r.called == "column" {
			whose = "column"
		}
		if u.others > 0 {
			detail += fmt.Sprintf(" The same goes for %s.", count(u.others, "other "+whose))
		}
		r.error(u.at, summary, detail)
	}
}

// unknownName says what is wrong with the name of a column.
func unknownName(name, called string) (summary, detail string) {
	a := rows[inUser][name]
	near := nearColumn(name)
	before, _, dotted := strings.Cut(name, ".")
	switch {
	case name == "":
		return capital(called) + " without a name", fmt.Sprintf("Name this %s, or remove it if it is empty.", called)
	case strings.TrimSpace(name) != name:
		return "Space around a name", fmt.Sprintf("The name of this %s begins or ends with %s. Remove it.", called, spaceAround(name))
	case dotted && near == "" && slices.Contains(userSecrets(), before):
		return "Unknown source", "A secret can only come from one of these: " + strings.Join(namesBelow(before+"."), ", ") + "."
	case a != nil && a.secret, near == "" && looksSecret([]byte(name+" = x")) != nil:
		return "Secret in a spec", "A spec never holds a secret, and neither do its rosters: they are copied, printed and kept under version control. Say where the secret is, " +
			secretColumns(name, called) + "."
	case slices.Contains(partedBlocks, name):
		return "Unknown " + called, fmt.Sprintf("A %s has parts: %s.", name, strings.Join(namesBelow(name+"."), ", "))
	case near != "":
		return "Unknown " + called, fmt.Sprintf("There is no %s %q. Did you mean %q?", called, name, near)
	}
	return "Unknown " + called, fmt.Sprintf("There is no %s %q. Remove it, or give it one of these names: %s. If the list is from elsewhere, say in the roster block, with columns, which of its columns count: the others are then ignored.",
		called, cut(name), strings.Join(columnFamilies(), ", "))
}

// userSecrets are the attributes of a user that name a secret.
func userSecrets() []string {
	return slices.DeleteFunc(secretAttributes(), func(name string) bool { return rows[inUser][name] == nil })
}

// columnFamilies are the names of the columns, with NAME.* for several that share what is
// before the dot.
func columnFamilies() []string {
	var out []string
	for _, n := range RosterColumns() {
		if before, _, dotted := strings.Cut(n, "."); dotted && len(namesBelow(before+".")) > 1 {
			n = before + ".*"
		}
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// secretColumns lists the places of a secret.
func secretColumns(name, called string) string {
	a := rows[inUser][name]
	if a == nil || !a.secret {
		name = "passphrase"
	}
	names := namesBelow(name + ".")
	last := len(names) - 1
	return "with the " + called + " " + strings.Join(names[:last], ", ") + " or " + names[last]
}

func namesBelow(prefix string) []string {
	var names []string
	for _, n := range RosterColumns() {
		if strings.HasPrefix(n, prefix) {
			names = append(names, n)
		}
	}
	return names
}

// nearColumn is what was probably meant, "" when nothing is near.
func nearColumn(name string) string {
	if len(name) > 64 || isLogin(name) {
		return ""
	}
	if s := suggest(name, RosterColumns()); s != "" {
		return s
	}
	before, behind, dotted := strings.Cut(name, ".")
	if !dotted {
		before, behind = "subject", name
	}
	for _, secret := range userSecrets() {
		if dotted && suggest(before, []string{secret}) != "" {
			return prefixed(secret, suggest(behind, placesOf(rows[inUser][secret])))
		}
	}
	if suggest(before, []string{"subject"}) == "" {
		return ""
	}
	return prefixed("subject", suggest(behind, attributeNames(inSubject)))
}

func prefixed(before, behind string) string {
	if behind == "" {
		return ""
	}
	return before + "." + behind
}

func cut(s string) string {
	if r := []rune(s); len(r) > 64 {
		return string(r[:64]) + "…"
	}
	return s
}
