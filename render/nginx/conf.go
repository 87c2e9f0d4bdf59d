package nginx

import (
	"bytes"
	"regexp"
	"strings"
)

// directive is a node of a configuration: a directive, an entry of a map, or a
// line between them that NGINX skips.
type directive struct {
	args    []string    // name and arguments, as NGINX is to read them; nil for a comment or a blank line
	block   []directive // what is inside the braces, nil for a simple directive
	comment string      // "#" and its text; "" beside nil args for a blank line
}

// conf collects the directives of a configuration.
type conf struct{ written []directive }

// set adds a simple directive, or an entry of a map.
func (c *conf) set(args ...string) {
	c.written = append(c.written, directive{args: args})
}

// block adds a directive with others inside.
func (c *conf) block(body func(), args ...string) {
	outer := c.written
	c.written = []directive{}
	body()
	c.written = append(outer, directive{args: args, block: c.written})
}

// refuse ends a request when a variable is neither empty nor "0".
func (c *conf) refuse(variable, status string) {
	c.block(func() { c.set("return", status) }, "if", "("+variable+")")
}

// comment adds lines that are the program's own text, never a value's.
func (c *conf) comment(lines ...string) {
	for _, l := range lines {
		c.written = append(c.written, directive{comment: strings.TrimRight("# "+l, " ")})
	}
}

func (c *conf) gap() { c.written = append(c.written, directive{}) }

// text prints directives so that NGINX reads them back as they are: whatever
// an argument holds, it stays that one argument, and no value can end a
// directive or open a block.
func text(ds []directive) []byte {
	var b bytes.Buffer
	printAll(&b, ds, "")
	return b.Bytes()
}

func printAll(b *bytes.Buffer, ds []directive, indent string) {
	for _, d := range ds {
		if d.args == nil {
			if d.comment != "" {
				b.WriteString(indent + d.comment)
			}
			b.WriteByte('\n')
			continue
		}
		b.WriteString(indent)
		for i, a := range d.args {
			if i > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(quote(a))
		}
		if d.block == nil {
			b.WriteString(";\n")
			continue
		}
		b.WriteString(" {\n")
		printAll(b, d.block, indent+"    ")
		b.WriteString(indent + "}\n")
	}
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
