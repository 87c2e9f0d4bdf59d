package secret

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"mtlsplan/internal/config"
)

// TestCommandGetsOnly checks everything that a program is given: its arguments, the
// environment without hidden variables, no input, no open file, its directory.
func TestCommandGetsOnly(t *testing.T) {
	t.Setenv("MTLSPLAN_CA_PASSPHRASE", "mine")
	t.Setenv("ANN", "another user's")
	t.Setenv("GNUPGHOME", "/keys")
	leak, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer leak.Close()
	v, err := Ref{Kind: config.FromCommand, Dir: t.TempDir(), Command: []string{"/bin/sh", "-c",
		`tr '\0' '\n' </proc/$$/cmdline; echo --; tr '\0' '\n' </proc/$$/environ; echo --; for f in /proc/$$/fd/*; do readlink $f || :; done`, "name", "a b"}}.
		Read(t.Context(), nil, []string{"ANN"})
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(v.Reveal(), "\n--\n")
	if words := strings.Split(parts[0], "\n"); len(words) != 5 || words[0] != "/bin/sh" || !slices.Equal(words[3:], []string{"name", "a b"}) {
		t.Errorf("arguments %q", words)
	}
	env := strings.Split(parts[1], "\n")
	if !slices.Contains(env, "GNUPGHOME=/keys") {
		t.Errorf("environment %q", env)
	}
	var allowed []string
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); name != "ANN" && !strings.HasPrefix(name, "MTLSPLAN_") {
			allowed = append(allowed, strings.Split(kv, "\n")...)
		}
	}
	for _, kv := range env {
		if !slices.Contains(allowed, kv) {
			t.Errorf("it sees %q", kv)
		}
	}
	for _, file := range strings.Split(parts[2], "\n") {
		if file != "/dev/null" && !strings.HasPrefix(file, "pipe:") && !strings.HasSuffix(file, "/fd") {
			t.Errorf("it has %q open", file)
		}
	}
}

// TestCommandEndsWithItsChildren ends a program whose child would go on.
func TestCommandEndsWithItsChildren(t *testing.T) {
	for name, limit := range map[string]time.Duration{"interrupted": time.Minute, "too slow": 300 * time.Millisecond} {
		pids := filepath.Join(t.TempDir(), "pids")
		r := Ref{Kind: config.FromCommand, Dir: t.TempDir(), Command: []string{"/bin/sh", "-c", `trap "" TERM INT HUP; sleep 600 & echo $! $$ >"$1"; wait`, "sh", pids}}
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
		_, err := r.readCommand(ctx, nil, limit, false)
		cancel()
		switch {
		case limit == time.Minute && !errors.Is(err, context.Canceled):
			t.Errorf("%s: %v", name, err)
		case limit < time.Minute && (err == nil || !strings.Contains(err.Error(), "did not end within 300ms")):
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
