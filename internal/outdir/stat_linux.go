package outdir

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// StatOf reads the Stat of a file; it is zero where the file system gives none.
func StatOf(info fs.FileInfo) Stat {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return Stat{}
	}
	return Stat{Ino: st.Ino, Size: st.Size, Mtime: st.Mtim.Nano(), Ctime: st.Ctim.Nano(), Mode: st.Mode}
}

// Stats reads the stats of many files. It holds descriptors until it is closed.
type Stats struct {
	Identity uint64 // the number by which the file system knows the output directory

	dev  uint64
	uid  uint32 // of the output directory
	dirs []statsDir
	none []string // directories that were missing
}

type statsDir struct {
	name string
	fd   int
	file *os.File
}

// Stats begins to read stats. ok is false where they prove nothing: the directory
// does not exist, or shows a batch that no writer has finished yet.
func (d *Dir) Stats() (s *Stats, ok bool) {
	if d.disk.root == nil || len(d.pending) > 0 {
		return nil, false
	}
	info, err := d.disk.root.Stat(".")
	if err != nil {
		return nil, false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, false
	}
	s = &Stats{Identity: st.Ino, dev: st.Dev, uid: st.Uid}
	for _, dir := range []string{".", "secrets", DB} {
		if f := d.openDir(dir); f != nil {
			s.dirs = append(s.dirs, statsDir{dir, int(f.Fd()), f})
		} else if _, err := d.disk.root.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
			s.none = append(s.none, dir)
		}
	}
	return s, true
}

// Close closes the descriptors.
func (s *Stats) Close() {
	for _, dir := range s.dirs {
		dir.file.Close()
	}
}

// Of returns the stat of a plain file with one link, in the output directory
// or in its secrets or db, on the same file system, that belongs to the directory's owner or
// to root; ok is false for anything else.
func (s *Stats) Of(name string) (stat Stat, ok bool) {
	dir, base := ".", name
	if i := strings.IndexByte(name, '/'); i >= 0 {
		dir, base = name[:i], name[i+1:]
	}
	if strings.IndexByte(base, '/') >= 0 {
		return Stat{}, false
	}
	for i := range s.dirs {
		if s.dirs[i].name != dir {
			continue
		}
		var st unix.Stat_t
		if err := unix.Fstatat(s.dirs[i].fd, base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return Stat{}, false
		}
		if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Nlink != 1 || st.Dev != s.dev || st.Uid != s.uid && st.Uid != 0 {
			return Stat{}, false
		}
		return Stat{Ino: st.Ino, Size: st.Size, Mtime: st.Mtim.Nano(), Ctime: st.Ctim.Nano(), Mode: st.Mode}, true
	}
	return Stat{}, false
}

// Top is the stat of the output directory itself: it changes whenever a name in the
// directory does.
func (s *Stats) Top() (Stat, bool) {
	var st unix.Stat_t
	if len(s.dirs) == 0 || s.dirs[0].name != "." || unix.Fstat(s.dirs[0].fd, &st) != nil {
		return Stat{}, false
	}
	return Stat{Ino: st.Ino, Size: st.Size, Mtime: st.Mtim.Nano(), Ctime: st.Ctim.Nano(), Mode: st.Mode}, true
}

// Missing reports whether nothing lies at a name in the output directory or in
// its secrets or db.
func (s *Stats) Missing(name string) bool {
	dir, base := ".", name
	if i := strings.IndexByte(name, '/'); i >= 0 {
		dir, base = name[:i], name[i+1:]
	}
	for i := range s.dirs {
		if s.dirs[i].name == dir {
			var st unix.Stat_t
			return unix.Fstatat(s.dirs[i].fd, base, &st, unix.AT_SYMLINK_NOFOLLOW) == unix.ENOENT
		}
	}
	return slices.Contains(s.none, dir)
}

// openDir opens a directory, nil where there is none or a link to one.
func (d *Dir) openDir(dir string) *os.File {
	there, err := d.disk.root.Lstat(filepath.FromSlash(dir))
	if err != nil || !there.IsDir() {
		return nil
	}
	f, err := d.disk.root.Open(filepath.FromSlash(dir))
	if err != nil {
		return nil
	}
	if info, err := f.Stat(); err != nil || !os.SameFile(there, info) {
		f.Close()
		return nil
	}
	return f
}

// Names calls f for every name in the output directory itself, in no order.
func (d *Dir) Names(f func(name []byte)) error {
	if d.disk.root == nil {
		return nil
	}
	dir, err := d.disk.root.Open(".")
	if err != nil {
		return fmt.Errorf("output directory %s: %w", d.path, bare(err))
	}
	defer dir.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := unix.ReadDirent(int(dir.Fd()), buf)
		if err != nil {
			return fmt.Errorf("output directory %s: %w", d.path, bare(err))
		}
		if n <= 0 {
			return nil
		}
		eachName(buf[:n], f)
	}
}

// eachName reads entries as getdents64(2) writes them: an inode number, an offset,
// the length of the entry in two bytes, a type in one, and the name up to a zero
// byte.
func eachName(entries []byte, f func([]byte)) {
	const lengthAt, nameAt = 16, 19
	for len(entries) > nameAt {
		length := int(binary.NativeEndian.Uint16(entries[lengthAt:]))
		if length <= nameAt || length > len(entries) {
			return
		}
		if name, _, _ := bytes.Cut(entries[nameAt:length], []byte{0}); len(name) > 0 {
			f(name)
		}
		entries = entries[length:]
	}
}
