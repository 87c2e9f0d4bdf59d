package ui

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"mtlsplan/internal/plan"
)

// Sizes of the chart, in pixels of CSS.
const (
	chartNamed  = 120 // so many users have a row with a name; more have a line each
	chartTop    = 24  // room for the dates
	chartRow    = 34  // a name above a bar
	chartHeight = 420 // of the lines of any number of users
	chartWidth  = 1000
)

// reportChart is the timeline of all users' certificates.
type reportChart struct {
	Desc   string
	Height int
	Top    int
	Now    string
	Ticks  []chartTick
	Rows   []chartBar  // where users have rows
	Paths  []chartPath // else: a path for each state, in a box of chartWidth
	Next   string      // a path with the next renewals
	Box    string
	Inner  int
	Stroke string
	States []stateCount // for the legend
}

type chartTick struct{ X, Label string }

type chartBar struct {
	Name, State, X, Width, Next, Title string
	TextY, BarY                        int
}

type chartPath struct{ State, D string }

// scale is the time that an axis shows.
type scale struct{ from, to time.Time }

// at is the place of a time on the axis: 0 is its begin, 1 its end.
func (s scale) at(t time.Time) float64 {
	return min(1, max(0, float64(t.Sub(s.from))/float64(s.to.Sub(s.from))))
}

func percent(share float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", 100*share), "0"), ".") + "%"
}

// chart draws the certificates of users, those that end first on top; nil for none. Of
// one whose begin is not known, the end alone is drawn.
func chart(s *plan.Status) *reportChart {
	var users []plan.OwnerStatus
	axis := scale{s.At, s.At}
	for _, o := range s.Owners {
		if _, user := o.Owner.UserName(); !user || o.NotAfter == nil {
			continue
		}
		users = append(users, o)
		if !o.Begin.IsZero() && o.Begin.Before(axis.from) {
			axis.from = o.Begin
		}
		axis.to = later(axis.to, *o.NotAfter)
	}
	if len(users) == 0 || !axis.to.After(axis.from) {
		return nil
	}
	slices.SortStableFunc(users, func(a, b plan.OwnerStatus) int {
		return cmp.Or(a.NotAfter.Compare(*b.NotAfter), renewal(a).Compare(renewal(b)), cmp.Compare(a.Owner, b.Owner))
	})
	c := &reportChart{Now: percent(axis.at(s.At)), Top: chartTop, Ticks: ticks(axis)}
	c.Desc = fmt.Sprintf("%s from %s to %s; the first ends on %s, the last on %s. The table below has every date.",
		count(len(users), "certificate", "certificates"), day(&axis.from), day(&axis.to), day(users[0].NotAfter), day(users[len(users)-1].NotAfter))
	c.States = stateCounts(users)
	if len(users) <= chartNamed {
		c.named(users, axis)
	} else {
		c.lines(users, axis)
	}
	return c
}

// renewal is when a certificate is renewed next, zero where that is not known.
func renewal(o plan.OwnerStatus) time.Time {
	if o.Next == nil || o.Next.Event != plan.EventRenewal {
		return time.Time{}
	}
	return o.Next.At
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// span is where a certificate is drawn.
func (s scale) span(o plan.OwnerStatus) (from, to float64) {
	const least = .004
	to = s.at(*o.NotAfter)
	if from = to - least; !o.Begin.IsZero() {
		from = min(from, s.at(o.Begin))
	}
	return max(0, from), max(to, least)
}

func (c *reportChart) named(users []plan.OwnerStatus, axis scale) {
	for i, o := range users {
		from, to := axis.span(o)
		y := chartTop + i*chartRow
		b := chartBar{Name: Clean(string(o.Owner)), State: stateClass(spokenState(o)), X: percent(from), Width: percent(to - from), TextY: y + 15, BarY: y + 20}
		b.Title = fmt.Sprintf("%s: %s, ends on %s", b.Name, spokenState(o), day(o.NotAfter))
		if o.StillIn {
			b.Title = fmt.Sprintf("%s: %s until apply revokes it, ends on %s", b.Name, spokenState(o), day(o.NotAfter))
		}
		if next := renewal(o); !next.IsZero() && !next.After(axis.to) {
			b.Next = percent(axis.at(next))
		}
		c.Rows = append(c.Rows, b)
	}
	c.Height = chartTop + len(users)*chartRow + 6
}

func (c *reportChart) lines(users []plan.OwnerStatus, axis scale) {
	paths := map[string]*strings.Builder{}
	var renewals strings.Builder
	pitch := float64(chartHeight) / float64(len(users))
	for i, o := range users {
		state := stateClass(spokenState(o))
		b := paths[state]
		if b == nil {
			b = &strings.Builder{}
			paths[state] = b
		}
		from, to := axis.span(o)
		fmt.Fprintf(b, "M%d %.1fH%d", int(from*chartWidth), (float64(i)+.5)*pitch, int(math.Ceil(to*chartWidth)))
		if next := renewal(o); !next.IsZero() && !next.After(axis.to) {
			fmt.Fprintf(&renewals, "M%d %.1fh2", int(axis.at(next)*chartWidth)-1, (float64(i)+.5)*pitch)
		}
	}
	for _, state := range c.States {
		c.Paths = append(c.Paths, chartPath{state.State, paths[state.State].String()})
	}
	c.Next = renewals.String()
	c.Box = fmt.Sprintf("0 0 %d %d", chartWidth, chartHeight)
	c.Inner, c.Height, c.Stroke = chartHeight, chartTop+chartHeight+6, fmt.Sprintf("%.2f", max(.4, .85*pitch))
}

// ticks are the first days of months on an axis, at most four of them, which fit on a telephone, and none where a
// label would be cut.
func ticks(axis scale) []chartTick {
	const most, edge = 4, .07
	for _, months := range []int{1, 2, 3, 6, 12, 24, 60, 120, 600, 1200, 6000} {
		var list []chartTick
		first := axis.from.UTC()
		at := time.Date(first.Year()-first.Year()%max(1, months/12), 1, 1, 0, 0, 0, 0, time.UTC)
		for ; at.Before(axis.to); at = at.AddDate(0, months, 0) {
			if x := axis.at(at); at.After(axis.from) && x > edge && x < 1-edge {
				list = append(list, chartTick{percent(x), at.Format("2006-01")})
			}
		}
		if len(list) <= most {
			return list
		}
	}
	return nil
}
