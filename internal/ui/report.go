package ui

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"sync"
	"time"

	"mtlsplan/internal/plan"
)

// ReportDays is how many days a report looks ahead.
const ReportDays = 90

// reportFirst is how many owners a browser shows before it is asked for more: to lay out
// 10,000 takes it seconds.
const reportFirst = 300

// ReportMark is how a report begins, by which it is told from other files.
const ReportMark = "<!DOCTYPE html>\n<!-- A report of mtlsplan: the next one may replace it. -->\n"

var (
	//go:embed report.html
	reportHTML string
	//go:embed report.css
	reportCSS string
	//go:embed report.js
	reportJS string
)

// reportTemplate is parsed when it is needed: all other commands do without.
var reportTemplate = sync.OnceValue(func() *template.Template { return template.Must(template.New("report").Parse(reportHTML)) })

// reportPage is what the page shows.
type reportPage struct {
	CA, At, Totals string
	Alarms         []string // what is true of several owners and needs attention
	Counts         []stateCount
	Lives          []reportLife // of the CA and its CRL
	Chart          *reportChart // nil where no certificate has been issued
	Owners         int
	Generations    bool        // there is more than one
	OwnKeys        bool        // there are users who have made their keys, and are given a certificate
	Rows, Rest     []reportRow // the first, which a browser shows at once, and the others
	Imports        []reportEvents
	Waiting        reportEvents // who has not been given the newest yet; without names where all have
	Events         []reportEvents
	Notes          []reportNote
	Days           int

	Style               template.CSS
	Script              template.JS
	StyleSum, ScriptSum string // of both, for the policy that lets nothing else run
}

// reportLife is a certificate or CRL from its begin to its end.
type reportLife struct {
	ID, What, Owner, State, Begin, End, Left, Next string
	Passed                                         string // share of its life, in percent; "" where that is not known
	NextAt                                         string // in percent, "" where it lies beyond the end
}

type reportRow struct {
	Owner, Email, Given, State, Word, Rank, Key, Serial, End, Left, Next, NextAt, Generation, Apply string
}

// reportEvents are the events of a day and kind.
type reportEvents struct {
	Day, Event string
	Due        bool // it is due already
	Names      string
	Count      string // in place of names where they are many, "" where they are few
}

// names are whom it is about.
func (e *reportEvents) names(owners []string) {
	const few = 12
	if e.Names = strings.Join(owners, ", "); len(owners) > few {
		e.Count = count(len(owners), "owner", "owners")
	}
}

type reportNote struct{ Kind, Owner, Text string }

// Report is the page of a CA: how owners stand, and what happens within [ReportDays]. It
// needs no network. A policy in it (CSP) lets nothing run but its own script.
func Report(ca string, s *plan.Status, events []plan.Event) []byte {
	page := reportPage{
		CA: Clean(ca), At: moment(s.At), Totals: StatusTotals(s), Days: ReportDays,
		Counts: stateCounts(s.Owners), Chart: chart(s),
		Style: template.CSS(reportCSS), StyleSum: cspSum(reportCSS),
		Script: template.JS(reportJS), ScriptSum: cspSum(reportJS),
	}
	var alarms bytes.Buffer
	stillIn(&alarms, Style{}, s)
	stragglers(&alarms, Style{}, s.Owners)
	notInPlace(&alarms, Style{}, s)
	page.Alarms = strings.Split(strings.TrimSpace(alarms.String()), "\n")
	if alarms.Len() == 0 {
		page.Alarms = nil
	}
	actions := map[plan.Owner]string{}
	for _, step := range s.Plan.Steps {
		actions[step.Owner] = string(step.Action)
	}
	for _, o := range s.Owners {
		page.Generations = page.Generations || o.Generation > 1
		if kind, _, _ := strings.Cut(string(o.Owner), "."); kind != "user" {
			page.Lives = append(page.Lives, reportLifeOf(kind, o, s.At))
		}
	}
	for _, o := range s.Owners {
		r := reportRowOf(o, actions[o.Owner])
		if !page.Generations {
			r.Generation = ""
		}
		page.Rows = append(page.Rows, r)
	}
	first := min(len(page.Rows), reportFirst)
	page.Owners, page.Rows, page.Rest = len(page.Rows), page.Rows[:first], page.Rows[first:]
	var waiting []string
	for _, o := range s.Owners {
		if o.Waits() {
			name := Clean(string(o.Owner))
			if o.CSR {
				name += certificateAlone
			}
			waiting = append(waiting, name)
		}
		page.OwnKeys = page.OwnKeys || o.CSR
	}
	page.Waiting.names(waiting)
	due := map[string]bool{} // what the next apply does
	for _, e := range events {
		due[e.Event+day(&e.At)] = due[e.Event+day(&e.At)] || !e.At.After(s.At)
	}
	for _, set := range eventSets(events) {
		e := reportEvents{Day: set.day, Due: due[set.event+set.day], Event: set.event}
		e.names(set.owners)
		if set.event == plan.EventImport {
			page.Imports = append(page.Imports, e)
		} else {
			page.Events = append(page.Events, e)
		}
	}
	page.Notes = reportNotes(s.Plan)
	var b bytes.Buffer
	b.WriteString(ReportMark)
	_ = reportTemplate().Execute(&b, page) // writes to memory
	return b.Bytes()
}

// cspSum is a text as a policy names it (CSP level 3, section 2.3.1).
func cspSum(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func reportRowOf(o plan.OwnerStatus, action string) reportRow {
	r := reportRow{
		Owner: Clean(string(o.Owner)), Email: orDash(Clean(o.Email)), Given: handedOut(o), State: stateClass(spokenState(o)), Word: stateWord(o), Key: orDash(o.Key), Serial: orDash(o.Serial), End: day(o.NotAfter),
		Left: "-", Next: nextEvent(o), Generation: "-", Apply: orDash(action),
		Rank: fmt.Sprint(slices.Index(spokenStates(), spokenState(o))),
	}
	if o.DaysLeft != nil {
		r.Left = fmt.Sprint(*o.DaysLeft)
	}
	if o.Next != nil {
		r.NextAt = o.Next.At.UTC().Format(time.RFC3339)
	}
	if o.Generation > 0 {
		r.Generation = fmt.Sprint(o.Generation)
	}
	return r
}

func day(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format(time.DateOnly)
}

func reportLifeOf(kind string, o plan.OwnerStatus, now time.Time) reportLife {
	l := reportLife{ID: kind, What: strings.ToUpper(kind), Owner: Clean(string(o.Owner)), State: o.State, End: day(o.NotAfter), Left: daysLeft(o), Next: nextEvent(o)}
	if o.NotAfter == nil || o.Begin.IsZero() || !o.NotAfter.After(o.Begin) {
		return l
	}
	l.Begin = day(&o.Begin)
	whole := scale{o.Begin, *o.NotAfter}
	l.Passed = percent(whole.at(now))
	if o.Next != nil && o.Next.At.Before(*o.NotAfter) {
		l.NextAt = percent(whole.at(o.Next.At))
	}
	return l
}

func reportNotes(p *plan.Plan) (list []reportNote) {
	for _, f := range p.Failures {
		list = append(list, reportNote{"Failure", Clean(string(f.Owner)), cleanBlock(f.Message)})
	}
	for _, step := range p.Steps {
		if step.Action == plan.Refuse {
			for _, r := range step.Reasons {
				list = append(list, reportNote{"Refusal", Clean(string(step.Owner)), cleanBlock(r.Message)})
			}
		}
	}
	for _, warning := range []bool{true, false} {
		for _, n := range p.Notes {
			if n.Warning == warning && n.Code != plan.NotDeployed { // among the alarms
				kind := map[bool]string{true: "Warning", false: "Note"}[warning]
				list = append(list, reportNote{kind, Clean(string(n.Owner)), cleanBlock(n.Message)})
			}
		}
	}
	return list
}
