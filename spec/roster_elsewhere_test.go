package spec

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/hashicorp/hcl/v2"
)

// names are those of a config's users.
func names(cfg *Config) string {
	if cfg == nil {
		return ""
	}
	var out []string
	for _, u := range cfg.Users {
		out = append(out, u.Name)
	}
	return strings.Join(out, " ")
}

// TestIgnoredCellsStayHidden writes a secret wherever a list from elsewhere has
// something that does not count, beside mistakes in what does.
func TestIgnoredCellsStayHidden(t *testing.T) {
	const leak = "hunter2"
	const lines = "columns = { name = \"login\", key = \"k\" }\n where = { status = [\"in\"] }"
	for _, tt := range [][2]string{
		{"a.csv", "login,k,status,pin\nada,rsa,in,hunter2\n"},
		{"a.csv", "pin,login,pin,k,status,pin\nhunter2,ada,hunter2,rsa,in,hunter2\n"},
		{"a.csv", "login,k,status,pin\n\"a\nb\",rsa,in,hunter2\n"},
		{"a.csv", "login,k,status,pin\nada,,in,\"hunter2\nbob,rsa,in,hunter2\n"},
		{"a.csv", "login,k,status,pin\nada,,in,hunter2,hunter2\nbob,in,hunter2\n"},
		{"a.csv", "login,k,status,pin\nada,,out,hunter2\nbob!,,in,hunter2\n"},
		{"a.csv", "ada,,in,hunter2\n"},
		{"a.csv", "login,pin\nada,hunter2\n"},
		{"a.csv", "login;k;status;pin\nada;rsa;in;hunter2\n"},
		{"a.csv", "ada;rsa;in;hunter2\n"},
		{"a.csv", "\"ada\";\"hunter2\"\n"},
		{"a.csv", "login,k,status,pin\nada,,in,hunter2\nada,,in,hunter2\n"},
		{"a.json", `[{"login": "ada", "k": "rsa", "status": "in", "pin": "hunter2"}]`},
		{"a.json", `[{"login": "ada", "status": "out", "pin": "hunter2"}, {"login": "bob", "k": "rsa", "status": "in", "pin": ["hunter2"]}]`},
		{"a.json", `[{"login": "ada", "k": "rsa", "status": "in", "profile": {"login": "hunter2"}}]`},
		{"a.json", `[{"user": "ada", "pin": "hunter2"}]`},
		{"a.yaml", "- {login: ada, k: rsa, status: in, pin: hunter2}\n"},
		{"a.yaml", "- {login: ada, k: rsa, status: in, pin: {passphrase: hunter2, x: [hunter2]}}\n"},
		{"a.yaml", "[{login: bob, status: out, pin: hunter2}, {login: ada, k: rsa, status: in}]\n"},
	} {
		_, src, diags := loadRosterBlock(t, smallCA, tt[0], tt[1], lines)
		if !diags.HasErrors() {
			t.Errorf("%q: no error", tt[1])
		}
		for _, d := range diags {
			snip, _ := src.Snippet(*d.Subject)
			if shown := visible(snip); strings.Contains(d.Summary+d.Detail+shown, leak) {
				t.Errorf("%q: shown by %s: %s\n%s", tt[1], d.Summary, d.Detail, shown)
			}
		}
	}
}

// TestHeadersOfOthers tells what could be a user from what names columns, and says
// what to write.
func TestHeadersOfOthers(t *testing.T) {
	for _, tt := range []struct{ text, summary, line string }{
		{"samaccountname,displayname\nada,Ada L\n", "Columns of another program", `{ name = "samaccountname" }`},
		{"mail,cn\na@x.org,Ada\n", "Columns of another program", `{ name = "mail", email = "mail" }`},
		{"Name,GivenName,Department\nAda L,Ada,x\n", "Columns of another program", `{ name = "…" }`},
		{"Anmeldename,Mail\nada,a@x.org\n", "Columns of another program", `{ name = "Anmeldename", email = "Mail" }`},
		{"Courriel,Prénom\na@x.org,Ada\n", "Columns of another program", `{ name = "…", email = "Courriel" }`},
		{"User,E-Mail\nada,a@x.org\n", "Columns of another program", `{ name = "User", email = "E-Mail" }`},
		{"login,\"E\"\"${x}\"\"-Mail\"\nada,a@x.org\n", "Columns of another program", `{ name = "login", email = "E\"$${x}\"-Mail" }`},
		{"who,mails to\nada,a@x.org\n", "Columns of another program", `{ name = "…", email = "mails to" }`},
		{"Email,Login\na@x.org,ada\n", "Columns of another program", `{ name = "Login", email = "Email" }`},
		{"name,email,uid,title\nAda L,a@x.org,ada,x\n", "Columns of another program", `{ name = "uid", email = "email" }`},
		{"uid\nada\n", "No header row", `{ name = "uid" }`},
		{"ada,hunter2\nbob,hunter3\n", "No header row", `{ name = "ada" }`},
		{"login,a@x.org\nada,b@x.org\n", "No header row", ""},
		{"login,mail,4711\n", "No header row", ""},
		{"Name,email\nada,a@x.org\n", "Unknown column", ""},
		{"name,mail\nada,a@x.org\n", "Unknown column", ""},
		{"name,key,department\nada,,x\n", "Unknown column", ""},
		{"name,subject.locality,samaccountname\nada,,x\n", "Unknown column", ""},
	} {
		_, _, diags := loadRosterText(t, smallCA, "a.csv", tt.text)
		if len(diags) != 1 || diags[0].Summary != tt.summary || !strings.Contains(diags[0].Detail, tt.line) || tt.line == "" && strings.Contains(diags[0].Detail, "columns = {") {
			t.Errorf("%q: %v, want %s %s", tt.text, diags, tt.summary, tt.line)
		}
	}
}

// TestWhatAHeaderSaysCanBeWritten writes the columns line of every message into the
// spec, and must find users then.
func TestWhatAHeaderSaysCanBeWritten(t *testing.T) {
	for _, header := range []string{
		"sAMAccountName,mail", "uid,cn,${mail}", "login,\"a \"\"%{b}\"\" mail\"", "login,$${mail}", "login,$$${mail}", "Email Address [Required],First Name [Required]", "Benutzername,Straße,E-Mail", "User principal name,a\\b",
		"Login,\"Vor\nname\"",
	} {
		row := strings.Repeat("x,", strings.Count(header, ",")) + "x\n"
		_, _, diags := loadRosterText(t, smallCA, "a.csv", header+"\n"+row)
		_, line, found := strings.Cut(diags[0].Detail, "\ncolumns = { name = ")
		line, _, _ = strings.Cut(line, " }\n")
		line = strings.TrimSuffix(strings.Replace(line, ", email = ", ", \"subject.locality\" = ", 1), " }")
		if !found || len(diags) != 1 {
			t.Errorf("%q: %v", header, diags)
			continue
		}
		if cfg, _, diags := loadRosterBlock(t, smallCA, "a.csv", header+"\n"+row, "columns = { name = "+line+" }"); names(cfg) != "x" {
			t.Errorf("%q: %s: %v", header, line, diags)
		}
	}
}

// TestEncodings reads one list in every encoding that is understood.
func TestEncodings(t *testing.T) {
	const text = "name,subject.locality\nada,Köln €\ngrace,\"𝔘 \n\"\n"
	utf16 := func(big bool, s string) string {
		var b strings.Builder
		for _, u := range utf16.Encode([]rune(s)) {
			if big {
				b.Write([]byte{byte(u >> 8), byte(u)})
			} else {
				b.Write([]byte{byte(u), byte(u >> 8)})
			}
		}
		return b.String()
	}
	latin := strings.NewReplacer("ö", "\xf6", "€", "\x80", "𝔘", "U").Replace(text)
	for name, have := range map[string]string{
		"UTF-8": text, "UTF-8 with a mark": "\ufeff" + text, "UTF-16LE": utf16(false, text), "UTF-16BE": utf16(true, text),
		"UTF-16LE with a mark": utf16(false, "\ufeff"+text), "UTF-16BE with a mark": utf16(true, "\ufeff"+text), "Windows-1252": latin,
	} {
		_, _, diags := loadRosterText(t, smallCA, "a.csv", strings.Replace(have, "\ngrace", "\ngrace", 1))
		summary := ""
		for _, d := range diags {
			summary += d.Summary + "; "
		}
		// The line end in the last cell is what is wrong, in its place.
		want := "Space around a value; "
		if name == "Windows-1252" {
			want = "Roster that is not UTF-8; Space around a value; "
		}
		if summary != want || diags[len(diags)-1].Subject.Start.Line != 3 {
			t.Errorf("%s: %v", name, diags)
		}
	}
	for _, bad := range []string{
		utf16(false, "\ufeff"+text) + "x", utf16(false, "\ufeffname\n") + "\x00\xd8", utf16(false, "\ufeffname\n") + "\x00\xd8a\x00", utf16(true, "\ufeffname\nada") + "\x00\x00", "name\nK\xc3\xb6ln\xf6\n", "name\n\x81\n",
	} {
		if cfg, _, diags := loadRosterText(t, smallCA, "a.csv", bad); cfg != nil || diags[0].Summary != "Not a text file" {
			t.Errorf("%q: %s %v", bad, names(cfg), diags)
		}
	}
}

// TestSeparators reads one list with every separator, said by the block or by the
// list itself, and finds the places of its cells.
func TestSeparators(t *testing.T) {
	for _, sign := range []string{",", ";", "\t", "|", ":", "~", "*"} {
		text := strings.ReplaceAll("name,key\nada,\"rsa\"\nbob,x\"\n\"cid\"x,\ndan,a,b\n", ",", sign)
		for _, form := range []struct{ text, lines string }{
			{text, fmt.Sprintf("separator = %q", sign)}, {"sep=" + sign + "\n" + text, ""}, {"\ufeffSEP=" + sign + "\r\n" + text, fmt.Sprintf("separator = %q", sign)},
		} {
			_, src, diags := loadRosterBlock(t, smallCA, "a.csv", form.text, form.lines)
			var have []string
			for _, d := range diags {
				snip, _ := src.Snippet(*d.Subject)
				have = append(have, fmt.Sprintf("%s %d %q", d.Summary, d.Subject.Start.Line-strings.Count(form.text, "\n")+5, snip.Text[snip.Start:snip.End]))
			}
			want := []string{`Unknown type of key 2 "\"rsa\""`, `Quote inside a cell 3 "\""`, `Text after a quoted cell 4 ""`, `Too many cells in a row 5 "b"`}
			if !slices.Equal(have, want) {
				t.Errorf("%q %s\n%q\n%q", form.text, form.lines, have, want)
			}
		}
	}
}

// TestWhereAndColumns wants the users that count, and no more.
func TestWhereAndColumns(t *testing.T) {
	for _, tt := range []struct{ name, text, lines, users string }{
		{"a.csv", "name,s\nada,1\nbob,2\n", `where = { s = ["1"] }`, "ada"},
		{"a.csv", "name,s\nada,1\nbob,2\n", `where = { s = 2 }`, "bob"},
		{"a.csv", "name,s\nada,True\nbob,FALSE\n", `where = { s = true }`, "ada"},
		{"a.csv", "name,s\nada,x\nbob, X\ncid,y\n", `where = { s = ["x"] }`, "ada bob"},
		{"a.csv", "name,key\nada,rsa-2048\nbob,\n", `where = { key = ["rsa-2048"] }`, "ada"},
		{"a.csv", "name,s\nada,x\nADA,y\n,y\n", `where = { s = ["x"] }`, "ada"},
		{"a.csv", "u,s,t\nada,x,x\nbob,x,y\n", "columns = { name = \"u\" }\n where = { s = [\"x\"], t = [\"y\", \"z\"] }", "bob"},
		{"a.csv", "mail\nada@x.org\n", `columns = { name = "mail", email = "mail" }`, "ada@x.org"},
		{"a.csv", "a b,c\nada,\n", `columns = { name = "a b", email = "c" }`, "ada"},
		{"a.csv", "u,m\n ada , a@x.org\n,\n", `columns = { name = "u", email = "m" }`, "ada"},
		{"a.csv", "name,email\nada,\n,\n", "", ""}, // our own list can be corrected
		{"a.csv", "name,email\n ada,\n", "", ""},
		{"a.csv", "login,login\nada,bob\n", `columns = { name = "login" }`, ""},
		{"a.csv", "u,s\nada,x\n", `where = { s = ["x"] }`, ""},
		{"a.csv", "name,s,t\nada,x,y\n", `where = { s = ["x"] }`, ""},
		{"a.json", `[{"name": "ada", "s": "x"}, {"name": "bob", "s": null}, {"name": "cid"}]`, `where = { s = ["x"] }`, "ada"},
		{"a.json", `[{"name": "ada", "s": ["x", "y"]}, {"name": "bob", "s": []}]`, `where = { s = ["y"] }`, "ada"},
		{"a.json", `[{"p": {"q": {"u": "ada", "s": 1}}}, {"p": {"q": {"u": "bob", "s": 2}}}, {"p": null}]`, "columns = { name = \"p.q.u\" }\n where = { \"p.q.s\" = [1] }", "ada"},
		{"a.json", `[{"p": {"s": "x"}, "name": "ada", "subject": {"locality": "y"}}, {"p": {}, "name": "bob"}]`, `where = { "p.s" = ["x"] }`, "ada"},
		{"a.json", `[{"p.u": "ada"}]`, `columns = { name = "p.u" }`, "ada"},
		{"a.json", `[{"p.u": "ada", "p": {"u": "bob"}}]`, `columns = { name = "p.u" }`, ""},
		{"a.json", `[{"u": "ada", "name": {"full": "Ada"}}]`, `columns = { name = "u" }`, "ada"},
		{"a.json", `[{"u": "ada", "m": null}, {"u": "bob"}]`, `columns = { name = "u", email = "m" }`, "ada bob"},
		{"a.json", `[{"u": "ada"}, {"u": "bob"}]`, `columns = { name = "u", email = "m" }`, ""},
		{"a.yaml", "- {u: ada, s: yes}\n- {u: bob, s: no}\n", "columns = { name = \"u\" }\n where = { s = [\"yes\"] }", "ada"},
	} {
		cfg, _, diags := loadRosterBlock(t, smallCA, tt.name, tt.text, tt.lines)
		if names(cfg) != tt.users || tt.users == "" && !diags.HasErrors() {
			t.Errorf("%q %s: %q %v, want %q", tt.text, tt.lines, names(cfg), diags, tt.users)
		}
	}
}

// TestRosterFromAProgram wants what a program has printed, or an error.
func TestRosterFromAProgram(t *testing.T) {
	load := func(lines string) (*Config, hcl.Diagnostics) {
		src := &Sources{files: map[string]*source{}}
		return newLoader(t.Context(), src, "test.hcl", t.TempDir()).load([]byte(smallCA+lines), "")
	}
	block := func(label, format string, args ...string) string {
		return fmt.Sprintf("roster %q {\n command = [\"%s\"]\n format = %q\n}\n", label, strings.Join(args, `", "`), format)
	}
	for _, tt := range []struct{ lines, users, summary string }{
		{block("r", "csv", "printf", `name\\nada\\n`), "ada", ""},
		{block("r", "json", "printf", `[{\"name\": \"ada\"}]`), "ada", ""},
		{block("r", "yaml", "printf", "- name: ada"), "ada", ""},
		{block("r", "csv", "printf", `name\\nada\\n`) + block("s", "csv", "printf", `name\\nbob\\n`), "ada bob", ""},
		{block("r", "csv", "printf", `name\\nada\\n`) + block("s", "csv", "printf", `name\\nada\\n`), "", "Roster read twice"},
		{block("r", "csv", "sh", "-c", "echo name; echo ada; exit 1"), "", "Program that failed"},
		{block("r", "csv", "true"), "", "Empty roster"},
		{block("r", "csv", "echo"), "", "Empty roster"},
		{block("r", "csv", "no-such-program-anywhere"), "", "Program that cannot be started"},
		{block("r", "csv", "sh", "-c", "echo name; echo ada; sleep 4 &"), "", "Program that does not end"},
	} {
		cfg, diags := load(tt.lines)
		if names(cfg) != tt.users || tt.summary != "" && (len(diags) != 1 || diags[0].Summary != tt.summary) {
			t.Errorf("%s: %q %v", tt.lines, names(cfg), diags)
		}
	}
}
