package engine

import (
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// damages are the ways to damage a file, except those that need another file.
var damages = map[string]func(w *world, path string, data []byte) error{
	"delete":   func(_ *world, path string, _ []byte) error { return os.Remove(path) },
	"empty":    func(_ *world, path string, _ []byte) error { return os.Truncate(path, 0) },
	"truncate": func(_ *world, path string, data []byte) error { return os.Truncate(path, int64(len(data)/2)) },
	"widen":    func(_ *world, path string, _ []byte) error { return os.Chmod(path, 0o666) },
	"narrow":   func(_ *world, path string, _ []byte) error { return os.Chmod(path, 0o400) },
	"alter": func(_ *world, path string, data []byte) error {
		data[len(data)*4/5] ^= 1
		return os.WriteFile(path, data, 0o600)
	},
	"append": func(_ *world, path string, data []byte) error {
		return os.WriteFile(path, append(data, "more\n"...), 0o600)
	},
	"directory": func(_ *world, path string, _ []byte) error {
		if err := os.Remove(path); err != nil {
			return err
		}
		return os.Mkdir(path, 0o755)
	},
	"link": func(w *world, path string, _ []byte) error {
		if err := os.Remove(path); err != nil {
			return err
		}
		return os.Symlink(filepath.Join(w.dir, "mtlsplan.hcl"), path)
	},
}

func (w *world) damage(t *rapid.T) {
	var files []string
	for name, f := range w.snapshot() {
		if f.mode.IsRegular() && !strings.HasPrefix(name, "db/") && name != "ca.m.key" {
			files = append(files, name)
		}
	}
	slices.Sort(files)
	name := rapid.SampledFrom(files).Draw(t, "file")
	data, err := os.ReadFile(w.out(name))
	w.check(err)
	info, err := os.Stat(w.out(name))
	w.check(err)
	kinds := append(slices.Sorted(maps.Keys(damages)), "old", "old", "old", "swap", "swap", "swap")
	kind := rapid.SampledFrom(kinds).Draw(t, "damage")
	var other []byte
	switch kind {
	case "old":
		if len(w.old[name]) == 0 {
			t.Skip("no older copy")
		}
		other = rapid.SampledFrom(w.old[name]).Draw(t, "copy")
	case "swap":
		files = slices.DeleteFunc(files, func(n string) bool { return n == name || path.Ext(n) != path.Ext(name) })
		if len(files) == 0 {
			t.Skip("nothing to swap with")
		}
		other, err = os.ReadFile(w.out(rapid.SampledFrom(files).Draw(t, "with")))
		w.check(err)
	}
	if other != nil {
		w.check(os.WriteFile(w.out(name), other, 0o600))
	} else if len(data) > 0 || kind == "delete" {
		w.check(damages[kind](w, w.out(name), slices.Clone(data)))
	}
	o, again := w.damaged[name]
	if !again {
		o = original{data: data, mode: info.Mode().Perm()}
	}
	o.now = w.snapshot()[name]
	w.damaged[name] = o
}

// keepBackup copies db/ as it is.
func (w *world) keepBackup(*rapid.T) {
	w.settle()
	w.backup = w.database()
}

// database is every file below db/ except the lock.
func (w *world) database() map[string]original {
	out := map[string]original{}
	for name, f := range w.snapshot() {
		if strings.HasPrefix(name, "db/") && f.mode.IsRegular() {
			data, err := os.ReadFile(w.out(name))
			w.check(err)
			out[name] = original{data: data, mode: f.mode.Perm()}
		}
	}
	return out
}

// restore puts an older copy of db/ back. The run either refuses or fails, and then the newer copy is
// put back, or goes on without losing a revocation.
func (w *world) restore(t *rapid.T) {
	if w.backup == nil {
		t.Skip("no backup")
	}
	w.settle()
	newer := w.database()
	put := func(files map[string]original) {
		w.check(os.RemoveAll(w.out("db")))
		w.check(os.Mkdir(w.out("db"), 0o700))
		for name, o := range files {
			w.write(w.out(name), o.data, o.mode)
		}
	}
	put(w.backup)
	opt := w.options()
	opt.Adopt = rapid.Bool().Draw(t, "adopt")
	r := w.apply(opt)
	if refusals(r.report.Plan) != nil || len(r.report.Failures) > 0 {
		put(newer)
	}
	w.settle()
}
