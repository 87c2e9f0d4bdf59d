package outdir

import (
	"fmt"
	"strings"
)

// Moved reports whether a writer has committed or finished a batch since the
// directory was opened for reading: what was read may be of two moments then.
func (d *Dir) Moved() bool { return d.disk.root != nil && d.moment() != d.opened }

// moment is another text after every commit and after every end of a batch: both
// leave their trace in db/stage.
func (d *Dir) moment() string {
	info, err := d.disk.root.Lstat(stageDir)
	if err != nil {
		return ""
	}
	var b strings.Builder
	fmt.Fprint(&b, info.ModTime().UnixNano())
	names, _ := d.List(stageDir) // gone since: another moment
	for _, name := range names {
		if _, err := d.disk.root.Lstat(stageDir + "/" + name + "/" + journalName); err == nil {
			fmt.Fprint(&b, " ", name)
		}
	}
	return b.String()
}
