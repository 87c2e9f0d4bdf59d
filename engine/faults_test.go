package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"mtlsplan/internal/outdir"
)

// errStopped is what a process that dies panics with here.
var errStopped = errors.New("the process has died")

// fault is what happens to one change of the disk.
type fault struct {
	name  string
	errno syscall.Errno // 0: the process dies
	done  bool          // the change is made all the same
	torn  bool          // half of what is written gets there
	on    bool          // from then on everything fails
}

var faults = []fault{
	{name: "lost, ENOSPC", errno: syscall.ENOSPC},
	{name: "lost, EIO", errno: syscall.EIO},
	{name: "lost, EROFS", errno: syscall.EROFS},
	{name: "lost, EMFILE", errno: syscall.EMFILE},
	{name: "done but reported failed", errno: syscall.EIO, done: true},
	{name: "lost for good", errno: syscall.EROFS, on: true},
	{name: "half written", errno: syscall.ENOSPC, torn: true},
	{name: "half written and stopped", torn: true},
	{name: "stopped"},
}

// ways is the number of faults, the first ones, that any change may have and
// that the process outlives.
const ways = 6

// remedies are a part of what the error must say, beside the file.
var remedies = map[syscall.Errno]string{
	syscall.ENOSPC: "make room", syscall.EIO: "kernel's log", syscall.EROFS: "make it writable", syscall.EMFILE: "ulimit -n",
}

// at lets the fault happen to the k-th change, counted from 1. The number that
// comes back counts all changes.
func (f fault) at(w *world, k int) (outdir.Trace, *int) {
	n := 0
	return func(c outdir.Change, do func() error) error {
		n++
		if n != k && !(f.on && n > k) {
			return do()
		}
		switch {
		case f.torn:
			file, err := os.OpenFile(w.out(c.Name), os.O_WRONLY, 0)
			w.check(err)
			_, err = file.WriteAt(c.Data[:len(c.Data)/2], c.At)
			w.check(errors.Join(err, file.Close()))
		case f.done:
			_ = do() // it may have nothing to do
		}
		if f.errno == 0 {
			panic(errStopped)
		}
		return f.errno
	}, &n
}

// attempt is a run with a fault.
func (s *scene) attempt(w *world, trace outdir.Trace) (report *Report, err error) {
	defer func() {
		if r := recover(); r == errStopped {
			err = errStopped
		} else if r != nil {
			panic(r)
		}
	}()
	return Apply(outdir.WithTrace(context.Background(), trace), w.load(), s.options(w), quiet{})
}

// try has one fault at the k-th change, and checks all.
func (s *scene) try(t testing.TB, f fault, k int) {
	w := s.open(t, fmt.Sprintf("%s at change %d, %s %s", f.name, k, s.changes[k-1].Do, s.changes[k-1].Name))
	defer os.RemoveAll(w.dir)
	trace, n := f.at(w, k)
	report, err := s.attempt(w, trace)
	if *n < k {
		w.t.Fatalf("the run makes %d changes only", *n)
	}
	if c := s.changes[k-1]; err == nil && !spares(c.Name) && !(c.Name == "db/lock" && string(c.Data) == "\n") {
		w.t.Fatal("a change has failed, and the run says nothing of it")
	}
	if err != errStopped && err != nil && !strings.Contains(err.Error(), remedies[f.errno]) {
		w.t.Fatalf("the error names no remedy: %v", err)
	}
	raw := s.inspect(w)
	mended := s.mend(w, raw)
	s.checkDone(w, report, raw, mended)
}

// points are the changes at which a fault is tried. A plain run leaves out what
// is the same as its neighbours, files of one batch being staged one like the
// other, and has each change fail in one of the ways, in turn. For all of them:
// MTLSPLAN_FAULTS=all.
func (s *scene) points(fault int) []int {
	f, all := faults[fault], os.Getenv("MTLSPLAN_FAULTS") == "all"
	groups := map[string][]int{}
	batch := ""
	for i, c := range s.changes {
		group := fmt.Sprint(i)
		if rest, staged := strings.CutPrefix(c.Name, "db/stage/"); staged {
			dir, file, _ := strings.Cut(rest, "/")
			batch = dir
			if file != "" && strings.Trim(file, "0123456789") == "" && c.Do != "rename" {
				group = batch + c.Do
			}
		}
		if !f.torn || c.Do == "write" { // there is no half of anything else
			groups[group] = append(groups[group], i+1)
		}
	}
	var out []int
	for _, g := range groups {
		if len(g) > 3 && !all {
			g = []int{g[0], g[len(g)/2], g[len(g)-1]}
		}
		out = append(out, g...)
	}
	slices.Sort(out)
	if f.errno == 0 || f.torn || all {
		return out
	}
	return slices.DeleteFunc(out, func(k int) bool { return k%ways != fault })
}

// eachOf calls try for each of the points, on all cores.
func eachOf(t *testing.T, points []int, try func(t testing.TB, k int)) {
	// Small heaps that live shortly: the collector would be most of the work.
	defer debug.SetGCPercent(debug.SetGCPercent(800))
	var next atomic.Int64
	t.Run("points", func(t *testing.T) {
		for core := range runtime.NumCPU() {
			t.Run(fmt.Sprint(core), func(t *testing.T) {
				t.Parallel()
				for i := next.Add(step()); int(i) <= len(points); i = next.Add(step()) {
					try(t, points[i-1])
				}
			})
		}
	})
}

// step is how many points there are to one that is tried.
func step() int64 {
	if testing.Short() {
		return 40 * thin
	}
	return thin
}

// TestFaultAnywhere has each fault at each change of the disk that a run makes:
// the old state or the new, never between; the report and the error tell the
// truth; the next run mends and the one after changes nothing.
func TestFaultAnywhere(t *testing.T) {
	for _, m := range scenes {
		t.Run(m.name, func(t *testing.T) {
			s := newScene(t, m)
			for i, f := range faults {
				t.Run(f.name, func(t *testing.T) {
					points := s.points(i)
					eachOf(t, points, func(t testing.TB, k int) { s.try(t, f, k) })
					t.Logf("%d of %d changes", len(points), len(s.changes))
				})
			}
		})
	}
}

// stopped is the scene that a run leaves which dies at its k-th change. Its
// changes are those of the recovery.
func (s *scene) stopped(t testing.TB, k int) *scene {
	w := s.open(t, "stopped")
	trace, _ := fault{}.at(w, k)
	if _, err := s.attempt(w, trace); err != errStopped {
		t.Fatal(err)
	}
	after := *s
	after.name = fmt.Sprintf("%s, stopped at change %d, %s %s", s.name, k, s.changes[k-1].Do, s.changes[k-1].Name)
	after.start = readTree(t, w.dir)
	after.play(t, w)
	if after.shape != s.shape || !slices.Equal(after.issued, s.issued) {
		t.Fatalf("%s: comes to\n%s\nand not to\n%s", after.name, after.shape, s.shape)
	}
	next := slices.IndexFunc(after.changes, func(c outdir.Change) bool {
		return c.Do == "mkdir" && strings.HasPrefix(c.Name, "db/stage/")
	})
	after.changes = after.changes[:next]
	return &after
}

// find returns the number of the first change like one that is given.
func (s *scene) find(t testing.TB, like outdir.Change) int {
	t.Helper()
	i := slices.IndexFunc(s.changes, func(c outdir.Change) bool {
		same, _ := path.Match(like.Name, c.Name)
		return c.Do == like.Do && (same || c.To == like.To && c.To != "")
	})
	if i < 0 {
		t.Fatalf("the run makes no change like %+v", like)
	}
	return i + 1
}

// TestFaultInRecovery has a fault at each change of the run that finishes what
// one before it has left: the third mends.
func TestFaultInRecovery(t *testing.T) {
	s := newScene(t, scenes[0])
	for _, first := range []outdir.Change{
		{Do: "write", Name: "db/index.txt"},        // recorded by half
		{Do: "rename", To: "eve-m.key"},            // some users' files are in place
		{Do: "rename", To: "db/retired/gus-m.key"}, // some files are retired
		{Do: "rename", Name: "db/stage/*/journal"}, // all is in place
	} {
		after := s.stopped(t, s.find(t, first))
		for i, f := range faults {
			t.Run(fmt.Sprintf("%s %s%s/%s", first.Do, first.Name, first.To, f.name), func(t *testing.T) {
				eachOf(t, after.points(i), func(t testing.TB, k int) { after.try(t, f, k) })
			})
		}
	}
}
