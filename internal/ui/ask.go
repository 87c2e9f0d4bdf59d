package ui

import (
	"fmt"
	"io"
	"strings"

	"mtlsplan/engine"
)

// AskToRevoke writes the question whether a run may revoke what it would, with everybody
// who is concerned.
func AskToRevoke(w io.Writer, st Style, would *engine.UnagreedError) {
	l := newLayout(w, st, would.Steps)
	ofUsers := true
	for i, s := range would.Steps {
		l.group(would.Steps[i : i+1])
		ofUsers = ofUsers && isUser(s.Owner)
	}
	var names []string
	for _, u := range would.Users {
		names = append(names, Clean(string(u)))
	}
	if !ofUsers {
		fmt.Fprintln(w, "\n"+st.wrap("Whoever loses a certificate: "+strings.Join(names, ", "), 0, indent))
	}
	what := "certificate of " + names[0]
	if len(names) > 1 {
		what = fmt.Sprintf("certificates of these %d users", len(names))
	}
	fmt.Fprintf(w, "\n%s ", st.paint(bold, "Revoke the "+what+"? [y/N]"))
}
