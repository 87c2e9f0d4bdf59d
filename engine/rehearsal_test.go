package engine

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"mtlsplan/internal/outdir"
	"mtlsplan/internal/plan"
)

// The mark of a rehearsal is durable before anything else changes, so that no crash leaves
// what was rehearsed in a directory that seems to be in earnest.
func TestRehearsalMarksFirst(t *testing.T) {
	c := afresh(t, generated)
	c.opt.Now, c.opt.Dated, c.opt.Rehearsal = c.opt.Now.AddDate(0, 0, 350), true, true
	placed, marked := false, false
	ctx := outdir.WithTrace(context.Background(), func(ch outdir.Change, do func() error) error {
		switch {
		case ch.Do == "rename" && ch.To == rehearsalName:
			placed = true
		case placed && strings.HasPrefix(ch.Do, "sync"):
			marked = true
		case !marked && !strings.HasPrefix(ch.Name, "db/lock") && !strings.HasPrefix(ch.Name, "db/stage") && !strings.HasPrefix(ch.Do, "sync"):
			t.Errorf("%s %s comes before the mark is durable", ch.Do, ch.Name)
		}
		return do()
	})
	r, err := Apply(ctx, c.cfg, c.opt, quiet{})
	if err != nil || len(r.Done) == 0 || !marked {
		t.Fatal(err, r, marked)
	}
}

// A run that waits for a rehearsal to end finds the mark when its turn comes.
func TestRehearsalWhileAnotherWaits(t *testing.T) {
	c := afresh(t, generated)
	rehearsal, err := outdir.Lock(context.Background(), c.cfg.Output, "rehearsal", 0, nil)
	c.must(err)
	waiting := make(chan error)
	go func() {
		opt := c.opt
		opt.LockTimeout = 10 * time.Second
		_, err := Apply(context.Background(), c.cfg, opt, quiet{})
		waiting <- err
	}()
	time.Sleep(100 * time.Millisecond) // until it waits; too short would hide a fault, not make one
	c.must(rehearse(rehearsal, Options{Rehearsal: true, Dated: true}))
	c.must(rehearsal.Close())
	if err := <-waiting; plan.CodeOf(err) != plan.Rehearsed {
		t.Error(err)
	}
}

// An odd file in the place of the mark is no mark, and no missing one either.
func TestOddMark(t *testing.T) {
	c := afresh(t, generated)
	c.must(os.Symlink("nowhere", c.path(rehearsalName)))
	if _, err := Apply(context.Background(), c.cfg, c.opt, quiet{}); err == nil || !strings.Contains(err.Error(), "symbolic link") {
		t.Error(err)
	}
	if _, err := NewPlan(context.Background(), c.cfg, c.opt); err == nil {
		t.Error("a plan was made")
	}
}
