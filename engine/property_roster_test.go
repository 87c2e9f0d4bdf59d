package engine

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"pgregory.net/rapid"

	"mtlsplan/internal/testing/tools"
	"mtlsplan/spec"
)

// person is somebody whom a directory lists.
type person struct {
	login, mail, display string
	left                 bool // listed, and not to have access
}

// A dialect writes a list as some program does: a name for the file, the lines of the
// roster block, and the list.
type dialect func(people []person) (file, block string, list []byte)

var dialects = map[string]dialect{
	"own CSV": func(people []person) (string, string, []byte) {
		return "a.csv", "", table(',', false, false, people, "name,email", func(p person) string { return p.login + "\x00" + p.mail })
	},
	"own YAML": func(people []person) (string, string, []byte) {
		var b strings.Builder
		for _, p := range without(people) {
			fmt.Fprintf(&b, "- name: %q\n  email: %q\n", p.login, p.mail)
		}
		return "a.yaml", "", []byte(b.String())
	},
	"LibreOffice": func(people []person) (string, string, []byte) {
		return "a.csv", "", table(',', true, false, people, "email,name", func(p person) string { return p.mail + "\x00" + p.login })
	},
	"Excel": func(people []person) (string, string, []byte) {
		list := table(';', false, true, people, "Login;Anzeigename;E-Mail;Status", func(p person) string {
			return p.login + "\x00" + p.display + "\x00" + p.mail + "\x00" + word(p, "aktiv", "ausgeschieden")
		})
		return "a.csv", `columns = { name = "Login", email = "E-Mail" }
			where = { Status = ["aktiv"] }`, append([]byte("sep=;\r\n"), windows1252(list)...)
	},
	"Excel, Unicode Text": func(people []person) (string, string, []byte) {
		list := table('\t', false, true, people, "Login\tAnzeigename\tE-Mail\tStatus", func(p person) string {
			return p.login + "\x00" + p.display + "\x00" + p.mail + "\x00" + word(p, "aktiv", "ausgeschieden")
		})
		return "a.txt", `format = "csv"
			separator = "\t"
			columns = { name = "Login", email = "E-Mail" }
			where = { Status = ["aktiv"] }`, utf16LE("\ufeff" + string(list))
	},
	"PowerShell": func(people []person) (string, string, []byte) {
		list := table(',', true, true, people, "DistinguishedName,EmailAddress,Enabled,Name,SamAccountName,UserPrincipalName", func(p person) string {
			return "CN=" + p.display + ",DC=example\x00" + p.mail + "\x00" + word(p, "True", "False") + "\x00" + p.display + "\x00" + p.login + "\x00" + p.login + "@corp.example.com"
		})
		return "a.csv", `columns = { name = "SamAccountName", email = "EmailAddress" }
			where = { Enabled = ["True"] }`, append([]byte("#TYPE Microsoft.ActiveDirectory.Management.ADUser\r\n"), list...)
	},
	"csvde in UTF-16": func(people []person) (string, string, []byte) {
		list := table(',', false, true, people, "DN,objectClass,cn,name,userAccountControl,sAMAccountName,mail", func(p person) string {
			return "CN=" + p.display + ",DC=example\x00user\x00" + p.display + "\x00" + p.display + "\x00" + word(p, "512", "514") + "\x00" + p.login + "\x00" + p.mail
		})
		return "a.csv", `columns = { name = "sAMAccountName", email = "mail" }
			where = { userAccountControl = ["512", "66048"] }`, utf16LE(string(list))
	},
	"Google": func(people []person) (string, string, []byte) {
		return "a.csv", `columns = { name = "Employee ID", email = "Email Address [Required]" }
			where = { "Status [READ ONLY]" = ["Active"] }`,
			table(',', false, false, people, "First Name [Required],Email Address [Required],Password [Required],Status [READ ONLY],Employee ID", func(p person) string {
				return p.display + "\x00" + p.mail + "\x00****\x00" + word(p, "Active", "Suspended") + "\x00" + p.login
			})
	},
	"Okta": func(people []person) (string, string, []byte) {
		type profile struct {
			Login string `json:"login"`
			Email string `json:"email"`
			First string `json:"firstName"`
		}
		type user struct {
			ID      string         `json:"id"`
			Status  string         `json:"status"`
			Profile profile        `json:"profile"`
			Links   map[string]any `json:"_links"`
		}
		users := []user{}
		for _, p := range people {
			users = append(users, user{"00u" + p.login, word(p, "ACTIVE", "DEPROVISIONED"), profile{p.login, p.mail, p.display}, map[string]any{"self": nil}})
		}
		list, err := json.Marshal(users)
		if err != nil {
			panic(err)
		}
		return "a.json", `columns = { name = "profile.login", email = "profile.email" }
			where = { status = ["active"] }`, list
	},
	"LDAP": func(people []person) (string, string, []byte) {
		return "a.csv", `columns = { name = "uid", email = "mail" }`, table(',', false, false, without(people), "dn,cn,mail,uid", func(p person) string {
			return "uid=" + p.login + ",dc=example\x00" + p.display + "\x00" + p.mail + "\x00" + p.login
		})
	},
	"a program": func(people []person) (string, string, []byte) {
		return "", `command = ["cat", "printed"]
			format = "csv"
			columns = { name = "login", email = "email" }
			where = { status = ["ACTIVE"] }`, table(',', false, false, people, "login,firstName,email,status", func(p person) string {
				return p.login + "\x00" + p.display + "\x00" + p.mail + "\x00" + word(p, "ACTIVE", "SUSPENDED")
			})
	},
}

func word(p person, here, left string) string {
	if p.left {
		return left
	}
	return here
}

// without are those who have not left.
func without(people []person) []person {
	return slices.DeleteFunc(slices.Clone(people), func(p person) bool { return p.left })
}

// table writes CSV. Cells of a row are separated by NUL; a header that has only our
// columns cannot tell who has left.
func table(sep rune, quoted, windows bool, people []person, header string, row func(person) string) []byte {
	if strings.Count(header, string(sep)) == 1 {
		people = without(people)
	}
	var b bytes.Buffer
	b.WriteString(header + "\n")
	out := csv.NewWriter(&b)
	out.Comma = sep
	for _, p := range people {
		cells := strings.Split(row(p), "\x00")
		if !quoted {
			if err := out.Write(cells); err != nil {
				panic(err)
			}
			out.Flush()
			continue
		}
		for i, c := range cells {
			if i > 0 {
				b.WriteRune(sep)
			}
			b.WriteString(`"` + strings.ReplaceAll(c, `"`, `""`) + `"`)
		}
		b.WriteByte('\n')
	}
	if windows {
		return bytes.ReplaceAll(b.Bytes(), []byte("\n"), []byte("\r\n"))
	}
	return b.Bytes()
}

func utf16LE(s string) []byte {
	var out []byte
	for _, u := range utf16.Encode([]rune(s)) {
		out = append(out, byte(u), byte(u>>8))
	}
	return out
}

// windows1252 writes a text whose characters are all in Latin-1.
func windows1252(text []byte) []byte {
	var out []byte
	for _, r := range string(text) {
		if r > 0xff {
			r = '?'
		}
		out = append(out, byte(r))
	}
	return out
}

// directory is a world whose users are those of a list.
type directory struct {
	t      *rapid.T
	dir    string
	now    time.Time
	people []person
	seen   map[string][]string // files with the certificates that each login has had
	made   int
}

// TestAnyListAnyDialect lets people join, leave and change their addresses, in a list
// that another program writes each time. OpenSSL says who gets in.
func TestAnyListAnyDialect(t *testing.T) {
	if testing.Short() {
		t.Skip("make test runs it")
	}
	tools.Need(t, "openssl")
	configure(t)
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(fastDir(), "mtlsplan-list-")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		d := &directory{t: t, dir: dir, now: time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC), seen: map[string][]string{}}
		d.join()
		d.join()
		for range 5 {
			for range rapid.IntRange(0, 4).Draw(t, "changes") {
				rapid.SampledFrom([]func(){d.join, d.join, d.leave, d.vanish, d.comeBack, d.newMail, d.mailInOtherCase}).Draw(t, "change")()
			}
			if len(without(d.people)) == 0 {
				d.join()
			}
			d.apply()
			d.check()
			d.now = d.now.AddDate(0, 0, rapid.IntRange(0, 40).Draw(t, "days"))
		}
	})
}

var displays = []string{"Ada Lovelace", "Köhler, Ümit", `Dwayne "The Rock" Johnson`, "O'Brien; Áine", "Line\nBreak", "=cmd|' /C calc'!A0", "", "#TYPE x", "sep=;"}

func (d *directory) join() {
	d.made++
	login := fmt.Sprintf("user%d", d.made)
	d.people = append(d.people, person{login: login, mail: login + "@example.com", display: rapid.SampledFrom(displays).Draw(d.t, "display")})
}

func (d *directory) someone() *person {
	if len(d.people) == 0 {
		d.join()
	}
	return &d.people[rapid.IntRange(0, len(d.people)-1).Draw(d.t, "who")]
}

func (d *directory) leave()    { d.someone().left = true }
func (d *directory) comeBack() { d.someone().left = false }
func (d *directory) vanish() {
	gone := d.someone().login
	d.people = slices.DeleteFunc(d.people, func(p person) bool { return p.login == gone })
}
func (d *directory) newMail() {
	d.made++
	d.someone().mail = fmt.Sprintf("mail%d@example.com", d.made)
}

func (d *directory) mailInOtherCase() {
	p := d.someone()
	if p.mail == strings.ToLower(p.mail) {
		p.mail = strings.ToUpper(p.mail[:1]) + p.mail[1:]
	} else {
		p.mail = strings.ToLower(p.mail)
	}
}

// load writes the list in some dialect, and expects exactly those who have not left.
func (d *directory) load() *spec.Config {
	d.t.Helper()
	name := rapid.SampledFrom(slices.Sorted(maps.Keys(dialects))).Draw(d.t, "dialect")
	people := rapid.Permutation(d.people).Draw(d.t, "order")
	file, block, list := dialects[name](people)
	if file != "" {
		block = fmt.Sprintf("file = %q\n", file) + block
	} else {
		file = "printed"
	}
	text := "ca \"m\" {\n key = \"ecdsa-p256\"\n subject {\n common_name = \"The CA\"\n }\n}\nguard {\n max_revocations = 1000\n}\nroster \"r\" {\n" + block + "\n}\n"
	for path, data := range map[string][]byte{"mtlsplan.hcl": []byte(text), file: list} {
		if err := os.WriteFile(filepath.Join(d.dir, path), data, 0o600); err != nil {
			d.t.Fatal(err)
		}
	}
	cfg, _, diags := spec.Load(context.Background(), filepath.Join(d.dir, "mtlsplan.hcl"), "")
	if diags.HasErrors() {
		d.t.Fatalf("%s: %v\n%s\n%q", name, diags, text, list)
	}
	have := map[string]string{}
	for _, u := range cfg.Users {
		have[u.Name] = u.Subject.Email
	}
	for _, p := range without(d.people) {
		if have[p.login] != p.mail {
			d.t.Fatalf("%s: %s has the address %q, not %q", name, p.login, have[p.login], p.mail)
		}
		delete(have, p.login)
	}
	if len(have) > 0 {
		d.t.Fatalf("%s: %v have access", name, have)
	}
	return cfg
}

func (d *directory) apply() {
	d.t.Helper()
	opt := Options{Now: d.now, LookupEnv: func(string) (string, bool) { return "", false }}
	r, err := Apply(context.Background(), d.load(), opt, quiet{})
	if err != nil || len(r.Failures) > 0 {
		d.t.Fatalf("%v %v", err, r)
	}
	again, err := NewPlan(context.Background(), d.load(), opt)
	if err != nil || len(again.Steps) > 0 {
		d.t.Fatalf("the same people in another dialect: %v %v", err, again)
	}
}

// check asks OpenSSL about every certificate that anybody has ever had.
func (d *directory) check() {
	d.t.Helper()
	verify := func(file string) string {
		out, _ := exec.Command("openssl", "verify", "-crl_check", "-purpose", "sslclient", "-attime", fmt.Sprint(d.now.Unix()),
			"-CAfile", filepath.Join(d.dir, "pki/ca.m.crt"), "-CRLfile", filepath.Join(d.dir, "pki/ca.m.crl"), file).CombinedOutput()
		return string(out)
	}
	here := map[string]bool{}
	for _, p := range without(d.people) {
		here[p.login] = true
		data, err := os.ReadFile(filepath.Join(d.dir, "pki", p.login+"-m.crt"))
		if err != nil {
			d.t.Fatal(err)
		}
		file := filepath.Join(d.dir, fmt.Sprintf("%s.%d.crt", p.login, len(d.seen[p.login])))
		if err := os.WriteFile(file, data, 0o600); err != nil {
			d.t.Fatal(err)
		}
		d.seen[p.login] = append(d.seen[p.login], file)
		if said := verify(file); !strings.Contains(said, ": OK") {
			d.t.Fatalf("%s is refused: %s", p.login, said)
		}
	}
	for login, files := range d.seen {
		if here[login] {
			continue
		}
		for _, file := range files {
			if said := verify(file); !strings.Contains(said, "certificate revoked") {
				d.t.Fatalf("%s has left and gets in: %s", login, said)
			}
		}
	}
}
