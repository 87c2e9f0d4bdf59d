package ui

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// Verbose writes what a run does, one line each when it has ended: since when the run
// is at work, what it did with what, and how long that took where it was a tenth of a millisecond at least. Its Trace is that of
// [engine.Options].
type Verbose struct {
	W       io.Writer
	Elapsed func() time.Duration // since the run began

	mu sync.Mutex
}

// Trace notes that something begins; the line is written when ended is called.
func (v *Verbose) Trace(doing, what string) (ended func()) {
	begun := v.Elapsed()
	return func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		now := v.Elapsed()
		fmt.Fprintf(v.W, "%9.3fs  %-14s  %s%s\n", now.Seconds(), doing, Clean(what), took(now-begun))
	}
}

// took is how long something took, "" where that is no time worth a word.
func took(d time.Duration) string {
	switch {
	case d < 100*time.Microsecond:
		return ""
	case d < time.Second:
		return fmt.Sprintf("  (%.1f ms)", float64(d.Microseconds())/1000)
	}
	return fmt.Sprintf("  (%.1f s)", d.Seconds())
}
