package secret

import (
	"io/fs"
	"os"

	"mtlsplan/internal/config"
)

// Info is the stat of the plain file that holds the secret, with links followed; ok
// is false for every other source. While the stat is the same, so is the secret.
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
