package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"mtlsplan/engine"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/ui"
)

func (a *app) reportCmd() *cobra.Command {
	var at, out string
	var overwrite bool
	cmd := &cobra.Command{
		Use:   "report [FILE] -o F.html",
		Short: "Write everything as one page for a browser",
		Long: `Writes one page that needs no network: the life of the CA and its CRL, a timeline
of all certificates, a table to search and to sort, who must be given a new .p12
or certificate and when, and what is wrong. It can be printed, and mailed to
whoever may know the users' names and addresses.

Only F.html is changed, whole and at once; no lock is taken and no secret is
read. A new file has the mode 0600. A file that is no report is replaced with
--overwrite alone.`,
		Example: `  mtlsplan report -o report.html
  mtlsplan report staff.hcl -o next-month.html --at +30d`,
		Args:              atMostOneFile,
		ValidArgsFunction: completeFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" {
				return usageError("report: name the page to write, as in -o report.html")
			}
			toStdout := out == "-"
			if toStdout && a.documents() {
				return usageError("report: -o - prints the page itself, and knows no --format; name a file for the page")
			}
			if !overwrite && !toStdout {
				if err := checkEarlier(out, "report of mtlsplan", "choose another name, or say --overwrite", ui.ReportMark); err != nil {
					return err
				}
			}
			cfg, opt, err := a.prepared(cmd, args, runFlags{at: at})
			if err != nil {
				return err
			}
			bar := a.progress(&opt)
			s, events, err := engine.Overview(cmd.Context(), cfg, opt, opt.Now.Add(ui.ReportDays*24*time.Hour))
			bar.Close()
			if err != nil {
				return interruption(cmd, err, "interrupted")
			}
			page := ui.Report(cfg.CA.Name, s, events)
			if toStdout {
				ui.Failures(a.stderr, ui.StyleFor(a.stderr, a.lookupEnv), s.Plan.Failures)
				_, err := a.stdout.Write(page)
				return err
			}
			if err := putWhole(out, page, 0o600); err != nil {
				return err
			}
			ui.Failures(a.stderr, ui.StyleFor(a.stderr, a.lookupEnv), s.Plan.Failures)
			if a.documents() {
				return a.answer(plan.ReportDocument{FormatVersion: plan.FormatVersion, At: plan.Seconds(s.At), File: out, Owners: len(s.Owners), Failures: plan.List(s.Plan.Failures)})
			}
			_, err = fmt.Fprintf(a.stdout, "Wrote %s. %s\n", ui.Clean(out), ui.StatusTotals(s))
			return err
		},
	}
	addDate(cmd, &at)
	cmd.Flags().StringVarP(&out, "out", "o", "", "write the page to `FILE`, which is replaced whole; - for standard output")
	cmd.Flags().BoolVar(&overwrite, "overwrite", false, "replace FILE even if it is no report of mtlsplan")
	_ = cmd.MarkFlagFilename("out", "html")
	return cmd
}
