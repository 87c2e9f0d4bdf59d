package outdir

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func lockTemp(t *testing.T) *Dir {
	t.Helper()
	d, err := Lock(context.Background(), filepath.Join(t.TempDir(), "out"), "test", 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func readText(t *testing.T, d *Dir, name string) string {
	t.Helper()
	f, err := d.Read(name)
	if err != nil {
		t.Fatal(err)
	}
	if f.Missing {
		return "(missing)"
	}
	return string(f.Data)
}

func TestBatchChangesTogether(t *testing.T) {
	d := lockTemp(t)
	b := d.Begin()
	b.Put("secrets/a.pass", []byte("p"), ModeSecret)
	b.Put("a.crt", []byte("one"), ModePublic)
	b.Append("db/issued.pem", 0, []byte("first\n"), ModeSecret)
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	b = d.Begin()
	b.Remove("a.crt")
	b.Put("b.crt", []byte("two"), ModePublic)
	b.Append("db/issued.pem", 6, []byte("second\n"), ModeSecret)
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a.crt": "(missing)", "b.crt": "two", "db/issued.pem": "first\nsecond\n", "secrets/a.pass": "p"} {
		if got := readText(t, d, name); got != want {
			t.Errorf("%s: have %q, want %q", name, got, want)
		}
	}
	for name, want := range map[string]os.FileMode{"b.crt": 0o644, "secrets/a.pass": 0o600, "secrets": 0o700, "db": 0o700, ".": 0o755} {
		info, err := os.Stat(filepath.Join(d.Path(), name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: have %v %v, want %v", name, info.Mode().Perm(), err, want)
		}
	}
	if names, _ := d.List(stageDir); len(names) != 0 {
		t.Errorf("not swept from %s: %v", stageDir, names)
	}
}

// A batch whose journal is durable is finished by the next writer, and a reader sees
// it as finished before that, whatever the operation at which the run died.
func TestCommittedBatchIsFinished(t *testing.T) {
	for died := 0; died <= 4; died++ {
		d := lockTemp(t)
		b := d.Begin()
		b.Append("db/issued.pem", 0, []byte("old\n"), ModeSecret)
		b.Put("x.p12", []byte("old"), ModeSecret)
		b.Put("y.key", []byte("moved"), ModeSecret)
		if err := b.Commit(); err != nil {
			t.Fatal(err)
		}
		b = d.Begin()
		b.Append("db/issued.pem", 4, []byte("new\n"), ModeSecret)
		b.Remove("x.p12")
		b.Put("x.key", []byte("new"), ModeSecret)
		b.Move("y.key", "db/retired/y.key", ModeSecret)
		if err := b.writeJournal(); err != nil {
			t.Fatal(err)
		}
		for _, o := range b.ops[:died] {
			if err := d.do(o, nil, map[string]bool{}); err != nil {
				t.Fatal(err)
			}
		}
		check := func(d *Dir, who string) {
			for name, want := range map[string]string{"db/issued.pem": "old\nnew\n", "x.p12": "(missing)", "x.key": "new", "y.key": "(missing)", "db/retired/y.key": "moved"} {
				if got := readText(t, d, name); got != want {
					t.Errorf("died after %d, %s sees %s: have %q, want %q", died, who, name, got, want)
				}
			}
		}
		d.Close()
		r, err := Open(d.Path(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if !r.Interrupted() {
			t.Errorf("died after %d: a reader does not see the interrupted run", died)
		}
		check(r, "a reader")
		r.Close()
		w, err := Lock(context.Background(), d.Path(), "test", 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		check(w, "the next writer")
		w.Close()
	}
}

// A run may die after the last operation too, and the next may die again: any number
// of passes over a journal gives the same result as one. A remove or move does not
// take away the file of a later put.
func TestReplayIsHarmless(t *testing.T) {
	for first := 0; first <= 5; first++ {
		for _, second := range []int{0, 5} {
			d := lockTemp(t)
			b := d.Begin()
			b.Put("ca.key", []byte("old"), ModeSecret)
			b.Put("x.crt", []byte("old"), ModePublic)
			if err := b.Commit(); err != nil {
				t.Fatal(err)
			}
			b = d.Begin()
			b.Append("db/issued.pem", 0, []byte("entry\n"), ModeSecret)
			b.Remove("x.crt")
			b.Move("ca.key", "db/retired/ca.G1.key", ModeSecret)
			b.Put("ca.key", []byte("new"), ModeSecret)
			b.Put("x.crt", []byte("new"), ModePublic)
			if err := b.writeJournal(); err != nil {
				t.Fatal(err)
			}
			for _, died := range []int{first, second} {
				for i, o := range b.ops[:died] {
					if err := d.do(o, b.ops[i+1:], map[string]bool{}); err != nil {
						t.Fatal(err)
					}
				}
			}
			d.Close()
			w, err := Lock(context.Background(), d.Path(), "test", 0, nil)
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range map[string]string{"ca.key": "new", "db/retired/ca.G1.key": "old", "x.crt": "new", "db/issued.pem": "entry\n"} {
				if got := readText(t, w, name); got != want {
					t.Errorf("died after %d and %d, %s: have %q, want %q", first, second, name, got, want)
				}
			}
			w.Close()
		}
	}
}

// An obstacle is found before anything has changed.
func TestObstacleIsFoundBeforehand(t *testing.T) {
	d := lockTemp(t)
	b := d.Begin()
	b.Put("x.key", []byte("old"), ModeSecret)
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(d.Path(), "db/retired"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b = d.Begin()
	b.Put("y.key", []byte("new"), ModeSecret)
	b.Move("x.key", "db/retired/x.key", ModeSecret)
	if err := b.Commit(); err == nil {
		t.Fatal("a file in the place of a directory was overlooked")
	}
	if got := readText(t, d, "y.key"); got != "(missing)" {
		t.Errorf("y.key: %q", got)
	}
	b = d.Begin()
	b.Put("y.key", []byte("new"), ModeSecret)
	if err := b.Commit(); err != nil {
		t.Errorf("the next batch fails, too: %v", err)
	}
}

func TestUncommittedBatchIsSwept(t *testing.T) {
	d := lockTemp(t)
	b := d.Begin()
	b.Put("x.key", []byte("never"), ModeSecret)
	d.Close()
	w, err := Lock(context.Background(), d.Path(), "test", 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if got := readText(t, w, "x.key"); got != "(missing)" {
		t.Errorf("x.key: %q", got)
	}
	if names, _ := w.List(stageDir); len(names) != 0 {
		t.Errorf("not swept from %s: %v", stageDir, names)
	}
}

func TestSecondWriterIsTold(t *testing.T) {
	d := lockTemp(t)
	_, err := Lock(context.Background(), d.Path(), "second", 60*time.Millisecond, nil)
	var locked *ErrLocked
	if !errors.As(err, &locked) || locked.Holder != "test" {
		t.Fatalf("have %v, want the holder's name", err)
	}
}

func TestOddFilesAreRefused(t *testing.T) {
	for name, plant := range map[string]func(string) error{
		"symbolic link":        func(p string) error { return os.Symlink("/etc/hostname", p) },
		"symbolic link inside": func(p string) error { _ = os.WriteFile(p+".2", []byte("x"), 0o600); return os.Symlink("a.crt.2", p) },
		"hard link":            func(p string) error { _ = os.WriteFile(p+".2", []byte("x"), 0o600); return os.Link(p+".2", p) },
		"directory":            func(p string) error { return os.Mkdir(p, 0o755) },
	} {
		t.Run(name, func(t *testing.T) {
			d := lockTemp(t)
			if err := plant(filepath.Join(d.Path(), "a.crt")); err != nil {
				t.Fatal(err)
			}
			if _, err := d.Read("a.crt"); err == nil {
				t.Error("it was read without an error")
			}
			b := d.Begin()
			b.Put("a.crt", []byte("new"), ModePublic)
			if err := b.Commit(); err == nil {
				t.Error("it was replaced without an error")
			}
		})
	}
}

func TestStrayInStageIsSwept(t *testing.T) {
	d := lockTemp(t)
	d.Close()
	for _, name := range []string{"db/stage/file", "db/stage/dir/file"} {
		file := filepath.Join(d.Path(), name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	w, err := Lock(context.Background(), d.Path(), "test", 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if names, _ := w.List(stageDir); len(names) != 0 {
		t.Errorf("not swept from %s: %v", stageDir, names)
	}
}

func TestOthersMayWrite(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o775); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, nil); err == nil {
		t.Error("a directory that others can write to was opened")
	}
}

// A torn append is completed. One that is whole already stays, since certificates
// that it records may be visible. Text of another program is neither cut off nor
// overwritten.
func TestAppendAgain(t *testing.T) {
	for _, c := range []struct{ there, want string }{
		{"old\n", "old\nnew\n"},
		{"old\nne", "old\nnew\n"},
		{"old\n\x00\x00w", "old\nnew\n"},
		{"old\nne\x00\x00\x00\x00", "old\nnew\n"},
		{"old\nnew\n", "old\nnew\n"},
		{"old\nnew\nmore\n", "old\nnew\nmore\n"},
		{"old\nother\n", ""},
		{"o", ""},
	} {
		var cut bool
		ctx := WithTrace(context.Background(), func(c Change, do func() error) error {
			cut = cut || c.Do == "truncate" && c.Name == "db/issued.pem" && c.At < 8
			return do()
		})
		dir := filepath.Join(t.TempDir(), "out")
		d, err := Lock(ctx, dir, "test", 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		b := d.Begin()
		b.Append("db/issued.pem", 4, []byte("new\n"), ModeSecret)
		if err := errors.Join(b.writeJournal(), os.WriteFile(filepath.Join(dir, "db/issued.pem"), []byte(c.there), 0o600)); err != nil {
			t.Fatal(err)
		}
		d.Close()
		w, err := Lock(ctx, dir, "test", 0, nil)
		if have, _ := os.ReadFile(filepath.Join(dir, "db/issued.pem")); c.want == "" {
			if err == nil || string(have) != c.there {
				t.Errorf("%q: %v, and now %q", c.there, err, have)
			}
			continue
		} else if err != nil || string(have) != c.want || cut {
			t.Errorf("%q: %v, and now %q, cut %v", c.there, err, have, cut)
		}
		w.Close()
	}
}

// Directories exist and are durable before the journal is, and are made again when
// they have been removed.
func TestDirectoriesComeFirst(t *testing.T) {
	var seen []string
	ctx := WithTrace(context.Background(), func(c Change, do func() error) error {
		if c.Do == "mkdir" || c.Do == "rename" || c.Do == "sync" {
			seen = append(seen, c.Do+" "+c.Name)
		}
		return do()
	})
	dir := filepath.Join(t.TempDir(), "out")
	d, err := Lock(ctx, dir, "test", 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := d.Begin()
	b.Put("nginx/sites/m", []byte("site"), ModePublic)
	if err := b.writeJournal(); err != nil {
		t.Fatal(err)
	}
	journal := slices.IndexFunc(seen, func(s string) bool { return strings.HasPrefix(s, "rename ") })
	if made := slices.Index(seen, "mkdir nginx/sites"); made < 0 || made > journal || !slices.Contains(seen[journal:], "sync nginx") || !slices.Contains(seen[journal:], "sync .") {
		t.Errorf("%q", seen)
	}
	d.Close()
	if err := os.RemoveAll(filepath.Join(dir, "nginx")); err != nil {
		t.Fatal(err)
	}
	w, err := Lock(context.Background(), dir, "test", 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if got := readText(t, w, "nginx/sites/m"); got != "site" {
		t.Errorf("the site: %s", got)
	}
}

// TestLargeDatabase: one append to the database may be larger than any artefact, as
// when a large directory is taken over.
func TestLargeDatabase(t *testing.T) {
	w, err := Lock(context.Background(), filepath.Join(t.TempDir(), "out"), "test", 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	b := w.Begin()
	b.Append("db/issued.pem", 0, make([]byte, 65<<20), ModeSecret)
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
}

// TestNarrowedAndRemoved: a batch may set the mode of a file that it then removes or
// moves.
func TestNarrowedAndRemoved(t *testing.T) {
	w, err := Lock(context.Background(), filepath.Join(t.TempDir(), "out"), "test", 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	b := w.Begin()
	b.Put("secrets/a.pass", []byte("a"), ModeSecret)
	b.Put("secrets/b.pass", []byte("b"), ModeSecret)
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	b = w.Begin()
	b.Chmod("secrets/a.pass", ModeSecret)
	b.Chmod("secrets/b.pass", ModeSecret)
	b.Remove("secrets/a.pass")
	b.Move("secrets/b.pass", "db/retired/b.pass", ModeSecret)
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
}
