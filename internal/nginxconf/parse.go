// Package nginxconf reads the configuration of NGINX as NGINX does, and keeps the
// file, line and column of every directive. It knows the grammar and no directive
// but include and the blocks of Lua: what a directive means is for others to judge.
package nginxconf

import (
	"bytes"
	"strconv"
	"strings"
)

// Place is where something stands in a file.
type Place struct {
	File         string
	Line, Column int // from 1; the column in characters
}

// Directive is a directive, or an entry of a map, with its arguments as NGINX has them:
// without quotes, with their escapes undone.
type Directive struct {
	Place
	Name  string
	Args  []string
	Opens bool         // it has a block
	Block []*Directive // what stands in the block
	Lua   string       // the program of a *_by_lua_block
}

// Arg is the i-th argument, from 0, or "" where there is none.
func (d *Directive) Arg(i int) string {
	if i >= 0 && i < len(d.Args) {
		return d.Args[i]
	}
	return ""
}

// Is reports whether the first argument is a word of NGINX's, in which case does not
// count (ngx_conf_set_flag_slot, ngx_conf_set_enum_slot).
func (d *Directive) Is(word string) bool { return strings.EqualFold(d.Arg(0), word) }

// Error is a place that cannot be read, and why, without the place.
type Error struct {
	Place
	Text string
}

func (e *Error) Error() string {
	return e.File + ":" + strconv.Itoa(e.Line) + ": " + e.Text
}

// deepest is how many blocks may stand in each other. NGINX has no limit; nobody
// writes so many.
const deepest = 100

var mark = []byte("\uFEFF")

// Parse reads one file. The errors are in the order of their lines; what stands
// before the first one that ends the reading is returned, with open blocks closed.
// A byte order mark is an error that does not end it: NGINX takes the mark for a part
// of the first directive.
func Parse(file string, text []byte) ([]*Directive, []*Error) {
	p := &parser{lexer: lexer{file: file, text: text, line: 1, col: 1, bare: true}}
	if bytes.HasPrefix(text, mark) {
		p.errors = append(p.errors, &Error{Place{file, 1, 1}, "the file begins with a byte order mark (EF BB BF), which NGINX takes for a part of the first directive; save it as UTF-8 without one"})
		p.pos = len(mark)
	}
	block, err := p.block(nil, 0)
	if err != nil {
		p.errors = append(p.errors, err)
	}
	return block, p.errors
}

type parser struct {
	lexer
	errors []*Error
}

// block reads what stands in a block, nil for the file itself.
func (p *parser) block(in *Directive, depth int) (list []*Directive, err *Error) {
	for {
		words, last, err := p.words()
		switch {
		case err != nil:
			return list, err
		case last == endOfBlock && in == nil:
			return list, unexpected(Place{p.file, p.line, p.col - 1}, []byte("}"))
		case last == endOfBlock || last == endOfFile && in == nil:
			return list, nil
		case last == endOfFile:
			return list, &Error{p.place(), `the file ends where NGINX expects the "}" of line ` + strconv.Itoa(in.Line)}
		}
		words = p.unterminated(in, words, &list)
		d := directive(words)
		list = append(list, d)
		if last != endOfOpening {
			continue
		}
		d.Opens = true
		switch {
		case strings.HasSuffix(d.Name, "_by_lua_block"):
			d.Lua, err = p.lua(d.Place)
		case depth == deepest:
			err = &Error{d.Place, "more than " + strconv.Itoa(deepest) + " blocks stand in each other here"}
		default:
			d.Block, err = p.block(d, depth+1)
		}
		if err != nil {
			return list, err
		}
	}
}

func directive(words []word) *Directive {
	d := &Directive{Place: words[0].place, Name: words[0].text}
	for _, w := range words[1:] {
		d.Args = append(d.Args, w.text)
	}
	return d
}

// unterminated tells a directive whose ";" is missing: another one begins a later
// line among its arguments. NGINX counts the arguments and refuses. Each such
// directive is added to the list, and the words of the last one are returned.
func (p *parser) unterminated(in *Directive, words []word, list *[]*Directive) []word {
	if in != nil && free[in.Name] {
		return words
	}
	for i := 1; i < len(words); i++ {
		w := words[i]
		if !w.first || w.quoted || !opening(w.text) || w.place.Line == words[0].place.Line {
			continue
		}
		d := directive(words[:i])
		p.errors = append(p.errors, &Error{d.Place, `"` + d.Name + `" has no ";" at its end, so NGINX takes line ` + strconv.Itoa(w.place.Line) + " for a part of it"})
		*list = append(*list, d)
		return p.unterminated(in, words[i:], list)
	}
	return words
}

// free are the blocks whose entries are anything.
var free = map[string]bool{"map": true, "geo": true, "types": true, "split_clients": true, "charset_map": true}

// opening reports whether a word is the name of a directive that is nobody's argument.
func opening(name string) bool {
	switch name {
	case "location", "server_name", "listen", "include", "return", "proxy_pass", "proxy_set_header", "add_header":
		return true
	}
	return strings.HasPrefix(name, "ssl_")
}
