package ui

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"mtlsplan/internal/plan"
)

const (
	pageWidth = 80 // columns
	foldAbove = 20 // a larger group of like steps becomes one line
	foldNames = 3  // how many owners such a line names
	ownerMax  = 36 // a longer owner does not push everybody's columns away
)

// Plan writes a plan for people: its steps with their reasons, then the totals.
func Plan(w io.Writer, st Style, p *plan.Plan) {
	l := newLayout(w, st, p.Steps)
	for _, g := range groups(p.Steps) {
		l.group(g)
		for _, s := range g {
			_ = WriteDiff(w, s.Diff)
		}
	}
	if !p.Empty() {
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, st.paint(bold, st.wrap(PlanTotals(p), 0, "")))
}

// Notes writes one line for each note, and one for many like ones.
func Notes(w io.Writer, st Style, notes []plan.Note) {
	for _, g := range fold(notes, noteLikeness) {
		n := g[0]
		kind, color := "note: ", ""
		if n.Warning {
			kind, color = "warning: ", yellow
		}
		begin, whose := len(kind), ""
		kind = st.paint(color, strings.TrimSuffix(kind, " ")) + " "
		if n.Owner != "" {
			whose = someOwners(g, func(n plan.Note) plan.Owner { return n.Owner }) + ": "
		}
		message := n.Message
		switch differ := slices.ContainsFunc(g, func(other plan.Note) bool { return other.Message != message }); {
		case differ && n.Owner == "":
			message += fmt.Sprintf(" (and %d more like this)", len(g)-1)
		case differ:
			message += fmt.Sprintf(" (%s)", n.Owner)
		}
		fmt.Fprintln(w, kind+st.wrap(whose+Clean(message), begin, indent))
	}
}

// noteLikeness puts notes together that have code and kind of owner in common.
func noteLikeness(n plan.Note) string {
	kind, _, _ := strings.Cut(string(n.Owner), ".")
	return fmt.Sprint(n.Code, " ", n.Warning, " ", kind)
}

// Failures writes one line for each owner that could not be judged or done.
func Failures(w io.Writer, st Style, failures []plan.Failure) {
	for _, g := range fold(failures, func(f plan.Failure) string { return string(f.Code) + f.Message }) {
		owners := someOwners(g, func(f plan.Failure) plan.Owner { return f.Owner })
		fmt.Fprintln(w, st.paint(red, owners+":")+" "+st.wrap(Clean(g[0].Message), utf8.RuneCountInString(owners)+2, indent))
	}
}

// Error writes why the program failed, in one or more lines.
func Error(w io.Writer, text string) {
	const name = "mtlsplan: "
	fmt.Fprintln(w, name+Style{Width: widthOf(w)}.wrap(cleanBlock(text), len(name), indent))
}

// groups folds steps with the same kind of owner, action, artefacts and reason
// codes.
func groups(steps []plan.Step) [][]plan.Step { return fold(steps, likeness) }

// fold puts like items together where there are more of them than a person reads.
// Each group stands where its first item stood; any other item is a group of its own.
func fold[T any](items []T, likeness func(T) string) [][]T {
	size := map[string]int{}
	for _, item := range items {
		size[likeness(item)]++
	}
	var out [][]T
	at := map[string]int{}
	for _, item := range items {
		key := likeness(item)
		if size[key] <= foldAbove {
			out = append(out, []T{item})
			continue
		}
		i, seen := at[key]
		if !seen {
			i = len(out)
			at[key] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], item)
	}
	return out
}

func likeness(s plan.Step) string {
	kind, _, _ := strings.Cut(string(s.Owner), ".")
	parts := append([]string{kind, string(s.Action)}, s.Artefacts...)
	for _, r := range s.Reasons {
		parts = append(parts, string(r.Code))
	}
	return strings.Join(parts, " ")
}

// layout prints steps in columns that are as wide as all of them need.
type layout struct {
	w      io.Writer
	st     Style
	owner  int
	action int
}

func newLayout(w io.Writer, st Style, steps []plan.Step) *layout {
	l := &layout{w: w, st: st}
	for _, g := range groups(steps) {
		if n := utf8.RuneCountInString(subject(g)); n <= ownerMax {
			l.owner = max(l.owner, n)
		}
		l.action = max(l.action, len(g[0].Action))
	}
	return l
}

// subject begins a line: the owner, or how many there are.
func subject(group []plan.Step) string {
	if len(group) == 1 {
		return Clean(string(group[0].Owner))
	}
	noun := "owners"
	if strings.HasPrefix(string(group[0].Owner), "user.") {
		noun = "users"
	}
	return fmt.Sprintf("%d %s", len(group), noun)
}

func (l *layout) group(group []plan.Step) {
	first := group[0]
	word := wordOf(first.Action)
	line := fmt.Sprintf("%s %s  %s  %s",
		l.st.paint(word.color, word.symbol),
		l.st.paint(bold, pad(subject(group), l.owner)),
		pad(string(first.Action), l.action),
		strings.Join(first.Artefacts, " "))
	fmt.Fprintln(l.w, strings.TrimRight(line, " "))
	if len(group) > 1 {
		l.detail(someOwners(group, func(s plan.Step) plan.Owner { return s.Owner }))
	}
	for i, r := range first.Reasons {
		l.reason(common(group, i, r))
	}
	l.superseded(group)
}

// superseded says until when the certificates before the new ones get in.
func (l *layout) superseded(group []plan.Step) {
	var last plan.Superseded
	n := 0
	for _, step := range group {
		for _, s := range step.Superseded {
			if n++; s.ValidUntil.After(last.ValidUntil) {
				last = s
			}
		}
	}
	if n == 0 {
		return
	}
	stays := "the certificate before it stays valid until "
	if n > 1 {
		stays = "the certificates before stay valid until as late as "
	}
	stays += last.ValidUntil.UTC().Format("2006-01-02 15:04:05Z")
	if last.Overlap {
		l.detail(stays + ", the end of the overlap")
		return
	}
	l.detail(stays)
	l.detail("    to end that sooner, set overlap in the spec, or apply with --replace")
}

// someOwners names the first few owners of a group.
func someOwners[T any](group []T, owner func(T) plan.Owner) string {
	var names []string
	for _, item := range group[:min(len(group), foldNames)] {
		names = append(names, string(owner(item)))
	}
	text := strings.Join(names, ", ")
	if rest := len(group) - len(names); rest > 0 {
		text += fmt.Sprintf(" and %d more", rest)
	}
	return Clean(text)
}

// common is the i-th reason as it holds for a whole group: values that differ
// are left out, and a message that differs says whose it is.
func common(group []plan.Step, i int, r plan.Reason) plan.Reason {
	message := r.Message
	for _, s := range group {
		other := s.Reasons[i]
		if other.Message != message {
			r.Message = fmt.Sprintf("%s (%s)", message, group[0].Owner)
		}
		if other.Have != r.Have || other.Want != r.Want {
			r.Have, r.Want = "", ""
		}
	}
	return r
}

// reason writes a message with the values that are there and that should be: on
// one line if they fit, else one below the other. A value that the message
// contains is not repeated.
func (l *layout) reason(r plan.Reason) {
	message, field, have, want := Clean(r.Message), Clean(r.Field), Clean(r.Have), Clean(r.Want)
	if want == "" && strings.Contains(message, have) {
		l.detail(message)
		return
	}
	message += ":"
	if field != "" && !strings.Contains(message, field) {
		message += " " + field
	}
	line := message
	if have != "" {
		line += " " + have
	}
	if want != "" {
		line += " → " + want
	}
	if utf8.RuneCountInString(line)+len(indent) <= pageWidth {
		l.detail(line)
		return
	}
	l.detail(message)
	if have != "" {
		l.detail("    " + have)
	}
	if want != "" {
		l.detail("  → " + want)
	}
}

const indent = "    "

func (l *layout) detail(text string) {
	narrow := Style{Width: max(0, l.st.Width-len(indent))}
	for line := range strings.Lines(narrow.wrap(text, 0, "  ")) {
		fmt.Fprintln(l.w, indent+l.st.paint(faint, strings.TrimSuffix(line, "\n")))
	}
}

func pad(s string, width int) string {
	if n := utf8.RuneCountInString(s); n < width {
		return s + strings.Repeat(" ", width-n)
	}
	return s
}
