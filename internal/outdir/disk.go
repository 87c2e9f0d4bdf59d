package outdir

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// disk makes all changes of the file system for this package: no other file of it
// calls a function that changes anything there.
type disk struct {
	root  *os.Root // nil while the directory does not exist
	made  bool     // the output directory was not there before
	trace Trace
}

// Change is one change of the file system.
type Change struct {
	Do   string      // mkdir, create, write, truncate, chmod, chown, sync, syncfs, rename, exchange, remove
	Name string      // relative to the output directory; that is ".", and its parent is ".."
	To   string      // rename, exchange: the new name
	At   int64       // write: offset in bytes; truncate: the new size
	Data []byte      // write
	Mode fs.FileMode // mkdir, create: before the umask; chmod
}

// Trace stands between a writer and the file system. It is called for each change,
// in order, and do makes the change. Its result is taken for the answer of the file
// system.
type Trace func(c Change, do func() error) error

type traceKey struct{}

// WithTrace makes Lock hand every change to trace.
func WithTrace(ctx context.Context, trace Trace) context.Context {
	return context.WithValue(ctx, traceKey{}, trace)
}

func traceOf(ctx context.Context) Trace {
	trace, _ := ctx.Value(traceKey{}).(Trace)
	return trace
}

func (k *disk) change(c Change, do func() error) error {
	if k.trace == nil {
		return do()
	}
	return k.trace(c, do)
}

// makeRoot makes the output directory and missing directories above it, and opens
// it, also where only its mode could not be set. A crash in here leaves empty
// directories, which the next run uses.
func (k *disk) makeRoot(dir string) error {
	err := k.makeAbove(dir, dir)
	if err != nil && !k.made {
		return err
	}
	var openErr error
	k.root, openErr = openRoot(dir)
	return cmp.Or(err, openErr)
}

// openRoot opens the output directory. With the slash the system opens nothing
// else: a fifo in its place would wait for its other end.
func openRoot(dir string) (*os.Root, error) { return os.OpenRoot(dir + "/") }

func (k *disk) makeAbove(root, dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := k.makeAbove(root, parent); err != nil {
			return err
		}
	}
	name := func(of string) string {
		rel, _ := filepath.Rel(root, of)
		return filepath.ToSlash(rel)
	}
	err := k.change(Change{Do: "mkdir", Name: name(dir), Mode: ModeDir}, func() error { return os.Mkdir(dir, ModeDir) })
	if errors.Is(err, fs.ErrExist) {
		return nil // another run was faster; for anything but a directory OpenRoot fails
	}
	if err != nil {
		return err
	}
	k.made = dir == root
	// Only an owner of the directory above could swap it now, who controls it anyway.
	if err := k.change(Change{Do: "chmod", Name: name(dir), Mode: ModeDir}, func() error { return os.Chmod(dir, ModeDir) }); err != nil {
		return err
	}
	// A power cut must not remove the directory of a finished run.
	above, err := os.Open(parent)
	if err != nil {
		return err
	}
	defer above.Close()
	return durableAnyway(k.change(Change{Do: "sync", Name: name(parent)}, above.Sync))
}

func (k *disk) mkdir(name string, mode fs.FileMode) error {
	return k.change(Change{Do: "mkdir", Name: name, Mode: mode}, func() error { return k.root.Mkdir(name, mode) })
}

func (k *disk) rename(from, to string) error {
	return k.change(Change{Do: "rename", Name: from, To: to}, func() error { return k.root.Rename(from, to) })
}

// errNoExchange says that the system cannot exchange two files.
var errNoExchange = errors.New("no exchange")

// exchange gives two files each other's names, at one instant.
func (k *disk) exchange(from, to string) error {
	return k.change(Change{Do: "exchange", Name: from, To: to}, func() error { return exchange(k.root, from, to) })
}

func (k *disk) remove(name string) error {
	return k.change(Change{Do: "remove", Name: name}, func() error { return k.root.Remove(name) })
}

// open opens for reading. It does not wait for the other end of a fifo.
func (k *disk) open(name string) (*file, error) {
	f, err := k.root.OpenFile(filepath.FromSlash(name), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	return &file{f, k, name}, nil
}

// create opens for writing, with the flags and O_CREATE.
func (k *disk) create(name string, flag int, mode fs.FileMode) (*file, error) {
	var f *os.File
	err := k.change(Change{Do: "create", Name: name, Mode: mode}, func() (err error) {
		f, err = k.root.OpenFile(name, flag|os.O_CREATE|syscall.O_NONBLOCK, mode)
		return err
	})
	if err != nil {
		if f != nil {
			f.Close()
		}
		return nil, err
	}
	return &file{f, k, name}, nil
}

// file is an open file, or a directory opened for reading.
type file struct {
	f    *os.File
	disk *disk
	name string
}

func (f *file) write(data []byte, at int64) error {
	return f.disk.change(Change{Do: "write", Name: f.name, At: at, Data: data}, func() error {
		_, err := f.f.WriteAt(data, at)
		return err
	})
}

func (f *file) truncate(size int64) error {
	return f.disk.change(Change{Do: "truncate", Name: f.name, At: size}, func() error { return f.f.Truncate(size) })
}

func (f *file) chmod(mode fs.FileMode) error {
	return f.disk.change(Change{Do: "chmod", Name: f.name, Mode: mode}, func() error { return f.f.Chmod(mode) })
}

// chown gives the file to a user, and to no other group.
func (f *file) chown(uid int) error {
	return f.disk.change(Change{Do: "chown", Name: f.name}, func() error { return f.f.Chown(uid, -1) })
}

func (f *file) sync() error {
	return f.disk.change(Change{Do: "sync", Name: f.name}, f.f.Sync)
}

// durableAnyway drops the error of a file system that syncs no directories, as vboxsf: what
// it does with names is its own business, and nothing could be done about it. See fsync(2),
// EINVAL.
func durableAnyway(err error) error {
	if errors.Is(err, syscall.EINVAL) {
		return nil
	}
	return err
}

// tick writes the same data again until the file's time is past the tick of the
// first write, or tickPatience is over.
func (f *file) tick(at int64, data []byte) error {
	return f.disk.change(Change{Do: "write", Name: f.name, At: at, Data: data}, func() error {
		var first time.Time
		for waited := time.Duration(0); ; waited += time.Millisecond {
			if _, err := f.f.WriteAt(data, at); err != nil {
				return err
			}
			info, err := f.f.Stat()
			switch {
			case err != nil:
				return err
			case first.IsZero():
				first = info.ModTime()
			case info.ModTime().After(first), waited > tickPatience:
				return nil
			}
			time.Sleep(time.Millisecond)
		}
	})
}

// syncfs makes all of the file system durable. Since Linux 5.8 it reports
// write-back errors.
func (f *file) syncfs() error {
	return f.disk.change(Change{Do: "syncfs", Name: f.name}, func() error { return syncfs(f.f) })
}
