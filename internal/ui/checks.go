package ui

import (
	"fmt"
	"io"

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
		lines := wrap(fmt.Sprintf("%s:%d: %s", Clean(c.File), c.Line, Clean(c.Message)), pageWidth-len(indent))
		fmt.Fprintln(w, st.paint(bold, lines[0]))
		for _, l := range lines[1:] {
			fmt.Fprintln(w, indent+l)
		}
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
