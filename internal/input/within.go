package input

import (
	"path/filepath"
	"strings"
)

// Within reports whether an absolute path is a directory or below it, wherever links lead.
// What is not there yet is taken as it is written.
func Within(path, dir string) bool {
	below := func(path, dir string) bool {
		return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
	}
	return below(path, dir) || below(resolved(path), resolved(dir))
}

// resolved is a path without links, as far as it is there.
func resolved(path string) string {
	for dir, rest := path, ""; ; dir, rest = filepath.Dir(dir), filepath.Join(filepath.Base(dir), rest) {
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			return filepath.Join(real, rest)
		}
		if dir == filepath.Dir(dir) {
			return path
		}
	}
}
