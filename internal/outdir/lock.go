package outdir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"
)

const lockName = DB + "/lock"

// UnknownHolder is the holder of a lock that no run of ours has signed.
const UnknownHolder = "unknown"

// ErrLocked says that another writer holds the directory.
type ErrLocked struct{ Holder string }

func (e *ErrLocked) Error() string { return "another run holds the lock: " + e.Holder }

// Lock opens a directory for writing. It makes the directory if it is missing,
// waits for another writer at most as long as timeout, and finishes the committed
// batch of an interrupted run. shared are the files that others write too, without
// the lock. The holder is one line for the message to others.
// The error is an [ErrLocked] when another writer keeps the lock.
//
// The lock is the kernel's, on a file that is never deleted: it cannot be stale,
// and a reused pid cannot keep it.
func Lock(ctx context.Context, dir, holder string, timeout time.Duration, shared map[string]Merge, options ...Option) (*Dir, error) {
	if err := fitSystem(); err != nil {
		return nil, fmt.Errorf("output directory %s: %w", dir, err)
	}
	d := &Dir{path: dir, shared: shared, seen: map[string]fs.FileInfo{}, disk: disk{trace: traceOf(ctx)}, writes: true}
	if err := d.disk.makeRoot(dir); err != nil {
		defer d.Close()
		if d.disk.root != nil {
			return nil, d.modeless(err)
		}
		if to, linkErr := os.Readlink(dir); linkErr == nil && errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("output directory %s: this is a symbolic link to %s, where nothing is: make that directory, or name another with --output", dir, to)
		}
		return nil, fmt.Errorf("output directory %s: %w", dir, bare(err))
	}
	held := false
	defer func() {
		if !held {
			d.Close()
		}
	}()
	if err := d.acquire(ctx, holder, timeout, options); err != nil {
		return nil, err
	}
	if err := d.recover(); err != nil {
		return nil, err
	}
	d.Reread() // nothing is known of what recovery has read and merged
	held = true
	return d, nil
}

// acquire takes the lock. A crash before that leaves at most an empty db/ and an
// empty db/lock; a later crash frees the lock.
func (d *Dir) acquire(ctx context.Context, holder string, timeout time.Duration, options []Option) error {
	if err := d.fit(options); err != nil {
		return err
	}
	if err := d.checkOwner(); err != nil {
		return err
	}
	if err := d.mkdir(DB, ModePrivate); err != nil {
		return err
	}
	if err := d.refuseOdd(lockName); err != nil {
		return fmt.Errorf("%s: %w", d.join(lockName), d.denied(lockName, err))
	}
	lock, err := d.disk.create(lockName, os.O_RDWR, ModeSecret)
	if err != nil {
		return fmt.Errorf("%s: %w", d.join(lockName), d.denied(lockName, err))
	}
	f := lock.f
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	for {
		err := lockFile(f)
		if err == nil {
			break
		}
		if !errors.Is(err, errHeld) {
			f.Close()
			return fmt.Errorf("%s: this file system has no locks (%w): put the output directory on another file system", d.join(lockName), err)
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
	if here, err := d.disk.root.Lstat(lockName); err != nil || !isFile(f, here) {
		return fmt.Errorf("%s: another program replaced this file, so its lock excludes no other run: run again", d.join(lockName))
	}
	if err := d.checkKeepsModes(f); err != nil {
		return err
	}
	return d.sign(holder, remembered(f))
}

// memoryMost is how much of the lock file is read, in bytes: a line for a note of
// each of 100,000 users has 2 MB.
const memoryMost = 16 << 20

// Remembered is the text that the last writer has left behind its own name in the
// lock file; none where it cannot be had.
func (d *Dir) Remembered() []byte {
	if d.disk.root == nil {
		return nil
	}
	f, _, err := d.openRegular(lockName)
	if err != nil {
		return nil
	}
	defer f.Close()
	return remembered(f)
}

func remembered(f *os.File) []byte {
	text, _ := io.ReadAll(io.NewSectionReader(f, 0, memoryMost))
	_, rest, _ := bytes.Cut(text, []byte("\n"))
	return rest
}

// Remember leaves a text for later runs in the lock file, behind the writer's name.
// It may be lost at any time: the lock itself is the kernel's, and nothing depends
// on the text. So a crash between these two calls loses no more than a name in a
// message, or leaves the end of an older text.
//
// Whoever finds the lock taken from now on is not told of this run.
func (d *Dir) Remember(text []byte) error { return d.sign("", text) }

func (d *Dir) sign(holder string, text []byte) error {
	lock := &file{d.lock, &d.disk, lockName}
	whole := append([]byte(holder+"\n"), text...)
	err := lock.write(whole, 0)
	if err == nil {
		err = lock.truncate(int64(len(whole)))
	}
	if err != nil {
		return d.fault(lockName, err)
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
		return UnknownHolder
	}
	return line
}
