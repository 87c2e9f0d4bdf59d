package spec

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// csvTable is a roster of separated values, RFC 4180. The library reads the cells;
// where they end, which it does not tell, is found beside it.
type csvTable struct {
	*roster
	base   int         // where the header begins, after what a program has put before it
	comma  byte        // what separates the cells
	head   [][]*column // for each cell of a row; empty for one that is not known, or ignored
	must   []int       // cells of the conditions, in their order
	wrong  bool        // the header has no column of names, which was reported
	lines  lineStarts
	hidden bool // some column's cells must not be shown
}

func (r *roster) csv() {
	if i := bytes.IndexByte(r.text, '\r'); i >= 0 && i < len(r.text)-1 && !bytes.Contains(r.text, []byte("\n")) {
		r.unparsed(i, i, "Lines that end in a carriage return", "Each line must end in a line feed, with or without a carriage return before it. Save the file with the line ends of Unix or Windows.")
		return
	}
	t := csvTable{roster: r}
	if !t.prologue() || t.oddlyQuoted() || t.otherSeparator() {
		return
	}
	// Growing step by step would leave several times the memory of the users to
	// be collected. The bound is for a file of nothing but line ends.
	r.cfg.Users = slices.Grow(r.cfg.Users, min(bytes.Count(r.text, []byte("\n")), len(r.text)/16))
	t.lines = lineStarts{r.text, 1, t.base}
	in := t.reader(t.comma)
	in.ReuseRecord = true
	for {
		start := t.base + int(in.InputOffset())
		cells, err := in.Read()
		switch {
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			r.count++
			t.malformed(start, t.base+int(in.InputOffset()), err)
			if t.head == nil {
				return
			}
		case blankLine(cells):
		case t.strayReturn(in, cells):
			r.count++
			if t.head == nil {
				return
			}
		case t.head == nil:
			if !t.header(in, cells) {
				return
			}
		case t.mapped != nil && blank(cells): // spreadsheets keep rows whose cells were emptied
		default:
			t.row(in, cells)
		}
	}
}

// reader reads the records.
func (t *csvTable) reader(comma byte) *csv.Reader {
	in := csv.NewReader(bytes.NewReader(t.text[t.base:]))
	in.Comma, in.FieldsPerRecord = rune(comma), -1
	return in
}

var (
	sepLine  = regexp.MustCompile(`^(?i)"?sep=(.)"?[,;\t]*\r?(?:\n|$)`)
	typeLine = regexp.MustCompile(`^"?#TYPE [^\n]*(?:\n|$)`)
)

// prologue finds where the header begins and what separates its cells. Excel reads
// and keeps a first line "sep=;"; PowerShell's Export-Csv writes one that begins with
// "#TYPE".
func (t *csvTable) prologue() bool {
	said := t.block.separator
	t.comma = said.or(say(byte(','), hcl.Range{})).value
	t.base = len(typeLine.Find(t.text))
	t.base += len(blankLines.Find(t.text[t.base:]))
	m := sepLine.FindSubmatchIndex(t.text[t.base:])
	if m == nil {
		return true
	}
	sign := t.text[t.base+m[2]]
	at := t.span(t.base, t.base+m[3])
	t.base += m[1]
	switch {
	case !isSeparator(sign):
		t.error(at, "Unusable separator", "This line says what separates the cells, and it cannot be this character. Correct the line, or remove it.")
	case said.set && said.value != sign:
		t.error(at, "Two separators", fmt.Sprintf("By this line, cells are separated by %s, and by the spec, %s, by %s. Remove the one that is wrong.", separated(sign), place(said.at), separated(said.value)))
	default:
		t.comma = sign
		return true
	}
	return false
}

// otherSeparator reports a header whose cells something else separates.
func (t *csvTable) otherSeparator() bool {
	first, err := t.reader(t.comma).Read()
	if err != nil && !errors.Is(err, csv.ErrQuote) || len(first) > 1 {
		return false
	}
	for _, s := range separators {
		names, err := t.reader(s.sign).Read()
		if s.sign == t.comma || err != nil || len(names) < 2 {
			continue
		}
		ours, theirs := t.knows(names), foreign(names)
		if !ours && !theirs && (first != nil || t.text[t.base] != '"') {
			continue
		}
		end := t.base + len(bytes.TrimRight(t.text[t.base:lineEnd(t.text, t.base)], "\r"))
		at := t.span(t.base, end)
		sign := strconv.Quote(string(s.sign))
		detail := fmt.Sprintf("Cells must be separated by %s, and here they are separated by %s. Say so in the roster block:\nseparator = %s", separated(t.comma), separated(s.sign), sign)
		if s.sign == ',' {
			detail = fmt.Sprintf("By the spec, cells are separated by %s, and here they are separated by commas. Remove the separator.", separated(t.comma))
		}
		switch {
		case !ours && !theirs:
			t.src.hide(t.span(min(t.base+len(names[0])+2, end), end)) // it could be a user
		case t.mapped == nil && (fromElsewhere(names) || !known(names)):
			detail += "\nIts columns have other names than ours: " + theirNames(names) + ". " + mappingAdvice(names, t.valuesOf(s.sign, names))
		}
		t.error(at, "Not separated by "+separated(t.comma), detail)
		return true
	}
	return false
}

// blank reports whether a row has several cells, and nothing in them.
func blank(cells []string) bool {
	return len(cells) > 1 && !slices.ContainsFunc(cells, func(c string) bool { return c != "" })
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

func (t *csvTable) row(in *csv.Reader, cells []string) {
	if len(cells) != len(t.head) {
		t.count++
		t.miscounted(in, cells)
		return
	}
	if !t.counts(cells) {
		t.skipped++
		first, _ := t.cellAt(in, cells, 0)
		_, end := t.cellAt(in, cells, len(cells)-1)
		t.own.hide(first, end)
		return
	}
	t.begin(t.span(t.cellAt(in, cells, 0)))
	for i := 0; i < len(cells); i++ {
		start, end := t.cellAt(in, cells, i)
		if len(t.head[i]) == 0 {
			for t.mapped != nil && i+1 < len(cells) && len(t.head[i+1]) == 0 { // there may be many
				i++
				_, end = t.cellAt(in, cells, i)
			}
			t.own.hide(start, end)
			continue
		}
		at := t.span(start, end)
		for _, c := range t.head[i] {
			t.cell(c, value{at: at, kind: cell, text: cells[i]})
		}
	}
	if !t.wrong {
		t.end()
	}
}

// counts reports whether a row meets all conditions.
func (t *csvTable) counts(cells []string) bool {
	for i := range t.where {
		if value := cells[t.must[i]]; !t.where[i].holds(value) {
			t.where[i].found.add(value)
			return false
		}
	}
	return true
}

// valuesOf reads what the columns say of a list whose header has these names.
func (t *csvTable) valuesOf(sign byte, names []string) func(column string) *tally {
	return func(column string) *tally {
		found, at, in := &tally{}, slices.Index(names, column), t.reader(sign)
		for n := 0; ; n++ {
			cells, err := in.Read()
			if err != nil && !errors.Is(err, csv.ErrFieldCount) {
				return found
			}
			if n > 0 && at < len(cells) {
				found.add(cells[at])
			}
		}
	}
}

// miscounted reports a row with too many or too few cells. Nothing tells which
// cell is in which column, so none is shown when one of them may be secret.
func (t *csvTable) miscounted(in *csv.Reader, cells []string) {
	first, _ := t.cellAt(in, cells, 0)
	_, end := t.cellAt(in, cells, len(cells)-1)
	start := end
	summary := "Too few cells in a row"
	detail := fmt.Sprintf("The header has %s and this row %s. An empty cell still needs its %s.", count(len(t.head), "column"), count(len(cells), "cell"), t.one())
	if len(cells) > len(t.head) {
		start, _ = t.cellAt(in, cells, len(t.head))
		summary = "Too many cells in a row"
		detail = fmt.Sprintf("The header has %s and this row %s. A cell that contains a %s must be in double quotes.", count(len(t.head), "column"), count(len(cells), "cell"), t.one())
	} else if end == len(t.text) {
		detail += " The file ends here: was it cut short?"
	}
	at := t.span(start, end)
	if t.hidden {
		t.src.hide(t.span(first, end))
	}
	t.error(at, summary, detail)
}

// one is what separates two cells.
func (t *csvTable) one() string { return strings.TrimSuffix(separated(t.comma), "s") }

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
		t.unparsed(start, end, "Malformed row", fmt.Sprintf("This cannot be read as values separated by %s.", separated(t.comma)))
		return
	}
	t.guarded = t.guarded || t.hidden
	if errors.Is(problem.Err, csv.ErrBareQuote) {
		at := t.lines.offset(problem.Line) + problem.Column - 1
		if at > start && isFormula(t.text[at-1:]) {
			t.unparsed(at-1, at+1, formula, formulaAdvice)
			return
		}
		t.unparsed(at, at+1, "Quote inside a cell", "A cell that contains a quote must be in quotes as a whole, and the quote in it doubled: \"the \"\"boss\"\"\".")
		return
	}
	open, behind, closed := wrongQuote(t.text, start, t.comma)
	if !closed {
		t.unparsed(open, open+1, "Quote that is never closed", "The quote that opens here is never closed, so everything after it would be one cell. Close it. If the end of the file is missing, get the whole file.")
		return
	}
	detail := fmt.Sprintf("A closing quote must be followed by a %s or the end of the line. Double a quote that is part of the cell: \"the \"\"boss\"\"\".", t.one())
	if bytes.Contains(t.text[open:behind], []byte("\n")) {
		detail += fmt.Sprintf(" The cell begins on line %d: should its quotes end there?", t.places.pos(open).Line)
	}
	t.unparsed(behind, behind, "Text after a quoted cell", detail)
}

// wrongQuote finds, in the record that begins at start, the quoted cell that has
// no end or is followed by something other than what separates cells or a line end.
func wrongQuote(text []byte, start int, comma byte) (open, end int, closed bool) {
	for at := start; at < len(text); {
		if text[at] != '"' {
			n := bytes.IndexAny(text[at:], string([]byte{comma, '\n'}))
			if n < 0 {
				break
			}
			at += n + 1
			continue
		}
		end, closed := closingQuote(text, at)
		rest := text[end:]
		if !closed || len(rest) > 0 && rest[0] != comma && rest[0] != '\n' && !bytes.HasPrefix(rest, []byte("\r\n")) {
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
