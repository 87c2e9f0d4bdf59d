package spec

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

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

var (
	signAfterName = regexp.MustCompile(`^[ \t]*([:=<>!+-]+)`)
	heredocBegin  = regexp.MustCompile(`<<-?[\w-]+[ \t]*\r?\n`)
)

// expected are the problems that a bracket which is not closed leads to further on.
var expected = map[string]bool{
	"Missing expression": true, "Invalid expression": true, "Missing item separator": true, "Missing argument separator": true,
	"Missing attribute separator": true, "Missing key/value separator": true, "Missing attribute value": true, "Unbalanced parentheses": true,
	"Unterminated tuple constructor expression": true, "Unterminated object constructor expression": true, "Unterminated function call": true,
}

// closerLook finds better words, and a better place, for a problem by the text that
// is there; ok is false where it finds none.
func closerLook(summary string, text []byte, from item, end int, at *hcl.Range) (ours wording, ok bool) {
	start := min(at.Start.Byte, end)
	here, behind := text[start:end], text[min(at.End.Byte, end):end]
	first, _ := utf8.DecodeRune(here)
	var c byte
	if len(here) > 0 {
		c = here[0]
	}
	glued := start > from.start && wordByte(text[start-1])
	switch {
	case summary == "Argument or block definition required" || summary == "Argument definition required":
		m := signAfterName.FindSubmatchIndex(behind)
		if m == nil || !wordByte(c) || '0' <= c && c <= '9' || string(behind[m[2]:m[3]]) == "=" {
			return ours, false
		}
		*at = along(*at, at.End, m[2], m[3])
		return noEquals, true
	case summary == "Unterminated template string":
		found := heredocBegin.FindAllIndex(text[from.start:start], -1)
		if found == nil {
			return ours, false
		}
		begin := from.start + found[len(found)-1][0]
		mark := bytes.TrimSpace(text[begin : from.start+found[len(found)-1][1]])
		*at = along(*at, placeIn(at.Filename, text, begin).Start, 0, len(mark))
		return noHeredocEnd, true
	case summary == openText:
		return unquoted, start-2 >= from.start && text[start-1] == '"' && wordByte(text[start-2])
	case summary == "Invalid character":
		return ofCharacter(first)
	case summary == "Missing newline after argument":
		return unquoted, glued && (wordByte(c) || c == '"')
	case !expected[summary]:
		return ours, false
	}
	ended := len(bytes.TrimSpace(here)) == 0
	if bracket, open := openBracket(text, from, start, at.Filename); open {
		opener := text[bracket.Start.Byte]
		closer := strings.IndexByte("}])", c) >= 0 && c != partner[opener]
		further := opener != '{' && bracket.Start.Line < at.Start.Line && inAttribute(text, start) // an object has such lines
		if ended || closer || further || summary == "Unbalanced parentheses" {
			*at = bracket
			return noBracket, true
		}
	}
	if ended { // what is there belongs to another part
		*at = placeIn(at.Filename, text, from.start+len(bytes.TrimRight(text[from.start:start], " \t\r\n")))
	}
	return unquoted, glued && summary == "Missing item separator"
}

// along is the part of a line from one number of bytes behind a place to another.
func along(in hcl.Range, place hcl.Pos, from, to int) hcl.Range {
	step := func(n int) hcl.Pos { return hcl.Pos{Line: place.Line, Column: place.Column + n, Byte: place.Byte + n} }
	return hcl.Range{Filename: in.Filename, Start: step(from), End: step(to)}
}

func wordByte(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// ofCharacter has words for a character that the language does not have.
func ofCharacter(c rune) (wording, bool) {
	switch {
	case strings.ContainsRune("'`“”„‘’‚«»", c):
		return otherQuote, true
	case c == ';':
		return semicolon, true
	case unicode.IsSpace(c) || !unicode.IsPrint(c):
		return wording{"Invisible character", fmt.Sprintf("There is a U+%04X here, which cannot be seen. Text that was copied from a web page or a document may have one. Delete it, and type a space where one belongs.", c)}, true
	}
	return wording{}, false
}

var partner = map[byte]byte{'{': '}', '[': ']', '(': ')'}

// inAttribute reports whether an offset is where a line begins with an attribute or
// a block.
func inAttribute(text []byte, offset int) bool {
	line := bytes.LastIndexByte(text[:offset], '\n') + 1
	m := lineStart.Find(text[line:lineEnd(text, offset)])
	return m != nil && offset < line+len(m)
}

// openBracket finds the innermost bracket of a value that is open at an offset.
func openBracket(text []byte, from item, offset int, file string) (hcl.Range, bool) {
	tokens, _ := hclsyntax.LexConfig(text[from.start:offset], file, hcl.Pos{Line: from.line, Column: 1, Byte: from.start})
	type bracket struct {
		at    hcl.Range
		value bool // it is part of a value, not of a block
	}
	var open []bracket
	before := hclsyntax.TokenNewline
	for _, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenOBrack, hclsyntax.TokenOParen:
			open = append(open, bracket{t.Range, true})
		case hclsyntax.TokenOBrace, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			value := before == hclsyntax.TokenEqual || before == hclsyntax.TokenComma || before == hclsyntax.TokenOBrack
			open = append(open, bracket{t.Range, value})
		case hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenCBrace, hclsyntax.TokenTemplateSeqEnd:
			if len(open) > 0 {
				open = open[:len(open)-1]
			}
		}
		before = t.Type
	}
	if len(open) == 0 || !open[len(open)-1].value {
		return hcl.Range{}, false
	}
	return open[len(open)-1].at, true
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
