package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"mtlsplan/internal/ui"
)

// build is what the Go toolchain stamped into this binary.
type build struct {
	FormatVersion int    `json:"format_version"`
	Version       string `json:"version"` // module version; "devel" for a build outside a release
	Go            string `json:"go"`
	Platform      string `json:"platform"`           // GOOS/GOARCH
	Revision      string `json:"revision,omitempty"` // VCS commit
	Time          string `json:"time,omitempty"`     // of that commit, RFC 3339
	Modified      bool   `json:"modified"`           // built from a changed tree
}

func thisBuild() build {
	b := build{
		FormatVersion: ui.FormatVersion,
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

func (b build) String() string {
	text := fmt.Sprintf("mtlsplan %s, %s, %s\n", b.Version, b.Go, b.Platform)
	if b.Revision != "" {
		text += "commit " + b.Revision + " of " + b.Time
		if b.Modified {
			text += ", with changes"
		}
		text += "\n"
	}
	return text
}

func (a *app) versionCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Long:    "Prints the version, the Go release it was built with, and the commit.",
		Example: "  mtlsplan version\n  mtlsplan version --format json",
		Args:    noArguments,
		RunE: func(*cobra.Command, []string) error {
			if a.format != "text" {
				return ui.Document(a.stdout, a.format, thisBuild())
			}
			_, err := fmt.Fprint(a.stdout, thisBuild())
			return err
		},
	}
}
