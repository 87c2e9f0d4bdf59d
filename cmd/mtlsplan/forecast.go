package main

import (
	"time"

	"github.com/spf13/cobra"

	"mtlsplan/engine"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/ui"
)

func (a *app) forecastCmd() *cobra.Command {
	var at string
	var days int
	cmd := &cobra.Command{
		Use:   "forecast [FILE]",
		Short: "Print every renewal, CRL, CA event and import by date",
		Long: `Prints what happens from now on, if apply runs whenever something is due: every
revocation, every renewal and the import that it asks of a user, every CRL,
every event of the CA, and when superseded certificates end. A user with
"(certificate)" at import has made the key, and is given no .p12. The dates are
those of the certificates and CRLs in place; what follows a renewal comes from
the spec. No byte is changed, no lock is taken and no secret is read.

With --format ics it prints a calendar (RFC 5545) for a mail program: one event
for each day and kind, whose identifier stays the same from run to run.`,
		Example: `  mtlsplan forecast
  mtlsplan forecast staff.hcl --days 90
  mtlsplan forecast | grep 2027-03-01             # what happens on that day
  mtlsplan forecast --format ics > mattermost.ics
  mtlsplan forecast --format json | jq '.events[] | select(.event == "import")'`,
		Args:              atMostOneFile,
		Annotations:       map[string]string{moreFormats: "ics"},
		ValidArgsFunction: completeFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			const most = 36500 // days: what lies beyond that is nobody's plan
			if days < 1 || days > most {
				return usageError("--days %d: give a number of days from 1 to %d", days, most)
			}
			cfg, opt, err := a.prepared(cmd, args, runFlags{at: at})
			if err != nil {
				return err
			}
			bar := a.progress(&opt)
			events, p, err := engine.Forecast(cmd.Context(), cfg, opt, opt.Now.Add(time.Duration(days)*24*time.Hour))
			bar.Close()
			if err != nil {
				return interruption(cmd, err, "interrupted")
			}
			ui.Failures(a.stderr, ui.StyleFor(a.stderr, a.lookupEnv), p.Failures)
			switch a.format {
			case "ics":
				_, err := a.stdout.Write(ui.ForecastCalendar(cfg.CA.Name, opt.Now, events))
				return err
			case "text":
				ui.Forecast(a.stdout, ui.StyleFor(a.stdout, a.lookupEnv), p, events)
				return nil
			}
			return a.answer(plan.NewForecastDocument(events))
		},
	}
	addDate(cmd, &at)
	cmd.Flags().IntVar(&days, "days", 365, "look `N` days ahead")
	return cmd
}
