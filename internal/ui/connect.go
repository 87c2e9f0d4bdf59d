package ui

import (
	"fmt"
	"io"

	"mtlsplan/internal/plan"
)

// Connected writes the checklist of the proxies that run at an address, one a site: what
// holds, what is wrong and what to do, and who could not be sent.
func Connected(w io.Writer, st Style, address string, checks []plan.Check, notes []plan.Note) {
	const column = "           " // as wide as the longest mark with the blanks around it
	line := func(color, mark, text string) {
		fmt.Fprintf(w, "%s%s%s%s\n", indent, st.paint(color, mark), column[len(indent)+len(mark):], st.wrap(Clean(text), len(column), column))
	}
	var site plan.Owner
	tell := func() {
		for _, n := range notes {
			if n.Owner == site {
				line("", "-", n.Message)
			}
		}
	}
	for _, c := range checks {
		if c.Owner != site {
			tell()
			site = c.Owner
			fmt.Fprintln(w)
			fmt.Fprintln(w, st.paint(bold, fmt.Sprintf("%s at %s:", Clean(string(site)), Clean(address))))
		}
		switch {
		case c.OK:
			line(green, "good", c.Message)
		case c.Unproven:
			line(yellow, "open", c.Message)
		default:
			line(red, "WRONG", c.Message)
		}
	}
	tell()
	fmt.Fprintln(w)
	fmt.Fprintln(w, st.paint(bold, proxyTotals(checks)))
}

func proxyTotals(checks []plan.Check) string {
	good, wrong, open := outcomes(checks)
	switch {
	case wrong > 0:
		return "The proxy does not go by the directory: " + tallied(good, wrong, open) + "."
	case open > 0:
		return "Not all of the proxy is proven: " + tallied(good, wrong, open) + "."
	}
	return "The proxy goes by the directory: all " + count(good, "check", "checks") + " hold."
}
