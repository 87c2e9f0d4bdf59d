package outdir

import (
	"errors"
	"io/fs"
	"os"
)

// errHeld and the functions below are never reached for writing: see fitSystem.
var errHeld = errors.ErrUnsupported

func lockFile(*os.File) error { return errors.ErrUnsupported }

func unlockFile(*os.File) error { return nil }

// fitSystem refuses to write an output directory: no mode keeps others from its keys, no
// lock of ours holds here, and a directory cannot be made durable.
func fitSystem() error {
	return errors.New("on Windows no output directory is written, since its files have no modes, which keep keys from others: " +
		"run this on Linux or macOS, or in the Windows Subsystem for Linux")
}

// modeOf has the bits that are never too many: those of the system say only whether a file
// may be written.
func modeOf(info fs.FileInfo) fs.FileMode { return info.Mode().Perm() & ModePrivate }

// ownerOf cannot tell.
func ownerOf(fs.FileInfo) (uid int, ok bool) { return 0, false }

// links cannot tell.
func links(fs.FileInfo) uint64 { return 0 }

// deviceOf cannot tell.
func deviceOf(fs.FileInfo) uint64 { return 0 }
