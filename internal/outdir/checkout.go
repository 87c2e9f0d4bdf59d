package outdir

import (
	"errors"
	"io/fs"
	"slices"
)

// A directory that lies in version control has the modes that a checkout gives: what
// the umask leaves, which may let the group write. Git keeps none but the executable
// bit, so these modes tell nothing of who could write there before.

// Option is how a directory is opened.
type Option uint8

// Checkout says that the directory is a part of a checkout: it may be writable by
// others, and a writer takes that from them without a word.
const Checkout Option = 1

// fit is checkMode for a directory that was opened with these options.
func (d *Dir) fit(options []Option) error {
	switch {
	case !slices.Contains(options, Checkout):
		return d.checkMode()
	case !d.writes:
		return nil
	}
	if err := d.checkOwner(); err != nil {
		return err
	}
	info, err := d.disk.root.Stat(".")
	if err == nil {
		err = d.Narrow(".", info.Mode().Perm()&^0o022)
	}
	if err != nil {
		return err
	}
	return d.checkMode() // a file system without modes changes none
}

// Narrow takes from a plain file or directory the permission bits beyond widest. What is
// missing, or is neither, is left alone: whoever needs it says what is wrong. A crash
// leaves the old mode or the new one.
func (d *Dir) Narrow(name string, widest fs.FileMode) error {
	there, err := d.disk.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !there.IsDir() && plain(there) != nil {
		return nil
	}
	if err == nil && there.Mode().Perm()&^widest != 0 {
		err = ignoreMissing(d.chmod(name, there.Mode().Perm()&widest))
	}
	if err != nil {
		return errors.New(d.join(name) + ": " + d.denied(name, err).Error())
	}
	return nil
}
