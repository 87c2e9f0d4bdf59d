package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"mtlsplan/internal/plan"
)

// version is what packaging/dist was told to call a release; "" where the Go toolchain has
// found the version by itself.
var version string

// thisBuild is what the Go toolchain stamped into this binary.
func thisBuild() plan.VersionDocument {
	b := plan.VersionDocument{
		FormatVersion: plan.FormatVersion,
		Version:       "devel",
		Go:            runtime.Version(),
		Platform:      runtime.GOOS + "/" + runtime.GOARCH,
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		b.Version = v
	}
	if version != "" {
		b.Version = version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

func versionText(b plan.VersionDocument) string {
	text := fmt.Sprintf("mtlsplan %s, %s, %s\n", b.Version, b.Go, b.Platform)
	if b.Revision == "" {
		return text
	}
	text += "commit " + b.Revision + " of " + b.Time
	if b.Modified {
		text += ", with changes"
	}
	return text + "\n"
}

func (a *app) versionCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Long:    "Prints the version, the Go release it was built with, and the commit.",
		Example: "  mtlsplan version\n  mtlsplan version --format json",
		Args:    noArguments,
		RunE:    func(*cobra.Command, []string) error { return a.version() },
	}
}

func (a *app) version() error {
	if a.documents() {
		return a.answer(thisBuild())
	}
	_, err := fmt.Fprint(a.stdout, versionText(thisBuild()))
	return err
}
