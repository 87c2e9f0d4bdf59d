package nginx

import (
	"bufio"
	"encoding/json"
	"io"
	"os/exec"
	"reflect"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// A rendered text is read back by the parser of certbot's NGINX plugin, which
// has nothing in common with the printer here. It leaves arguments quoted; the
// rules of [unquote] are those of ngx_conf_read_token.
const certbot = `
import json, sys
from certbot_nginx._internal.nginxparser import loads
for line in sys.stdin:
    try:
        tree = loads(json.loads(line))
    except Exception as e:
        tree = "certbot: %s" % e
    print(json.dumps(tree), flush=True)
`

// reader is one Python for all tests: a line of JSON in, a line of JSON out.
var reader = sync.OnceValues(func() (func(text []byte) (any, error), error) {
	python := "/usr/bin/python3" // for which Debian's packages are made
	if exec.Command(python, "-c", "import certbot_nginx").Run() != nil {
		python = "python3"
	}
	cmd := exec.Command(python, "-c", certbot)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	out := bufio.NewReader(pipe)
	var lock sync.Mutex
	return func(text []byte) (tree any, err error) {
		lock.Lock()
		defer lock.Unlock()
		line, err := json.Marshal(string(text))
		if err != nil {
			return nil, err
		}
		if _, err := in.Write(append(line, '\n')); err != nil {
			return nil, err
		}
		answer, err := out.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return nil, err
		}
		return tree, json.Unmarshal(answer, &tree)
	}, cmd.Start()
})

// readBack wants of certbot that it reads the printed directives as they were
// meant.
func readBack(t rapid.TB, ds []directive) {
	t.Helper()
	read, err := reader()
	if err != nil {
		t.Fatal(err)
	}
	printed := text(ds)
	tree, err := read(printed)
	if err != nil {
		t.Fatalf("no answer from certbot's parser, of the Debian package python3-certbot-nginx: %v", err)
	}
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
		read, err := reader()
		if err != nil {
			t.Fatal(err)
		}
		tree, err := read([]byte(printed))
		if err != nil {
			t.Fatal(err)
		}
		nodes, _ := tree.([]any)
		if got := reflect.DeepEqual(fromCertbot(nodes), meant); got != want {
			t.Errorf("%q is as meant: %v, want %v", printed, got, want)
		}
	}
}
