package input

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestRun gives what a program prints, to its last byte, or says how it ended.
func TestRun(t *testing.T) {
	t.Setenv("KEPT", "1")
	t.Setenv("LEFT", "2")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "own"), []byte("#!/bin/sh\npwd; cat; echo $KEPT-$LEFT\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
		err  error
	}{
		{[]string{"./own"}, dir + "\n1-\n", nil},
		{[]string{"/bin/sh", "-c", `printf '%s' "$1" "$2"`, "sh", "a b", "$KEPT"}, "a b$KEPT", nil},
		{[]string{"/bin/sh", "-c", "yes | head -c 101"}, "", ErrTooLarge},
		{[]string{"yes"}, "", ErrTooLarge},
		{[]string{"/bin/sh", "-c", "echo half; exit 3"}, "", &ExitError{"exit status 3"}},
		{[]string{"/bin/sh", "-c", "echo half; kill -9 $$"}, "", &ExitError{"signal: killed"}},
		{[]string{"/bin/sh", "-c", "sleep 60 & echo all"}, "", ErrHeld},
		{[]string{"./none"}, "", syscall.ENOENT},
		{[]string{"no-such-program-anywhere"}, "", exec.ErrNotFound},
		{[]string{dir}, "", syscall.EACCES},
	} {
		out, err := run(t.Context(), Program{Args: c.args, Dir: dir, Keep: func(name string) bool { return name == "KEPT" || name == "PATH" }, Most: 100, Limit: time.Minute}, false)
		same := errors.Is(err, c.err)
		if want, ok := c.err.(*ExitError); ok {
			have, ok := errors.AsType[*ExitError](err)
			same = ok && *have == *want
		}
		if string(out) != c.want || !same {
			t.Errorf("%q: %q, %v; want %q, %v", c.args, out, err, c.want, c.err)
		}
	}
}

// TestRunEndsWithItsChildren ends a program whose child would go on.
func TestRunEndsWithItsChildren(t *testing.T) {
	for name, limit := range map[string]time.Duration{"interrupted": time.Minute, "too slow": 300 * time.Millisecond} {
		pids := filepath.Join(t.TempDir(), "pids")
		p := Program{Args: []string{"/bin/sh", "-c", `trap "" TERM INT HUP; sleep 600 & echo $! $$ >"$1"; wait`, "sh", pids},
			Dir: t.TempDir(), Keep: func(string) bool { return true }, Most: 100, Limit: limit}
		ctx, cancel := context.WithCancel(t.Context())
		if limit == time.Minute {
			go func() {
				for fields(pids) < 2 {
					time.Sleep(time.Millisecond)
				}
				cancel()
			}()
		}
		begin := time.Now()
		_, err := run(ctx, p, false)
		cancel()
		switch {
		case limit == time.Minute && !errors.Is(err, context.Canceled):
			t.Errorf("%s: %v", name, err)
		case limit < time.Minute && !errors.Is(err, ErrSlow):
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("%s: it took %s", name, took)
		}
		data, _ := os.ReadFile(pids)
		for _, word := range strings.Fields(string(data)) {
			pid, _ := strconv.Atoi(word)
			for wait := 0; running(pid); wait++ {
				if wait > 500 {
					_ = syscall.Kill(pid, syscall.SIGKILL)
					t.Errorf("%s: process %d goes on", name, pid)
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
		}
	}
}

func fields(file string) int {
	data, _ := os.ReadFile(file)
	return len(strings.Fields(string(data)))
}

// running is false also for a process that has ended but was not waited for: some
// inits leave orphans like that.
func running(pid int) bool {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(data), ") ")
	return !strings.HasPrefix(rest, "Z")
}
