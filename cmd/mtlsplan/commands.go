package main

import "github.com/spf13/cobra"

// commands are the program's commands in the order of its help.
func (a *app) commands() []*cobra.Command {
	return []*cobra.Command{
		a.validateCmd(),
		a.fmtCmd(),
		a.initCmd(),
	}
}
