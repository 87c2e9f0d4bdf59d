// Package attr knows what keeps a file from being changed beside its mode and its owner:
// the attributes of ext2, which other file systems know too.
package attr

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Fixed says which attribute keeps a file or directory from being changed and how
// chattr(1) takes it away; "" where none does. It follows no symbolic link. See statx(2).
func Fixed(path string) string {
	var st unix.Statx_t
	attribute, what := "", ""
	switch err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, 0, &st); {
	case err != nil:
	case st.Attributes&unix.STATX_ATTR_IMMUTABLE != 0:
		attribute, what = "i", "immutable"
	case st.Attributes&unix.STATX_ATTR_APPEND != 0:
		attribute, what = "a", "only to be appended to"
	}
	if attribute == "" {
		return ""
	}
	return fmt.Sprintf("%s is %s, which binds root too: chattr -%s %s, as root", path, what, attribute, path)
}
