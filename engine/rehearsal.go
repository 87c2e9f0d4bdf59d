package engine

import (
	"mtlsplan/internal/config"
	"mtlsplan/internal/outdir"
	"mtlsplan/internal/plan"
)

// rehearsalName marks a directory that was rehearsed in. What it holds was issued
// and revoked on dates that have not come, so no run in earnest may build on it.
const rehearsalName = outdir.DB + "/rehearsal"

const rehearsalText = "This directory was rehearsed in: its certificates and revocations carry dates that\n" +
	"had not come when they were made. Nothing in it is for use.\n"

// checkRehearsal refuses a run in earnest in a directory that was rehearsed in, and
// a rehearsal that has neither a date nor such a directory.
func checkRehearsal(dir *outdir.Dir, opt Options) (marked bool, err error) {
	mark, err := dir.Read(rehearsalName)
	if err != nil {
		return false, err
	}
	switch marked = !mark.Missing; {
	case marked && !opt.Rehearsal:
		return marked, plan.Errorf(plan.Rehearsed, "%s was rehearsed in (db/rehearsal), so nothing in it is for use: name another directory with --output, or restore this one from a backup; --rehearsal goes on rehearsing", dir.Path())
	case !marked && opt.Rehearsal && !opt.Dated:
		return marked, plan.Errorf(plan.Usage, "--rehearsal needs a date in %s, which was not rehearsed in yet: add --at DATE, or leave --rehearsal out", dir.Path())
	}
	return marked, nil
}

// refuseEarly is checkRehearsal before the lock is taken: a run that is refused
// makes no directory and leaves db/lock as it was. An odd directory is left to the
// lock, which says what is wrong with it.
func refuseEarly(cfg *config.Config, opt Options) error {
	dir, err := openDir(cfg)
	if err != nil {
		return nil
	}
	defer dir.Close()
	_, err = checkRehearsal(dir, opt)
	return err
}

// rehearse marks the directory before a rehearsal changes anything. One that is refused
// leaves no mark.
func rehearse(dir *outdir.Dir, opt Options) error {
	if !opt.Rehearsal {
		return nil
	}
	if marked, err := checkRehearsal(dir, opt); err != nil || marked {
		return err
	}
	// A crash before it: nothing was rehearsed. Behind it: the directory is marked,
	// and otherwise as it was.
	batch := dir.Begin()
	batch.Put(rehearsalName, []byte(rehearsalText), outdir.ModeSecret)
	return batch.Commit()
}
