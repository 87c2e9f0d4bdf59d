package killat

import (
	"maps"

	"golang.org/x/sys/unix"
)

// These calls do not exist on newer architectures. The init functions of a package
// run in the order of the files' names, so this one runs before the launcher's.
func init() {
	maps.Copy(kinds, map[uint32]kind{
		unix.SYS_CREAT: {"creat", path}, unix.SYS_OPEN: {"open", path},
		unix.SYS_RENAME: {"rename", path}, unix.SYS_UNLINK: {"unlink", path}, unix.SYS_RMDIR: {"rmdir", path},
		unix.SYS_MKDIR: {"mkdir", path}, unix.SYS_MKNOD: {"mknod", path},
		unix.SYS_LINK: {"link", path}, unix.SYS_SYMLINK: {"symlink", path},
		unix.SYS_CHMOD: {"chmod", path}, unix.SYS_CHOWN: {"chown", path}, unix.SYS_LCHOWN: {"lchown", path},
		unix.SYS_UTIME: {"utime", path}, unix.SYS_UTIMES: {"utimes", path}, unix.SYS_FUTIMESAT: {"futimesat", atPath},
	})
	openFlags[unix.SYS_OPEN] = 1
}
