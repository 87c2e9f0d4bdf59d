// Package attr knows what keeps a file from being changed beside its mode and its owner:
// the attributes of ext2, which other file systems know too, and what is mounted on it.
package attr

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Fixed says which attribute keeps a file or directory from being changed and how
// chattr(1) takes it away; "" where none does. It follows no symbolic link. See statx(2).
func Fixed(path string) string {
	attribute, what := "", ""
	switch set := of(path); {
	case set&unix.STATX_ATTR_IMMUTABLE != 0:
		attribute, what = "i", "immutable"
	case set&unix.STATX_ATTR_APPEND != 0:
		attribute, what = "a", "only to be appended to"
	default:
		return ""
	}
	return fmt.Sprintf("%s is %s, which binds root too: chattr -%s %s, as root", path, what, attribute, path)
}

// Mounted reports whether a file or directory is where a file system, or another file,
// is mounted: nothing can be renamed there then.
func Mounted(path string) bool { return of(path)&unix.STATX_ATTR_MOUNT_ROOT != 0 }

func of(path string) uint64 {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, 0, &st); err != nil {
		return 0
	}
	return st.Attributes
}
