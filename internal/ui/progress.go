package ui

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"mtlsplan/engine"
	"mtlsplan/internal/plan"
)

// Progress draws a bar on a terminal to which another watcher writes as well,
// through [Progress.Above]. For a log it writes a line from time to time instead.
type Progress struct {
	engine.Watcher
	Terminal io.Writer
	Elapsed  func() time.Duration // since any moment before the apply
	Log      bool                 // Terminal is none

	bar   *progressbar.ProgressBar
	drawn bool // since it was taken away last

	said       time.Duration // when the last line was written, or the work began
	steps, of  int           // of the plan
	left, done int           // steps of users
	since      time.Duration // when the first of them could begin, or the reading began
}

const (
	patience = time.Second      // how long a run may take without a bar
	between  = 10 * time.Second // how long a log waits for a line, at least
)

// line writes how far the work is, if it is time for that.
func (v *Progress) line(doing string, done, total int, what, pace string, now time.Duration) {
	if now-v.said < between {
		return
	}
	v.said = now
	fmt.Fprintf(v.Terminal, "%s: %d of %d %s%s\n", doing, done, total, what, pace)
}

// Reading draws a bar while files are read, before a plan and after an apply,
// once that has taken a second.
func (v *Progress) Reading(done, total int) {
	if done == 1 {
		v.begin()
	}
	v.users("reading", done, total)
}

// HandingOut does so while users are handed out what is theirs: with none done it begins.
func (v *Progress) HandingOut(done, total int) {
	if done == 0 {
		v.begin()
		return
	}
	v.users("handing out", done, total)
}

func (v *Progress) begin() {
	v.Close()
	v.since = v.Elapsed()
	v.said = v.since
}

func (v *Progress) users(doing string, done, total int) {
	now := v.Elapsed()
	if done == total {
		v.Close()
		return
	}
	if v.Log {
		v.line(doing, done, total, "users", pace(done, total-done, now-v.since), now)
		return
	}
	if few := max(1, total/200); done%few != 0 || now-v.since < patience {
		return
	}
	if v.bar == nil {
		v.bar = v.newBar(doing, total)
	}
	_ = v.bar.Set(done)
	v.bar.Describe(doing + pace(done, total-done, now-v.since))
	v.drawn = true
}

// Above returns a writer to w that takes the bar away before it writes; the
// next step draws it again.
func (v *Progress) Above(w io.Writer) io.Writer { return above{v, w} }

type above struct {
	*Progress
	w io.Writer
}

func (a above) Write(p []byte) (int, error) {
	a.clear()
	return a.w.Write(p)
}

// Planned starts the bar, unless there is nothing to wait for.
func (v *Progress) Planned(p *plan.Plan) {
	v.Watcher.Planned(p)
	if p.Empty() || p.Refused() {
		return
	}
	v.steps, v.of, v.left, v.done = 0, len(p.Steps), 0, 0
	if v.since = v.Elapsed(); v.Log {
		v.said = v.since
	} else {
		v.bar = v.newBar("applying", len(p.Steps))
		_ = v.bar.RenderBlank()
		v.drawn = true
	}
	for _, s := range p.Steps {
		if isUser(s.Owner) {
			v.left++
		}
	}
}

func (v *Progress) newBar(doing string, steps int) *progressbar.ProgressBar {
	return progressbar.NewOptions(steps,
		progressbar.OptionSetWriter(v.Terminal),
		progressbar.OptionSetDescription(doing),
		progressbar.OptionSetPredictTime(false),
		progressbar.OptionSetElapsedTime(false),
		progressbar.OptionSetWidth(18),
		progressbar.OptionSetTheme(progressbar.Theme{Saucer: "█", SaucerPadding: "░", BarStart: "", BarEnd: ""}),
		progressbar.OptionShowCount(),
		progressbar.OptionClearOnFinish(),
	)
}

// Done moves the bar on.
func (v *Progress) Done(steps []plan.Step) {
	v.Watcher.Done(steps)
	owners := make([]plan.Owner, len(steps))
	for i, s := range steps {
		owners[i] = s.Owner
	}
	v.add(owners...)
}

// Failed moves the bar on, too: nothing more will happen to that owner.
func (v *Progress) Failed(f plan.Failure) {
	v.Watcher.Failed(f)
	v.add(f.Owner)
}

// pace is how fast the work goes, and how long it will take.
func pace(done, left int, spent time.Duration) string {
	if done == 0 || left == 0 || spent <= 0 {
		return timeLeft(done, left, spent)
	}
	rate := float64(done) / spent.Seconds()
	switch {
	case rate >= 10:
		return fmt.Sprintf(", %.0f/s", rate) + timeLeft(done, left, spent)
	case rate >= 1:
		return fmt.Sprintf(", %.1f/s", rate) + timeLeft(done, left, spent)
	}
	return fmt.Sprintf(", %.0f/min", rate*60) + timeLeft(done, left, spent)
}

// timeLeft estimates by users: each takes about as long as another, while the CA
// may take longer than all of them.
func timeLeft(done, left int, spent time.Duration) string {
	if done == 0 || left == 0 {
		return ""
	}
	t := time.Duration(float64(spent) / float64(done) * float64(left))
	switch {
	case t < 10*time.Second:
		return ", a few seconds left"
	case t < 100*time.Second:
		return fmt.Sprintf(", about %d s left", int(t.Seconds()+5)/10*10)
	case t < 100*time.Minute:
		return fmt.Sprintf(", about %d min left", int(t.Minutes()+0.5))
	}
	return fmt.Sprintf(", about %.1f h left", t.Hours())
}

// Close takes the bar away for good, if there is one: v may be nil.
func (v *Progress) Close() {
	if v == nil {
		return
	}
	v.clear()
	v.bar = nil
}

// An apply does not fail because its terminal has gone, so errors of the bar are
// ignored.

func (v *Progress) clear() {
	if v.drawn {
		_ = v.bar.Clear()
	}
	v.drawn = false
}

func (v *Progress) add(owners ...plan.Owner) {
	if v.of == 0 || v.bar == nil && !v.Log {
		return
	}
	now := v.Elapsed()
	v.steps += len(owners)
	for _, owner := range owners {
		if isUser(owner) {
			v.done, v.left = v.done+1, v.left-1
		} else if v.done == 0 {
			v.since = now
		}
	}
	if v.Log {
		if v.steps < v.of {
			v.line("applying", v.steps, v.of, "steps", pace(v.done, v.left, now-v.since), now)
		}
		return
	}
	v.bar.Describe("applying" + pace(v.done, v.left, now-v.since))
	_ = v.bar.Add(len(owners))
	v.drawn = true
}

func isUser(owner plan.Owner) bool { return strings.HasPrefix(string(owner), "user.") }
