package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"mtlsplan/engine"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/ui"
)

// app is one run: the process it lives in and the flags that every command has.
type app struct {
	process
	started time.Time // now, read once; try reads it at each visit, too, and apply after a question
	output  string    // --output: instead of the spec's, relative to the working directory
	format  string    // --format: text, json or yaml
	quiet   bool      // --quiet of apply and handout: no progress; of apply, nothing that the last run has said, and nothing where there is nothing to do

	verbose bool // --verbose of plan and apply

	answered bool // a document has been written
}

// exitStatus ends a run that has said everything with a status.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit %d", int(e)) }

const defaultSpec = "mtlsplan.hcl"

// specArg is the FILE of a command that takes at most one.
func specArg(args []string) string {
	if len(args) == 0 {
		return defaultSpec
	}
	return args[0]
}

func (a *app) rootCmd() *cobra.Command {
	var version bool
	root := &cobra.Command{
		Use:   "mtlsplan",
		Short: "Client certificates for the users of a service, and the proxy that asks for them",
		Long: `One HCL file says who may reach a service through mutual TLS. apply makes an
output directory match it: a certificate authority, and for every user a key, a
certificate and a password-protected .p12; the CRL; and the proxy's site.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if version {
				return a.version()
			}
			return cmd.Help()
		},
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.PersistentFlags().StringVar(&a.output, "output", "", "use this output `DIR` instead of the spec's")
	root.PersistentFlags().StringVar(&a.format, "format", "text", "`FORMAT` of answers: text, json or yaml")
	root.Flags().BoolVar(&version, "version", false, "print the version")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if cmd.Flags().Changed("output") && a.output == "" {
			return usageError("--output is empty: give a directory, or leave the flag out to use the spec's; perhaps a variable in a script is not set")
		}
		if name := emptyFlag(cmd); name != "" {
			return usageError("--%s is empty: give a value, or leave the flag out; perhaps a variable in a script is not set", name)
		}
		if formats := formatsOf(cmd); !slices.Contains(formats, a.format) {
			return usageError("--format %q: give %s", a.format, orList(formats))
		}
		return nil
	}
	for _, c := range a.commands() {
		root.AddCommand(c)
	}
	a.dress(root)
	return root
}

// emptyFlag is the name of a flag that was given without a value, "" for none. Such a
// flag would be taken for one that was left out.
func emptyFlag(cmd *cobra.Command) string {
	name := ""
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if kind := f.Value.Type(); name == "" && (kind == "string" && f.Value.String() == "" || kind == "stringSlice" && f.Value.String() == "[]") {
			name = f.Name
		}
	})
	return name
}

// moreFormats is the annotation of a command that answers in more formats than others
// do: their names.
const moreFormats = "formats"

// formatsOf are the formats in which a command answers.
func formatsOf(cmd *cobra.Command) []string {
	return append([]string{"text", "json", "yaml"}, strings.Fields(cmd.Annotations[moreFormats])...)
}

// run is the whole program but for the process it lives in.
func run(ctx context.Context, args []string, p process) int {
	out := &ui.Output{W: p.stdout}
	p.stdout = out
	a := &app{process: p, started: p.now()}
	root := a.rootCmd()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if !root.PersistentFlags().Changed("format") {
		a.format = formatIn(args) // an error may have come before the flag was read
	}
	// A reader that has what it wanted (forecast | head -1) is no failure: what the run itself
	// has come to counts.
	if out.Err != nil && !errors.Is(out.Err, syscall.EPIPE) && (err == nil || is[exitStatus](err)) {
		err = fmt.Errorf("standard output: %w", out.Err)
	}
	return a.end(ctx, err)
}

// end says what is left to be said of an error, and returns the exit status. To
// people it goes on standard error. To scripts it is a document, unless the
// command has put it into its own; standard error then has one line, for a log.
func (a *app) end(ctx context.Context, err error) int {
	if err == nil {
		return exitDone
	}
	if status, ok := errors.AsType[exitStatus](err); ok {
		return int(status)
	}
	detail := errorDetail(ctx, err)
	if bad, ok := errors.AsType[*specError](err); ok && !a.documents() {
		a.explain(bad.src, bad.diags)
	} else {
		ui.Error(a.stderr, detail.Message)
	}
	if a.documents() && !a.answered {
		_ = a.answer(plan.ErrorDocument{FormatVersion: plan.FormatVersion, Error: detail}) // standard output keeps its error
	}
	return statusOf(detail.Code)
}

// documents reports whether answers are documents and not text.
func (a *app) documents() bool { return a.format == "json" || a.format == "yaml" }

// answer writes the document that answers a command.
func (a *app) answer(document any) error {
	a.answered = true
	return ui.Document(a.stdout, a.format, document)
}

// formatIn looks for --format in a command line that could not be read.
func formatIn(args []string) string {
	format := "text"
	for i, arg := range args {
		if arg == "--" {
			break
		}
		if value, ok := strings.CutPrefix(arg, "--format="); ok {
			format = value
		} else if arg == "--format" && i+1 < len(args) {
			format = args[i+1]
		}
	}
	return format
}

// errorDetail is what an error is to scripts.
func errorDetail(ctx context.Context, err error) plan.ErrorDetail {
	detail := plan.ErrorDetail{Code: errorCode(ctx, err), Message: strings.TrimRight(err.Error(), "\n")}
	if bad, ok := errors.AsType[*specError](err); ok {
		detail.Diagnostics = ui.Diagnostics(bad.diags)
	}
	return detail
}

// errorCode is the only place where an error becomes a code.
func errorCode(ctx context.Context, err error) plan.Code {
	coded := plan.CodeOf(err)
	switch {
	case coded == plan.SpecInvalid, coded == plan.Interrupted:
		return coded
	case is[*engine.LockedError](err):
		return plan.Locked
	case ctx.Err() != nil:
		return plan.Interrupted
	case coded != plan.Failed:
		return coded
	case is[*engine.UnknownOwnerError](err):
		return plan.UnknownOwner
	case is[*fs.PathError](err), is[*os.LinkError](err), is[*os.SyscallError](err):
		return plan.FileError
	}
	return plan.Failed
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// statusOf is the only place where a code becomes an exit status.
func statusOf(code plan.Code) int {
	switch code {
	case plan.SpecInvalid:
		return exitInvalid
	case plan.Outdated, plan.Refused:
		return exitRefused
	case plan.Locked:
		return exitLocked
	case plan.Interrupted:
		return exitInterrupt
	}
	return exitFailure
}

// usageError says what is wrong with the command line.
func usageError(format string, args ...any) error {
	return plan.Errorf(plan.Usage, format, args...)
}
