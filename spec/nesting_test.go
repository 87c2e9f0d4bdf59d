package spec

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// TestNestingFollowsScanner holds the walk against HCL's own scanner: both must
// agree at the end of any text on whether it stands in a string, a heredoc, a
// template or code. If they did not, brackets could be hidden from the walk.
func TestNestingFollowsScanner(t *testing.T) {
	parts := []string{`"`, `"`, `${`, `%{`, `$${`, `%%{`, `$`, `%`, `}`, `{`, `[`, `]`, `(`, `)`, `\`, `\"`, "\n", "\n", "\r\n",
		"#", "//", "/*", "*/", "<<EOT\n", "<<-EOT\r\n", "EOT\n", "  EOT\n", "EOT", "a", " ", "é", "<<", "'", "="}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		var b strings.Builder
		for range rng.IntN(14) {
			b.WriteString(parts[rng.IntN(len(parts))])
		}
		src := b.String()
		s := nesting{src: []byte(src)}
		for s.pos < len(s.src) {
			switch {
			case len(s.open) > 0 && s.open[len(s.open)-1] == '"':
				s.quoted()
			case len(s.open) > 0 && s.open[len(s.open)-1] == '<':
				s.heredoc()
			default:
				s.code()
			}
		}
		have := ""
		for _, c := range s.open {
			if strings.ContainsRune(`"<$`, rune(c)) {
				have += string(c)
			}
		}
		if want := scannerState(src); have != want {
			t.Fatalf("%q ends in %q, by HCL's scanner in %q", src, have, want)
		}
	}
}

// scannerState is what HCL's scanner has open at the end of src.
func scannerState(src string) string {
	var open []byte
	tokens, _ := hclsyntax.LexConfig([]byte(src), "", hcl.InitialPos)
	for _, tok := range tokens {
		switch tok.Type {
		case hclsyntax.TokenOQuote:
			open = append(open, '"')
		case hclsyntax.TokenOHeredoc:
			open = append(open, '<')
		case hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			open = append(open, '$')
		case hclsyntax.TokenCQuote, hclsyntax.TokenCHeredoc, hclsyntax.TokenTemplateSeqEnd:
			if len(open) > 0 {
				open = open[:len(open)-1]
			}
		}
	}
	return string(open)
}
