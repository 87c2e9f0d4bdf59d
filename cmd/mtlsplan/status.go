package main

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mtlsplan/engine"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/ui"
	"mtlsplan/spec"
)

// statusFlags are the flags of status.
type statusFlags struct {
	at       string
	expiring string
	states   []string
	groups   []string
	out      string

	patterns []plan.Owner
	soon     time.Duration // of expiring, 0 for none
}

func (a *app) statusCmd() *cobra.Command {
	var f statusFlags
	cmd := &cobra.Command{
		Use:   "status [FILE] [OWNER...]",
		Short: "Print how every certificate stands, and what happens next",
		Long: `Prints the CA, its CRL and every user: those who need attention first. OWNER is
a name, an owner as in user.ann, or a pattern as in 'user.a*'. LEFT is how many
days its certificate is good for, NEXT what happens to it if apply runs whenever
something is due, and GIVEN whether the user has been handed out the newest.

Users who are no longer in the spec and have certificates that have not ended
are there too: they are "still in" until an apply has revoked them. With
--expiring, only certificates of the CA and of users are printed that end within
that time or have ended, and it ends with 2 if there are any.

No byte is changed, no lock is taken and no secret is read: whether files open,
plan and verify tell. It reads db/, which only the owner of the output directory
can: a job for monitoring runs as that user. Beside text, json and yaml there
are --format csv and --format prometheus, for the textfile collector of the node
exporter.`,
		Example: `  mtlsplan status
  mtlsplan status --expiring 30d              # 2: somebody's certificate ends
  mtlsplan status bea                         # has she got her newest file?
  mtlsplan status staff.hcl 'user.a*' --state expiring
  mtlsplan status --format csv --group sales > sales.csv
  mtlsplan status --format prometheus --out /var/lib/node_exporter/mtlsplan.prom`,
		Annotations:       map[string]string{moreFormats: "csv prometheus"},
		ValidArgsFunction: a.completeStatus,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.status(cmd, args, f)
		},
	}
	addDate(cmd, &f.at)
	flags := cmd.Flags()
	flags.StringVar(&f.expiring, "expiring", "", "print only certificates that end within `DURATION`, as in 30d, or have ended; exit with 2 if there are any")
	flags.StringSliceVar(&f.states, "state", nil, "print only owners in this `STATE`: "+strings.Join(stateNames(), ", ")+"; may be repeated")
	flags.StringSliceVar(&f.groups, "group", nil, "print only users of this `GROUP` of the spec; may be repeated")
	flags.StringVarP(&f.out, "out", "o", "", "write to `FILE`, which is replaced whole, so that nobody reads half of it, if it is an earlier answer")
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(stateNames(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func stateNames() (names []string) {
	for _, w := range plan.States() {
		names = append(names, w.Name)
	}
	return names
}

func (a *app) status(cmd *cobra.Command, args []string, f statusFlags) error {
	file, names := fileAndNames(args)
	cfg, err := a.loadSpec(cmd.Context(), file)
	if err != nil {
		return err
	}
	opt, err := a.options(cfg, runFlags{at: f.at}, "status")
	if err != nil {
		return err
	}
	if f.expiring != "" {
		if f.soon, err = spec.ParseDuration(f.expiring); err != nil {
			return usageError("--expiring %q: %w", f.expiring, err)
		}
	}
	if f.patterns, err = patterns("status", names); err != nil {
		return err
	}
	for _, state := range f.states {
		if !slices.Contains(stateNames(), state) {
			return usageError("--state %q: give %s", state, orList(stateNames()))
		}
	}
	if f.out != "" {
		if err := checkEarlier(f.out, "answer of mtlsplan status", "choose another name, or move it away", ui.StatusHeads...); err != nil {
			return err
		}
	}
	bar := a.progress(&opt)
	s, err := engine.Status(cmd.Context(), cfg, opt, f.soon)
	bar.Close()
	if err != nil {
		return interruption(cmd, err, "interrupted")
	}
	all := s.Owners
	if err := f.filter(s, cfg); err != nil {
		return err
	}
	if err := a.printStatus(s, f.out); err != nil {
		return err
	}
	if f.expiring != "" && slices.ContainsFunc(all, func(o plan.OwnerStatus) bool { return f.ends(s.At, o) && f.shows(s, o) }) {
		return exitStatus(exitPending)
	}
	return nil
}

// filter leaves the owners that were asked for. An owner, a pattern or a group that
// nobody has is an error.
func (f *statusFlags) filter(s *plan.Status, cfg *spec.Config) error {
	known := make([]plan.Owner, 0, len(s.Owners))
	for _, o := range s.Owners {
		known = append(known, o.Owner)
	}
	for i, pattern := range f.patterns {
		fits := func(o plan.Owner) bool { return o.Fits(pattern) }
		if slices.ContainsFunc(known, fits) {
			continue
		}
		if pattern.IsPattern() {
			return plan.Errorf(plan.UnknownOwner, "%q: no owner in %s or its CA database fits this pattern", pattern, cfg.File)
		}
		var named []plan.Owner
		for _, o := range known {
			if kind, name, _ := strings.Cut(string(o), "."); name == string(pattern) && kind != "crl" {
				named = append(named, o)
			}
			if all := o.Person() + plan.DeviceSign + "*"; o.IsDevice() && (o.Person() == pattern || o.Person() == plan.User(string(pattern))) && !slices.Contains(named, all) {
				named = append(named, all)
			}
		}
		switch len(named) {
		case 0:
			return plan.Errorf(plan.UnknownOwner, "neither %s nor its CA database has an owner %q%s", cfg.File, pattern, didYouMean(closest(string(pattern), known)))
		case 1:
			f.patterns[i] = named[0]
		default:
			return plan.Errorf(plan.UnknownOwner, "%q is more than one owner in %s; give %s", pattern, cfg.File, orList(named))
		}
	}
	for _, group := range f.groups {
		found := false
		for _, of := range s.Groups {
			found = found || slices.Contains(of, group)
		}
		if !found {
			return usageError("--group %q: no user in %s is in this group", group, cfg.File)
		}
	}
	s.Owners = slices.DeleteFunc(slices.Clone(s.Owners), func(o plan.OwnerStatus) bool {
		return !f.shows(s, o) || f.expiring != "" && !f.ends(s.At, o)
	})
	return nil
}

// shows reports whether an owner passes the filters.
func (f *statusFlags) shows(s *plan.Status, o plan.OwnerStatus) bool {
	return (len(f.patterns) == 0 || slices.ContainsFunc(f.patterns, o.Owner.Fits)) &&
		(len(f.states) == 0 || slices.Contains(f.states, o.State)) &&
		(len(f.groups) == 0 || slices.ContainsFunc(f.groups, func(g string) bool { return slices.Contains(s.Groups[o.Owner], g) }))
}

// ends reports whether a certificate is one for --expiring: the CA's, or that of a user
// who gets in with it, whether that is meant to be or not.
func (f *statusFlags) ends(now time.Time, o plan.OwnerStatus) bool {
	return o.Serial != "" && o.NotAfter != nil && (o.State != plan.StateRevoked || o.StillIn) && !o.NotAfter.After(now.Add(f.soon))
}

func (a *app) printStatus(s *plan.Status, out string) error {
	var text bytes.Buffer
	var to io.Writer = a.stdout
	if out != "" {
		to = &text
	}
	ui.Failures(a.stderr, ui.StyleFor(a.stderr, a.lookupEnv), s.Plan.Failures)
	var err error
	switch a.format {
	case "csv":
		_, err = to.Write(ui.StatusCSV(s))
	case "prometheus":
		_, err = to.Write(ui.StatusMetrics(s))
	case "text":
		ui.Notes(a.stderr, ui.StyleFor(a.stderr, a.lookupEnv), warnings(s.Plan.Notes))
		ui.Status(to, ui.StyleFor(to, a.lookupEnv), s)
	default:
		err = ui.Document(to, a.format, plan.NewStatusDocument(s))
		a.answered = err == nil && out == ""
	}
	if err != nil || out == "" {
		return err
	}
	return putWhole(out, text.Bytes(), 0o644)
}

// warnings are those of a plan that the answer of status does not give itself.
func warnings(notes []plan.Note) []plan.Note {
	return slices.DeleteFunc(slices.Clone(notes), func(n plan.Note) bool { return !n.Warning || n.Code == plan.NotDeployed })
}

// putWhole writes a file by rename, so that it is never partly written. One that is there
// keeps its mode.
func putWhole(file string, text []byte, mode fs.FileMode) error {
	if info, err := os.Stat(file); err == nil {
		if !info.Mode().IsRegular() {
			return plan.Errorf(plan.FileError, "%s is no plain file, and is not replaced", file)
		}
		return rewrite(file, text)
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*")
	if err != nil {
		return plan.Errorf(plan.FileError, "%s cannot be written: no file can be made in its directory: %w", file, cause(err))
	}
	_, err = tmp.Write(text)
	err = errors.Join(err, tmp.Chmod(mode), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		os.Remove(tmp.Name())
		return plan.Errorf(plan.FileError, "%s cannot be written: %w", file, cause(err))
	}
	return nil
}

// fileAndNames finds FILE and the OWNERs behind it: FILE is what ends in .hcl, or a
// file that is there.
func fileAndNames(args []string) (file string, names []string) {
	if len(args) > 0 && (strings.HasSuffix(args[0], ".hcl") || isFile(args[0])) {
		return args[0], args[1:]
	}
	return defaultSpec, args
}

// completeStatus offers the owners of the spec, and specs.
func (a *app) completeStatus(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	file, _ := fileAndNames(args)
	return a.completeOwners(cmd.Context(), []string{file}), cobra.ShellCompDirectiveDefault
}
