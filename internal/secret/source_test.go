package secret

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"mtlsplan/internal/config"
)

const text = "correct horse"

func TestValueNeverShowsItself(t *testing.T) {
	v := New([]byte(text))
	type nested struct {
		V  Value
		P  *Value
		M  map[string]Value
		un Value
	}
	n := nested{V: v, P: &v, M: map[string]Value{"k": v}, un: v}
	var shown []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c", "%U", "%5.1v"} {
		for _, a := range []any{v, &v, n, &n, []Value{v}, fmt.Errorf("wrapped: %v", v)} {
			shown = append(shown, fmt.Sprintf(verb, a))
		}
	}
	j, err := json.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	y, err := yaml.Marshal(map[string]any{"v": v, "p": &v})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "v", v, "p", &v, "n", n)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "v", v, "p", &v, "n", n)
	shown = append(shown, string(j), string(y), log.String(), fmt.Sprint(v), fmt.Sprintln(v))

	hexed := fmt.Sprintf("%x", text)
	decimal := strings.Trim(fmt.Sprint([]byte(text)), "[]")
	goHex := strings.Trim(fmt.Sprintf("%#v", []byte(text)), "[]byte{}")
	for _, s := range shown {
		for _, bad := range []string{text, hexed, strings.ToUpper(hexed), decimal, goHex} {
			if strings.Contains(s, bad) {
				t.Errorf("a secret shows in %q", s)
			}
		}
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	env := map[string]string{"SET": "from env\n", "EMPTY": ""}
	sh := func(script string) Ref {
		return Ref{Kind: config.FromCommand, Command: []string{"/bin/sh", "-c", script}, Dir: dir}
	}
	t.Setenv("MTLSPLAN_X", "mine")
	t.Setenv("OTHER_SECRET", "hidden")
	t.Setenv("VISIBLE", "shown")

	for _, c := range []struct {
		name    string
		ref     Ref
		want    string
		wantErr string
	}{
		{"a variable is taken as it is", Ref{Kind: config.FromEnv, Env: "SET"}, "from env\n", ""},
		{"an unset variable", Ref{Kind: config.FromEnv, Env: "GONE"}, "", "environment variable GONE is not set: set it, or name another source"},
		{"an empty variable", Ref{Kind: config.FromEnv, Env: "EMPTY"}, "", "environment variable EMPTY is empty: put the passphrase there, or name another source"},
		{"a file", Ref{Kind: config.FromFile, File: file("a", "pw")}, "pw", ""},
		{"one line end is dropped", Ref{Kind: config.FromFile, File: file("b", "pw\n")}, "pw", ""},
		{"a carriage return goes with it", Ref{Kind: config.FromFile, File: file("c", "pw\r\n")}, "pw", ""},
		{"only one", Ref{Kind: config.FromFile, File: file("d", "pw\n\n")}, "pw\n", ""},
		{"a carriage return alone stays", Ref{Kind: config.FromFile, File: file("e", "pw\r")}, "pw\r", ""},
		{"a file with a line end only", Ref{Kind: config.FromFile, File: file("f", "\n")}, "", "is empty"},
		{"no file", Ref{Kind: config.FromFile, File: dir + "/gone"}, "", "/gone: no such file or directory: write the passphrase into it, or name another source"},
		{"a directory", Ref{Kind: config.FromFile, File: dir}, "", "is a directory: name a file that holds the passphrase"},
		{"a device", Ref{Kind: config.FromFile, File: os.DevNull}, "", "/dev/null: it is a pipe, a socket or a device, not a regular file: name a file that holds the passphrase, or a program that prints it"},
		{"a huge file", Ref{Kind: config.FromFile, File: file("g", strings.Repeat("x", readLimit+1))}, "", "gives more than 65536 bytes"},
		{"a program", sh("echo out; echo err >&2"), "out", ""},
		{"a program's environment", sh(`echo "$MTLSPLAN_X,$OTHER_SECRET,$VISIBLE"`), ",,shown", ""},
		{"a program's directory", sh("pwd -P"), realPath(t, dir), ""},
		{"a program has no input", sh("cat; echo end"), "end", ""},
		{"a failing program", sh("echo " + text + "; echo " + text + " >&2; exit 3"), "", "command /bin/sh ended with exit status 3: run it by hand in " + dir + " to find out why"},
		{"a silent program", sh(":"), "", "command /bin/sh is empty"},
		{"an endless program", sh("while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done"), "", "gives more than 65536 bytes"},
		{"no such program", Ref{Kind: config.FromCommand, Command: []string{"no-such-program-here"}, Dir: dir}, "", "command no-such-program-here cannot be started: executable file not found in $PATH"},
		{"no such program by path", Ref{Kind: config.FromCommand, Command: []string{"./gone"}, Dir: dir}, "", "command ./gone cannot be started: no such file or directory"},
		{"an argument is no shell text", Ref{Kind: config.FromCommand, Command: []string{"echo", "$HOME;x"}, Dir: dir}, "$HOME;x", ""},
		{"generated", Ref{Kind: config.Generated}, "", "generated: this source cannot be read"},
		{"none", Ref{}, "", "no source: this source cannot be read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, err := c.ref.Read(t.Context(), func(n string) (string, bool) { s, ok := env[n]; return s, ok }, []string{"OTHER_SECRET"})
			if c.wantErr == "" {
				if err != nil || string(v.bytes()) != c.want {
					t.Fatalf("got %q, %v, want %q", v.bytes(), err, c.want)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.wantErr) {
				t.Fatalf("error %v, want %q", err, c.wantErr)
			}
			if strings.Contains(err.Error(), text) || strings.Contains(err.Error(), "\n") {
				t.Errorf("the error shows what was read: %q", err)
			}
		})
	}
}

func realPath(t *testing.T, p string) string {
	t.Helper()
	r, err := filepath.EvalSymlinks(p)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestReadEndsWithItsContext(t *testing.T) {
	ref := Ref{Kind: config.FromCommand, Command: []string{"sleep", "60"}, Dir: t.TempDir()}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if _, err := ref.Read(ctx, nil, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%s: %v", ref, err)
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("%s: it ended only after %s", ref, took)
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"x", ""},
		{strings.Repeat("x", MaxLen), ""},
		{` !"#~ `, ""},
		{"", "is empty"},
		{strings.Repeat("x", MaxLen+1), "longer than 1023 bytes"},
		{"secretpart\n", "ends with a line end"},
		{"secretpart\x00more", "contains a control character"},
		{"\x7fsecretpart", "begins with a control character"},
		{"\ufeffsecretpart", "begins with a byte order mark"},
		{"\xff\xfes\x00e\x00c\x00", "is stored as UTF-16"},
		{"\xfe\xff\x00s\x00e\x00c", "is stored as UTF-16"},
		{"secretpärt", "contains a character outside ASCII"},
	} {
		err := Check(New([]byte(c.in)))
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%q: %v", c.in, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%q: %v, want %q", c.in, err, c.want)
		case err != nil && strings.Contains(err.Error(), "secretp"):
			t.Errorf("the error shows the secret: %v", err)
		}
	}
}

func TestLine(t *testing.T) {
	for in, want := range map[string]string{"pw": "pw", "pw\n": "pw", "pw\r\n": "pw", "pw\n\n": "pw\n", "": ""} {
		if got := Line([]byte(in)); string(got.bytes()) != want {
			t.Errorf("%q: %q, want %q", in, got.bytes(), want)
		}
	}
}

func TestRefs(t *testing.T) {
	refs := []Ref{
		{}, {Kind: config.Generated}, {Kind: config.FromEnv, Env: "A"}, {Kind: config.FromEnv, Env: "B"}, {Kind: config.FromFile, File: "/p"},
		{Kind: config.FromCommand, Command: []string{"pass", "show", "x"}, Dir: "/d"},
		{Kind: config.FromCommand, Command: []string{"pass", "show", "y"}, Dir: "/d"},
		{Kind: config.FromCommand, Command: []string{"pass", "show", "x"}, Dir: "/e"},
	}
	want := []string{"no source", "generated", "environment variable A", "environment variable B", "file /p", "command pass", "command pass", "command pass"}
	for i, r := range refs {
		if r.String() != want[i] {
			t.Errorf("%#v is described as %q, want %q", r, r, want[i])
		}
		for j, s := range refs {
			if config.Source(r).Same(config.Source(s)) != (i == j) {
				t.Errorf("%#v and %#v: same is %t", r, s, config.Source(r).Same(config.Source(s)))
			}
		}
	}
}

func TestRandom(t *testing.T) {
	form := regexp.MustCompile(`^[a-km-np-z2-9]{4}(-[a-km-np-z2-9]{4}){6}$`)
	seen := map[string]bool{}
	letters := map[rune]bool{}
	for range 500 {
		v := Random()
		s := string(v.bytes())
		if !form.MatchString(s) || Check(v) != nil {
			t.Fatalf("%q is not a passphrase in the right form", s)
		}
		if !v.IsRandom() || New([]byte(s[1:])).IsRandom() || New([]byte(s[:28]+"-"+s[29:])).IsRandom() || New([]byte(s[:3]+"l"+s[4:])).IsRandom() {
			t.Fatalf("IsRandom is wrong about %q or a variant of it", s)
		}
		if seen[s] {
			t.Fatal("the same passphrase twice")
		}
		seen[s] = true
		for _, r := range s {
			letters[r] = true
		}
	}
	if len(letters) != len(alphabet)+1 {
		t.Errorf("%d characters are used, want %d and the dash", len(letters), len(alphabet))
	}
}
