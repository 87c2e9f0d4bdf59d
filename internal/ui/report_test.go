package ui

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"mtlsplan/internal/plan"
)

// reported is a status of n users, all of whose texts are hostile, and what happens to them.
func reported(n int, hostile string) (*plan.Status, []plan.Event) {
	now := time.Date(2026, 5, 20, 0, 0, 0, 0, time.UTC)
	begin, left := now.AddDate(0, -1, 0), 60
	s := &plan.Status{At: now, Plan: &plan.Plan{
		Notes:    []plan.Note{{Code: "x", Warning: true, Message: hostile, Owner: plan.Owner(hostile)}},
		Failures: []plan.Failure{{Owner: plan.Owner(hostile), Message: hostile}},
		Steps:    []plan.Step{{Owner: plan.Owner(hostile), Action: plan.Refuse, Reasons: []plan.Reason{{Message: hostile}}}},
	}}
	var events []plan.Event
	for i := range n {
		owner := plan.User(fmt.Sprint(hostile, i))
		end := now.AddDate(0, 0, i%90)
		s.Owners = append(s.Owners, plan.OwnerStatus{Owner: owner, State: plan.StateValid, Email: hostile, Serial: hostile, Key: hostile,
			Begin: begin, NotAfter: &end, DaysLeft: &left, Next: &plan.NextEvent{Event: plan.EventRenewal, At: end}})
		events = append(events, plan.Event{At: end, Owner: owner, Event: plan.EventImport})
	}
	return s, events
}

// shape is the elements of a page with the names of their attributes.
func shape(t *testing.T, page []byte) (elements []string, text string) {
	t.Helper()
	root, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var words strings.Builder
	for n := range root.Descendants() {
		switch n.Type {
		case html.ElementNode:
			e := n.Data
			for _, a := range n.Attr {
				e += " " + a.Key
			}
			elements = append(elements, e)
		case html.TextNode:
			words.WriteString(n.Data)
		}
	}
	return elements, words.String()
}

// TestReportOfHostileTexts: no text adds an element or an attribute to a page, and each is
// there to be read.
func TestReportOfHostileTexts(t *testing.T) {
	s, events := reported(3, "plain")
	want, _ := shape(t, Report("plain", s, events))
	for _, hostile := range []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `</title></style></script></svg><b>`,
		`<!--`, `-->`, `]]>`, `{{.}}`, "`${alert(1)}`", `javascript:alert(1)`, `&lt;b&gt;`, "a\x00b\x1b[2J", "\u202eevil", "\xff\xfe",
	} {
		s, events := reported(3, hostile)
		got, text := shape(t, Report(hostile, s, events))
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q changes the page:\n%v\nwant\n%v", hostile, got, want)
		}
		if n := strings.Count(text, Clean(hostile)); n < 10 {
			t.Errorf("%q is there %d times", hostile, n)
		}
	}
}

// TestReportOfMany: a page of many users has a row and no other element for each.
func TestReportOfMany(t *testing.T) {
	const users = 10_000
	s, events := reported(users, "user")
	page := Report("many", s, events)
	elements, _ := shape(t, page)
	const cells = 11 // a row and what is in it
	if n := len(elements); n > users*cells+2000 {
		t.Errorf("%d elements for %d users", n, users)
	}
	if n := bytes.Count(page, []byte(`<th scope="row">user.`)); n != users {
		t.Errorf("%d rows for %d users", n, users)
	}
	if most := 6 << 20; len(page) > most {
		t.Errorf("the page has %d bytes", len(page))
	}
}

// TestReportTicks: dates on the axis never crowd, however long it is.
func TestReportTicks(t *testing.T) {
	from := time.Date(2026, 2, 28, 0, 0, 0, 0, time.UTC)
	for _, days := range []int{1, 29, 90, 365, 730, 3650, 36500, 90000} {
		list := ticks(scale{from, from.AddDate(0, 0, days)})
		if len(list) > 4 || days > 90 && len(list) < 1 {
			t.Errorf("%d days: %v", days, list)
		}
	}
}
