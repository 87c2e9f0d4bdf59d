package main

import (
	"bytes"
	"crypto/sha256"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestBuildIsReproducible runs `make build` for one commit in two places, with the
// environments of two different people.
func TestBuildIsReproducible(t *testing.T) {
	if testing.Short() {
		t.Skip("make test runs it")
	}
	builders := []struct {
		dir string
		env []string
	}{
		{"one", []string{"TZ=UTC", "LANG=C", "USER=one"}},
		{filepath.Join("another", "and", "longer"), []string{"TZ=Asia/Tokyo", "LANG=de_DE.UTF-8", "USER=two", "GOFLAGS=-ldflags=-s", "CGO_ENABLED=1", "CC=no-such-compiler", "SOURCE_DATE_EPOCH=1"}},
	}
	var sums [][sha256.Size]byte
	for _, b := range builders {
		dir := filepath.Join(t.TempDir(), b.dir)
		checkout(t, dir)
		command(t, dir, b.env, "make", "build")
		data, err := os.ReadFile(filepath.Join(dir, "mtlsplan"))
		if err != nil {
			t.Fatal(err)
		}
		sums = append(sums, sha256.Sum256(data))
		if bytes.Contains(data, []byte(dir)) {
			t.Errorf("the program says that it was built in %s", dir)
		}
		version := string(command(t, dir, nil, "./mtlsplan", "version"))
		if !regexp.MustCompile(`\ncommit [0-9a-f]{40} of 2026-03-01T12:00:00Z\n`).MatchString(version) {
			t.Errorf("the version does not name its commit: %s", version)
		}
	}
	if sums[0] != sums[1] {
		t.Errorf("two builds of one commit differ: %x and %x", sums[0], sums[1])
	}
}

// checkout makes a commit of the source as it is now, also where the source is not
// a checkout itself.
func checkout(t *testing.T, dir string) {
	t.Helper()
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(root, path)
		to := filepath.Join(dir, name)
		switch {
		case d.IsDir() && slices.Contains([]string{".git", "testdata", "build", "docs"}, d.Name()):
			return filepath.SkipDir
		case d.Name() == ".git":
			return nil // a file in a worktree: with it the commit would be made in the repository itself
		case d.IsDir():
			return os.MkdirAll(to, 0o755)
		case !d.Type().IsRegular() || strings.HasSuffix(name, "_test.go") || d.Name() == "mtlsplan" || strings.HasSuffix(name, ".test"):
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(to, data, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	git := []string{"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b",
		"GIT_AUTHOR_DATE=2026-03-01T12:00:00Z", "GIT_COMMITTER_DATE=2026-03-01T12:00:00Z"}
	command(t, dir, git, "git", "init", "-q")
	command(t, dir, git, "git", "add", ".")
	command(t, dir, git, "git", "commit", "-q", "-m", "release")
}

func command(t *testing.T, dir string, env []string, program string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return out
}

// TestModulesAreKnownAndPinned: each module in go.mod is in ARCHITECTURE.md's table,
// or serves tests only. Each has one version whose content go.sum fixes, and none is
// replaced.
func TestModulesAreKnownAndPinned(t *testing.T) {
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join("..", "..", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	mod, sums, table := read("go.mod"), read("go.sum"), read("ARCHITECTURE.md")
	if found := regexp.MustCompile(`(?m)^(replace|exclude|toolchain)\b.*`).FindString(mod); found != "" {
		t.Errorf("go.mod says %q", found)
	}
	direct := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\t(\S+) (v\S+)( // indirect)?$`).FindAllStringSubmatch(mod, -1) {
		if !strings.Contains(sums, m[1]+" "+m[2]+" h1:") && m[3] == "" {
			t.Errorf("go.sum does not fix %s %s", m[1], m[2])
		}
		direct[m[1]] = m[3] == ""
	}
	out := string(command(t, filepath.Join("..", ".."), nil, "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./cmd/mtlsplan"))
	built := slices.Compact(slices.Sorted(strings.SplitSeq(strings.TrimSpace(out), "\n")))
	for _, path := range built {
		if direct[path] && !strings.Contains(table, "`"+path+"`") {
			t.Errorf("%s is built in and has no row in ARCHITECTURE.md's table", path)
		}
	}
	if len(built) < 10 || len(built) > 25 {
		t.Errorf("%d modules are built in, expected few", len(built))
	}
}
