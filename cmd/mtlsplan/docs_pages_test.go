package main

import (
	"fmt"
	"strings"
)

// page is a document in one of two formats. Text may hold `code` in
// backquotes.
type page interface {
	heading(level int, text string)
	para(text string)
	code(text string)
	table(head []string, rows [][]string) // the first column is a term in code
	String() string
}

type markdown struct{ strings.Builder }

func (m *markdown) heading(level int, text string) {
	fmt.Fprintf(m, "%s %s\n\n", strings.Repeat("#", level), text)
}

func (m *markdown) para(text string) { fmt.Fprintf(m, "%s\n\n", text) }

func (m *markdown) code(text string) {
	fmt.Fprintf(m, "```\n%s\n```\n\n", strings.Trim(text, "\n"))
}

func (m *markdown) table(head []string, rows [][]string) {
	line := func(cells []string) {
		fmt.Fprintf(m, "| %s |\n", strings.ReplaceAll(strings.Join(cells, " | "), "\n", " "))
	}
	line(head)
	line(strings.Split(strings.Repeat("---\n", len(head)-1)+"---", "\n"))
	for _, row := range rows {
		cells := []string{"`" + row[0] + "`"}
		for _, c := range row[1:] {
			cells = append(cells, strings.ReplaceAll(c, "|", `\|`))
		}
		line(cells)
	}
	m.WriteString("\n")
}

// manual is a page in the man(7) macros of roff.
type manual struct{ strings.Builder }

func (m *manual) heading(level int, text string) {
	macro := ".SS"
	if level <= 2 {
		macro, text = ".SH", strings.ToUpper(text)
	}
	fmt.Fprintf(m, "%s %s\n", macro, roff(text))
}

func (m *manual) para(text string) { fmt.Fprintf(m, ".PP\n%s\n", roff(text)) }

func (m *manual) code(text string) {
	fmt.Fprintf(m, ".PP\n.RS 4\n.nf\n%s\n.fi\n.RE\n", roff(strings.ReplaceAll(strings.Trim(text, "\n"), "`", "\x00")))
}

func (m *manual) table(head []string, rows [][]string) {
	for _, row := range rows {
		fmt.Fprintf(m, ".TP\n%s\n", roff("`"+row[0]+"`"))
		last := len(row) - 1
		text := strings.TrimSuffix(row[last], ".") + "."
		for i, cell := range row[1:last] {
			if cell != "" {
				text += fmt.Sprintf("\n%s: %s.", strings.ToUpper(head[i+1][:1])+head[i+1][1:], strings.TrimSuffix(cell, "."))
			}
		}
		fmt.Fprintln(m, roff(text))
	}
}

// roff escapes text and turns `code` bold: groff_man(7).
func roff(text string) string {
	var b strings.Builder
	bold := false
	start := true // of a line, where a dot or quote would begin a request
	for _, r := range text {
		switch {
		case r == '`':
			bold = !bold
			if bold {
				b.WriteString(`\fB`)
			} else {
				b.WriteString(`\fR`)
			}
		case r == 0:
			b.WriteString(`\(ga`)
		case r == '\\':
			b.WriteString(`\e`)
		case r == '-':
			b.WriteString(`\-`)
		case r == '\'':
			b.WriteString(`\(aq`)
		case r == '^':
			b.WriteString(`\(ha`)
		case r == '~':
			b.WriteString(`\(ti`)
		case r == '.' && start:
			b.WriteString(`\&.`)
		case r > '~':
			fmt.Fprintf(&b, `\[u%04X]`, r)
		default:
			b.WriteRune(r)
		}
		start = r == '\n'
	}
	return b.String()
}
