package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScreenshots writes the pictures of the docs, with MTLSPLAN_SCREENSHOTS. They are not
// compared with anything: browsers and fonts differ.
func TestScreenshots(t *testing.T) {
	if os.Getenv("MTLSPLAN_SCREENSHOTS") == "" {
		t.Skip("make screenshots writes them")
	}
	testscript.Run(t, testscript.Params{
		Files:               []string{filepath.Join(repo, "testdata", "screenshots.txtar")},
		RequireExplicitExec: true,
		Cmds:                scriptCommands,
		Setup:               setupScript,
	})
}
