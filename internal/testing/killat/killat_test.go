//go:build linux

package killat

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMain makes this binary also the program of the tests, whose file-changing
// calls are known.
func TestMain(m *testing.M) {
	if dir := os.Getenv("KILLAT_PROGRAM"); dir != "" {
		os.Exit(program(dir))
	}
	os.Exit(m.Run())
}

// steps is how often program makes a directory.
const steps = 12

// program makes directories 1 to 12, one after the other: eight from threads of
// their own, two in a child, two here. Its output to standard streams and pipes
// changes no file.
func program(dir string) int {
	failed := 0
	mkdir := func(n int) {
		if err := os.Mkdir(filepath.Join(dir, fmt.Sprintf("%02d", n)), 0o700); err != nil {
			fmt.Println(err)
			failed++
		}
	}
	for n := 1; n <= 8; n++ {
		onThread(n, mkdir)
	}
	out, err := exec.Command("sh", "-c", `mkdir "$0/09"; mkdir "$0/10"; echo done`, dir).Output()
	if err != nil || string(out) != "done\n" {
		failed++
	}
	mkdir(11)
	mkdir(12)
	fmt.Println("made", steps-failed)
	if failed > 0 {
		return 3
	}
	return 0
}

func onThread(n int, f func(int)) {
	done := make(chan bool)
	go func() {
		runtime.LockOSThread() // never unlocked: each has a thread of its own
		f(n)
		done <- true
	}()
	<-done
}

func strike(t *testing.T, s Strike) (dir, output string, r Result) {
	t.Helper()
	dir = t.TempDir()
	var out bytes.Buffer
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "KILLAT_PROGRAM="+dir)
	cmd.Stdout = &out
	r, err := Run(cmd, s)
	if err != nil {
		t.Fatal(err)
	}
	return dir, out.String(), r
}

// all are the names of the directories in the order in which they are made.
const all = "01 02 03 04 05 06 07 08 09 10 11 12"

func made(t *testing.T, dir string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(strings.Join(names, " "), dir+"/", "")
}

func upTo(n int) string { return strings.TrimSpace(all[:min(3*n, len(all))]) }

func TestCountsEveryCallOfAllThreadsAndChildren(t *testing.T) {
	dir, out, r := strike(t, Strike{})
	if r.Code != 0 || r.Killed || r.Fired || out != "made 12\n" {
		t.Errorf("%+v, output %q", r, out)
	}
	if len(r.Calls) != steps {
		t.Errorf("%d calls, want %d: %v", len(r.Calls), steps, r.Calls)
	}
	for i, c := range r.Calls {
		if want := filepath.Join(dir, fmt.Sprintf("%02d", i+1)); !strings.HasPrefix(c.Name, "mkdir") || c.File != want {
			t.Errorf("call %d is %+v, want mkdir of %s", i+1, c, want)
		}
	}
}

func TestKillsAtEveryCall(t *testing.T) {
	for k := 1; k <= steps; k++ {
		dir, out, r := strike(t, Strike{At: k})
		if have := made(t, dir); have != upTo(k-1) {
			t.Errorf("call %d: made %s; want %s", k, have, upTo(k-1))
		}
		if !r.Fired || !r.Killed || r.Code != -1 || len(r.Calls) != k || out != "" {
			t.Errorf("call %d: %+v, output %q", k, r, out)
		}
	}
	if _, _, r := strike(t, Strike{At: steps + 1}); r.Fired || r.Killed || len(r.Calls) != steps {
		t.Errorf("behind the last call: %+v", r)
	}
}

func TestFailsAtOneCallOrFromThereOn(t *testing.T) {
	for _, c := range []struct {
		name  string
		s     Strike
		made  string
		lines int // messages of the program itself, not of its child
	}{
		{"one", Strike{At: 3, Errno: unix.ENOSPC}, strings.Replace(all, "03 ", "", 1), 1},
		{"onwards", Strike{At: 8, Errno: unix.ENOSPC, Onwards: true}, upTo(7), 3},
		{"by file", Strike{At: 1, Errno: unix.ENOSPC, Onwards: true,
			Match: func(c Call) bool { return filepath.Base(c.File) == "05" }}, strings.Replace(all, "05 ", "", 1), 1},
	} {
		dir, out, r := strike(t, c.s)
		if have := made(t, dir); have != c.made {
			t.Errorf("%s: made %s; want %s", c.name, have, c.made)
		}
		if n := strings.Count(out, "no space left on device"); n != c.lines || !r.Fired || r.Killed || r.Code != 3 {
			t.Errorf("%s: %+v, output %q", c.name, r, out)
		}
	}
}

// TestKnowsTheCalls runs a shell script, whose calls do not come from Go's runtime.
func TestKnowsTheCalls(t *testing.T) {
	cmd := exec.Command("sh", "-c", `echo a >f; echo b >>f; mv f g; chmod 600 g; ln g h; ln -s g i; rm h; true <g; echo x >/dev/null; echo x | cat; sync g`)
	cmd.Dir = t.TempDir()
	r, err := Run(cmd, Strike{})
	if err != nil || r.Code != 0 {
		t.Fatal(r, err)
	}
	var have []string
	for _, c := range r.Calls {
		name := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(c.Name, "2"), "at"), "2")
		if c.File != "/dev/null" {
			have = append(have, strings.TrimPrefix(name, "f")+" "+filepath.Base(c.File))
		}
	}
	want := []string{"open f", "open f", "rename f", "chmod g", "link g", "symlink g", "unlink h", "sync g"}
	if strings.Join(have, ", ") != strings.Join(want, ", ") {
		t.Errorf("have %v\nwant %v", have, want)
	}
}
