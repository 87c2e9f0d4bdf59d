package spec

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// csvTable is a roster of comma-separated values, RFC 4180. The library reads
// the cells; where they end, which it does not tell, is found beside it.
type csvTable struct {
	*roster
	head   []*column // nil for one that is not known
	wrong  bool      // the header has no column of names, which was reported
	lines  lineStarts
	hidden bool // some column's cells must not be shown
}

func (r *roster) csv() {
	if i := bytes.IndexByte(r.text, '\r'); i >= 0 && i < len(r.text)-1 && !bytes.Contains(r.text, []byte("\n")) {
		r.unparsed(i, i, "Lines that end in a carriage return", "Each line must end in a line feed, with or without a carriage return before it. Save the file with the line ends of Unix or Windows.")
		return
	}
	// Growing step by step would leave several times the memory of the users to
	// be collected. The bound is for a file of nothing but line ends.
	r.cfg.Users = slices.Grow(r.cfg.Users, min(bytes.Count(r.text, []byte("\n")), len(r.text)/16))
	t := csvTable{roster: r, lines: lineStarts{r.text, 1, 0}}
	in := csv.NewReader(bytes.NewReader(r.text))
	in.FieldsPerRecord, in.ReuseRecord = -1, true
	for {
		start := int(in.InputOffset())
		cells, err := in.Read()
		switch {
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			r.count++
			t.malformed(start, int(in.InputOffset()), err)
			if t.head == nil {
				return
			}
		case t.head == nil:
			if !t.header(in, cells) {
				return
			}
		default:
			t.row(in, cells)
		}
	}
}

// cellAt is the place of a cell in the record that was just read.
func (t *csvTable) cellAt(in *csv.Reader, cells []string, i int) (start, end int) {
	line, column := in.FieldPos(i)
	start = t.lines.offset(line) + column - 1
	if start < len(t.text) && t.text[start] == '"' {
		end, _ = closingQuote(t.text, start)
		return start, end
	}
	return start, start + len(cells[i])
}

// closingQuote is the offset after the quotes that open at start.
func closingQuote(text []byte, start int) (end int, closed bool) {
	for i := start + 1; i < len(text); i++ {
		if text[i] != '"' {
			continue
		}
		if i+1 == len(text) || text[i+1] != '"' {
			return i + 1, true
		}
		i++
	}
	return len(text), false
}

// header reads the first row, and reports whether it is one.
func (t *csvTable) header(in *csv.Reader, cells []string) bool {
	first, _ := t.cellAt(in, cells, 0)
	_, last := t.cellAt(in, cells, len(cells)-1)
	if len(cells) == 1 {
		for _, other := range []struct{ comma, called string }{{";", "semicolons"}, {"\t", "tabs"}} {
			if names := strings.Split(cells[0], other.comma); len(names) > 1 && known(names) {
				t.error(t.span(first, last), "Not separated by commas",
					fmt.Sprintf("Cells must be separated by commas, and here they are separated by %s. Save the file as comma-separated values.", other.called))
				return false
			}
		}
	}
	if !known(cells) {
		at := t.span(first, last)
		_, shown := t.cellAt(in, cells, 0)
		t.src.hide(t.span(min(shown+1, last), last)) // it could be a user
		t.error(at, "No header row", "The first row must name the columns, as in name,email,passphrase.env, and no column has any of these names. Put such a row before the users.")
		return false
	}
	for i, name := range cells {
		at := t.span(t.cellAt(in, cells, i))
		c := t.column(name, at)
		switch {
		case c == nil:
			t.hidden = true
		case slices.Contains(t.head, c):
			t.error(at, "Column given twice", fmt.Sprintf("There is already a column %s. Remove one of the two.", name))
			c, t.hidden = nil, true
		}
		t.head = append(t.head, c)
	}
	if !slices.Contains(t.head, columns[0]) {
		t.wrong = true
		if !t.misnamed() {
			t.error(t.span(first, last), "No column of names", "Every user needs a name, in a column called name.")
		}
	}
	return true
}

// misnamed reports whether an unknown column is probably the users' names.
func (t *csvTable) misnamed() bool {
	for name := range t.unknown {
		if name = strings.TrimSpace(name); name == columns[0].name || nearColumn(name) == columns[0].name {
			return true
		}
	}
	return false
}

// known reports whether any of these is a column.
func known(names []string) bool {
	return slices.ContainsFunc(names, func(n string) bool {
		n = strings.TrimSpace(n)
		return columnByName[n] != nil || columnByName[strings.ToLower(n)] != nil || hasParts(n)
	})
}

func (t *csvTable) row(in *csv.Reader, cells []string) {
	if len(cells) != len(t.head) {
		t.count++
		t.miscounted(in, cells)
		return
	}
	t.begin(t.span(t.cellAt(in, cells, 0)))
	for i, c := range t.head {
		at := t.span(t.cellAt(in, cells, i))
		if c == nil {
			t.src.hide(at)
		} else {
			t.cell(c, value{at: at, kind: cell, text: cells[i]})
		}
	}
	if !t.wrong {
		t.end()
	}
}

// miscounted reports a row with too many or too few cells. Nothing tells which
// cell is in which column, so none is shown when one of them may be secret.
func (t *csvTable) miscounted(in *csv.Reader, cells []string) {
	first, _ := t.cellAt(in, cells, 0)
	_, end := t.cellAt(in, cells, len(cells)-1)
	start := end
	summary := "Too few cells in a row"
	detail := fmt.Sprintf("The header has %s and this row %s. An empty cell still needs its comma.", count(len(t.head), "column"), count(len(cells), "cell"))
	if len(cells) > len(t.head) {
		start, _ = t.cellAt(in, cells, len(t.head))
		summary = "Too many cells in a row"
		detail = fmt.Sprintf("The header has %s and this row %s. A cell that contains a comma must be in double quotes.", count(len(t.head), "column"), count(len(cells), "cell"))
	} else if end == len(t.text) {
		detail += " The file ends here: was it cut short?"
	}
	at := t.span(start, end)
	if t.hidden {
		t.src.hide(t.span(first, end))
	}
	t.error(at, summary, detail)
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// malformed reports unbalanced quotes in the record between start and end.
func (t *csvTable) malformed(start, end int, err error) {
	var problem *csv.ParseError
	if !errors.As(err, &problem) {
		t.unparsed(start, end, "Malformed row", "This cannot be read as comma-separated values.")
		return
	}
	t.guarded = t.guarded || t.hidden
	if errors.Is(problem.Err, csv.ErrBareQuote) {
		at := t.lines.offset(problem.Line) + problem.Column - 1
		t.unparsed(at, at+1, "Quote inside a cell", "A cell that contains a quote must be in quotes as a whole, and the quote in it doubled: \"the \"\"boss\"\"\".")
		return
	}
	open, behind, closed := wrongQuote(t.text, start)
	if !closed {
		t.unparsed(open, open+1, "Quote that is never closed", "The quote that opens here is never closed, so everything after it would be one cell. Close it. If the end of the file is missing, get the whole file.")
		return
	}
	detail := "A closing quote must be followed by a comma or the end of the line. Double a quote that is part of the cell: \"the \"\"boss\"\"\"."
	if bytes.Contains(t.text[open:behind], []byte("\n")) {
		detail += fmt.Sprintf(" The cell begins on line %d: should its quotes end there?", t.places.pos(open).Line)
	}
	t.unparsed(behind, behind, "Text after a quoted cell", detail)
}

// wrongQuote finds, in the record that begins at start, the quoted cell that has
// no end or is followed by something other than a comma or a line end.
func wrongQuote(text []byte, start int) (open, end int, closed bool) {
	for at := start; at < len(text); {
		if text[at] != '"' {
			n := bytes.IndexAny(text[at:], ",\n")
			if n < 0 {
				break
			}
			at += n + 1
			continue
		}
		end, closed := closingQuote(text, at)
		rest := text[end:]
		if !closed || len(rest) > 0 && rest[0] != ',' && rest[0] != '\n' && !bytes.HasPrefix(rest, []byte("\r\n")) {
			return at, end, closed
		}
		at = min(end+1, len(text))
	}
	return start, start, true
}

// lineStarts turns line numbers into offsets, walking from the last one.
type lineStarts struct {
	text         []byte
	line, passed int
}

func (l *lineStarts) offset(line int) int {
	for ; l.line > line; l.line-- {
		l.passed = bytes.LastIndexByte(l.text[:l.passed-1], '\n') + 1
	}
	for ; l.line < line; l.line++ {
		n := bytes.IndexByte(l.text[l.passed:], '\n')
		if n < 0 {
			return len(l.text)
		}
		l.passed += n + 1
	}
	return l.passed
}
