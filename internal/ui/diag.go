package ui

import (
	"cmp"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	eastasian "golang.org/x/text/width"

	"mtlsplan/internal/plan"
	"mtlsplan/spec"
)

const (
	diagnosticsInFull = 20 // the others are counted
	lineWidth         = 78 // columns of detail
	snippetWidth      = 96 // columns of a source line; a longer one is cut
	tabWidth          = 4
)

// WriteDiagnostics explains what is wrong with a spec, in the order given:
// what, where, the source line with the part that is meant, why and what to
// do. The first 20 are written in full, the others counted by their summaries.
// Possible secrets are not shown.
func WriteDiagnostics(w io.Writer, src *spec.Sources, diags hcl.Diagnostics, color bool) {
	style := Style{Color: color}
	for i, d := range diags[:min(len(diags), diagnosticsInFull)] {
		if i > 0 {
			fmt.Fprintln(w)
		}
		writeDiagnostic(w, src, d, style)
	}
	if len(diags) > diagnosticsInFull {
		writeRest(w, diags[diagnosticsInFull:], style)
	}
}

func writeDiagnostic(w io.Writer, src *spec.Sources, d *hcl.Diagnostic, style Style) {
	label, sgr := "Error", red
	if d.Severity == hcl.DiagWarning {
		label, sgr = "Warning", yellow
	}
	fmt.Fprintf(w, "%s %s\n\n", style.paint(sgr, label+":"), style.paint(bold, Clean(d.Summary)))
	if d.Subject != nil {
		writePlace(w, src, *d.Subject, style, sgr)
	}
	for _, line := range wrap(clean(d.Detail, "\n\t"), lineWidth) {
		fmt.Fprintln(w, line)
	}
}

func writePlace(w io.Writer, src *spec.Sources, at hcl.Range, style Style, sgr string) {
	snip, ok := src.Snippet(at)
	if wholeFile := at.End.Byte == 0; wholeFile || !ok {
		fmt.Fprintf(w, "  %s\n\n", Clean(at.Filename))
		return
	}
	in := ""
	if block := src.Block(at); block != "" {
		in = ", in " + Clean(block)
	}
	number := fmt.Sprint(at.Start.Line)
	gap := strings.Repeat(" ", len(number))
	line, carets := draw(snip)
	fmt.Fprintf(w, "  %s:%d:%d%s\n", Clean(at.Filename), at.Start.Line, at.Start.Column, in)
	fmt.Fprintf(w, "  %s%s\n", style.paint(faint, number+" |"), space(line))
	fmt.Fprintf(w, "  %s%s\n\n", style.paint(faint, gap+" |"), space(style.paint(sgr, carets)))
}

func space(s string) string {
	if s == "" {
		return ""
	}
	return " " + s
}

// writeRest counts the diagnostics that are not shown, by summary, the most
// frequent first.
func writeRest(w io.Writer, rest hcl.Diagnostics, style Style) {
	type group struct {
		summary string
		count   int
	}
	var groups []group
	index := map[string]int{}
	for _, d := range rest {
		i, ok := index[d.Summary]
		if !ok {
			i = len(groups)
			index[d.Summary] = i
			groups = append(groups, group{summary: d.Summary})
		}
		groups[i].count++
	}
	slices.SortStableFunc(groups, func(a, b group) int { return cmp.Compare(b.count, a.count) })
	problems := "problems"
	if len(rest) == 1 {
		problems = "problem"
	}
	fmt.Fprintf(w, "\n%s\n", style.paint(bold, fmt.Sprintf("And %d more %s:", len(rest), problems)))
	for _, g := range groups {
		fmt.Fprintf(w, "  %d × %s\n", g.count, Clean(g.summary))
	}
}

// glyph is what one character of a source line is shown as.
type glyph struct {
	text   string
	cols   int
	marked bool
}

const (
	concealed = "(hidden)"
	cutMark   = "…"
)

// draw returns a source line as a terminal shows it, and the carets below the
// part that is meant.
func draw(s spec.Snippet) (line, carets string) {
	glyphs := cut(glyphsOf(s))
	var text, marks strings.Builder
	for _, g := range glyphs {
		text.WriteString(g.text)
		mark := " "
		if g.marked {
			mark = "^"
		}
		marks.WriteString(strings.Repeat(mark, g.cols))
	}
	carets = strings.TrimRight(marks.String(), " ")
	return strings.TrimRight(text.String(), " "), carets
}

func glyphsOf(s spec.Snippet) []glyph {
	end := s.End
	if end <= s.Start { // a place between two characters is shown at the second
		_, n := utf8.DecodeRuneInString(s.Text[s.Start:])
		end = s.Start + max(1, n)
	}
	var out []glyph
	col := 0
	add := func(text string, cols int, from, to int) {
		out = append(out, glyph{text, cols, from < end && to > s.Start})
		col += cols
	}
	hidden := s.Hidden
	for i := 0; i < len(s.Text); {
		if len(hidden) > 0 && i >= hidden[0][0] {
			if i < hidden[0][1] {
				add(concealed, len(concealed), i, hidden[0][1])
				i = hidden[0][1]
			}
			hidden = hidden[1:]
			continue
		}
		r, n := utf8.DecodeRuneInString(s.Text[i:])
		switch {
		case r == '\t':
			cols := tabWidth - col%tabWidth
			add(strings.Repeat(" ", cols), cols, i, i+n)
		case r == utf8.RuneError && n == 1 || !unicode.IsGraphic(r):
			shown := Clean(s.Text[i : i+n])
			add(shown, len(shown), i, i+n)
		default:
			add(s.Text[i:i+n], runeColumns(r), i, i+n)
		}
		i += n
	}
	if end > len(s.Text) { // the end of the line is meant
		add(" ", 1, len(s.Text), end)
	}
	return out
}

// runeColumns is how wide a terminal shows a graphic character.
func runeColumns(r rune) int {
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	switch eastasian.LookupRune(r).Kind() {
	case eastasian.EastAsianWide, eastasian.EastAsianFullwidth:
		return 2
	}
	return 1
}

// cut shortens a long line to a window with the beginning of the marked part
// in it.
func cut(glyphs []glyph) []glyph {
	total, first := 0, -1
	for i, g := range glyphs {
		total += g.cols
		if g.marked && first < 0 {
			first = i
		}
	}
	if total <= snippetWidth {
		return glyphs
	}
	first = max(first, 0)
	start, before := first, 0
	for start > 0 && before < snippetWidth/3 {
		start--
		before += glyphs[start].cols
	}
	end, cols := start, 0
	for end < len(glyphs) && cols+glyphs[end].cols <= snippetWidth-2 {
		cols += glyphs[end].cols
		end++
	}
	window := slices.Clone(glyphs[start:end])
	if start > 0 {
		window = append([]glyph{{cutMark, 1, false}}, window...)
	}
	if end < len(glyphs) {
		window = append(window, glyph{cutMark, 1, false})
	}
	return window
}

// braced is a piece of a spec in a sentence, which is not broken.
var braced = regexp.MustCompile(`([a-z_]+ )?\{ [^{}]{1,40} \}`)

// attributeLine is a line to be copied into a spec, which is not broken either.
var attributeLine = regexp.MustCompile(`^[a-z_]+ = \{ .* \}$`)

const glue = "\x00" // cleaned text has no NUL

// wrap breaks text between words into lines of at most cols columns; a longer
// word stands alone.
func wrap(text string, cols int) []string {
	var lines []string
	text = braced.ReplaceAllStringFunc(text, func(s string) string { return strings.ReplaceAll(s, " ", glue) })
	for _, paragraph := range strings.Split(text, "\n") {
		if whole := strings.ReplaceAll(paragraph, glue, " "); attributeLine.MatchString(whole) {
			lines = append(lines, whole)
			continue
		}
		line, used := "", 0
		for _, word := range strings.Fields(paragraph) {
			word = strings.ReplaceAll(word, glue, " ")
			n := 0
			for _, r := range word {
				n += runeColumns(r)
			}
			if used > 0 && used+1+n > cols {
				lines = append(lines, line)
				line, used = "", 0
			}
			if used > 0 {
				line, used = line+" ", used+1
			}
			line, used = line+word, used+n
		}
		lines = append(lines, line)
	}
	return lines
}

// Diagnostics are the problems of a spec as documents have them.
func Diagnostics(diags hcl.Diagnostics) []plan.Diagnostic {
	out := []plan.Diagnostic{}
	for _, d := range diags {
		severity := "error"
		if d.Severity == hcl.DiagWarning {
			severity = "warning"
		}
		at := hcl.Range{}
		if d.Subject != nil {
			at = *d.Subject
		}
		out = append(out, plan.Diagnostic{
			Severity: severity, Summary: d.Summary, Detail: d.Detail, File: at.Filename,
			Line: at.Start.Line, Column: at.Start.Column, EndLine: at.End.Line, EndColumn: at.End.Column,
		})
	}
	return out
}
