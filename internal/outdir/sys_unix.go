//go:build !windows

package outdir

import (
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// errHeld says that another process has locked the file.
var errHeld error = unix.EWOULDBLOCK

// lockFile locks a file for this process alone, and does not wait.
func lockFile(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }

func unlockFile(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_UN) }

// fitSystem is nil: files have modes here.
func fitSystem() error { return nil }

// modeOf has the permission bits of a file or directory.
func modeOf(info fs.FileInfo) fs.FileMode { return info.Mode().Perm() }

// ownerOf is the number of the user whom a file belongs to.
func ownerOf(info fs.FileInfo) (uid int, ok bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(st.Uid), true
}

// links is how many names a file has, 0 where that cannot be told.
func links(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Nlink)
	}
	return 0
}

// deviceOf is the file system that a file is on, 0 where that cannot be told.
func deviceOf(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Dev)
	}
	return 0
}
