package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var consoleBlock = regexp.MustCompile("(?s)```console\n(.*?)```")

// TestReadmeSession runs the commands of the README's terminal session and expects the output
// below each. MTLSPLAN_UPDATE=1 writes it.
func TestReadmeSession(t *testing.T) {
	file, err := filepath.Abs(filepath.Join(repo, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	at := consoleBlock.FindSubmatchIndex(readme)
	if at == nil {
		t.Fatal("the README shows no session")
	}
	want := string(readme[at[2]:at[3]])

	example, err := os.ReadFile(filepath.Join(repo, "examples", "mattermost.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := os.Mkdir("examples", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join("examples", "mattermost.hcl"), example, 0o644); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	for line := range strings.Lines(want) {
		typed, ok := strings.CutPrefix(line, "$ mtlsplan ")
		if !ok {
			continue
		}
		got.WriteString(line)
		run(context.Background(), strings.Fields(typed), process{
			stdin:     strings.NewReader(""),
			stdout:    &got,
			stderr:    &got,
			lookupEnv: func(string) (string, bool) { return "", false },
			now:       func() time.Time { return time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC) },
		})
	}
	session := docWaiting.ReplaceAllString(got.String(), "")
	if session == want {
		return
	}
	if os.Getenv("MTLSPLAN_UPDATE") == "" {
		t.Fatalf("the README's session differs from the program's output; make golden writes this:\n%s", session)
	}
	updated := append(bytes.Clone(readme[:at[2]]), session...)
	updated = append(updated, readme[at[3]:]...)
	if err := os.WriteFile(file, updated, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestScriptCommandsAreDocumented expects a row for every command in the scripts' README.
func TestScriptCommandsAreDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repo, "testdata", "scripts", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for name := range scriptCommands {
		if !regexp.MustCompile("(?m)^\\| `" + regexp.QuoteMeta(name) + "[ `]").Match(text) {
			t.Errorf("testdata/scripts/README.md has no row for the command %s", name)
		}
	}
}
