package outdir

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A file system that keeps no modes is refused before anything is written to it. A
// lock whose mode somebody has changed is not taken for one.
func TestFileSystemWithoutModes(t *testing.T) {
	for _, keeps := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "out")
		ctx := WithTrace(context.Background(), func(c Change, do func() error) error {
			err := do()
			if c.Do == "create" && (c.Name == lockName || !keeps) {
				err = os.Chmod(filepath.Join(dir, c.Name), 0o644)
			}
			if c.Do == "write" && !keeps {
				t.Errorf("%s was written", c.Name)
			}
			return err
		})
		d, err := Lock(ctx, dir, "test", 0, nil)
		left, _ := os.ReadDir(filepath.Join(dir, stageDir))
		switch {
		case len(left) > 0:
			t.Errorf("left in %s: %v", stageDir, left)
		case keeps && err != nil:
			t.Error(err)
		case keeps:
			if mode, _ := d.FileMode(lockName); mode != 0o644 {
				t.Errorf("nobody is told that the lock had another mode: it has %04o", mode)
			}
			d.Close()
		case err == nil || !strings.Contains(err.Error(), "keeps no modes"):
			t.Errorf("it was taken: %v", err)
		}
	}
}

// Where modes cannot be set, the reason is told, and nothing is written.
func TestFileSystemThatRefusesChmod(t *testing.T) {
	for _, at := range []string{".", lockName} {
		for _, errno := range []syscall.Errno{syscall.EPERM, syscall.ENOSYS, syscall.EOPNOTSUPP, syscall.EIO} {
			ctx := WithTrace(context.Background(), func(c Change, do func() error) error {
				switch {
				case c.Do == "chmod" && (c.Name == at || at == lockName && strings.HasPrefix(c.Name, stageDir+"/")):
					return &os.PathError{Op: "chmod", Path: c.Name, Err: errno}
				case c.Do == "write":
					t.Errorf("%s was written", c.Name)
				}
				return do()
			})
			_, err := Lock(ctx, filepath.Join(t.TempDir(), "out"), "test", 0, nil)
			want := "keeps no modes (chmod: " + errno.Error() + ")"
			if errno == syscall.EIO {
				want = errno.Error() + ": the disk fails"
			}
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s, %v: %v", at, errno, err)
			}
		}
	}
}

// A name that the file system does not take ends a batch while it can still be given up.
func TestNamesThatAreNotTaken(t *testing.T) {
	refuses := true
	ctx := WithTrace(context.Background(), func(c Change, do func() error) error {
		if refuses && (c.Do == "create" && filepath.Base(c.Name) == "con" || c.Do == "rename" && filepath.Base(c.To) == "con") {
			return &os.PathError{Op: "open", Path: c.Name, Err: syscall.EINVAL}
		}
		return do()
	})
	d, err := Lock(ctx, filepath.Join(t.TempDir(), "out"), "test", 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	put := func() error {
		b := d.Begin()
		b.Put("a.crt", []byte("x"), ModePublic)
		b.Put("nginx/con", []byte("x"), ModePublic)
		return b.Commit()
	}
	if err := put(); err == nil || !strings.Contains(err.Error(), "out/nginx/con: its file system") || !strings.Contains(err.Error(), "takes no file of this name") {
		t.Errorf("expected the name: %v", err)
	}
	if got := readText(t, d, "a.crt"); got != "(missing)" {
		t.Errorf("a.crt: %s", got)
	}
	if left, _ := d.List(stageDir); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	refuses = false
	if err := put(); err != nil {
		t.Error(err)
	}
	if got := readText(t, d, "nginx/con"); got != "x" {
		t.Errorf("nginx/con: %s", got)
	}
}

func TestMayBeRefused(t *testing.T) {
	for name, want := range map[string]bool{
		"con": true, "Con.txt": true, "aux": true, "nul.": true, "com1": true, "LPT9.conf": true, "com10": false, "console": false, "site.": true, "a:b": true, "a?": true,
		"ada-m.key": false, "a+b@c-m.p12": false, "con-m.key": false, "ca.con.key": false, "site": false, strings.Repeat("n", 143): false, strings.Repeat("n", 144): true,
	} {
		if mayBeRefused(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

// Some file systems sync no directories. Files they sync.
func TestDirectoriesThatAreNotSynced(t *testing.T) {
	plain := false
	ctx := WithTrace(context.Background(), func(c Change, do func() error) error {
		if c.Do == "sync" && (plain || filepath.Ext(c.Name) == "" && !strings.HasPrefix(c.Name, stageDir+"/")) {
			return &os.PathError{Op: "fsync", Path: c.Name, Err: syscall.EINVAL}
		}
		return do()
	})
	d, err := Lock(ctx, filepath.Join(t.TempDir(), "above", "out"), "test", 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	b := d.Begin()
	b.Put("a.crt", []byte("x"), ModePublic)
	if err := b.Commit(); err != nil {
		t.Error(err)
	}
	plain = true
	b = d.Begin()
	b.Put("b.crt", []byte("x"), ModePublic)
	if err := b.Commit(); err == nil {
		t.Error("a file that was not synced was put into place")
	}
}
