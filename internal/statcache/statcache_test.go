package statcache

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"mtlsplan/internal/outdir"
	"mtlsplan/internal/testing/tools"
)

// place is an output directory with one file.
type place struct {
	*testing.T
	path string
}

func newPlace(t *testing.T) place {
	t.Helper()
	p := place{t, filepath.Join(t.TempDir(), "out")}
	dir := p.lock(t.Context())
	p.check(dir.Close())
	p.write("file", "text")
	return p
}

func (p place) check(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

func (p place) write(name, text string) {
	p.Helper()
	p.check(os.WriteFile(filepath.Join(p.path, name), []byte(text), 0o600))
}

func (p place) lock(ctx context.Context) *outdir.Dir {
	p.Helper()
	time.Sleep(20 * time.Millisecond) // past the tick of the clock
	dir, err := outdir.Lock(ctx, p.path, "test", 0, nil)
	p.check(err)
	return dir
}

// needStats skips a test where nothing is known by its stat.
func needStats(t testing.TB, c *Cache) {
	t.Helper()
	if !c.Works() {
		tools.Missing(t, "nothing is known by its stat on this system")
	}
}

// with opens the cache for writing.
func (p place) with(f func(*Cache)) {
	p.Helper()
	dir := p.lock(p.Context())
	defer dir.Close()
	c := Open(dir)
	defer c.Close()
	needStats(p, c)
	f(c)
}

func record(c *Cache, names ...string) *Record {
	var list []outdir.Stat
	for _, name := range names {
		stat, _ := c.Stat(name)
		list = append(list, stat)
	}
	return &Record{Stats: StatsOf(list...), Digest: Digest{7}, Facts: "facts"}
}

func keys(list ...string) func(func(string) bool) { return slices.Values(list) }

// A record is there the next time, as long as its files are the same.
func TestKept(t *testing.T) {
	p := newPlace(t)
	p.with(func(c *Cache) {
		if c.Put("file", record(c, "file"), "other") {
			t.Error("a record of another file was kept")
		}
		if !c.Put("file", record(c, "file", "none"), "file", "none") || !c.Put("gone", record(c, "file"), "file") {
			t.Error("a record was not kept")
		}
		c.Prove("new", Digest{8})
		p.check(c.Save(keys("file", "new", "never")))
	})
	text, err := os.ReadFile(filepath.Join(p.path, Name))
	p.check(err)
	p.with(func(c *Cache) {
		rec := c.Known("file", "file", "none")
		if rec == nil || rec.Facts != "facts" || rec.Digest != (Digest{7}) || c.Get("gone") != nil || c.Get("new").Digest != (Digest{8}) {
			t.Fatalf("%+v", rec)
		}
		if c.Known("file", "file") != nil || c.Known("file", "none", "file") != nil || c.Known("new") != nil {
			t.Error("other files were taken for them")
		}
		c.Put("file", record(c, "file", "none"), "file", "none")
		c.Prove("new", Digest{8})
		info, err := os.Stat(filepath.Join(p.path, Name))
		p.check(err)
		p.check(c.Save(keys("file", "new")))
		if again, err := os.Stat(filepath.Join(p.path, Name)); err != nil || !os.SameFile(info, again) {
			t.Error("it was written again, with nothing new in it")
		}
		p.write("none", "is there")
		if c.Known("file", "file", "none") != nil {
			t.Error("a file that has come was not seen")
		}
	})
	if again, err := os.ReadFile(filepath.Join(p.path, Name)); err != nil || !bytes.Equal(text, again) {
		t.Error("it was changed")
	}
}

// A file that was changed in the tick in which it was read may be changed once
// more without a trace.
func TestTheTick(t *testing.T) {
	s := outdir.Stat{Ino: 1, Size: 2, Mtime: 1000, Ctime: 2000}
	for clock, want := range map[int64]bool{1999: false, 2000: false, 2001: true} {
		if s.Before(clock) != want {
			t.Errorf("changed at %d, at %d: %v", s.Ctime, clock, !want)
		}
	}
	s.Mtime = 5000 // set by hand, or by a clock that was set back since
	if s.Before(3000) {
		t.Error("a file from the future was believed")
	}
	p := newPlace(t)
	p.with(func(c *Cache) {
		for range 20 {
			p.write("file", "x")
			have := record(c, "file")
			if c.Put("file", have, "file") {
				t.Fatal("a file that was just changed was believed")
			}
			c.Renew()
			if !c.Put("file", have, "file") {
				t.Fatal("a tick later it was not believed")
			}
			p.write("file", "y")
			if again := record(c, "file"); *again == *have || c.Known("file", "file") != nil || c.Put("file", again, "file") {
				t.Fatalf("%+v, then %+v", have, again)
			}
		}
	})
}

// A disk that is full when the tick is waited for costs what is remembered, and
// nothing else.
func TestNoTick(t *testing.T) {
	p := newPlace(t)
	ctx := outdir.WithTrace(t.Context(), func(ch outdir.Change, do func() error) error {
		if ch.Name == "db/lock" && string(ch.Data) == "\n" {
			return syscall.ENOSPC
		}
		return do()
	})
	dir := p.lock(ctx)
	defer dir.Close()
	c := Open(dir)
	defer c.Close()
	c.Renew()
	if c.Clock() != 0 || c.Put("file", record(c, "file"), "file") {
		t.Error("something was remembered")
	}
}

// A reader remembers nothing, and writes nothing.
func TestAReader(t *testing.T) {
	p := newPlace(t)
	dir, err := outdir.Open(p.path, nil)
	p.check(err)
	defer dir.Close()
	c := Open(dir)
	defer c.Close()
	if c.Put("file", record(c, "file"), "file") {
		t.Error("a record was kept")
	}
	c.Prove("file", Digest{1})
	p.check(c.Save(keys("file")))
	if _, err := os.Stat(filepath.Join(p.path, Name)); err == nil {
		t.Error("it was written")
	}
}

// No directory has nothing to be known, and no other trouble.
func TestNoDirectory(t *testing.T) {
	dir, err := outdir.Open(filepath.Join(t.TempDir(), "none"), nil)
	if err != nil {
		t.Fatal(err)
	}
	c := Open(dir)
	defer c.Close()
	if c.Works() || c.Known("file", "file") != nil || c.Missing("file") {
		t.Error("something is known")
	}
}

// Of another directory's cache, and of another program's, only the digests are
// believed; a damaged one is none.
func TestWhoseItIs(t *testing.T) {
	p := newPlace(t)
	p.with(func(c *Cache) {
		c.Put("file", record(c, "file"), "file")
		p.check(c.Save(keys("file")))
	})
	text, err := os.ReadFile(filepath.Join(p.path, Name))
	p.check(err)
	only := func(c *Cache) bool {
		rec := c.Get("file")
		return rec != nil && *rec == (Record{Digest: Digest{7}})
	}
	p.with(func(c *Cache) {
		whole := func(text []byte) bool {
			c.records, c.size = map[string]*Record{}, 0
			c.parse(string(text))
			return c.size > 0 && c.Get("file") != nil
		}
		identity := c.files.Identity
		c.files.Identity++
		if whole(text) || !only(c) {
			t.Error("of another directory's:", c.Get("file"))
		}
		c.files.Identity = identity
		was := program
		program = func() string { return "another" }
		if whole(text) || !only(c) {
			t.Error("of another program's:", c.Get("file"))
		}
		program = was
		if !whole(text) || c.Known("file", "file") == nil {
			t.Error("ours is not believed")
		}
		for i := range text {
			altered := bytes.Clone(text)
			altered[i] ^= 1 << (i % 8)
			if whole(altered) || whole(text[:i]) {
				t.Fatalf("nobody has noticed another byte %d of %d, or its end", i, len(text))
			}
		}
	})
}

func TestCodec(t *testing.T) {
	s := outdir.Stat{Ino: 1 << 60, Size: -2, Mtime: 3, Ctime: 1<<62 + 4, Mode: 1<<31 + 5}
	var p Packer
	p.Number(-77)
	p.Text("text")
	p.Flag(true)
	p.Stat(s)
	p.Sum(Digest{9})
	u := Unpacker{Rest: string(p)}
	if u.Number() != -77 || u.Text() != "text" || !u.Flag() || u.Stat() != s || u.Sum() != (Digest{9}) || u.Bad || u.Rest != "" {
		t.Error("it does not read what it writes")
	}
	for i := range p {
		u := Unpacker{Rest: string(p[:i])}
		u.Number()
		u.Text()
		u.Flag()
		u.Stat()
		if u.Sum(); !u.Bad {
			t.Errorf("cut at %d it is whole", i)
		}
	}
	if stats := StatsOf(s, outdir.Stat{}); stats.Len() != 2 || stats.At(0) != s || stats.At(1) != (outdir.Stat{}) || stats.At(2) != (outdir.Stat{}) {
		t.Error("stats")
	}
}

func FuzzParse(f *testing.F) {
	dir, err := outdir.Lock(f.Context(), filepath.Join(f.TempDir(), "out"), "test", 0, nil)
	if err != nil {
		f.Fatal(err)
	}
	defer dir.Close()
	c := Open(dir)
	defer c.Close()
	needStats(f, c)
	c.records = map[string]*Record{"a": {Stats: StatsOf(outdir.Stat{Ino: 1}), Facts: "x"}}
	c.news["a"] = true
	if err := c.Save(keys("a")); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(dir.Text(Name)))
	f.Add([]byte(format))
	f.Fuzz(func(t *testing.T, data []byte) {
		c.records, c.size, c.held = map[string]*Record{}, 0, 0
		c.parse(string(data))
		if c.size > int64(len(data)) || c.held < len(c.records) {
			t.Error(c.size, c.held, len(c.records))
		}
	})
}

// A few records more are written behind the others, and what is outdated does not
// heap up.
func TestWhatIsNewGoesBehind(t *testing.T) {
	p := newPlace(t)
	var names []string
	for i := range 100 {
		names = append(names, fmt.Sprint("file", i))
		p.write(names[i], "x")
	}
	size := func() int64 {
		info, err := os.Stat(filepath.Join(p.path, Name))
		p.check(err)
		return info.Size()
	}
	p.with(func(c *Cache) {
		for _, name := range names {
			c.Put(name, record(c, name), name)
		}
		p.check(c.Save(keys(names...)))
	})
	first, most := size(), int64(0)
	for round := range 200 {
		p.with(func(c *Cache) {
			if n := len(c.records); n != len(names) {
				t.Fatalf("round %d: %d records", round, n)
			}
			rec := record(c, names[round%7])
			rec.Facts = fmt.Sprint("round ", round)
			c.Put(names[round%7], rec, names[round%7])
			p.check(c.Save(keys(names...)))
		})
		most = max(most, size())
	}
	if most > first*2 || most == first {
		t.Errorf("%d bytes grew to %d", first, most)
	}
	p.with(func(c *Cache) {
		if rec := c.Get(names[199%7]); rec == nil || rec.Facts != "round 199" {
			t.Errorf("the last record is %+v", rec)
		}
	})
	// An append that was cut short takes nothing with it that was there before.
	text, err := os.ReadFile(filepath.Join(p.path, Name))
	p.check(err)
	p.write(Name, string(text)+"cut")
	p.with(func(c *Cache) {
		if len(c.records) != len(names) || c.size != 0 {
			t.Errorf("%d records, %d bytes of them whole", len(c.records), c.size)
		}
	})
}
