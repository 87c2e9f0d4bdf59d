package main

import (
	"fmt"
	"slices"
	"strings"
)

// markdown is the results as tables: verdicts, growth, and all figures.
func markdown(r Results) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s.\n", r.Machine)
	verdicts(&b, r)
	growthTable(&b, r)
	figures(&b, r)
	return b.String()
}

func verdicts(b *strings.Builder, r Results) {
	var lines []string
	for _, row := range r.Rows {
		if row.Error != "" {
			first, _, _ := strings.Cut(row.Error, "\n")
			lines = append(lines, fmt.Sprintf("| %s | %s | | | **failed**: %s | |", row.Scenario, count(row.Users), first))
		}
		for _, c := range row.Checks {
			lines = append(lines, fmt.Sprintf("| %s | %s | %s ≤ %s | %s | %s | %d |", row.Scenario, count(row.Users),
				c.What, amount(c.Limit, c.Unit), amount(c.Have, c.Unit), verdict(c), len(row.Series[0].Samples)))
		}
	}
	for _, g := range growthOf(r) {
		if c, ok := g.check(); ok {
			lines = append(lines, fmt.Sprintf("| growth: %s | %s | %s ≤ %s | %s | %s | |", g.name, count(g.last().users),
				c.What, amount(c.Limit, c.Unit), amount(c.Have, c.Unit), verdict(c)))
		}
	}
	if lines == nil {
		return
	}
	b.WriteString("\n| scenario | users | target | reached | verdict | turns |\n|---|---:|---|---:|---|---:|\n")
	b.WriteString(strings.Join(lines, "\n") + "\n")
}

func verdict(c Check) string {
	if c.met() {
		return "met"
	}
	return "**missed**"
}

func figures(b *strings.Builder, r Results) {
	b.WriteString("\n| scenario | users | program | wall | CPU | CPU a user | memory | files written | date |\n" +
		"|---|---:|---|---:|---:|---:|---:|---:|---|\n")
	for _, row := range r.Rows {
		for i := range row.Series {
			s := &row.Series[i]
			perUser, written := "", ""
			if row.Users > 0 {
				perUser = seconds(s.median(cpuOf) / float64(row.Users))
			}
			if s.Written >= 0 {
				written = count(s.Written)
			}
			fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s%s |\n", row.Scenario, count(row.Users), s.Who,
				seconds(s.median(wallOf)), seconds(s.median(cpuOf)), perUser, amount(s.median(mibOf), "MiB"), written, row.Date, busy(row))
		}
	}
}

// busy marks what was measured while others worked on the machine.
func busy(r Row) string {
	if o := r.others(); o >= busyFrom {
		return fmt.Sprintf(", busy machine (%.1f cores)", o)
	}
	return ""
}

// brief is a row in a line, for whoever waits.
func (r Row) brief() string {
	p := r.series(productName)
	if p == nil {
		p = &r.Series[0]
	}
	parts := []string{fmt.Sprintf("wall %s, CPU %s", seconds(p.median(wallOf)), seconds(p.median(cpuOf)))}
	for _, c := range r.Checks {
		parts = append(parts, fmt.Sprintf("%s %s of %s: %s", c.What, amount(c.Have, c.Unit), amount(c.Limit, c.Unit), strings.Trim(verdict(c), "*")))
	}
	return strings.Join(parts, "; ") + busy(r)
}

// growth is the cost per user of one scenario at several numbers of users.
type growth struct {
	name   string
	points []point
}

// point is a number of users and the CPU seconds that each of them cost.
type point struct {
	users int
	cost  float64
}

func (g growth) last() point { return g.points[len(g.points)-1] }

// growthFrom is the number of users that growth is counted from: with fewer,
// starting a process costs more than they do.
const growthFrom = 1000

// growthLimit is how much more a user may cost among the most users than among
// growthFrom.
const growthLimit = 1.3

func (g growth) check() (Check, bool) {
	if len(g.points) < 2 || g.points[0].users != growthFrom {
		return Check{}, false
	}
	what := fmt.Sprintf("CPU a user / that at %s", count(growthFrom))
	return Check{what, ratio(g.last().cost, g.points[0].cost), growthLimit, "×"}, true
}

// growthOf collects the scenarios that were measured at several sizes.
func growthOf(r Results) []growth { return growthBy(r, productName) }

func growthBy(r Results, who string) (all []growth) {
	for _, row := range r.Rows {
		s := row.series(who)
		if s == nil || row.Users < growthFrom {
			continue
		}
		p := point{row.Users, s.median(cpuOf) / float64(row.Users)}
		i := slices.IndexFunc(all, func(g growth) bool { return g.name == row.Scenario })
		if i < 0 {
			all = append(all, growth{row.Scenario, []point{p}})
		} else {
			all[i].points = append(all[i].points, p)
		}
	}
	return slices.DeleteFunc(all, func(g growth) bool { return len(g.points) < 2 })
}

func growthTable(b *strings.Builder, r Results) {
	all := growthOf(r)
	var users []int
	for _, g := range all {
		for _, p := range g.points {
			if !slices.Contains(users, p.users) {
				users = append(users, p.users)
			}
		}
	}
	if users == nil {
		return
	}
	slices.Sort(users)
	b.WriteString("\n| CPU a user |")
	for _, n := range users {
		fmt.Fprintf(b, " %s users |", count(n))
	}
	b.WriteString("\n|---|" + strings.Repeat("---:|", len(users)) + "\n")
	for _, g := range all {
		fmt.Fprintf(b, "| %s |", g.name)
		for _, n := range users {
			cell := ""
			if i := slices.IndexFunc(g.points, func(p point) bool { return p.users == n }); i >= 0 {
				cell = seconds(g.points[i].cost)
			}
			fmt.Fprintf(b, " %s |", cell)
		}
		b.WriteString("\n")
	}
}

// seconds writes a duration in the unit that suits it, with three digits.
func seconds(s float64) string {
	switch {
	case s >= 1:
		return digits(s) + " s"
	case s >= 1e-3:
		return digits(s*1e3) + " ms"
	default:
		return digits(s*1e6) + " µs"
	}
}

func digits(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

// amount is a figure with its unit; counts have no fraction.
func amount(v float64, unit string) string {
	switch unit {
	case "files", "MiB":
		return count(int(v+0.5)) + " " + unit
	case "×":
		return fmt.Sprintf("%.2f ×", v)
	case "s":
		return fmt.Sprintf("%.2f s", v)
	default:
		return fmt.Sprintf("%.1f %s", v, unit)
	}
}

// count writes 100000 as 100,000.
func count(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
