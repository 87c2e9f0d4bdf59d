package outdir

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const sharedName = DB + "/shared"

// union is a Merge of lines; what is not a list of them cannot be merged.
func union(theirs, ours []byte) ([]byte, error) {
	if strings.Contains(string(theirs), "garbage") {
		return nil, errors.New("not a list")
	}
	lines := strings.Fields(string(theirs) + "\n" + string(ours))
	slices.Sort(lines)
	return []byte(strings.Join(slices.Compact(lines), "\n") + "\n"), nil
}

// beside is a directory with a shared file that holds "a", and another program that
// renames these texts into its place, one just before each exchange, until the writer
// is stopped before the change that stop picks.
func beside(t *testing.T, stop func(c Change, exchanges int) bool, theirs ...string) (d *Dir, dir string, written *int) {
	t.Helper()
	dir, written = filepath.Join(t.TempDir(), "out"), new(int)
	d, err := Lock(t.Context(), dir, "test", 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := d.Begin()
	b.Put(sharedName, []byte("a\n"), ModeSecret)
	if err := errors.Join(b.Commit(), d.Close()); err != nil {
		t.Fatal(err)
	}
	exchanges, stopped := 0, false
	ctx := WithTrace(context.Background(), func(c Change, do func() error) error {
		if stopped = stopped || stop != nil && stop(c, exchanges); stopped {
			return errors.New("stopped")
		}
		if c.Do == "exchange" {
			if exchanges++; exchanges <= len(theirs) {
				write(t, dir, theirs[exchanges-1])
				*written++
			}
		}
		return do()
	})
	d, err = Lock(ctx, dir, "test", 0, map[string]Merge{sharedName: union})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Read(sharedName); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d, dir, written
}

// write renames a text into the place of the shared file, as `openssl ca` does.
func write(t *testing.T, dir, text string) {
	t.Helper()
	name := filepath.Join(dir, sharedName)
	if err := errors.Join(os.WriteFile(name+".new", []byte(text), 0o600), os.Rename(name+".new", name)); err != nil {
		t.Fatal(err)
	}
}

func has(t *testing.T, dir, name, want string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil || string(text) != want {
		t.Errorf("%s holds %q (%v), not %q", name, text, err, want)
	}
}

func put(d *Dir) error {
	b := d.Begin()
	b.Put(sharedName, []byte("a\nours\n"), ModeSecret)
	return b.Commit()
}

func TestSharedChangedBefore(t *testing.T) {
	d, dir, _ := beside(t, nil)
	write(t, dir, "a\ntheirs\n")
	foreign, ok := errors.AsType[*ErrForeign](put(d))
	if !ok || foreign.Name != sharedName {
		t.Errorf("%v", foreign)
	}
	has(t, dir, sharedName, "a\ntheirs\n")
	d.Reread()
	if _, err := d.Read(sharedName); err != nil {
		t.Fatal(err)
	}
	if err := put(d); err != nil {
		t.Errorf("read again: %v", err)
	}
}

func TestSharedChangedAtTheLastMoment(t *testing.T) {
	d, dir, _ := beside(t, nil, "a\nfirst\n", "a\nsecond\n", "a\nthird\n")
	if err := put(d); err != nil {
		t.Fatal(err)
	}
	has(t, dir, sharedName, "a\nfirst\nours\nsecond\nthird\n")
	if d.Foreign() != sharedName {
		t.Error("the writer is not told that the file holds more than it has written")
	}
}

func TestSharedChangedForEver(t *testing.T) {
	many := make([]string, 2*mergedMost)
	for i := range many {
		many[i] = "a\n" + string(rune('b'+i)) + "\n"
	}
	d, _, _ := beside(t, nil, many...)
	if err := put(d); err == nil || !strings.Contains(err.Error(), "keeps changing this file") {
		t.Error(err)
	}
}

// What another program has written and nobody can read is set aside: no run is wedged.
func TestSharedUnreadable(t *testing.T) {
	d, dir, _ := beside(t, nil, "garbage\n")
	if err := put(d); err != nil {
		t.Fatal(err)
	}
	d.Close()
	has(t, dir, sharedName, "a\nours\n")
	has(t, dir, sharedName+UnreadableEnding, "garbage\n")
	if d, err := Lock(t.Context(), dir, "test", 0, map[string]Merge{sharedName: union}); err != nil {
		t.Error(err)
	} else {
		d.Close()
	}
}

// A crash at any change behind the point of no return loses nothing that anybody wrote.
func TestSharedAfterACrash(t *testing.T) {
	step := 1
	if testing.Short() {
		step = 5
	}
	for at := 0; at < 40; at += step {
		n, committed := 0, false
		d, dir, written := beside(t, func(c Change, _ int) bool {
			if committed {
				n++
			}
			committed = committed || c.Do == "rename" && strings.HasSuffix(c.To, "/"+journalName)
			return n > at
		}, "a\nfirst\n", "a\nsecond\n")
		err := put(d)
		d.Close()
		whole := err == nil
		next, err := Lock(t.Context(), dir, "test", 0, map[string]Merge{sharedName: union})
		if err != nil {
			t.Fatalf("%d: %v", at, err)
		}
		next.Close()
		text, err := os.ReadFile(filepath.Join(dir, sharedName))
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range append([]string{"a", "ours"}, []string{"first", "second"}[:*written]...) {
			if !slices.Contains(strings.Fields(string(text)), line) {
				t.Errorf("stopped after %d changes: %q is gone from %q", at, line, text)
			}
		}
		if whole && string(text) != "a\nfirst\nours\nsecond\n" {
			t.Errorf("not stopped: %q", text)
		}
	}
}
