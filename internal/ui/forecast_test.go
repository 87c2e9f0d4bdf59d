package ui

import (
	"bytes"
	"strings"
	"testing"
	"time"

	ics "github.com/arran4/golang-ical"

	"mtlsplan/internal/plan"
)

// TestForecastCalendar: a library reads the calendar, and finds one event for each day and
// kind, with all names.
func TestForecastCalendar(t *testing.T) {
	day := time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)
	events := []plan.Event{
		{At: day, Owner: "user.ann", Event: plan.EventRenewal, Action: plan.Rekey},
		{At: day.Add(time.Hour), Owner: "user.bob", Event: plan.EventRenewal, Action: plan.Reissue},
		{At: day.Add(time.Hour), Owner: "user.bob", Event: plan.EventImport},
		{At: day.Add(24 * time.Hour), Owner: "crl.m", Event: plan.EventCRL, Action: plan.Reissue},
	}
	for range 40 {
		events = append(events, plan.Event{At: day.Add(48 * time.Hour), Owner: plan.Owner("user." + strings.Repeat("ü", 31) + string(rune('a'+len(events)))), Event: plan.EventExpiry})
	}
	text := ForecastCalendar("m, n; o", at, events)
	for line := range strings.SplitSeq(string(text), "\r\n") {
		if len(line) > 75 || strings.Contains(line, "\n") {
			t.Errorf("a line of %d bytes: %q", len(line), line)
		}
	}
	calendar, err := ics.ParseCalendar(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	type event struct{ day, summary, names string }
	var have []event
	ids := map[string]bool{}
	for _, e := range calendar.Events() {
		value := func(p ics.ComponentProperty) string { return ics.FromText(e.GetProperty(p).Value) }
		ids[e.Id()] = true
		start, err := e.GetAllDayStartAt()
		if err != nil {
			t.Fatal(err)
		}
		end, err := e.GetAllDayEndAt()
		if err != nil || end.Sub(start) != 24*time.Hour {
			t.Errorf("%s to %s: %v", start, end, err)
		}
		have = append(have, event{start.Format(time.DateOnly), value(ics.ComponentPropertySummary), value(ics.ComponentPropertyDescription)})
	}
	want := []event{
		{"2027-03-01", "m, n; o: 2 certificates are renewed", "user.ann\nuser.bob"},
		{"2027-03-01", "m, n; o: 1 user must import a new .p12", "user.bob"},
		{"2027-03-02", "m, n; o: CRL: signed anew", "crl.m"},
		{"2027-03-03", "m, n; o: 40 certificates or CRLs end", ""},
	}
	if len(have) != len(want) || len(ids) != len(want) {
		t.Fatalf("%d events with %d UIDs, not %d:\n%s", len(have), len(ids), len(want), text)
	}
	for i := range want {
		if i == 3 {
			want[i].names = have[i].names
			if n := strings.Count(have[i].names, "\n"); n != 39 || strings.Count(have[i].names, "ü") != 40*31 {
				t.Errorf("%d names were lost", 39-n)
			}
		}
		if have[i] != want[i] {
			t.Errorf("%q, not %q", have[i], want[i])
		}
	}

	// The next run, some events less, has the same UIDs for the rest.
	again, err := ics.ParseCalendar(bytes.NewReader(ForecastCalendar("m, n; o", at.Add(time.Hour), events[1:])))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range again.Events() {
		if !ids[e.Id()] {
			t.Errorf("the UID %s is new", e.Id())
		}
	}
}
