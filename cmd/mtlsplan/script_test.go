package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"mtlsplan/internal/testing/sample"
)

func TestMain(m *testing.M) {
	code := m.Run()
	removePrograms()
	os.Exit(code)
}

var scriptsDir = filepath.Join("..", "..", "testdata", "scripts")

// TestScripts runs testdata/scripts: one file, one behaviour. After each script, everything
// that mtlsplan issued in it is judged in process; other programs judge it after all
// scripts. MTLSPLAN_UPDATE=1 rewrites the golden files, leaves out the scripts that have
// none, and judges nothing; MTLSPLAN_UPDATE=some does so with one script in five.
func TestScripts(t *testing.T) {
	all, err := filepath.Glob(filepath.Join(scriptsDir, "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	update, files := os.Getenv("MTLSPLAN_UPDATE") != "", all
	if update {
		files = slices.DeleteFunc(slices.Clone(all), func(file string) bool {
			script, err := os.ReadFile(file)
			return err == nil && !bytes.Contains(script, []byte("\ncmp"))
		})
		if os.Getenv("MTLSPLAN_UPDATE") == "some" {
			files = sample.OneIn(5, files)
		}
	}
	d := newDocket(t)
	t.Cleanup(func() {
		if !testing.Short() && !update {
			d.judge(t, len(all))
		}
	})
	testscript.Run(t, testscript.Params{
		Files:               files,
		UpdateScripts:       update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                scriptCommands,
		Condition:           scriptCondition,
		Setup: func(env *testscript.Env) error {
			if !update {
				env.Defer(func() { d.judgeScript(env) })
			}
			watchDocuments(env)
			return setupScript(env)
		},
	})
}

// scriptCommands are the commands of scripts besides testscript's own.
var scriptCommands = map[string]func(*testscript.TestScript, bool, []string){}

// setupScript gives every script the program as the command mtlsplan, and the repository's
// root as $REPO.
func setupScript(env *testscript.Env) error {
	program, err := scriptProgram()
	if err != nil {
		return err
	}
	env.Setenv("PATH", filepath.Dir(program)+string(os.PathListSeparator)+env.Getenv("PATH"))
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		return err
	}
	env.Setenv("REPO", root)
	return nil
}

// judgeScript judges the output directories of a script that succeeded.
func (d *docket) judgeScript(env *testscript.Env) {
	if t, ok := env.T().(interface{ Failed() bool }); ok && t.Failed() {
		return
	}
	name := strings.TrimPrefix(filepath.Base(env.WorkDir), "script-")
	script, err := os.ReadFile(filepath.Join(scriptsDir, name+".txtar"))
	if err != nil {
		env.T().Fatal(err)
	}
	dirs, err := outputsIn(env.WorkDir)
	if err != nil {
		env.T().Fatal(err)
	}
	exempt := exemptIn(string(script))
	var faults []string
	for _, dir := range dirs {
		rel, _ := filepath.Rel(env.WorkDir, dir)
		if i := slices.Index(exempt, rel); i >= 0 {
			exempt = slices.Delete(exempt, i, i+1)
			d.count("directories not judged", 1)
			continue
		}
		for _, fault := range d.judgeOutput(dir, name+"/"+rel) {
			faults = append(faults, rel+": "+fault)
		}
	}
	for _, rel := range exempt {
		faults = append(faults, rel+": there is nothing to judge there, and the script says that it is not judged")
	}
	if len(faults) > 0 {
		env.T().Fatal("judges:\n\t" + strings.Join(faults, "\n\t"))
	}
	d.Lock()
	d.scripts++
	d.Unlock()
}

// TestScriptsFindTheirPrograms: in continuous integration no script is left out for want of
// a program; testscript's own condition exec does not tell.
func TestScriptsFindTheirPrograms(t *testing.T) {
	scripts, err := filepath.Glob(filepath.Join(scriptsDir, "*.txtar"))
	if err != nil || len(scripts) == 0 {
		t.Fatal("there are no scripts: ", err)
	}
	wanted := regexp.MustCompile(`\[!exec:([^]]+)\]`)
	for _, script := range scripts {
		text, err := os.ReadFile(script)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			names, found := []string(nil), false
			for _, m := range wanted.FindAllStringSubmatch(line, -1) { // one of them will do
				_, err := exec.LookPath(m[1])
				names, found = append(names, m[1]), found || err == nil
			}
			if len(names) > 0 && !found && os.Getenv("CI") != "" {
				t.Errorf("%s: there is no %s", filepath.Base(script), strings.Join(names, " or "))
			}
		}
	}
}
