//go:build !linux

package outdir

// syncTree makes a directory and the files in it durable.
func (d *Dir) syncTree(dir string) error {
	names, err := d.List(dir)
	if err != nil {
		return err
	}
	return d.syncEach(dir, names)
}
