package spec

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// What programs and people do to a CSV list that leaves it readable, and no longer means
// what it did: each is named as what it is, since what comes of it would mislead.

// blankLines are those before a header.
var blankLines = regexp.MustCompile(`^(?:[ \t]*\r?\n)+`)

// blankLine reports whether a row is a line of nothing but blanks, which is like an empty one.
func blankLine(cells []string) bool {
	return len(cells) == 1 && cells[0] != "" && strings.TrimSpace(cells[0]) == ""
}

// oddQuotes are those that enclose a cell for people alone.
var oddQuotes = []struct{ signs, called string }{
	{"“”„‟«»", "curly quotes"},
	{"'‘’‚‛`´", "single quotes"},
}

// bareOf is a name without such quotes around it, and what they are called; "" for none.
func bareOf(name string) (bare, called string) {
	first, n := utf8.DecodeRuneInString(name)
	last, m := utf8.DecodeLastRuneInString(name)
	for _, q := range oddQuotes {
		if len(name) > n+m && strings.ContainsRune(q.signs, first) && strings.ContainsRune(q.signs, last) {
			return name[n : len(name)-m], q.called
		}
	}
	return name, ""
}

// oddlyQuoted reports a header whose names stand in quotes that belong to them: what would
// be suggested for such names has the quotes in it, and so would every value.
func (t *csvTable) oddlyQuoted() bool {
	for _, s := range separators {
		in := t.reader(s.sign)
		names, err := in.Read()
		if err != nil || t.knows(names) {
			continue
		}
		bare, called := make([]string, len(names)), ""
		for i, n := range names {
			quotes := ""
			if bare[i], quotes = bareOf(strings.TrimSpace(n)); quotes != "" {
				called = quotes
			}
		}
		if called == "" || !known(bare) && !foreign(bare) {
			continue
		}
		end := t.base + len(bytes.TrimRight(t.text[t.base:lineEnd(t.text, t.base)], "\r"))
		t.error(t.span(t.base, end), "Names in "+called, fmt.Sprintf("These names stand in %s, which are part of a name in CSV, and of a value. Only straight double quotes enclose a cell, as in \"name\". Replace the quotes in the whole list, or remove them.", called))
		return true
	}
	return false
}

// titled reports a list whose header comes after lines with something else, such as a title.
func (t *csvTable) titled() bool {
	const most = 20 // rows before a header
	for _, s := range separators {
		in := t.reader(s.sign)
		for n := 0; n <= most; n++ {
			names, err := in.Read()
			if err != nil && !errors.Is(err, csv.ErrQuote) && !errors.Is(err, csv.ErrBareQuote) {
				break
			}
			if n == 0 || len(names) < 2 || !t.isHeader(names) {
				continue
			}
			line, _ := in.FieldPos(0)
			lines := lineStarts{t.text, 1, t.base}
			start := lines.offset(line)
			end := start + len(bytes.TrimRight(t.text[start:lineEnd(t.text, start)], "\r"))
			at := t.span(start, end)
			t.error(at, "Lines above the header", fmt.Sprintf("The first row must name the columns, and here line %d does. Remove the lines above it, or have the list written without them.", at.Start.Line))
			return true
		}
	}
	return false
}

// isHeader reports whether a row that is not the first has the names of columns and nothing
// else.
func (t *csvTable) isHeader(names []string) bool {
	switch {
	case slices.ContainsFunc(names, isValue):
		return false
	case t.mapped != nil:
		return !slices.ContainsFunc(t.theirs(), func(n said[string]) bool { return !slices.Contains(names, n.value) })
	}
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, columns[0].name) }) || foreign(names)
}

// strayReturn reports a carriage return that ends a line for the program that wrote it, and
// none for any that reads CSV.
func (t *csvTable) strayReturn(in *csv.Reader, cells []string) bool {
	for i, c := range cells {
		n := strings.IndexByte(c, '\r')
		if n < 0 {
			continue
		}
		start, _ := t.cellAt(in, cells, i)
		if t.text[start] == '"' {
			continue // it is part of a value
		}
		first, _ := t.cellAt(in, cells, 0)
		_, end := t.cellAt(in, cells, len(cells)-1)
		if t.hidden || t.head == nil {
			t.own.hide(first, end)
		}
		t.error(t.span(start+n, start+n), "Carriage return within a line", fmt.Sprintf("Behind %d characters of this line stands a carriage return alone, which ends no line here, while other lines end in a line feed: two users would be read as one. Save the list with the line ends of Unix or Windows.", utf8.RuneCount(t.text[first:start+n])))
		return true
	}
	return false
}

const (
	formula       = "Formula in a cell"
	formulaAdvice = `A cell such as ="ada" is a formula that keeps Excel from changing the value, and no value. Have the program write the values alone; or open the list in Excel and save it as CSV, which writes what the formulas come to.`
)

// isFormula reports whether a cell, or the rest of a text that begins with one, is a text as
// a formula of Excel.
func isFormula[T string | []byte](cell T) bool {
	return strings.HasPrefix(string(cell[:min(len(cell), 2)]), `="`)
}
