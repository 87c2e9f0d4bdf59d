package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"mtlsplan/internal/outdir"
	"mtlsplan/internal/plan"
)

// marks remembers the number of changes after which a step was reported done.
type marks struct {
	quiet
	n    *int
	done map[int]bool
}

func (m marks) Done([]plan.Step) { m.done[*m.n] = true }

// states are the directories that a power cut during a run may leave, each once. Steps that
// were reported done must be in all of them, if done says so. drop removes changes from the
// run, to see their purpose.
func (s *scene) states(t testing.TB, done bool, drop func(outdir.Change) bool) []crashState {
	t.Helper()
	w := s.open(t, "recorded")
	n, m := 0, marks{done: map[int]bool{}}
	m.n = &n
	var changes []outdir.Change
	record := func(c outdir.Change, do func() error) error {
		if n+1 == s.stop && len(m.done) == 0 {
			m.done[0] = true
			panic(errStopped)
		}
		err := do()
		if err == nil {
			c.Data = slices.Clone(c.Data)
			changes = append(changes, c)
			n++
		}
		return err
	}
	if s.stop > 0 {
		if _, err := s.attempt(w, record); err != errStopped {
			t.Fatal(err)
		}
	}
	_, err := Apply(outdir.WithTrace(context.Background(), record), w.load(), s.options(w), m)
	w.check(err)
	m.done[n] = true

	p := newPowered(s.start)
	seen := map[uint64]bool{}
	var out []crashState
	for i, c := range changes {
		if drop == nil || !drop(c) {
			p.change(i+1, c)
		}
		now := tree(nil)
		if done && m.done[i+1] {
			now = p.after(p.pending, losses[0]).visible()
		}
		p.eachCut(func(about string, tr tree) {
			about = fmt.Sprintf("power cut after change %d, %s %s%s; %s", i+1, c.Do, c.Name, strings.TrimSuffix(" to "+c.To, " to "), about)
			if now != nil && now.key() != tr.visible().key() {
				t.Fatalf("%s, %s: a step that was reported done is lost", s.name, about)
			}
			if key := tr.key(); !seen[key] {
				seen[key] = true
				out = append(out, crashState{about, w.dir, tr})
			}
		})
	}
	return out
}

// visible is the result of a run, without the files for its own use.
func (tr tree) visible() tree {
	out := tree{}
	for name, n := range tr {
		if rest, ok := strings.CutPrefix(name, "pki/"); ok && !transient(rest) {
			out[name] = n
		}
	}
	return out
}

// survive lets the next run start from a state, in the place of the run: sites name the
// directory that they are in.
func (s *scene) survive(t testing.TB, c crashState) {
	w := s.open(t, c.about)
	if err := errors.Join(os.RemoveAll(w.dir), os.RemoveAll(c.dir)); err != nil {
		t.Fatal(err)
	}
	w.dir, w.apart = c.dir, true
	c.tree.write(t, w.dir)
	s.mend(w, s.inspect(w))
}

// TestPowerCutAnywhere cuts the power after each change of a run, in every way that the model
// knows. The next plan must report no fault, the next run must repair the directory, and
// steps that were reported done must still be done.
func TestPowerCutAnywhere(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(800))
	t.Run("scenes", func(t *testing.T) {
		try := func(name string, s *scene) {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				states := s.states(t, true, nil)
				for i := int(first()); i < len(states); i += int(step()) {
					s.survive(t, states[i])
				}
				t.Logf("%d states", len(states))
			})
		}
		for i, m := range scenes {
			s := newScene(t, m)
			try(m.name, s)
			if i > 0 {
				continue
			}
			// The first run is killed, so that none of its work need be on the disk yet. The second
			// run finishes its work.
			for _, stop := range []outdir.Change{{Do: "write", Name: "db/index.txt"}, {Do: "sync", Name: "db/retired"}} {
				again := *s
				again.stop = s.find(t, stop)
				try(fmt.Sprintf("%s, killed at %s %s", m.name, stop.Do, stop.Name), &again)
			}
		}
	})
}

// brokenT ends a check, but not the test.
type brokenT struct {
	testing.TB
	how string
}

func (b *brokenT) Fatalf(format string, args ...any) { b.how = fmt.Sprintf(format, args...); panic(b) }
func (b *brokenT) Fatal(args ...any)                 { b.how = fmt.Sprint(args...); panic(b) }

// breaks reports how a check fails, "" if it does not.
func breaks(t testing.TB, check func(t testing.TB)) (how string) {
	b := &brokenT{TB: t}
	defer func() {
		if r := recover(); r == any(b) {
			how = b.how
		} else if r != nil {
			panic(r)
		}
	}()
	check(b)
	return ""
}

// phases are those of a batch: its files are staged, its journal is made durable, changes in
// db/ are released, then all others, and the journal is removed.
type phases struct{ at string }

func (p *phases) see(c outdir.Change) string {
	target := c.Name
	if c.Do == "rename" || c.Do == "exchange" {
		target = c.To
	}
	switch {
	case c.Do == "rename" && path.Base(c.To) == "journal":
		p.at = "journal"
	case c.Do == "rename" && path.Base(c.Name) == "journal":
		p.at = "staging"
	case strings.HasPrefix(c.Do, "sync") || p.at == "staging":
	case p.at != "rest" && path.Dir(target) == "db":
		p.at = "db"
	default:
		p.at = "rest"
	}
	return p.at
}

// TestEverySyncIsNeeded removes the syncs of one phase at a time from a run. There must be a
// power cut that such a run does not survive; otherwise the check above overlooks faults.
func TestEverySyncIsNeeded(t *testing.T) {
	if testing.Short() {
		t.Skip("make test runs it")
	}
	s := newScene(t, scenes[0])
	for _, phase := range []string{"staging", "journal", "db", "rest"} {
		t.Run(phase, func(t *testing.T) {
			p, dropped := phases{at: "staging"}, 0
			var states []crashState
			how := breaks(t, func(t testing.TB) {
				states = s.states(t, phase == "rest", func(c outdir.Change) bool {
					drop := p.see(c) == phase && strings.HasPrefix(c.Do, "sync")
					if drop {
						dropped++
					}
					return drop
				})
			})
			for i := 0; how == "" && i < len(states); i++ {
				how = breaks(t, func(t testing.TB) { s.survive(t, states[i]) })
			}
			if how == "" || dropped == 0 {
				t.Fatalf("%d syncs were removed, and no check fails in %d states", dropped, len(states))
			}
			t.Logf("%d syncs were removed, and then: %s", dropped, how)
		})
	}
}
