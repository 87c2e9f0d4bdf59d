package ui

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"mtlsplan/internal/plan"
)

// Explanation writes why apply would or would not touch an owner: what it would do, what
// is to be known, each
// policy with something to say and the files that are written or removed for it, the
// policies with nothing to say, and what happens next.
func Explanation(w io.Writer, st Style, e *plan.Explanation) {
	heading, until := Clean(string(e.Owner)), ""
	if e.Status != nil && e.Status.StillIn {
		until = ", and still let in until an apply revokes the certificate"
	}
	switch {
	case e.Departed:
		heading += ": no longer in the spec" + until
	case until != "":
		heading += ": revoked in the spec" + until
	case e.Status == nil:
	case e.Status.NotAfter == nil, e.Status.State == plan.StateFailed, e.Status.State == plan.StateRevoked:
		heading += ": " + e.Status.State
	default:
		heading += ": " + validity(*e.Status.NotAfter, e.At)
	}
	fmt.Fprintln(w, st.paint(bold, st.wrap(heading, 0, indent)))

	section(w, st, "What apply would do")
	var text bytes.Buffer
	inner := st // of what is indented
	if inner.Width > 0 {
		inner.Width = max(1, inner.Width-len("  "))
	}
	Failures(&text, inner, e.Failures)
	for _, s := range e.Steps {
		l := newLayout(&text, inner, []plan.Step{s})
		l.group([]plan.Step{s})
	}
	if text.Len() == 0 {
		text.WriteString("nothing\n")
	}
	indented(w, text.String())

	if len(e.Notes) > 0 {
		section(w, st, "To know")
		text.Reset()
		Notes(&text, inner, ofOwner(e.Notes))
		indented(w, text.String())
	}

	var quiet, loud []plan.Answer
	for _, a := range e.Answers {
		if len(a.Reasons) == 0 {
			quiet = append(quiet, a)
			continue
		}
		loud = append(loud, a)
	}
	if len(loud) > 0 {
		section(w, st, "Policies that ask for something")
	}
	for _, a := range loud {
		line := "  " + st.paint(yellow, codesOf(a))
		if a.Holds != "" {
			line += "  should be: " + st.wrap(Clean(a.Holds), len(codesOf(a))+len("    should be: "), indent)
		}
		fmt.Fprintln(w, line)
		for _, r := range a.Reasons {
			text.Reset()
			(&layout{w: &text, st: inner}).reason(r)
			indented(w, text.String())
		}
		if len(a.Files) > 0 {
			narrow := Style{Width: max(0, st.Width-2*len(indent))}
			for line := range strings.Lines(narrow.wrap("files: "+Clean(strings.Join(a.Files, ", ")), 0, "  ") + "\n") {
				fmt.Fprint(w, indent+"  "+line)
			}
		}
	}
	if len(quiet) > 0 {
		section(w, st, "Policies with nothing to say")
		codes := 0
		for _, a := range quiet {
			codes = max(codes, len(codesOf(a)))
		}
		for _, a := range quiet {
			begin := codes + len("    ")
			fmt.Fprintf(w, "  %s  %s\n", pad(codesOf(a), codes), st.wrap(Clean(a.Holds), begin, strings.Repeat(" ", begin)))
		}
	}
	if len(e.Revocations) > 0 {
		section(w, st, "What was revoked")
	}
	for _, r := range e.Revocations {
		fmt.Fprintf(w, "  %s UTC  %s  serial %s\n", r.At.UTC().Format(time.DateTime), r.Reason, Clean(r.Serial))
	}
	if len(e.Retired) > 0 {
		section(w, st, "What is kept")
		narrow := Style{Width: max(0, st.Width-len(indent))}
		indented(w, narrow.wrap(Clean(strings.Join(e.Retired, ", ")), 0, "")+"\n")
	}
	if len(e.Next) == 0 && !e.Out {
		return
	}
	section(w, st, "What happens next")
	if len(e.Next) == 0 {
		fmt.Fprintln(w, "  nothing: no certificate is left that could let the user in")
	}
	words := 0
	for _, v := range e.Next {
		words = max(words, len(v.Event))
	}
	for _, v := range e.Next {
		if e.Out && v.Event == plan.EventExpiry {
			ends := "of what is revoked: the CRL and the sites refuse it until then"
			if len(e.Steps) > 0 {
				ends = "of a certificate: once it is revoked, the CRL and the sites refuse it until then"
			}
			begin := len("  2006-01-02 15:04:05 UTC    ") + words
			fmt.Fprintf(w, "  %s UTC  %s  %s\n", v.At.UTC().Format(time.DateTime), pad(v.Event, words), st.wrap(ends, begin, strings.Repeat(" ", begin)))
			continue
		}
		fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("  %s UTC  %s  %s", v.At.UTC().Format(time.DateTime), pad(v.Event, words), v.Action), " "))
	}
}

// ofOwner are notes without their owner, which is the one that is explained.
func ofOwner(notes []plan.Note) []plan.Note {
	notes = slices.Clone(notes)
	for i := range notes {
		notes[i].Owner = ""
	}
	return notes
}

// codesOf are the codes of an answer.
func codesOf(a plan.Answer) string {
	if a.Code != "" {
		return string(a.Code)
	}
	var codes []string
	for _, r := range a.Reasons {
		if len(codes) == 0 || codes[len(codes)-1] != string(r.Code) {
			codes = append(codes, string(r.Code))
		}
	}
	return orDash(strings.Join(codes, ", "))
}

func indented(w io.Writer, text string) {
	for line := range strings.Lines(text) {
		fmt.Fprint(w, "  "+line)
	}
}
