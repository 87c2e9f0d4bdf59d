package outdir

import (
	"context"
	"os"
	"path/filepath"
	"strings"
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
