package outdir

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
)

// release carries out a journal. A crash anywhere in it leaves the journal in
// place, so that the next writer starts over.
func (d *Dir) release(stage string, ops []op) error {
	for _, db := range []bool{true, false} {
		changed := map[string]bool{}
		for i, o := range ops {
			if isDB(o) != db {
				continue
			}
			// After a crash between two operations some are done. The files of an owner
			// are released in an order in which those present always belong together.
			if err := d.do(o, ops[i+1:], changed); err != nil {
				return d.fault(o.Name, err, o.From)
			}
		}
		// Changes in db/ are durable before anything else becomes visible: a
		// certificate at its final path is in the database (I1). After a crash between
		// the two passes it is recorded but not visible; the journal makes it visible.
		if err := d.sync(keys(changed)...); err != nil {
			return err
		}
	}
	// All is in place and durable. After a crash from here on the journal is carried
	// out again and changes nothing, or it is gone and the remains are swept.
	return d.drop(stage)
}

// drop removes a batch's directory. The journal goes first: remains without a
// journal are swept, not replayed. A journal that has lost some of its files would
// be carried out in part.
func (d *Dir) drop(stage string) error {
	// It moves to db/stage itself, so that a reader sees the journal or its end at
	// every instant: see moment.
	end := stage + endSuffix
	if err := ignoreMissing(d.disk.rename(stage+"/"+journalName, end)); err != nil {
		return d.fault(stage, err)
	}
	// Make that durable, for file systems that do not keep the order of removals in
	// a directory; also if the journal was missing, since the run that removed it may
	// have died before this line.
	if err := d.sync(stage); err != nil {
		return err
	}
	if err := d.sweep(stage); err != nil {
		return err
	}
	return d.sweep(end)
}

// endSuffix ends the name of the journal of a batch that is completely in place.
const endSuffix = ".end"

// sweep removes anything below db/stage, whatever it is. A crash leaves a part of it.
func (d *Dir) sweep(name string) error {
	info, err := d.disk.root.Lstat(name)
	if err == nil && info.IsDir() {
		names, err := d.List(name)
		if err != nil {
			return err
		}
		for _, n := range names {
			if err := d.sweep(name + "/" + n); err != nil {
				return err
			}
		}
	}
	if err == nil {
		err = d.disk.remove(name)
	}
	if err := ignoreMissing(err); err != nil {
		return d.fault(name, err)
	}
	return nil
}

func isDB(o op) bool { return path.Dir(o.Name) == DB }

// superseded reports whether a later operation has already put a new file where
// o would remove one: on a second pass that file must stay.
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

// do carries out one operation and notes the names to be made durable. Repeating
// the operations of a journal, all of them or any first part, gives the same result
// as doing them once. Work of an earlier pass is noted all the same, since that
// pass may have died before the work was durable.
func (d *Dir) do(o op, later []op, changed map[string]bool) error {
	dir := path.Dir(o.Name)
	if o.Do == "put" || o.Do == "move" || o.Do == "append" {
		// It was made before the journal, but an empty directory may have been removed
		// since: a rename would fail as if there were nothing to rename.
		if err := d.mkdir(dir, dirMode(dir)); err != nil {
			return err
		}
	}
	switch o.Do {
	case "put":
		if err := d.refuseOdd(o.Name); err != nil {
			return err
		}
		if merge := d.shared[o.Name]; merge != nil {
			return d.swap(o, merge, changed)
		}
		changed[dir] = true
		if err := ignoreMissing(d.disk.rename(o.From, o.Name)); err != nil {
			return err
		}
		if _, shared := d.shared[o.Name]; shared {
			info, err := d.disk.root.Lstat(o.Name)
			if err != nil {
				return err
			}
			d.see(o.Name, info)
		}
		return nil
	case "append":
		changed[dir] = true
		return d.append(o, changed)
	case "remove":
		changed[dir] = true
		if d.superseded(o, later) {
			return nil
		}
		delete(changed, o.Name) // its mode may have been set before
		return ignoreMissing(d.disk.remove(o.Name))
	case "move":
		changed[dir], changed[path.Dir(o.From)] = true, true
		// After a crash between the two changes the old file is private already. A
		// power cut may keep the second without the first, so the next pass repeats it.
		err := fs.ErrNotExist
		if !d.superseded(o, later) {
			if err = d.chmod(o.From, o.Mode); err == nil {
				err = d.disk.rename(o.From, o.Name)
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return d.setMode(o, changed)
		}
		delete(changed, o.From)
		changed[o.Name] = true
		return err
	default: // chmod: a journal with any other word was refused
		return d.setMode(o, changed)
	}
}

func (d *Dir) setMode(o op, changed map[string]bool) error {
	err := d.chmod(o.Name, o.Mode)
	if err == nil {
		changed[o.Name] = true
	}
	return ignoreMissing(err)
}

// CheckPlain says what lies at a path if that is neither nothing nor a plain file with
// one link, and so can be neither replaced nor moved.
func (d *Dir) CheckPlain(name string) error {
	if d.disk.root == nil {
		return nil
	}
	if err := d.refuseOdd(name); err != nil {
		return d.fault(name, err)
	}
	return nil
}

// refuseOdd keeps a rename from replacing anything but a plain file with one link.
func (d *Dir) refuseOdd(name string) error {
	info, err := d.disk.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return plain(info)
}

// append writes at the size that the file had before. A crash leaves a tail that
// is cut or missing; the staged file stays until the journal is gone, so the next
// pass has all of it. Data that an earlier pass has written is never removed:
// certificates that it records may be visible (I1).
func (d *Dir) append(o op, changed map[string]bool) error {
	staged, err := d.readPlain(o.From, o.From)
	if err == nil && staged.Missing {
		err = errors.New("the data that an interrupted run was to add to this file is lost: restore the database from a backup")
	}
	if err != nil {
		return err
	}
	if err := d.refuseOdd(o.Name); err != nil {
		return err
	}
	if o.At > 0 {
		d.AwaitFile(o.Name)
	}
	f, err := d.disk.create(o.Name, os.O_RDWR, o.Mode)
	if err != nil {
		return err
	}
	defer f.f.Close()
	info, err := f.f.Stat()
	if err != nil {
		return err
	}
	if info.Mode().Perm() != o.Mode {
		if err := f.chmod(o.Mode); err != nil {
			return err
		}
	}
	tail, err := io.ReadAll(io.NewSectionReader(f.f, o.At, max(0, info.Size()-o.At)))
	if err != nil || bytes.HasPrefix(tail, staged.Data) {
		changed[o.Name] = true
		return err
	}
	if merge := d.shared[o.Name]; merge != nil && (info.Size() < o.At || !tornFrom(tail, staged.Data)) {
		changed[path.Dir(o.Name)] = true
		return d.mergeIn(o, merge, staged.Data)
	}
	if info.Size() < o.At || !tornFrom(tail, staged.Data) {
		return errors.New("another program changed this file after a run was interrupted: restore the earlier file, from a backup or from OpenSSL's copy that ends in .old, and run apply again")
	}
	if err := f.write(staged.Data, o.At); err != nil {
		return err
	}
	if end := o.At + int64(len(staged.Data)); info.Size() > end {
		if err := f.truncate(end); err != nil {
			return err
		}
	}
	if info, err = f.f.Stat(); err != nil {
		return err
	}
	d.see(o.Name, info)
	return f.sync() // only this descriptor is sure to be told of a page that cannot be written
}

// tornFrom reports whether a crash may leave this tail of data: a part of it, and
// zeros where the rest has not reached the disk.
func tornFrom(tail, data []byte) bool {
	for i, c := range tail {
		if c != 0 && (i >= len(data) || c != data[i]) {
			return false
		}
	}
	return true
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
