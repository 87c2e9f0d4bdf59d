package policy

import (
	"testing"
	"time"
)

func TestClock(t *testing.T) {
	w := newWorld(t, "ann")
	release := w.now.Add(time.Hour)
	for _, c := range []struct {
		name     string
		now      time.Time
		released time.Time
		accept   bool
		behind   bool
	}{
		{"no release is known", w.now, time.Time{}, false, false},
		{"on the day of the release", release, release, false, false},
		{"as far behind as clocks may differ", release.Add(-5 * time.Minute), release, false, false},
		{"behind the release", release.Add(-6 * time.Minute), release, false, true},
		{"behind the directory's past", w.now.Add(-30 * 24 * time.Hour), time.Time{}, false, true},
		{"accepted", release.Add(-6 * time.Minute), release, true, false},
	} {
		v := Judge(Question{Config: w.cfg, Have: w.have, Ledger: w.ledger, Now: c.now, Released: c.released, Ask: Ask{AcceptClock: c.accept}})
		if got := v.Clock != nil; got != c.behind {
			t.Errorf("%s: %v", c.name, v.Clock)
		}
	}
}
