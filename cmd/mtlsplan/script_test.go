package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets scripts run this very code as the command mtlsplan.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"mtlsplan": main})
}

// TestScripts runs testdata/scripts: one file, one behaviour.
// MTLSPLAN_UPDATE=1 rewrites the golden files in them.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("..", "..", "testdata", "scripts"),
		UpdateScripts:       os.Getenv("MTLSPLAN_UPDATE") != "",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                scriptCommands,
		Condition:           scriptCondition,
		Setup:               setupScript,
	})
}

// scriptCommands are the commands that scripts have beside testscript's own.
var scriptCommands = map[string]func(*testscript.TestScript, bool, []string){}

// setupScript gives every script the repository's root as $REPO.
func setupScript(env *testscript.Env) error {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		return err
	}
	env.Setenv("REPO", root)
	return nil
}
