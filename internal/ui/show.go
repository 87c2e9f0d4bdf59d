package ui

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
)

// Details writes one owner in full: its certificates as openssl x509 -text
// shows them, its files, its rows in the CA database, and the pending step.
func Details(w io.Writer, st Style, d *plan.Details, now time.Time) error {
	heading := Clean(string(d.Owner))
	switch {
	case d.Departed:
		heading += ": no longer in the spec"
	case len(d.Certificates) > 0:
		heading += ": " + standing(d, now)
	}
	fmt.Fprintln(w, st.paint(bold, heading))
	for _, c := range d.Certificates {
		var text bytes.Buffer
		if err := pki.WriteText(&text, c); err != nil {
			return fmt.Errorf("%s: the certificate cannot be written as text: %w", d.Owner, err)
		}
		fmt.Fprintln(w)
		fmt.Fprintln(w, strings.TrimRight(cleanBlock(text.String()), "\n"))
	}
	files(w, st, d.Files)
	given(w, st, d)
	issued(w, st, d.Issued)
	pending(w, st, d)
	return nil
}

// standing is how the newest certificate stands, by itself and in the CA database.
func standing(d *plan.Details, now time.Time) string {
	serial := pki.SerialHex(d.Certificates[0].SerialNumber)
	for _, row := range d.Issued {
		if row.Serial == serial && row.RevokedAt != nil {
			return fmt.Sprintf("revoked at %s UTC: %s", row.RevokedAt.UTC().Format(time.DateTime), row.Reason)
		}
	}
	return validity(d.Certificates[0].NotAfter, now)
}

func validity(notAfter, now time.Time) string {
	date := notAfter.UTC().Format(time.DateTime) + " UTC"
	if now.After(notAfter) {
		return "expired at " + date
	}
	return fmt.Sprintf("valid until %s, %s left", date, count(int(notAfter.Sub(now)/(24*time.Hour)), "day", "days"))
}

func section(w io.Writer, st Style, name string) {
	fmt.Fprintf(w, "\n%s\n", st.paint(bold, name))
}

func files(w io.Writer, st Style, files []plan.FileDetail) {
	if len(files) == 0 {
		return
	}
	section(w, st, "Files")
	kinds, states := 0, 0
	for _, f := range files {
		kinds, states = max(kinds, len(Clean(f.Kind))), max(states, len(Clean(f.State)))
	}
	for _, f := range files {
		mode := Clean(f.Mode)
		if mode == "" {
			mode = "-"
		}
		fmt.Fprintf(w, "  %s  %s  %s  %s\n", pad(Clean(f.Kind), kinds), pad(mode, len("0600")), pad(Clean(f.State), states), Clean(f.Path))
		if f.Message != "" {
			fmt.Fprintf(w, "      %s\n", Clean(f.Message))
		}
		for _, fact := range f.Facts {
			fmt.Fprintf(w, "      %s: %s\n", label(fact.Name), Clean(forPeople(fact.Value)))
		}
	}
}

// forPeople writes a time as the rest of the page does.
func forPeople(value string) string {
	if t, err := time.Parse(time.RFC3339, value); err == nil {
		return t.UTC().Format(time.DateTime) + " UTC"
	}
	return value
}

// given tells when a user was handed out the certificate in place.
func given(w io.Writer, st Style, d *plan.Details) {
	if !isUser(d.Owner) || d.Departed || len(d.Certificates) == 0 {
		return
	}
	section(w, st, "Handed out")
	if d.HandedOut == nil {
		fmt.Fprintln(w, "  not yet, or it is not remembered; see mtlsplan handout")
		return
	}
	fmt.Fprintf(w, "  the certificate in place, on %s UTC\n", d.HandedOut.UTC().Format(time.DateTime))
}

func issued(w io.Writer, st Style, rows []plan.IssuedDetail) {
	if len(rows) == 0 {
		return
	}
	section(w, st, "CA database")
	for _, r := range rows {
		line := fmt.Sprintf("  %s  %-7s  until %s", Clean(r.Serial), Clean(r.State), r.NotAfter.UTC().Format(time.DateOnly))
		fmt.Fprintln(w, line)
		if r.RevokedAt != nil {
			fmt.Fprintf(w, "    revoked at %s UTC: %s\n", r.RevokedAt.UTC().Format(time.DateTime), Clean(r.Reason))
		}
		fmt.Fprintln(w, "    "+Clean(r.Subject))
	}
}

func pending(w io.Writer, st Style, d *plan.Details) {
	section(w, st, "Pending")
	var text bytes.Buffer
	Failures(&text, st, d.Failures)
	if d.Step != nil {
		newLayout(&text, st, []plan.Step{*d.Step}).group([]plan.Step{*d.Step})
	}
	if text.Len() == 0 {
		text.WriteString("nothing to do\n")
	}
	for line := range strings.Lines(text.String()) {
		fmt.Fprint(w, "  "+line)
	}
}
