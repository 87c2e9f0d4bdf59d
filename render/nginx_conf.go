package render

import (
	"bytes"
	"regexp"
	"strings"
)

// conf writes NGINX configuration. Whatever an argument holds, it is read back
// as that one argument, so no value can end a directive or open a block.
type conf struct {
	buf   bytes.Buffer
	depth int
	tree  []directive // what was written, to compare with what is read back
}

// bareWord needs no quotes, and reads better without.
var bareWord = regexp.MustCompile(`^(?:~|\$?[a-z0-9_]+|\(\$[a-z0-9_]+\)|[A-Za-z0-9_/@*.\[=-][A-Za-z0-9_/@*.,:$()\[\]^?|+=-]*)$`)

// quote gives an argument in the form that NGINX's parser (ngx_conf_read_token)
// reads back as s.
func quote(s string) string {
	if bareWord.MatchString(s) {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' && (i+1 == len(s) || strings.IndexByte(`"'\trn`, s[i+1]) >= 0) {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	b.WriteByte('"')
	return b.String()
}

func (c *conf) indent() { c.buf.WriteString(strings.Repeat("    ", c.depth)) }

func (c *conf) words(args []string) {
	c.indent()
	for i, a := range args {
		if i > 0 {
			c.buf.WriteByte(' ')
		}
		c.buf.WriteString(quote(a))
	}
}

// set writes a simple directive, or an entry of a map.
func (c *conf) set(args ...string) {
	c.words(args)
	c.buf.WriteString(";\n")
	c.tree = append(c.tree, directive{args: args})
}

// block writes a directive with others inside.
func (c *conf) block(body func(), args ...string) {
	c.words(args)
	c.buf.WriteString(" {\n")
	outer := c.tree
	c.depth, c.tree = c.depth+1, []directive{}
	body()
	c.depth, c.tree = c.depth-1, append(outer, directive{args: args, block: c.tree})
	c.indent()
	c.buf.WriteString("}\n")
}

// refuse ends a request when a variable is neither empty nor "0".
func (c *conf) refuse(variable, status string) {
	c.block(func() { c.set("return", status) }, "if", "("+variable+")")
}

// comment writes lines that are the program's own text, never a value's.
func (c *conf) comment(lines ...string) {
	for _, l := range lines {
		c.indent()
		c.buf.WriteString(strings.TrimRight("# "+l, " ") + "\n")
	}
}

func (c *conf) gap() { c.buf.WriteByte('\n') }
