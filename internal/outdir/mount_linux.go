package outdir

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// fileSystem looks up the file system of the output directory; it is the zero value
// where /proc does not tell.
func (d *Dir) fileSystem() fileSystem {
	f, err := d.disk.root.Open(".")
	if err != nil {
		return fileSystem{}
	}
	defer f.Close()
	about, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", f.Fd()))
	if err != nil {
		return fileSystem{}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return fileSystem{}
	}
	return mountOf(string(about), string(mounts))
}

// mountOf finds the mount of an open file by its number. The texts are those of
// /proc/self/fdinfo/FD and /proc/self/mountinfo, as in proc(5). Devices would not do:
// btrfs has others for its files than for its mounts.
func mountOf(about, mounts string) fileSystem {
	id := ""
	for line := range strings.Lines(about) {
		if rest, ok := strings.CutPrefix(line, "mnt_id:"); ok {
			id = strings.TrimSpace(rest)
		}
	}
	for line := range strings.Lines(mounts) {
		mount, source, _ := strings.Cut(line, " - ")
		before, behind := strings.Fields(mount), strings.Fields(source)
		if len(before) < 5 || len(behind) == 0 || before[0] != id {
			continue
		}
		at := before[4]
		if plain, err := strconv.Unquote(`"` + at + `"`); err == nil { // blanks are in octal
			at = plain
		}
		return fileSystem{behind[0], at}
	}
	return fileSystem{}
}
