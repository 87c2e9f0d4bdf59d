package ui

import (
	"io"
	"time"

	"github.com/schollz/progressbar/v3"

	"mtlsplan/engine"
)

// Progress draws a bar below what another watcher writes to the same terminal.
// The bar is taken away before the other one writes.
type Progress struct {
	engine.Watcher
	Terminal io.Writer

	bar *progressbar.ProgressBar
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
}

// Done moves the bar on.
func (v *Progress) Done(s engine.Step) {
	v.around(func() { v.Watcher.Done(s) })
}

// Failed moves the bar on, too: nothing more will happen to that owner.
func (v *Progress) Failed(f engine.Failure) {
	v.around(func() { v.Watcher.Failed(f) })
}

// Close takes the bar away.
func (v *Progress) Close() {
	if v.bar != nil {
		_ = v.bar.Clear() // a terminal that has gone is no reason to fail
		v.bar = nil
	}
}

func (v *Progress) around(write func()) {
	if v.bar == nil {
		write()
		return
	}
	_ = v.bar.Clear()
	write()
	_ = v.bar.Add(1)
}
