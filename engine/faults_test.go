package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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
	"mtlsplan/internal/testing/sample"
)

// errStopped is the value with which a dying process panics here.
var errStopped = errors.New("the process has died")

// fault is the fate of one change of the disk.
type fault struct {
	name  string
	errno syscall.Errno // 0: the process dies
	done  bool          // the change is made nevertheless
	torn  bool          // half of the data is written
	on    bool          // all later changes fail, too
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

// ways is the number of faults, the first in the list, that any change may have and that the
// process survives.
const ways = 6

// remedies are texts that the error must contain, besides the file.
var remedies = map[syscall.Errno]string{
	syscall.ENOSPC: "make room", syscall.EIO: "kernel's log", syscall.EROFS: "make it writable", syscall.EMFILE: "ulimit -n",
}

// at lets the fault happen to the k-th change, counted from 1. It returns a count of all
// changes.
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

// try lets one fault happen to the k-th change, and checks everything.
func (s *scene) try(t testing.TB, f fault, k int) {
	w := s.open(t, fmt.Sprintf("%s at change %d, %s %s", f.name, k, s.changes[k-1].Do, s.changes[k-1].Name))
	defer os.RemoveAll(w.dir)
	trace, n := f.at(w, k)
	report, err := s.attempt(w, trace)
	if *n < k {
		w.t.Fatalf("the run makes only %d changes", *n)
	}
	if err == nil && !s.spared(k) {
		w.t.Fatal("a change has failed, but the run reports no error")
	}
	if err != errStopped && err != nil && !strings.Contains(err.Error(), remedies[f.errno]) {
		w.t.Fatalf("the error names no remedy: %v", err)
	}
	raw := s.inspect(w)
	mended := s.mend(w, raw)
	s.checkDone(w, report, raw, mended)
}

// points are the changes at which a fault is tried. A plain run leaves out changes that are
// like their neighbours, such as the staged files of one batch, and lets each change fail in
// one of the ways, in turn.
func (s *scene) points(fault int) []int {
	f := faults[fault]
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
		if !f.torn || c.Do == "write" { // only a write can be done by half
			groups[group] = append(groups[group], i+1)
		}
	}
	var out []int
	for _, g := range groups {
		if len(g) > 3 && !sample.All {
			g = []int{g[0], g[len(g)/2], g[len(g)-1]}
		}
		out = append(out, g...)
	}
	slices.Sort(out)
	if f.errno == 0 || f.torn || sample.All {
		return out
	}
	return slices.DeleteFunc(out, func(k int) bool { return k%ways != fault })
}

// eachOf calls try for each of the points, on all cores.
func eachOf(t *testing.T, points []int, try func(t testing.TB, k int)) {
	// The heaps are small and short-lived: the collector would do most of the work.
	defer debug.SetGCPercent(debug.SetGCPercent(800))
	var next atomic.Int64
	next.Store(-first())
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
	if sample.All || thin > 1 {
		return thin
	}
	return 4
}

// first is how many points are left out before the first that is tried.
func first() int64 {
	if testing.Short() {
		return 0
	}
	return rand.Int64N(step())
}

// TestFaultAnywhere tries each fault at each change of the disk in a run. The result is the
// old state or the new one, never a mixture; the report and the error tell the truth; the
// next run repairs the directory, and the run after that changes nothing.
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

// stopped is the scene after a run that dies at its k-th change. Its changes are those of the
// recovery.
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
		t.Fatalf("%s: gives\n%s\nexpected\n%s", after.name, after.shape, s.shape)
	}
	next := slices.IndexFunc(after.changes, func(c outdir.Change) bool {
		// A batch of its own, or the cache where that was the last one.
		return c.Do == "mkdir" && strings.HasPrefix(c.Name, "db/stage/") || c.Do == "create" && c.Name == "db/stage/cache"
	})
	after.changes = after.changes[:next]
	return &after
}

// find returns the number of the first change that matches.
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

// TestFaultInRecovery tries a fault at each change of the run that finishes an interrupted
// one: the third run repairs the directory.
func TestFaultInRecovery(t *testing.T) {
	s := newScene(t, scenes[0])
	for _, first := range []outdir.Change{
		{Do: "write", Name: "db/index.txt"},        // half of the record is written
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
