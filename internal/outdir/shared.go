package outdir

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"
)

// Some files other programs write too, without our lock: `openssl ca` those of the CA
// database. It renames the old file away and a new one in. Whoever reads such a file
// and writes it later would take back what was written between; so a batch is not
// begun where one has changed since it was read, and what comes in at the last moment
// is merged.

// Merge brings together what two programs have made of a file. No fact of either is
// lost. A nil Merge is that of a file which nobody else has any business to write.
type Merge = func(theirs, ours []byte) ([]byte, error)

// ErrForeign says that another program has changed a file since it was read: nothing
// of the batch was done.
type ErrForeign struct{ Name string }

func (e *ErrForeign) Error() string { return e.Name + " was changed by another program" }

// see remembers a shared file as it was read or written; nil stands for a missing one.
func (d *Dir) see(name string, info fs.FileInfo) {
	if _, shared := d.shared[name]; !shared {
		return
	}
	d.seeing.Lock()
	defer d.seeing.Unlock()
	d.seen[name] = info
}

// look is see, of a file that is being read: it may have changed since it was seen.
func (d *Dir) look(name string, info fs.FileInfo) {
	if _, shared := d.shared[name]; !shared {
		return
	}
	d.seeing.Lock()
	if was, seen := d.seen[name]; seen && !sameContent(was, info) {
		d.foreign = name
	}
	d.seeing.Unlock()
	d.see(name, info)
}

// Foreign is a shared file that another program has changed since it was read or
// written here, "" for none.
func (d *Dir) Foreign() string {
	d.seeing.Lock()
	defer d.seeing.Unlock()
	if d.foreign != "" {
		return d.foreign
	}
	for name, was := range d.seen {
		now, err := d.disk.root.Lstat(name)
		if err != nil {
			now = nil
		}
		if !sameContent(was, now) {
			return name
		}
	}
	return ""
}

// Reread forgets what was seen of shared files: they are about to be read again.
func (d *Dir) Reread() {
	d.seeing.Lock()
	defer d.seeing.Unlock()
	d.foreign, d.seen = "", map[string]fs.FileInfo{}
}

// sameContent reports whether a file is one that was seen before, unchanged. A rename
// changes neither inode nor modification time.
func sameContent(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// Between the two renames of another program its file is missing.
const (
	renamePatience = 500 * time.Millisecond
	renameLooks    = 25
)

// AwaitFile waits for a shared file that another program is about to rename into
// place, at most half a second, and reports whether it is there.
func (d *Dir) AwaitFile(name string) bool {
	if _, shared := d.shared[name]; !shared || d.disk.root == nil {
		return false
	}
	for range renameLooks {
		if _, err := d.disk.root.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
			return true
		}
		time.Sleep(renamePatience / renameLooks)
	}
	return false
}

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// swap puts a staged file in the place of a shared one, by exchange: what was there
// comes out and is compared, and what another program has put there at the last moment
// is merged. A crash behind an exchange leaves ours in place and what came out staged,
// which the next pass tells by the journal's checksum.
func (d *Dir) swap(o op, merge Merge, changed map[string]bool) error {
	changed[path.Dir(o.Name)] = true
	d.seeing.Lock()
	expected, known := d.seen[o.Name]
	d.seeing.Unlock()
	if known {
		return d.exchange(o, merge, expected)
	}
	return d.swapAgain(o, merge)
}

// swapAgain is swap after a crash. Everything that is staged counts: ours, what came
// out, and what was merged of them.
func (d *Dir) swapAgain(o op, merge Merge) error {
	d.AwaitFile(o.Name)
	there, err := d.readPlain(o.Name, o.Name)
	if err != nil {
		return err
	}
	if there.Missing {
		err := ignoreMissing(d.disk.rename(o.From, o.Name))
		return err
	}
	merged, last := there.Data, o
	for from := o.From; ; from += mergedEnding {
		staged, err := d.readPlain(from, from)
		if err != nil {
			return err
		}
		if staged.Missing {
			break
		}
		last.From = from
		if from == o.From && sumOf(staged.Data) == o.Sum {
			merged, err = merge(merged, staged.Data)
		} else {
			merged, err = merge(staged.Data, merged)
		}
		if err != nil {
			return d.setAside(o, from)
		}
	}
	if bytes.Equal(merged, there.Data) {
		return nil
	}
	return d.putMerged(last, merge, merged)
}

// exchange exchanges the staged file of o with what is in place, which should be as
// expected.
func (d *Dir) exchange(o op, merge Merge, expected fs.FileInfo) error {
	ours, err := d.disk.root.Lstat(o.From)
	if err != nil {
		return ignoreMissing(err) // an earlier pass has put it where nothing was
	}
	if expected != nil {
		d.AwaitFile(o.Name)
	}
	err = d.disk.exchange(o.From, o.Name)
	if errors.Is(err, errNoExchange) || errors.Is(err, fs.ErrNotExist) {
		// Nothing is there, or the file system cannot exchange: what another program
		// does between the last comparison and this line, the next run finds missing.
		err = d.disk.rename(o.From, o.Name)
		d.see(o.Name, ours)
		return err
	}
	if err != nil {
		return err
	}
	d.see(o.Name, ours)
	if out, err := d.disk.root.Lstat(o.From); err != nil || sameContent(expected, out) {
		return err
	}
	// Another program was faster: what came out is theirs.
	theirs, err := d.readPlain(o.From, o.From)
	if err != nil {
		return err
	}
	d.AwaitFile(o.Name)
	there, err := d.readPlain(o.Name, o.Name)
	if err != nil {
		return err
	}
	merged, err := merge(theirs.Data, there.Data)
	if err != nil {
		return d.setAside(o, o.From)
	}
	if bytes.Equal(merged, there.Data) {
		return nil
	}
	return d.putMerged(o, merge, merged)
}

// mergeIn merges data of ours into what is in place.
func (d *Dir) mergeIn(o op, merge Merge, ours []byte) error {
	there, err := d.readPlain(o.Name, o.Name)
	if err != nil {
		return err
	}
	merged, err := merge(there.Data, ours)
	if err != nil || bytes.Equal(merged, there.Data) {
		return err
	}
	return d.putMerged(o, merge, merged)
}

// UnreadableEnding ends the name of what another program has written in the place of a
// shared file and nobody can read.
const UnreadableEnding = ".unreadable"

// setAside keeps what another program has written and cannot be merged: no run may wait
// for somebody to mend it.
func (d *Dir) setAside(o op, from string) error {
	d.seeing.Lock()
	d.foreign = o.Name
	d.seeing.Unlock()
	return d.disk.rename(from, o.Name+UnreadableEnding)
}

// Each merge that another one follows has a longer name.
const (
	mergedEnding = ".m"
	mergedMost   = 10
)

// putMerged puts in place what was merged with the file that was seen there. What is
// known of it in memory is then of the past.
func (d *Dir) putMerged(o op, merge Merge, merged []byte) error {
	d.seeing.Lock()
	d.foreign = o.Name
	expected := d.seen[o.Name]
	d.seeing.Unlock()
	o.From += mergedEnding
	if strings.Count(o.From, mergedEnding) > mergedMost {
		return errors.New("another program keeps changing this file: run again when it has ended")
	}
	f, err := d.disk.create(o.From, os.O_WRONLY|os.O_EXCL, o.Mode&ModeSecret)
	if err != nil {
		return err
	}
	err = f.write(merged, 0)
	if err == nil {
		err = f.chmod(o.Mode)
	}
	if err == nil {
		err = f.sync()
	}
	if closeErr := f.f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return d.exchange(o, merge, expected)
}
