package input

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Program is a program that a spec names, and whose standard output is wanted.
type Program struct {
	Args  []string               // the program, then its arguments; no shell reads them
	Dir   string                 // absolute; where it runs, and where a relative path to it begins
	Keep  func(name string) bool // which variables of the environment it gets
	Most  int64                  // of its output, in bytes
	Limit time.Duration          // how long it may take
}

// Errors of [Run], beside [ErrTooLarge].
var (
	ErrSlow = errors.New("it did not end in time")
	ErrHeld = errors.New("it ended, but a process that it started keeps its output open")
)

// NotExecutable is the remedy where a program is there and the system does not start it.
const NotExecutable = "make it executable (chmod +x) for the user that runs mtlsplan; if it is, its file system is mounted noexec: move it, or name its interpreter before it"

// ExitError is the end of a program with a status other than 0, or by a signal.
type ExitError struct{ State string }

// Error is such as "exit status 1" and "signal: killed".
func (e *ExitError) Error() string { return e.State }

// Run runs a program without a shell and without standard input, and returns what it
// prints. Its standard error is discarded, because it may hold a secret. When ctx ends,
// the program and its children are ended; at a terminal, where it may have to ask for a
// PIN, only the program.
//
// The error is ctx's, one of the above, an [*ExitError], or the reason why the program
// could not be started, without its path.
func Run(ctx context.Context, p Program) ([]byte, error) { return run(ctx, p, onTerminal()) }

func run(ctx context.Context, p Program, terminal bool) ([]byte, error) {
	// The overflow also stops a program that ignores the broken pipe.
	running, stop := context.WithTimeout(ctx, p.Limit)
	defer stop()
	out := &bounded{most: p.Most, overflow: stop}
	cmd := exec.CommandContext(running, p.Args[0], p.Args[1:]...)
	cmd.Dir = p.Dir
	cmd.Env = environment(os.Environ(), p.Keep)
	cmd.Stdout = out
	if !terminal {
		stopWithChildren(cmd)
	}
	// A child that outlives the program may keep the pipe open.
	cmd.WaitDelay = 2 * time.Second
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(running.Err(), context.DeadlineExceeded):
		return nil, ErrSlow
	case out.full:
		return nil, ErrTooLarge
	case err == nil:
		return out.buf.Bytes(), nil
	case errors.Is(err, exec.ErrWaitDelay):
		return nil, ErrHeld
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil, &ExitError{exit.ProcessState.String()}
	}
	if e, ok := errors.AsType[*exec.Error](err); ok {
		err = e.Err
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	return nil, err
}

// onTerminal reports whether there is a terminal. There, only the foreground process
// group may ask for a PIN, so a program stays in ours; the interrupt key then reaches
// its children directly.
func onTerminal() bool {
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	tty.Close()
	return true
}

// environment is env without the variables that are not to be kept.
func environment(env []string, keep func(string) bool) []string {
	kept := make([]string, 0, len(env))
	for _, kv := range env {
		if name, _, _ := strings.Cut(kv, "="); keep(name) {
			kept = append(kept, kv)
		}
	}
	return kept
}

// bounded keeps some bytes and then fails. The buffer is not embedded: io.Copy would
// find its ReadFrom, which has no bound.
type bounded struct {
	buf      bytes.Buffer
	most     int64
	full     bool
	overflow func()
}

func (b *bounded) Write(p []byte) (int, error) {
	if int64(b.buf.Len()+len(p)) > b.most {
		b.full = true
		b.overflow()
		return 0, ErrTooLarge
	}
	return b.buf.Write(p)
}
