package ui

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"mtlsplan/internal/plan"
)

const (
	barCells = 10 // of a certificate's whole life
	barLeast = 5  // of that, where a terminal has no room for more
	gap      = "  "
)

// stateColors are the colours of states; one that needs nobody's attention has none.
var stateColors = map[string]string{
	plan.StateFailed: red, plan.StateExpired: red, plan.StateMissing: yellow, plan.StateExpiring: yellow, plan.StateRevoked: faint, wordStillIn: red,
}

// wordStillIn is what people are told of whom the state calls revoked or failed, and no apply
// has revoked yet.
const wordStillIn = "still in"

// spokenState is the state of an owner as people are told it.
func spokenState(o plan.OwnerStatus) string {
	if o.StillIn {
		return wordStillIn
	}
	return o.State
}

// spokenStates are the states as people are told them, those that need attention first.
func spokenStates() []string {
	words := []string{wordStillIn}
	for _, w := range plan.States() {
		words = append(words, w.Name)
	}
	return words
}

// stateCount is how many owners are in a state.
type stateCount struct {
	State string // the class that colours it in a page
	Word  string
	N     int
}

// stateCounts are those of which there are any.
func stateCounts(owners []plan.OwnerStatus) (list []stateCount) {
	counts := map[string]int{}
	for _, o := range owners {
		counts[spokenState(o)]++
	}
	for _, word := range spokenStates() {
		if n := counts[word]; n > 0 {
			list = append(list, stateCount{stateClass(word), word, n})
		}
	}
	return list
}

// stateClass is the class that colours a state in a page.
func stateClass(word string) string { return strings.ReplaceAll(word, " ", "-") }

// column is one of a table.
type column struct {
	title string
	cell  func(plan.OwnerStatus) string
	color func(plan.OwnerStatus) string
	width int
}

// StatusHeads are how an answer of status in a file may begin, in all of its formats.
var StatusHeads = []string{"OWNER ", "No owner ", "Still let in ", "nginx.", "{\n  \"format_version\": ", "format_version: ", "owner,state,", "# HELP mtlsplan_"}

// Status writes how owners stand: a line for each, nobody left out, then who is still
// on an earlier generation of the CA, and the totals. On a terminal that is too narrow
// for a line, the e-mail address has one of its own.
func Status(w io.Writer, st Style, s *plan.Status) {
	columns, address := statusColumns(st, s.Owners)
	var line []string
	for _, c := range columns {
		line = append(line, pad(c.title, c.width))
	}
	if len(s.Owners) > 0 {
		fmt.Fprintln(w, st.paint(bold, strings.TrimRight(strings.Join(line, gap), " ")))
	}
	for _, o := range s.Owners {
		line = line[:0]
		for i, c := range columns {
			text, color := c.cell(o), ""
			if c.color != nil {
				color = c.color(o)
			}
			if i == 0 && st.Width > 0 && utf8.RuneCountInString(text) > c.width {
				fmt.Fprintln(w, st.paint(color, text)) // on a line of its own, so that the others stand below each other
				text = ""
			}
			rest := strings.Repeat(" ", max(0, c.width-utf8.RuneCountInString(text)))
			if i == len(columns)-1 {
				rest = ""
			}
			line = append(line, st.paint(color, text)+rest)
		}
		fmt.Fprintln(w, strings.TrimRight(strings.Join(line, gap), " "))
		if address && o.Email != "" {
			fmt.Fprintln(w, indent+st.paint(faint, Clean(o.Email)))
		}
	}
	if len(s.Owners) > 0 {
		fmt.Fprintln(w)
	}
	stillIn(w, st, s)
	stragglers(w, st, s.Owners)
	notInPlace(w, st, s)
	fmt.Fprintln(w, st.paint(bold, st.wrap(StatusTotals(s), 0, "")))
}

// statusColumns are the columns that fit, and whether e-mail addresses are below the
// lines.
func statusColumns(st Style, owners []plan.OwnerStatus) (columns []column, address bool) {
	state := func(o plan.OwnerStatus) string { return stateColors[spokenState(o)] }
	cells := barCells
	all := []column{
		{title: "OWNER", cell: func(o plan.OwnerStatus) string { return Clean(string(o.Owner)) }},
		{title: "STATE", cell: stateWord, color: state},
		{title: keyColumn, cell: func(o plan.OwnerStatus) string { return orDash(o.Key) }},
		{title: "LEFT", cell: daysLeft, color: state},
		{title: barColumn, cell: func(o plan.OwnerStatus) string { return bar(o, cells) }, color: state},
		{title: "NEXT", cell: nextEvent},
		{title: givenColumn, cell: handedOut},
		{title: mailColumn, cell: func(o plan.OwnerStatus) string { return orDash(Clean(o.Email)) }},
	}
	if !slices.ContainsFunc(owners, func(o plan.OwnerStatus) bool { return bar(o, cells) != "" }) {
		all = slices.DeleteFunc(all, func(c column) bool { return c.title == barColumn })
	}
	for _, left := range leftOut {
		columns = nil
		for _, c := range all {
			if !slices.Contains(left, c.title) {
				columns = append(columns, c)
			}
		}
		address = st.Width > 0 && slices.Contains(left, mailColumn)
		for _, most := range []int{math.MaxInt, ownerMax} { // a long owner pushes columns away only where there is room
			cells = barCells
			fit(columns, owners, most)
			if over := total(columns) - st.Width; st.Width > 0 && over > 0 && !slices.Contains(left, barColumn) {
				cells = max(barLeast, barCells-over)
				fit(columns, owners, most)
			}
			if st.Width == 0 || total(columns) <= st.Width {
				return columns, address
			}
		}
	}
	return columns, address
}

// Titles of columns that a narrow terminal does without.
const (
	barColumn, keyColumn, givenColumn, mailColumn = "", "KEY", "GIVEN", "E-MAIL"
)

// leftOut are the columns that are left out, until a line fits. The e-mail address moves
// below the line, and the bar is the first that goes.
var leftOut = [][]string{{}, {mailColumn}, {barColumn, mailColumn}, {barColumn, mailColumn, keyColumn}, {barColumn, mailColumn, keyColumn, givenColumn}}

// fit makes columns as wide as what is in them; an owner who is longer than most does
// not count.
func fit(columns []column, owners []plan.OwnerStatus, most int) {
	for i := range columns {
		c := &columns[i]
		c.width = utf8.RuneCountInString(c.title)
		for _, o := range owners {
			if n := utf8.RuneCountInString(c.cell(o)); i > 0 || n <= most {
				c.width = max(c.width, n)
			}
		}
	}
}

func total(columns []column) int {
	n := len(gap) * (len(columns) - 1)
	for _, c := range columns {
		n += c.width
	}
	return n
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func stateWord(o plan.OwnerStatus) string {
	word := spokenState(o)
	if o.Departed {
		word += ", departed"
	}
	return word
}

func daysLeft(o plan.OwnerStatus) string {
	if o.DaysLeft == nil {
		return "-"
	}
	return strconv.Itoa(*o.DaysLeft) + "d"
}

// bar is how much is left of the life of a certificate, of so many cells.
func bar(o plan.OwnerStatus, cells int) string {
	if o.NotAfter == nil || o.DaysLeft == nil || o.Begin.IsZero() {
		return ""
	}
	whole := o.NotAfter.Sub(o.Begin)
	left := time.Duration(max(0, *o.DaysLeft)) * 24 * time.Hour
	full := 0
	if whole > 0 {
		full = min(cells, int(math.Ceil(float64(cells)*left.Hours()/whole.Hours())))
	}
	return strings.Repeat("█", full) + strings.Repeat("░", cells-full)
}

func handedOut(o plan.OwnerStatus) string {
	switch {
	case o.HandedOut == nil:
		return "-"
	case *o.HandedOut:
		return "yes"
	}
	return "no"
}

func nextEvent(o plan.OwnerStatus) string {
	if o.Next == nil {
		return "-"
	}
	return o.Next.Event + " " + o.Next.At.UTC().Format(time.DateOnly)
}

// stillIn names the users who are to have no certificate, and whose certificates the
// next apply revokes.
func stillIn(w io.Writer, st Style, s *plan.Status) {
	var names []string
	for _, o := range s.Owners {
		if o.StillIn {
			names = append(names, Clean(string(o.Owner)))
		}
	}
	if len(names) == 0 {
		return
	}
	until := "until the next apply revokes " + agree(len(names), "it", "them")
	if s.Plan.Refused() {
		until = "as long as apply is refused"
	}
	fmt.Fprintln(w, st.paint(red, st.wrap("Still let in "+until+": "+strings.Join(names, ", ")+".", 0, indent)))
}

// stragglers names the users whose certificates an earlier generation of the CA has
// issued.
func stragglers(w io.Writer, st Style, owners []plan.OwnerStatus) {
	current := 0
	for _, o := range owners {
		if strings.HasPrefix(string(o.Owner), "ca.") {
			current = o.Generation
		}
	}
	for g := 1; g < current; g++ {
		var all, ours, own []string // own: whose key and request are the user's own
		for _, o := range owners {
			if o.Generation != g || !isUser(o.Owner) || o.State == plan.StateRevoked || o.State == plan.StateExpired {
				continue
			}
			name := Clean(string(o.Owner))
			all = append(all, name)
			if o.CSR {
				own = append(own, name)
			} else {
				ours = append(ours, name)
			}
		}
		if len(all) == 0 {
			continue
		}
		for _, names := range [][]string{all, ours, own} {
			slices.Sort(names)
		}
		text := fmt.Sprintf("Still on generation %d of the CA: %s. %s at the next renewal", g, strings.Join(all, ", "), agree(len(all), "It moves", "They move"))
		if n := len(ours); n > 0 {
			text += ", or at once with apply" + replaceFlags(ours) + ", which revokes what " + agree(n, "it has", "they have") + " now"
		}
		if n := len(own); n > 0 {
			text += fmt.Sprintf(". %s %s made the key: %s sooner with a request with a new key", strings.Join(own, ", "), agree(n, "has", "have"), agree(n, "it moves", "they move"))
		}
		fmt.Fprintln(w, st.wrap(text+".", 0, indent))
	}
}

// replaceFlags are what apply is to be told to replace users, as it is typed where they are
// few.
func replaceFlags(owners []string) string {
	const few = 3
	if len(owners) > few {
		return " --replace OWNER for each"
	}
	var flags strings.Builder
	for _, o := range owners {
		flags.WriteString(" --replace " + shellWord(o))
	}
	return flags.String()
}

// notInPlace names the sites that the proxy may not serve as the directory has them.
func notInPlace(w io.Writer, st Style, s *plan.Status) {
	for _, d := range s.Deployments {
		switch text := Clean(string(d.Owner)); d.State {
		case plan.DeploymentOwed:
			text += ": the last deployment has failed or was interrupted. Until an apply succeeds, whoever was revoked since may get in, and whoever was given a new certificate may not."
			fmt.Fprintln(w, st.paint(red, st.wrap(text, 0, indent)))
		case plan.DeploymentBehind:
			fmt.Fprintln(w, st.paint(yellow, st.wrap(text+": what lies on the host of the proxy is not what the directory holds; the next apply puts it into place.", 0, indent)))
		}
	}
}

// StatusTotals is the last line of a status: how many owners are in each state, and what is
// pending.
func StatusTotals(s *plan.Status) string {
	var parts []string
	for _, c := range stateCounts(s.Owners) {
		part := fmt.Sprintf("%d %s", c.N, c.Word)
		if c.Word == wordStillIn {
			part += " until apply"
		}
		parts = append(parts, part)
	}
	text := count(len(s.Owners), "owner", "owners")
	if len(s.Owners) == 0 {
		text = "No owner to show"
	}
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	text += ". "
	if n := plan.Waiting(s.Owners); n > 0 {
		text += count(n, "user waits", "users wait") + " for the newest " + theNewest(s.Owners) + ", see mtlsplan handout. "
	}
	switch {
	case s.Plan.Refused():
		return text + refused(s.Plan) + "; mtlsplan plan says why."
	case s.Plan.Empty():
		return text + "Nothing to do."
	}
	return text + "Pending: " + strings.Join(tally(s.Plan.Summary(), func(w word) string { return w.pending }), ", ") + "; mtlsplan plan says why."
}

// theNewest is what users who wait are given: where the key is their own, a certificate.
func theNewest(owners []plan.OwnerStatus) string {
	p12, certificate := false, false
	for i := range owners {
		p12 = p12 || owners[i].Waits() && !owners[i].CSR
		certificate = certificate || owners[i].Waits() && owners[i].CSR
	}
	switch {
	case p12 && certificate:
		return ".p12 or certificate"
	case certificate:
		return "certificate"
	}
	return ".p12"
}
