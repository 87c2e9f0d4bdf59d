package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// exitDoc is one row of the table of exit codes.
type exitDoc struct {
	code int
	doc  string
}

// exitDocs are all exit codes.
var exitDocs = []exitDoc{
	{exitDone, "done, or nothing to do"},
	{exitFailure, "failure, including wrong flags or arguments; the message says what to do"},
	{exitPending, "changes are pending (plan --detailed-exitcode, fmt --check), a certificate ends (status --expiring), or something is wrong (verify, doctor)"},
	{exitIncomplete, "incomplete: an owner failed or cannot be judged or proven; everything else is done and safe"},
	{exitRefused, "refused: a step must not be applied, or a saved plan is out of date, so nothing was changed"},
	{exitInvalid, "the spec is invalid"},
	{exitLocked, "another run holds the lock; the message names it"},
	{exitInterrupt, "interrupted, cleanly; run apply again"},
}

func exitText() string {
	var b strings.Builder
	for _, e := range exitDocs {
		fmt.Fprintf(&b, "  %3d  %s\n", e.code, folded(e.doc, len("  130  ")))
	}
	return b.String() + "\n" + exitOrder
}

// folded breaks a text that begins at a column between its words, so that a line has 80
// columns at most.
func folded(text string, column int) string {
	var b strings.Builder
	at := column
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case at+1+len(word) > 80:
			b.WriteString("\n" + strings.Repeat(" ", column))
			at = column
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += len(word)
	}
	return b.String()
}

// questions are those of every week, and the commands that answer them.
var questions = []struct{ question, command string }{
	{"Who expires next month?", "mtlsplan status --expiring 31d"},
	{"Who has left and still gets in?", "mtlsplan status                # on top"},
	{"Has Bea got her newest file?", "mtlsplan status bea            # GIVEN"},
	{"Which files are hers, since when?", "mtlsplan show bea"},
	{"Who waits? Hand it out to them.", "mtlsplan handout --pending -o DIR"},
	{"What is in her certificate?", "mtlsplan show bea"},
	{"Why does Cem get a new key?", "mtlsplan explain cem"},
	{"What happens on the first of March?", "mtlsplan forecast | grep 2027-03-01"},
	{"What does my change do to NGINX?", "mtlsplan plan --diff"},
	{"Is anything wrong with the files?", "mtlsplan verify"},
	{"How do I renew everybody now?", "mtlsplan apply --replace 'user.*'"},
}

func questionText() string {
	var b strings.Builder
	for _, q := range questions {
		fmt.Fprintf(&b, "  %-37s%s\n", q.question, q.command)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

const exitOrder = "If several apply, 4 wins over 3, and 3 over 2; with verify, 2 wins over 3."

// usage is the template of every command's help, below its description. The first %s is
// the list of questions, the second the table of exit codes.
const usage = `Usage:
  {{if .HasAvailableSubCommands}}{{.CommandPath}} COMMAND{{else}}{{.UseLine}}{{end}}{{if .HasExample}}

Examples:
{{.Example}}{{end}}{{if .HasAvailableSubCommands}}

Commands:{{range .Commands}}{{if or .IsAvailableCommand (eq .Name "help")}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}{{if not .HasParent}}

Questions, and what answers them:
%s{{end}}{{if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsagesWrapped 80 | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableInheritedFlags}}

Flags of every command:
{{.InheritedFlags.FlagUsagesWrapped 80 | trimTrailingWhitespaces}}{{end}}{{if not .HasParent}}

Exit codes:
%s{{end}}
`

// dress gives the command tree its help, and its errors a remedy.
func (a *app) dress(root *cobra.Command) {
	cobra.EnableCommandSorting = false
	root.SetUsageTemplate(fmt.Sprintf(usage, questionText(), exitText()))
	root.SetFlagErrorFunc(flagError)
	help := a.helpCmd()
	root.SetHelpCommand(help)
	_ = root.RegisterFlagCompletionFunc("format", func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return formatsOf(cmd), cobra.ShellCompDirectiveNoFileComp
	})
	for _, cmd := range append(root.Commands(), root, help) {
		cmd.DisableFlagsInUseLine = true
		cmd.Args = withRemedy(cmd.Args)
		cmd.Flags().BoolP("help", "h", false, "print this help")
	}
	root.Args = unknownCommand
}

// remedy ends an error about the command line with a likely correction, or with
// the command that explains more.
func remedy(cmd *cobra.Command, text string, near []string) error {
	if len(near) > 0 {
		return usageError("%s; did you mean %s?", text, orList(near))
	}
	return usageError("%s; see %q", text, cmd.CommandPath()+" --help")
}

func withRemedy(args cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		if args == nil {
			return nil
		}
		if err := args(cmd, given); err != nil {
			return remedy(cmd, cmd.Name()+": "+err.Error(), nil)
		}
		return nil
	}
}

func flagError(cmd *cobra.Command, err error) error {
	var near []string
	if name, ok := strings.CutPrefix(err.Error(), "unknown flag: --"); ok {
		near = nearestFlags(cmd, name)
	}
	message := err.Error()
	if bad, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		if want := wanted[bad.GetFlag().Value.Type()]; want != "" {
			message = fmt.Sprintf("--%s %q: give %s", bad.GetFlag().Name, bad.GetValue(), want)
		}
	}
	return remedy(cmd, message, near)
}

// wanted describes the values of a flag by its type.
var wanted = map[string]string{
	"int":      "a whole number",
	"duration": "a duration, as in 30s",
	"bool":     "true or false",
}

// nearestFlags are the flags that are nearest to a name, at most two typing errors away.
func nearestFlags(cmd *cobra.Command, name string) (near []string) {
	least := 2
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		d := levenshtein.Distance(name, f.Name, nil)
		if d < least {
			near, least = nil, d
		}
		if d == least {
			near = append(near, "--"+f.Name)
		}
	})
	return near
}

// unknownCommand refuses an argument of the root that is no command.
func unknownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	root.SuggestionsMinimumDistance = 2
	return remedy(root, fmt.Sprintf("unknown command %q", args[0]), root.SuggestionsFor(args[0]))
}

func (a *app) helpCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Print the help of a command",
		Long:    "Prints the help of a command, or of all.",
		Example: "  mtlsplan help apply",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("takes at most one COMMAND, not %d", len(args))
			}
			return nil
		},
		ValidArgsFunction: func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, c := range cmd.Root().Commands() {
				names = append(names, c.Name())
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			topic, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return unknownCommand(cmd.Root(), args)
			}
			return topic.Help()
		},
	}
}

func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("takes no argument, not %q", args[0])
	}
	return nil
}

func atMostOneFile(_ *cobra.Command, args []string) error {
	if len(args) > 1 {
		return fmt.Errorf("takes at most one FILE, not %d", len(args))
	}
	return nil
}

func atMostFileAndName(_ *cobra.Command, args []string) error {
	if len(args) > 2 {
		return fmt.Errorf("takes at most one FILE and one NAME, not %d arguments", len(args))
	}
	return nil
}

func completeFile(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"hcl"}, cobra.ShellCompDirectiveFilterFileExt
}
