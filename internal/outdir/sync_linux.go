package outdir

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// barrierFrom is the number of files from which one syncfs costs less than an
// fsync each: 0.14 ms a file against 2.4 ms, but it also waits for the dirty
// pages of everybody else on the file system.
const barrierFrom = 24

// syncTree makes a directory and the files in it durable. Since Linux 5.8
// syncfs reports write-back errors.
func (d *Dir) syncTree(dir string) error {
	names, err := d.List(dir)
	if err != nil {
		return err
	}
	if len(names) < barrierFrom {
		return d.syncEach(dir, names)
	}
	f, err := d.root.Open(dir)
	if err != nil {
		return fmt.Errorf("%s: %w", d.join(dir), bare(err))
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return fmt.Errorf("%s: syncfs: %w", d.join(dir), err)
	}
	return nil
}
