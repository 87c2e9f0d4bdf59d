package spec

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
)

const leak = "hunter2"

// shownOf is everything that the problems of a text would show.
func shownOf(src *Sources, diags hcl.Diagnostics) string {
	var b strings.Builder
	for _, d := range diags {
		snip, _ := src.Snippet(*d.Subject)
		b.WriteString(d.Summary + ": " + d.Detail + "\n" + visible(snip) + "\n" + src.Block(*d.Subject) + "\n")
	}
	return b.String()
}

// TestSecretsStayHidden writes a passphrase wherever a person could and looks
// for it in everything that a diagnostic could show.
func TestSecretsStayHidden(t *testing.T) {
	for _, line := range []string{
		`passphrase = "hunter2"`, `passphrase = hunter2`, `passphrase = ["hunter2"]`, `passphrase = 'hunter2'`, `passphrase = "hunter2`,
		`passphrase = ("hunter2")`, `passphrase = { hunter2 }`, `passphrase = { value = "hunter2" }`, `passphrase = { value: "hunter2", }`,
		`passphrase = { env = "hunter2!" }`, `passphrase = { env = "A", value = "hunter2" }`, `passphrase = { env = "A" value = "hunter2" }`,
		`passphrase = { "value" = "hunter2"`, `passphrase = "${hunter2}"`, `passphrase = upper("hunter2")`, `passphrase = 1 + hunter2`,
		`passphrase "hunter2" {`, `passphrase : "hunter2"`, `passphrase = <<EOT` + "\nhunter2\nEOT", "passphrase = {\n  value = \"hunter2\"\n}",
		"passphrase = {\n  value = \"hunter2\n}", "passphrase = [\n  \"hunter2\"\n]", "passphrase = [\n  \"hunter2\n]",
		`password = "hunter2"`, `passphrse = "hunter2"`, `pass = "hunter2" key = 1`, `Passphrase = "hunter2"`, `"passphrase" = "hunter2"`,
		`previous_passphrase = "hunter2"`, `challenge_password = "hunter2"`, `challenge = "hunter2"`, `secret = { "hunter2" = 1 }`,
		`passphrase = { env = "A" } # was passphrase = "hunter2"` + "\n  shoe = 1",
		`passphrase = "correct%{hunter2}battery"`, `passphrase = "correct${hunter2"`, `passphrase = "%{ if hunter2 }"`, `passphrase = "a\hunter2"`,
		`passphrase = { generate = "hunter2" }`, `passphrase = { command = "hunter2" }`, `passphrase = { hunter2 = true }`, `passphrase = { env = hunter2 }`,
		`passphrase.x = { env = "hunter2!" }`, `passphrase = { command = ["a", "hunter2" }`, `passphrase = { file = "\hunter2" }`,
		"passphrase = {\n  \"hunter2\"\n}", "passphrase = {\n  env = \"A\"\n  \"hunter2\"\n}", "passphrase = {\n  hunter2\n}", "passphrase = {\n\n  # x\n  \"hunter2\n}",
		"passphrase =\n  \"hunter2\"", "passphrase = \"x\" +\n  \"hunter2\"", "passphrase\n  \"hunter2\"", "passphrase {\n  \"hunter2\"\n}", `passphrase hunter2`, `passphrase"hunter2" {`, `passphrase'hunter2'`,
		`passphrase = { env = "A" } "hunter2"`, "passphrase = { env = \"A\" }\n  \"hunter2\"", `passphrse = { "hunter2" = 1 }`, "passphrase = {\n  env = \"A\n  hunter2\n",
		"passphrase = [\n  \"a\", [ \"hunter2\n",
	} {
		_, src, diags := loadText(t, smallCA+"user \"a\" {\n  "+line+"\n}\n")
		if !diags.HasErrors() {
			t.Errorf("%s: no error", line)
		}
		if shown := shownOf(src, diags); strings.Contains(shown, leak) {
			t.Errorf("%s: shown by %s", line, shown)
		}
	}
}

// TestSecretsStayHiddenInNoise puts a passphrase between whatever else may
// stand behind the name of a secret.
func TestSecretsStayHiddenInNoise(t *testing.T) {
	if testing.Short() {
		t.Skip("long input")
	}
	names := []string{"passphrase", "previous_passphrase", "challenge_password", "password", "passphrse", "passphrase.x", `"passphrase"`}
	parts := []string{leak, leak, `"` + leak + `"`, `"` + leak, leak + `"`, `"`, `"`, "'", "`", "${", "%{", "%{ if ", "%{ for ", "%{ endif }", "$${", "}", "}", "{", "{ ", "[", "]", "(", ")",
		"=", " = ", ":", ",", ";", "\\", `\u12`, "env", "env = ", "value = ", "generate = ", "-", "+", "?", "&", "|", "**", ".", "*", "[0]", ".0.1", "::", "...", "for ", "#", "//", "/*", "é", "7", "<<EOT", " ", " "}
	rng := rand.New(rand.NewPCG(3, 4))
	for range 8_000 {
		var b strings.Builder
		for range 1 + rng.IntN(9) {
			if part := parts[rng.IntN(len(parts))]; rng.IntN(6) > 0 || brackets([]byte(b.String()), 0) == 0 {
				b.WriteString(part)
			} else {
				b.WriteString([...]string{"\n    \"", "\n    [", "\n    = "}[rng.IntN(3)]) // not a name, which may be shown
			}
		}
		line := names[rng.IntN(len(names))] + [...]string{" = ", " = ", " = { ", " = { env = ", "=", " ", " = [", "\t= \""}[rng.IntN(8)] + b.String() + [...]string{"", "", " }", `"`, `" }`, "]"}[rng.IntN(6)]
		if at := strings.IndexByte(line, '{'); at >= 0 && (isPlace([]byte(line[at:]+" }")) > 0 || isPlace([]byte(line[at:])) > 0) {
			continue // the name of a variable
		}
		text := [...]string{"user \"a\" {\n  " + line + "\n}\n", "user \"a\" {\n  " + line + "\n", "user \"a\" { " + line + " }\n",
			"user \"a\" {\n  " + line + "\n  emial = 1\n}\nuser \"b\" {\n  key = \"x\"\n}\n"}[rng.IntN(4)]
		for _, text := range []string{text, smallCA + text} {
			_, src, diags := loadText(t, text)
			if shown := shownOf(src, diags); strings.Contains(shown, leak) {
				t.Fatalf("%q: shown by %s", text, shown)
			}
			_, src, diags = Format([]byte(text), "test.hcl")
			if shown := shownOf(src, diags); strings.Contains(shown, leak) {
				t.Fatalf("%q: shown to fmt by %s", text, shown)
			}
			if masked := string(Mask([]byte(text))); strings.Contains(masked, leak) {
				t.Fatalf("%q: shown in %s", text, masked)
			}
		}
	}
}

// TestPlacesOfSecretsAreShown keeps readable what has to be corrected.
func TestPlacesOfSecretsAreShown(t *testing.T) {
	for _, place := range []string{`{ env = "PLACE" }`, `{ file = "~/PLACE" }`, `{ command = ["a", "PLACE"] }`, `{ env = "A", file = "PLACE" }`,
		"{\n  env = \"PLACE\"\n}", `{ "file" = "$HOME/PLACE", }`} {
		line := "passphrase = " + place
		if masked := string(Mask([]byte("user \"a\" {\n" + line + " # x\n  key = \"rsa\"\n}\n"))); !strings.Contains(masked, "PLACE") || !strings.Contains(masked, "rsa") {
			t.Errorf("%s: %s", line, masked)
		}
		_, src, diags := loadText(t, smallCA+"user \"a\" {\n  "+line+"\n"+line+"\n}\n")
		if shown := shownOf(src, diags); strings.Contains(place, "\n") != (strings.Contains(shown, "PLACE") == false) {
			t.Errorf("%s: %s", line, shown)
		}
	}
}
