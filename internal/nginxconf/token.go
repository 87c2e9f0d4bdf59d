package nginxconf

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// longest is the size of NGINX's buffer (NGX_CONF_BUFFER), in bytes: no argument and
// no comment may fill it.
const longest = 4096

// word is one token with its escapes undone, as NGINX has it.
type word struct {
	text   string
	place  Place
	quoted bool
	first  bool // nothing but blanks stands before it on its line
}

// end is what ends the words of a directive.
type end int

const (
	endOfDirective end = iota // ";"
	endOfOpening              // "{"
	endOfBlock                // "}"
	endOfFile
)

// lexer reads words by the rules of ngx_conf_read_token in ngx_conf_file.c, one state
// a variable of that function.
type lexer struct {
	file      string
	text      []byte
	pos       int
	line, col int
	bare      bool // nothing but blanks stands before pos on its line
}

func (l *lexer) place() Place { return Place{l.file, l.line, l.col} }

// next goes on by one byte, and counts lines and characters.
func (l *lexer) next() byte {
	c := l.text[l.pos]
	l.pos++
	switch {
	case c == '\n':
		l.line, l.col, l.bare = l.line+1, 1, true
	case utf8.RuneStart(c):
		l.col++
		l.bare = l.bare && isBlank(c)
	}
	return c
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// words reads up to the end of a directive, or of its opening brace.
func (l *lexer) words() (words []word, last end, err *Error) {
	start, begun, first := l.pos, l.place(), l.bare
	needSpace, lastSpace := false, true
	comment, escaped, variable := false, false, false
	quote := byte(0)
	for {
		if l.pos >= len(l.text) {
			if len(words) > 0 || !lastSpace {
				return nil, endOfFile, &Error{l.place(), `the file ends where NGINX expects ";" or "}"`}
			}
			return nil, endOfFile, nil
		}
		if l.pos-start >= longest {
			return nil, endOfFile, &Error{begun, "an argument or a comment that begins here has more than 4095 bytes, which NGINX refuses; perhaps its closing quote is missing"}
		}
		at, place, bare := l.pos, l.place(), l.bare
		c := l.next()
		comment = comment && c != '\n'
		blank := isBlank(c)
		switch {
		case comment:
			continue
		case escaped:
			escaped = false
			continue
		}
		if needSpace {
			switch {
			case blank:
				lastSpace, needSpace = true, false
				continue
			case c == ';':
				return words, endOfDirective, nil
			case c == '{':
				return words, endOfOpening, nil
			case c == ')':
				lastSpace, needSpace = true, false
			default:
				return nil, endOfFile, unexpected(place, l.text[at:])
			}
		}
		if lastSpace {
			start, begun, first = at, place, bare
			if blank {
				continue
			}
			switch c {
			case ';', '{':
				if len(words) == 0 {
					return nil, endOfFile, unexpected(place, l.text[at:])
				}
				if c == '{' {
					return words, endOfOpening, nil
				}
				return words, endOfDirective, nil
			case '}':
				if len(words) > 0 {
					return nil, endOfFile, unexpected(place, l.text[at:])
				}
				return nil, endOfBlock, nil
			case '#':
				comment = true
				continue
			case '\\':
				escaped = true
			case '"', '\'':
				start++
				quote = c
			case '$':
				variable = true
			}
			lastSpace = false
			continue
		}
		if c == '{' && variable { // ${name}
			continue
		}
		variable = false
		found := false
		switch {
		case c == '\\':
			escaped = true
		case c == '$':
			variable = true
		case quote != 0:
			if found = c == quote; found {
				needSpace = true
			}
		case blank || c == ';' || c == '{':
			found, lastSpace = true, true
		}
		if !found {
			continue
		}
		words = append(words, word{unescape(l.text[start:at]), begun, quote != 0, first})
		closing := quote != 0
		quote = 0
		if closing {
			continue
		}
		switch c {
		case ';':
			return words, endOfDirective, nil
		case '{':
			return words, endOfOpening, nil
		}
	}
}

func unexpected(at Place, rest []byte) *Error {
	r, n := utf8.DecodeRune(rest)
	found := string(r)
	if r == utf8.RuneError && n == 1 {
		found = string(rest[:1])
	}
	return &Error{at, `NGINX does not expect "` + found + `" here`}
}

// unescape undoes the escapes that NGINX knows; before any other character a
// backslash stays.
func unescape(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw)
	}
	var b strings.Builder
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c == '\\' && i+1 < len(raw) {
			switch raw[i+1] {
			case '"', '\'', '\\':
				i++
				c = raw[i]
			case 't':
				i, c = i+1, '\t'
			case 'r':
				i, c = i+1, '\r'
			case 'n':
				i, c = i+1, '\n'
			}
		}
		b.WriteByte(c)
	}
	return b.String()
}
