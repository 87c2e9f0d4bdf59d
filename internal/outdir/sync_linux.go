package outdir

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// hasBarrier reports whether syncfs tells of pages that could not be written: since
// Linux 5.8. Before that every file is synced by itself, however many there are.
var hasBarrier = func() bool {
	var u unix.Utsname
	return unix.Uname(&u) == nil && tellsOfLosses(unix.ByteSliceToString(u.Release[:]))
}()

// tellsOfLosses goes by the release of a kernel as in uname -r, "6.1.0-18-amd64".
func tellsOfLosses(release string) bool {
	var major, minor int
	n, _ := fmt.Sscanf(release, "%d.%d", &major, &minor)
	return n == 2 && (major > 5 || major == 5 && minor >= 8)
}

func syncfs(f *os.File) error { return unix.Syncfs(int(f.Fd())) }
