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
