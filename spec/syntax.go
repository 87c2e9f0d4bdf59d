package spec

import "github.com/hashicorp/hcl/v2"

const (
	openText  = "Invalid multi-line string"
	redefined = "Attribute redefined" // the one problem after which the parser goes on
)

type wording struct{ summary, detail string }

var (
	noValue   = wording{"Value missing", "Expected a value here: text in double quotes, a number, true, false or a list of those."}
	noQuote   = wording{"Quote that is not closed on its line", "Text cannot go on in the next line. Close the double quotes on this one."}
	noBrace   = wording{"Block without its closing brace", `There is no "}" for this block. Write it on a line of its own after the block's last line.`}
	noBracket = wording{"Bracket that is never closed", `Close this bracket with one of the same kind: "}", "]" or ")".`}
	noComma   = wording{"No comma between two items", "Separate the items in brackets by commas."}
	oneLine   = wording{"Several things in a block on one line",
		"A block on one line can have only one attribute. Put each attribute, and the closing brace, on a line of its own."}
	computed = wording{"Not a plain value", "Nothing is computed in a spec. Write the result instead."}
	inText   = wording{"Template in a spec",
		`"${" and "%{" begin a template, and a spec has no variables to fill in. Write the text out; if the characters themselves are meant, write "$${" or "%%{".`}
	noHeredocEnd = wording{"Text that is never ended",
		`"<<" and a word begin a text that ends at a line with this word alone. No value in a spec has several lines: put it in double quotes.`}
	noEquals   = wording{"Not an equals sign", `The name of an attribute is followed by "=" and its value: NAME = VALUE.`}
	unquoted   = wording{"Text without quotes", "Only a number, true and false go without quotes. Put the whole value in double quotes."}
	otherQuote = wording{"Not a double quote", `Text is put in straight double quotes: "…", not in single or curly ones.`}
	semicolon  = wording{"Semicolon", "An attribute and a block end with their line. Remove the semicolon."}
	otherwise  = wording{"Syntax error", "This is not valid in a spec. A quote or bracket may be missing further up."}
)

// syntax has our words for each of the parser's problems, by its summary. The
// parser's own are written for a larger language, and they quote what they are
// about, which could be a secret: nothing of them is passed on.
var syntax = map[string]wording{
	openText:                          noQuote,
	"Unterminated template string":    noQuote,
	"Unterminated string literal":     noQuote,
	"Invalid expression":              noValue,
	"Missing expression":              noValue,
	"Missing attribute value":         noValue,
	"Missing newline after argument":  {"Two things on one line", "An attribute ends at the end of its line. Put what follows on a line of its own."},
	"Unexpected comma after argument": {"Comma after a value", `An attribute ends with its line, without a comma. A list of values is put in brackets: ["…", "…"].`},
	redefined:                         {"Attribute given twice", "This attribute is already set further up, in the same block. Remove one of the two."},
	"Argument or block definition required": {"Neither attribute nor block",
		`Expected an attribute or a block here: NAME = VALUE, or TYPE "NAME" { … }.`},
	"Argument definition required": {"Several things in a block on one line",
		"A block on one line can have only one attribute. Put each attribute on a line of its own."},
	"Invalid single-argument block definition": oneLine,
	"Unclosed configuration block":             noBrace,
	"Unclosed configuration body":              noBrace,
	"Invalid argument name":                    {"Name in quotes", "The name of an attribute has no quotes around it."},
	"Invalid block definition": {"Neither attribute nor block",
		`A block is TYPE "NAME" { … } with the opening brace on the same line, an attribute is NAME = VALUE.`},
	"Missing newline after block definition": {"Two things on one line", `A block ends at the end of the line with its "}". Put what follows on a line of its own.`},
	"Invalid character": {"Character that belongs in quotes",
		`Only names, numbers, brackets, "=" and "," can be outside of double quotes. Put text in double quotes.`},
	"Unsupported operator":                            computed,
	"Invalid number literal":                          {"Not a number", "A number is digits, perhaps with a decimal point. Put anything else in double quotes."},
	"Invalid string literal":                          {"Not plain text", `Text is one line in double quotes, without "${" and "%{".`},
	"Invalid escape sequence":                         {"Unknown escape", `In double quotes, "\" begins an escape: \n, \t, \r, \", \\, \uNNNN or \UNNNNNNNN. For a backslash itself, write "\\".`},
	"Missing item separator":                          noComma,
	"Missing attribute separator":                     noComma,
	"Missing argument separator":                      noComma,
	"Missing key/value separator":                     {"No equals sign", `Expected NAME = VALUE in the braces, as in { env = "VARIABLE" }.`},
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
	"Unexpected if directive":                         inText,
	"Unexpected for directive":                        inText,
	"Unexpected endif directive":                      inText,
	"Unexpected endfor directive":                     inText,
	"Extra characters in if marker":                   inText,
	"Extra characters in else marker":                 inText,
	"Extra characters in endif marker":                inText,
	"Extra characters in for marker":                  inText,
	"Extra characters in endfor marker":               inText,
	"Missing close bracket on index":                  computed,
	"Missing close bracket on splat index":            computed,
	"Invalid legacy index syntax":                     computed,
	"Nested splat expression not allowed":             computed,
	"Missing function name":                           computed,
	"Missing open parenthesis":                        computed,
	"Missing closing parenthesis":                     computed,
}

// plainer rewrites the parser's problems with the text between two places, and
// leaves out those that only follow from another.
func plainer(diags hcl.Diagnostics, text []byte, from item, end int) hcl.Diagnostics {
	var out hcl.Diagnostics
	open := false           // a quote that is never closed makes a problem of every line
	lines := map[int]bool{} // the other problems on a line mostly follow from the first
	for _, d := range diags {
		if d.Subject == nil || lines[d.Subject.Start.Line] || open && d.Summary == openText {
			continue
		}
		lines[d.Subject.Start.Line] = true
		open = open || d.Summary == openText
		at := *d.Subject
		ours, ok := closerLook(d.Summary, text, from, end, &at)
		if !ok {
			ours, ok = syntax[d.Summary]
		}
		if !ok {
			ours = otherwise
		}
		out = append(out, &hcl.Diagnostic{Severity: d.Severity, Summary: ours.summary, Detail: ours.detail, Subject: &at})
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
