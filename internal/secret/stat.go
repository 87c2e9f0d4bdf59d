package secret

import (
	"io/fs"
	"os"

	"mtlsplan/internal/config"
)

// Info tells of the plain file that holds the secret, links followed; ok is
// false for every other source. A secret whose file is the same in all that its
// file system tells is the same.
func (r Ref) Info() (info fs.FileInfo, ok bool) {
	if r.Kind != config.FromFile {
		return nil, false
	}
	info, err := os.Stat(r.File)
	if err != nil || !info.Mode().IsRegular() {
		return nil, false
	}
	return info, true
}
