package outdir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"
)

// Stat is the part of a file's inode by which the file is recognised as unchanged:
// every change of its content, mode or owner, and every other file in its place,
// changes at least one field. A program cannot set the change time, so this also
// shows an edit that keeps all other fields.
type Stat struct {
	Ino   uint64
	Size  int64
	Mtime int64 // nanoseconds since 1970
	Ctime int64 // nanoseconds since 1970
	Mode  uint32
}

// Before reports whether the last change is older than a moment of the same file
// system's clock, in nanoseconds since 1970. A file that was changed in a tick of
// the clock can be changed again in the same tick without a trace.
func (s Stat) Before(clock int64) bool { return s.Ctime < clock && s.Mtime < clock }

// Started is the moment at which the lock was taken, or of the last [Dir.NextTick],
// in nanoseconds since 1970. The clock is that of the output directory's file
// system, which is as coarse as the times of its files. The directory must be
// locked.
func (d *Dir) Started() (int64, error) {
	info, err := d.lock.Stat()
	if err != nil {
		return 0, d.fault(lockName, err)
	}
	return info.ModTime().UnixNano(), nil
}

// tickPatience is how long NextTick waits: longer than a tick of any kernel, and
// too short for a person to notice.
const tickPatience = 50 * time.Millisecond

// NextTick waits until the clock is past the tick of the last change, and returns
// the time in nanoseconds since 1970. Every later change has this time or a later
// one. On a file system that counts whole seconds it gives up after a while.
func (d *Dir) NextTick() (int64, error) {
	lock := &file{d.lock, &d.disk, lockName}
	info, err := lock.f.Stat()
	if err == nil {
		err = lock.tick(max(0, info.Size()-1), []byte("\n"))
	}
	if err != nil {
		return 0, d.fault(lockName, err)
	}
	return d.Started()
}

// Part returns size bytes of a plain file, from the offset at.
func (d *Dir) Part(name string, at, size int64) ([]byte, error) {
	if d.disk.root == nil {
		return nil, fs.ErrNotExist
	}
	f, _, err := d.openRegular(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.join(name), err)
	}
	defer f.Close()
	data := make([]byte, size)
	if _, err := f.ReadAt(data, at); err != nil {
		return nil, d.fault(name, err)
	}
	return data, nil
}

// Text returns the content of a plain file as a string, without a second copy of
// it in memory; "" when it cannot be read.
func (d *Dir) Text(name string) string {
	if d.disk.root == nil {
		return ""
	}
	f, info, err := d.openRegular(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	if info.Size() > largest(name) {
		return ""
	}
	var b strings.Builder
	b.Grow(int(info.Size()))
	if _, err := io.Copy(&b, io.LimitReader(f, info.Size())); err != nil {
		return ""
	}
	return b.String()
}

// Replace replaces a file outside of any batch and without making it durable: it
// is for files that may be lost. A crash leaves the old file, and remains in
// db/stage that the next writer sweeps.
func (d *Dir) Replace(name string, write func(io.Writer) error) error {
	if err := errors.Join(d.refuseOdd(name), d.mkdir(stageDir, ModePrivate)); err != nil {
		return err
	}
	from := stageDir + "/" + path.Base(name)
	f, err := d.disk.create(from, os.O_WRONLY|os.O_EXCL, ModeSecret)
	if err != nil {
		return bare(err)
	}
	to := &appender{file: f}
	err = write(to)
	if closeErr := f.f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = d.disk.rename(from, name)
	}
	if err != nil {
		_ = d.disk.remove(from) // if that fails, the next writer sweeps it
		return bare(err)
	}
	return nil
}

// appender writes one part after the other.
type appender struct {
	*file
	at int64
}

func (a *appender) Write(data []byte) (int, error) {
	if err := a.write(data, a.at); err != nil {
		return 0, err
	}
	a.at += int64(len(data))
	return len(data), nil
}

// Extend writes to the end of a plain file of the given size in bytes, without
// making it durable. A crash leaves a part of the data there.
func (d *Dir) Extend(name string, at int64, data []byte) error {
	there, err := d.disk.root.Lstat(name)
	if err == nil {
		err = plain(there)
	}
	if err == nil && there.Size() != at {
		err = fmt.Errorf("the file has %d bytes, expected %d", there.Size(), at)
	}
	if err != nil {
		return bare(err)
	}
	f, err := d.disk.create(name, os.O_WRONLY, ModeSecret)
	if err != nil {
		return bare(err)
	}
	defer f.f.Close()
	if !isFile(f.f, there) {
		return errors.New("another program replaced it")
	}
	return f.write(data, at)
}

// StatOfProgram is the Stat of the executable file of this process.
func StatOfProgram() (Stat, error) {
	path, err := os.Executable()
	if err != nil {
		return Stat{}, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return Stat{}, err
	}
	return StatOf(info), nil
}
