package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// The picture: cost per user against users, both in powers of ten. A level
// line is a cost that does not depend on how many there are.
const (
	plotWidth, plotHeight                    = 920, 560
	plotLeft, plotRight, plotTop, plotBottom = 84, 660, 76, 490
	labelGap                                 = 17 // between the names beside the lines
)

// plotted are the lines, in the colours that tell them apart for everybody
// (after Okabe and Ito).
var plotted = []struct{ scenario, who, label, colour string }{
	{"fresh EC", productName, "everybody is new", "#0072b2"},
	{"fresh EC", floorName, "everybody is new: the floor", "#0072b2"},
	{"1 % renewed", productName, "1 % renewed", "#009e73"},
	{"1 % revoked", productName, "1 % revoked", "#cc79a7"},
	{"no-op apply, CSV, no cache", productName, "nothing to do, cache deleted", "#8c6d1f"},
	{"no-op apply", productName, "nothing to do, users as blocks", "#d55e00"},
	{"no-op apply", floorName, "nothing to do, as blocks: the floor", "#d55e00"},
	{"no-op apply, CSV", productName, "nothing to do, users in CSV", "#56a0d3"},
	{"one user added", productName, "one user added", "#333333"},
	{"validate", productName, "validate, users as blocks", "#8a8a8a"},
}

type line struct {
	growth
	label, colour string
	dashed        bool
	labelY        float64
}

// plot draws the growth of all scenarios that have several sizes, "" for none.
func plot(r Results) string {
	var lines []line
	for _, p := range plotted {
		for _, g := range growthBy(r, p.who) {
			if g.name == p.scenario {
				lines = append(lines, line{growth: g, label: p.label, colour: p.colour, dashed: p.who == floorName})
			}
		}
	}
	if lines == nil {
		return ""
	}
	x, y := axes(lines)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="system-ui, sans-serif" font-size="13" fill="#333">`+"\n",
		plotWidth, plotHeight)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", plotWidth, plotHeight)
	fmt.Fprintf(&b, `<text x="24" y="34" font-size="19" font-weight="600" fill="#111">What one user costs, by the number of users</text>`+"\n")
	fmt.Fprintf(&b, `<text x="24" y="56" fill="#666">CPU time of a run divided by its users; dashed: the floor, the bare work without a program around it</text>`+"\n")
	y.grid(&b, func(v float64) string {
		return fmt.Sprintf(`<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#e4e4e4"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`,
			plotLeft, plotRight, y.at(v), y.at(v), plotLeft-10, y.at(v)+4.5, tick.Replace(seconds(v)))
	})
	x.grid(&b, func(v float64) string {
		return fmt.Sprintf(`<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#e4e4e4"/><text x="%.1f" y="%d" text-anchor="middle">%s</text>`,
			x.at(v), x.at(v), plotTop, plotBottom, x.at(v), plotBottom+22, count(int(v)))
	})
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle" fill="#666">users</text>`+"\n", (plotLeft+plotRight)/2, plotBottom+44)
	place(lines, y)
	for _, l := range lines {
		l.draw(&b, x, y)
	}
	fmt.Fprintf(&b, `<text x="24" y="%d" font-size="11" fill="#888">%s; %s</text>`+"\n</svg>\n", plotHeight-12, escape(fmt.Sprintf(
		"%d cores, %s", r.Machine.Cores, r.Machine.CPU)), dates(r))
	return b.String()
}

// tick writes a power of ten without a fraction.
var tick = strings.NewReplacer(".00", "", ".0", "")

// draw writes a line with a dot at each size and its name at the end.
func (l line) draw(b *strings.Builder, x, y axis) {
	var path []string
	for _, p := range l.points {
		path = append(path, fmt.Sprintf("%.1f,%.1f", x.at(float64(p.users)), y.at(p.cost)))
	}
	dash := ""
	if l.dashed {
		dash = ` stroke-dasharray="5 5"`
	}
	fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2.2" stroke-linejoin="round"%s/>`+"\n", strings.Join(path, " "), l.colour, dash)
	for _, p := range l.points {
		fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3.4" fill="%s"/>`+"\n", x.at(float64(p.users)), y.at(p.cost), l.colour)
	}
	end := l.last()
	endX := x.at(float64(end.users))
	fmt.Fprintf(b, `<polyline points="%.1f,%.1f %d,%.1f %d,%.1f" fill="none" stroke="%s" stroke-opacity=".35"/>`+"\n",
		endX+5, y.at(end.cost), plotRight+6, y.at(end.cost), plotRight+18, l.labelY, l.colour)
	fmt.Fprintf(b, `<text x="%d" y="%.1f" fill="%s">%s</text>`+"\n", plotRight+22, l.labelY+4.5, l.colour, escape(l.label))
}

// place spreads the names beside the ends of their lines, so that none covers
// another: from the top down each has its line's height or the next free one,
// and what then hangs below the plot is pushed up again.
func place(lines []line, y axis) {
	slices.SortStableFunc(lines, func(a, b line) int { return int(math.Copysign(1, b.last().cost-a.last().cost)) })
	free := math.Inf(-1)
	for i := range lines {
		lines[i].labelY = max(y.at(lines[i].last().cost), free)
		free = lines[i].labelY + labelGap
	}
	limit := float64(plotBottom)
	for i := len(lines) - 1; i >= 0; i-- {
		lines[i].labelY = min(lines[i].labelY, limit)
		limit = lines[i].labelY - labelGap
	}
}

// axis maps powers of ten to pixels.
type axis struct {
	low, high float64 // powers of ten
	from, to  float64 // pixels
}

func (a axis) at(v float64) float64 {
	return a.from + (math.Log10(v)-a.low)/(a.high-a.low)*(a.to-a.from)
}

// grid writes one element for each power of ten.
func (a axis) grid(b *strings.Builder, element func(v float64) string) {
	for e := math.Ceil(a.low - 1e-9); e <= a.high+1e-9; e++ {
		b.WriteString(element(math.Pow(10, e)) + "\n")
	}
}

// axes span all points, in whole powers of ten.
func axes(lines []line) (x, y axis) {
	users, costs := []float64{}, []float64{}
	for _, l := range lines {
		for _, p := range l.points {
			users, costs = append(users, float64(p.users)), append(costs, p.cost)
		}
	}
	span := func(v []float64) (low, high float64) {
		low, high = math.Floor(math.Log10(slices.Min(v))+1e-9), math.Ceil(math.Log10(slices.Max(v))-1e-9)
		return low, max(high, low+1)
	}
	x, y = axis{from: plotLeft, to: plotRight}, axis{from: plotBottom, to: plotTop}
	x.low, x.high = span(users)
	y.low, y.high = span(costs)
	return x, y
}

func escape(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}

// dates are the first and the last day on which rows were measured.
func dates(r Results) string {
	var all []string
	for _, row := range r.Rows {
		all = append(all, row.Date)
	}
	first, last := slices.Min(all), slices.Max(all)
	if first == last {
		return first
	}
	return first + " to " + last
}
