package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	module = "mtlsplan/"
	repo   = "../.."
)

// TestLayers compares ARCHITECTURE.md's table of packages with the imports in the source.
func TestLayers(t *testing.T) {
	table := layersTable(t)
	source := parsePackages(t)
	for _, dir := range slices.Sorted(maps.Keys(source)) {
		row, ok := table[dir]
		if !ok {
			t.Errorf("%s has no row in ARCHITECTURE.md's table", dir)
			continue
		}
		for _, file := range source[dir] {
			for _, spec := range file.ast.Imports {
				path, _ := strconv.Unquote(spec.Path.Value)
				if !row.allows(path) {
					t.Errorf("%s imports %s, which its row in ARCHITECTURE.md does not allow", file.name, path)
				}
			}
		}
	}
	for dir := range table {
		if source[dir] == nil {
			t.Errorf("ARCHITECTURE.md's table has a row for %s, which does not exist", dir)
		}
	}
}

// TestArchitectureNames looks up what ARCHITECTURE.md says to stand in a file.
func TestArchitectureNames(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repo, "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`([a-z_/]+\\.go)` `(\\w+)`").FindAllStringSubmatch(string(text), -1)
	if len(named) < 20 {
		t.Errorf("only %d names are to be looked up", len(named))
	}
	for _, m := range named {
		source, err := os.ReadFile(filepath.Join(repo, m[1]))
		if err != nil {
			t.Error(err)
			continue
		}
		if !regexp.MustCompile(`(?m)^(func (\([^)]*\) )?|type |var )` + m[2] + `\b`).Match(source) {
			t.Errorf("ARCHITECTURE.md says that %s stands in %s", m[2], m[1])
		}
	}
}

// worldRules restrict the use of clock, disk, terminal, other programs and revealed secrets
// to the packages for them.
var worldRules = []struct {
	what    string
	pkg     string // import path, "" for a method of any type
	names   string
	allowed string // packages
}{
	{"reads the clock", "time", "Now Since Until", "cmd/mtlsplan"},
	{"prints", "fmt", "Print Printf Println", "cmd/mtlsplan internal/ui"},
	{"prints", "os", "Stdout Stderr", "cmd/mtlsplan internal/ui"},
	{"prints", "log", "Print Printf Println Fatal Fatalf Fatalln Panic Panicf Panicln", ""},
	{"touches files", "os", "Chdir Chmod Chown Chtimes CopyFS Create CreateTemp DirFS Lchown Link Lstat Mkdir MkdirAll " +
		"MkdirTemp NewFile Open OpenFile OpenInRoot OpenRoot ReadDir ReadFile Readlink Remove RemoveAll Rename Stat " +
		"Symlink Truncate WriteFile", "cmd/mtlsplan internal/deploy internal/enroll internal/handout internal/input internal/outdir internal/secret spec"},
	{"touches files", "path/filepath", "EvalSymlinks Glob Walk WalkDir", "cmd/mtlsplan internal/deploy internal/enroll internal/handout internal/input internal/outdir internal/secret spec"},
	{"reads the environment", "os", "Environ ExpandEnv Getenv LookupEnv", "cmd/mtlsplan internal/deploy internal/input"},
	{"ends the process", "os", "Exit", "cmd/mtlsplan"},
	{"runs a program", "os/exec", "Command CommandContext", "internal/deploy internal/input"},
	{"connects", "net", "Dial DialTimeout DialTCP Dialer", "internal/probe"},
	{"opens a secret", "", "Reveal", "engine internal/enroll internal/inventory internal/pki internal/seal internal/secret"},
}

// TestWorldAtTheEdge checks the source against worldRules.
func TestWorldAtTheEdge(t *testing.T) {
	for dir, files := range parsePackages(t) {
		if strings.HasPrefix(dir, "internal/bench/") || strings.HasPrefix(dir, "internal/testing/") {
			continue // not a part of mtlsplan, but the outside world
		}
		for _, file := range files {
			ast.Inspect(file.ast, func(n ast.Node) bool {
				sel, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				from := file.packageOf(sel.X)
				for _, r := range worldRules {
					if r.pkg == from && has(r.names, sel.Sel.Name) && !has(r.allowed, dir) {
						t.Errorf("%s: %s %s, which only %s may", file.fset.Position(sel.Pos()), sel.Sel.Name, r.what, orNobody(r.allowed))
					}
				}
				return true
			})
		}
	}
}

type sourceFile struct {
	name string // relative to the repository
	fset *token.FileSet
	ast  *ast.File
}

// packageOf is the import path of the package that an expression names, "" when it does not
// name an imported package.
func (f sourceFile) packageOf(x ast.Expr) string {
	id, ok := x.(*ast.Ident)
	if !ok {
		return ""
	}
	for _, spec := range f.ast.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		name := path[strings.LastIndex(path, "/")+1:]
		if spec.Name != nil {
			name = spec.Name.Name
		}
		if name == id.Name {
			return path
		}
	}
	return ""
}

// parsePackages parses all Go files that are not tests, by directory.
func parsePackages(t *testing.T) map[string][]sourceFile {
	t.Helper()
	packages := map[string][]sourceFile{}
	fset := token.NewFileSet()
	err := filepath.WalkDir(repo, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(repo, path)
		if err != nil {
			return err
		}
		if d.IsDir() && (rel == "build" || d.Name() == "testdata" || strings.HasPrefix(rel, ".") && rel != ".") {
			return filepath.SkipDir
		}
		if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil && rel != "." {
			return filepath.SkipDir // a module of its own, which no package of ours imports
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		parsed, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(filepath.Dir(rel))
		packages[dir] = append(packages[dir], sourceFile{filepath.ToSlash(rel), fset, parsed})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return packages
}

// layerRow is what ARCHITECTURE.md allows one package to import.
type layerRow struct {
	ours      []string // directories
	elsewhere []string // import path prefixes
}

func (r layerRow) allows(path string) bool {
	if dir, ok := strings.CutPrefix(path, module); ok {
		return slices.Contains(r.ours, dir)
	}
	if first, _, _ := strings.Cut(path, "/"); !strings.Contains(first, ".") {
		return true // the standard library's paths have no dot in their first element
	}
	return slices.ContainsFunc(r.elsewhere, func(prefix string) bool {
		return path == prefix || strings.HasPrefix(path, prefix+"/")
	})
}

var codeSpan = regexp.MustCompile("`([^`]+)`")

// layersTable reads the rows "| `package` | job | `ours` … | `elsewhere` … |".
func layersTable(t *testing.T) map[string]layerRow {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repo, "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	spans := func(cell string) (out []string) {
		for _, m := range codeSpan.FindAllStringSubmatch(cell, -1) {
			out = append(out, m[1])
		}
		return out
	}
	table := map[string]layerRow{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 6 || !strings.HasPrefix(line, "| `") {
			continue
		}
		table[spans(cells[1])[0]] = layerRow{spans(cells[3]), spans(cells[4])}
	}
	if len(table) == 0 {
		t.Fatal("ARCHITECTURE.md has no table of packages")
	}
	return table
}

// has reports whether a blank-separated list holds a word.
func has(list, word string) bool { return slices.Contains(strings.Fields(list), word) }

func orNobody(allowed string) string {
	if allowed == "" {
		return "no package"
	}
	return strings.ReplaceAll(allowed, " ", ", ")
}
