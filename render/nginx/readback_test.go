package nginx

import (
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mtlsplan/internal/testing/tools"
)

// readBack wants of the parser of certbot's NGINX plugin, which has nothing in common
// with the printer here, that it reads the printed directives as they were meant. It
// leaves arguments quoted; the rules of [unquote] are those of ngx_conf_read_token.
func readBack(t rapid.TB, ds []directive) {
	t.Helper()
	printed := text(ds)
	tree := tools.Certbot(t, printed)
	nodes, ok := tree.([]any)
	if !ok {
		t.Fatalf("%v in\n%s", tree, printed)
	}
	if got, want := fromCertbot(nodes), withoutComments(ds); !reflect.DeepEqual(got, want) {
		t.Fatalf("read back as\n%q\nmeant was\n%q\nprinted was\n%s", got, want, printed)
	}
}

// fromCertbot turns certbot's lists into directives: ["#", text] is a comment,
// [[arg, …], [node, …]] a block, [arg, …] a simple directive.
func fromCertbot(nodes []any) []directive {
	out := []directive{}
	for _, n := range nodes {
		parts := n.([]any)
		if parts[0] == "#" {
			continue
		}
		d := directive{}
		if head, ok := parts[0].([]any); ok {
			d.block = fromCertbot(parts[1].([]any))
			parts = head
		}
		for _, p := range parts {
			d.args = append(d.args, unquote(p.(string)))
		}
		out = append(out, d)
	}
	return out
}

func unquote(token string) string {
	if token[0] != '"' {
		return token
	}
	return strings.NewReplacer(`\"`, `"`, `\'`, `'`, `\\`, `\`, `\t`, "\t", `\r`, "\r", `\n`, "\n").Replace(token[1 : len(token)-1])
}

func withoutComments(ds []directive) []directive {
	out := []directive{}
	for _, d := range ds {
		if d.args == nil {
			continue
		}
		if d.block != nil {
			d.block = withoutComments(d.block)
		}
		out = append(out, d)
	}
	return out
}

// TestReadBackNotices holds the reader itself to what it is there for.
func TestReadBackNotices(t *testing.T) {
	meant := []directive{{args: []string{"a", "b c"}}, {args: []string{"d"}, block: []directive{}}}
	for printed, want := range map[string]bool{
		"a \"b c\";\n# note\nd {\n}\n": true,
		"a b c;\nd {}":                 false,
		"a \"b c\"; d;":                false,
		"a \"b c\"; d { e; }":          false,
		"a \"b c\" d {}":               false,
		"a \"b c\";":                   false,
	} {
		nodes, _ := tools.Certbot(t, []byte(printed)).([]any)
		if got := reflect.DeepEqual(fromCertbot(nodes), meant); got != want {
			t.Errorf("%q is as meant: %v, want %v", printed, got, want)
		}
	}
}
