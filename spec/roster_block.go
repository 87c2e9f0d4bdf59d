package spec

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// columnFrom is one of our columns, and how a list from elsewhere calls it.
type columnFrom struct {
	ours   said[string]
	column *column // by ours
	theirs said[string]
}

// condition is a column of a list, ours or not, and which of its values count.
type condition struct {
	theirs said[string]
	values []string // trimmed and in lower case
	found  tally    // what else the column has
}

// holds reports whether a cell has one of the values.
func (c *condition) holds(cell string) bool {
	return slices.Contains(c.values, strings.ToLower(strings.TrimSpace(cell)))
}

// workbooks are the endings of what spreadsheets keep.
var workbooks = []string{".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".numbers"}

var rosterFormats = []string{"csv", "yaml", "json"}

// formatOf is the format that the extension of a file tells, "" for any other.
func formatOf(file string) string {
	ending := strings.TrimPrefix(strings.ToLower(filepath.Ext(file)), ".")
	if ending == "yml" {
		return "yaml"
	}
	if slices.Contains(rosterFormats, ending) {
		return ending
	}
	return ""
}

// rosterFile returns the path as it is written, because that is how it is shown.
func (l *loader) rosterFile(v value) (none said[string]) {
	if !l.path(v).set {
		return none
	}
	return say(v.text, v.at)
}

func (l *loader) rosterCommand(v value) (none said[[]string]) {
	args, ok := l.arguments(v)
	if !ok {
		return none
	}
	return say(args, v.at)
}

func (l *loader) rosterFormat(v value) (none said[string]) {
	if !l.is(v, text, `name the format in double quotes, as in "csv"`) {
		return none
	}
	if !slices.Contains(rosterFormats, v.text) {
		l.error(v.at, "Unknown kind of roster", fmt.Sprintf("There is no format %q. %s", v.text, didYouMean(v.text, rosterFormats)))
		return none
	}
	return say(v.text, v.at)
}

// separators are those that exports have, and what they are called.
var separators = []struct {
	sign   byte
	called string
}{{',', "commas"}, {';', "semicolons"}, {'\t', "tabs"}, {'|', "vertical bars"}}

// separated names what separates cells.
func separated(sign byte) string {
	for _, s := range separators {
		if s.sign == sign {
			return s.called
		}
	}
	return fmt.Sprintf("%q", rune(sign))
}

// isSeparator reports whether a character can separate cells.
func isSeparator(c byte) bool {
	return c == '\t' || c > ' ' && c < 0x7f && c != '"' && !('0' <= c && c <= '9') && !('a' <= c|0x20 && c|0x20 <= 'z')
}

func (l *loader) separator(v value) (none said[byte]) {
	if !l.is(v, text, `put it in double quotes, as in ";"`) {
		return none
	}
	if len(v.text) != 1 || !isSeparator(v.text[0]) {
		l.error(v.at, "Unusable separator", `A separator is one character that is neither a letter, a digit, a space nor a quote: ",", ";", "|" or, for a tab, "\t".`)
		return none
	}
	return say(v.text[0], v.at)
}

// theirColumns reads how a list calls our columns.
func (l *loader) theirColumns(v value) (none said[[]columnFrom]) {
	const example = `say how the list calls our columns, as in { name = "login", email = "mail" }`
	if !l.is(v, object, example) {
		return none
	}
	var out []columnFrom
	for _, m := range v.members {
		if theirs := l.string(m.value); theirs.set {
			out = append(out, columnFrom{ours: say(m.name, m.at), theirs: theirs})
		}
	}
	if len(out) < len(v.members) {
		return none
	}
	return say(out, v.at)
}

// checkColumns finds our columns by their names.
func (l *loader) checkColumns(named said[[]columnFrom]) bool {
	if !named.set {
		return true
	}
	good := true
	seen := map[string]bool{}
	for i := range named.value {
		c := &named.value[i]
		switch c.column = columnByName[c.ours.value]; {
		case c.column == nil:
			summary, detail := unknownName(c.ours.value, "column")
			l.error(c.ours.at, summary, detail)
			good = false
		case seen[c.ours.value]:
			l.error(c.ours.at, "Column given twice", fmt.Sprintf("%s is there already. Remove one of the two.", c.ours.value))
			good = false
		}
		seen[c.ours.value] = true
	}
	if good && !seen[columns[0].name] {
		l.error(named.at, "No column of names", `Columns that are not named here are ignored, and every user needs a name. Say which column has the names: name = "…".`)
		return false
	}
	return good
}

// conditions reads which rows of a list count.
func (l *loader) conditions(v value) (none said[[]condition]) {
	if !l.is(v, object, `name a column of the list and the values that count, as in { status = ["active"] }`) {
		return none
	}
	if len(v.members) == 0 {
		l.error(v.at, "No condition", `Name a column of the list and the values that count, as in { status = ["active"] }. To take every row, leave where out.`)
		return none
	}
	var out []condition
	for _, m := range v.members {
		c := condition{theirs: say(m.name, m.at)}
		values := m.value.list
		if m.value.kind != list {
			values = []value{m.value}
		}
		for _, e := range values {
			word, ok := plainText(e)
			if !ok || strings.TrimSpace(word) == "" {
				l.error(e.at, "Unusable condition", `Expected the values that count, each as text: status = ["active"].`)
				return none
			}
			c.values = append(c.values, strings.ToLower(strings.TrimSpace(word)))
		}
		switch {
		case len(values) == 0:
			l.error(m.value.at, "No value", "With no value, no row would count. Name the values that do.")
			return none
		case slices.ContainsFunc(out, func(o condition) bool { return o.theirs.value == m.name }):
			l.error(m.at, "Condition given twice", "There is one on this column already. Put all values in one list.")
			return none
		}
		out = append(out, c)
	}
	return say(out, v.at)
}

// plainText is a text, number, true or false as a list has it.
func plainText(v value) (string, bool) {
	switch v.kind {
	case text:
		return v.text, true
	case number:
		return v.number.Text('f', -1), true
	case boolean:
		return fmt.Sprint(v.yes), true
	}
	return "", false
}

// checkRoster settles where a roster comes from and its format, and reports
// whether it can be read.
func (l *loader) checkRoster(b *hclsyntax.Block, s *rosterBlock) (format string, ok bool) {
	refuse := func(at hcl.Range, summary, detail string) (string, bool) {
		l.error(at, summary, detail)
		return "", false
	}
	for _, a := range []string{"file", "command", "format", "separator", "columns", "where"} {
		if attr := b.Body.Attributes[a]; attr != nil && !s.has(a) {
			return "", false // it was reported
		}
	}
	switch {
	case s.file.set && s.command.set:
		return refuse(s.command.at, "Two sources of a roster", "A list comes from a file or from a program. Remove one of the two; for two lists write two roster blocks.")
	case !s.file.set && !s.command.set:
		if !tried(b.Body, "file") && !tried(b.Body, "command") {
			l.missing(b.DefRange(), "Roster without a file", `A roster names its list: file = "staff.csv", or a program that prints it: command = ["./export-users"].`)
		}
		return "", false
	case s.command.set && !s.format.set:
		if !tried(b.Body, "format") {
			l.missing(b.DefRange(), "Program without a format", `Say what the program prints: format = "csv", "yaml" or "json".`)
		}
		return "", false
	case s.format.set:
		format = s.format.value
	default:
		if ending := strings.ToLower(filepath.Ext(s.file.value)); slices.Contains(workbooks, ending) {
			return refuse(s.file.at, "Workbook instead of a list", fmt.Sprintf("A %s file is a workbook, and a roster is text. Save the list as CSV, and name that file, as in \"%s\".", ending, strings.TrimSuffix(filepath.Base(s.file.value), filepath.Ext(s.file.value))+".csv"))
		}
		if format = formatOf(s.file.value); format == "" {
			return refuse(s.file.at, "Unknown kind of roster",
				`The extension of a roster's file tells its format: ".csv", ".yaml", ".yml" or ".json". With another one, say it: format = "csv".`)
		}
	}
	if s.separator.set && format != "csv" {
		return refuse(s.separator.at, "Separator without cells", fmt.Sprintf("Only CSV has a separator, and this list is %s. Remove it.", strings.ToUpper(format)))
	}
	return format, l.checkColumns(s.columns)
}

// has reports whether an attribute could be read.
func (s *rosterBlock) has(name string) bool {
	return map[string]bool{"file": s.file.set, "command": s.command.set, "format": s.format.set,
		"separator": s.separator.set, "columns": s.columns.set, "where": s.where.set}[name]
}
