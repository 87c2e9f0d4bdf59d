package nginxconf

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"mtlsplan/internal/testing/tools"
)

// tree is a list of directives as lists of words.
func tree(list []*Directive) []any {
	out := []any{}
	for _, d := range list {
		words := []any{d.Name}
		for _, a := range d.Args {
			words = append(words, a)
		}
		switch {
		case d.Lua != "":
			words = append(words, "LUA "+d.Lua)
		case d.Opens:
			words = append(words, tree(d.Block))
		}
		out = append(out, words)
	}
	return out
}

func TestParse(t *testing.T) {
	for _, c := range []struct{ name, text, want, err string }{
		{"empty", "", `[]`, ""},
		{"blank and comment without a line end", " \n# x", `[]`, ""},
		{"directives", "a;\nb c  d;", `[["a"],["b","c","d"]]`, ""},
		{"a block", "server { listen 80; }", `[["server",[["listen","80"]]]]`, ""},
		{"quotes", `a "b c" 'd;{}' "e'f" '"';`, `[["a","b c","d;{}","e'f","\""]]`, ""},
		{"escapes", `a "b\"c" b\ c \; "\t\n\r\\" "\d" \$x;`, `[["a","b\"c","b\\ c","\\;","\t\n\r\\","\\d","\\$x"]]`, ""},
		{"braced variables", `a ${b}c x${b} "${b}";`, `[["a","${b}c","x${b}","${b}"]]`, ""},
		{"a quote inside a word", `a b"c;`, `[["a","b\"c"]]`, ""},
		{"if", `if ($a = "b") { return 403; }`, `[["if","($a","=","b",")",[["return","403"]]]]`, ""},
		{"if without blanks", "if ($a){return 403;}", `[["if","($a)",[["return","403"]]]]`, ""},
		{"an empty word", `a "";`, `[["a",""]]`, ""},
		{"a map", "map $a $b {\n default 0;\n \"~^x{2}\" 1;\n listen\n 1;\n}", `[["map","$a","$b",[["default","0"],["~^x{2}","1"],["listen","1"]]]]`, ""},
		{"CRLF", "a b;\r\n# c\r\nd\r\n{ }\r\n", `[["a","b"],["d",[]]]`, ""},
		{"a hash in a word", "a b#c;", `[["a","b#c"]]`, ""},
		{"a comment inside a directive", "a # no;\nb;", `[["a","b"]]`, ""},
		{"several lines in quotes", "a 'b\nc';d;", `[["a","b\nc"],["d"]]`, ""},
		{"Lua", `x_by_lua_block { a = "}" -- }` + "\n" + `b = [[}]] c = [==[ ]] } ]==] d = {1} e = '\'}' --[[ } ]] } y;`,
			`[["x_by_lua_block","LUA  a = \"}\" -- }\nb = [[}]] c = [==[ ]] } ]==] d = {1} e = '\\'}' --[[ } ]] "],["y"]]`, ""},
		{"a mark", "\uFEFFa;", `[["a"]]`, "f:1: the file begins with a byte order mark (EF BB BF), which NGINX takes for a part of the first directive; save it as UTF-8 without one"},
		{"no semicolon", "ssl_verify_client on\n  ssl_crl a;\nb;", `[["ssl_verify_client","on"],["ssl_crl","a"],["b"]]`, `f:1: "ssl_verify_client" has no ";" at its end, so NGINX takes line 2 for a part of it`},
		{"lines left out", "a;\n...\n\nlocation / { b; }", `[["a"],["..."],["location","/",[["b"]]]]`, `f:2: "..." has no ";" at its end, so NGINX takes line 4 for a part of it`},
		{"a name as an argument", "log_format a\n 'x'\n include;", `[["log_format","a","x"],["include"]]`, `f:1: "log_format" has no ";" at its end, so NGINX takes line 3 for a part of it`},
		{"an open block", "a {\n b;\n", `[["a",[["b"]]]]`, `f:3: the file ends where NGINX expects the "}" of line 1`},
		{"an open directive", "a;\nb", `[["a"]]`, `f:2: the file ends where NGINX expects ";" or "}"`},
		{"an open quote", "a \"b;\n", `[]`, `f:2: the file ends where NGINX expects ";" or "}"`},
		{"a brace too many", "a;\n}\nb;", `[["a"]]`, `f:2: NGINX does not expect "}" here`},
		{"a brace in a directive", "a b }", `[]`, `f:1: NGINX does not expect "}" here`},
		{"a lone semicolon", "a;;", `[["a"]]`, `f:1: NGINX does not expect ";" here`},
		{"a word behind a quote", `a "b"ü;`, `[]`, `f:1: NGINX does not expect "ü" here`},
		{"open Lua", "a;\nx_by_lua_block { '}", `[["a"],["x_by_lua_block",[]]]`, `f:2: the file ends inside this block of Lua; its "}" is missing`},
	} {
		t.Run(c.name, func(t *testing.T) {
			list, errs := Parse("f", []byte(c.text))
			have, err := json.Marshal(tree(list))
			if err != nil {
				t.Fatal(err)
			}
			var want bytes.Buffer
			enc := json.NewEncoder(&want)
			var v any
			if err := json.Unmarshal([]byte(c.want), &v); err != nil {
				t.Fatal(err)
			}
			enc.Encode(v)
			if string(have) != strings.TrimSpace(want.String()) {
				t.Errorf("have %s\nwant %s", have, want.String())
			}
			if text := fmt.Sprint(errs); text != "["+c.err+"]" {
				t.Errorf("errors %s\n  want [%s]", text, c.err)
			}
		})
	}
}

func TestPlaces(t *testing.T) {
	list, errs := Parse("f", []byte("é; a \"x\n\" {\r\n\tb c;\n}\n  d_by_lua_block {\n\n} e;"))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var have []string
	var visit func([]*Directive)
	visit = func(list []*Directive) {
		for _, d := range list {
			have = append(have, fmt.Sprintf("%s %s:%d:%d", d.Name, d.File, d.Line, d.Column))
			visit(d.Block)
		}
	}
	visit(list)
	want := "é f:1:1, a f:1:4, b f:3:2, d_by_lua_block f:5:3, e f:7:3"
	if text := strings.Join(have, ", "); text != want {
		t.Errorf("have %s\nwant %s", text, want)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range pieces {
		f.Add([]byte(s))
	}
	f.Add([]byte("server { listen 443 ssl; location / { proxy_pass http://a; } }"))
	f.Add([]byte("a_by_lua_block { [==[ } ]==] }"))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, _ := Parse("f", text)
		lines := 1 + bytes.Count(text, []byte("\n"))
		var visit func([]*Directive, int)
		visit = func(list []*Directive, from int) {
			for _, d := range list {
				if d.Line < from || d.Line > lines || d.Column < 1 {
					t.Fatalf("%q stands at line %d, column %d", d.Name, d.Line, d.Column)
				}
				visit(d.Block, d.Line)
			}
		}
		visit(list, 1)
	})
}

// pieces are what generated configurations are made of. Each directive is one that
// NGINX takes in the http block, any number of times.
var pieces = []string{
	"add_header X-A b;", "add_header X-A \"b c\" always;", "add_header 'X-A' 'it\"s';\r\n", "add_header X-A \"a\\\"b\\\\c\";", "add_header X-A b\\ c;",
	"add_header X-A \"${host}x\";", "add_header X-A ${host}{;", "add_header X-A \"\n\n\";", "add_header X-A 'semi;colon{}#';", "# a comment; with { and \"\n", "#", "\r\n", "\n", "\t ", "\n\n",
	"map $host $a { default 0; \"~^x{2}\" 1; ~y\\d 2; }\n", "map $uri $b {\n# c\n  hostnames;\n a 1;\n}\n", "server { listen 127.0.0.1:1; if ($host = \"x\") { return 403; } }\n",
	"server { listen 127.0.0.1:1; location ~ ^/[a-z]{2}/ { return 200 'a'; } location = /x { if ($uri ~ \"^/a\\.b$\"){return 404;} } }\n",
	"log_format x '$host'\n   '[$uri]';", "geo $g { default 0; 10.0.0.0/8 1; }", ";", "{", "}", "\"", "'", "\\", "$", "a", ")", "(", "\"x\"y", "'x')", "é;",
	"add_header X " + strings.Repeat("x", 4095) + ";", "add_header X " + strings.Repeat("x", 4096) + ";", "add_header X \"" + strings.Repeat("x", 4094) + "\";", "add_header X \"" + strings.Repeat("x", 4095) + "\";",
	"# " + strings.Repeat("x", 4093) + "\n", "# " + strings.Repeat("x", 4094) + "\n", strings.Repeat(" ", 5000), "add_header X 'a'" + strings.Repeat(" ", 5000) + ";",
}

// generated is a configuration from the pieces, damaged in one of three.
func generated(r *rand.Rand) []byte {
	var b strings.Builder
	damaged := r.IntN(3) == 0
	for range 1 + r.IntN(8) {
		for {
			p := pieces[r.IntN(len(pieces))]
			if !damaged && (len(strings.TrimSpace(p)) < 4 && strings.TrimSpace(p) != "" || strings.Count(p, "x") > 4093 && r.IntN(4) > 0) {
				continue
			}
			b.WriteString(p)
			break
		}
	}
	text := []byte(b.String())
	if damaged && len(text) > 0 && r.IntN(2) == 0 {
		at := r.IntN(len(text))
		text = append(text[:at:at], text[at+1:]...)
	}
	return text
}

var complaint = regexp.MustCompile(`\[emerg\] (.*) in .*site:(\d+)\n`)

// TestAgainstNginx lets NGINX read generated files. It must take those that Parse
// takes, as far as its grammar goes, and where it complains of the grammar, it must do so
// at the line of Parse's error.
func TestAgainstNginx(t *testing.T) {
	tools.Need(t, "nginx")
	rounds := 600
	if testing.Short() {
		rounds = 60
	}
	dir := t.TempDir()
	main := "pid x.pid; error_log err.log; events {} http { access_log off; " +
		"client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s; include site; }"
	if err := os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(main), 0o600); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	taken, refused := 0, 0
	for range rounds {
		text := generated(r)
		if err := os.WriteFile(filepath.Join(dir, "site"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("nginx", "-t", "-p", dir+"/", "-c", "nginx.conf", "-e", "err.log").CombinedOutput()
		_, errs := Parse("site", text)
		m := complaint.FindSubmatch(out)
		switch {
		case err == nil && len(errs) > 0:
			t.Errorf("NGINX takes what Parse refuses: %v\n%.300q", errs, text)
		case err == nil:
			taken++
		case m == nil:
			t.Fatalf("nginx -t: %s\n%q", out, text)
		case grammar.Match(m[1]):
			refused++
			line, _ := strconv.Atoi(string(m[2]))
			if len(errs) == 0 || lastLine(errs) != line {
				t.Errorf("NGINX: %s at line %d; Parse: %v\n%.300q", m[1], line, errs, text)
			}
		}
	}
	t.Logf("%d taken, %d refused for their grammar", taken, refused)
	if taken < rounds/5 || refused < rounds/20 {
		t.Error("the generated files are one-sided")
	}
}

var grammar = regexp.MustCompile(`^(unexpected|too long parameter)`)

func lastLine(errs []*Error) int { return errs[len(errs)-1].Line }
