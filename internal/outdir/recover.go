package outdir

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
)

// view is the effect of a committed batch for a reader, by name.
type view map[string]viewEntry

type viewEntry struct {
	staged  string
	removed bool
	sum     string // of staged where that may be what came out of an exchange
	tail    bool   // staged comes after the first at bytes
	at      int64  // size before the append
}

// recover finishes committed batches and sweeps all others. It is called under the
// lock. After a crash in it the next writer starts over, with less to do.
func (d *Dir) recover() error {
	return d.eachStage(func(stage string, ops []op) error {
		if ops == nil {
			if _, isDir, err := d.DirMode(stage); err != nil || !isDir {
				return d.sweep(stage)
			}
			return d.drop(stage)
		}
		return d.release(stage, ops)
	})
}

// readPending is recover for a reader: it changes nothing and returns the changes
// that the next writer will make first.
func (d *Dir) readPending() (view, error) {
	pending := view{}
	err := d.eachStage(func(stage string, ops []op) error {
		for i, o := range ops {
			if d.superseded(o, ops[i+1:]) {
				continue
			}
			switch o.Do {
			case "put":
				pending[o.Name] = viewEntry{staged: o.From, sum: o.Sum}
			case "append":
				pending[o.Name] = viewEntry{staged: o.From, tail: true, at: o.At}
			case "remove":
				pending[o.Name] = viewEntry{removed: true}
			case "move":
				pending[o.Name] = viewEntry{staged: o.From}
				pending[o.From] = viewEntry{removed: true}
			}
		}
		return nil
	})
	return pending, err
}

// odd reports whether an operation is one that no writer asks for.
func (o op) odd() bool {
	known := slices.Contains([]string{"append", "put", "remove", "move", "chmod"}, o.Do)
	return !known || o.Name == lockName || o.From == lockName || o.At < 0 || o.Mode&^ModeDir != 0 || o.Name == "." || !fs.ValidPath(o.Name) || o.From != "" && !fs.ValidPath(o.From)
}

// eachStage calls f for each batch below db/stage with its journal, nil for a batch
// that was not committed.
func (d *Dir) eachStage(f func(stage string, ops []op) error) error {
	names, err := d.List(stageDir)
	if err != nil {
		return err
	}
	for _, name := range names {
		stage := stageDir + "/" + name
		if _, isDir, err := d.DirMode(stage); err != nil || !isDir {
			// A writer has just finished it, or it does not belong here.
			if err := f(stage, nil); err != nil {
				return err
			}
			continue
		}
		file, err := d.Read(stage + "/" + journalName)
		if err != nil {
			return err
		}
		var ops []op
		if !file.Missing {
			if err := json.Unmarshal(file.Data, &ops); err != nil || ops == nil || slices.ContainsFunc(ops, op.odd) {
				return fmt.Errorf("%s: the journal of an interrupted run cannot be read; move this directory away and run apply again", d.join(stage))
			}
		}
		if err := f(stage, ops); err != nil {
			return err
		}
	}
	return nil
}
