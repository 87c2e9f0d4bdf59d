package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mtlsplan/internal/outdir"
)

// misfortunes are failures in which a run talks about secrets. Each has an output
// directory from an earlier apply.
var misfortunes = map[string]func(*cage){
	"the CA's passphrase is another": func(c *cage) { c.edit(`{ env = "CA" }`, `{ env = "ANN" }`) },
	"a user's passphrase is another": func(c *cage) { c.edit(`env = "ANN"`, `file = "src/dan"`) },
	"a previous passphrase opens": func(c *cage) {
		c.edit(`file = "src/dan" }`, "env = \"BOB_PREVIOUS\" }\n  previous_passphrase = { file = \"src/dan\" }")
	},
	"a variable is not set":       func(c *cage) { delete(c.env, "ANN"); delete(c.env, "CA") },
	"a file is not there":         func(c *cage) { c.remove("src/dan"); c.remove("src/ann-challenge") },
	"a program fails and says it": func(c *cage) { c.edit(`["cat", "src/bob"]`, `["sh", "-c", "cat src/bob; cat src/bob >&2; exit 3"]`) },
	"a program is not there":      func(c *cage) { c.edit(`["cat", "src/bob"]`, `["no-such-program"]`) },
	"a program says too much":     func(c *cage) { c.edit(`["cat", "src/bob"]`, `["sh", "-c", "cat src/bob; yes"]`) },
	"a control character": func(c *cage) {
		c.append("ANN", "\x07")
		c.append("src/dan", "\x1b[0m\n")
		c.append("src/bob", "second\n")
	},
	"a character outside ASCII": func(c *cage) { c.append("CA", "é"); c.append("src/bob", "é") },
	"too long": func(c *cage) {
		c.append("ANN", strings.Repeat("x", 1100))
		c.append("src/dan", strings.Repeat("x", 70_000))
	},
	"the challenge is the passphrase": func(c *cage) {
		c.edit(`file = "src/ann-challenge"`, `command = ["cat", "src/dan"]`)
		c.edit(`env = "ANN"`, `file = "src/dan"`)
	},
	"one secret for three": func(c *cage) {
		c.edit(`env = "ANN"`, `file = "src/dan"`)
		c.edit(`["cat", "src/bob"]`, `["cat", "src/dan"]`)
	},
	"a generated passphrase is lost": func(c *cage) { c.remove("out/secrets/cat-m.pass") },
	"the identity is lost":           func(c *cage) { c.remove("src/identity"); c.damage("out/fay-m.p12") },
	"the identity is no key": func(c *cage) {
		c.append("src/identity", "X")
		c.edit(`recipients = []`, "recipients = [\""+cageRecipient+"\"]")
	},
	"what is sealed is damaged":       func(c *cage) { c.damage("out/secrets/fay-m.pass.age") },
	"what is sealed is to be clear":   func(c *cage) { c.edit(`seal { recipients = ["`+cageRecipient+`"] }`, "") },
	"a damaged key":                   func(c *cage) { c.damage("out/ann-m.key"); c.damage("out/dan-m.key") },
	"a damaged .p12":                  func(c *cage) { c.damage("out/ann-m.p12"); c.damage("out/cat-m.p12") },
	"a damaged CA key":                func(c *cage) { c.damage("out/ca.m.key") },
	"a damaged CSR":                   func(c *cage) { c.damage("out/ann-m.csr") },
	"a damaged database":              func(c *cage) { c.damage("out/db/issued.pem") },
	"a damaged index":                 func(c *cage) { c.damage("out/db/index.txt") },
	"a key that belongs to another":   func(c *cage) { c.copy("out/ann-m.key", "out/dan-m.key"); c.copy("out/ann-m.p12", "out/bob-m.p12") },
	"a certificate for a key":         func(c *cage) { c.copy("out/ann-m.crt", "out/ann-m.key") },
	"a user leaves":                   func(c *cage) { c.edit("user \"dan\" {\n", "user \"eve\" {\n") },
	"a user is revoked":               func(c *cage) { c.edit("user \"dan\" {\n", "user \"dan\" {\n  revoked = \"keyCompromise\"\n") },
	"the directory is locked":         func(c *cage) { c.lock() },
	"the directory can be written to": func(c *cage) { c.must(os.Chmod(filepath.Join(c.dir, "out"), 0o777)) },
	"a directory for a key": func(c *cage) {
		c.remove("out/cat-m.key")
		c.must(os.Mkdir(filepath.Join(c.dir, "out/cat-m.key"), 0o700))
	},
	"the directory is a file": func(c *cage) { c.must(os.RemoveAll(filepath.Join(c.dir, "out"))); c.write("out", "x") },
	"a new generation":        func(c *cage) { c.edit("  kdf_iterations      = 1000\n", "  generation = 2\n  kdf_iterations = 1000\n") },
	"a journal cut short": func(c *cage) {
		c.must(os.MkdirAll(filepath.Join(c.dir, "out/db/stage/x"), 0o700))
		c.write("out/db/stage/x/journal", "[{")
	},
}

func (c *cage) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *cage) remove(name string) { c.must(os.Remove(filepath.Join(c.dir, name))) }

func (c *cage) append(source, text string) { c.set(source, c.secrets[source]+text) }

func (c *cage) copy(from, to string) {
	data, err := os.ReadFile(filepath.Join(c.dir, from))
	c.must(err)
	c.write(to, string(data))
}

func (c *cage) damage(name string) {
	data, err := os.ReadFile(filepath.Join(c.dir, name))
	c.must(err)
	data[len(data)/2] ^= 0x15
	c.write(name, string(data))
}

// lock excludes every other writer until the test ends.
func (c *cage) lock() {
	d, err := outdir.Lock(c.t.Context(), filepath.Join(c.dir, "out"), "the test", 0, nil)
	c.must(err)
	c.t.Cleanup(func() { d.Close() })
}

// TestSecretsAreNotSaidInMisfortune lets every failure happen in which a run talks about
// keys and passphrases.
func TestSecretsAreNotSaidInMisfortune(t *testing.T) {
	if testing.Short() {
		t.Skip("make test runs it")
	}
	for name, happen := range misfortunes {
		t.Run(name, func(t *testing.T) {
			c := newCage(t)
			if code := c.run("apply", "SPEC"); code != exitDone {
				t.Fatalf("exit %d: %s", code, &c.said)
			}
			before := c.said.Len()
			happen(c)
			for _, line := range []string{"plan SPEC", "plan SPEC --format json", "show SPEC ann", "show SPEC ca.m --format yaml", "verify SPEC", "verify SPEC --format json", "render SPEC", "validate SPEC --format json",
				"apply SPEC --format json", "apply SPEC --allow-revocations 9 --adopt", "plan SPEC"} {
				c.run(strings.Fields(line)...)
			}
			c.search()
			if said := c.said.String()[before:]; len(strings.TrimSpace(said)) < 400 {
				t.Errorf("the output is too short to prove anything: %s", said)
			}
		})
	}
}

// literals are the ways of writing a passphrase into a spec or a roster, where it must
// be refused without being shown.
func literals(secret string) map[string]string {
	q := fmt.Sprintf("%q", secret)
	user := func(lines string) string { return "user \"eve\" {\n  " + lines + "\n}\n" }
	places := map[string]string{
		"text": user("passphrase = " + q), "single quotes": user("passphrase = '" + secret + "'"), "bare": user("passphrase = " + secret),
		"list": user("passphrase = [" + q + "]"), "value": user("passphrase = { value = " + q + " }"),
		"heredoc": user("passphrase = <<EOT\n" + secret + "\nEOT"), "indented heredoc": user("passphrase = <<-EOT\n    " + secret + "\n    EOT"),
		"heredoc without end": user("passphrase = <<EOT\n" + secret), "template": user(`passphrase = "${"` + secret + `"}"`), "half a template": user(`passphrase = "x${` + secret),
		"function": user("passphrase = file(" + q + ")"), "sum": user("passphrase = 1 + " + q), "no end": user(`passphrase = "` + secret), "twice": user("passphrase = " + q + "\n  passphrase = " + q),
		"challenge": user("challenge_password = " + q), "previous": user("previous_passphrase = " + q), "identity": "seal {\n  identity = " + q + "\n}\n", "recipient": user("seal {\n    identity = " + q + "\n  }"), "misspelt": user("passphrse = " + q), "password": user("password = " + q),
		"block": user("passphrase {\n    value = " + q + "\n  }"), "label": "passphrase " + q + " {\n}\n", "in the file": "passphrase = " + q + "\n", "in the site": "nginx \"n\" {\n  passphrase = " + q + "\n}\n",
		"generate": user("passphrase = { generate = " + q + " }"), "program": user("passphrase = { command = " + q + " }"), "in a defaults block": "defaults {\n  passphrase = " + q + "\n}\n",
	}
	if strings.Contains(secret, " ") { // otherwise it is a good name
		places["name of a variable"] = user("passphrase = { env = " + q + " }")
	}
	return places
}

func rosters(secret string) map[string]string {
	csv := `"` + strings.ReplaceAll(secret, `"`, `""`) + `"`
	q := fmt.Sprintf("%q", secret)
	lists := map[string]string{
		"a.csv": "name,passphrase\neve," + csv + "\n", "c.csv": "name,password\neve," + csv + "\n",
		"d.csv": "name,passphrase\neve,\"" + secret, "e.csv": "name;passphrase\neve;" + secret + "\n", "f.csv": "name,passphrase\neve," + csv + "," + csv + "\n",
		"a.json": `[{"name": "eve", "passphrase": ` + q + `}]`, "b.json": `[{"name": "eve", "passphrase": ` + q, "c.json": `[{"name": "eve", "passphrase": {"value": ` + q + `}}]`,
		"a.yaml": "- name: eve\n  passphrase: " + q + "\n", "b.yaml": "- name: eve\n  passphrase: '" + secret + "\n", "c.yaml": "- name: eve\n  passphrase: |\n    " + secret + "\n   x: [\n",
	}
	if strings.Contains(secret, " ") { // otherwise it is a good name of a variable
		lists["b.csv"] = "name,passphrase.env\neve," + csv + "\n"
		lists["d.yaml"] = "- name: eve\n  passphrase: {env: " + q + "}\n"
	}
	return lists
}

// TestLiteralSecretsAreNotShown writes secrets where no secret may be.
func TestLiteralSecretsAreNotShown(t *testing.T) {
	for _, secret := range []string{"tweetliteral77", "tweetliteral, 77 songs!"} {
		c := newCage(t)
		c.secrets = map[string]string{}
		sources := map[string]string{}
		try := func(name, text string) {
			c.said.Reset()
			c.write("m.hcl", text)
			for _, line := range []string{"validate SPEC", "validate SPEC --format json", "validate SPEC --format yaml", "apply SPEC --format json", "plan SPEC", "show SPEC ann", "verify SPEC", "render SPEC", "__complete show SPEC user.", "fmt SPEC --check --diff"} {
				if code := c.run(strings.Fields(line)...); code == exitDone && strings.HasPrefix(line, "validate") {
					t.Errorf("%s: the spec is valid", name)
				}
			}
			for _, part := range []string{secret, strings.Fields(secret)[0]} {
				if form := newCanary(name, []byte(part)).in(c.said.Bytes()); form != "" {
					t.Errorf("%s: %s", name, c.said.Bytes()[bytes.Index(c.said.Bytes(), []byte("$")):])
				}
			}
			sources[name] = text
		}
		for name, text := range literals(secret) {
			try(name, strings.Replace(cageSpec, "user \"dan\"", text+"user \"dan\"", 1))
		}
		for name, text := range rosters(secret) {
			c.write(name, text)
			try(name, cageSpec+"roster \"r\" {\n  file = \""+name+"\"\n}\n")
			c.remove(name)
		}
		if len(sources) < 35 {
			t.Errorf("only %d places", len(sources))
		}
		c.write("m.hcl", "")
		searchFiles(t, c.dir, []canary{newCanary("the literal", []byte(secret))}, func(string, string) bool { return false })
	}
}
