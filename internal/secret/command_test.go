package secret

import (
	"os"
	"slices"
	"strings"
	"testing"

	"mtlsplan/internal/config"
)

// TestCommandGetsOnly checks everything that a program is given: its arguments, the
// environment without hidden variables, no input, no open file, its directory.
func TestCommandGetsOnly(t *testing.T) {
	t.Setenv("MTLSPLAN_CA_PASSPHRASE", "mine")
	t.Setenv("ANN", "another user's")
	t.Setenv("GNUPGHOME", "/keys")
	leak, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer leak.Close()
	v, err := Ref{Kind: config.FromCommand, Dir: t.TempDir(), Command: []string{"/bin/sh", "-c",
		`tr '\0' '\n' </proc/$$/cmdline; echo --; tr '\0' '\n' </proc/$$/environ; echo --; for f in /proc/$$/fd/*; do readlink $f || :; done`, "name", "a b"}}.
		Read(t.Context(), nil, []string{"ANN"})
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(v.Reveal(), "\n--\n")
	if words := strings.Split(parts[0], "\n"); len(words) != 5 || words[0] != "/bin/sh" || !slices.Equal(words[3:], []string{"name", "a b"}) {
		t.Errorf("arguments %q", words)
	}
	env := strings.Split(parts[1], "\n")
	if !slices.Contains(env, "GNUPGHOME=/keys") {
		t.Errorf("environment %q", env)
	}
	var allowed []string
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); name != "ANN" && !strings.HasPrefix(name, "MTLSPLAN_") {
			allowed = append(allowed, strings.Split(kv, "\n")...)
		}
	}
	for _, kv := range env {
		if !slices.Contains(allowed, kv) {
			t.Errorf("it sees %q", kv)
		}
	}
	for _, file := range strings.Split(parts[2], "\n") {
		if file != "/dev/null" && !strings.HasPrefix(file, "pipe:") && !strings.HasSuffix(file, "/fd") {
			t.Errorf("it has %q open", file)
		}
	}
}
