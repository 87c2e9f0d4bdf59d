package engine

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"time"

	"mtlsplan/internal/ledger"
	"mtlsplan/internal/plan"
	"mtlsplan/spec"
)

// sealedOptions are those of a run that can have no secret from outside the directory.
func (w *world) sealedOptions() Options {
	opt := w.options()
	opt.LookupEnv = func(string) (string, bool) { return "", false }
	return opt
}

// checkGlance: whatever lies there, status tells it, and of what needs no secret to be
// told it has the plan's steps.
func (w *world) checkGlance(cfg *spec.Config, p *plan.Plan) {
	w.t.Helper()
	s, err := Status(context.Background(), cfg, w.sealedOptions(), 0)
	w.check(err)
	if _, _, err := Forecast(context.Background(), cfg, w.sealedOptions(), w.now.Add(400*24*time.Hour)); err != nil {
		w.t.Fatal(err)
	}
	if p.Refused() || s.Plan.Refused() || len(p.Failures) > 0 {
		return
	}
	have := map[plan.Owner]plan.Action{}
	for _, step := range s.Plan.Steps {
		have[step.Owner] = step.Action
	}
	for _, step := range p.Steps {
		closed := slices.ContainsFunc(step.Reasons, func(r plan.Reason) bool {
			return slices.Contains([]plan.Code{plan.PassphraseChanged, plan.KeyMismatch, plan.Damaged, plan.Upstream}, r.Code)
		})
		if !closed && have[step.Owner] != step.Action {
			w.t.Fatalf("%s is to %s: %+v, and status has %q: %s", step.Owner, step.Action, step.Reasons, have[step.Owner], w.text(s.Plan))
		}
	}
}

// checkForetold: after a run of the whole spec everybody has the newest certificate, with
// and without the cache, and the next thing that forecast says comes true: then, and not a
// second earlier.
func (w *world) checkForetold(r ran) {
	w.t.Helper()
	ctx := context.Background()
	status := func() string {
		s, err := Status(ctx, r.cfg, w.sealedOptions(), 0)
		w.check(err)
		if !s.Plan.Empty() || len(s.Plan.Failures) > 0 {
			w.t.Fatalf("after the run there is something to do: %s", w.text(s.Plan))
		}
		is := w.records()
		for _, o := range s.Owners {
			name, user := o.Owner.UserName()
			if !user || o.State == plan.StateRevoked {
				continue
			}
			newest := is.row(o.Serial)
			if o.State != plan.StateValid || newest == nil || newest.State == ledger.Revoked || !slices.Contains(newest.Owners(), string(plan.User(name))) || !newest.NotAfter.Equal(*o.NotAfter) {
				w.t.Fatalf("%+v, and index.txt has %+v", o, newest)
			}
		}
		text, err := json.Marshal(plan.NewStatusDocument(s))
		w.check(err)
		return string(text)
	}
	with := status()
	if err := os.Rename(w.out(cacheName), w.out("db")+".cache"); err == nil {
		without := status()
		w.check(os.Rename(w.out("db")+".cache", w.out(cacheName)))
		if with != without {
			w.t.Fatalf("with the cache status is\n%s\nand without it\n%s", with, without)
		}
	}
	events, _, err := Forecast(ctx, r.cfg, w.sealedOptions(), w.now.Add(4000*24*time.Hour))
	w.check(err)
	events = slices.DeleteFunc(events, func(e plan.Event) bool { return e.Action == "" })
	if len(events) == 0 {
		w.t.Fatal("nothing is foretold for ten years")
	}
	want := map[plan.Owner]plan.Action{}
	for _, e := range events {
		if e.At.Equal(events[0].At) {
			want[e.Owner] = e.Action
		}
	}
	steps := func(at time.Time) map[plan.Owner]plan.Action {
		opt := w.options()
		opt.Now = at
		p, err := NewPlan(ctx, r.cfg, opt)
		w.check(err)
		out := map[plan.Owner]plan.Action{}
		for _, s := range p.Steps {
			if !strings.HasPrefix(string(s.Owner), "nginx.") { // a site follows
				out[s.Owner] = s.Action
			}
		}
		return out
	}
	if early := steps(events[0].At.Add(-time.Second)); len(early) > 0 {
		w.t.Fatalf("forecast says that nothing happens before %v, and the plan a second earlier %v", events[0], early)
	}
	for owner, action := range steps(events[0].At) {
		if want[owner] != action {
			w.t.Fatalf("at %s the plan is to %s %s, and forecast has %v", events[0].At, action, owner, want)
		}
		delete(want, owner)
	}
	if len(want) > 0 {
		w.t.Fatalf("at %s the plan has nothing of %v", events[0].At, want)
	}
}
