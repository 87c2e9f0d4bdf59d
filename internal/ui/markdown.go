package ui

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"mtlsplan/internal/plan"
)

// commentMax is how long a comment on a pull request may be, in characters: GitHub's
// limit, which is the lowest of those in use.
const commentMax = 65536

// PlanMarkdown is a plan as a comment on a pull request, in GitHub Flavored Markdown: the
// totals, a table of the steps, and folded away what is behind them. It is never longer
// than a comment may be, and says how much is left out. No text that comes from
// elsewhere is taken for markup: it stands in a code fence, or with its punctuation as
// character references, which are never structure (CommonMark section 2.5).
func PlanMarkdown(p *plan.Plan) string {
	d := &comment{}
	d.add("**" + PlanTotals(p) + "**\n")
	const least = 1000 // for the sentences that say what is left out
	d.most = commentMax / 4
	d.text("Not judged", true, lines(len(p.Failures), func(i int) string {
		return text(func(b *strings.Builder) { Failures(b, Style{}, p.Failures[i:i+1]) })
	}), "failures")
	warnings, notes := splitNotes(p.Notes)
	d.text("Warnings", true, noteLines(warnings), "warnings")

	d.most = commentMax / 2
	d.table(p.Steps)
	d.most = commentMax * 3 / 4
	d.text("Reasons", false, reasonLines(p.Steps), "steps")
	d.text("Notes", false, noteLines(notes), "notes")
	d.most = commentMax - least
	sites := 0 // of which nothing is shown
	for _, s := range p.Steps {
		switch {
		case s.Diff == "":
		case d.most-d.size < least:
			sites++
		default:
			d.fence("diff", "What changes in "+reference(s.Site.Path), false, strings.SplitAfter(cleanBlock(s.Diff), "\n"), "lines")
		}
	}
	if sites > 0 {
		d.leftOut(sites, "sites")
	}
	return d.b.String()
}

// comment is one under way.
type comment struct {
	b    strings.Builder
	size int // characters
	most int // characters that the part under way may reach
}

func (d *comment) add(text string) {
	d.b.WriteString(text)
	d.size += utf8.RuneCountInString(text)
}

// table has a row for each step, as many as there is room for.
func (d *comment) table(steps []plan.Step) {
	if len(steps) == 0 {
		return
	}
	d.add("\n| | owner | action | artefacts | valid until |\n| --- | --- | --- | --- | --- |\n")
	for i, s := range steps {
		until := ""
		if s.NotAfter != nil {
			until = s.NotAfter.UTC().Format("2006-01-02")
		}
		row := fmt.Sprintf("| %s | %s | %s | %s | %s |\n", reference(wordOf(s.Action).symbol), code(string(s.Owner)), s.Action, reference(strings.Join(s.Artefacts, " ")), until)
		if d.size+utf8.RuneCountInString(row) > d.most {
			d.leftOut(len(steps)-i, "steps")
			return
		}
		d.add(row)
	}
}

func (d *comment) leftOut(n int, what string) {
	if n == 1 {
		what = strings.TrimSuffix(what, "s")
	}
	d.add(fmt.Sprintf("\n%d more %s left out here, where a comment has no room for more; `mtlsplan plan` prints all.\n", n, what+" "+agree(n, "is", "are")))
}

// text is a fence of parts that are text, of which as many are there as there is room for.
func (d *comment) text(title string, open bool, parts []string, what string) {
	d.fence("text", title, open, parts, what)
}

func (d *comment) fence(kind, title string, open bool, parts []string, what string) {
	for len(parts) > 0 && parts[len(parts)-1] == "" {
		parts = parts[:len(parts)-1]
	}
	if len(parts) == 0 {
		return
	}
	mark := fenceFor(parts)
	begin, end := "\n<details><summary>"+title+"</summary>\n\n", mark+"\n\n</details>\n"
	if open {
		begin, end = "\n"+title+":\n\n", mark+"\n"
	}
	begin += mark + kind + "\n"
	room := d.most - d.size - utf8.RuneCountInString(begin+end)
	n := 0
	for n < len(parts) && utf8.RuneCountInString(parts[n]) < room {
		room -= utf8.RuneCountInString(parts[n]) + 1
		n++
	}
	if n > 0 {
		d.add(begin)
		for _, part := range parts[:n] {
			d.add(strings.TrimSuffix(part, "\n") + "\n")
		}
		d.add(end)
	}
	if n < len(parts) {
		d.leftOut(len(parts)-n, what)
	}
}

// fenceFor is a fence that is longer than all runs of backticks in a text.
func fenceFor(parts []string) string {
	longest := 2
	for _, part := range parts {
		run := 0
		for _, r := range part {
			if run++; r != '`' {
				run = 0
			}
			longest = max(longest, run)
		}
	}
	return strings.Repeat("`", longest+1)
}

// reference writes text in which nothing is markup: punctuation becomes character
// references.
func reference(s string) string {
	var b strings.Builder
	for _, r := range Clean(s) {
		if r < utf8.RuneSelf && strings.ContainsRune("!\"#$&'()*+;<=>@[\\]^_`{|}~", r) {
			fmt.Fprintf(&b, "&#%d;", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// code is text in the letters of code, in which an @ calls nobody.
func code(s string) string { return "<code>" + reference(s) + "</code>" }

func text(write func(*strings.Builder)) string {
	var b strings.Builder
	write(&b)
	return b.String()
}

func lines(n int, line func(int) string) (out []string) {
	for i := range n {
		out = append(out, line(i))
	}
	return out
}

func splitNotes(notes []plan.Note) (warnings, others []plan.Note) {
	for _, n := range notes {
		if n.Warning {
			warnings = append(warnings, n)
		} else {
			others = append(others, n)
		}
	}
	return warnings, others
}

func noteLines(notes []plan.Note) []string {
	return lines(len(notes), func(i int) string {
		return text(func(b *strings.Builder) { Notes(b, Style{}, notes[i:i+1]) })
	})
}

// reasonLines are the steps with their reasons, each by itself.
func reasonLines(steps []plan.Step) []string {
	return lines(len(steps), func(i int) string {
		return text(func(b *strings.Builder) {
			newLayout(b, Style{Width: 0}, steps[i:i+1]).group(steps[i : i+1])
		})
	})
}
