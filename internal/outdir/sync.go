package outdir

import (
	"fmt"
	"slices"
)

// sync makes files durable, and in directories the names that were created, renamed
// and removed. After an error nothing that is read back can be trusted: the run
// ends.
func (d *Dir) sync(names ...string) error {
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) >= barrierFrom {
		return d.syncOne(".", (*file).syncfs)
	}
	for _, name := range names {
		if err := d.syncOne(name, (*file).sync); err != nil {
			return err
		}
	}
	return nil
}

func (d *Dir) syncOne(name string, how func(*file) error) error {
	f, err := d.disk.open(name)
	if err == nil {
		defer f.f.Close()
		err = how(f)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", d.join(name), bare(err))
	}
	return nil
}

// syncTree makes a directory and the files in it durable.
func (d *Dir) syncTree(dir string) error {
	names, err := d.List(dir)
	if err != nil {
		return err
	}
	for i, name := range names {
		names[i] = dir + "/" + name
	}
	return d.sync(append(names, dir)...)
}
