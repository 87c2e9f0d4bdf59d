package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"mtlsplan/internal/pki"
	"mtlsplan/internal/seal"
	"mtlsplan/internal/secret"
)

// cage is a directory in which every secret comes from another kind of source.
type cage struct {
	t       *testing.T
	dir     string
	env     map[string]string
	secrets map[string]string // the first secrets of the sources, by name
	gate    string            // address of a server that asks for a certificate
	said    bytes.Buffer
}

const cageSpec = `output = "out"
ca "m" {
  subject {
    common_name = "example.mattermost.com"
    email       = "admin@mattermost.com"
  }
  key                 = "ecdsa-p256"
  passphrase          = { env = "CA" }
  previous_passphrase = { file = "src/ca-previous" }
  kdf_iterations      = 1000
}
defaults {
  p12            = ["modern"]
  kdf_iterations = 1000
}
user "ann" {
  email               = "ann@mattermost.com"
  passphrase          = { env = "ANN" }
  previous_passphrase = { command = ["cat", "src/ann-previous"] }
  challenge_password  = { file = "src/ann-challenge" }
}
user "bob" {
  passphrase          = { command = ["cat", "src/bob"] }
  previous_passphrase = { env = "BOB_PREVIOUS" }
  challenge_password  = { command = ["cat", "src/bob-challenge"] }
}
user "cat" {
  passphrase         = { generate = true }
  challenge_password = { env = "CAT_CHALLENGE" }
}
user "dan" {
  passphrase = { file = "src/dan" }
}
user "fay" {
  seal { recipients = ["` + cageRecipient + `"] }
}
seal {
  recipients = []
  identity   = { file = "src/identity" }
}
nginx "m" {
  server_name = ["example.mattermost.com"]
  upstream    = ["127.0.0.1:8065"]
}
`

// The key of cageIdentity opens what is sealed to cageRecipient. They are of tests alone.
const (
	cageRecipient = "age1vllx2qngavungxuzwsudvxy86h9c2wwgzpvyycfpxhf0r5qr7qnsrqgyf5"
	cageIdentity  = "AGE-SECRET-KEY-139J7T050L93GEP0YJGM7VMKDU5L0P6A45RLT94K5777VTP2XG22SA87FSE"
)

func newCage(t *testing.T) *cage {
	c := &cage{t: t, dir: t.TempDir(), env: map[string]string{}, secrets: map[string]string{}}
	for _, dir := range []string{"src", "tmp", "home"} {
		if err := os.Mkdir(filepath.Join(c.dir, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("TMPDIR", filepath.Join(c.dir, "tmp"))
	t.Setenv("HOME", filepath.Join(c.dir, "home"))
	t.Setenv("XDG_CACHE_HOME", filepath.Join(c.dir, "home"))
	for i, name := range []string{"CA", "ANN", "BOB_PREVIOUS", "CAT_CHALLENGE", "src/ca-previous", "src/ann-previous", "src/ann-challenge", "src/bob", "src/bob-challenge", "src/dan"} {
		text := fmt.Sprintf(`tweet-%02d <"&>%%'~\ %x`, i, 0xc0ffee*(i+3))
		c.secrets[name] = text
		if c.set(name, text); strings.Contains(name, "/") {
			c.set(name, text+"\n")
		}
	}
	c.secrets["src/identity"] = cageIdentity
	c.write("src/identity", cageIdentity+"\n")
	c.write("m.hcl", cageSpec)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header, r.TLS.PeerCertificates)
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	c.gate = server.Listener.Addr().String()
	return c
}

func (c *cage) write(name, text string) {
	if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// set gives a source its secret.
func (c *cage) set(source, text string) {
	if strings.Contains(source, "/") {
		c.write(source, text)
		return
	}
	c.env[source] = text
}

// edit changes the spec.
func (c *cage) edit(old, text string) {
	c.t.Helper()
	data, err := os.ReadFile(filepath.Join(c.dir, "m.hcl"))
	if err != nil || !strings.Contains(string(data), old) {
		c.t.Fatalf("the spec has no %q: %v", old, err)
	}
	c.write("m.hcl", strings.Replace(string(data), old, text, 1))
}

// run runs one command line; SPEC in it is the spec, and GATE the address of a server
// that lets everybody in.
func (c *cage) run(words ...string) int {
	args := slices.Clone(words)
	for i, w := range args {
		args[i] = strings.NewReplacer("SPEC", filepath.Join(c.dir, "m.hcl"), "SRC", filepath.Join(c.dir, "src"), "GATE", c.gate).Replace(w)
	}
	fmt.Fprintf(&c.said, "\n$ mtlsplan %s\n", strings.Join(words, " "))
	ctx := c.t.Context()
	if words[0] == "try" { // which goes on until somebody ends it
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 500*time.Millisecond)
		defer cancel()
	}
	return run(ctx, args, process{strings.NewReader(""), &c.said, &c.said,
		func(name string) (string, bool) { s, ok := c.env[name]; return s, ok }, time.Now, scriptsReleased})
}

// canaries are all secrets that exist by now: those of the sources, generated ones, and
// the private keys.
func (c *cage) canaries() []canary {
	var out []canary
	passphrases := maps.Clone(c.secrets)
	generated, _ := filepath.Glob(filepath.Join(c.dir, "out", "secrets", "*"))
	for _, file := range generated {
		data, err := os.ReadFile(file)
		if err != nil {
			c.t.Fatal(err)
		}
		if strings.HasSuffix(file, ".age") {
			id, err := seal.ParseIdentity(secret.New([]byte(cageIdentity)))
			if err != nil {
				c.t.Fatal(err)
			}
			pass, err := id.Open(data)
			if err != nil {
				continue // a misfortune has damaged it
			}
			data = []byte(pass.Reveal())
		}
		passphrases["generated/"+filepath.Base(file)] = strings.TrimSpace(string(data))
	}
	for name, text := range passphrases {
		out = append(out, newCanary(name, []byte(text)))
	}
	keys, _ := filepath.Glob(filepath.Join(c.dir, "out", "*.key"))
	for _, file := range keys {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // a misfortune has made it unreadable
		}
		for _, text := range passphrases {
			if key, err := pki.OpenKey(data, secret.New([]byte(text))); err == nil {
				der, err := x509.MarshalPKCS8PrivateKey(key)
				if err != nil {
					c.t.Fatal(err)
				}
				// The scalar: octets 36 to 68 of a P-256 key (RFC 5915 within RFC 5958).
				out = append(out, newCanary("key/"+filepath.Base(file), der[36:68]))
			}
		}
	}
	return out
}

// allowed are the files that hold a secret by design: its source, and for a challenge
// password the CSR.
func allowed(file, name string) bool {
	user, challenge := strings.CutSuffix(strings.ReplaceAll(strings.TrimPrefix(strings.ToLower(name), "src/"), "_", "-"), "-challenge")
	return file == name || challenge && strings.HasSuffix(file, user+"-m.csr") ||
		strings.HasPrefix(name, "generated/") && !strings.HasSuffix(name, ".age") && file == "out/secrets/"+strings.TrimPrefix(name, "generated/")
}

func (c *cage) search() {
	c.t.Helper()
	all := c.canaries()
	for _, canary := range all {
		if form := canary.in(c.said.Bytes()); form != "" {
			at := bytes.Index(c.said.Bytes(), canary.forms[form])
			c.t.Errorf("%s (%s) is in the output:\n…%s", canary.name, form, c.said.Bytes()[max(0, at-600):])
		}
	}
	searchFiles(c.t, c.dir, all, allowed)
}

// spoken are command lines of every command: each flag is in one of them. Formats are
// tried separately.
var spoken = map[string][]string{
	"plan": {"plan SPEC", "plan SPEC --diff", "plan SPEC --detailed-exitcode", "plan SPEC --at 2027-06-01 --accept-clock", "plan SPEC --rehearsal", "plan SPEC --only user.ann", "plan SPEC --only nobody",
		"plan SPEC --replace user.bob --reason keyCompromise", "plan SPEC --reason x", "plan SPEC --allow-revocations 3 --adopt --lock-timeout 1ms --parallel 1", "plan SPEC --output OUT", "plan SPEC --out OUT.plan", "plan SPEC --out SPEC", "plan SPEC --diff --format markdown", "plan SPEC --without-secrets", "plan SPEC --verbose"},
	"apply": {"apply SPEC", "apply SPEC --quiet", "apply SPEC --only user.ann", "apply SPEC --replace user.bob --reason keyCompromise", "apply SPEC --allow-revocations 3",
		"apply SPEC --adopt --lock-timeout 1ms --parallel 1", "apply SPEC --rehearsal --at 2027-06-01 --output OUT", "apply SPEC --at +30d", "apply SPEC --accept-clock", "apply OUT.plan", "apply SPEC --yes --verbose"},
	"status": {"status SPEC", "status SPEC user.ann --at +30d --state valid", "status SPEC --expiring 400d", "status SPEC --group ops", "status SPEC --format csv",
		"status SPEC --format prometheus --out OUT.prom"},
	"explain":  {"explain SPEC ann", "explain SPEC ca.m --at +3000d", "explain SPEC crl.m", "explain SPEC nginx.m", "explain SPEC nobody"},
	"forecast": {"forecast SPEC", "forecast SPEC --days 30 --at +300d", "forecast SPEC --format ics"},
	"show":     {"show SPEC ann", "show SPEC user.cat --at +30d", "show SPEC ca.m", "show SPEC nobody"},
	"verify":   {"verify SPEC", "verify SPEC --at +30d", "verify SPEC --output OUT", "verify SPEC --connect GATE --user ann", "verify SPEC --connect GATE", "verify SPEC --connect GATE --echo /", "verify SPEC --connect 127.0.0.1:1", "verify SPEC --user ann"},
	"handout": {"handout SPEC ann bob cat dan -o OUT.given", "handout SPEC --pending --out OUT.given --overwrite", "handout SPEC --given ann --quiet --lock-timeout 1ms", "handout --print-template",
		"handout SPEC cat -o OUT.again --template OUT/nginx/m", "handout SPEC nobody -o OUT.given"},
	"request":    {"request ann -o OUT.own --passphrase-file SRC/dan", "request cat --out OUT.own --generate", "request bob -o OUT.own --key rsa-2048", "request ann -o OUT.own --passphrase-file SRC/bob"},
	"bundle":     {"bundle ann OUT/ann-m.crt -o OUT.own --passphrase-file SRC/dan", "bundle ann OUT/ann-m.crt --out OUT.own --passphrase-file SRC/bob", "bundle cat OUT/cat-m.crt -o OUT.own --p12 modern --overwrite", "bundle ann SRC/dan -o OUT.own"},
	"report":     {"report SPEC --out OUT.html --overwrite", "report SPEC --out OUT.html --at +300d", "report SPEC --out SPEC"},
	"render":     {"render SPEC", "render SPEC m", "render SPEC nosite"},
	"doctor":     {"doctor OUT/nginx/m", "doctor OUT/nginx/m --prefix OUT --nginx-version 1.26", "doctor SPEC", "doctor OUT/ann-m.key"},
	"try":        {"try SPEC --listen 127.0.0.1:0", "try SPEC --listen nowhere", "try SPEC --listen 127.0.0.1:0 --at +30d"},
	"validate":   {"validate SPEC", "validate SPEC --output OUT"},
	"fmt":        {"fmt SPEC --check --diff", "fmt SPEC --diff --check"},
	"init":       {"init SPEC", "init SPEC.new"},
	"version":    {"version", "--version"},
	"completion": {"completion bash", "completion zsh", "completion fish", "completion powershell", "__complete show SPEC user.", "__complete apply SPEC --only ", "__completeNoDesc apply SPEC --replace "},
	"help":       {"help", "help apply", "--help"},
}

// TestEveryCommandSpeaks checks that the table above is complete.
func TestEveryCommandSpeaks(t *testing.T) {
	a := &app{process: process{lookupEnv: os.LookupEnv}}
	root := a.rootCmd()
	root.InitDefaultHelpCmd()
	for _, cmd := range root.Commands() {
		lines := strings.Join(spoken[cmd.Name()], "\n")
		if lines == "" {
			t.Errorf("mtlsplan %s has no row in the table spoken: add one with every flag that adds output", cmd.Name())
		}
		var visit func(*cobra.Command)
		visit = func(c *cobra.Command) {
			c.LocalFlags().VisitAll(func(f *pflag.Flag) {
				if f.Name != "help" && !strings.Contains(lines, "--"+f.Name) {
					t.Errorf("mtlsplan %s --%s is in no command line of the table spoken", cmd.Name(), f.Name)
				}
			})
			for _, sub := range c.Commands() {
				visit(sub)
			}
		}
		visit(cmd)
	}
}

func (c *cage) speakOut() {
	for _, name := range slices.Sorted(maps.Keys(spoken)) {
		for _, line := range spoken[name] {
			for _, format := range []string{"text", "json", "yaml", "other"} {
				if words := strings.Fields(strings.ReplaceAll(line, "OUT", filepath.Join(c.dir, "second"))); format == "text" {
					c.run(words...)
				} else if line == spoken[name][0] {
					c.run(append(words, "--format", format)...)
				}
			}
		}
	}
}

// TestSecretsAreNeverSaid runs every command with every flag in every format, with a good
// spec and with one that holds a forbidden secret.
func TestSecretsAreNeverSaid(t *testing.T) {
	c := newCage(t)
	if code := c.run("apply", "SPEC"); code != exitDone {
		t.Fatalf("exit %d: %s", code, &c.said)
	}
	c.speakOut()
	c.search()
	if n := len(c.canaries()); n < len(c.secrets)+6 {
		t.Errorf("only %d canaries: generated passphrases and keys are missing", n)
	}
}

// TestNothingOnDiskTellsAGuess: checking a guess at a passphrase costs the key derivation
// of the key or the .p12. No file that a run leaves behind makes it cheaper.
func TestNothingOnDiskTellsAGuess(t *testing.T) {
	c := newCage(t)
	for _, line := range []string{"apply SPEC", "plan SPEC", "show SPEC ann", "apply SPEC --replace user.ann", "apply SPEC"} {
		if code := c.run(strings.Fields(line)...); code != exitDone {
			t.Fatalf("%s: exit %d: %s", line, code, &c.said)
		}
	}
	var all []canary
	for name, text := range map[string]string{"ca.m": c.secrets["CA"], "ann-m": c.secrets["ANN"], "bob-m": c.secrets["src/bob"]} {
		var beside [][]byte
		for _, file := range []string{name + ".key", name + ".p12", name + ".crt"} {
			if data, err := os.ReadFile(filepath.Join(c.dir, "out", file)); err == nil {
				beside = append(beside, data)
			}
		}
		beside = append(beside, []byte(name), []byte("mtlsplan"))
		all = append(all, digests("a digest of the passphrase of "+name, text, beside))
	}
	searchFiles(t, c.dir, all, func(string, string) bool { return false })
}
