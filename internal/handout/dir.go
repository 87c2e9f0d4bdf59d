// Package handout makes what a user is given: the files, and the directory of their own
// that holds them.
package handout

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// Modes of what is written: a .p12 is for its user alone.
const (
	modeDir  fs.FileMode = 0o700
	modeFile fs.FileMode = 0o600
)

// File is one that a user is given.
type File struct {
	Name string // without a directory
	Data []byte
}

// ErrTaken says that something of somebody else's lies where a user's files are to be.
var ErrTaken = errors.New("nothing was overwritten")

// Put writes a user's files into the directory name below dir, which it makes where they
// are missing. A file is replaced by rename, so that it is never partly written, and it
// and its name are durable when Put returns, the directory itself only with [Settle]; a
// crash leaves some of the files, and the next Put completes them. A file of the same
// name with other content is an [ErrTaken], before anything is written, unless overwrite
// is set; what other files lie there does not matter.
func Put(dir, name string, files []File, overwrite bool) error {
	if err := os.MkdirAll(dir, modeDir); err != nil {
		return bare(dir, err)
	}
	path := filepath.Join(dir, name)
	made := os.Mkdir(path, modeDir)
	if made != nil && !errors.Is(made, fs.ErrExist) {
		return bare(path, made)
	}
	info, err := os.Lstat(path)
	switch {
	case err == nil && made == nil && wider(info, modeDir):
		_ = os.Remove(path) // the error that counts is this one
		return bare(path, errNoModes)
	case err != nil:
		return bare(path, err)
	case !info.IsDir():
		return fmt.Errorf("%s is no directory: move it away, or name another directory with -o; %w", path, ErrTaken)
	case info.Mode().Perm()&^modeDir != 0:
		return fmt.Errorf("%s can be entered by others than its owner (mode %04o): chmod 700 it, or name another directory with -o; %w", path, info.Mode().Perm(), ErrTaken)
	}
	return fill(path, files, overwrite)
}

// Settle makes the directories durable that [Put] has made in dir: once for all of them.
func Settle(dir string) error { return sync(dir) }

// Create writes files into a directory, which it makes where it is missing, in their
// order; all else is as with [Put]. Others may enter the directory, and cannot read the
// files.
func Create(dir string, files []File, overwrite bool) error {
	if err := os.MkdirAll(dir, modeDir); err != nil {
		return bare(dir, err)
	}
	return fill(dir, files, overwrite)
}

// errNoModes says that what is made for its owner alone is open to others.
var errNoModes = errors.New("its file system keeps no modes, so that others could read what is written there: name a directory on another one with -o, and copy it from there")

// wider reports whether a file is open to more than it was made for. On Windows the
// mode says only whether it may be written, and the directory who may read it.
func wider(info fs.FileInfo, mode fs.FileMode) bool {
	return runtime.GOOS != "windows" && info.Mode().Perm()&^mode != 0
}

func fill(path string, files []File, overwrite bool) error {
	root, err := os.OpenRoot(path)
	if err != nil {
		return bare(path, err)
	}
	defer root.Close()
	missing, err := toWrite(root, path, files, overwrite)
	if err != nil {
		return err
	}
	for _, f := range missing {
		if err := replace(root, f); err != nil {
			return bare(filepath.Join(path, f.Name), err)
		}
	}
	return sync(path)
}

// toWrite are the files that do not lie there yet, as they are to be.
func toWrite(root *os.Root, path string, files []File, overwrite bool) (missing []File, err error) {
	for _, f := range files {
		info, err := root.Lstat(f.Name)
		if errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, f)
			continue
		}
		if err != nil {
			return nil, bare(filepath.Join(path, f.Name), err)
		}
		if !info.Mode().IsRegular() {
			return nil, fmt.Errorf("%s is no plain file: move it away, or name another directory with -o; %w", filepath.Join(path, f.Name), ErrTaken)
		}
		have, err := root.ReadFile(f.Name)
		if err != nil {
			return nil, bare(filepath.Join(path, f.Name), err)
		}
		switch same := bytes.Equal(have, f.Data); {
		case same && info.Mode().Perm() == modeFile:
		case same || overwrite:
			missing = append(missing, f)
		default:
			return nil, fmt.Errorf("%s is there and is not what is written now: move it away, name another directory with -o, or say --overwrite; %w", filepath.Join(path, f.Name), ErrTaken)
		}
	}
	return missing, nil
}

// replace puts a file in place. What a killed run has left of it is written anew.
func replace(root *os.Root, f File) error {
	part := "." + f.Name + ".part"
	if err := root.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// A crash from here to the rename leaves the part alone.
	to, err := root.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, modeFile)
	if err != nil {
		return err
	}
	info, err := to.Stat()
	switch {
	case err != nil:
	case wider(info, modeFile):
		err = errNoModes
	case info.Mode().Perm() != modeFile: // an odd umask
		err = to.Chmod(modeFile)
	}
	if err == nil {
		_, err = to.Write(f.Data)
	}
	if err = errors.Join(err, to.Sync(), to.Close()); err == nil {
		err = root.Rename(part, f.Name)
	}
	if err != nil {
		_ = root.Remove(part) // the error that counts is the one above
	}
	return err
}

func sync(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // no directory can be made durable there
	}
	d, err := os.Open(dir)
	if err != nil {
		return bare(dir, err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) { // some file systems sync no directories
		return bare(dir, err)
	}
	return nil
}

// bare is an error with one path, and not that of a call inside.
func bare(path string, err error) error {
	if inner, ok := errors.AsType[*fs.PathError](err); ok {
		err = inner.Err
	}
	if inner, ok := errors.AsType[*os.LinkError](err); ok {
		err = inner.Err
	}
	return fmt.Errorf("%s: %w", path, err)
}
