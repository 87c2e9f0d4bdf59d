package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"mtlsplan/engine"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/ui"
	"mtlsplan/spec"
)

func (a *app) applyCmd() *cobra.Command {
	var flags runFlags
	cmd := &cobra.Command{
		Use:   "apply [FILE]",
		Short: "Make the output directory match the spec",
		Long: `Makes a plan, carries it out, and prints each step when its files are in place.
A second run has nothing to do. An owner that fails is left as it was, and the
others go on (exit 3). After an interruption, run apply again: it finishes the
interrupted run.`,
		Example: `  mtlsplan apply
  mtlsplan apply --only user.mmuser staff.hcl
  mtlsplan apply --lock-timeout 30s --format json   # from cron
  mtlsplan apply --output /tmp/rehearsal --at 2027-06-01`,
		Args:              atMostOneFile,
		ValidArgsFunction: completeFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := a.loadSpec(specArg(args))
			if err != nil {
				return err
			}
			opt, err := a.options(cfg, flags, "apply")
			if err != nil {
				return err
			}
			return a.apply(cmd, cfg, opt)
		},
	}
	a.addRunFlags(cmd, &flags)
	cmd.Flags().BoolVarP(&a.quiet, "quiet", "q", false, "print nothing when there is nothing to do, and no warnings; for cron")
	return cmd
}

func (a *app) apply(cmd *cobra.Command, cfg *spec.Config, opt engine.Options) error {
	view := &ui.Apply{
		Out:        a.stdout,
		Err:        a.stderr,
		OutStyle:   ui.StyleFor(a.stdout, a.lookupEnv),
		ErrStyle:   ui.StyleFor(a.stderr, a.lookupEnv),
		Quiet:      a.documents(),
		Passphrase: passphrasePath(cfg),
	}
	var watcher engine.Watcher = view
	bar := a.progress(&opt)
	if bar != nil {
		bar.Watcher, watcher = view, bar
		view.Out, view.Err = bar.Above(a.stdout), bar.Above(a.stderr)
	}
	collectFor(len(cfg.Users), a.lookupEnv)
	report, err := engine.Apply(cmd.Context(), cfg, opt, watcher)
	bar.Close()
	if a.quiet && report != nil && report.Plan != nil && report.Plan.Empty() && len(report.Failures) == 0 && err == nil {
		return nil
	}
	if err != nil {
		err = interruption(cmd, unknownOwner(err, cfg), "interrupted: what was finished is in place; run apply again")
	}
	if report != nil && report.Plan != nil {
		view.End(report)
		if a.documents() {
			var stopped *plan.ErrorDetail
			if err != nil {
				detail := errorDetail(cmd.Context(), err)
				stopped = &detail
			}
			if err := a.answer(ui.ApplyDocument(report, stopped)); err != nil {
				return err
			}
		}
	}
	switch {
	case err != nil:
		return err
	case report.Plan.Refused():
		return exitStatus(exitRefused)
	case len(report.Failures) > 0:
		return exitStatus(exitIncomplete)
	}
	a.nextStep(report)
	return nil
}

// progress is the bar of a run, nil where standard error is no terminal.
func (a *app) progress(opt *engine.Options) *ui.Progress {
	if !ui.Interactive(a.stderr, a.lookupEnv) {
		return nil
	}
	begin := time.Now() // for the time left on the bar; nothing is decided by it
	bar := &ui.Progress{Terminal: a.stderr, Elapsed: func() time.Duration { return time.Since(begin) }}
	opt.Reading = bar.Reading
	return bar
}

// nextStep tells a person at a terminal what to give a new user.
func (a *app) nextStep(report *engine.Report) {
	if a.documents() || !ui.IsTerminal(a.stdout) {
		return
	}
	for _, s := range report.Done {
		if s.Reimport {
			fmt.Fprintln(a.stderr, "Next: give each user the .p12, and its passphrase by a different channel.")
			return
		}
	}
}

// passphrasePath returns where the generated passphrase of an owner lies,
// relative to the working directory if that is shorter.
func passphrasePath(cfg *spec.Config) func(plan.Owner) string {
	here, _ := os.Getwd() // without it the path stays absolute
	return func(owner plan.Owner) string {
		path := engine.PassphraseFile(cfg, owner)
		if rel, err := filepath.Rel(here, path); err == nil && len(rel) < len(path) {
			return rel
		}
		return path
	}
}
