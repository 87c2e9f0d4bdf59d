package engine

import (
	"slices"
	"time"
)

// Options are what a run is asked beside its spec.
type Options struct {
	Now         time.Time     // taken for the present everywhere, also in what is issued
	Only        []Owner       // the owners to act on; empty: all
	LockTimeout time.Duration // how long to wait for another run; 0: not at all
	Replace     []Owner       // users to rekey now, revoking what they have
	Reason      string        // RFC 5280 reason of Replace
	Allow       int           // revocations allowed beyond the guard: --allow-revocations
	Adopt       bool          // take over files that the CA database knows nothing of
	AcceptClock bool          // go on although the clock is behind the directory's own past
	Parallel    int           // how many owners are worked on at a time; less than 1: as many as there are cores
	LookupEnv   func(string) (string, bool)

	// Reading, where there is one, hears of how many users the files have been read,
	// of how many of whom nothing is known yet: all of those for whom a key and a
	// .p12 may have to be opened. It is called from one goroutine at a time.
	Reading func(done, total int)

	// scope, where there is one, stands for Only.
	scope map[Owner]bool

	Command string // for whoever finds the lock taken: "apply since 2026-11-23T16:00:00Z"
}

// covers reports whether a run acts on an owner.
func (o Options) covers(owner Owner) bool {
	if o.scope != nil {
		return o.scope[owner]
	}
	return len(o.Only) == 0 || slices.Contains(o.Only, owner)
}

// Watcher hears what an apply does, from one goroutine at a time.
type Watcher interface {
	Planned(*Plan)  // once, before the first change; also of a plan that is refused
	Done([]Step)    // steps whose files are in place, made durable together
	Failed(Failure) // an owner that is left as it was
}

// Report is how an apply ended.
type Report struct {
	Plan     *Plan
	Done     []Step
	Failures []Failure // those of the plan, too
}

// LockedError says that another run holds the output directory.
type LockedError struct {
	Dir    string
	Holder string // who, as far as known
}

func (e *LockedError) Error() string { return e.Dir + ": another run holds the lock: " + e.Holder }

// UnknownOwnerError says that neither spec nor database knows an owner.
type UnknownOwnerError struct{ Owner Owner }

func (e *UnknownOwnerError) Error() string { return "no such owner: " + string(e.Owner) }
