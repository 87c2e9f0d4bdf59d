package main

import (
	"bytes"
	"fmt"
	"image/color"
	"slices"
	"strings"

	"golang.org/x/perf/benchunit"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Units of the benchmark format.
const wall, cpu, rss, files, worker = "sec/op", "cpu-sec/op", "rss-B", "files", "worker-sec/op"

// target is a limit for mtlsplan: of a figure, of its ratio to another program's
// figure of the same turn, or of the difference between the two.
type target struct {
	run     string
	users   []int
	unit    string
	op      byte // '/', '-', 0
	against string
	limit   float64 // seconds, bytes, a ratio
}

var named = map[string]string{wall: "wall", cpu: "CPU", rss: "memory", files: "written"}

const proving, noop = "floor that opens what it made", "mtlsplan, nothing to do"

var targets = []target{
	{"start-up: version", []int{0}, wall, 0, "", 0.015},
	{"start-up: no-op", []int{1}, wall, 0, "", 0.015},
	{"fresh RSA", []int{100}, wall, '/', "floor", 1.10},
	{"fresh RSA", []int{100}, cpu, '/', "openssl", 0.32},
	{"fresh EC", []int{1000, 10_000, 100_000}, cpu, '/', "floor", 1.15},
	{"fresh EC", []int{1000, 10_000, 100_000}, cpu, '/', proving, 1.15},
	{"fresh EC", []int{1000, 10_000}, wall, '/', "floor", 1.15},
	{"fresh EC", []int{1000, 10_000}, wall, '/', proving, 1.15},
	{"fresh EC", []int{100_000}, rss, 0, "", 500 << 20},
	{"no-op apply", []int{10_000}, cpu, '/', "floor", 1.5},
	{"no-op apply", []int{10_000}, cpu, '/', "certyaml", 0.25},
	{"no-op plan", []int{10_000}, cpu, '/', "floor", 1.5},
	{"no-op plan", []int{10_000}, cpu, '/', "certyaml", 0.25},
	{"no-op apply, CSV", []int{10_000}, cpu, '/', "floor", 1.5},
	{"no-op apply, CSV", []int{10_000}, cpu, '/', "certyaml", 0.25},
	{"no-op apply, CSV", []int{100_000}, cpu, 0, "", 2},
	{"no-op apply, CSV", []int{100_000}, rss, 0, "", 400 << 20},
	{"no-op apply, CSV, restored", []int{100_000}, cpu, 0, "", 20},
	{"one user added", []int{10_000, 100_000}, cpu, '-', noop, 0.030},
	{"one user added", []int{10_000, 100_000}, files, 0, "", 16},
	{"1 % revoked", []int{100_000}, cpu, '-', noop, 1},
	{"1 % revoked", []int{100_000}, wall, '-', noop, 1},
	// A fifth more than the cost of one user of a hundred in a fresh run.
	{"1 % renewed", []int{10_000}, cpu, '-', noop, 1.2 * 0.0030 * 100},
	{"validate", []int{100_000}, cpu, 0, "", 6},
	{"validate, a mistake", []int{100_000}, cpu, 0, "", 6},
}

// growthLimit bounds the CPU time of a user in the largest run, as a multiple of that
// among growthFrom users. With fewer, starting a process costs more than they do.
const growthFrom, growthLimit = 1000, 1.3

var english = message.NewPrinter(language.English)

// tables are the verdicts and all figures, of processes and of gates.
func tables(all []cell) string {
	var parts []string
	for _, kind := range []struct {
		name  string
		table func([]cell) string
	}{{process, processTables}, {gate, gateTable}} {
		of := slices.DeleteFunc(slices.Clone(all), func(c cell) bool { return c.kind != kind.name })
		if len(of) > 0 {
			parts = append(parts, kind.table(of))
		}
	}
	return strings.Join(parts, "\n")
}

func processTables(all []cell) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s).\n", all[0].machine(), all[0].results[0].GetConfig("cpu"))
	b.WriteString("\n| scenario | users | target | reached | verdict | turns |\n|---|---:|---|---:|---|---:|\n")
	verdict := func(c cell, what string, have, limit float64, unit string) {
		english.Fprintf(&b, "| %s | %d | %s ≤ %s | %s | %s | %d |\n", c.run, c.users, what, amount(limit, unit), amount(have, unit), judged(have, limit), len(c.results))
	}
	for _, t := range targets {
		for _, users := range t.users {
			c, other := find(all, t.run, users, "mtlsplan"), find(all, t.run, users, t.against)
			if c == nil || t.op != 0 && other == nil {
				continue
			}
			have, what, unit := c.values(t.unit), named[t.unit], t.unit
			// In pairs: when the machine is slow in a turn, it is slow for both.
			for i := range have {
				switch t.op {
				case '/':
					have[i] /= other.values(t.unit)[i]
				case '-':
					have[i] -= other.values(t.unit)[i]
				}
			}
			switch t.op {
			case '/':
				what, unit = what+" / "+t.against, ""
			case '-':
				what += " beyond no-op"
			}
			verdict(*c, what, median(have), t.limit, unit)
		}
	}
	for _, c := range all {
		least, more := find(all, c.run, growthFrom, c.prog), find(all, c.run, 10*c.users, c.prog)
		if c.prog == "mtlsplan" && c.users > growthFrom && least != nil && more == nil {
			verdict(c, "CPU a user / that at 1,000", c.perUser()/least.perUser(), growthLimit, "")
		}
	}
	b.WriteString("\n| scenario | users | program | wall | CPU | CPU a user | memory | files written | date |\n|---|---:|---|---:|---:|---:|---:|---:|---|\n")
	for _, c := range all {
		perUser, written := "", ""
		if c.users > 0 {
			perUser = amount(c.perUser(), cpu)
		}
		if n := c.values(files); n != nil {
			written = english.Sprint(int(n[len(n)-1]))
		}
		english.Fprintf(&b, "| %s | %d | %s | %s | %s | %s | %s | %s | %s |\n", c.run, c.users, c.prog, amount(median(c.values(wall)), wall),
			amount(median(c.values(cpu)), cpu), perUser, amount(median(c.values(rss)), rss), written, c.results[0].GetConfig("date"))
	}
	return b.String()
}

// gateTargets are limits for the CPU time of NGINX with a site, as a multiple of that with another
// site in the same turn. The second NGINX with the same site shows what cannot be measured.
var gateTargets = []struct {
	run, prog, against string
	limit              float64 // 0 for none
}{
	{"handshake", "mtlsplan", smallest, 1.05},
	{"handshake", control, "mtlsplan", 0},
	{"handshake", "mtlsplan, 10000 revoked", "mtlsplan", 1.03},
	{"request", "mtlsplan", smallest, 0},
	{"request", control, "mtlsplan", 0},
	{"request", told, smallest, 1.8},
	{"request", "mtlsplan, 10000 revoked", "mtlsplan", 1.03},
	{"request", told + ", 10000 revoked", told, 1.03},
}

const smallest, control, told = "smallest site", "mtlsplan, a second NGINX", "mtlsplan, two headers"

func gateTable(all []cell) string {
	var b strings.Builder
	fmt.Fprintf(&b, "The cost in NGINX %s, with one worker: %s (%s).\n", all[0].results[0].GetConfig("nginx"), all[0].machine(), all[0].results[0].GetConfig("cpu"))
	b.WriteString("\n| load | site | CPU of the worker | compared with | ratio | target | verdict | turns | date |\n|---|---|---:|---|---:|---:|---|---:|---|\n")
	for _, c := range all {
		against, ratio, limit, verdict := "", "", "", ""
		for _, t := range gateTargets {
			other := find(all, t.run, 0, t.against)
			if c.run != t.run || c.prog != t.prog || other == nil {
				continue
			}
			have := c.values(worker)
			for i := range have {
				have[i] /= other.values(worker)[i]
			}
			against, ratio = t.against, amount(median(have), "")
			if t.limit > 0 {
				limit, verdict = "≤ "+amount(t.limit, ""), judged(median(have), t.limit)
			}
		}
		english.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %d | %s |\n", c.run, c.prog, amount(median(c.values(worker)), worker),
			against, ratio, limit, verdict, len(c.results), c.results[0].GetConfig("date"))
	}
	return b.String()
}

func judged(have, limit float64) string {
	if have > limit {
		return "**missed**"
	}
	return "met"
}

func find(all []cell, run string, users int, prog string) *cell {
	for i, c := range all {
		if c.run == run && c.users == users && c.prog == prog {
			return &all[i]
		}
	}
	return nil
}

// perUser is the CPU time that each user cost.
func (c cell) perUser() float64 { return median(c.values(cpu)) / float64(c.users) }

// amount is a figure with its unit, "" for a ratio.
func amount(v float64, unit string) string {
	if unit == "" {
		return fmt.Sprintf("%.2f ×", v)
	}
	suffix := map[string]string{wall: "s", cpu: "s", worker: "s", rss: "B", files: " files"}[unit]
	return benchunit.Scale(v, benchunit.ClassOf(unit)) + suffix
}

// lines of the picture, in colours that everybody can tell apart (after Okabe and
// Ito).
var lines = []struct {
	run, prog, label string
	colour           uint32
}{
	{"fresh EC", "mtlsplan", "everybody is new", 0x0072b2},
	{"fresh EC", "floor", "everybody is new: the floor", 0x0072b2},
	{"1 % renewed", "mtlsplan", "1 % renewed", 0x009e73},
	{"1 % revoked", "mtlsplan", "1 % revoked", 0xcc79a7},
	{"no-op apply, CSV, restored", "mtlsplan", "nothing to do, directory restored", 0x8c6d1f},
	{"no-op apply", "mtlsplan", "nothing to do, users as blocks", 0xd55e00},
	{"no-op apply", "floor", "nothing to do, as blocks: the floor", 0xd55e00},
	{"no-op apply, CSV", "mtlsplan", "nothing to do, users in CSV", 0x56a0d3},
	{"one user added", "mtlsplan", "one user added", 0x333333},
	{"validate", "mtlsplan", "validate, users as blocks", 0x8a8a8a},
}

// plotted draws the cost of a user by the number of users, both on logarithmic scales.
// A level line is a cost that does not depend on the number of users.
func plotted(all []cell) ([]byte, error) {
	p := plot.New()
	p.Title.Text = "What one user costs, by the number of users (dashed: the floor)"
	p.X.Label.Text, p.Y.Label.Text = "users", "CPU seconds a user"
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.LogTicks{Prec: -1}, plot.LogTicks{Prec: -1}
	p.Add(plotter.NewGrid())
	legend := plot.NewLegend()
	legend.Left, legend.Top, legend.Padding = true, true, vg.Points(3)
	for _, l := range lines {
		var points plotter.XYs
		for _, c := range all {
			if c.kind == process && c.run == l.run && c.prog == l.prog && c.users >= growthFrom {
				points = append(points, plotter.XY{X: float64(c.users), Y: c.perUser()})
			}
		}
		if len(points) < 2 {
			continue
		}
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return nil, err
		}
		line.Color = color.RGBA{uint8(l.colour >> 16), uint8(l.colour >> 8), uint8(l.colour), 0xff}
		line.Width, dots.Color, dots.Shape = vg.Points(1.8), line.Color, draw.CircleGlyph{}
		if l.prog == "floor" {
			line.Dashes = []vg.Length{vg.Points(4), vg.Points(4)}
		}
		p.Add(line, dots)
		legend.Add(l.label, line)
	}
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = growthFrom, 100*growthFrom, 1e-5, 1e-2
	// The legend stands below the plot, where it hides no line, and its words may be wider
	// in the reader's font than in ours.
	const width, height = 690, 560
	canvas := vgsvg.New(vg.Points(width), vg.Points(height))
	page := draw.New(canvas)
	below := legend.Rectangle(page).Size().Y + vg.Points(16)
	p.Draw(draw.Crop(page, 0, vg.Points(-20), below, vg.Points(-4)))
	legend.Draw(draw.Crop(page, vg.Points(60), 0, 0, below-vg.Points(height)))
	var out bytes.Buffer
	_, err := canvas.WriteTo(&out)
	return out.Bytes(), err
}
