package outdir

import (
	"fmt"
	"slices"
)

// syncDirs makes renames in directories durable.
func (d *Dir) syncDirs(dirs ...string) error {
	slices.Sort(dirs)
	for _, dir := range slices.Compact(dirs) {
		if err := d.syncOne(dir); err != nil {
			return err
		}
	}
	return nil
}

func (d *Dir) syncOne(name string) error {
	f, err := d.root.Open(name)
	if err != nil {
		return fmt.Errorf("%s: %w", d.join(name), bare(err))
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		// After a failed fsync nothing read back can be trusted.
		return fmt.Errorf("%s: %w", d.join(name), bare(err))
	}
	return nil
}

// syncEach makes every file of a directory durable, one by one.
func (d *Dir) syncEach(dir string, names []string) error {
	for _, name := range names {
		if err := d.syncOne(dir + "/" + name); err != nil {
			return err
		}
	}
	return d.syncOne(dir)
}
