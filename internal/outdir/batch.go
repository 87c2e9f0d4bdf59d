package outdir

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"syscall"
)

// Batch is a set of changes that happens as a whole: after a crash the next
// writer finds none of them, or finishes all of them.
//
// The order is: stage every new content below db/stage, make it durable, write the
// journal, make that durable (the point of no return), then release. Changes in
// db/ are released first and made durable, then all others in the order of the
// calls. A release can be repeated without harm, and recovery is the same code.
type Batch struct {
	d     *Dir
	stage string // the batch's own directory below db/stage
	ops   []op
	files []stagedFile
}

// stagedFile is a file that is written once it is known how many there are.
type stagedFile struct {
	name string
	data []byte
	mode fs.FileMode
	to   string // for messages: what it will be called in the end; of the journal, the first file that is changed
}

// op is one line of the journal.
type op struct {
	Do   string      `json:"do"`             // append, put, remove, move, chmod
	Name string      `json:"name"`           // of the changed file, relative to the output directory
	From string      `json:"from,omitempty"` // append, put: the staged file; move: the old name
	At   int64       `json:"at,omitempty"`   // append: the size before
	Mode fs.FileMode `json:"mode,omitempty"`
	Sum  string      `json:"sum,omitempty"` // put of a shared file: SHA-256 of the staged one
}

const journalName = "journal"

// Begin starts an empty batch. Its directory has a random name, which cannot collide
// with the remains of a killed run.
func (d *Dir) Begin() *Batch { return &Batch{d: d, stage: stageDir + "/" + rand.Text()} }

// Put replaces or creates a file. The data must stay as it is until the batch is
// committed.
func (b *Batch) Put(name string, data []byte, mode fs.FileMode) {
	o := op{Do: "put", Name: name, From: b.stageFile(name, data, mode), Mode: mode}
	if b.d.shared[name] != nil {
		o.Sum = sumOf(data)
	}
	b.ops = append(b.ops, o)
}

// Append adds to the end of a file of the given size in bytes, which is created
// when the size is 0. A file that has grown meanwhile by anything but a part of
// the same data is an error, and is left alone. The data must stay as it is until the
// batch is committed.
func (b *Batch) Append(name string, size int64, data []byte, mode fs.FileMode) {
	b.ops = append(b.ops, op{Do: "append", Name: name, From: b.stageFile(name, data, mode), At: size, Mode: mode})
}

// Remove deletes a file, if it is there.
func (b *Batch) Remove(name string) { b.ops = append(b.ops, op{Do: "remove", Name: name}) }

// Move renames a file, if it is there.
func (b *Batch) Move(from, to string, mode fs.FileMode) {
	b.ops = append(b.ops, op{Do: "move", Name: to, From: from, Mode: mode})
}

// Chmod sets the permission bits of a file or directory, and gives it to the owner of the
// output directory where root may.
func (b *Batch) Chmod(name string, mode fs.FileMode) {
	b.ops = append(b.ops, op{Do: "chmod", Name: name, Mode: mode})
}

func (b *Batch) stageFile(name string, data []byte, mode fs.FileMode) string {
	from := b.stage + "/" + strconv.Itoa(len(b.files))
	b.files = append(b.files, stagedFile{from, data, mode, name})
	return from
}

// Commit makes the batch happen. The error is an [ErrForeign] where another program has
// changed a shared file meanwhile. After an error before the point of no return
// nothing has changed; after a later error the next writer finishes the batch.
// The writer itself must not go on after an error: the directory may differ from
// its view of it.
func (b *Batch) Commit() error {
	if len(b.ops) == 0 {
		return nil
	}
	if err := b.d.clear(b.ops); err != nil {
		return err
	}
	if err := b.writeJournal(); err != nil {
		b.discard()
		return err
	}
	return b.d.release(b.stage, b.ops)
}

// clear finds obstacles to a batch while it can still be given up. After the point
// of no return they would stop this run and every later one.
func (d *Dir) clear(ops []op) error {
	for _, o := range ops {
		for dir := path.Dir(o.Name); dir != "."; dir = path.Dir(dir) {
			if _, _, err := d.DirMode(dir); err != nil {
				return err
			}
		}
		if o.Do == "chmod" {
			if err := d.Fixed(o.Name); err != nil {
				return err
			}
			continue
		}
		names := []string{o.Name}
		if o.Do == "move" {
			names = append(names, o.From)
		}
		for _, name := range names {
			if err := cmp.Or(d.CheckPlain(name), d.Held(name)); err != nil {
				return err
			}
		}
		if !d.sameDevice(path.Dir(o.Name)) {
			return fmt.Errorf("%s: %w", d.join(o.Name), bare(syscall.EXDEV))
		}
		if _, exists := d.FileMode(o.Name); exists && o.Do == "move" {
			return fmt.Errorf("%s exists already and is not overwritten: move it away", d.join(o.Name))
		}
	}
	return nil
}

// sameDevice reports whether a directory, if it is there, is on the file system
// that batches are staged on.
func (d *Dir) sameDevice(dir string) bool {
	there, err := d.disk.root.Lstat(dir)
	if err != nil {
		return true
	}
	stage, err := d.disk.root.Lstat(DB)
	if err != nil {
		return true
	}
	return deviceOf(there) == deviceOf(stage)
}

// discard drops a batch that was not committed. If that fails, the next writer
// sweeps a batch without a journal, and finishes one with a journal.
func (b *Batch) discard() { _ = b.d.drop(b.stage) }

func (b *Batch) writeJournal() error {
	text, err := json.Marshal(b.ops)
	if err != nil {
		return err
	}
	// A crash from here to the journal's rename leaves a directory without a journal,
	// which the next writer sweeps: nothing has happened.
	if err := b.d.mkdir(b.stage, ModePrivate); err != nil {
		return err
	}
	above, err := b.makeDirs()
	if err != nil {
		return err
	}
	if err := b.d.tryNames(b.stage, b.ops); err != nil {
		return err
	}
	tmp := b.stage + "/" + journalName + ".new"
	// A journal must never exist without every file that it names.
	if err := b.d.writeAll(b.stage, append(b.files, stagedFile{tmp, append(text, '\n'), ModeSecret, b.ops[0].Name})); err != nil {
		return err
	}
	if name := b.d.Foreign(); name != "" {
		return &ErrForeign{name}
	}
	// The point of no return. After a crash before it the batch is swept. After a
	// crash behind it the next writer releases the batch, and a reader sees it as
	// released.
	if err := b.d.disk.rename(tmp, b.stage+"/"+journalName); err != nil {
		return b.d.fault(b.stage, err)
	}
	// Until these return, a power cut may take the journal away again, and with it
	// the whole batch. Nothing may be released before.
	return b.d.sync(append(above, b.stage, stageDir, DB, ".")...)
}

// makeDirs makes the directories of new files, and returns their parents. They
// have to be durable first: a power cut may keep a file's move and lose the
// directory that it moved to, and the file may be the only copy of a key. A crash
// leaves them empty.
func (b *Batch) makeDirs() (above []string, err error) {
	seen := map[string]bool{".": true}
	for _, o := range b.ops {
		for dir := path.Dir(o.Name); !seen[dir] && o.Do != "remove" && o.Do != "chmod"; dir = path.Dir(dir) {
			if err := b.d.mkdir(dir, dirMode(dir)); err != nil {
				return nil, err
			}
			seen[dir], above = true, append(above, path.Dir(dir))
		}
	}
	return above, nil
}

// writeAll creates files in a directory, where they must not exist, and makes files and
// directory durable. A crash leaves some of them, empty, in part or whole.
func (d *Dir) writeAll(dir string, files []stagedFile) error {
	many := len(files) >= barrierFrom && hasBarrier
	for _, f := range files {
		if err := d.write(f, !many); err != nil {
			return d.fault(f.to, err)
		}
	}
	if many {
		return d.barrier()
	}
	return d.sync(dir)
}

// write creates a file. Its mode is never wider than the one it is to have, and is that
// one in the end, whatever the umask. It is synced on the descriptor that wrote it.
func (d *Dir) write(file stagedFile, sync bool) error {
	f, err := d.disk.create(file.name, os.O_WRONLY|os.O_EXCL, file.mode&ModeSecret)
	if err != nil {
		return err
	}
	if err = f.write(file.data, 0); err == nil {
		err = f.chmod(file.mode)
	}
	if err == nil && sync {
		err = f.sync()
	}
	return cmp.Or(err, f.f.Close())
}

// dirMode is the mode of a directory that mtlsplan makes.
func dirMode(dir string) fs.FileMode {
	switch {
	case dir == "secrets", dir == DB, path.Dir(dir) == DB, path.Dir(dir) == stageDir:
		return ModePrivate
	}
	return ModeDir
}

// mkdir makes a directory, and those above it, unless it is there. A crash
// between its two changes leaves a directory with a narrower mode, which the plan
// of the next run repairs.
func (d *Dir) mkdir(dir string, mode fs.FileMode) error {
	if _, exists, err := d.DirMode(dir); err != nil || exists {
		return err
	}
	if parent := path.Dir(dir); parent != "." {
		if err := d.mkdir(parent, dirMode(parent)); err != nil {
			return err
		}
	}
	err := d.disk.mkdir(dir, mode)
	if errors.Is(err, fs.ErrExist) { // another run was faster
		_, _, err := d.DirMode(dir)
		return err
	}
	if err == nil {
		err = d.chmod(dir, mode)
	}
	if err != nil {
		return d.fault(dir, err)
	}
	return nil
}

// chmod works on a descriptor: Root.Chmod would follow a link that was swapped in.
func (d *Dir) chmod(name string, mode fs.FileMode) error {
	there, err := d.disk.root.Lstat(name)
	if err != nil {
		return err
	}
	if !there.IsDir() {
		if err := plain(there); err != nil {
			return err
		}
	}
	owner := d.stranger(there) != ""
	if there.Mode().Perm() == mode && !owner {
		return nil
	}
	f, err := d.disk.open(name)
	if err != nil {
		return err
	}
	defer f.f.Close()
	if info, err := f.f.Stat(); err != nil || !os.SameFile(there, info) {
		return errors.Join(err, errors.New("another program replaced it while its mode was changed: run again"))
	}
	if owner {
		if uid, known := d.owner(); known && os.Geteuid() == 0 {
			if err := f.chown(uid); err != nil {
				return err
			}
		}
	}
	return f.chmod(mode)
}

func keys(m map[string]bool) []string { return slices.Collect(maps.Keys(m)) }
