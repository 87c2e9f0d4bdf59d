package ui

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"mtlsplan/internal/plan"
)

// eventSet is the events of one day and kind.
type eventSet struct {
	day    string // YYYY-MM-DD in UTC
	event  string
	action plan.Action // of all of them, "" where they differ
	owners []string
	csr    int // how many of them have made their keys
}

// eventSets puts events together that are of one day and kind. They come by time.
func eventSets(events []plan.Event) []*eventSet {
	var out []*eventSet
	at := map[[2]string]*eventSet{}
	for _, e := range events {
		key := [2]string{e.At.UTC().Format(time.DateOnly), e.Event}
		s := at[key]
		if s == nil {
			s = &eventSet{day: key[0], event: key[1], action: e.Action}
			at[key] = s
			out = append(out, s)
		}
		if s.action != e.Action {
			s.action = ""
		}
		owner := Clean(string(e.Owner))
		if e.CSR && e.Event == plan.EventImport {
			owner += certificateAlone
		}
		if len(s.owners) == 0 || s.owners[len(s.owners)-1] != owner {
			s.owners = append(s.owners, owner)
			if e.CSR {
				s.csr++
			}
		}
	}
	return out
}

// certificateAlone is said of whoever is given no .p12.
const certificateAlone = " (certificate)"

// Forecast writes what happens, a line for each day and kind with all names, and the
// totals.
func Forecast(w io.Writer, st Style, p *plan.Plan, events []plan.Event) {
	sets := eventSets(events)
	words, actions := 0, 0
	for _, s := range sets {
		words, actions = max(words, len(s.event)), max(actions, len(s.action))
	}
	last := ""
	for _, s := range sets {
		day := s.day
		if day == last && st.Width > 0 { // a pipe gets the day in each line, for grep
			day = strings.Repeat(" ", len(day))
		}
		last = s.day
		line := day + gap + pad(s.event, words) + gap
		if actions > 0 {
			line += pad(string(s.action), actions) + gap
		}
		from := utf8.RuneCountInString(line)
		begin := from // of further lines; a narrow terminal has them further left
		if from > st.Width/2 {
			begin = min(from, len(day)+len(gap))
		}
		fmt.Fprintln(w, line+st.wrap(strings.Join(s.owners, ", "), from, strings.Repeat(" ", begin)))
	}
	if len(sets) > 0 {
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, st.paint(bold, st.wrap(forecastTotals(p, events), 0, "")))
}

func forecastTotals(p *plan.Plan, events []plan.Event) string {
	counts := map[string]int{}
	for _, e := range events {
		counts[e.Event]++
	}
	var parts []string
	for _, word := range plan.Events() {
		if n := counts[word.Name]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, word.Name))
		}
	}
	text := "Nothing happens in this time."
	if len(parts) > 0 {
		text = "Forecast: " + strings.Join(parts, ", ") + "."
	}
	if p.Refused() {
		text += " " + refused(p) + ", so apply does nothing until that is mended; mtlsplan plan says why."
	}
	return text
}

// summaries are what a calendar says of an event and one owner, or several.
var summaries = map[string][2]string{
	plan.EventReissue:     {"CA: a new certificate", "CA: a new certificate"},
	plan.EventRevocation:  {"1 user is revoked", "%d users are revoked"},
	plan.EventRenewal:     {"1 certificate is renewed", "%d certificates are renewed"},
	plan.EventImport:      {"1 user must import a new .p12", "%d users must import a new .p12"},
	plan.EventOverlapOver: {"1 superseded certificate or CA is given up", "%d superseded certificates or CAs are given up"},
	plan.EventExpiry:      {"1 certificate or CRL ends", "%d certificates or CRLs end"},
	plan.EventCRL:         {"CRL: signed anew", "CRL: signed anew"},
}

// summary is what a calendar says of a set of events.
func (s *eventSet) summary() string {
	what, n := summaries[s.event], len(s.owners)
	switch {
	case s.event != plan.EventImport || s.csr == 0:
	case s.csr == n:
		what = [2]string{"1 user must be given a new certificate", "%d users must be given a new certificate"}
	default:
		what[1] = "%d users must be given a new .p12 or certificate"
	}
	if n > 1 && strings.Contains(what[1], "%d") {
		return fmt.Sprintf(what[1], n)
	}
	return what[0]
}

// ForecastCalendar is a forecast as a calendar (RFC 5545): all-day events, one a day and
// kind. Their UIDs are hashes of CA, day and kind, so that a calendar that is imported
// again replaces them.
func ForecastCalendar(ca string, now time.Time, events []plan.Event) []byte {
	var b bytes.Buffer
	line := func(name, value string) { b.WriteString(contentLine(name, value)) }
	line("BEGIN", "VCALENDAR")
	line("VERSION", "2.0")
	line("PRODID", "-//mtlsplan//forecast//EN")
	line("CALSCALE", "GREGORIAN")
	line("METHOD", "PUBLISH")
	line("X-WR-CALNAME", icsText("mtlsplan "+ca))
	for _, s := range eventSets(events) {
		day, err := time.Parse(time.DateOnly, s.day)
		if err != nil {
			continue // it was made from a time
		}
		sum := sha256.Sum256([]byte(ca + "\x00" + s.day + "\x00" + s.event))
		line("BEGIN", "VEVENT")
		line("UID", hex.EncodeToString(sum[:16])+"@mtlsplan")
		line("DTSTAMP", now.UTC().Format("20060102T150405Z"))
		line("DTSTART;VALUE=DATE", day.Format("20060102"))
		line("DTEND;VALUE=DATE", day.AddDate(0, 0, 1).Format("20060102"))
		line("SUMMARY", icsText(ca+": "+s.summary()))
		line("DESCRIPTION", icsText(strings.Join(s.owners, "\n")))
		line("CATEGORIES", icsText(s.event))
		line("TRANSP", "TRANSPARENT")
		line("END", "VEVENT")
	}
	line("END", "VCALENDAR")
	return b.Bytes()
}

// icsText escapes a TEXT value (RFC 5545 section 3.3.11).
func icsText(text string) string {
	return strings.NewReplacer(`\`, `\\`, ";", `\;`, ",", `\,`, "\n", `\n`).Replace(cleanBlock(text))
}

// contentLine is a line of a calendar, folded at 75 bytes and never within a character
// (RFC 5545 section 3.1).
func contentLine(name, value string) string {
	const most = 75
	var b strings.Builder
	n := 0
	for _, r := range name + ":" + value {
		if n+utf8.RuneLen(r) > most {
			b.WriteString("\r\n ")
			n = 1
		}
		b.WriteRune(r)
		n += utf8.RuneLen(r)
	}
	b.WriteString("\r\n")
	return b.String()
}
