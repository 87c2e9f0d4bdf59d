package ui

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"mtlsplan/internal/plan"
)

// Verified writes the checks of a directory for people: each that fails with what is wrong
// and what to do, many of a kind together, and then the totals.
func Verified(w io.Writer, st Style, checks []plan.Check) {
	var bad []plan.Check
	owners := map[plan.Owner]bool{}
	for _, c := range checks {
		owners[c.Owner] = true
		if !c.OK {
			bad = append(bad, c)
		}
	}
	for _, g := range fold(bad, checkLikeness) {
		c := g[0]
		color, unlike := red, slices.ContainsFunc(g, func(other plan.Check) bool { return other.Message != c.Message })
		if c.Unproven {
			color = yellow
		}
		message := Clean(c.Message)
		if unlike {
			message += fmt.Sprintf(" (%s)", Clean(string(c.Owner)))
		}
		fmt.Fprintln(w, st.paint(color, someOwners(g, func(c plan.Check) plan.Owner { return c.Owner })+":"), string(c.Check))
		fmt.Fprintln(w, indent+st.wrap(message, len(indent), indent+"  "))
	}
	if len(bad) > 0 {
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, st.paint(bold, checkTotals(checks, len(owners))))
}

// checkLikeness puts failed checks together that have check, code and kind of owner in
// common.
func checkLikeness(c plan.Check) string {
	kind, _, _ := strings.Cut(string(c.Owner), ".")
	return fmt.Sprint(kind, " ", c.Check, " ", c.Code, " ", c.Unproven)
}

func checkTotals(checks []plan.Check, owners int) string {
	good, wrong, unproven := outcomes(checks)
	of := " of " + count(owners, "owner", "owners")
	if wrong+unproven == 0 {
		return "Verified: all " + count(good, "check", "checks") + of + " hold."
	}
	return "Not verified: " + tallied(good, wrong, unproven) + of + "."
}

func outcomes(checks []plan.Check) (good, wrong, unproven int) {
	for _, c := range checks {
		switch {
		case c.OK:
			good++
		case c.Unproven:
			unproven++
		default:
			wrong++
		}
	}
	return good, wrong, unproven
}

func tallied(good, wrong, unproven int) string {
	var parts []string
	if wrong > 0 {
		parts = append(parts, fmt.Sprintf("%d wrong", wrong))
	}
	if unproven > 0 {
		parts = append(parts, fmt.Sprintf("%d not proven", unproven))
	}
	return strings.Join(append(parts, fmt.Sprintf("%d hold", good)), ", ")
}
