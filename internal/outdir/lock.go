package outdir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const lockName = DB + "/lock"

// ErrLocked says that another writer holds the directory.
type ErrLocked struct{ Holder string }

func (e *ErrLocked) Error() string { return "another run holds the lock: " + e.Holder }

// Lock opens a directory for writing, makes it if need be, waits for another
// writer at most as long as timeout, and finishes what an interrupted run had
// committed. The holder is one line for the message that others get.
//
// The lock is the kernel's, on a file that is never deleted: it cannot be
// stale, and a pid that was reused cannot keep it.
func Lock(ctx context.Context, dir, holder string, timeout time.Duration) (*Dir, error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return nil, fmt.Errorf("output directory %s: %w", dir, err)
	}
	if err := os.Mkdir(dir, ModeDir); err == nil {
		if err := os.Chmod(dir, ModeDir); err != nil {
			return nil, fmt.Errorf("output directory %s: %w", dir, bare(err))
		}
	} else if !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("output directory %s: %w", dir, bare(err))
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("output directory %s: %w", dir, bare(err))
	}
	d := &Dir{path: dir, root: root}
	if err := d.acquire(ctx, holder, timeout); err != nil {
		d.Close()
		return nil, err
	}
	if err := d.recover(); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

func (d *Dir) acquire(ctx context.Context, holder string, timeout time.Duration) error {
	if err := d.checkOwner(); err != nil {
		return err
	}
	if err := d.mkdir(DB, ModePrivate); err != nil {
		return err
	}
	if err := d.refuseOdd(lockName); err != nil {
		return fmt.Errorf("%s: %w", d.join(lockName), bare(err))
	}
	f, err := d.root.OpenFile(lockName, os.O_RDWR|os.O_CREATE|syscall.O_NONBLOCK, ModeSecret)
	if err != nil {
		return fmt.Errorf("%s: %w", d.join(lockName), bare(err))
	}
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			f.Close()
			return fmt.Errorf("%s: this file system has no locks (%w): put the output directory on one that has", d.join(lockName), err)
		}
		select {
		case <-deadline.C:
			defer f.Close()
			return &ErrLocked{Holder: readHolder(f)}
		case <-ctx.Done():
			f.Close()
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	d.lock = f
	// What the file says is for people; the lock itself is the kernel's. So
	// a crash between these two calls costs a name in a message.
	if err := f.Truncate(0); err != nil {
		return fmt.Errorf("%s: %w", d.join(lockName), bare(err))
	}
	if _, err := f.WriteAt([]byte(holder+"\n"), 0); err != nil {
		return fmt.Errorf("%s: %w", d.join(lockName), bare(err))
	}
	return nil
}

func readHolder(f *os.File) string {
	text, _ := io.ReadAll(io.NewSectionReader(f, 0, 512))
	line, _, _ := strings.Cut(string(text), "\n")
	line = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, line)
	if line == "" {
		return "unknown"
	}
	return line
}
