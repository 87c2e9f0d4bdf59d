package spec

import "github.com/hashicorp/hcl/v2"

const (
	openText  = "Invalid multi-line string"
	redefined = "Attribute redefined" // the one problem that leaves nothing unread
)

// syntax says in our words what the parser's own say for a larger language, by
// its summaries.
var syntax = map[string]struct{ summary, detail string }{
	openText:                          {"Text without its second quote", "A text ends on the line on which it begins. Close the double quotes."},
	"Unterminated template string":    {"Text without its second quote", "A text ends on the line on which it begins. Close the double quotes."},
	"Invalid expression":              {"Value missing", "Here stands a value: a text in double quotes, a number, true, false or a list of those."},
	"Missing newline after argument":  {"Two things on one line", "An attribute ends with its line. Put what follows on a line of its own."},
	"Unexpected comma after argument": {"Comma between attributes", "Attributes stand on lines of their own, without commas."},
	redefined:                         {"Attribute given twice", "This attribute stands above already, in the same block. Remove one of the two."},
	"Argument or block definition required": {"Neither attribute nor block",
		`Here stands an attribute, NAME = VALUE, or a block, TYPE "NAME" { … }.`},
	"Argument definition required": {"Several things in a block on one line",
		"A block on one line has one attribute in it. Put each attribute on a line of its own."},
	"Invalid single-argument block definition": {"Several things in a block on one line",
		"A block on one line has one attribute in it. Put each attribute, and the closing brace, on a line of its own."},
	"Unclosed configuration block": {"Block without its closing brace", `There is no "}" for this block. Write it on a line of its own behind the block's last line.`},
	"Invalid argument name":        {"Name in quotes", "The name of an attribute has no quotes around it."},
}

// plainer rewrites what the parser said of one part of the file, and leaves out
// what only follows from another problem.
func plainer(diags hcl.Diagnostics) hcl.Diagnostics {
	var out hcl.Diagnostics
	open := false           // a text whose end is missing makes a problem of every line
	lines := map[int]bool{} // what follows on a line mostly follows from what came first
	for _, d := range diags {
		if d.Subject == nil || lines[d.Subject.Start.Line] || open && d.Summary == openText {
			continue
		}
		lines[d.Subject.Start.Line] = true
		open = open || d.Summary == openText
		ours, ok := syntax[d.Summary]
		if ok {
			d.Summary, d.Detail = ours.summary, ours.detail
		}
		out = append(out, d)
	}
	return out
}

// severe reports whether the parser left out parts of what it read.
func severe(diags hcl.Diagnostics) bool {
	for _, d := range diags {
		if d.Severity == hcl.DiagError && d.Summary != redefined {
			return true
		}
	}
	return false
}
