//go:build !linux

package outdir

import "io/fs"

// On other systems than Linux no file is known by its stat, and every file is read.

// StatOf is the zero Stat.
func StatOf(fs.FileInfo) Stat { return Stat{} }

// Stats reads the stats of many files.
type Stats struct {
	Identity uint64 // the number by which the file system knows the output directory
}

// Stats begins to read stats; ok is false, since they prove nothing here.
func (d *Dir) Stats() (s *Stats, ok bool) { return nil, false }

// Close closes the descriptors.
func (s *Stats) Close() {}

// Of returns the stat of a plain file.
func (s *Stats) Of(string) (Stat, bool) { return Stat{}, false }

// Top is the stat of the output directory itself.
func (s *Stats) Top() (Stat, bool) { return Stat{}, false }

// Missing reports whether nothing lies at a name.
func (s *Stats) Missing(string) bool { return false }

// Names calls f for every name in the output directory itself, in no order.
func (d *Dir) Names(f func(name []byte)) error {
	names, err := d.List(".")
	for _, name := range names {
		f([]byte(name))
	}
	return err
}
