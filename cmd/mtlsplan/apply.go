package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/spf13/cobra"

	"mtlsplan/engine"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/ui"
	"mtlsplan/spec"
)

func (a *app) applyCmd() *cobra.Command {
	var flags runFlags
	var yes bool
	cmd := &cobra.Command{
		Use:   "apply [FILE|PLAN]",
		Short: "Make the output directory match the spec",
		Long: `Makes a plan, carries it out, and prints each step when its files are in place.
A second run has nothing to do. An owner that fails is left as it was, and the
others go on (exit 3). After an interruption, run apply again: it finishes the
interrupted run.

A site with a deploy block is put into place, the proxy is reloaded and then
asked who gets in. What was there before is put back when anything fails; the
exit code is 1, and the next run tries again.

From cron, where there is no such block, reload the proxy after exit codes 0, 1,
3 and 130: revocations come first, and whatever is in place fits together. After
3 everything is done but for the owners named. Where the site names copies of
files, copy them first.

At a terminal it asks before it revokes what anybody has. It never asks where
input or output is none, as in cron, in a rehearsal, with --format json, or of a
saved plan.

PLAN is a file that plan --out has saved, and that somebody has looked at since.
It is carried out as it is, with the flags that it was made with, and without a
question, also where it revokes. Where the spec, a roster or the directory has
moved on, or the plan would be another by now, nothing is changed (exit 4).

--rehearsal --at DATE works as if DATE had come, and marks the output directory
in db/rehearsal: what it holds is not for use, and no other apply or plan works
on it from then on.`,
		Example: `  mtlsplan apply
  mtlsplan apply --only user.mmuser staff.hcl
  mtlsplan apply next.plan                    # saved by plan --out next.plan
  mtlsplan apply --replace user.cem --reason keyCompromise
  mtlsplan apply --replace 'user.*'           # everybody; the old are revoked
  mtlsplan apply -q; s=$?                                         # from cron
  case $s in 0|1|3|130) nginx -t -q && systemctl reload nginx || s=1;; esac
  exit $s
  mtlsplan apply --rehearsal --at 2027-06-01 --output /tmp/rehearsal`,
		Args:              atMostOneFile,
		ValidArgsFunction: completeFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			file := specArg(args)
			saved, err := a.readSaved(cmd, file, &flags)
			if err != nil {
				return err
			}
			specFile := file
			if saved != nil {
				specFile = saved.Spec.File
			}
			cfg, src, warnings, err := a.readSpec(cmd.Context(), specFile)
			if err != nil {
				return savedElsewhere(saved, file, err)
			}
			known := func(plan.Note) bool { return false }
			if a.quiet {
				known = engine.LastRun(cfg).Told
			}
			opt, err := a.options(cfg, flags, "apply")
			if saved != nil && err == nil {
				if moved := saved.DifferentSources(src.Contents()); len(moved) > 0 {
					return plan.OutOfDate(file, moved)
				}
				opt.Saved, opt.SavedIn = saved, file
			}
			agreed := map[plan.Owner]bool{}
			if !yes && saved == nil && !flags.rehearsal && a.canAsk() {
				opt.Agreed = func(owner plan.Owner) bool { return agreed[owner] }
			}
			for _, d := range warnings {
				opt.Warnings = append(opt.Warnings, warningNote(d))
			}
			a.explain(src, slices.DeleteFunc(warnings, func(d *hcl.Diagnostic) bool { return known(warningNote(d)) }))
			if err != nil {
				return err
			}
			return a.apply(cmd, cfg, opt, known, agreed)
		},
	}
	a.addRunFlags(cmd, &flags)
	a.addVerbose(cmd)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask before somebody is revoked")
	cmd.Flags().BoolVarP(&a.quiet, "quiet", "q", false, "print only failures, changes, and the notes and warnings that the last run did not give; for cron")
	return cmd
}

// apply is the run. What is known of its notes is not said again. Whoever it was agreed
// to revoke is in agreed from then on.
func (a *app) apply(cmd *cobra.Command, cfg *spec.Config, opt engine.Options, known func(plan.Note) bool, agreed map[plan.Owner]bool) error {
	view := &ui.Apply{
		Out:        a.stdout,
		Err:        a.stderr,
		OutStyle:   ui.StyleFor(a.stdout, a.lookupEnv),
		ErrStyle:   ui.StyleFor(a.stderr, a.lookupEnv),
		Quiet:      a.documents(),
		Known:      known,
		Passphrase: passphrasePath(cfg),
	}
	if !a.quiet && !opt.Rehearsal && !ui.IsTerminal(a.stdout) { // at a terminal, next says it
		view.Give = func(done []plan.Step) string { return ui.GiveInALog(ui.ToGive(done, cfg, shortPath())) }
	}
	var watcher engine.Watcher = view
	bar := a.progress(&opt)
	if bar != nil {
		bar.Watcher, watcher = view, bar
		view.Out, view.Err = bar.Above(a.stdout), bar.Above(a.stderr)
	}
	opt.Waits = func(program string, most time.Duration) {
		fmt.Fprintf(view.Err, "interrupted: waiting for %s to end (at most %s), so that the proxy goes by whole files; interrupt again to end it\n", ui.Clean(program), most)
	}
	collectFor(len(cfg.Users), a.lookupEnv)
	report, err := engine.Apply(cmd.Context(), cfg, opt, watcher)
	bar.Close()
	for {
		unagreed, asks := errors.AsType[*engine.UnagreedError](err)
		if !asks {
			break
		}
		if err := a.ask(cmd.Context(), unagreed); err != nil {
			return err
		}
		for _, s := range unagreed.Steps {
			agreed[s.Owner] = true
		}
		opt.Now = a.now() // the answer may have taken its time, and another run may have been done
		report, err = engine.Apply(cmd.Context(), cfg, opt, watcher)
		bar.Close()
	}
	if a.quiet && err == nil && report.Plan.Empty() && len(report.Failures) == 0 &&
		!(a.documents() && slices.ContainsFunc(report.Plan.Notes, func(n plan.Note) bool { return !known(n) })) {
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
	if err != nil {
		return err
	}
	a.next(report, cfg, opt)
	switch {
	case report.Plan.Refused():
		return exitStatus(exitRefused)
	case slices.ContainsFunc(report.Failures, func(f plan.Failure) bool { return f.Code == plan.DeployFailed }):
		return exitStatus(exitFailure)
	case len(report.Failures) > 0:
		return exitStatus(exitIncomplete)
	}
	return nil
}

// progress is the bar of a run; where standard error is no terminal, a line from time to
// time; nil where nobody reads it. With --verbose, every step of the way has a line
// instead.
func (a *app) progress(opt *engine.Options) *ui.Progress {
	begin := time.Now() // for durations; nothing is decided by it
	elapsed := func() time.Duration { return time.Since(begin) }
	if a.verbose {
		opt.Trace = (&ui.Verbose{W: a.stderr, Elapsed: elapsed}).Trace
		return nil
	}
	log := !ui.Interactive(a.stderr, a.lookupEnv)
	if a.quiet || log && a.documents() {
		return nil
	}
	bar := &ui.Progress{Terminal: a.stderr, Elapsed: elapsed, Log: log}
	opt.Reading = bar.Reading
	return bar
}

// next tells a person at a terminal what is left to do.
func (a *app) next(report *engine.Report, cfg *spec.Config, opt engine.Options) {
	if a.documents() || !ui.IsTerminal(a.stdout) {
		return
	}
	lines := ui.Next(report.Done, cfg, shortPath())
	if !opt.Rehearsal {
		lines = append(lines, ui.ToGive(report.Done, cfg, shortPath())...)
	}
	ui.WhatIsLeft(a.stderr, ui.StyleFor(a.stderr, a.lookupEnv), lines)
}

// passphrasePath returns where the generated passphrase of an owner lies.
func passphrasePath(cfg *spec.Config) func(plan.Owner) string {
	short := shortPath()
	return func(owner plan.Owner) string { return short(engine.PassphraseFile(cfg, owner)) }
}

// shortPath makes a path relative to the working directory if that is shorter.
func shortPath() func(string) string {
	here, _ := os.Getwd() // without it the path stays absolute
	return func(path string) string {
		if rel, err := filepath.Rel(here, path); err == nil && len(rel) < len(path) {
			return rel
		}
		return path
	}
}
