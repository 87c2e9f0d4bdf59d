package nginxconf

import "bytes"

// lua reads the program of a *_by_lua_block up to its closing brace. Braces in
// strings and comments of Lua do not count (Lua 5.1, section 2.1).
func (l *lexer) lua(opened Place) (string, *Error) {
	start, depth := l.pos, 1
	for l.pos < len(l.text) {
		switch c := l.text[l.pos]; {
		case c == '{':
			depth++
		case c == '}':
			if depth--; depth == 0 {
				program := string(l.text[start:l.pos])
				l.skip(1)
				return program, nil
			}
		case c == '"' || c == '\'':
			l.luaString(c)
			continue
		case bytes.HasPrefix(l.text[l.pos:], []byte("--")):
			l.skip(2)
			if !l.luaLong() {
				l.skip(lengthOfLine(l.text[l.pos:]))
			}
			continue
		case c == '[':
			if l.luaLong() {
				continue
			}
		}
		l.skip(1)
	}
	return "", &Error{opened, `the file ends inside this block of Lua; its "}" is missing`}
}

// skip goes on by a number of bytes, or to the end.
func (l *lexer) skip(n int) {
	for range min(n, len(l.text)-l.pos) {
		l.next()
	}
}

// luaString goes behind a string in quotes, which ends with its line at the latest.
func (l *lexer) luaString(quote byte) {
	for l.skip(1); l.pos < len(l.text); l.skip(1) {
		switch l.text[l.pos] {
		case '\\':
			l.skip(1)
		case quote:
			l.skip(1)
			return
		case '\n':
			return
		}
	}
}

// luaLong goes behind a string or comment in long brackets, [[…]] or [==[…]==], if one
// begins here.
func (l *lexer) luaLong() bool {
	rest := l.text[l.pos:]
	level := 0
	for 1+level < len(rest) && rest[1+level] == '=' {
		level++
	}
	if len(rest) < 2+level || rest[0] != '[' || rest[1+level] != '[' {
		return false
	}
	closing := append(append([]byte("]"), bytes.Repeat([]byte("="), level)...), ']')
	if at := bytes.Index(rest[2+level:], closing); at >= 0 {
		l.skip(2 + level + at + len(closing))
	} else {
		l.skip(len(rest))
	}
	return true
}

func lengthOfLine(text []byte) int {
	if n := bytes.IndexByte(text, '\n'); n >= 0 {
		return n
	}
	return len(text)
}
