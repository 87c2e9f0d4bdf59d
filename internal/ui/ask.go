package ui

import (
	"fmt"
	"io"

	"mtlsplan/internal/plan"
)

// AskToRevoke writes the question whether what these steps revoke may be revoked, with
// everybody who is concerned.
func AskToRevoke(w io.Writer, st Style, steps []plan.Step) {
	l := newLayout(w, st, steps)
	certificates := 0
	for i := range steps {
		l.group(steps[i : i+1])
		certificates += steps[i].Revokes
	}
	whose := Clean(string(steps[0].Owner))
	if len(steps) > 1 {
		whose = "these " + count(len(steps), "user", "users")
	}
	noun := "certificate"
	if certificates > 1 {
		noun = fmt.Sprintf("%d certificates", certificates)
	}
	fmt.Fprintf(w, "\n%s ", st.paint(bold, "Revoke the "+noun+" of "+whose+"? [y/N]"))
}
