package spec

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"

	"mtlsplan/internal/config"
)

// loadRosterText loads a spec with one roster, whose name tells its kind.
func loadRosterText(t testing.TB, spec, name, text string) (*Config, *Sources, hcl.Diagnostics) {
	t.Helper()
	return loadRosterBlock(t, spec, name, text, "")
}

// loadRosterBlock loads a spec with one roster and more lines in its block.
func loadRosterBlock(t testing.TB, spec, name, text, lines string) (*Config, *Sources, hcl.Diagnostics) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	src := &Sources{files: map[string]*source{}}
	cfg, diags := newLoader(t.Context(), src, "test.hcl", dir).load([]byte(spec+fmt.Sprintf("roster \"r\" {\n  file = %q\n%s\n}\n", name, lines)), "")
	return cfg, src, diags
}

// samples are what each column can say, in a roster and in a user block.
var samples = []struct{ column, cell, hcl string }{
	{"name", "sample", ""},
	{"email", "sample@example.com", `email = "sample@example.com"`},
	{"key", "rsa-2048", `key = "rsa-2048"`},
	{"validity", "90d", `validity = "90d"`},
	{"renew_before", "1w", `renew_before = "1w"`},
	{"renew_spread", "0d", `renew_spread = "0d"`},
	{"reuse_key", "true", `reuse_key = true`},
	{"passphrase.env", "SAMPLE", `passphrase = { env = "SAMPLE" }`},
	{"passphrase.file", "sample.pass", `passphrase = { file = "sample.pass" }`},
	{"passphrase.command", "pass show sample", `passphrase = { command = ["pass", "show", "sample"] }`},
	{"passphrase.generate", "true", `passphrase = { generate = true }`},
	{"previous_passphrase.env", "SAMPLE", `previous_passphrase = { env = "SAMPLE" }`},
	{"previous_passphrase.file", "sample.pass", `previous_passphrase = { file = "sample.pass" }`},
	{"previous_passphrase.command", "pass show sample", `previous_passphrase = { command = ["pass", "show", "sample"] }`},
	{"previous_passphrase.generate", "true", `previous_passphrase = { generate = true }`},
	{"challenge_password.env", "SAMPLE", `challenge_password = { env = "SAMPLE" }`},
	{"challenge_password.file", "sample.pass", `challenge_password = { file = "sample.pass" }`},
	{"challenge_password.command", "pass show sample", `challenge_password = { command = ["pass", "show", "sample"] }`},
	{"p12", "modern compat", `p12 = ["modern", "compat"]`},
	{"kdf_iterations", "5000", `kdf_iterations = 5000`},
	{"csr", "sample.csr", `csr = "sample.csr"`},
	{"revoked", "keyCompromise", `revoked = "keyCompromise"`},
	{"overlap", "7d", `overlap = "7d"`},
	{"groups", "admins ops", `groups = ["admins", "ops"]`},
	{"devices", "laptop phone", `devices = ["laptop", "phone"]`},
	{"seal.recipients", sampleAge + " " + sampleSSH + " ann at home", "seal {\n recipients = [\"" + sampleAge + "\", \"" + sampleSSH + "\"]\n}"},
	{"subject.country", "DE", "subject {\n country = \"DE\"\n}"},
	{"subject.province", "Hessen", "subject {\n province = \"Hessen\"\n}"},
	{"subject.locality", "Köln", "subject {\n locality = \"Köln\"\n}"},
	{"subject.organization", "A, B", "subject {\n organization = \"A, B\"\n}"},
	{"subject.organizational_unit", `the "board"`, "subject {\n organizational_unit = \"the \\\"board\\\"\"\n}"},
	{"subject.common_name", "Sample", "subject {\n common_name = \"Sample\"\n}"},
	{"subject.email", "sample@example.com", "subject {\n email = \"sample@example.com\"\n}"},
}

// TestRosterSaysWhatABlockSays gives every column, in every kind of roster and
// form, to a user, and the same attribute to a user block.
func TestRosterSaysWhatABlockSays(t *testing.T) {
	var names []string
	for _, s := range samples {
		names = append(names, s.column)
	}
	for _, c := range RosterColumns() {
		if !slices.Contains(names, c) {
			t.Errorf("no sample of the column %s", c)
		}
	}
	for _, s := range samples {
		dir := ""
		var problems []string
		read := func(cfg *Config, diags hcl.Diagnostics) *User {
			problems = nil
			for _, d := range diags {
				problems = append(problems, d.Summary)
			}
			if cfg == nil {
				return nil
			}
			u := cfg.Users[0]
			u.Origin = hcl.Range{}
			for _, ref := range []*string{&u.Passphrase.File, &u.PreviousPassphrase.File, &u.ChallengePassword.File, &u.CSR} {
				*ref = strings.TrimPrefix(*ref, dir)
			}
			u.Passphrase.Dir, u.PreviousPassphrase.Dir, u.ChallengePassword.Dir = "", "", ""
			return &u
		}
		dir = "/spec"
		cfg, _, diags := loadText(t, smallCA+"user \"sample\" {\n"+s.hcl+"\n}\n")
		want, wantProblems := read(cfg, diags), problems
		if want == nil {
			t.Fatalf("%s: %v", s.hcl, diags)
		}
		for name, text := range rosterForms(s.column, s.cell) {
			cfg, _, diags := loadRosterText(t, smallCA, name, text)
			if cfg != nil {
				dir = cfg.Dir
			}
			if have := read(cfg, diags); !reflect.DeepEqual(have, want) || !slices.Equal(problems, wantProblems) {
				t.Errorf("%s\n%s\n%+v %v, want\n%+v %v", name, text, have, diags, want, wantProblems)
			}
		}
	}
}

// rosterForms writes a user with one attribute in every form.
func rosterForms(column, cell string) map[string]string {
	quoted := `"` + strings.ReplaceAll(cell, `"`, `""`) + `"`
	escaped := fmt.Sprintf("%q", cell)
	user := `"name": "sample", `
	before := "name,"
	first := "sample,"
	if column == "name" {
		user, before, first = "", "", ""
	}
	forms := map[string]string{
		"a.csv":  before + column + "\n" + first + quoted + "\n",
		"b.csv":  "\ufeff\"" + column + "\"," + strings.TrimSuffix(before, ",") + "\r\n" + quoted + "," + strings.TrimSuffix(first, ",") + "\r\n",
		"a.json": "[{" + user + fmt.Sprintf("%q: %s", column, escaped) + "}]",
		"a.yml":  "- {" + user + fmt.Sprintf("%q: %s", column, escaped) + "}\n",
		"b.yaml": "---\n# all\n- " + column + ": '" + cell + "' # one\n",
	}
	if before == "" {
		forms["b.csv"] = "\ufeff\"name\"\r\n\r\n" + quoted
	} else {
		forms["b.yaml"] += "  name: sample\n..."
	}
	outer, inner, nested := strings.Cut(column, ".")
	if nested {
		forms["c.json"] = "[\n{" + user + fmt.Sprintf("%q: {%q: %s}", outer, inner, escaped) + "}]\n"
		forms["c.yaml"] = "- name: sample\n  " + outer + ":\n    " + inner + ": " + escaped + "\n"
	}
	if words := strings.Fields(cell); len(words) > 1 && (column == "p12" || column == "groups" || column == "devices" || strings.HasSuffix(column, ".command")) {
		forms["d.json"] = "[{" + user + fmt.Sprintf("%q: [%q", column, words[0]) + `, "` + strings.Join(words[1:], `", "`) + `"]}]`
		forms["d.yaml"] = "- name: sample\n  " + column + ":\n  - " + strings.Join(words, "\n  - ") + "\n"
	}
	if column == "kdf_iterations" || cell == "true" {
		forms["e.json"] = "[{" + user + fmt.Sprintf("%q: %s", column, cell) + "}]"
		forms["e.yaml"] = "- name: sample\n  " + column + ": " + cell + "\n"
	}
	return forms
}

// TestRosterPlaces wants problems exactly where they are.
func TestRosterPlaces(t *testing.T) {
	for _, tt := range []struct{ name, text, summary, marked, place string }{
		{"a.csv", "name,key\nann,rsa\n", "Unknown type of key", "rsa", "2:5-2:8"},
		{"a.csv", "\ufeffname,key\r\n\r\nänn,\r\nbob,rsa", "Unusable name", "änn", "3:1-3:4"},
		{"a.csv", "subject.locality,name,key\n\"Kö\r\nln,\"\"x\",ann,\"rsa\"\n", "Unknown type of key", `"rsa"`, "3:13-3:18"},
		{"a.csv", "subject.locality,name,key\nKöln,ann,rsa\n", "Unknown type of key", "rsa", "2:10-2:13"},
		{"a.csv", "nome\nann\n", "No header row", "nome", "1:1-1:5"},
		{"a.csv", "name,mail\nann,\n", "Unknown column", "mail", "1:6-1:10"},
		{"a.csv", "name,email\nann,x,y,z\n", "Too many cells in a row", "y,z", "2:7-2:10"},
		{"a.csv", "name,email\nann\n", "Too few cells in a row", "", "2:4-2:4"},
		{"a.csv", "name,email\n,a@x.org\n", "User without a name", "", "2:1-2:1"},
		{"a.csv", "name,email\nann,\"x\n", "Quote that is never closed", `"`, "2:5-2:6"},
		{"a.csv", "name,email\nä,x\"y\n", "Quote inside a cell", `"`, "2:4-2:5"},
		{"a.csv", "name,email\n\"a\",\"x\"y\n", "Text after a quoted cell", "", "2:8-2:8"},
		{"a.csv", "name,email\nann,\"x\nbob,\"y\"\n", "Text after a quoted cell", "", "3:6-3:6"},
		{"a.csv", "", "Empty roster", "", "1:1-1:1"},
		{"a.csv", "name\n\xff\n", "Unusable name", "ÿ", "2:1-2:2"},
		{"a.csv", "name\nä\xff\n", "Not a text file", "", "2:2-2:2"},
		{"a.yaml", "- name: \xff\n", "Not a text file", "", "1:9-1:9"},
		{"a.csv", "name\n\x00\n", "Not a text file", "", "2:1-2:1"},
		{"a.json", "[\n {\"name\": \"ä\", \"key\": \"rsa\"}]", "Unknown type of key", `"rsa"`, "2:23-2:28"},
		{"a.json", "[{\"name\": \"a\",\n  \"mail\" : 1}]", "Unknown attribute", `"mail"`, "2:3-2:9"},
		{"a.json", "[{\"email\": null}]", "User without a name", `{"email": null}`, "1:2-1:17"},
		{"a.json", "[{\"name\": \"a\"\n", "Roster cut short", "", "2:1-2:1"},
		{"a.json", "[{\"name\": \"a\"} {}]", "Malformed JSON", "{", "1:16-1:17"},
		{"a.json", "[{\"name\": \"a\"}]\n]", "Text after the list", "]", "2:1-2:2"},
		{"a.json", "[{\"name\": \"a\", \"p12\": [\"compat\", \"old\"]}]", "Unknown .p12 profile", `"old"`, "1:34-1:39"},
		{"a.yaml", "- name: ä # key\n  key: rsa # old\n", "Unusable name", "ä", "1:9-1:10"},
		{"a.yaml", "- name: a # ä\n  key: rsa # old\n", "Unknown type of key", "rsa", "2:8-2:11"},
		{"a.yaml", "- {subject: {locality: 'Kö''ln'}, name: \"a\", key: \"rsa\"}\n", "Unknown type of key", `"rsa"`, "1:51-1:56"},
		{"a.yaml", "\ufeff- name: a\r\n  mail: x\r\n", "Unknown attribute", "mail", "2:3-2:7"},
		{"a.yaml", "- name: a\u2028  key: rsa\n", "Unknown type of key", "rsa", "1:18-1:21"},
		{"a.yaml", "- name: a\n\n- *a\n", "Alias, anchor or tag in a roster", "*a", "3:3-3:5"},
		{"a.yaml", "- name: a\n- !!map {name: b}\n", "Alias, anchor or tag in a roster", "!!map {name: b}", "2:3-2:18"},
		{"a.yaml", "- name: a\n- &x {name: b}\n", "Alias, anchor or tag in a roster", "&x {name: b}", "2:3-2:15"},
		{"a.yaml", "- name: a\n- <<: {name: b}\n", "Alias, anchor or tag in a roster", "<<: {name: b}", "2:3-2:16"},
		{"a.yaml", "- name: a\n---\n- name: b\n", "Several documents in a roster", "---", "2:1-2:4"},
		{"a.yaml", "- name: >\n    a\n  key: rsa\n", "Text of several lines", ">", "1:9-1:10"},
		{"a.yaml", "- name: a\n  email: \"x\n", "Quote that is never closed", "email: \"x", "2:3-2:12"},
		{"a.yaml", "- name: a\n  p12: [x\n- name: b\n", "Bracket that is never closed", "p12: [x", "2:3-2:10"},
		{"a.yaml", "- name: a\n  email: x\n email: y\n", "Indentation that does not fit", "email: y", "3:2-3:10"},
		{"a.yaml", "- name: a\n\temail: x\n", "Tab in front of a line", "email: x", "2:2-2:10"},
		{"a.yaml", "- name: a\n- name: b\n\temail: x\n- name: c\n", "Tab in front of a line", "email: x", "3:2-3:10"},
		{"a.yaml", "- name: a\n- name: b\n  key: x\n\temail: x\n- name: c\n", "Tab in front of a line", "email: x", "4:2-4:10"},
		{"a.yaml", "# all\n- name: a\n- name: b\n email: y\n- name: c\n", "Indentation that does not fit", "email: y", "4:2-4:10"},
		{"a.yaml", "# all\n- name: a\n- name: b\n  email: x\n   y: z\n", "Colon that does not fit", "y: z", "5:4-5:8"},
		{"a.yaml", "# all\n- name: a\n- name: b\nname: c\n- name: d\n", "Indentation that does not fit", "name: c", "4:1-4:8"},
		{"a.yaml", "# all\n- name: a\n- name: b\n  email: \"x\" y\n- name: d\n", "Indentation that does not fit", "email: \"x\" y", "4:3-4:15"},
	} {
		_, src, diags := loadRosterText(t, smallCA, tt.name, tt.text)
		found := ""
		for _, d := range diags {
			at := *d.Subject
			here := fmt.Sprintf("%s:%d:%d-%d:%d", at.Filename, at.Start.Line, at.Start.Column, at.End.Line, at.End.Column)
			found += fmt.Sprintf("%s at %s\n", d.Summary, here)
			if d.Summary != tt.summary || here != tt.name+":"+tt.place {
				continue
			}
			snip, ok := src.Snippet(at)
			if marked := snip.Text[snip.Start:snip.End]; !ok || marked != tt.marked {
				t.Errorf("%q: %s marks %q, want %q", tt.text, tt.summary, marked, tt.marked)
			}
			found = "yes"
			break
		}
		if found != "yes" {
			t.Errorf("%q: want %s at %s, have\n%s", tt.text, tt.summary, tt.place, found)
		}
	}
}

// TestRosterOrigins wants each user's origin in its row, and the users in the
// order of spec and rosters.
func TestRosterOrigins(t *testing.T) {
	cfg, _, diags := loadRosterText(t, smallCA+"user \"zoe\" {\n}\n", "a.csv", "email,name\nann@example.com,ann\n\n,bob\n")
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	have := ""
	for _, u := range cfg.Users {
		have += fmt.Sprintf("%s %s:%d:%d ", u.Name, u.Origin.Filename, u.Origin.Start.Line, u.Origin.Start.Column)
	}
	if want := "zoe test.hcl:10:1 ann a.csv:2:17 bob a.csv:4:2 "; have != want {
		t.Errorf("%s, want %s", have, want)
	}
}

// TestRosterManyProblems is about time that grows with the square: on one
// line, and on many.
func TestRosterManyProblems(t *testing.T) {
	const n = 20_000
	for name, text := range map[string]string{
		"a.csv":  "name,key,pin\n" + strings.Repeat("ann,rsa,1\n", n),
		"b.csv":  "name,key\n" + strings.Repeat("\"a\nb\",c,d\n", n),
		"c.csv":  "name,key\n" + strings.Repeat("\"a\"b,c\n", n),
		"d.csv":  "name" + strings.Repeat(",ä", n) + "\n",
		"a.json": "[" + strings.Repeat(`{"name": "ann", "key": "rsa", "pin": 1},`, n) + "{}]",
		"a.yaml": strings.Repeat("- {name: ann, key: rsa, pin: 1}\n", n),
		"b.yaml": "[" + strings.Repeat("{name: ann, key: rsa, pin: 1}, ", n) + "]",
		"c.yaml": strings.Repeat("- name: |\n    ann\n", n),
	} {
		_, _, diags := loadRosterText(t, smallCA, name, text)
		if !diags.HasErrors() {
			t.Errorf("%s: %v", name, diags)
		}
	}
}

// FuzzRoster reads any text as a roster of each kind. It always
// gives users or an error, and problems that can be shown.
func FuzzRoster(f *testing.F) {
	for _, s := range samples {
		for name, text := range rosterForms(s.column, s.cell) {
			f.Add(uint8(slices.Index(rosterFormats, formatOf(name))), text)
		}
	}
	f.Add(uint8(0), "name,email,email\n\"a\"\"b\n\",x\r\n,\"y\"z\nlast")
	f.Add(uint8(1), "- &a {name: a}\n- *a\n- <<: *a\n- !!x |\n  y\n--- \n? [b]\n: 'x''y'\n")
	f.Add(uint8(2), `[{"name": "\ud83d\ude00", "p12": [null, 1e9, {}]}, null, [[]]] x`)
	f.Add(uint8(130), "- {u: a, s: 1, m: {x: a@x.org}}\n- {u: b, s: [1, 2]}\n")
	f.Add(uint8(131), `[{"u": "a", "s": 1, "m.x": "a@x.org", "y": {"z": 1}}, {"u": "b", "s": "2"}]`)
	f.Add(uint8(132), "sep=;\nu;s;m.x;z\na;1;a@x.org;x\nb;2;;\n")
	f.Add(uint8(0), "#TYPE x\nsep=|\n\"sAMAccountName\"|mail\n")
	f.Fuzz(func(t *testing.T, kind uint8, text string) {
		src := &Sources{files: map[string]*source{}}
		src.add("test.hcl", nil)
		l := newLoader(t.Context(), src, "test.hcl", "/spec")
		l.users, l.people = map[string]hcl.Range{}, newPeople(0)
		format := rosterFormats[int(kind)%len(rosterFormats)]
		block := &rosterBlock{}
		if kind >= 128 { // a list from elsewhere
			block.columns = say([]columnFrom{{column: columns[0], theirs: say("u", l.at)}, {column: columnByName["email"], theirs: say("m.x", l.at)}}, l.at)
			block.where = say([]condition{{theirs: say("s", l.at), values: []string{"1"}}}, l.at)
			block.separator = say(byte(';'), l.at)
		}
		l.readRoster("r."+format, `roster "r"`, format, block, []byte(text))
		l.finish()
		if len(l.cfg.Users) == 0 && !l.diags.HasErrors() {
			t.Error("neither users nor an error")
		}
		for _, d := range l.diags {
			if d.Subject == nil || d.Summary == "" || d.Detail == "" || d.Severity == hcl.DiagInvalid {
				t.Fatalf("incomplete: %+v", d)
			}
			snip, ok := src.Snippet(*d.Subject)
			if !ok || snip.Start > snip.End || snip.End > len(snip.Text) {
				t.Fatalf("%+v shows %+v", d, snip)
			}
			visible(snip)
		}
		for _, u := range l.cfg.Users {
			if !config.ValidUser(u.Name) || !strings.Contains(text, u.Person()) && format == "csv" && utf8.ValidString(text) {
				t.Errorf("user %q", u.Name)
			}
		}
	})
}

const (
	sampleAge = "age1e0xwkyxpfxc0wq8wset5d0v3nlns34cd4atp2868uh6qk88urs4qt58ec8"
	sampleSSH = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGSG8Iud59W2Y3hW/rY90eNSqEeFjaBxGMT4p+RM0Xzf"
)
