package ui

import (
	"io"
	"time"

	"github.com/schollz/progressbar/v3"

	"mtlsplan/engine"
)

// Progress draws a bar on the terminal that another watcher writes to. That
// one writes through [Progress.Above].
type Progress struct {
	engine.Watcher
	Terminal io.Writer

	bar   *progressbar.ProgressBar
	drawn bool // since it was taken away last
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
func (v *Progress) Planned(p *engine.Plan) {
	v.Watcher.Planned(p)
	if p.Empty() || p.Refused() {
		return
	}
	v.bar = progressbar.NewOptions(len(p.Steps),
		progressbar.OptionSetWriter(v.Terminal),
		progressbar.OptionSetDescription("applying"),
		progressbar.OptionSetWidth(30),
		progressbar.OptionSetTheme(progressbar.Theme{Saucer: "█", SaucerPadding: "░", BarStart: "", BarEnd: ""}),
		progressbar.OptionShowCount(),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetRenderBlankState(true),
	)
	v.drawn = true
}

// Done moves the bar on.
func (v *Progress) Done(s engine.Step) {
	v.Watcher.Done(s)
	v.add()
}

// Failed moves the bar on, too: nothing more will happen to that owner.
func (v *Progress) Failed(f engine.Failure) {
	v.Watcher.Failed(f)
	v.add()
}

// Close takes the bar away for good.
func (v *Progress) Close() {
	v.clear()
	v.bar = nil
}

// A terminal that has gone is no reason for an apply to fail, so what the bar
// returns is not looked at.

func (v *Progress) clear() {
	if v.drawn {
		_ = v.bar.Clear()
	}
	v.drawn = false
}

func (v *Progress) add() {
	if v.bar != nil {
		_ = v.bar.Add(1)
		v.drawn = true
	}
}
