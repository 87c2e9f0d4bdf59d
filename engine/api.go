package engine

import (
	"crypto/x509"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mtlsplan/internal/authority"
	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/outdir"
	"mtlsplan/internal/plan"
)

// Options are what a run is asked beside its spec.
type Options struct {
	Now         time.Time     // taken for the present everywhere, also in what is issued
	Only        []plan.Owner  // the owners to act on, or patterns of them: [plan.Owner.Fits]; empty: all
	LockTimeout time.Duration // how long to wait for another run; 0: not at all
	Replace     []plan.Owner  // users to rekey now, revoking what they have
	Reason      string        // RFC 5280 reason of Replace
	Allow       int           // revocations allowed beyond the guard: --allow-revocations
	Adopt       bool          // take over files that the ledger knows nothing of
	AcceptClock bool          // go on although the clock is behind the directory's own past, or the program's release
	Released    time.Time     // when the program was released; a clock before that is behind
	Dated       bool          // Now is not the clock's: --at
	Rehearsal   bool          // the directory is one to rehearse in, or becomes one: --rehearsal
	Parallel    int           // how many owners are worked on at a time; less than 1: as many as there are cores
	LookupEnv   func(string) (string, bool)

	// Saved, if set, is the plan that is to be applied as it is, or not at all; it was
	// read from the file SavedIn.
	Saved   *plan.SavedPlan
	SavedIn string

	// Agreed, if set, tells of whom it was agreed that this run revokes what they have. A
	// run that would revoke anybody else changes nothing and ends with an [UnagreedError].
	Agreed func(plan.Owner) bool

	Warnings []plan.Note // what the caller had to say of the spec, for the memory of later runs

	// Reading, if set, gets the number of users whose files have been read, and the
	// total to read; users known from the cache do not count. It is called from one
	// goroutine at a time.
	Reading func(done, total int)

	// Trace, if set, is told what a run begins, "read" and a file for example, and calls
	// back when that has ended. It is called from several goroutines.
	Trace func(doing, what string) (ended func())

	// Waits, if set, is told that the run was interrupted and waits for a program, at most that
	// long. It is called from another goroutine.
	Waits func(program string, most time.Duration)

	Command string // for the message of another run that finds the lock taken: "apply since 2026-11-23T16:00:00Z"

	traced   bool // Trace was set
	thorough bool // every file is read, whatever the cache knows of it
	prove    bool // thorough, and what a proof takes is kept
	sealed   bool // no secret is read, and nothing that is encrypted is opened
	glance   bool // sealed, and what is encrypted is taken for what it should be

	// scope, if set, replaces Only.
	scope func(plan.Owner) bool

	// authority, if set, signs in place of the key file of a CA.
	authority func(ca *x509.Certificate) authority.Authority
}

// covers reports whether a run acts on an owner.
func (o Options) covers(owner plan.Owner) bool {
	if o.scope != nil {
		return o.scope(owner)
	}
	return len(o.Only) == 0 || slices.ContainsFunc(o.Only, owner.Fits)
}

// Watcher hears what an apply does, from one goroutine at a time.
type Watcher interface {
	Planned(*plan.Plan)  // before the first change, also of a plan that is refused; and again when another program has changed the CA database
	Done([]plan.Step)    // steps whose files are in place, made durable together
	Failed(plan.Failure) // an owner that is left as it was
}

// Report is how an apply ended.
type Report struct {
	Plan     *plan.Plan
	Done     []plan.Step
	Failures []plan.Failure // those of the plan, too
}

// LockedError says that another run holds the output directory.
type LockedError struct {
	Dir    string
	Holder string // pid, host and command, as far as known
}

func (e *LockedError) Error() string {
	if e.Holder == outdir.UnknownHolder {
		return e.Dir + ": another program holds the lock: a backup with flock, perhaps, or a run that is just ending; wait for it, or say --lock-timeout 5m"
	}
	return e.Dir + ": another run holds the lock: " + e.Holder
}

// UnknownOwnerError says that neither spec nor ledger knows an owner, or one who fits
// a pattern.
type UnknownOwnerError struct{ Owner plan.Owner }

func (e *UnknownOwnerError) Error() string { return "no such owner: " + string(e.Owner) }

// UnagreedError is that of a run which would revoke what somebody has, and nobody has
// agreed to that. It lets go of the lock, so that no other run waits for an answer.
type UnagreedError struct {
	Steps []plan.Step
	Users []plan.Owner // who would lose certificates, each once; a step of the CA is about many
}

func (e *UnagreedError) Error() string {
	return fmt.Sprintf("%d users would lose their certificates, and nobody has agreed", len(e.Users))
}

// Owners are all owners of a spec, in the order in which a plan treats them.
func Owners(cfg *config.Config) []plan.Owner {
	all := []plan.Owner{plan.CA(cfg.CA.Name)}
	for _, u := range cfg.Users {
		all = append(all, plan.User(u.Name))
	}
	all = append(all, plan.CRL(cfg.CA.Name))
	for _, s := range cfg.Sites {
		all = append(all, plan.Site(s.Proxy.Name, s.Name))
	}
	return all
}

// PassphraseFile is the absolute path at which the generated passphrase of a
// user or the CA lies.
func PassphraseFile(cfg *config.Config, owner plan.Owner) string {
	path := facts.CAPath(cfg.CA.Name, plan.KindPass)
	if user, ok := strings.CutPrefix(string(owner), "user."); ok {
		path = facts.UserPath(facts.Base(user, cfg.CA.Name), plan.KindPass)
	}
	return filepath.Join(cfg.Output, filepath.FromSlash(path.String()))
}
