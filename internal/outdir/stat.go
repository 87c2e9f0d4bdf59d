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

// Stat is what a file system tells of a plain file, and by which it is known
// again: whoever changes the content, the mode or the owner, or puts another
// file in its place, changes at least one of them. The change time cannot be
// set by a program, so that it also tells of an edit that keeps all the others.
type Stat struct {
	Ino   uint64
	Size  int64
	Mtime int64 // nanoseconds since 1970
	Ctime int64 // nanoseconds since 1970
	Mode  uint32
}

// Before reports whether the last change is older than a moment of the same
// file system's clock. What has been changed in the tick of a clock can be
// changed once more in it without a trace.
func (s Stat) Before(clock int64) bool { return s.Ctime < clock && s.Mtime < clock }

// Started is the moment at which the lock was taken by the clock of the output
// directory's file system, which is as coarse as the times of its files; or the
// last [Dir.NextTick]. The directory must be locked.
func (d *Dir) Started() (int64, error) {
	info, err := d.lock.Stat()
	if err != nil {
		return 0, fmt.Errorf("%s: %w", d.join(lockName), bare(err))
	}
	return info.ModTime().UnixNano(), nil
}

// tickPatience is how long NextTick waits: longer than a tick of any kernel, and
// shorter than what a person notices.
const tickPatience = 50 * time.Millisecond

// NextTick waits until the clock is past the tick in which the last change was
// made, and returns the time: every change that is made later shows by it. On a
// file system that counts whole seconds it gives up.
func (d *Dir) NextTick() (int64, error) {
	lock := &file{d.lock, &d.disk, lockName}
	info, err := lock.f.Stat()
	if err == nil {
		err = lock.tick(max(0, info.Size()-1), []byte("\n"))
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w", d.join(lockName), bare(err))
	}
	return d.Started()
}

// Part returns a part of a plain file.
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
		return nil, fmt.Errorf("%s: %w", d.join(name), bare(err))
	}
	return data, nil
}

// Text returns the content of a plain file as a string, without a second copy
// of it; "" when it cannot be had.
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

// Replace puts a file in the place of another, outside of any batch and without
// making it durable: it is for what may be lost. A crash leaves the file that was
// there, and in db/stage what the next writer sweeps.
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
		_ = d.disk.remove(from) // and if that fails, the next writer sweeps it
		return bare(err)
	}
	return nil
}

// appender writes one part behind the other.
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

// Extend writes behind a plain file of the given size, without making it durable.
// A crash leaves a part of it there.
func (d *Dir) Extend(name string, at int64, data []byte) error {
	there, err := d.disk.root.Lstat(name)
	if err == nil {
		err = plain(there)
	}
	if err == nil && there.Size() != at {
		err = fmt.Errorf("it has %d bytes and not %d", there.Size(), at)
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
		return errors.New("somebody has replaced it")
	}
	return f.write(data, at)
}

// StatOfProgram is that of the file from which this program was started.
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
