package outdir

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Sight is a text that differs after every commit of a writer, and after every
// change of one of these files, whoever has made it. It reads no file.
func (d *Dir) Sight(names ...string) string {
	if d.disk.root == nil {
		return ""
	}
	var b strings.Builder
	fmt.Fprintln(&b, d.moment())
	for _, name := range names {
		info, err := d.disk.root.Lstat(filepath.FromSlash(name))
		if err != nil {
			fmt.Fprintln(&b, "missing")
			continue
		}
		fmt.Fprintln(&b, info.Mode(), info.Size(), info.ModTime().UnixNano(), StatOf(info))
	}
	return b.String()
}
