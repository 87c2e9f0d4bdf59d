package outdir

import (
	"os"

	"golang.org/x/sys/unix"
)

// fixed tells the attribute of ext2, which other file systems know too, that keeps a file
// or directory from being changed, as chattr(1) calls it, and what it makes of the file; ""
// for none. See statx(2).
func fixed(f *os.File) (attribute, what string) {
	var st unix.Statx_t
	switch err := unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, 0, &st); {
	case err != nil:
	case st.Attributes&unix.STATX_ATTR_IMMUTABLE != 0:
		return "i", "immutable"
	case st.Attributes&unix.STATX_ATTR_APPEND != 0:
		return "a", "only to be appended to"
	}
	return "", ""
}
