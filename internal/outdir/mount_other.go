//go:build !linux

package outdir

// fileSystem is the zero value: only Linux tells it in /proc.
func (d *Dir) fileSystem() fileSystem { return fileSystem{} }
