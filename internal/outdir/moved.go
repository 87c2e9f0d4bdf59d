package outdir

import (
	"fmt"
	"strings"
)

// Moved reports whether a writer has committed or finished a batch since the
// directory was opened for reading: what was read may be of two moments then.
func (d *Dir) Moved() bool { return d.disk.root != nil && d.moment() != d.opened }

// moment is another text after every commit and after every end of a batch: both
// leave their trace in db/stage. Its time is asked last: a journal that was not
// there had either not come, and nothing was released yet, or it had gone, and
// that has changed the time. The names tell what happens within a tick of it.
func (d *Dir) moment() string {
	var b strings.Builder
	names, _ := d.List(stageDir) // gone since: another moment
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
