package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// noop is a run with nothing to do in a world, whenever that world now is.
func (l *lab) noop(w *world, spec string) command {
	if w.now.IsZero() {
		return l.apply(w.dir, spec, nothing)
	}
	return l.apply(w.dir, spec, nothing, "--at", w.now.Format(time.RFC3339))
}

func noopApply(l *lab, n int) ([]Series, []Check, error) {
	return noopAgainst(l, n, "apply", blocksSpec)
}

func noopPlan(l *lab, n int) ([]Series, []Check, error) {
	return noopAgainst(l, n, "plan", blocksSpec)
}

func noopCSV(l *lab, n int) ([]Series, []Check, error) {
	all, checks, err := noopAgainst(l, n, "apply", rosterSpec, "-list", rosterFile)
	if n >= 100_000 {
		checks = append(checks, withSeries(all, func(p *Series) []Check {
			return []Check{{"CPU", p.median(cpuOf), 2, "s"}, {"memory", p.median(mibOf), 400, "MiB"}}
		})...)
	}
	return all, checks, err
}

// noopAgainst is a run with nothing to do against the floor, told where the users are,
// and, where it is there, the quickest peer.
func noopAgainst(l *lab, n int, verb, spec string, list ...string) ([]Series, []Check, error) {
	w, err := l.world(n)
	if err != nil {
		return nil, nil, err
	}
	certyaml, found := findPeer("certyaml")
	if found && l.certyaml[n] == "" {
		dir, err := l.fresh("certyaml")
		if err != nil {
			return nil, nil, err
		}
		if _, _, err := l.measure(certyaml.command("fresh", n, dir, "ec")); err != nil {
			return nil, nil, err
		}
		l.certyaml[n] = dir
	}
	all, err := l.turns(3, 11, func(int) ([]command, error) {
		ours := l.noop(w, spec)
		ours.argv[1] = verb
		commands := []command{ours, l.floor(w.floor, "noop", list...)}
		if found {
			commands = append(commands, certyaml.command("noop", n, l.certyaml[n], "ec"))
		}
		return commands, nil
	})
	return all, withSeries(all, func(p *Series) []Check {
		if n != 10_000 {
			return nil
		}
		checks := []Check{checkRatio("CPU", p, &all[1], cpuOf, 1.5)}
		if found {
			checks = append(checks, checkRatio("CPU", p, &all[2], cpuOf, 0.25))
		}
		return checks
	}), err
}

// noopNoCache is the same result without what an earlier run knew the files by.
func noopNoCache(l *lab, n int) ([]Series, []Check, error) {
	all, err := noopWithout(l, n, "cache")
	return all, withSeries(all, func(p *Series) []Check {
		if n < 100_000 {
			return nil
		}
		return []Check{{"CPU", p.median(cpuOf), 20, "s"}}
	}), err
}

// noopNoDigests has to open everything again.
func noopNoDigests(l *lab, n int) ([]Series, []Check, error) {
	all, err := noopWithout(l, n, "cache", "digests")
	return all, nil, err
}

// noopWithout is a run with nothing to do after files of db/ were deleted.
func noopWithout(l *lab, n int, names ...string) ([]Series, error) {
	w, err := l.world(n)
	if err != nil {
		return nil, err
	}
	return l.turns(1, 5, func(int) ([]command, error) {
		c := l.noop(w, rosterSpec)
		c.before = func() error {
			for _, name := range names {
				if err := os.Remove(filepath.Join(w.dir, "pki/db", name)); err != nil && !os.IsNotExist(err) {
					return err
				}
			}
			return nil
		}
		return []command{c}, nil
	})
}

// change measures a change of the list of users against a run with nothing to
// do just before it.
func change(l *lab, n, least, most int, edit func(w *world), run func(w *world) command, others ...func(w *world) command) (*world, []Series, error) {
	w, err := l.world(n)
	if err != nil {
		return nil, nil, err
	}
	all, err := l.turns(least, most, func(int) ([]command, error) {
		before := l.noop(w, rosterSpec)
		before.who = noopName
		after := run(w)
		after.before = func() error {
			edit(w)
			return w.write(ecHead)
		}
		commands := []command{before, after}
		for _, other := range others {
			commands = append(commands, other(w))
		}
		return commands, nil
	})
	return w, all, err
}

// noopName is the series of runs with nothing to do beside those with a change.
const noopName = "mtlsplan, nothing to do"

// beyond is what a change costs beyond a run with nothing to do.
func beyond(all []Series, of func(Sample) float64) float64 {
	return paired(&all[1], &all[0], of, difference)
}

// addedFiles is how many files the addition of one user may write: that
// user's five, the database's, the CRL, what is left of stage, lock, cache and digests.
const addedFiles = 16

func oneAdded(l *lab, n int) ([]Series, []Check, error) {
	_, all, err := change(l, n, 7, 15,
		func(w *world) { w.end++ },
		func(w *world) command { return l.apply(w.dir, rosterSpec, applied) },
		func(w *world) command { return l.floor(w.floor, "add", "-list", rosterFile) })
	if err != nil || n < 10_000 {
		return all, nil, err
	}
	return all, []Check{
		{"CPU beyond no-op", 1000 * beyond(all, cpuOf), 30, "ms"},
		{"written", float64(all[1].Written), addedFiles, "files"},
	}, nil
}

// onePercentRevoked removes one user of a hundred from a list whose CRL has
// one entry for ten users already.
func onePercentRevoked(l *lab, n int) ([]Series, []Check, error) {
	w, err := l.world(n)
	if err != nil {
		return nil, nil, err
	}
	allow := fmt.Sprintf("--allow-revocations=%d", n)
	leavers := max(1, n/10)
	w.first, w.end = w.first+leavers, w.end+leavers
	if err := w.write(ecHead); err != nil {
		return nil, nil, err
	}
	for _, c := range []command{l.apply(w.dir, rosterSpec, applied, allow), l.noop(w, rosterSpec)} {
		if _, _, err := l.measure(c); err != nil {
			return nil, nil, err
		}
	}
	_, all, err := change(l, n, 3, 5,
		func(w *world) { w.first += max(1, n/100) },
		func(w *world) command { return l.apply(w.dir, rosterSpec, applied, allow) })
	if err != nil || n < 100_000 {
		return all, nil, err
	}
	return all, []Check{
		{"CPU beyond no-op", beyond(all, cpuOf), 1, "s"},
		{"wall beyond no-op", beyond(all, wallOf), 1, "s"},
	}, nil
}

// onePercentRenewed lets a month pass in each turn, after which one user of a
// hundred is due.
func onePercentRenewed(l *lab, n int) ([]Series, []Check, error) {
	w, all, err := change(l, n, 3, 5,
		func(w *world) { w.now = w.time().AddDate(0, 0, renewDays) },
		func(w *world) command {
			return l.apply(w.dir, rosterSpec, applied, "--at", w.time().AddDate(0, 0, renewDays).Format(time.RFC3339))
		})
	if err != nil || n != 10_000 {
		return all, nil, err
	}
	p := &all[1]
	expected := all[0].median(cpuOf) + w.fresh.CPU/shortEvery
	return all, []Check{{"CPU / (no-op + 1 % of fresh)", p.median(cpuOf) / expected, 1.2, "×"}}, nil
}
