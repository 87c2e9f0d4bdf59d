package ui

import (
	"fmt"
	"io"
	"unicode/utf8"

	"mtlsplan/internal/plan"
)

// Checks writes what is wrong, each with its place and with what to write, and the total.
func Checks(w io.Writer, st Style, file string, checks []plan.Check) {
	wrong := 0
	for _, c := range checks {
		if c.OK {
			continue
		}
		wrong++
		place := fmt.Sprintf("%s:%d:", Clean(c.File), c.Line)
		fmt.Fprintln(w, st.paint(bold, place)+" "+st.wrap(Clean(c.Message), utf8.RuneCountInString(place)+1, indent))
		for _, l := range c.Write {
			fmt.Fprintln(w, indent+indent+st.paint(green, Clean(l)))
		}
	}
	if wrong == 0 {
		fmt.Fprintf(w, "%s: nothing wrong found.\n", Clean(file))
		return
	}
	fmt.Fprintf(w, "\n%s: %s found.\n", Clean(file), count(wrong, "problem", "problems"))
}
