// Package bench measures mtlsplan as whole processes. Its cost is compared with the
// floor, a program that does only the bare work, and with other programs for the
// same job. docs/performance.md describes each row and how to repeat it.
package bench

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Variables of the environment, besides those of the peers:
//
//	LARGE=1      also measure 100,000 users
//	PEERS=1      also measure the other programs that this machine has
//	COMPARE=BIN  measure this build of mtlsplan instead of floor and peers
//	WORK=DIR     measure in this directory
var compared = os.Getenv("COMPARE")

// BenchmarkProcess measures every row: run=ROW/users=N/prog=PROGRAM. The
// programs of a row take turns, A B A B, so that a disturbance of the machine affects
// all of them; -count is the number of turns. Then each program is a benchmark of
// its own, which reports the figures of one turn each time that it is run.
func BenchmarkProcess(b *testing.B) {
	l := newLab(b)
	describeMachine(l)
	all := slices.Clone(rows)
	if os.Getenv("PEERS") != "" {
		all = append(all, peerRows()...)
	}
	for _, r := range all {
		b.Run("run="+r.name, func(b *testing.B) {
			for _, n := range r.sizes(100_000, usual()...) {
				b.Run(fmt.Sprint("users=", n), func(b *testing.B) {
					l.TB = b
					report(b, l.turns(r, n, int(flag.Lookup("test.count").Value.(flag.Getter).Get().(uint))))
				})
			}
		})
	}
}

func report(b *testing.B, all []series) {
	for _, s := range all {
		turn := 0
		b.Run("prog="+s.prog, func(b *testing.B) {
			if turn == len(s.samples) {
				b.Skip("this row has no more turns")
			}
			for unit, value := range s.samples[turn] {
				b.ReportMetric(value, unit)
			}
			turn++
		})
	}
}

// TestRows runs every row once with a few users. It judges no time.
func TestRows(t *testing.T) {
	if testing.Short() {
		t.Skip("it makes some hundred users")
	}
	l := newLab(t)
	page, err := os.ReadFile("../../docs/performance.md")
	l.check(err)
	for _, r := range append(slices.Clone(rows), peerRows()...) {
		t.Run(r.name, func(t *testing.T) {
			l.TB = t
			for _, n := range r.sizes(12, 3, 12) {
				for _, s := range l.turns(r, n, 1) {
					if s.samples[0]["cpu-ns/op"] <= 0 || s.samples[0]["rss-B"] <= 1<<20 {
						t.Errorf("%d users, %s: %v is no measurement", n, s.prog, s.samples)
					}
				}
			}
			if name, _, _ := strings.Cut(r.name, " beside "); !strings.Contains(string(page), "`"+name) {
				t.Errorf("docs/performance.md does not describe `%s`", name)
			}
		})
	}
}

// row is one scenario.
type row struct {
	name  string
	users []int // nil for the usual numbers, whose costs per user are compared
	turns int   // at most; 0 for -count
	// begin prepares the row, and returns a function that prepares the commands of
	// each turn. Neither is measured.
	begin func(l *lab, n int) func() []command
}

// sizes are the numbers of users that a row is measured with, given the usual
// numbers.
func (r row) sizes(most int, usual ...int) []int {
	if r.users == nil {
		return usual
	}
	return []int{min(r.users[0], most)}
}

func usual() []int {
	if os.Getenv("LARGE") != "" {
		return []int{1000, 10_000, 100_000}
	}
	return []int{1000, 10_000}
}

// sample is the cost of one process, by unit.
type sample map[string]float64

// series is the samples of one program in one row.
type series struct {
	prog    string
	samples []sample
}

// command is a process to measure.
type command struct {
	prog   string
	argv   []string
	env    []string     // added to the environment
	dir    string       // its working directory
	before func() error // prepares the directory; not measured
	code   int          // its exit code
	says   string       // must be in its output
	writes string       // directory in which written files are counted; "" for none
}

// lab is the place of all measurements, and the programs for them.
type lab struct {
	testing.TB
	dir      string // nothing in it is deleted before the end
	base     string // holds programs and disk images
	programs []program
	floor    program
	worlds   map[string]*world
	certyaml map[int]string // directories that certyaml has filled, by number of users
}

type program struct{ name, path string }

// rehearses reports whether the program knows --rehearsal; one that is compared with
// may be older.
func (p program) rehearses() bool {
	help, err := exec.Command(p.path, "apply", "--help").Output()
	return err == nil && strings.Contains(string(help), "--rehearsal")
}

// newLab makes a work directory: below WORK if that is set, else as root on a file
// system of its own, else in the temporary directory. ext4 makes files many times
// slower for an hour after a big tree was deleted, so a file system of its own
// protects both the measurement and the machine.
func newLab(tb testing.TB) *lab {
	l := &lab{TB: tb, worlds: map[string]*world{}, certyaml: map[int]string{}}
	var err error
	l.base, err = os.MkdirTemp(os.Getenv("WORK"), "mtlsplan-bench-")
	l.check(err)
	tb.Cleanup(func() { os.RemoveAll(l.base) })
	l.dir = l.base
	if _, measured := tb.(*testing.B); measured && os.Getenv("WORK") == "" && os.Geteuid() == 0 {
		l.dir = l.mountImage(tb, "lab", "64G", "loop,noinit_itable")
	}
	build := func(name, what string) program {
		path := filepath.Join(l.base, name)
		out, err := exec.Command("go", "build", "-trimpath", "-o", path, what).CombinedOutput()
		l.check(err, string(out))
		return program{name, path}
	}
	l.programs, l.floor = []program{build("mtlsplan", "mtlsplan/cmd/mtlsplan")}, build("floor", "mtlsplan/internal/bench/floor")
	if compared != "" {
		l.programs = append([]program{{"base", compared}}, l.programs...)
	}
	return l
}

func (l *lab) check(err error, words ...string) {
	l.Helper()
	if err != nil {
		l.Fatal(err, strings.Join(words, ""))
	}
}

// mountImage makes an ext4 file system in a sparse file and mounts it until the end
// of a test.
func (l *lab) mountImage(until testing.TB, name, size, options string) string {
	point := filepath.Join(l.base, name)
	out, err := exec.Command("sh", "-ec", `mkdir "$0"; truncate -s "$1" "$0.img"; mkfs.ext4 -q -F "$0.img"; mount -o "$2" "$0.img" "$0"`,
		point, size, options).CombinedOutput()
	l.check(err, string(out))
	until.Cleanup(func() {
		if out, err := exec.Command("umount", point).CombinedOutput(); err != nil {
			until.Errorf("umount %s: %v: %s", point, err, out)
		}
	})
	return point
}

// fresh makes a new directory that no run has seen.
func (l *lab) fresh(name string) string {
	dir, err := os.MkdirTemp(l.dir, name+"-")
	l.check(err)
	return dir
}

func (l *lab) turns(r row, n, count int) (all []series) {
	if r.turns > 0 {
		count = min(count, r.turns)
	}
	turn := r.begin(l, n)
	for range count {
		for i, c := range turn() {
			if i == len(all) {
				all = append(all, series{prog: c.prog})
			}
			all[i].samples = append(all[i].samples, l.measure(c))
		}
	}
	return all
}

// measure runs one command. The kernel gives its cost, with that of all processes
// that it waited for.
func (l *lab) measure(c command) sample {
	l.Helper()
	if c.before != nil {
		l.check(c.before())
	}
	// A run must not pay for dirty pages of earlier ones.
	_ = exec.Command("sync", "-f", l.dir).Run()
	// The output is kept off the measured file system.
	output, err := os.CreateTemp("", "bench-output-")
	l.check(err)
	defer os.Remove(output.Name())
	defer output.Close()
	cmd := exec.Command(c.argv[0], c.argv[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = c.dir, output, output
	cmd.Env = append(os.Environ(), c.env...)
	begin := time.Now()
	err = cmd.Run()
	wall := time.Since(begin)
	text, _ := os.ReadFile(output.Name())
	if state := cmd.ProcessState; state == nil || state.ExitCode() != c.code || !strings.Contains(string(text), c.says) {
		l.Fatalf("%s %q ended with %v, expected %d and %q; the end of its output:\n%s", c.prog, c.argv[1:], err, c.code, c.says, text[max(0, len(text)-2000):])
	}
	s := sample{"ns/op": float64(wall), "cpu-ns/op": float64(cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime())}
	// The peak of a new process begins with the peak of its parent, so this program
	// must stay small itself.
	s["rss-B"] = float64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss) * 1024
	if c.writes != "" {
		s["files"] = float64(l.countWritten(c.writes, begin))
	}
	return s
}

// countWritten counts the files below a directory that were written since. The
// kernel's file times are behind its clock by up to a tick of 10 ms.
func (l *lab) countWritten(dir string, since time.Time) int {
	since = since.Add(-10 * time.Millisecond).UTC()
	out, err := exec.Command("find", dir, "-type", "f", "-newermt", since.Format("2006-01-02T15:04:05.000000000Z"), "-printf", ".").Output()
	l.check(err)
	return len(out)
}

// describeMachine adds lines in the benchmark format to those of package testing.
func describeMachine(l *lab) {
	out, err := exec.Command("sh", "-c", `echo "machine: $(nproc) cores, $(awk '/^MemTotal/ { printf "%.0f GiB", $2/1048576 }' /proc/meminfo),"\
		"$(stat -f -c %T "$0" | sed 's,ext2/ext3,ext4,') on $(uname -sr), $(go env GOVERSION), $(openssl version | sed 's/ (.*//')"; date '+date: %F'`, l.dir).Output()
	l.check(err)
	fmt.Print(string(out))
}

// peers are other programs for the job or a part of it. A shell script drives each
// of them as its users would: bash -c SCRIPT NAME SCENARIO N ALG, in the directory
// to work in, with the program in PEER. For a program that is not on PATH, a variable
// names it: OPENSSL for openssl.
var peers = []string{"openssl", "certyaml", "easyrsa", "step"}

// peer is a peer's command; ok is false if the machine lacks it or COMPARE is set.
func (l *lab) peer(name, scenario string, n int, dir, alg string) (c command, ok bool) {
	path, err := exec.LookPath(cmp.Or(os.Getenv(strings.ToUpper(name)), name))
	if err != nil || compared != "" {
		return c, false
	}
	script, err := os.ReadFile("peers/" + name + ".sh")
	l.check(err)
	return command{prog: name, argv: []string{"bash", "-euo", "pipefail", "-c", string(script), name, scenario, fmt.Sprint(n), alg},
		env: []string{"PEER=" + path}, dir: dir, writes: dir}, true
}

// peerRows compare mtlsplan with every peer.
func peerRows() (all []row) {
	for _, p := range peers {
		all = append(all, row{"fresh EC beside " + p, []int{100}, 5, func(l *lab, n int) func() []command {
			if _, ok := l.peer(p, "fresh", n, "", "ec"); !ok {
				l.Skipf("%s is not installed: put it on PATH, or name it in %s", p, strings.ToUpper(p))
			}
			return func() []command {
				c, _ := l.peer(p, "fresh", n, l.fresh("peer"), "ec")
				return append(l.freshWorlds(n, "ec", workers), c)
			}
		}})
	}
	return all
}
