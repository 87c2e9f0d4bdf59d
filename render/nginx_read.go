package render

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// directive is a node of a configuration.
type directive struct {
	args  []string
	block []directive // nil for a simple directive
}

// readBackNginx parses the text of a site and compares its directives with
// those that the settings ask for.
func readBackNginx(site Site, text []byte) error {
	got, err := parseNginx(text)
	if err != nil {
		return err
	}
	return sameDirectives(got, confOf(site).tree)
}

func sameDirectives(got, want []directive) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d directives where %d were written", len(got), len(want))
	}
	for i, g := range got {
		w := want[i]
		if !slices.Equal(g.args, w.args) || (g.block == nil) != (w.block == nil) {
			return fmt.Errorf("the directive %q is read back as another", w.args[0])
		}
		if err := sameDirectives(g.block, w.block); err != nil {
			return fmt.Errorf("%s: %w", w.args[0], err)
		}
	}
	return nil
}

// parseNginx reads NGINX configuration as ngx_conf_read_token does: it is
// written from the rules of that function and shares nothing with the writer.
func parseNginx(text []byte) ([]directive, error) {
	p := &confParser{in: string(text)}
	return p.directives(false)
}

type confParser struct {
	in  string
	pos int
}

func (p *confParser) directives(inner bool) ([]directive, error) {
	out := []directive{}
	var args []string
	for {
		arg, end, err := p.token()
		if err != nil {
			return nil, err
		}
		switch end {
		case 'w':
			args = append(args, arg)
		case ';':
			if len(args) == 0 {
				return nil, fmt.Errorf("unexpected ; at %d", p.pos)
			}
			out = append(out, directive{args: args})
			args = nil
		case '{':
			if len(args) == 0 {
				return nil, fmt.Errorf("unexpected { at %d", p.pos)
			}
			block, err := p.directives(true)
			if err != nil {
				return nil, err
			}
			out = append(out, directive{args, block})
			args = nil
		case '}':
			if !inner || len(args) > 0 {
				return nil, fmt.Errorf("unexpected } at %d", p.pos)
			}
			return out, nil
		case 0:
			if inner || len(args) > 0 {
				return nil, errors.New("unexpected end")
			}
			return out, nil
		}
	}
}

// token gives a word ('w'), one of ; { }, or 0 at the end.
func (p *confParser) token() (string, byte, error) {
	for p.pos < len(p.in) && strings.IndexByte(" \t\r\n", p.in[p.pos]) >= 0 {
		p.pos++
	}
	if p.pos == len(p.in) {
		return "", 0, nil
	}
	switch c := p.in[p.pos]; c {
	case ';', '{', '}':
		p.pos++
		return "", c, nil
	case '#':
		for p.pos < len(p.in) && p.in[p.pos] != '\n' {
			p.pos++
		}
		return p.token()
	case '"', '\'':
		return p.quoted(c)
	}
	start := p.pos
	for p.pos < len(p.in) && strings.IndexByte(" \t\r\n;{", p.in[p.pos]) < 0 {
		if p.in[p.pos] == '\\' {
			p.pos++
		}
		p.pos++
		if strings.HasSuffix(p.in[:min(p.pos, len(p.in))], "$") && p.pos < len(p.in) && p.in[p.pos] == '{' {
			p.pos++
		}
	}
	if p.pos >= len(p.in) {
		return "", 0, errors.New("word without end")
	}
	return unescape(p.in[start:p.pos]), 'w', nil
}

func (p *confParser) quoted(quote byte) (string, byte, error) {
	start := p.pos + 1
	for p.pos = start; p.pos < len(p.in) && p.in[p.pos] != quote; p.pos++ {
		if p.in[p.pos] == '\\' {
			p.pos++
		}
	}
	if p.pos+1 >= len(p.in) {
		return "", 0, errors.New("quote without end")
	}
	word := p.in[start:p.pos]
	p.pos++
	if strings.IndexByte(" \t\r\n;{)", p.in[p.pos]) < 0 {
		return "", 0, fmt.Errorf("unexpected %q behind a quote", p.in[p.pos])
	}
	return unescape(word), 'w', nil
}

func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			if j := strings.IndexByte(`"'\trn`, s[i+1]); j >= 0 {
				b.WriteByte("\"'\\\t\r\n"[j])
				i++
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
