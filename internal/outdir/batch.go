package outdir

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"syscall"
)

// Batch is a set of changes that happens as a whole: after a crash the next
// writer finds either none of them or finishes all of them.
//
// The order is: stage every new content below db/stage, make it durable,
// write the journal, make that durable (the point of no return), then release:
// first what concerns db/, made durable, then everything else in the order of
// the calls. Release repeats without harm, and recovery is the same code.
type Batch struct {
	d     *Dir
	stage string // the batch's own directory below db/stage, "" until something is staged
	ops   []op
	n     int
	err   error
}

// op is one line of the journal.
type op struct {
	Do   string      `json:"do"`             // append, put, remove, move, chmod
	Name string      `json:"name"`           // what is changed, relative to the output directory
	From string      `json:"from,omitempty"` // append, put: the staged file; move: the old name
	At   int64       `json:"at,omitempty"`   // append: the size before
	Mode fs.FileMode `json:"mode,omitempty"`
}

const journalName = "journal"

// Begin starts an empty batch.
func (d *Dir) Begin() *Batch { return &Batch{d: d} }

// Put replaces or creates a file.
func (b *Batch) Put(name string, data []byte, mode fs.FileMode) {
	if from := b.stageFile(data, mode); b.err == nil {
		b.ops = append(b.ops, op{Do: "put", Name: name, From: from, Mode: mode})
	}
}

// Append adds to the end of a file of the given size, which is created when
// the size is 0. Whatever lies beyond that size, a torn tail, is cut off.
func (b *Batch) Append(name string, size int64, data []byte, mode fs.FileMode) {
	if from := b.stageFile(data, mode); b.err == nil {
		b.ops = append(b.ops, op{Do: "append", Name: name, From: from, At: size, Mode: mode})
	}
}

// Remove deletes a file, if it is there.
func (b *Batch) Remove(name string) { b.ops = append(b.ops, op{Do: "remove", Name: name}) }

// Move renames a file, if it is there.
func (b *Batch) Move(from, to string, mode fs.FileMode) {
	b.ops = append(b.ops, op{Do: "move", Name: to, From: from, Mode: mode})
}

// Chmod sets the permission bits of a file or directory.
func (b *Batch) Chmod(name string, mode fs.FileMode) {
	b.ops = append(b.ops, op{Do: "chmod", Name: name, Mode: mode})
}

func (b *Batch) stageFile(data []byte, mode fs.FileMode) string {
	if b.err != nil {
		return ""
	}
	if b.stage == "" {
		if b.err = b.d.mkdir(stageDir, ModePrivate); b.err != nil {
			return ""
		}
		// A random name: what a killed run left can never be in the way.
		stage := stageDir + "/" + rand.Text()
		if b.err = b.d.mkdir(stage, ModePrivate); b.err != nil {
			return ""
		}
		b.stage = stage
	}
	from := b.stage + "/" + strconv.Itoa(b.n)
	b.n++
	b.err = b.d.write(from, data, mode)
	return from
}

// Commit makes the batch happen. After an error before the point of no return
// nothing has changed; after one behind it the next writer finishes the batch.
func (b *Batch) Commit() error {
	if b.err == nil && len(b.ops) == 0 {
		return nil
	}
	if b.err == nil {
		b.err = b.d.clear(b.ops)
	}
	if b.err == nil && b.stage == "" {
		b.stageFile(nil, ModeSecret) // the journal needs its directory
	}
	if b.err == nil {
		b.err = b.writeJournal()
	}
	if b.err != nil {
		b.discard()
		return b.err
	}
	return b.d.release(b.stage, b.ops)
}

// clear finds what would be in the way of a batch while it can still be given
// up: behind the point of no return it would stop this run and every later one.
func (d *Dir) clear(ops []op) error {
	for _, o := range ops {
		for dir := path.Dir(o.Name); dir != "."; dir = path.Dir(dir) {
			if _, _, err := d.DirMode(dir); err != nil {
				return err
			}
		}
		if o.Do == "chmod" {
			continue
		}
		if err := d.refuseOdd(o.Name); err != nil {
			return fmt.Errorf("%s: %w", d.join(o.Name), bare(err))
		}
		if _, exists := d.FileMode(o.Name); exists && o.Do == "move" {
			return fmt.Errorf("%s is there already, and is not written over: move it away", d.join(o.Name))
		}
	}
	return nil
}

// discard forgets a batch that was not committed.
func (b *Batch) discard() {
	if b.stage != "" {
		_ = b.d.root.RemoveAll(b.stage) // the next writer sweeps what is left
	}
}

func (b *Batch) writeJournal() error {
	text, err := json.Marshal(b.ops)
	if err != nil {
		return err
	}
	tmp := b.stage + "/" + journalName + ".new"
	if err := b.d.write(tmp, append(text, '\n'), ModeSecret); err != nil {
		return err
	}
	// A journal must never be there without all that it names.
	if err := b.d.syncTree(b.stage); err != nil {
		return err
	}
	if err := b.d.root.Rename(tmp, b.stage+"/"+journalName); err != nil {
		return fmt.Errorf("%s: %w", b.d.join(b.stage), bare(err))
	}
	return b.d.syncDirs(b.stage, stageDir)
}

// release carries out a journal. A crash at any line of it leaves the journal
// in place, so that the next writer starts over.
func (d *Dir) release(stage string, ops []op) error {
	dirs := map[string]bool{}
	for _, db := range []bool{true, false} {
		changed := map[string]bool{}
		for i, o := range ops {
			if isDB(o) != db || d.superseded(o, ops[i+1:]) {
				continue
			}
			if err := d.do(o, changed); err != nil {
				return fmt.Errorf("%s: %w", d.join(o.Name), bare(err))
			}
		}
		if db && len(changed) > 0 {
			// Durable before anything else becomes visible: a certificate
			// at its final path is in the database (I1).
			if err := d.syncDirs(keys(changed)...); err != nil {
				return err
			}
			continue
		}
		for dir := range changed {
			dirs[dir] = true
		}
	}
	if err := d.syncDirs(keys(dirs)...); err != nil {
		return err
	}
	// The journal goes first, and durably: a rest without it is swept, not
	// replayed, and a journal that came back would undo later batches.
	if err := d.root.Remove(stage + "/" + journalName); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", d.join(stage), bare(err))
	}
	if err := d.syncDirs(stage); err != nil {
		return err
	}
	if err := d.root.RemoveAll(stage); err != nil {
		return fmt.Errorf("%s: %w", d.join(stage), bare(err))
	}
	return nil
}

func isDB(o op) bool { return path.Dir(o.Name) == DB }

// superseded reports whether a later operation has already put a new file where
// o would take one away: on a second pass that file must stay.
func (d *Dir) superseded(o op, later []op) bool {
	name := o.Name
	switch o.Do {
	case "remove":
	case "move":
		name = o.From
	default:
		return false
	}
	return slices.ContainsFunc(later, func(p op) bool {
		if p.Do != "put" || p.Name != name {
			return false
		}
		_, staged := d.FileMode(p.From)
		return !staged
	})
}

// do carries out one operation. Doing the operations of a journal again, all of
// them or any first part, ends where doing them once does.
func (d *Dir) do(o op, changed map[string]bool) error {
	dir := path.Dir(o.Name)
	switch o.Do {
	case "put":
		if err := d.mkdirFor(dir, changed); err != nil {
			return err
		}
		if err := d.refuseOdd(o.Name); err != nil {
			return err
		}
		changed[dir] = true
		return ignoreMissing(d.root.Rename(o.From, o.Name))
	case "append":
		changed[dir] = true
		return d.append(o)
	case "remove":
		changed[dir] = true
		return ignoreMissing(d.root.Remove(o.Name))
	case "move":
		if err := d.mkdirFor(dir, changed); err != nil {
			return err
		}
		changed[dir], changed[path.Dir(o.From)] = true, true
		if err := d.root.Rename(o.From, o.Name); err != nil {
			return ignoreMissing(err)
		}
		return d.chmod(o.Name, o.Mode)
	case "chmod":
		return ignoreMissing(d.chmod(o.Name, o.Mode))
	}
	return fmt.Errorf("a journal of another version of mtlsplan asks for %q: finish with that version", o.Do)
}

// refuseOdd keeps a rename from replacing what is no file of ours.
func (d *Dir) refuseOdd(name string) error {
	info, err := d.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return plain(info)
}

func (d *Dir) append(o op) error {
	src, err := d.root.Open(o.From)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	data, err := io.ReadAll(src)
	src.Close()
	if err != nil {
		return err
	}
	if err := d.refuseOdd(o.Name); err != nil {
		return err
	}
	f, err := d.root.OpenFile(o.Name, os.O_WRONLY|os.O_CREATE|syscall.O_NONBLOCK, o.Mode)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() < o.At {
		return fmt.Errorf("is %d bytes long where %d were before: it was changed behind an interrupted run", info.Size(), o.At)
	}
	if err := f.Chmod(o.Mode); err != nil {
		return err
	}
	if err := f.Truncate(o.At); err != nil {
		return err
	}
	if _, err := f.WriteAt(data, o.At); err != nil {
		return err
	}
	return f.Sync()
}

// write creates a file that must not exist, with its mode from the first
// moment on, whatever the umask.
func (d *Dir) write(name string, data []byte, mode fs.FileMode) error {
	f, err := d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode&ModeSecret)
	if err != nil {
		return fmt.Errorf("%s: %w", d.join(name), bare(err))
	}
	if _, err = f.Write(data); err == nil {
		err = f.Chmod(mode)
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("%s: %w", d.join(name), bare(err))
	}
	return nil
}

func (d *Dir) mkdirFor(dir string, changed map[string]bool) error {
	if dir == "." {
		return nil
	}
	if _, err := d.root.Lstat(dir); err == nil {
		return nil
	}
	changed[path.Dir(dir)] = true
	return d.mkdir(dir, dirMode(dir))
}

// dirMode is the mode of a directory that mtlsplan makes.
func dirMode(dir string) fs.FileMode {
	switch {
	case dir == "secrets", dir == DB, path.Dir(dir) == DB, path.Dir(dir) == stageDir:
		return ModePrivate
	}
	return ModeDir
}

func (d *Dir) mkdir(dir string, mode fs.FileMode) error {
	if parent := path.Dir(dir); parent != "." {
		if err := d.mkdir(parent, dirMode(parent)); err != nil {
			return err
		}
	}
	err := d.root.Mkdir(dir, mode)
	if errors.Is(err, fs.ErrExist) {
		_, _, err := d.DirMode(dir)
		return err
	}
	if err != nil {
		return fmt.Errorf("%s: %w", d.join(dir), bare(err))
	}
	return d.chmod(dir, mode)
}

// chmod works on a descriptor: Root.Chmod would follow a link swapped in.
func (d *Dir) chmod(name string, mode fs.FileMode) error {
	there, err := d.root.Lstat(name)
	if err != nil {
		return err
	}
	if !there.IsDir() {
		if err := plain(there); err != nil {
			return err
		}
	}
	f, err := d.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !os.SameFile(there, info) {
		return errors.Join(err, errors.New("somebody has replaced it while its mode was changed: run again"))
	}
	return f.Chmod(mode)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func keys(m map[string]bool) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	return out
}
