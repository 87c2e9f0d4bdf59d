package engine

import (
	"context"
	"os"

	"pgregory.net/rapid"

	"mtlsplan/spec"
)

// checkWithoutCache makes a plan again without the cache: it must be the same, to the byte.
func (w *world) checkWithoutCache(cfg *spec.Config, opt Options, with string) {
	w.t.Helper()
	name, away := w.out(cacheName), w.out("db")+".cache"
	if err := os.Rename(name, away); os.IsNotExist(err) {
		return
	} else if err != nil {
		w.t.Fatal(err)
	}
	defer func() { w.check(os.Rename(away, name)) }()
	p, err := NewPlan(context.Background(), cfg, opt)
	w.check(err)
	if without := w.text(p); without != with {
		w.t.Fatalf("with the cache the plan is\n%s\nand without it\n%s", with, without)
	}
}

// cache damages the cache in every way that may happen; no later run may have another result.
func (w *world) cache(t *rapid.T) {
	w.settle()
	name := w.out(cacheName)
	data, err := os.ReadFile(name)
	if err != nil {
		t.Skip("no cache")
	}
	switch rapid.SampledFrom([]string{"delete", "cut", "alter", "append", "older", "keep"}).Draw(t, "cache") {
	case "delete":
		w.check(os.Remove(name))
	case "cut":
		w.check(os.Truncate(name, int64(rapid.IntRange(0, len(data)).Draw(t, "at"))))
	case "alter":
		data[rapid.IntRange(0, len(data)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		w.check(os.WriteFile(name, data, 0o600))
	case "append":
		w.check(os.WriteFile(name, append(data, "more"...), 0o600))
	case "older":
		if w.kept != nil {
			w.check(os.WriteFile(name, w.kept, 0o600))
		}
	case "keep":
		w.kept = data
	}
}
