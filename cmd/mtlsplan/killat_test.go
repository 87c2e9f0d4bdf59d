package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"mtlsplan/internal/testing/killat"
	"mtlsplan/internal/testing/sample"
)

func init() {
	scriptCommands["sweep"] = cmdSweep
}

// harm is one kind of fault, and the calls at which it is possible.
type harm struct {
	errno   syscall.Errno // 0: the program is killed
	onwards bool
	calls   string // "" for all; otherwise the calls for which the manual lists the errno
}

var harms = map[string]harm{
	"kill":   {},
	"EIO":    {errno: syscall.EIO},
	"ENOSPC": {errno: syscall.ENOSPC, onwards: true, calls: "openat mkdirat write pwrite64 renameat fsync syncfs"},
	"EROFS":  {errno: syscall.EROFS, onwards: true, calls: "openat mkdirat renameat unlinkat fchmod ftruncate"},
	"EMFILE": {errno: syscall.EMFILE, onwards: true, calls: "openat"},
}

func (h harm) at(k int) killat.Strike {
	s := killat.Strike{At: k, Errno: h.errno, Onwards: h.onwards}
	if h.calls != "" {
		s.Match = func(c killat.Call) bool { return has(h.calls, c.Name) }
	}
	return s
}

// sweep SPEC DIR DATE HARM... copies DIR and applies SPEC to the copy as if it were DATE,
// once for every file-changing system call of such a run, and does harm at that call. Then
// it checks the directory, lets the next run repair it, and expects the run after that to
// find nothing to do. It prints the number of calls and of points.
func cmdSweep(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 {
		ts.Fatalf("usage: sweep SPEC DIR DATE HARM...")
	}
	s := &sweeper{
		program: realProgram(ts),
		spec:    ts.MkAbs(args[0]), base: ts.MkAbs(args[1]), at: args[2],
		work: memoryDir(ts),
	}
	reference := filepath.Join(s.work, "reference")
	for range 2 {
		ts.Check(copyTree(s.base, reference))
		r, stdout, stderr, err := s.run(reference, killat.Strike{})
		ts.Check(err)
		if r.Code != 0 {
			ts.Fatalf("the run fails even without harm: exit %d\n%s%s", r.Code, stdout, stderr)
		}
		if s.calls != nil && len(s.calls) != len(r.Calls) {
			ts.Fatalf("one run made %d calls and another %d", len(s.calls), len(r.Calls))
		}
		s.calls = r.Calls
	}
	var err error
	s.want, err = shape(reference)
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%d file-changing calls\n", len(s.calls))
	for _, name := range args[3:] {
		h, ok := harms[name]
		if !ok {
			ts.Fatalf("there is no harm %s", name)
		}
		codes, err := s.sweep(name, h)
		ts.Check(err)
		fmt.Fprintf(ts.Stdout(), "%s at %s\n", name, codes)
	}
}

type sweeper struct {
	program        string
	spec, base, at string
	work           string
	calls          []killat.Call
	want           string // shape of a directory after an undisturbed run
}

// sweep does one kind of harm at every point, on all cores. A plain run kills at
// every second one, and has every fourth call fail.
func (s *sweeper) sweep(name string, h harm) (string, error) {
	n := 0
	match := h.at(1).Match
	for _, c := range s.calls {
		if match == nil && c.Name != "flock" || match != nil && match(c) {
			n++
		}
	}
	points := make(chan int)
	var mu sync.Mutex
	var errs []error
	codes := map[int]int{}
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for k := range points {
				code, err := s.point(name, h, k)
				mu.Lock()
				codes[code]++
				if err != nil {
					errs = append(errs, err)
				}
				mu.Unlock()
			}
		})
	}
	step := 2
	if h.errno != 0 {
		step = 4
	}
	all := make([]int, n)
	for i := range all {
		all[i] = i + 1
	}
	tried := sample.OneIn(step, all)
	for _, k := range tried {
		points <- k
	}
	close(points)
	wg.Wait()
	text := fmt.Sprintf("%d points:", len(tried))
	for _, code := range []int{-1, 0, 1, 3} {
		if codes[code] > 0 {
			text += fmt.Sprintf(" %d %s,", codes[code], map[int]string{-1: "killed", 0: "ended with 0", 1: "with 1", 3: "with 3"}[code])
		}
	}
	if len(errs) > 8 {
		errs = append(errs[:8], fmt.Errorf("and %d more", len(errs)-8))
	}
	return strings.TrimSuffix(text, ","), errors.Join(errs...)
}

// run applies the spec under a strike.
func (s *sweeper) run(dir string, strike killat.Strike) (killat.Result, string, string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(s.program, "apply", s.spec, "--output", dir, "--rehearsal", "--at", s.at)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	r, err := killat.Run(cmd, strike)
	return r, stdout.String(), stderr.String(), err
}

// next is a later run: the same code, in this process.
func (s *sweeper) next(dir, command string, more ...string) (int, string) {
	var out bytes.Buffer
	args := append([]string{command, s.spec, "--output", dir, "--rehearsal", "--at", s.at}, more...)
	code := run(context.Background(), args, process{strings.NewReader(""), &out, &out, os.LookupEnv, time.Now, scriptsReleased})
	return code, out.String()
}

// point does harm at one call and checks everything that follows.
func (s *sweeper) point(name string, h harm, k int) (code int, err error) {
	dir := filepath.Join(s.work, fmt.Sprintf("%s.%d", name, k))
	if err := copyTree(s.base, dir); err != nil {
		return 0, err
	}
	r, stdout, stderr, err := s.run(dir, h.at(k))
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s at %d, %s: exit %d: %w\n%s%s", name, k, last(r.Calls), r.Code, err, stdout, stderr)
			return
		}
		err = os.RemoveAll(dir)
	}()
	if !r.Fired {
		return r.Code, errors.New("the run did not get there")
	}
	if err := s.honest(h, r, dir, stdout, stderr); err != nil {
		return r.Code, err
	}
	if err := checkState(dir); err != nil {
		return r.Code, err
	}
	if code, out := s.next(dir, "apply"); code != exitDone {
		return r.Code, fmt.Errorf("the next run ends with %d: %s", code, out)
	}
	if err := checkState(dir); err != nil {
		return r.Code, fmt.Errorf("after the next run: %w", err)
	}
	have, err := shape(dir)
	if err == nil && have != s.want {
		err = fmt.Errorf("the next run gives\n%s\nwhere an undisturbed one gives\n%s", have, s.want)
	}
	if err != nil {
		return r.Code, err
	}
	before, err := snapshot(dir)
	if err != nil {
		return r.Code, err
	}
	if code, out := s.next(dir, "apply"); code != exitDone || !strings.Contains(out, "Nothing to do") {
		return r.Code, fmt.Errorf("the run after the next ends with %d: %s", code, out)
	}
	after, err := snapshot(dir)
	if err == nil && after != before {
		err = fmt.Errorf("the run after the next has changed\n%s\nto\n%s", before, after)
	}
	return r.Code, err
}

var (
	doneLine = regexp.MustCompile(`(?m)^[+~±-] +([a-z]+\.\S+)`)
	message  = regexp.MustCompile(`(?m)^(mtlsplan|[a-z]+\.\S+): .+`)
)

// honest compares exit code and messages with the directory: a plan must not have any step
// that was reported as done.
func (s *sweeper) honest(h harm, r killat.Result, dir, stdout, stderr string) error {
	code, out := s.next(dir, "plan", "--format", "json")
	var plan struct {
		Steps []struct{ Owner, Action string }
	}
	if err := json.Unmarshal([]byte(out), &plan); err != nil || code != exitDone {
		return fmt.Errorf("a plan beside it ends with %d: %s", code, out)
	}
	for _, done := range doneLine.FindAllStringSubmatch(stdout, -1) {
		for _, step := range plan.Steps {
			if step.Owner == done[1] {
				return fmt.Errorf("%s was reported as done, and the plan is to %s it", step.Owner, step.Action)
			}
		}
	}
	if strings.Contains(stderr, "goroutine ") {
		return errors.New("it panicked")
	}
	switch {
	case r.Killed:
		if h.errno != 0 {
			return errors.New("it was killed")
		}
	case r.Code == exitDone:
		if len(plan.Steps) > 0 {
			return fmt.Errorf("it ended with 0, and %d steps are left", len(plan.Steps))
		}
	case r.Code == exitFailure || r.Code == exitIncomplete:
		if !message.MatchString(stderr) || !strings.Contains(stderr, h.errno.Error()) {
			return fmt.Errorf("its message does not say %q", h.errno)
		}
	default:
		return errors.New("this exit code is not for this")
	}
	return nil
}

func last(calls []killat.Call) string {
	if len(calls) == 0 {
		return "before the first call"
	}
	c := calls[len(calls)-1]
	return c.Name + " " + filepath.Base(c.File)
}
