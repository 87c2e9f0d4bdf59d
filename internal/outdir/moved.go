package outdir

import (
	"fmt"
	"strings"
)

// Moved reports whether a writer has committed or finished a batch since the
// directory was opened for reading. The files that were read may then be from
// different moments.
func (d *Dir) Moved() bool { return d.disk.root != nil && d.moment() != d.opened }

// moment is a text that differs after every commit and after every end of a batch:
// both leave a trace in db/stage. The time of that directory is read last. If a
// journal was missing, it had either not come yet, and nothing was released, or it
// had gone, and that has changed the time. The names show changes within one tick
// of the time.
func (d *Dir) moment() string {
	var b strings.Builder
	names, _ := d.List(stageDir) // a missing directory is another moment
	for _, name := range names {
		fmt.Fprint(&b, name, " ")
		if _, err := d.disk.root.Lstat(stageDir + "/" + name + "/" + journalName); err == nil {
			fmt.Fprint(&b, "committed ")
		}
	}
	info, err := d.disk.root.Lstat(stageDir)
	if err != nil {
		return ""
	}
	fmt.Fprint(&b, info.ModTime().UnixNano())
	return b.String()
}
