package outdir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"syscall"
)

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

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
