package outdir

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
)

// release carries out a journal. A crash at any line of it leaves the journal
// in place, so that the next writer starts over.
func (d *Dir) release(stage string, ops []op) error {
	for _, db := range []bool{true, false} {
		changed := map[string]bool{}
		for i, o := range ops {
			if isDB(o) != db {
				continue
			}
			// A crash between two operations: some are done. The files of an owner are
			// released in an order in which those present belong together.
			if err := d.do(o, ops[i+1:], changed); err != nil {
				return fmt.Errorf("%s: %w", d.join(o.Name), bare(err))
			}
		}
		// What concerns db/ is durable before anything else becomes visible: a
		// certificate at its final path is in the database (I1). A crash between the
		// two passes: recorded and not visible, and the journal makes it so.
		if err := d.sync(keys(changed)...); err != nil {
			return err
		}
	}
	// All is in place and durable. A crash from here on: the journal is carried
	// out again and changes nothing, or it is gone and the rest is swept.
	return d.drop(stage)
}

// drop removes a batch's directory. The journal goes first: a rest without it is
// swept, not replayed; one with it, but without all that it names, would be
// carried out in part.
func (d *Dir) drop(stage string) error {
	// It goes to db/stage itself, so that there is no instant at which a reader sees
	// neither the journal nor that it has gone: see moment.
	end := stage + endSuffix
	if err := ignoreMissing(d.disk.rename(stage+"/"+journalName, end)); err != nil {
		return fmt.Errorf("%s: %w", d.join(stage), bare(err))
	}
	// Durably, for file systems that do not keep the order in which a directory's
	// entries go; also if the journal was missing, since the run that removed it
	// may have died before this line.
	if err := d.sync(stage); err != nil {
		return err
	}
	if err := d.sweep(stage); err != nil {
		return err
	}
	return d.sweep(end)
}

// endSuffix is that of the journal of a batch that is all in place.
const endSuffix = ".end"

// sweep removes what lies below db/stage, whatever it is. A crash leaves less.
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
		return fmt.Errorf("%s: %w", d.join(name), bare(err))
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

// do carries out one operation and notes what has to be made durable. Doing the
// operations of a journal again, all of them or any first part, ends where doing
// them once does; what an earlier pass has done is noted all the same, since it
// may have died before it was durable.
func (d *Dir) do(o op, later []op, changed map[string]bool) error {
	dir := path.Dir(o.Name)
	if o.Do == "put" || o.Do == "move" || o.Do == "append" {
		// It was made before the journal, but somebody may have taken an empty
		// directory away: a rename would fail as if there were nothing to rename.
		if err := d.mkdir(dir, dirMode(dir)); err != nil {
			return err
		}
	}
	switch o.Do {
	case "put":
		if err := d.refuseOdd(o.Name); err != nil {
			return err
		}
		changed[dir] = true
		return ignoreMissing(d.disk.rename(o.From, o.Name))
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
		// A crash in between: what is about to go is private already. A power cut
		// may keep the second without the first, so that the next pass asks again.
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
	default: // chmod; a journal with other words was not accepted as one
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

// refuseOdd keeps a rename from replacing what is no file of ours.
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

// append writes behind the size that the file had before. A crash leaves a tail
// that is cut or missing; the staged file stays until the journal is gone, so
// that the next pass has it all. What an earlier pass has got there is never
// taken away again: certificates may be visible that it records (I1).
func (d *Dir) append(o op, changed map[string]bool) error {
	staged, err := d.readPlain(o.From, o.From)
	if err == nil && staged.Missing {
		err = errors.New("what an interrupted run was to add to it is gone: put the database back from a backup")
	}
	if err != nil {
		return err
	}
	if err := d.refuseOdd(o.Name); err != nil {
		return err
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
	changed[o.Name] = true
	tail, err := io.ReadAll(io.NewSectionReader(f.f, o.At, max(0, info.Size()-o.At)))
	if err != nil || bytes.HasPrefix(tail, staged.Data) {
		return err
	}
	if info.Size() < o.At || !tornFrom(tail, staged.Data) {
		return errors.New("was changed by somebody else after a run was interrupted: put back what it was then, from a backup or OpenSSL's copy that ends in .old, and run apply again")
	}
	if err := f.write(staged.Data, o.At); err != nil {
		return err
	}
	if end := o.At + int64(len(staged.Data)); info.Size() > end {
		return f.truncate(end)
	}
	return nil
}

// tornFrom reports whether a tail is what a crash may leave of data: a part of
// it, and zeros where the disk has not got the rest.
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
