package spec

import "github.com/hashicorp/hcl/v2"

const (
	openText  = "Invalid multi-line string"
	redefined = "Attribute redefined" // the one problem that leaves nothing unread
)

type wording struct{ summary, detail string }

var (
	noValue   = wording{"Value missing", "Here stands a value: a text in double quotes, a number, true, false or a list of those."}
	noQuote   = wording{"Text without its second quote", "A text ends on the line on which it begins. Close the double quotes."}
	noBrace   = wording{"Block without its closing brace", `There is no "}" for this block. Write it on a line of its own behind the block's last line.`}
	noBracket = wording{"Bracket that is never closed", `What "{", "[" or "(" opens on the right of "=", the same kind of bracket closes: "}", "]" or ")".`}
	noComma   = wording{"No comma between two things", "What stands in brackets is separated by commas."}
	oneLine   = wording{"Several things in a block on one line",
		"A block on one line has one attribute in it. Put each attribute, and the closing brace, on a line of its own."}
	computed = wording{"Not a plain value", "A value stands for itself: nothing is computed. Write the result instead."}
	inText   = wording{"Template in a spec",
		`"${" and "%{" begin a template, and a spec has no variables to fill in. Write the text out; if the characters themselves are meant, write "$${" or "%%{".`}
	otherwise = wording{"Syntax error", "This is not how a spec is written. It may be due to a quote or bracket that is missing further above."}
)

// syntax says in our words what the parser's own say for a larger language, by
// its summaries. Nothing of the parser's own is passed on: its sentences quote
// what they are about, and that could be a secret.
var syntax = map[string]wording{
	openText:                          noQuote,
	"Unterminated template string":    noQuote,
	"Unterminated string literal":     noQuote,
	"Invalid expression":              noValue,
	"Missing expression":              noValue,
	"Missing attribute value":         noValue,
	"Missing newline after argument":  {"Two things on one line", "An attribute ends with its line. Put what follows on a line of its own."},
	"Unexpected comma after argument": {"Comma between attributes", "Attributes stand on lines of their own, without commas."},
	redefined:                         {"Attribute given twice", "This attribute stands above already, in the same block. Remove one of the two."},
	"Argument or block definition required": {"Neither attribute nor block",
		`Here stands an attribute, NAME = VALUE, or a block, TYPE "NAME" { … }.`},
	"Argument definition required": {"Several things in a block on one line",
		"A block on one line has one attribute in it. Put each attribute on a line of its own."},
	"Invalid single-argument block definition": oneLine,
	"Unclosed configuration block":             noBrace,
	"Unclosed configuration body":              noBrace,
	"Invalid argument name":                    {"Name in quotes", "The name of an attribute has no quotes around it."},
	"Invalid block definition": {"Neither attribute nor block",
		`A block is TYPE "NAME" { … } with the opening brace on the same line, an attribute is NAME = VALUE.`},
	"Missing newline after block definition": {"Two things on one line", `A block ends with the line of its "}". Put what follows on a line of its own.`},
	"Invalid character": {"Character that belongs in quotes",
		`Outside of double quotes there are names, numbers, brackets, "=" and ",". A text stands in straight double quotes, not in single or curly ones, and nothing ends with ";".`},
	"Unsupported operator":                            computed,
	"Invalid number literal":                          {"Not a number", "A number is digits, perhaps with a decimal point. Put anything else in double quotes."},
	"Invalid string literal":                          {"Not a plain text", `A text here is one line in double quotes, without "${" and "%{".`},
	"Invalid escape sequence":                         {"Unknown escape", `In a text, "\" begins an escape: \n, \t, \r, \", \\, \uNNNN or \UNNNNNNNN. For a backslash itself, write "\\".`},
	"Missing item separator":                          noComma,
	"Missing attribute separator":                     noComma,
	"Missing argument separator":                      noComma,
	"Missing key/value separator":                     {"No equals sign", `In braces on the right of "=" stands NAME = VALUE, as in { env = "VARIABLE" }.`},
	"Unterminated tuple constructor expression":       noBracket,
	"Unterminated object constructor expression":      noBracket,
	"Unterminated function call":                      noBracket,
	"Unbalanced parentheses":                          noBracket,
	"Missing false expression in conditional":         computed,
	"Invalid attribute name":                          computed,
	"Invalid 'for' expression":                        computed,
	"Invalid 'for' directive":                         inText,
	"Invalid template directive":                      inText,
	"Invalid template control keyword":                inText,
	"Unexpected end of template":                      inText,
	"Unexpected else directive":                       inText,
	"Extra characters after interpolation expression": inText,
	"Unclosed template interpolation sequence":        inText,
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
		if !ok {
			ours = otherwise
		}
		out = append(out, &hcl.Diagnostic{Severity: d.Severity, Summary: ours.summary, Detail: ours.detail, Subject: d.Subject})
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
