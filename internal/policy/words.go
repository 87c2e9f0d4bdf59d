package policy

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"mtlsplan/internal/config"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/plan"
)

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// agree gives the form of a verb that goes with so many.
func agree(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// day writes a moment for people.
func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// days writes a duration as the spec does.
func days(d time.Duration) string { return config.FormatDuration(d) }

// joined names owners, the first three of many.
func joined[S ~string](list []S) string {
	text := ""
	for i, name := range list[:min(3, len(list))] {
		if i > 0 {
			text += ", "
		}
		text += string(name)
	}
	if n := len(list) - 3; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}

// Serials are the serials of rows, in their order.
func Serials(rows []ledger.Row) []string {
	var out []string
	for i := range rows {
		out = append(out, rows[i].Serial)
	}
	return out
}

// either lists ways on.
func either(ways []string) string {
	last := len(ways) - 1
	switch last {
	case 0:
		return ways[0]
	case 1:
		return ways[0] + ", or " + ways[1]
	}
	return strings.Join(ways[:last], ", ") + ", or " + ways[last]
}

// others names the owners of rows beside one.
func others(rows []ledger.Row, owner plan.Owner) string {
	var out []string
	for _, r := range rows {
		for _, o := range r.Owners() {
			if o != string(owner) {
				out = append(out, o)
			}
		}
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), ", ")
}

// in names the form of a file, see [pki.Form].
func in(form string) string {
	if form == "" {
		return ""
	}
	return " (" + form + ")"
}

func perm(m fs.FileMode) string { return fmt.Sprintf("%04o", m.Perm()) }

// replaceFlag is what asks for a new key of a user; one whose files are not recorded
// yet has to be adopted in the same run.
func replaceFlag(owner plan.Owner, adopted bool) string {
	flag := "--replace " + string(owner)
	if adopted {
		return "--adopt " + flag
	}
	return flag
}
