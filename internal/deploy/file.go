// Package deploy is the host of a proxy: it replaces files there and runs the programs
// that test and reload the proxy. What is put where, and when, package engine decides.
package deploy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"mtlsplan/internal/attr"
	"mtlsplan/internal/input"
)

// File is a file on the host.
type File struct {
	Path     string // absolute
	Missing  bool
	Data     []byte
	Mode     fs.FileMode // permission bits
	UID, GID int
}

// Most is how many bytes a file may have to be replaced: sites and CRLs are far smaller,
// and what is replaced is kept.
const Most = 64 << 20

// Read reads a file of the host. The error is a sentence with its path.
//
// A link is not followed: where somebody else may write into the directory, it would lead
// to any file of the system.
func Read(ctx context.Context, path string) (File, error) {
	data, info, err := input.ReadPlain(ctx, path, Most)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return File{Path: path, Missing: true}, nil
	case errors.Is(err, input.ErrLink):
		target, err := filepath.EvalSymlinks(path)
		if err != nil {
			return File{}, fmt.Errorf("%s is a symbolic link that leads nowhere: remove it, or name another path in deploy", path)
		}
		return File{}, fmt.Errorf("%s is a symbolic link, which a copy would replace: write the file that it leads to in deploy: %s", path, target)
	case err != nil:
		return File{}, sentence(path, err)
	}
	f := File{Path: path, Data: data, Mode: info.Mode().Perm()}
	f.UID, f.GID = owner(info)
	return f, nil
}

// Same reports whether two files are the same to whoever reads them.
func (f File) Same(other File) bool {
	return f.Missing == other.Missing && bytes.Equal(f.Data, other.Data)
}

// Identical reports whether two files also have the same mode and owner.
func (f File) Identical(other File) bool {
	return f.Same(other) && (f.Missing || f.Mode == other.Mode && f.UID == other.UID && f.GID == other.GID)
}

// With is a file in the place of f, with its mode and owner; where nothing is there, 0644
// and the owner of this process.
func (f File) With(data []byte) File {
	if f.Missing {
		f.Mode, f.UID, f.GID = 0o644, os.Getuid(), os.Getgid()
	}
	f.Missing, f.Data = false, data
	return f
}

// Put makes the host have f, whole: a crash leaves what was there before, or f. A missing
// one is removed. The error is a sentence with the path.
//
// The new file is written beside its place, under a name that no pattern of an include
// directive matches: those leave names with a dot in front out (glob(7)).
func Put(f File) error {
	dir, name := filepath.Split(f.Path)
	err := put(f, filepath.Join(dir, "."+name+".mtlsplan"))
	if err == nil {
		err = sync(dir)
	}
	if err != nil {
		return sentence(f.Path, err)
	}
	return nil
}

func put(f File, beside string) error {
	if f.Missing {
		if err := os.Remove(f.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	// It is there when a run was killed; nobody else makes it.
	if err := os.Remove(beside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	w, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_EXCL|noFollow, 0o600)
	if err != nil {
		return err
	}
	_, err = w.Write(f.Data)
	if err == nil {
		err = give(w, f)
	}
	if err == nil {
		err = w.Chmod(f.Mode)
	}
	if err == nil {
		err = w.Sync()
	}
	if err = errors.Join(err, w.Close()); err == nil {
		err = os.Rename(beside, f.Path)
	}
	if err != nil {
		_ = os.Remove(beside)
	}
	return err
}

// give makes a file f's owner's, where it is not: in a directory with the setgid bit it
// is its group's.
func give(w *os.File, f File) error {
	info, err := w.Stat()
	if err != nil {
		return err
	}
	if uid, gid := owner(info); uid == f.UID && gid == f.GID {
		return nil
	}
	return w.Chown(f.UID, f.GID)
}

func sync(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) { // its file system syncs no directories
		err = nil
	}
	return errors.Join(err, d.Close())
}

// remedies say what to do about errors of the file system.
var remedies = []struct {
	err    error
	remedy string
}{
	{syscall.EROFS, "its file system is read-only: name a path in deploy that can be written, or mount it for writing"},
	{fs.ErrPermission, "this user may not write there or keep the owner of the file: run mtlsplan as root, or give it the directory"},
	{fs.ErrNotExist, "its directory is not there: make it, or name another path in deploy"},
	{syscall.EBUSY, "it is a mount of its own, in which a file cannot be replaced: mount its directory"},
	{syscall.ENOSPC, "its file system is full: make room"},
	{syscall.EDQUOT, "the quota is used up: make room"},
}

// sentence says what is wrong with a path, and what to do.
func sentence(path string, err error) error {
	if errors.Is(err, syscall.EPERM) {
		for _, at := range []string{path, filepath.Dir(path)} {
			if why := attr.Fixed(at); why != "" {
				return fmt.Errorf("%s: %s, and run apply again", path, why)
			}
		}
	}
	for _, r := range remedies {
		if errors.Is(err, r.err) {
			return fmt.Errorf("%s: %s", path, r.remedy)
		}
	}
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	if le, ok := errors.AsType[*os.LinkError](err); ok {
		err = le.Err
	}
	return fmt.Errorf("%s: %w", path, err)
}
