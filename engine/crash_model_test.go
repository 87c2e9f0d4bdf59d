package engine

import (
	"fmt"
	"hash/maphash"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"mtlsplan/internal/outdir"
)

// powered is a file system that remembers the changes that a power cut may take back. Its
// rules are these. An entry of a directory (create, rename, unlink) is durable once the
// directory or the whole file system was synced. Until then it may be lost, but only together
// with all later ones in the same directory; a rename between two directories is an entry of
// both. Data and modes of a file are durable once the file was synced. Until then any part of
// the data may be there, or zeros in its place, whatever its name is by then. ext4, XFS and
// btrfs promise more than that: they keep the order of entries of all directories.
type powered struct {
	root    *inode
	pending []entry
}

type inode struct {
	mode, keptMode fs.FileMode
	data, kept     string
	live, durable  map[string]*inode // of a directory
}

// entry is one change of directories that is not durable yet.
type entry struct {
	n         int // the change's number, from 1
	from, to  *inode
	old, name string
	child     *inode
	back      *inode // of an exchange: what comes to the old name
}

func (e entry) dirs() []*inode {
	return slices.DeleteFunc([]*inode{e.from, e.to}, func(i *inode) bool { return i == nil })
}

func (e entry) apply(entries func(*inode) map[string]*inode) {
	if e.from != nil {
		delete(entries(e.from), e.old)
		if e.back != nil {
			entries(e.from)[e.old] = e.back
		}
	}
	if e.to != nil {
		entries(e.to)[e.name] = e.child
	}
}

func newInode(mode fs.FileMode, data string) *inode {
	i := &inode{mode: mode, keptMode: mode, data: data, kept: data}
	if mode.IsDir() {
		i.live, i.durable = map[string]*inode{}, map[string]*inode{}
	}
	return i
}

// newPowered begins with a durable tree.
func newPowered(start tree) *powered {
	p := &powered{root: newInode(fs.ModeDir|0o755, "")}
	for _, name := range slices.Sorted(maps.Keys(start)) {
		if name != "." {
			dir, base := p.at(path.Dir(name)), path.Base(name)
			child := newInode(start[name].mode, start[name].data)
			dir.live[base], dir.durable[base] = child, child
		}
	}
	return p
}

func (p *powered) at(name string) *inode {
	i := p.root
	for part := range strings.SplitSeq(path.Clean(name), "/") {
		if part != "." && i != nil {
			i = i.live[part]
		}
	}
	return i
}

// change makes a change of a run, in the directory pki.
func (p *powered) change(n int, c outdir.Change) {
	name := path.Join("pki", c.Name)
	dir, base, there := p.at(path.Dir(name)), path.Base(name), p.at(name)
	link := func(e entry) {
		e.n = n
		e.apply(func(i *inode) map[string]*inode { return i.live })
		p.pending = append(p.pending, e)
	}
	switch c.Do {
	case "mkdir":
		link(entry{to: dir, name: base, child: newInode(fs.ModeDir|c.Mode, "")})
	case "create":
		if there == nil {
			link(entry{to: dir, name: base, child: newInode(c.Mode, "")})
		}
	case "remove":
		link(entry{from: dir, old: base})
	case "rename":
		to := path.Join("pki", c.To)
		link(entry{from: dir, old: base, to: p.at(path.Dir(to)), name: path.Base(to), child: there})
	case "exchange":
		to := path.Join("pki", c.To)
		link(entry{from: dir, old: base, to: p.at(path.Dir(to)), name: path.Base(to), child: there, back: p.at(to)})
	case "write":
		grown := there.data + strings.Repeat("\x00", max(0, int(c.At)+len(c.Data)-len(there.data)))
		there.data = grown[:c.At] + string(c.Data) + grown[int(c.At)+len(c.Data):]
	case "truncate":
		there.data = (there.data + strings.Repeat("\x00", max(0, int(c.At)-len(there.data))))[:c.At]
	case "chmod":
		there.mode = there.mode&fs.ModeDir | c.Mode
	case "sync":
		there.kept, there.keptMode = there.data, there.mode
		if there.live != nil {
			p.keep(p.needed(func(e entry) bool { return slices.Contains(e.dirs(), there) }))
		}
	case "syncfs":
		p.keep(p.pending)
		p.each(func(i *inode) { i.kept, i.keptMode = i.data, i.mode })
	default:
		panic(c.Do)
	}
}

// needed are the pending entries that become durable no later than the given ones.
func (p *powered) needed(asked func(entry) bool) []entry {
	var out []entry
	dirs := map[*inode]bool{}
	for _, e := range slices.Backward(p.pending) {
		if asked(e) || slices.ContainsFunc(e.dirs(), func(i *inode) bool { return dirs[i] }) {
			out = append(out, e)
			for _, i := range e.dirs() {
				dirs[i] = true
			}
		}
	}
	slices.Reverse(out)
	return out
}

// without are the pending entries that can be durable without a given one.
func (p *powered) without(lost int) []entry {
	var out []entry
	dirs := map[*inode]bool{}
	for _, e := range p.pending {
		if e.n != lost && !slices.ContainsFunc(e.dirs(), func(i *inode) bool { return dirs[i] }) {
			out = append(out, e)
			continue
		}
		for _, i := range e.dirs() {
			dirs[i] = true
		}
	}
	return out
}

func (p *powered) keep(entries []entry) {
	kept := map[int]bool{}
	for _, e := range entries {
		e.apply(func(i *inode) map[string]*inode { return i.durable })
		kept[e.n] = true
	}
	p.pending = slices.DeleteFunc(p.pending, func(e entry) bool { return kept[e.n] })
}

// each visits every inode that has a name, or would have one after a power cut.
func (p *powered) each(f func(*inode)) {
	seen := map[*inode]bool{}
	var visit func(*inode)
	visit = func(i *inode) {
		if seen[i] {
			return
		}
		seen[i] = true
		f(i)
		for _, names := range []map[string]*inode{i.live, i.durable} {
			for _, child := range names {
				visit(child)
			}
		}
	}
	visit(p.root)
	for _, e := range p.pending {
		for _, i := range []*inode{e.child, e.back} {
			if i != nil {
				visit(i)
			}
		}
	}
}

// loss describes the remains of an inode after a power cut.
type loss struct {
	name string
	of   func(*inode) (string, fs.FileMode)
}

var losses = []loss{
	{"nothing lost of files", func(i *inode) (string, fs.FileMode) { return i.data, i.mode }},
	{"data and modes lost", func(i *inode) (string, fs.FileMode) { return i.kept, i.keptMode }},
	{"modes lost", func(i *inode) (string, fs.FileMode) { return i.data, i.keptMode }},
	{"data cut", func(i *inode) (string, fs.FileMode) {
		if i.data == i.kept || len(i.data) <= len(i.kept) {
			return i.kept, i.mode
		}
		return i.data[:(len(i.kept)+len(i.data))/2], i.mode
	}},
	{"zeros for data", func(i *inode) (string, fs.FileMode) {
		if !strings.HasPrefix(i.data, i.kept) {
			return i.kept, i.mode
		}
		return i.kept + strings.Repeat("\x00", len(i.data)-len(i.kept)), i.keptMode
	}},
}

// after is the tree after a power cut, when these entries have reached the disk.
func (p *powered) after(entries []entry, l loss) tree {
	changed := map[*inode]map[string]*inode{}
	of := func(i *inode) map[string]*inode {
		if changed[i] == nil {
			changed[i] = maps.Clone(i.durable)
		}
		return changed[i]
	}
	for _, e := range entries {
		e.apply(of)
	}
	out := tree{}
	var walk func(at string, i *inode)
	walk = func(at string, i *inode) {
		data, mode := l.of(i)
		out[at] = node{mode, data}
		names := i.durable
		if changed[i] != nil {
			names = changed[i]
		}
		for name, child := range names {
			walk(path.Join(at, name), child)
		}
	}
	walk(".", p.root)
	return out
}

// crashState is a directory after a power cut.
type crashState struct {
	about string
	dir   string // where the run was
	tree  tree
}

var hashSeed = maphash.MakeSeed()

// key is the same for states that differ in nothing that a run reads: files that were staged
// and not committed are swept unread.
func (tr tree) key() (sum uint64) {
	for name, n := range tr {
		if rest, staged := strings.CutPrefix(name, "pki/db/stage/"); staged {
			dir, _, _ := strings.Cut(rest, "/")
			if _, committed := tr["pki/db/stage/"+dir+"/journal"]; !committed {
				continue
			}
		}
		if name != "pki/db/lock" {
			sum += maphash.String(hashSeed, fmt.Sprint(name, "\x00", n.mode, "\x00", n.data))
		}
	}
	return sum
}

// eachCut calls f for every state that a power cut may leave after the last change: with any
// first part of the pending entries; with all but one and those that depend on it; and with
// one alone and those on which it depends; each with losses of data.
func (p *powered) eachCut(f func(about string, tr tree)) {
	try := func(about string, entries []entry) {
		for _, l := range losses {
			f(about+", "+l.name, p.after(entries, l))
		}
	}
	try("all entries", p.pending)
	for i, e := range p.pending {
		try(fmt.Sprintf("entries before change %d", e.n), p.pending[:i])
		try(fmt.Sprintf("entries without change %d", e.n), p.without(e.n))
		try(fmt.Sprintf("no entries but change %d", e.n), p.needed(func(other entry) bool { return other.n == e.n }))
	}
	p.each(func(lost *inode) {
		if lost.data == lost.kept && lost.mode == lost.keptMode {
			return
		}
		f("the data of one file lost", p.after(p.pending, loss{of: func(i *inode) (string, fs.FileMode) {
			if i == lost {
				return i.kept, i.keptMode
			}
			return i.data, i.mode
		}}))
	})
}

// TestPowerCutModel compares the model with known effects: of a rename without an fsync, and
// of a run without an fsync of the directory.
func TestPowerCutModel(t *testing.T) {
	play := func(changes ...outdir.Change) map[string]bool {
		p := newPowered(tree{".": {fs.ModeDir | 0o755, ""}, "pki": {fs.ModeDir | 0o755, ""}, "pki/a": {0o600, "old"}})
		for i, c := range changes {
			p.change(i+1, c)
		}
		found := map[string]bool{}
		p.eachCut(func(_ string, tr tree) {
			if a, ok := tr["pki/a"]; ok {
				found[a.data] = true
			} else {
				found["(missing)"] = true
			}
		})
		return found
	}
	write := []outdir.Change{{Do: "create", Name: "b", Mode: 0o600}, {Do: "write", Name: "b", Data: []byte("newest")}}
	rename, sync, syncDir := outdir.Change{Do: "rename", Name: "b", To: "a"}, outdir.Change{Do: "sync", Name: "b"}, outdir.Change{Do: "sync", Name: "."}
	for _, c := range []struct {
		name    string
		changes []outdir.Change
		want    []string
	}{
		{"rename without fsync", append(slices.Clone(write), rename), []string{"", "\x00\x00\x00\x00\x00\x00", "new", "newest", "old"}},
		{"without fsync of the directory", append(slices.Clone(write), sync, rename), []string{"newest", "old"}},
		{"all of it", append(slices.Clone(write), sync, rename, syncDir), []string{"newest"}},
		{"written in place", []outdir.Change{{Do: "truncate", Name: "a"}, {Do: "write", Name: "a", Data: []byte("n")}}, []string{"n", "old"}},
		{"syncfs", append(slices.Clone(write), rename, outdir.Change{Do: "syncfs", Name: "."}), []string{"newest"}},
	} {
		if have := slices.Sorted(maps.Keys(play(c.changes...))); !slices.Equal(have, c.want) {
			t.Errorf("%s: a power cut leaves one of %q, not %q", c.name, have, c.want)
		}
	}
}
