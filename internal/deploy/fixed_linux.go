package deploy

import "golang.org/x/sys/unix"

// fixed tells the attribute that keeps a file or directory from being changed, as chattr(1)
// calls it, and what it makes of the file; "" for none. See statx(2).
func fixed(path string) (attribute, what string) {
	var st unix.Statx_t
	switch err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, 0, &st); {
	case err != nil:
	case st.Attributes&unix.STATX_ATTR_IMMUTABLE != 0:
		return "i", "immutable"
	case st.Attributes&unix.STATX_ATTR_APPEND != 0:
		return "a", "only to be appended to"
	}
	return "", ""
}
