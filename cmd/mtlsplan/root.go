package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mtlsplan/engine"
	"mtlsplan/internal/ui"
)

// app is one run: the process it lives in and the flags that every command has.
type app struct {
	process
	started time.Time // now, read once
	output  string    // --output: instead of the spec's, relative to where one stands
	format  string    // --format: text, json or yaml
	quiet   bool      // --quiet of apply: no warnings of the spec, nothing where there is nothing to do
}

// exitError ends a run with a code. A nil err means that everything there is
// to say has been said.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e exitError) Unwrap() error { return e.err }

const defaultSpec = "mtlsplan.hcl"

// specArg is the FILE of a command that takes at most one.
func specArg(args []string) string {
	if len(args) == 0 {
		return defaultSpec
	}
	return args[0]
}

func (a *app) rootCmd() *cobra.Command {
	root := &cobra.Command{
		Use:   "mtlsplan",
		Short: "Client certificates for everyone who may come in, and the proxy that asks for them",
		Long: `One HCL file says who may reach a service through mutual TLS. apply makes an
output directory match it: a certificate authority, and for every user a key, a
certificate and a password-protected .p12; the CRL; and the proxy's site.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.PersistentFlags().StringVar(&a.output, "output", "", "use this output `DIR` instead of the spec's")
	root.PersistentFlags().StringVar(&a.format, "format", "text", "`FORMAT` of answers: text, json or yaml")
	root.Version = thisBuild().String()
	root.SetVersionTemplate("{{.Version}}")
	root.Flags().Bool("version", false, "print the version")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if cmd.Flags().Changed("output") && a.output == "" {
			return errors.New("--output is empty: give a directory; an empty variable in a script would have meant the spec's own")
		}
		switch a.format {
		case "text", "json", "yaml":
			return nil
		}
		return fmt.Errorf("--format %q: give text, json or yaml", a.format)
	}
	for _, c := range a.commands() {
		root.AddCommand(c)
	}
	a.dress(root)
	return root
}

// run is the whole program but for the process it lives in.
func run(ctx context.Context, args []string, p process) int {
	out := &ui.Output{W: p.stdout}
	p.stdout = out
	a := &app{process: p, started: p.now()}
	root := a.rootCmd()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if out.Err != nil && errorText(err) == "" {
		err = fmt.Errorf("standard output: %w", out.Err)
	}
	code := exitCode(ctx, err)
	if text := errorText(err); text != "" {
		ui.Error(a.stderr, text)
	}
	return code
}

// exitCode is the only place where an error becomes a code.
func exitCode(ctx context.Context, err error) int {
	var exit exitError
	var locked *engine.LockedError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &exit):
		return exit.code
	case errors.As(err, &locked):
		return exitLocked
	case ctx.Err() != nil:
		return exitInterrupt
	}
	return exitFailure
}

func errorText(err error) string {
	var exit exitError
	if err == nil || errors.As(err, &exit) && exit.err == nil {
		return ""
	}
	return strings.TrimRight(err.Error(), "\n")
}
