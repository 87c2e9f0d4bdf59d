package secret

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"mtlsplan/internal/input"
)

// ownPrefix begins the names of the variables that are meant for mtlsplan alone.
const ownPrefix = "MTLSPLAN_"

// commandTime is how long a program may take: enough for a person to type a PIN, but
// limited, since the run holds the lock meanwhile.
const commandTime = 5 * time.Minute

func (r Ref) readCommand(ctx context.Context, hide []string, limit time.Duration, terminal bool) ([]byte, error) {
	if len(r.Command) == 0 || r.Command[0] == "" {
		return nil, errors.New("command: the list is empty: name a program")
	}
	// The overflow also stops a program that ignores the broken pipe.
	running, stop := context.WithTimeout(ctx, limit)
	defer stop()
	out := &bounded{overflow: stop}
	cmd := exec.CommandContext(running, r.Command[0], r.Command[1:]...)
	cmd.Dir = r.Dir
	cmd.Env = environment(os.Environ(), hide)
	cmd.Stdout = out
	if !terminal {
		stopWithChildren(cmd)
	}
	// A child that outlives the program may keep the pipe open.
	cmd.WaitDelay = 2 * time.Second
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%s: %w", r, ctx.Err())
	case errors.Is(running.Err(), context.DeadlineExceeded):
		return nil, fmt.Errorf("%s did not end within %s: run it by hand in %s to find out why", r, limit, r.Dir)
	case out.full:
		return nil, input.ErrTooLarge
	case err == nil:
		return dropLineEnd(out.buf.Bytes()), nil
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil, fmt.Errorf("%s ended with %s: run it by hand in %s to find out why", r, exit.ProcessState, r.Dir)
	}
	if errors.Is(err, exec.ErrWaitDelay) {
		return nil, fmt.Errorf("%s ended, but a process that it started keeps its output open: name a program whose processes end", r)
	}
	if e, ok := errors.AsType[*exec.Error](err); ok {
		err = e.Err
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err // r names the program
	}
	return nil, fmt.Errorf("%s cannot be started: %w: install it, or name another source", r, err)
}

// stopWithChildren makes the end of cmd's context end the children of cmd, too: one
// that goes on may hold the secret. They get a process group for that.
func stopWithChildren(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
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

// environment is env for a program: without the variables named in hide and without
// mtlsplan's own.
func environment(env, hide []string) []string {
	kept := make([]string, 0, len(env))
	for _, kv := range env {
		name, _, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, ownPrefix) && !slices.Contains(hide, name) {
			kept = append(kept, kv)
		}
	}
	return kept
}

// bounded keeps up to readLimit bytes and then fails. The buffer is not embedded:
// io.Copy would find its ReadFrom, which has no bound.
type bounded struct {
	buf      bytes.Buffer
	full     bool
	overflow func()
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.buf.Len()+len(p) > readLimit {
		b.full = true
		b.overflow()
		return 0, input.ErrTooLarge
	}
	return b.buf.Write(p)
}
