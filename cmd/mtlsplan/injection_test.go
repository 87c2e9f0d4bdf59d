package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"mtlsplan/internal/testing/sample"
	"mtlsplan/render/proxies"
	"mtlsplan/spec"
)

// inside is a text that must not begin a line, a directive or the name of a file.
const inside = "zzinside"

// hostileTexts are texts that mean something to a shell, a terminal, a path, a
// DN, a web server, a spreadsheet or a parser. Every place gets the first ones.
var hostileTexts = append([]string{
	"a\n" + inside + ": b", "a\r\n" + inside, "a\x00b", "\x1b[31mred", "\u009b31mred", "\u202eevil", `a"b`, "a; " + inside + " on;", "}" + inside + "{", "a$b", `a\`,
	"../../" + inside, "-rf", "=cmd|'/C calc'!A0", "a\t=1", "x/CN=other", "a,CN=x", "a%00b", strings.Repeat("ä", 3000), "\xff\xfe", "e\u0301", "+1",
}, moreHostileTexts...)

const forEveryPlace = 22

// moreHostileTexts are for places that take any text, or make names of it.
var moreHostileTexts = []string{
	"a\r" + inside, "\x1b]0;" + inside + "\x07", "\u2066x\u2069", "\u200bx", "\u2028" + inside, "\ufeffx", "\ufffd", "\U000e0041", "a'b", "a`b", "a;b", "a{b}", "$host", "a#b", "# b", `\`, `a\b`, "a\\\n",
	"${x}", "%{x}", "$(id)", "`id`", "<script>alert(1)</script>", "&amp;", "../x", "/" + inside, "a/../../" + inside, ".", "..", "~/x", "con", "a:b", "*", "a b", " a", "a ", "", "--help",
	"=1+1", "-1", "@SUM(A1)", "\t=1", "|calc", "/CN=other", "a/CN=other", "x+CN=other", "CN=x", "%n%s", "%2e%2e%2f", strings.Repeat("x", 64), strings.Repeat("x", 65), "\u00e9", "\xc0\xaf", "a\xe2\x82", "\U0001F600",
	"null", "true", "1e999", "[]", "!!python/object:x", "&a", "*a", "<<",
}

// hole is a place in the language for a text.
type hole struct {
	name string
	free bool                                // it takes nearly any text, or names files
	fill func(text string) map[string]string // the files, m.hcl among them
}

// blank is a small spec: its blocks, in order, with their attributes.
type blank struct {
	labels map[string]string
	says   map[string]map[string]string
}

func newBlank() blank {
	return blank{map[string]string{"ca": "m", "user": "ann", "nginx": "m", "roster": "r"}, map[string]map[string]string{
		"": {"output": `"out"`}, "ca": {"key": `"ecdsa-p256"`, "kdf_iterations": "1000", "passphrase": `{ env = "P" }`}, "ca/subject": {"common_name": `"example.mattermost.com"`},
		"defaults": {"p12": `["modern"]`, "kdf_iterations": "1000", "passphrase": `{ env = "P" }`}, "user": {}, "nginx": {"server_name": `["example.mattermost.com"]`, "upstream": `["127.0.0.1:8065"]`},
	}}
}

// required are the attributes that a block needs before others are checked.
var required = map[string]map[string]string{"nginx/deploy": {"site": `"/etc/nginx/sites-available/m"`}, "roster": {"file": `"r.csv"`},
	"moved": {"from": `"user.zed"`, "to": `"user.ann"`}}

func (b blank) set(block, attribute, expr string) {
	if b.says[block] == nil {
		b.says[block] = maps.Clone(required[block])
	}
	if b.says[block] == nil {
		b.says[block] = map[string]string{}
	}
	b.says[block][attribute] = expr
}

func (b blank) String() string {
	var out strings.Builder
	lines := func(block, indent string) {
		for _, name := range slices.Sorted(maps.Keys(b.says[block])) {
			fmt.Fprintf(&out, "%s%s = %s\n", indent, name, b.says[block][name])
		}
	}
	lines("", "")
	for _, block := range slices.Sorted(maps.Keys(b.says)) {
		if block == "" || strings.Contains(block, "/") {
			continue
		}
		head := block
		if label, ok := b.labels[block]; ok {
			head += " " + quote(label)
		}
		fmt.Fprintf(&out, "%s {\n", head)
		lines(block, "  ")
		for _, inner := range slices.Sorted(maps.Keys(b.says)) {
			if outer, name, ok := strings.Cut(inner, "/"); ok && outer == block {
				fmt.Fprintf(&out, "  %s {\n", name)
				lines(inner, "    ")
				out.WriteString("  }\n")
			}
		}
		out.WriteString("}\n")
	}
	return out.String()
}

// quote writes a text in HCL's syntax.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.Write([]byte{'\\', c})
		case c < ' ' || c == 0x7f:
			fmt.Fprintf(&b, `\u%04x`, c)
		case (c == '$' || c == '%') && i+1 < len(s) && s[i+1] == '{':
			b.Write([]byte{c, c})
		default:
			b.WriteByte(c)
		}
	}
	return b.String() + `"`
}

// holes are all places of the language. They come from the tables by which the spec itself
// is read, so that a new attribute is tried, too.
func holes() []hole {
	var all []hole
	add := func(block, attribute, form string) {
		free := form == "%s" && (attribute == "email" || strings.HasSuffix(block, "subject") || attribute == "file")
		all = append(all, hole{strings.TrimPrefix(block+"/"+attribute+" "+form, "/"), free, func(text string) map[string]string {
			b := newBlank()
			b.set(block, attribute, fmt.Sprintf(form, quote(text)))
			return map[string]string{"m.hcl": b.String(), "r.csv": "name\nbob\n"}
		}})
	}
	everywhere := func(block, attribute string) {
		add(block, attribute, "%s")
		add(block, attribute, "[%s]")
		if strings.Contains(attribute, "pass") {
			for _, form := range []string{"{ env = %s }", "{ file = %s }", "{ command = [%s] }", "{ command = [\"printf\", %s] }", "{ generate = %s }", "{ %s = true }"} {
				add(block, attribute, form)
			}
		}
		if attribute == "email" {
			all = append(all, hole{block + "/email, before the @", true, func(text string) map[string]string {
				b := newBlank()
				b.set(block, attribute, quote(text+"@example.com"))
				return map[string]string{"m.hcl": b.String()}
			}})
		}
	}
	for _, block := range spec.Reference() {
		outer := block.In
		if len(outer) == 0 {
			outer = []string{""}
		}
		for _, o := range outer {
			path := strings.Trim(o+"/"+block.Name, "/")
			for _, a := range block.Attributes {
				everywhere(path, a.Name)
			}
			if block.Labeled {
				all = append(all, labelHole(block.Name))
			}
		}
	}
	for _, p := range proxies.All {
		all = append(all, labelHole(p.Name))
		for _, s := range p.Attributes {
			everywhere(p.Name, s.Name)
		}
		for _, inner := range p.Blocks {
			for _, s := range inner.Attributes {
				everywhere(p.Name+"/"+inner.Name, s.Name)
			}
		}
	}
	all = append(all, cellHole("name", "yaml"), cellHole("subject.common_name", "yaml"))
	for _, column := range spec.RosterColumns() {
		for _, kind := range []string{"csv", "json"} {
			all = append(all, cellHole(column, kind))
		}
	}
	return all
}

func labelHole(block string) hole {
	return hole{"the label of " + block, true, func(text string) map[string]string {
		b := newBlank()
		b.set(block, "", "")
		delete(b.says[block], "")
		b.labels[block] = text
		return map[string]string{"m.hcl": b.String(), "r.csv": "name\nbob\n"}
	}}
}

func cellHole(column, kind string) hole {
	return hole{"the " + kind + " cell of " + column, column == "name" || column == "email" || column == "subject.common_name", func(text string) map[string]string {
		b := newBlank()
		b.set("roster", "file", quote("r."+kind))
		cells := map[string]string{"name": "bob"}
		cells[column] = text
		names := slices.Sorted(maps.Keys(cells))
		var list string
		switch kind {
		case "csv":
			var values []string
			for _, n := range names {
				values = append(values, `"`+strings.ReplaceAll(cells[n], `"`, `""`)+`"`)
			}
			list = strings.Join(names, ",") + "\n" + strings.Join(values, ",") + "\n"
		default: // JSON is YAML
			data, err := json.Marshal([]map[string]string{cells})
			if err != nil {
				panic(err)
			}
			list = string(data)
		}
		return map[string]string{"m.hcl": b.String(), "r." + kind: list}
	}}
}

// TestNoTextLeavesItsPlace puts hostile texts into every place of a spec; a plain run every
// second one. Either a problem is reported at that place, or the text stays plain text in
// everything that is issued, rendered, recorded and printed.
func TestNoTextLeavesItsPlace(t *testing.T) {
	if testing.Short() {
		t.Skip("make test runs it")
	}
	want := newBlank()
	baseline := newTrial(t, map[string]string{"m.hcl": want.String()})
	if code := baseline.run("apply"); code != exitDone {
		t.Fatalf("the spec without a hostile text: exit %d: %s", code, &baseline.said)
	}
	shape := baseline.shape()
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	tried, taken := 0, 0
	for _, h := range holes() {
		texts := hostileTexts
		if !h.free {
			texts = texts[:forEveryPlace]
		}
		for _, text := range sample.OneIn(2, texts) {
			trial := newTrial(t, h.fill(text))
			tried++
			if trial.valid() {
				taken++
				trial.apply(h, shape)
			}
			trial.checkSaid()
			if t.Failed() {
				t.Fatalf("%.60q in %s:\n%.3000s", text, h.name, trial.files["m.hcl"])
			}
			trial.remove()
			if trial.wrongKind {
				break // every other text would give the same result
			}
		}
	}
	t.Logf("%d texts tried, %d taken", tried, taken)
	if taken < 150 || tried < 1_500 {
		t.Errorf("only %d texts tried and %d accepted", tried, taken)
	}
}

// trial is a spec in a directory of its own.
type trial struct {
	t     *testing.T
	root  string // holds dir; files beside dir must not change
	dir   string
	files map[string]string
	said  bytes.Buffer
	out   bytes.Buffer // standard output of the last command

	wrongKind bool // the place takes no text
}

func newTrial(t *testing.T, files map[string]string) *trial {
	t.Helper()
	root, err := os.MkdirTemp(trialRoot(t), "")
	if err != nil {
		t.Fatal(err)
	}
	tr := &trial{t: t, root: root, dir: filepath.Join(root, "a", "b"), files: files}
	if err := os.MkdirAll(tr.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(tr.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return tr
}

// trialRoot is in memory if possible: thousands of runs that wait for the disk would take
// minutes.
func trialRoot(t *testing.T) string {
	if dir, err := os.MkdirTemp("/dev/shm", "mtlsplan-test-"); err == nil {
		t.Cleanup(func() { os.RemoveAll(dir) })
		return dir
	}
	return t.TempDir()
}

func (tr *trial) remove() { os.RemoveAll(tr.root) }

func (tr *trial) run(command string, args ...string) int {
	words := append([]string{command, filepath.Join(tr.dir, "m.hcl"), "--output", filepath.Join(tr.dir, "out")}, args...)
	tr.out.Reset()
	defer func() { tr.said.Write(tr.out.Bytes()) }()
	return run(tr.t.Context(), words, process{strings.NewReader(""), &tr.out, &tr.said, func(name string) (string, bool) { return "pass phrase", name == "P" }, time.Now, scriptsReleased})
}

// valid reports whether the spec is valid. If it is not, every problem must have a
// position.
func (tr *trial) valid() bool {
	tr.t.Helper()
	code := tr.run("validate", "--format", "json")
	type problem struct {
		Severity, Summary, Detail, File string
		Line, Column                    int
	}
	var document struct{ Diagnostics []problem }
	if err := json.Unmarshal(tr.out.Bytes(), &document); err != nil {
		tr.t.Errorf("not a document: %v: %s", err, &tr.said)
	}
	for _, d := range document.Diagnostics {
		tr.wrongKind = tr.wrongKind || d.Summary == "Wrong kind of value"
		if !strings.HasPrefix(d.File, tr.dir) || d.Line < 1 || d.Column < 1 || d.Summary == "" || d.Detail == "" {
			tr.t.Errorf("a problem without a position: %+v", d)
		}
	}
	if code == exitInvalid && !slices.ContainsFunc(document.Diagnostics, func(d problem) bool { return d.Severity == "error" }) {
		tr.t.Error("the spec is invalid, but no error is listed")
	}
	tr.run("validate")
	return code == exitDone
}
