package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// shells are those that there is completion for.
var shells = []struct {
	name  string
	write func(root *cobra.Command, w io.Writer) error
}{
	{"bash", func(root *cobra.Command, w io.Writer) error { return root.GenBashCompletionV2(w, true) }},
	{"zsh", func(root *cobra.Command, w io.Writer) error { return root.GenZshCompletion(w) }},
	{"fish", func(root *cobra.Command, w io.Writer) error { return root.GenFishCompletion(w, true) }},
	{"powershell", func(root *cobra.Command, w io.Writer) error { return root.GenPowerShellCompletionWithDesc(w) }},
}

func (a *app) completionCmd() *cobra.Command {
	var names []string
	for _, s := range shells {
		names = append(names, s.name)
	}
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print the completion script of a shell",
		Long: `Prints a script that completes commands, flags, specs and owners. SHELL is one
of bash, zsh, fish and powershell.`,
		Example: `  source <(mtlsplan completion bash)
  mtlsplan completion bash > /etc/bash_completion.d/mtlsplan
  mtlsplan completion zsh > "${fpath[1]}/_mtlsplan"
  mtlsplan completion fish > ~/.config/fish/completions/mtlsplan.fish`,
		ValidArgs: names,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("give one shell: %s", orList(names))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, s := range shells {
				if s.name == args[0] {
					return s.write(cmd.Root(), a.stdout)
				}
			}
			return usageError("completion: no script for %q; give %s", args[0], orList(names))
		},
	}
}
