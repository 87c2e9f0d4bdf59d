package main

import "github.com/spf13/cobra"

// commands are the program's commands in the order of its help.
func (a *app) commands() []*cobra.Command {
	return []*cobra.Command{
		a.applyCmd(),
		a.planCmd(),
		a.statusCmd(),
		a.showCmd(),
		a.explainCmd(),
		a.forecastCmd(),
		a.reportCmd(),
		a.handoutCmd(),
		a.requestCmd(),
		a.bundleCmd(),
		a.verifyCmd(),
		a.renderCmd(),
		a.doctorCmd(),
		a.tryCmd(),
		a.validateCmd(),
		a.fmtCmd(),
		a.initCmd(),
		a.versionCmd(),
		a.completionCmd(),
	}
}
