package ui

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"mtlsplan/engine"
	"mtlsplan/internal/plan"
)

// Apply shows an apply to people while it runs. It is an [engine.Watcher].
type Apply struct {
	Out, Err           io.Writer
	OutStyle, ErrStyle Style

	// Quiet leaves only failures: the rest is in the document that follows.
	Quiet bool

	// Known, if set, tells which notes need not be written: the last run gave them too.
	Known func(plan.Note) bool

	// Give, if set, is who must be given something new, which stands before the totals; ""
	// for nobody.
	Give func(done []plan.Step) string

	// Passphrase gives the path of an owner's generated passphrase; only the path
	// is shown. All are in one directory.
	Passphrase func(plan.Owner) string

	layout *layout
	groups map[string]*progress // by [whose]
	order  []*progress
	failed map[plan.Failure]bool
	shown  bool // a step
	noted  int  // how many of the plan's notes are written, or known
}

// progress is how far a folded group is.
type progress struct {
	size int
	done []plan.Step
}

// Planned writes the notes, the first time. A refused plan is shown at once with its reasons,
// since no step of it will be done.
func (v *Apply) Planned(p *plan.Plan) {
	again := v.groups != nil
	for _, g := range v.order {
		v.flush(g)
	}
	v.groups, v.order = map[string]*progress{}, nil
	if v.Quiet {
		return
	}
	if again {
		fmt.Fprintln(v.Err, "note: another program has changed the CA database; the plan is made again")
	} else {
		Notes(v.Err, v.ErrStyle, v.news(p.Notes))
		v.noted = len(p.Notes)
	}
	v.layout = newLayout(v.Out, v.OutStyle, p.Steps)
	for _, g := range groups(p.Steps) {
		if p.Refused() {
			v.layout.group(g)
			v.shown = true
			continue
		}
		if len(g) == 1 {
			continue
		}
		folded := &progress{size: len(g)}
		v.order = append(v.order, folded)
		for _, s := range g {
			v.groups[whose(s)] = folded
		}
	}
}

func (v *Apply) news(notes []plan.Note) []plan.Note {
	if v.Known == nil {
		return notes
	}
	return slices.DeleteFunc(slices.Clone(notes), v.Known)
}

// Done writes the steps, or their group when one was the group's last.
func (v *Apply) Done(steps []plan.Step) {
	if v.Quiet {
		return
	}
	for _, s := range steps {
		v.done(s)
	}
}

func (v *Apply) done(s plan.Step) {
	g := v.groups[whose(s)]
	if g == nil {
		v.show([]plan.Step{s})
		return
	}
	g.done = append(g.done, s)
	if len(g.done) == g.size {
		v.flush(g)
	}
}

// whose tells the steps of a plan apart: a site has one of its own and one of its copies.
func whose(s plan.Step) string { return string(s.Owner) + " " + strings.Join(s.Artefacts, " ") }

func (v *Apply) flush(g *progress) {
	if len(g.done) > 0 {
		v.show(g.done)
	}
	g.done = nil
}

func (v *Apply) show(done []plan.Step) {
	v.layout.group(done)
	v.shown = true
	first := done[0]
	if !first.Generated {
		return
	}
	path := v.Passphrase(first.Owner)
	if len(done) == 1 {
		v.layout.detail("passphrase in " + Clean(path))
		return
	}
	v.layout.detail("passphrases in " + Clean(filepath.Dir(path)))
}

// Failed writes the failure at once.
func (v *Apply) Failed(f plan.Failure) {
	if v.failed == nil {
		v.failed = map[plan.Failure]bool{}
	}
	v.failed[f] = true
	Failures(v.Err, v.ErrStyle, []plan.Failure{f})
}

// End writes the groups, notes and failures that are still unsaid, who must be given
// something new, and the totals.
func (v *Apply) End(r *engine.Report) {
	for _, g := range v.order {
		v.flush(g)
	}
	for _, f := range r.Failures {
		if !v.failed[f] {
			v.Failed(f)
		}
	}
	if v.Quiet {
		return
	}
	if late := min(v.noted, len(r.Plan.Notes)); v.layout != nil {
		Notes(v.Err, v.ErrStyle, v.news(r.Plan.Notes[late:]))
	}
	if v.shown {
		fmt.Fprintln(v.Out)
	}
	if v.Give != nil {
		if give := v.Give(r.Done); give != "" {
			fmt.Fprintln(v.Out, give)
		}
	}
	fmt.Fprintln(v.Out, v.OutStyle.paint(bold, v.OutStyle.wrap(ApplyTotals(r), 0, "")))
}
