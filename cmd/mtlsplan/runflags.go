package main

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/agext/levenshtein"
	"github.com/spf13/cobra"

	"mtlsplan/engine"
	"mtlsplan/internal/plan"
	"mtlsplan/spec"
)

// runFlags are the flags of plan and apply.
type runFlags struct {
	at          string
	only        []string
	replace     []string
	reason      string
	allow       int
	adopt       bool
	lockTimeout time.Duration
	acceptClock bool
	parallel    int
}

func (a *app) addRunFlags(cmd *cobra.Command, f *runFlags) {
	flags := cmd.Flags()
	flags.StringVar(&f.at, "at", "", "act as if now were `DATE`: YYYY-MM-DD (midnight UTC) or RFC 3339")
	flags.StringArrayVar(&f.only, "only", nil, "act only on this `OWNER`, as in user.NAME; may be repeated")
	flags.StringArrayVar(&f.replace, "replace", nil, "give this `OWNER`, as in user.NAME, a new key now and revoke its certificates; may be repeated")
	flags.StringVar(&f.reason, "reason", "", "RFC 5280 `REASON` for which --replace revokes, such as keyCompromise; superseded if left out")
	flags.IntVar(&f.allow, "allow-revocations", 0, "allow this run to leave up to `N` users without a valid certificate, even if the guard would refuse")
	flags.BoolVar(&f.adopt, "adopt", false, "take over files made by hand that are not in the CA database")
	flags.DurationVar(&f.lockTimeout, "lock-timeout", 0, "wait up to `DURATION`, as in 30s, for another apply to end; plan takes no lock and never waits")
	flags.BoolVar(&f.acceptClock, "accept-clock", false, "go on without a warning even if the clock is behind dates recorded in the directory")
	flags.IntVar(&f.parallel, "parallel", 0, "work on `N` users at a time; 0 means one for each core")
	for _, name := range []string{"only", "replace"} {
		_ = cmd.RegisterFlagCompletionFunc(name, func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			return a.completeOwners(args), cobra.ShellCompDirectiveNoFileComp
		})
	}
}

// options turns the flags of a run into [engine.Options], checked against its
// spec.
func (a *app) options(cfg *spec.Config, f runFlags, command string) (engine.Options, error) {
	opt := engine.Options{
		Now:         a.started,
		LockTimeout: f.lockTimeout,
		AcceptClock: f.acceptClock,
		Adopt:       f.adopt,
		Parallel:    f.parallel,
		LookupEnv:   a.lookupEnv,
		Command:     command + " since " + a.started.UTC().Format(time.RFC3339),
	}
	if f.lockTimeout < 0 {
		return opt, usageError("--lock-timeout %s: give a duration that is not negative, such as 30s", f.lockTimeout)
	}
	if f.parallel < 0 {
		return opt, usageError("--parallel %d: give the number of users to work on at a time", f.parallel)
	}
	if f.at != "" {
		at, err := parseDate(f.at)
		if err != nil {
			return opt, err
		}
		opt.Now = at
	}
	known := engine.Owners(cfg)
	for _, name := range f.only {
		owner := plan.Owner(name)
		if !slices.Contains(known, owner) && !strings.HasPrefix(name, "user.") {
			return opt, noSuchOwner("--only", owner, cfg)
		}
		opt.Only = append(opt.Only, owner) // a departed user is known to the CA database alone
	}
	return opt, f.replacement(&opt, cfg, known)
}

// noSuchOwner suggests the owners that may have been meant.
func noSuchOwner(flag string, owner plan.Owner, cfg *spec.Config) error {
	return plan.Errorf(plan.UnknownOwner, "%s %q: no such owner in %s%s", flag, owner, cfg.File, didYouMean(closest(string(owner), engine.Owners(cfg))))
}

// unknownOwner is noSuchOwner for an owner that the engine did not find either.
func unknownOwner(err error, cfg *spec.Config) error {
	if unknown, ok := errors.AsType[*engine.UnknownOwnerError](err); ok {
		return noSuchOwner("--only", unknown.Owner, cfg)
	}
	return err
}

// replacement reads the flags of a replacement and of the guard.
func (f runFlags) replacement(opt *engine.Options, cfg *spec.Config, known []plan.Owner) error {
	if opt.Allow = f.allow; f.allow < 0 {
		return usageError("--allow-revocations %d: give the number of users", f.allow)
	}
	switch {
	case f.reason != "" && len(f.replace) == 0:
		return usageError("--reason goes with --replace: name the owner to replace")
	case f.reason == "":
		f.reason = "superseded"
	}
	if err := spec.CheckReason(f.reason); err != nil {
		return usageError("--reason %q: %w", f.reason, err)
	}
	opt.Reason = f.reason
	for _, name := range f.replace {
		owner := plan.Owner(name)
		switch {
		case !slices.Contains(known, owner):
			return noSuchOwner("--replace", owner, cfg)
		case len(f.only) > 0 && !slices.Contains(f.only, name):
			return usageError("--replace %s: --only leaves it out, so nothing would be replaced: add --only %s", name, name)
		case revoked(cfg, name):
			return usageError("--replace %s: the spec marks the user as revoked: remove that first", name)
		case !strings.HasPrefix(name, "user."):
			return usageError("--replace %s: only users can be replaced; a CA key is replaced by raising generation in its block", name)
		}
		opt.Replace = append(opt.Replace, owner)
	}
	return nil
}

func revoked(cfg *spec.Config, owner string) bool {
	return slices.ContainsFunc(cfg.Users, func(u spec.User) bool { return "user."+u.Name == owner && u.Revoked != "" })
}

// parseDate reads a DATE: YYYY-MM-DD, which is midnight UTC, or RFC 3339.
func parseDate(text string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usageError("--at %q: give YYYY-MM-DD (midnight UTC) or RFC 3339, as in 2027-01-31T08:00:00Z", text)
}

// completeOwners lists the owners of the spec that a half-typed command line
// names, as far as it can be loaded.
func (a *app) completeOwners(args []string) []string {
	cfg, err := a.loadSpec(specArg(args))
	if err != nil {
		return nil
	}
	var names []string
	for _, o := range engine.Owners(cfg) {
		names = append(names, string(o))
	}
	return names
}

// closest returns the owners that name may stand for: those whose kind was left
// out, else those at most two typing errors away.
func closest(name string, known []plan.Owner) []plan.Owner {
	var near []plan.Owner
	for _, o := range known {
		if _, bare, _ := strings.Cut(string(o), "."); bare == name {
			near = append(near, o)
		}
	}
	if near != nil {
		return near
	}
	for _, o := range known {
		_, bare, _ := strings.Cut(string(o), ".")
		if min(levenshtein.Distance(name, string(o), nil), levenshtein.Distance(name, bare, nil)) <= 2 {
			near = append(near, o)
		}
	}
	return near[:min(len(near), 3)]
}

func didYouMean(near []plan.Owner) string {
	if len(near) == 0 {
		return ""
	}
	return "; did you mean " + orList(near) + "?"
}

// orList writes "a", "a or b", "a, b or c".
func orList[T ~string](names []T) string {
	var texts []string
	for _, n := range names {
		texts = append(texts, string(n))
	}
	last := len(texts) - 1
	if last < 1 {
		return strings.Join(texts, "")
	}
	return strings.Join(texts[:last], ", ") + " or " + texts[last]
}
