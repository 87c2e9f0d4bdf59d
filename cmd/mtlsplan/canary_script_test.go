package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

func init() {
	scriptCommands["leaks"] = cmdLeaks
}

// leaks SECRETS PATH... succeeds when a line of the file SECRETS is, in any form, in one
// of the files or below one of the directories. "stdout" and "stderr" are the output of
// the last command. A path that does not exist holds nothing.
func cmdLeaks(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: [!] leaks SECRETS PATH...")
	}
	var canaries []canary
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		canaries = append(canaries, newCanary(strings.TrimSpace(line), []byte(strings.TrimSpace(line))))
	}
	found := false
	look := func(name string, data []byte) {
		for _, c := range canaries {
			if form := c.in(data); form != "" {
				found = true
				if neg {
					ts.Logf("%s holds %q (%s):\n%s", name, c.name, form, around(data, c.forms[form]))
				}
			}
		}
	}
	for _, arg := range args[1:] {
		if arg == "stdout" || arg == "stderr" {
			look(arg, []byte(ts.ReadFile(arg)))
			continue
		}
		err := filepath.WalkDir(ts.MkAbs(arg), func(path string, d os.DirEntry, err error) error {
			if os.IsNotExist(err) {
				return nil
			}
			if err != nil || d.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			look(path, append([]byte(filepath.Base(path)+"\n"), data...))
			return err
		})
		ts.Check(err)
	}
	if found == neg {
		ts.Fatalf("secrets found: %t", found)
	}
}

func around(data, what []byte) []byte {
	at := max(0, bytes.Index(data, what))
	return data[max(0, at-200):min(len(data), at+200)]
}
