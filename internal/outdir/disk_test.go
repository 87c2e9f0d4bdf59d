package outdir

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// reading are the methods of os.Root and os.File that change nothing.
var reading = strings.Fields("Close FS Fd Lstat Name Open OpenRoot Read ReadAt ReadDir ReadFile Readdir Readdirnames Readlink Seek Stat SyscallConn")

// calls returns the functions and methods that a file calls or names, as
// Package.Name or .Name.
func calls(t *testing.T, file string) map[string]bool {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	ast.Inspect(tree, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			out["."+s.Sel.Name] = true
			if x, ok := s.X.(*ast.Ident); ok {
				out[x.Name+"."+s.Sel.Name] = true
			}
		}
		return true
	})
	return out
}

// Every change goes through disk: the fault tests try no other.
func TestOnlyDiskChangesFiles(t *testing.T) {
	changing := strings.Fields("os.MkdirTemp os.CreateTemp os.CopyFS os.Chdir os.Truncate unix.Fsync unix.Ftruncate unix.Unlink unix.Rename")
	for _, typ := range []reflect.Type{reflect.TypeFor[*os.Root](), reflect.TypeFor[*os.File]()} {
		for i := range typ.NumMethod() {
			if name := typ.Method(i).Name; !slices.Contains(reading, name) {
				changing = append(changing, "."+name)
			}
		}
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if file == "disk.go" || strings.HasSuffix(file, "_test.go") {
			continue
		}
		has := calls(t, file)
		for _, name := range changing {
			if has[name] {
				t.Errorf("%s: %s changes files; only disk.go may", file, name)
			}
		}
	}
	for _, name := range []string{".Mkdir", ".OpenFile", ".Rename", ".Remove", ".WriteAt", ".Truncate", ".Chmod", ".Sync"} {
		if !calls(t, "disk.go")[name] || !slices.Contains(changing, name) {
			t.Errorf("%s is not in the list, or disk.go does not call it", name)
		}
	}
}

// A trace sees every change, in order, and its answer counts.
func TestTrace(t *testing.T) {
	var seen []string
	lose := ""
	ctx := WithTrace(context.Background(), func(c Change, do func() error) error {
		seen = append(seen, c.Do+" "+c.Name)
		if seen[len(seen)-1] == lose {
			return syscall.ENOSPC
		}
		return do()
	})
	dir := filepath.Join(t.TempDir(), "above", "out")
	d, err := Lock(ctx, dir, "test", 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	want := []string{"mkdir ..", "chmod ..", "sync ../..", "mkdir .", "chmod .", "sync ..", "mkdir db", "create db/lock", "chmod db/lock", "write db/lock", "truncate db/lock"}
	if !slices.Equal(seen, want) {
		t.Errorf("have %q, want %q", seen, want)
	}
	b := d.Begin()
	b.Put("a.crt", []byte("x"), ModePublic)
	lose = "sync " + b.stage
	if err := b.Commit(); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "make room") {
		t.Errorf("expected the fault and its remedy: %v", err)
	}
	if got := readText(t, d, "a.crt"); got != "(missing)" {
		t.Errorf("a.crt: %s", got)
	}
}

// A batch whose journal could not be made durable is given up as a whole: a journal
// that has lost some of its files would be carried out in part.
func TestJournalGoesBeforeWhatItNames(t *testing.T) {
	failing, dead := "", false
	ctx := WithTrace(context.Background(), func(c Change, do func() error) error {
		switch {
		case dead || c.Do == "sync" && c.Name == failing:
			return syscall.EIO
		case c.Do == "remove" && strings.HasSuffix(c.Name, "/0"):
			dead = true // the process dies here
			return syscall.EIO
		}
		err := do()
		if c.Do == "rename" && strings.HasSuffix(c.To, "/"+journalName) {
			failing = stageDir
		}
		return err
	})
	dir := filepath.Join(t.TempDir(), "out")
	d, err := Lock(ctx, dir, "test", 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := d.Begin()
	b.Append("db/index.txt", 0, []byte("row\n"), ModeSecret)
	b.Put("a.crt", []byte("x"), ModePublic)
	if err := b.Commit(); err == nil || !dead {
		t.Fatalf("no fault: %v", err)
	}
	d.Close()
	w, err := Lock(context.Background(), dir, "test", 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if row, crt := readText(t, w, "db/index.txt"), readText(t, w, "a.crt"); row != crt {
		t.Errorf("index.txt %s, a.crt %s", row, crt)
	}
}

// A power cut keeps a move and loses its mode: the next pass sets it.
func TestMoveKeepsItsMode(t *testing.T) {
	d := lockTemp(t)
	b := d.Begin()
	b.Put("a.key", []byte("k"), ModePublic)
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	b = d.Begin()
	b.Move("a.key", "db/retired/a.key", ModeSecret)
	b.stageFile("", nil, ModeSecret)
	if err := errors.Join(b.writeJournal(), d.do(b.ops[0], nil, map[string]bool{})); err != nil {
		t.Fatal(err)
	}
	moved := filepath.Join(d.Path(), "db/retired/a.key")
	if err := os.Chmod(moved, 0o644); err != nil {
		t.Fatal(err)
	}
	d.Close()
	w, err := Lock(context.Background(), d.Path(), "test", 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if mode, _ := w.FileMode("db/retired/a.key"); mode != ModeSecret {
		t.Errorf("mode %04o", mode)
	}
}
