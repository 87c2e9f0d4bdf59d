package outdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"syscall"

	"mtlsplan/internal/attr"
)

// What is said of an error of the file system.

// bare takes the operation and the path off an error, since the message around it
// names them, and adds the remedy.
func bare(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	} else if le, ok := errors.AsType[*os.LinkError](err); ok {
		err = le.Err
	}
	for _, r := range remedies {
		if err == r.err {
			return fmt.Errorf("%w: %s", err, r.remedy)
		}
	}
	return err
}

// fault is an error with the name of the file that it is about and the remedy. beside are
// others that may be the cause.
func (d *Dir) fault(name string, err error, beside ...string) error {
	if errors.Is(err, syscall.EPERM) && d.disk.root != nil {
		for _, at := range append([]string{name}, beside...) {
			if at == "" {
				continue
			}
			for ; ; at = path.Dir(at) {
				if why := d.forbidden(at); why != "" {
					return fmt.Errorf("%s: %w: %s", d.join(name), syscall.EPERM, why)
				}
				if at == "." {
					break
				}
			}
		}
	}
	if d.disk.root != nil {
		return fmt.Errorf("%s: %w", d.join(name), d.denied(name, err))
	}
	return fmt.Errorf("%s: %w", d.join(name), bare(err))
}

// forbidden says why a file or directory may not be changed, "" where that cannot be told.
func (d *Dir) forbidden(name string) string {
	info, err := d.disk.root.Lstat(name)
	if err != nil || !info.IsDir() && !info.Mode().IsRegular() {
		return ""
	}
	if owner := d.stranger(info); owner != "" && os.Geteuid() != 0 {
		return fmt.Sprintf("%s belongs to %s, and the output directory to you: have it given to you (chown)", d.join(name), owner)
	}
	if why := attr.Fixed(d.join(name)); why != "" {
		return why + ", and run again"
	}
	return ""
}

// Fixed says why the mode of a file that is there cannot be set, nil where it can as far as
// that can be told beforehand.
func (d *Dir) Fixed(name string) error {
	at := d.join(name)
	if why := attr.Fixed(at); why != "" {
		return fmt.Errorf("%s: %w: %s, and run again", at, syscall.EPERM, why)
	}
	return nil
}

// Held says why nothing can be put into a file's place, or why it cannot be removed, nil
// likewise.
func (d *Dir) Held(name string) error {
	for at := name; at != "."; at = path.Dir(at) {
		if err := d.Fixed(at); err != nil {
			return err
		}
	}
	if at := d.join(name); attr.Mounted(at) {
		return fmt.Errorf("%s: %w: something is mounted on the file itself, so that none can be put into its place: umount %s, mount the directory instead, and run again", at, syscall.EBUSY, at)
	}
	return nil
}

var remedies = []struct {
	err    error
	remedy string
}{
	{syscall.EROFS, "make it writable, or name another directory with --output"},
	{syscall.ENOSPC, "make room (df and df -i tell whether bytes or inodes are short) and run again; no file is damaged"},
	{syscall.EXDEV, "another file system is mounted in the output directory, so no file can be renamed into it: mount it elsewhere"},
	{syscall.EDQUOT, "the quota is used up: make room and run again; no file is damaged"},
	{syscall.EACCES, "run as the owner of the directory"},
	{syscall.EPERM, "run as the owner of the directory; if the owner may not either, see with lsattr whether it is immutable, and with mount how its file system is mounted"},
	{syscall.ENOTDIR, "a file lies where a directory has to be: move it away"},
	{syscall.ENAMETOOLONG, "the file system takes no name of this length: choose a shorter one in the spec, or put the output directory on another one"},
	{syscall.EMFILE, "raise the limit of open files (ulimit -n) and run again"},
	{syscall.EFBIG, "raise the limit of file sizes (ulimit -f) and run again; no file is damaged"},
	{syscall.EIO, "the disk fails: look at the kernel's log before you run again"},
}
