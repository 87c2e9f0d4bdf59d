// Package input reads the files that a person names, in a spec or on the command
// line, and what the programs print that a spec names. Anything may lie at such a
// path, so nothing but a regular file of a limited size is read, and no pipe or
// device makes a run wait. A program has a time limit.
package input

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// Errors of [Read] that say what lies at the path.
var (
	ErrDirectory  = errors.New("it is a directory")
	ErrNotRegular = errors.New("it is a pipe, a socket or a device, not a regular file")
	ErrTooLarge   = errors.New("it is too large")
	ErrLink       = errors.New("it is a symbolic link")
)

// Read reads a regular file of at most this many bytes, with links followed, and
// gives its stat from before it was read. When ctx ends, Read returns with its
// error, even where the file system does not answer.
//
// The error is ctx's, one of the above, or one of the file system without the
// path, which is left to the message around it.
func Read(ctx context.Context, path string, most int64) ([]byte, fs.FileInfo, error) {
	return readIn(ctx, path, most, os.Stat, 0)
}

// ReadPlain is Read where the path must not be a link: the error is [ErrLink] then.
func ReadPlain(ctx context.Context, path string, most int64) ([]byte, fs.FileInfo, error) {
	return readIn(ctx, path, most, os.Lstat, noFollow)
}

func readIn(ctx context.Context, path string, most int64, stat func(string) (fs.FileInfo, error), flags int) ([]byte, fs.FileInfo, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	type result struct {
		text []byte
		info fs.FileInfo
		err  error
	}
	done := make(chan result, 1)
	go func() {
		text, info, err := read(path, most, stat, flags)
		done <- result{text, info, cause(err)}
	}()
	select {
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	case r := <-done:
		return r.text, r.info, r.err
	}
}

func read(path string, most int64, stat func(string) (fs.FileInfo, error), flags int) ([]byte, fs.FileInfo, error) {
	info, err := stat(path) // before opening, which alone can have an effect on a device
	if err == nil {
		err = check(info, most)
	}
	if err != nil {
		return nil, nil, err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|flags, 0) // meanwhile it may be a pipe
	if errors.Is(err, syscall.ELOOP) && flags != 0 {
		err = ErrLink // it has become one
	}
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	if info, err = f.Stat(); err == nil {
		err = check(info, most)
	}
	if err != nil {
		return nil, nil, err
	}
	var text bytes.Buffer
	text.Grow(int(info.Size()) + bytes.MinRead)
	_, err = text.ReadFrom(io.LimitReader(f, most+1)) // it may grow, and a file of /proc has no size
	if err == nil && int64(text.Len()) > most {
		err = ErrTooLarge
	}
	if err != nil {
		return nil, nil, err
	}
	return text.Bytes(), info, nil
}

func check(info fs.FileInfo, most int64) error {
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return ErrLink
	case info.IsDir():
		return ErrDirectory
	case !info.Mode().IsRegular():
		return ErrNotRegular
	case info.Size() > most:
		return ErrTooLarge
	}
	return nil
}

// cause is an error of the file system without its path.
func cause(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}
