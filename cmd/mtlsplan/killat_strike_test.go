package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"

	"mtlsplan/internal/testing/killat"
)

func init() {
	scriptCommands["count-calls"] = cmdCountCalls
	scriptCommands["strike"] = cmdStrike
	scriptCommands["kill-each"] = cmdKillEach
}

// count-calls PROGRAM ARG... prints how many file-changing system calls a
// program makes.
func cmdCountCalls(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: count-calls PROGRAM ARG...")
	}
	r := struck(ts, io.Discard, killat.Strike{}, args)
	if r.Code != 0 {
		ts.Fatalf("exit code %d", r.Code)
	}
	fmt.Fprintln(ts.Stdout(), len(r.Calls))
}

// strike CODE ERRNO CALL PROGRAM ARG... runs a program in which every call of
// this name fails, and expects the exit code.
func cmdStrike(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 {
		ts.Fatalf("usage: strike CODE ERRNO CALL PROGRAM ARG...")
	}
	errno, ok := errnos[args[1]]
	if !ok {
		ts.Fatalf("there is no errno %s", args[1])
	}
	r := struck(ts, ts.Stdout(), killat.Strike{
		At: 1, Errno: errno, Onwards: true,
		Match: func(c killat.Call) bool { return c.Name == args[2] },
	}, args[3:])
	if !r.Fired {
		ts.Fatalf("the program makes no call %s", args[2])
	}
	if strconv.Itoa(r.Code) != args[0] {
		ts.Fatalf("exit code %d, want %s", r.Code, args[0])
	}
}

// kill-each PATTERN BEFORE AFTER PROGRAM ARG... runs a program once for every file-changing
// call on a file that matches the regular expression, and kills it there; each time between
// two shell scripts, which must succeed. It prints how many calls there were.
func cmdKillEach(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 {
		ts.Fatalf("usage: kill-each PATTERN BEFORE AFTER PROGRAM ARG...")
	}
	pattern := regexp.MustCompile(args[0])
	shell := func(script string, point int) {
		if err := ts.Exec("sh", script); err != nil {
			ts.Fatalf("%s, at point %d: %v", script, point, err)
		}
	}
	for k := 1; ; k++ {
		shell(args[1], k)
		r := struck(ts, io.Discard, killat.Strike{At: k, Match: func(c killat.Call) bool { return pattern.MatchString(c.File) }}, args[3:])
		shell(args[2], k)
		if !r.Fired {
			fmt.Fprintln(ts.Stdout(), k-1)
			return
		}
	}
}

var errnos = map[string]syscall.Errno{"ENOLCK": syscall.ENOLCK, "EOPNOTSUPP": syscall.EOPNOTSUPP, "ENOSYS": syscall.ENOSYS, "EIO": syscall.EIO}

// struck runs a program of the script with a strike.
func struck(ts *testscript.TestScript, stdout io.Writer, strike killat.Strike, args []string) killat.Result {
	program := args[0]
	if program == "mtlsplan" {
		program = realProgram(ts)
	}
	cmd := exec.Command(program, args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Stdout, cmd.Stderr = stdout, ts.Stderr()
	r, err := killat.Run(cmd, strike)
	if err != nil {
		ts.Fatalf("%v", err)
	}
	return r
}

// memoryDir is a directory on which fsync costs nothing, if there is one: the remains of a
// killed process are the same everywhere.
func memoryDir(ts *testscript.TestScript) string {
	dir, err := os.MkdirTemp("/dev/shm", "mtlsplan-")
	if err != nil {
		dir, err = os.MkdirTemp(ts.Getenv("WORK"), "sweep-")
	}
	ts.Check(err)
	ts.Defer(func() { _ = os.RemoveAll(dir) })
	return dir
}

// copyTree copies directories and plain files with their modes to a new place.
func copyTree(from, to string) error {
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if d.IsDir() {
			return errors.Join(os.Mkdir(target, 0o700), os.Chmod(target, info.Mode().Perm()))
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return errors.Join(os.WriteFile(target, data, 0o600), os.Chmod(target, info.Mode().Perm()))
	})
}
