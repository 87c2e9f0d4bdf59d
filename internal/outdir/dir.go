// Package outdir owns one output directory: it reads files, locks the
// directory for a writer, and changes files in batches that happen as a whole.
//
// It makes three promises. A file is never partly written. A committed batch is
// finished by the next writer. Nothing outside the directory is reached, whatever
// links are in it: every path goes through os.Root. The package refuses symbolic
// links, hard links, fifos, devices and directories in the place of a file. On
// file systems without flock it cannot exclude other writers, and fails. So it does
// where secrets could not be kept: in the directory of another user, and on file
// systems without modes.
package outdir

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// Modes of what lies in an output directory.
const (
	ModeDir     fs.FileMode = 0o755
	ModePrivate fs.FileMode = 0o700 // directories that hold secrets or the database
	ModeSecret  fs.FileMode = 0o600
	ModePublic  fs.FileMode = 0o644
)

// DB is the directory of the CA database, the lock and the staged batches.
const DB = "db"

const stageDir = DB + "/stage"

// Dir is an open output directory. A directory that does not exist reads as an
// empty one.
type Dir struct {
	path    string
	disk    disk
	lock    *os.File // nil for a reader
	writes  bool     // of a writer, also before it has the lock
	pending view     // a committed batch that no writer has finished yet

	shared  map[string]Merge // files that others write too
	seeing  sync.Mutex       // of what follows
	seen    map[string]fs.FileInfo
	foreign string // a shared file that holds more than was read or written here

	owned   sync.Once
	ownerID int // the user to whom the directory belongs, -1 where that is not known

	opened string // of a reader: the moment at which it was opened
}

// File is the file at a path. A missing file is data, not an error.
type File struct {
	Name    string
	Missing bool
	Mode    fs.FileMode // permission bits
	Owner   string      // who it belongs to, if neither to the directory's owner nor to root; else ""
	Data    []byte
	Stat    Stat // from before Data was read; the zero Stat where it is unknown
}

// Open opens a directory for reading. Readers take no lock: every file they see
// is whole, because writers replace files by rename. shared are the files that others
// write too.
func Open(dir string, shared map[string]Merge, options ...Option) (*Dir, error) {
	d := &Dir{path: dir, shared: shared, seen: map[string]fs.FileInfo{}}
	root, err := openRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	if err != nil {
		return nil, fmt.Errorf("output directory %s: %w", dir, bare(err))
	}
	d.disk.root = root
	if err := d.fit(options); err != nil {
		root.Close()
		return nil, err
	}
	d.opened = d.moment()
	if d.pending, err = d.readPending(); err != nil {
		root.Close()
		return nil, err
	}
	return d, nil
}

// Path is the directory's path as it was opened.
func (d *Dir) Path() string { return d.path }

// Writable reports whether the directory is locked for writing.
func (d *Dir) Writable() bool { return d.lock != nil }

// Interrupted reports whether a committed batch of an earlier run is still to be
// finished. A reader sees the directory as if it were finished.
func (d *Dir) Interrupted() bool { return len(d.pending) > 0 }

// Close releases the lock, if there is one.
func (d *Dir) Close() error {
	var errs []error
	if d.lock != nil {
		// Closing alone would leave the lock to a child that another goroutine has
		// just forked and that has not reached its exec.
		errs = append(errs, unlockFile(d.lock), d.lock.Close())
	}
	if d.disk.root != nil {
		errs = append(errs, d.disk.root.Close())
	}
	return errors.Join(errs...)
}

// Read returns a file's content and mode. The error says what lies there
// instead of a plain file, or why it cannot be read.
func (d *Dir) Read(name string) (File, error) {
	entry, ok := d.pending[name]
	if !ok {
		return d.readPlain(name, name)
	}
	if entry.removed {
		return File{Name: name, Missing: true}, nil
	}
	staged, err := d.readPlain(name, entry.staged)
	if err != nil || staged.Missing || entry.sum != "" && sumOf(staged.Data) != entry.sum {
		// The writer has released the batch since: the staged file is in place.
		return d.readPlain(name, name)
	}
	if entry.tail {
		head, err := d.readPlain(name, name)
		if err != nil {
			return head, err
		}
		at := min(entry.at, int64(len(head.Data)))
		tail := head.Data[at:]
		if merge := d.shared[name]; merge != nil && (at < entry.at || !bytes.HasPrefix(tail, staged.Data) && !tornFrom(tail, staged.Data)) {
			// Another program has changed it, and the writer will merge the two.
			head.Data, err = merge(head.Data, staged.Data)
			return head, err
		}
		if at < entry.at {
			return head, nil
		}
		staged.Data = append(head.Data[:at:at], staged.Data...)
	}
	return staged, nil
}

// readPlain reads the file at the path from, and calls it name.
func (d *Dir) readPlain(name, from string) (File, error) {
	file := File{Name: name}
	if d.disk.root == nil {
		file.Missing = true
		return file, nil
	}
	f, info, err := d.openRegular(from)
	if errors.Is(err, fs.ErrNotExist) {
		file.Missing = true
		d.look(from, nil)
		return file, nil
	}
	if err != nil {
		return file, fmt.Errorf("%s: %w", d.join(name), err)
	}
	defer f.Close()
	d.look(from, info)
	file.Mode, file.Owner = modeOf(info), d.stranger(info)
	if most := largest(name); info.Size() > most {
		return file, fmt.Errorf("%s: this file has %d bytes, and none that mtlsplan writes here has more than %d: move it away", d.join(name), info.Size(), most)
	}
	if name == from {
		file.Stat = StatOf(info)
	}
	file.Data = make([]byte, info.Size())
	n, err := io.ReadFull(f, file.Data)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return file, fmt.Errorf("%s: %w", d.join(name), bare(err))
	}
	file.Data = file.Data[:n]
	return file, nil
}

// largest is the limit in bytes for reading a file into memory. A site or a CRL
// with 100,000 serials has less than a tenth of it; the database of as many users
// grows by 130 MB a year.
func largest(name string) int64 {
	if strings.HasPrefix(name, DB+"/") { // staged files, too
		return 8 << 30
	}
	return 64 << 20
}

// openRegular opens a plain file with one link. os.Root follows links that stay
// within it, whatever the flags say, so the opened file is compared with the
// entry at its path. A writer may put a new file there between the two calls. A
// reader then tries again; a link is never taken for a file.
func (d *Dir) openRegular(name string) (*os.File, fs.FileInfo, error) {
	for looks := 1; ; looks++ {
		f, info, err := d.openOnce(name)
		if err != errReplaced || looks == 100 {
			return f, info, err
		}
	}
}

var errReplaced = errors.New("another program keeps replacing this file while it is read: run again")

func (d *Dir) openOnce(name string) (*os.File, fs.FileInfo, error) {
	there, err := d.disk.root.Lstat(filepath.FromSlash(name))
	if err != nil {
		return nil, nil, d.denied(name, err)
	}
	if err := plain(there); err != nil {
		return nil, nil, err
	}
	opened, err := d.disk.open(name)
	if err != nil {
		return nil, nil, d.denied(name, err)
	}
	f := opened.f
	info, err := f.Stat()
	if err == nil && !os.SameFile(there, info) {
		err = errReplaced
	}
	if err != nil {
		f.Close()
		return nil, nil, bare(err)
	}
	return f, info, nil
}

// isFile reports whether an open file is still the one at its path.
func isFile(f *os.File, there fs.FileInfo) bool {
	info, err := f.Stat()
	return err == nil && os.SameFile(there, info)
}

func plain(info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("this is a %s where mtlsplan keeps a plain file: move it away", kindOf(info.Mode()))
	}
	if n := links(info); n > 1 {
		return fmt.Errorf("this file has %d hard links, so that a change here would not reach the others: replace it by a copy", n)
	}
	return nil
}

func kindOf(m fs.FileMode) string {
	switch {
	case m.IsRegular():
		return "plain file"
	case m.IsDir():
		return "directory"
	case m&fs.ModeSymlink != 0:
		return "symbolic link"
	case m&fs.ModeNamedPipe != 0:
		return "fifo"
	case m&fs.ModeSocket != 0:
		return "socket"
	}
	return "device"
}

// DirMode returns the permission bits of a directory below the output
// directory; "." is the output directory itself.
func (d *Dir) DirMode(name string) (mode fs.FileMode, exists bool, err error) {
	info, err := d.dirInfo(name)
	if info == nil {
		return 0, false, err
	}
	return modeOf(info), true, nil
}

// DirOwner is who a directory below the output directory belongs to, if neither to the
// owner of that nor to root; else "".
func (d *Dir) DirOwner(name string) string {
	if info, _ := d.dirInfo(name); info != nil {
		return d.stranger(info)
	}
	return ""
}

// dirInfo looks at a directory; it is nil where nothing is.
func (d *Dir) dirInfo(name string) (fs.FileInfo, error) {
	if d.disk.root == nil {
		return nil, nil
	}
	info, err := d.disk.root.Lstat(filepath.FromSlash(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		if above := path.Dir(name); above != "." {
			if _, err := d.dirInfo(above); err != nil {
				return nil, err
			}
		}
		return nil, fmt.Errorf("%s: %w", d.join(name), d.denied(name, err))
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s: this is a %s where mtlsplan keeps a directory: move it away", d.join(name), kindOf(info.Mode()))
	}
	return info, nil
}

// List returns the names in a directory, sorted; none if it does not exist.
func (d *Dir) List(name string) ([]string, error) {
	// Opening a fifo would wait for its other end.
	if _, exists, err := d.DirMode(name); err != nil || !exists {
		return nil, err
	}
	entries, err := fs.ReadDir(d.disk.root.FS(), name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.join(name), d.denied(name, err))
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

func (d *Dir) join(name string) string { return path.Join(filepath.ToSlash(d.path), name) }

// SameFile reports whether two names are those of one file, as upper and lower case are on
// some file systems. Numbers of files do not tell: FUSE programs number names. What is
// listed does, since only one of the names is.
func (d *Dir) SameFile(a, b string) bool {
	if a == b || d.disk.root == nil {
		return false
	}
	for _, name := range []string{a, b} {
		if _, err := d.disk.root.Lstat(name); err != nil {
			return false
		}
	}
	if !strings.EqualFold(a, b) {
		return false
	}
	names, err := d.List(path.Dir(a))
	listed := func(name string) bool { return slices.Contains(names, path.Base(name)) }
	return err == nil && !(listed(a) && listed(b))
}

// FileMode returns the permission bits of a plain file; exists is false for
// anything else.
func (d *Dir) FileMode(name string) (mode fs.FileMode, exists bool) {
	mode, _, exists = d.Look(name)
	return mode, exists
}

// Look is FileMode that also tells, as [File] does, who the file belongs to.
func (d *Dir) Look(name string) (mode fs.FileMode, owner string, exists bool) {
	if entry, ok := d.pending[name]; ok && entry.removed {
		return 0, "", false
	}
	if d.disk.root == nil {
		return 0, "", false
	}
	info, err := d.disk.root.Lstat(filepath.FromSlash(name))
	if err != nil || !info.Mode().IsRegular() {
		return 0, "", false
	}
	return modeOf(info), d.stranger(info), true
}
