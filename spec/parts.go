package spec

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// A spec is parsed in parts that end where a top-level block begins. So the
// syntax tree of 100,000 users is never whole in memory, and a part that cannot
// be parsed takes no other with it: after its first problem the parser stays
// silent, and an unclosed block would swallow all that follow.

// partSize is how large a part of many users is at least, in bytes.
const partSize = 256 << 10

type part struct {
	start, end int
	line       int // that of start
	users      int // how many begin here; 0 where anything but users does
	items      []item
}

// item is a top-level block or attribute.
type item struct{ start, line int }

// split finds where top-level blocks and attributes of the language begin: in
// the first column of a line, as the canonical style has it. One that is written
// otherwise stays in the part before it. A text with a comment of several lines
// or a heredoc, which could hold such a line, is not split.
func split(text []byte) []part {
	names := map[string]bool{"output": true}
	for _, n := range topLevel {
		names[n] = true
	}
	parts := []part{{line: 1, items: []item{{0, 1}}}}
	if bytes.Contains(text, []byte("/*")) || bytes.Contains(text, []byte("<<")) {
		parts[0].end = len(text)
		return parts
	}
	for start, line := 0, 1; start < len(text); line++ {
		end := len(text)
		if n := bytes.IndexByte(text[start:], '\n'); n >= 0 {
			end = start + n + 1
		}
		word := firstWord(text[start:end])
		if both[string(word.text)] {
			last := &parts[len(parts)-1]
			if around := last.items[len(last.items)-1]; open(text[around.start:start]) {
				word.text = nil
			}
		}
		if names[string(word.text)] {
			user := string(word.text) == "user"
			last := &parts[len(parts)-1]
			switch {
			case word.indent > 0 && !user && last.users > 0:
				last.users = 0
			case word.indent > 0:
			case start > 0 && (user != (last.users > 0) || start-last.start >= partSize):
				last.end = start
				parts = append(parts, part{start: start, line: line})
			}
			last = &parts[len(parts)-1]
			if word.indent == 0 {
				if start > 0 {
					last.items = append(last.items, item{start, line})
				}
				if user && (last.users > 0 || last.start == start) {
					last.users++
				}
			}
		}
		start = end
	}
	parts[len(parts)-1].end = len(text)
	return parts
}

// both are the blocks that may be in a file and in another block.
var both = func() map[string]bool {
	out := map[string]bool{}
	for _, b := range blocks {
		for _, c := range blocks {
			if b.name == c.name && b.in == inFile && c.in&inFile == 0 {
				out[b.name] = true
			}
		}
	}
	return out
}()

// open reports whether a bracket is open at the end of a text that begins outside of all
// blocks.
func open(text []byte) bool {
	depth := 0
	for line := range bytes.Lines(text) {
		depth = brackets(withoutComment(line), depth)
	}
	return depth > 0
}

// withoutComment is a line up to its comment.
func withoutComment(line []byte) []byte {
	for i, c := range outsideQuotes(line) {
		if c == '#' || bytes.HasPrefix(line[i:], []byte("//")) {
			return line[:i]
		}
	}
	return line
}

type word struct {
	indent int
	text   []byte
}

func firstWord(line []byte) word {
	rest := bytes.TrimLeft(line, " \t")
	n := 0
	for n < len(rest) && (rest[n] >= 'a' && rest[n] <= 'z' || rest[n] == '_' || rest[n] == '-' || rest[n] >= '0' && rest[n] <= '9' || rest[n] >= 'A' && rest[n] <= 'Z') {
		n++
	}
	return word{len(line) - len(rest), rest[:n]}
}

// parsed is what came of a part.
type parsed struct {
	bodies []*hclsyntax.Body
	diags  hcl.Diagnostics
	broken bool
}

// parse parses a part as one, and when that fails item by item.
func (p part) parse(text []byte, file string) parsed {
	body, diags := parseBetween(text, file, item{p.start, p.line}, p.end)
	if !severe(diags) {
		return parsed{[]*hclsyntax.Body{body}, plainer(diags, text, item{p.start, p.line}, p.end), false}
	}
	out := parsed{broken: true}
	for i, it := range p.items {
		end := p.end
		if i+1 < len(p.items) {
			end = p.items[i+1].start
		}
		body, diags := parseBetween(text, file, it, end)
		out.bodies = append(out.bodies, body)
		out.diags = append(out.diags, plainer(diags, text, it, end)...)
	}
	return out
}

func parseBetween(text []byte, file string, from item, end int) (*hclsyntax.Body, hcl.Diagnostics) {
	f, diags := hclsyntax.ParseConfig(text[from.start:end], file, hcl.Pos{Line: from.line, Column: 1, Byte: from.start})
	return f.Body.(*hclsyntax.Body), diags
}

// ahead is how many parts are parsed at the same time.
const ahead = 2

// each parses parts, some ahead, and visits their bodies in order.
func (l *loader) each(text []byte, parts []part, visit func(*hclsyntax.Body)) {
	queue := make(chan chan parsed, ahead-1)
	go func() {
		defer close(queue)
		for _, p := range parts {
			result := make(chan parsed, 1)
			queue <- result
			go func() { result <- p.parse(text, l.cfg.File) }()
		}
	}()
	for result := range queue {
		p := <-result
		l.unread = append(l.unread, p.diags...)
		l.broken = l.broken || p.broken
		for _, body := range p.bodies {
			l.remember(body)
			visit(body)
		}
	}
}

// remember keeps what diagnostics about a body are shown with.
func (l *loader) remember(body *hclsyntax.Body) {
	f := l.src.files[l.cfg.File]
	for _, b := range body.Blocks {
		f.blocks = append(f.blocks, span{b.Range().Start.Byte, b.Range().End.Byte, title(b)})
	}
}

func title(b *hclsyntax.Block) string {
	if len(b.Labels) == 0 || !slices.Contains(topLevel, b.Type) { // the label of something else could be a secret
		return b.Type
	}
	return fmt.Sprintf("%s %q", b.Type, b.Labels[0])
}
