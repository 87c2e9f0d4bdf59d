package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// Commands of the scripts about plan and apply.
func init() {
	scriptCommands["steps"] = cmdSteps
	scriptCommands["snapshot"] = cmdSnapshot
	scriptCommands["tamper"] = cmdTamper
	scriptCommands["same-file"] = cmdSameFile
}

// steps prints the last command's JSON plan, one step in each line:
// OWNER ACTION ARTEFACTS: CODES.
func cmdSteps(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: steps")
	}
	var plan struct {
		Steps []struct {
			Owner, Action string
			Artefacts     []string
			Reasons       []struct{ Code, Field string }
		}
		Failures []struct{ Owner string }
	}
	if err := json.Unmarshal([]byte(ts.ReadFile("stdout")), &plan); err != nil {
		ts.Fatalf("standard output is not a plan: %v", err)
	}
	for _, s := range plan.Steps {
		var codes []string
		for _, r := range s.Reasons {
			if r.Field != "" {
				r.Code += "(" + r.Field + ")"
			}
			codes = append(codes, r.Code)
		}
		fmt.Fprintf(ts.Stdout(), "%s %s %s: %s\n", s.Owner, s.Action, strings.Join(s.Artefacts, " "), strings.Join(codes, " "))
	}
	for _, f := range plan.Failures {
		fmt.Fprintf(ts.Stdout(), "%s failed\n", f.Owner)
	}
}

// snapshot DIR FILE writes name, mode, size, mtime and digest of everything in DIR to
// FILE, except the lock, the files that only save time, and the times of directories that
// these change.
func cmdSnapshot(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: snapshot DIR FILE")
	}
	dir := ts.MkAbs(args[0])
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		info, err := d.Info()
		if err != nil {
			return err
		}
		switch {
		case name == "db/lock" || slices.Contains(timeSavers, name):
		case d.IsDir():
			fmt.Fprintf(&b, "%s %s\n", name, info.Mode())
		default:
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "%s %s %d %d %x\n", name, info.Mode(), info.Size(), info.ModTime().UnixNano(), sha256.Sum256(data))
		}
		return nil
	})
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(b.String()), 0o600))
}

// tamper FILE changes one byte in the middle, in place.
func cmdTamper(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: tamper FILE")
	}
	file := ts.MkAbs(args[0])
	data, err := os.ReadFile(file)
	ts.Check(err)
	if len(data) == 0 {
		ts.Fatalf("%s is empty", file)
	}
	i := len(data) / 2
	if data[i] == 'A' {
		data[i] = 'B'
	} else {
		data[i] = 'A'
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_TRUNC, 0)
	ts.Check(err)
	_, err = f.Write(data)
	ts.Check(err)
	ts.Check(f.Close())
}

// same-file A B succeeds when both have the same bytes; ! same-file when not.
func cmdSameFile(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: [!] same-file A B")
	}
	if same := ts.ReadFile(args[0]) == ts.ReadFile(args[1]); same == neg {
		ts.Fatalf("same: %v", same)
	}
}
