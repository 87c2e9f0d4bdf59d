package main

import (
	"context"
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
	rehearsal   bool
	parallel    int
}

func (a *app) addRunFlags(cmd *cobra.Command, f *runFlags) {
	flags := cmd.Flags()
	addDate(cmd, &f.at)
	flags.BoolVar(&f.rehearsal, "rehearsal", false, "rehearse in this output directory: apply marks it, and no run in earnest works on it from then on")
	flags.StringArrayVar(&f.only, "only", nil, "act only on this `OWNER`, as in user.NAME, or on those who fit a pattern, as in 'user.*'; may be repeated")
	flags.StringArrayVar(&f.replace, "replace", nil, "give this `OWNER`, as in user.NAME, or those who fit a pattern, a new key now and revoke the certificates they had; may be repeated")
	flags.StringVar(&f.reason, "reason", "", "RFC 5280 `REASON` for which --replace revokes, such as keyCompromise; superseded if left out")
	flags.IntVar(&f.allow, "allow-revocations", 0, "allow this run to leave up to `N` users without a valid certificate, even if the guard would refuse")
	flags.BoolVar(&f.adopt, "adopt", false, "take over files made by hand that are not in the CA database")
	flags.DurationVar(&f.lockTimeout, "lock-timeout", 0, "wait up to `DURATION`, as in 30s, for another apply to end; plan takes no lock and never waits")
	flags.BoolVar(&f.acceptClock, "accept-clock", false, "go on without a warning even if the clock is behind dates recorded in the directory, or behind the release of mtlsplan")
	flags.IntVar(&f.parallel, "parallel", 0, "work on `N` users at a time; 0 means one for each core")
	for _, name := range []string{"only", "replace"} {
		_ = cmd.RegisterFlagCompletionFunc(name, func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			return a.completeOwners(cmd.Context(), args), cobra.ShellCompDirectiveNoFileComp
		})
	}
}

// addVerbose gives a command --verbose.
func (a *app) addVerbose(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&a.verbose, "verbose", "v", false, "write to standard error which file is read, opened or made, which policy asks for what, and how long each takes")
}

// options turns the flags of a run into [engine.Options], checked against its
// spec.
func (a *app) options(cfg *spec.Config, f runFlags, command string) (engine.Options, error) {
	opt := engine.Options{
		Now:         a.started,
		LockTimeout: f.lockTimeout,
		AcceptClock: f.acceptClock,
		Released:    a.released,
		Rehearsal:   f.rehearsal,
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
		at, err := parseDate(f.at, a.started)
		if err != nil {
			return opt, err
		}
		opt.Now, opt.Dated = at, true
	}
	if command == "apply" && opt.Dated && !f.rehearsal {
		return opt, usageError("--at makes apply a rehearsal, and the directory is of no use afterwards: copy it and say --rehearsal --at %s --output COPY; mtlsplan plan --at %s says what would be due and changes nothing", f.at, f.at)
	}
	var err error
	if opt.Only, err = patterns("--only", f.only); err != nil {
		return opt, err
	}
	return opt, f.replacement(&opt, cfg)
}

// patterns are the owners, or patterns of them, that a flag gives.
func patterns(flag string, given []string) (list []plan.Owner, err error) {
	for _, text := range given {
		pattern := plan.Owner(text)
		if err := plan.CheckPattern(pattern); err != nil {
			return nil, usageError("%s %q: this pattern is malformed: close its [ and end it with no backslash, as in 'user.[a-c]*'", flag, text)
		}
		list = append(list, pattern)
	}
	return list, nil
}

// prepared loads the spec that a command line names, and what its run is asked.
func (a *app) prepared(cmd *cobra.Command, args []string, f runFlags) (*spec.Config, engine.Options, error) {
	cfg, err := a.loadSpec(cmd.Context(), specArg(args))
	if err != nil {
		return nil, engine.Options{}, err
	}
	opt, err := a.options(cfg, f, cmd.Name())
	return cfg, opt, err
}

// noSuchOwner suggests the owners that may have been meant.
func noSuchOwner(flag string, owner plan.Owner, cfg *spec.Config) error {
	if owner.IsPattern() {
		return plan.Errorf(plan.UnknownOwner, "%s %q: no owner in %s fits this pattern", flag, owner, cfg.File)
	}
	if devices := devicesOf(owner, cfg); devices != nil {
		return plan.Errorf(plan.UnknownOwner, "%s %q: the user has a certificate for each device: give %s, or '%s%s*' for all of them", flag, owner, orList(devices), owner, plan.DeviceSign)
	}
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
func (f runFlags) replacement(opt *engine.Options, cfg *spec.Config) error {
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
	list, err := patterns("--replace", f.replace)
	if err != nil {
		return err
	}
	for _, pattern := range list {
		users, err := replaced(pattern, cfg)
		if err != nil {
			return err
		}
		for _, user := range users {
			if len(opt.Only) > 0 && !slices.ContainsFunc(opt.Only, user.Fits) {
				return usageError("--replace %s: --only leaves out %s, who would keep the old key: add --only '%s'", pattern, user, pattern)
			}
		}
		opt.Replace = append(opt.Replace, users...)
	}
	return nil
}

// replaced are the users of the spec whom a pattern stands for, but for those whom
// the spec marks as revoked: they get no certificate.
func replaced(pattern plan.Owner, cfg *spec.Config) (users []plan.Owner, err error) {
	var out plan.Owner
	for i := range cfg.Users {
		switch user := plan.User(cfg.Users[i].Name); {
		case !user.Fits(pattern):
		case cfg.Users[i].Revoked != "":
			out = user
		default:
			users = append(users, user)
		}
	}
	switch {
	case len(users) > 0:
		return users, nil
	case out != "":
		return nil, usageError("--replace %s: the spec marks the user as revoked: remove that first", out)
	case slices.ContainsFunc(engine.Owners(cfg), func(o plan.Owner) bool { return o.Fits(pattern) }):
		return nil, usageError("--replace %s: only users can be replaced; a CA key is replaced by raising generation in its block", pattern)
	}
	return nil, noSuchOwner("--replace", pattern, cfg)
}

// addDate gives a command --at.
func addDate(cmd *cobra.Command, at *string) {
	cmd.Flags().StringVar(at, "at", "", "act as if now were `DATE`: YYYY-MM-DD (midnight UTC), RFC 3339, or a distance from now, as in +30d")
}

// parseDate reads a DATE: YYYY-MM-DD, which is midnight UTC, RFC 3339, or a distance
// from now: "+" and a duration as the spec has it.
func parseDate(text string, now time.Time) (time.Time, error) {
	if distance, ok := strings.CutPrefix(text, "+"); ok {
		d, err := spec.ParseDuration(distance)
		if err != nil {
			return time.Time{}, usageError("--at %q: %w", text, err)
		}
		return now.Add(d), nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usageError("--at %q: give YYYY-MM-DD (midnight UTC), RFC 3339 as in 2027-01-31T08:00:00Z, or a distance from now as in +30d", text)
}

// completeOwners lists the owners of the spec that a half-typed command line
// names, as far as it can be loaded without running a program.
func (a *app) completeOwners(ctx context.Context, args []string) []string {
	cfg, src, diags := spec.Peek(ctx, specArg(args))
	a.explain(src, diags)
	if cfg == nil {
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
