package main

import (
	"github.com/spf13/cobra"

	"mtlsplan/engine"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/ui"
)

func (a *app) verifyCmd() *cobra.Command {
	var at string
	cmd := &cobra.Command{
		Use:   "verify [FILE]",
		Short: "Prove that the output directory is whole",
		Long: `Reads every byte of the output directory, and trusts neither the cache nor what
an earlier run has found. It proves the signatures of all certificates and CRLs,
that keys, requests and .p12 files open and belong together, and that files, CA
database, CRL and sites agree with each other and with the spec. A TLS server
in the process then has to let every user in, and nobody who is revoked. What is
only due to be renewed is not wrong. No byte is changed, and apply may run
beside it. Files in db/retired are out of use and not read, except keys of
earlier CA generations that still sign a CRL.

It ends with 2 if something is wrong, and with 3 if nothing is, but a passphrase
cannot be had, so that the rest is not proven.`,
		Example: `  mtlsplan verify
  mtlsplan verify staff.hcl --at +30d          # what will be wrong then
  mtlsplan verify --format json | jq '.checks[] | select(.ok | not)'`,
		Args:              atMostOneFile,
		ValidArgsFunction: completeFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, opt, err := a.prepared(cmd, args, runFlags{at: at})
			if err != nil {
				return err
			}
			bar := a.progress(&opt)
			checks, err := engine.Verify(cmd.Context(), cfg, opt)
			bar.Close()
			if err != nil {
				return interruption(cmd, err, "interrupted")
			}
			if a.documents() {
				err = a.answer(plan.NewChecksDocument(checks))
			} else {
				ui.Verified(a.stdout, ui.StyleFor(a.stdout, a.lookupEnv), checks)
			}
			if err != nil {
				return err
			}
			return verifyExit(checks)
		},
	}
	addDate(cmd, &at)
	return cmd
}

// verifyExit is how a proof ends: something that is wrong weighs more than something
// that is not proven.
func verifyExit(checks []plan.Check) error {
	var end error
	for _, c := range checks {
		switch {
		case c.OK:
		case c.Unproven:
			end = exitStatus(exitIncomplete)
		default:
			return exitStatus(exitPending)
		}
	}
	return end
}
