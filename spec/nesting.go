package spec

import (
	"bytes"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// The parser of HCL calls itself for every bracket, operator and template, and
// a goroutine whose stack overflows takes the program with it. So the text is
// walked once beforehand, by the rules of HCL's scanner, and what nests deeper
// than any spec could is not parsed at all.
const (
	maxDepth     = 50  // nested brackets, strings and templates; a spec needs 5
	maxOperators = 200 // operators, template markers, "$", "%" and lines of a heredoc in one expression; a spec needs none
)

// tooDeep returns the offset at which src goes beyond maxDepth or
// maxOperators, and false when it nowhere does.
func tooDeep(src []byte) (offset int, found bool) {
	s := nesting{src: src}
	for s.pos < len(src) && !s.exceeded() {
		switch {
		case len(s.open) > 0 && s.open[len(s.open)-1] == '"':
			s.quoted()
		case len(s.open) > 0 && s.open[len(s.open)-1] == '<':
			s.heredoc()
		default:
			s.code()
		}
	}
	return s.pos, s.exceeded()
}

type nesting struct {
	src       []byte
	pos       int
	open      []byte // what is open: { [ ( and " for a string, < for a heredoc, $ for a template in one
	braces    int
	templates []int // the value of braces at which each open template ends
	markers   []marker
	operators int
}

type marker struct {
	text        []byte
	startOfLine bool
}

func (s *nesting) exceeded() bool { return len(s.open) > maxDepth || s.operators > maxOperators }

func (s *nesting) push(c byte) { s.open = append(s.open, c) }

// drop closes the innermost c that has nothing but brackets open inside. A
// closing character without its partner is left to the parser to report.
func (s *nesting) drop(c byte) {
	for i := len(s.open) - 1; i >= 0; i-- {
		switch s.open[i] {
		case c:
			s.open = append(s.open[:i], s.open[i+1:]...)
			return
		case '"', '<', '$':
			return
		}
	}
}

func (s *nesting) rest() []byte { return s.src[s.pos:] }

func (s *nesting) code() {
	c := s.src[s.pos]
	switch {
	case c == '#' || bytes.HasPrefix(s.rest(), []byte("//")):
		s.skipLine()
		return
	case bytes.HasPrefix(s.rest(), []byte("/*")):
		if n := bytes.Index(s.rest()[2:], []byte("*/")); n >= 0 {
			s.pos += n + 4
			return
		}
	case c == '<' && s.beginHeredoc():
		return
	}
	s.pos++
	switch c {
	case '\n':
		if len(s.open) == 0 || s.open[len(s.open)-1] == '{' {
			s.operators = 0
		}
	case '"':
		s.push('"')
	case '{':
		s.braces++
		s.push('{')
	case '}':
		s.closeBrace()
	case '[', '(':
		s.operators++
		s.push(c)
	case ']':
		s.drop('[')
	case ')':
		s.drop('(')
	case '!', '?', '*', '-', '+', '/', '%', '<', '>', '&', '|', '=':
		s.operators++
	}
}

func (s *nesting) skipLine() {
	if n := bytes.IndexByte(s.rest(), '\n'); n >= 0 {
		s.pos += n
	} else {
		s.pos = len(s.src)
	}
}

func (s *nesting) closeBrace() {
	if n := len(s.templates); n > 0 && s.templates[n-1] == s.braces {
		s.templates = s.templates[:n-1]
		for s.open[len(s.open)-1] != '$' {
			s.open = s.open[:len(s.open)-1]
		}
		s.open = s.open[:len(s.open)-1]
	} else {
		s.drop('{')
	}
	s.braces--
}

func (s *nesting) quoted() {
	switch c := s.src[s.pos]; {
	case c == '\\' && s.pos+1 < len(s.src) && s.src[s.pos+1] != '\n' && s.src[s.pos+1] != '\r':
		s.pos += 2
	case c == '"':
		s.pos++
		s.open = s.open[:len(s.open)-1]
	case (c == '$' || c == '%') && s.template(c):
	default:
		s.sign(c)
		s.pos++
	}
}

// sign counts a "$" or "%" that opens nothing: the parser takes a text apart at
// each, as it does at the lines of a heredoc, in time that grows with the square
// of their number.
func (s *nesting) sign(c byte) {
	if c == '$' || c == '%' {
		s.operators++
	}
}

// template steps over ${ and %{, which open one, and over $${ and %%{, which
// are text.
func (s *nesting) template(c byte) bool {
	switch {
	case bytes.HasPrefix(s.rest(), []byte{c, c, '{'}):
		s.pos += 3
		return true
	case bytes.HasPrefix(s.rest(), []byte{c, '{'}):
		s.pos += 2
		s.operators++
		s.braces++
		s.templates = append(s.templates, s.braces)
		s.push('$')
		if n := len(s.markers); n > 0 {
			s.markers[n-1].startOfLine = false
		}
		return true
	}
	return false
}

func (s *nesting) beginHeredoc() bool {
	text, ok := bytes.CutPrefix(s.rest(), []byte("<<"))
	if !ok {
		return false
	}
	text = bytes.TrimPrefix(text, []byte("-"))
	name, _, ok := bytes.Cut(text, []byte("\n"))
	name = bytes.TrimSuffix(name, []byte("\r"))
	if !ok || !hclsyntax.ValidIdentifier(string(name)) {
		return false
	}
	s.skipLine()
	s.pos++
	s.push('<')
	s.markers = append(s.markers, marker{name, true})
	return true
}

// heredoc reads to the end of the line or to a template in it.
func (s *nesting) heredoc() {
	top := &s.markers[len(s.markers)-1]
	for start := s.pos; s.pos < len(s.src); {
		switch c := s.src[s.pos]; {
		case c == '\n':
			s.pos++
			if top.startOfLine && bytes.Equal(bytes.TrimSpace(s.src[start:s.pos]), top.text) {
				s.pos-- // the line end belongs to what is around the heredoc
				s.open = s.open[:len(s.open)-1]
				s.markers = s.markers[:len(s.markers)-1]
				return
			}
			top.startOfLine = true
			s.operators++
			return
		case (c == '$' || c == '%') && s.template(c):
			if s.open[len(s.open)-1] == '$' {
				return
			}
		default:
			s.sign(c)
			s.pos++
			if s.exceeded() {
				return
			}
		}
	}
}
