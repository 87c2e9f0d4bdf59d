package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"mtlsplan/engine"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/ui"
	"mtlsplan/spec"
)

func (a *app) verifyCmd() *cobra.Command {
	var at, connect, user, echo string
	cmd := &cobra.Command{
		Use:   "verify [FILE]",
		Short: "Prove that the directory is whole, and that the proxy goes by it",
		Long: `Reads every byte of the output directory, and trusts neither the cache nor what
an earlier run has found. It proves the signatures of all certificates and CRLs,
that keys, requests and .p12 files open and belong together, and that files, CA
database, CRL and sites agree with each other and with the spec. A TLS server
in the process then has to let every user in, and nobody who is revoked. What is
only due to be renewed is not wrong. No byte is changed, and apply may run
beside it. Files in db/retired are out of use and not read, except keys of
earlier CA generations that still sign a CRL.

With --connect the proxy that runs there is asked too: which CAs it announces,
whether it serves the site in the directory, and whether it lets the right
people in, over TLS 1.2 and 1.3, with new sessions and resumed ones. Sent are a
client without a certificate, one with a certificate that no CA has signed, and,
where a key opens, somebody who is revoked, whose certificate has expired, and
who must get in. HOST may be one of the site's names; of an address the sites
are asked that listen on the port. The server's own certificate is not judged.
What is wrong is told with what it means and what to do. With --echo, forged
headers that tell the application who came are sent, too, and must not reach it.

It ends with 2 if something is wrong, and with 3 if nothing is, but a passphrase
cannot be had, so that the rest is not proven. If nobody answers at HOST:PORT it
ends with 1, and nothing is checked.`,
		Example: `  mtlsplan verify                              # is anything wrong?
  mtlsplan verify staff.hcl --at +30d          # what will be wrong then
  mtlsplan verify --connect 127.0.0.1:443 --user ada
  mtlsplan verify --format json | jq '.checks[] | select(.ok | not)'`,
		Args:              atMostOneFile,
		ValidArgsFunction: completeFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch flags := cmd.Flags(); {
			case flags.Changed("user") && connect == "":
				return usageError("--user goes with --connect: it names who must get in there")
			case flags.Changed("echo") && connect == "":
				return usageError("--echo goes with --connect: it names a page of the application there")
			case flags.Changed("echo") && !strings.HasPrefix(echo, "/"):
				return usageError("--echo is the path of a page, and begins with /")
			case strings.ContainsFunc(echo, func(r rune) bool { return r <= ' ' || r > '~' }):
				return usageError("--echo is a path as a request has it: write blanks, and what is not ASCII, as %%20 and so on")
			case flags.Changed("connect") && at != "":
				return usageError("--connect asks the proxy as it is now: leave out --at")
			case flags.Changed("connect") && connect == "":
				return usageError("--connect is empty: give host and port; perhaps a variable in a script is not set")
			}
			cfg, opt, err := a.prepared(cmd, args, runFlags{at: at})
			if err != nil {
				return err
			}
			var running []plan.Check
			var notes []plan.Note
			if connect != "" {
				if running, notes, err = a.connect(cmd, cfg, opt, connect, user, echo); err != nil {
					return interruption(cmd, err, "interrupted")
				}
			}
			bar := a.progress(&opt)
			checks, err := engine.Verify(cmd.Context(), cfg, opt)
			bar.Close()
			if err != nil {
				return interruption(cmd, err, "interrupted")
			}
			all := slices.Concat(running, checks)
			if a.documents() {
				slices.SortStableFunc(all, func(a, b plan.Check) int { return rankOf(a) - rankOf(b) })
				err = a.answer(plan.NewChecksDocument(all))
			} else {
				style := ui.StyleFor(a.stdout, a.lookupEnv)
				ui.Verified(a.stdout, style, checks)
				if connect != "" {
					ui.Connected(a.stdout, style, connect, running, notes)
				}
			}
			if err != nil {
				return err
			}
			return verifyExit(all)
		},
	}
	addDate(cmd, &at)
	cmd.Flags().StringVar(&connect, "connect", "", "ask the proxy that runs at this `HOST:PORT`, too")
	cmd.Flags().StringVar(&user, "user", "", "with --connect: `NAME` of the user who must get in; left out, any whose key opens")
	cmd.Flags().StringVar(&echo, "echo", "", "with --connect: `PATH` of a page of the application that shows the headers of its request")
	return cmd
}

// connect asks the proxy that runs.
func (a *app) connect(cmd *cobra.Command, cfg *spec.Config, opt engine.Options, address, user, echo string) ([]plan.Check, []plan.Note, error) {
	var owner plan.Owner
	if user != "" {
		owner = plan.User(strings.TrimPrefix(user, "user."))
	}
	checks, notes, err := engine.Connect(cmd.Context(), cfg, opt, address, owner, echo)
	if unknown, ok := errors.AsType[*engine.UnknownOwnerError](err); ok {
		err = noSuchOwner("--user", unknown.Owner, cfg)
	}
	return checks, notes, err
}

// rankOf puts the checks that fail first.
func rankOf(c plan.Check) int {
	if c.OK {
		return 1
	}
	return 0
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
