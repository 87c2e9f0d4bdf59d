package outdir

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
)

// Readers begin at every step of a writer. At every later step, each of them that
// would now read something else is told so by Moved.
func TestReadersHearOfEveryMove(t *testing.T) {
	type reader struct {
		*Dir
		step int
		saw  string
	}
	dir := filepath.Join(t.TempDir(), "out")
	var readers []reader
	step, differed, checking := 0, 0, false
	look := func() {
		d, err := Open(dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.Close() })
		saw := readText(t, d, "a.crt") + readText(t, d, "db/index.txt")
		for _, r := range readers {
			if r.saw == saw {
				continue
			}
			if differed++; !r.Moved() {
				t.Errorf("a reader from step %d is not told at step %d that %q has become %q", r.step, step, r.saw, saw)
			}
		}
		readers = append(readers, reader{d, step, saw})
		step++
	}
	ctx := WithTrace(context.Background(), func(c Change, do func() error) error {
		if checking {
			look()
		}
		return do()
	})
	d, err := Lock(ctx, dir, "test", 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	checking = true
	for i := range 3 {
		b := d.Begin()
		b.Append("db/index.txt", int64(4*i), []byte("row\n"), ModeSecret)
		b.Put("a.crt", fmt.Append(nil, i), ModePublic)
		if err := b.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	look()
	if differed < 1000 {
		t.Errorf("only %d pairs differed, in %d steps", differed, step)
	}
}
