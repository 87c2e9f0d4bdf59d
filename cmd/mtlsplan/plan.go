package main

import (
	"io"

	"github.com/spf13/cobra"

	"mtlsplan/engine"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/ui"
)

func (a *app) planCmd() *cobra.Command {
	var flags runFlags
	var detailed, diff, noSecrets bool
	var out string
	cmd := &cobra.Command{
		Use:   "plan [FILE]",
		Short: "Print what apply would do, and change nothing",
		Long: `Compares the spec with the output directory and prints every step that apply
would take, with its reasons. No byte is changed.

--out FILE also saves the plan, for somebody to look at before apply FILE
carries out just that. It holds no secret. Beside text, json and yaml there is
--format markdown, a comment for a pull request.

--without-secrets is for a job that has none, such as one for a pull request:
what is encrypted is taken for what it should be, and no passphrase is asked
for. A lost or changed passphrase is not found.

Symbols:
` + ui.Legend() + `.`,
		Example: `  mtlsplan plan
  mtlsplan plan --at 2027-06-01 staff.hcl     # what would be due then
  mtlsplan plan --detailed-exitcode           # 2: changes are pending
  mtlsplan plan --diff                        # what changes in sites
  mtlsplan plan --out next.plan && mtlsplan apply next.plan
  mtlsplan plan --diff --format markdown > comment.md
  mtlsplan plan --without-secrets             # in a job for a pull request
  mtlsplan plan --format json | jq .summary`,
		Annotations:       map[string]string{moreFormats: "markdown"},
		Args:              atMostOneFile,
		ValidArgsFunction: completeFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, src, warnings, err := a.readSpec(cmd.Context(), specArg(args))
			a.explain(src, warnings)
			if err != nil {
				return err
			}
			opt, err := a.options(cfg, flags, "plan")
			if err != nil {
				return err
			}
			if noSecrets && out != "" {
				return usageError("--out with --without-secrets: such a plan does not say what apply would do with them; leave out one of the two")
			}
			opt.NoSecrets = noSecrets
			if err := a.checkSaving(cmd.Context(), out, flags); err != nil {
				return err
			}
			bar := a.progress(&opt)
			var p *plan.Plan
			var basis *plan.Basis
			if out == "" {
				p, err = engine.NewPlan(cmd.Context(), cfg, opt)
			} else {
				p, basis, err = engine.PlanToSave(cmd.Context(), cfg, opt)
			}
			bar.Close()
			if err != nil {
				return interruption(cmd, unknownOwner(err, cfg), "interrupted")
			}
			if diff {
				if err := addDiffs(p); err != nil {
					return err
				}
			}
			if out != "" {
				if err := a.savePlan(out, plan.NewSavedPlan(p, basis, src.Contents(), a.savedFlags(flags, opt))); err != nil {
					return err
				}
			}
			if err := a.printPlan(p); err != nil {
				return err
			}
			return planExit(p, detailed)
		},
	}
	a.addRunFlags(cmd, &flags)
	a.addVerbose(cmd)
	cmd.Flags().BoolVar(&diff, "diff", false, "show what changes in sites, as a unified diff: on the proxy's host where there is a deploy block, else in the output directory")
	cmd.Flags().StringVarP(&out, "out", "o", "", "save the plan in `FILE`, for apply FILE")
	cmd.Flags().BoolVar(&noSecrets, "without-secrets", false, "read no secret, and take what is encrypted for what it should be")
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit with 2 when changes are pending")
	return cmd
}

// addDiffs puts into a plan what it changes in sites.
func addDiffs(p *plan.Plan) error {
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.Site == nil {
			continue
		}
		var err error
		if s.Diff, err = ui.Diff(s.Site.Path, s.Site.Before, s.Site.After); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) printPlan(p *plan.Plan) error {
	ui.Failures(a.stderr, ui.StyleFor(a.stderr, a.lookupEnv), p.Failures)
	if a.documents() {
		return a.answer(plan.NewPlanDocument(p))
	}
	if a.format == "markdown" {
		_, err := io.WriteString(a.stdout, ui.PlanMarkdown(p))
		return err
	}
	ui.Notes(a.stderr, ui.StyleFor(a.stderr, a.lookupEnv), p.Notes)
	ui.Plan(a.stdout, ui.StyleFor(a.stdout, a.lookupEnv), p)
	return nil
}

// planExit is how a plan ends. Of several codes that hold the gravest wins: 4
// over 3 over 2.
func planExit(p *plan.Plan, detailed bool) error {
	switch {
	case p.Refused():
		return exitStatus(exitRefused)
	case len(p.Failures) > 0:
		return exitStatus(exitIncomplete)
	case detailed && !p.Empty():
		return exitStatus(exitPending)
	}
	return nil
}

// interruption says in plain words that a signal ended the run, if it was one.
func interruption(cmd *cobra.Command, err error, message string) error {
	if cmd.Context().Err() == nil {
		return err
	}
	return plan.Errorf(plan.Interrupted, "%s", message)
}
