// Package statcache remembers what was found in the files of an output directory,
// so that they need not be read or opened again. It knows files in two ways:
//
//   - by their stats: size, times, inode and mode are what they were, and the last
//     change is so old that every later one shows. Then nothing is read.
//   - by a digest over their bytes: they were opened, and fit together. That cannot
//     become untrue, wherever the files are copied to. A directory that came back
//     from a backup is read, and nothing in it is opened.
//
// All of it is in one file, which may be lost, damaged or deleted at any time
// without changing a result. No record holds a secret, or anything that would make
// guessing one cheaper than it is with the files; that is up to whoever makes them.
package statcache

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"io"
	"iter"
	"runtime/debug"
	"strings"
	"sync"

	"mtlsplan/internal/outdir"
)

// Name is that of the file, relative to the output directory: a line that names
// the format; whose cache it is; the number of records, and each with its key, its
// stats, its digest and its facts; and a CRC-32C of all that.
const Name = outdir.DB + "/cache"

const format = "mtlsplan cache 2\n"

// Top is the name of the output directory itself: its stat changes with every name
// in it.
const Top = "."

// Digest is a SHA-256 over the bytes of files that were opened and fit together;
// zero is none.
type Digest = [sha256.Size]byte

// Record is what is known of some files. It must not be changed.
type Record struct {
	Stats  Stats  // zero of a file that is not there
	Digest Digest // of their bytes
	Facts  string // what was found in them, packed; "" where only the digest is to be believed
}

// Cache is what is known of an output directory. It may be used by several
// goroutines.
type Cache struct {
	dir   *outdir.Dir
	files *outdir.Stats // nil where nothing can be known by stats
	clock int64

	mu      sync.Mutex
	records map[string]*Record
	news    bool // the file does not hold all that records does
}

// Open reads the cache of a directory. One that is damaged, or of another format,
// is empty; of one that is another directory's or another program's, only the
// digests are believed.
func Open(dir *outdir.Dir) *Cache {
	c := &Cache{dir: dir, records: map[string]*Record{}}
	var ok bool
	if c.files, ok = dir.Stats(); !ok {
		c.files = nil
		return c
	}
	if dir.Writable() {
		c.clock, _ = dir.Started()
	}
	c.news = !c.parse(dir.Text(Name))
	return c
}

// Close lets go of what the cache holds open.
func (c *Cache) Close() {
	if c.files != nil {
		c.files.Close()
	}
}

// Renew is called after the directory was changed: it waits for the next tick of
// the clock, from which on every change of what is read shows.
func (c *Cache) Renew() {
	// Where it cannot be waited for, on a full disk, the clock is 0.
	c.clock, _ = c.dir.NextTick()
	c.Close()
	c.files, _ = c.dir.Stats() // directories may have come
}

// Works reports whether anything can be known here: not where there is no
// directory, and not while what it shows is a batch that nobody has finished.
func (c *Cache) Works() bool { return c.files != nil }

// Clock is the moment of the directory's clock before which a file must have been
// changed last to be remembered; 0 for a reader, who remembers nothing.
func (c *Cache) Clock() int64 { return c.clock }

// Stat is that of a plain file with one link, or of [Top]; ok is false for
// anything else.
func (c *Cache) Stat(name string) (stat outdir.Stat, ok bool) {
	switch {
	case c.files == nil:
		return stat, false
	case name == Top:
		return c.files.Top()
	}
	return c.files.Of(name)
}

// Missing reports whether nothing at all lies at a name.
func (c *Cache) Missing(name string) bool { return c.files != nil && c.files.Missing(name) }

// Get is the record of a key, nil for none, whatever the files are now.
func (c *Cache) Get(key string) *Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.records[key]
}

// Known is the record of a key if the files are those that it tells of; nil
// otherwise.
func (c *Cache) Known(key string, names ...string) *Record {
	if rec := c.Get(key); rec != nil && rec.Facts != "" && c.same(rec.Stats, names) {
		return rec
	}
	return nil
}

// same reports whether the files of the names are those that the stats are of.
func (c *Cache) same(stats Stats, names []string) bool {
	if stats.Len() != len(names) {
		return false
	}
	for i, name := range names {
		want := stats.At(i)
		if have, ok := c.Stat(name); ok && have == want || want == (outdir.Stat{}) && c.Missing(name) {
			continue
		}
		return false
	}
	return true
}

// Put remembers a record, if no file of it can change without a trace from now on.
// It reports whether that is so.
func (c *Cache) Put(key string, rec *Record, names ...string) bool {
	for i := range rec.Stats.Len() {
		if !rec.Stats.At(i).Before(c.clock) {
			return false
		}
	}
	if !c.same(rec.Stats, names) {
		return false
	}
	c.put(key, func(old Record) Record { return *rec })
	return true
}

// Prove remembers of files that were just made, and opened, that they fit together.
func (c *Cache) Prove(key string, digest Digest) {
	c.put(key, func(old Record) Record { old.Digest = digest; return old })
}

func (c *Cache) put(key string, change func(old Record) Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var old Record
	if rec := c.records[key]; rec != nil {
		old = *rec
	}
	if rec := change(old); rec != old {
		c.records[key], c.news = &rec, true
	}
}

// Save writes the records of some keys, if the file does not hold them yet; those
// of other keys are forgotten. It is not durable. An error costs a later run some
// time, and this one nothing.
func (c *Cache) Save(keys iter.Seq[string]) error {
	if !c.news || len(c.records) == 0 || !c.Works() || !c.dir.Writable() {
		return nil
	}
	n := int64(0)
	for key := range keys {
		if c.records[key] != nil {
			n++
		}
	}
	err := c.dir.Replace(Name, func(w io.Writer) error {
		out := writer{to: w}
		out.Packer = append(out.Packer, format...)
		out.Text(c.owner())
		out.Number(n)
		for key := range keys {
			if rec := c.records[key]; rec != nil {
				out.Text(key)
				out.Text(string(rec.Stats))
				out.Sum(rec.Digest)
				out.Text(rec.Facts)
				out.flush(1 << 20)
			}
		}
		out.flush(0)
		out.Packer = binary.LittleEndian.AppendUint32(out.Packer, out.sum)
		out.flush(0)
		return out.err
	})
	c.news = err != nil
	return err
}

// writer writes what was packed in parts, and sums it up.
type writer struct {
	Packer
	to  io.Writer
	sum uint32
	err error
}

// flush writes what is more than so many bytes.
func (w *writer) flush(most int) {
	if len(w.Packer) <= most {
		return
	}
	w.sum = crc32.Update(w.sum, castagnoli, w.Packer)
	if w.err == nil {
		_, w.err = w.to.Write(w.Packer)
	}
	w.Packer = w.Packer[:0]
}

// parse reads the text of a cache, and reports whether all of it is to be believed.
func (c *Cache) parse(text string) bool {
	const sumSize = 4
	if len(text) < len(format)+sumSize || text[:len(format)] != format {
		return false
	}
	end := len(text) - sumSize
	if checksum(text[:end]) != binary.LittleEndian.Uint32([]byte(text[end:])) {
		return false
	}
	u := Unpacker{Rest: text[len(format):end]}
	ours := u.Text() == c.owner()
	n := u.Number()
	if n < 0 || n > int64(len(u.Rest))/sha256.Size {
		return false
	}
	list, records := make([]Record, n), make(map[string]*Record, n)
	for i := range list {
		rec, key := &list[i], u.Text()
		rec.Stats, rec.Digest, rec.Facts = Stats(u.Text()), u.Sum(), u.Text()
		if !ours {
			rec.Stats, rec.Facts, key = "", "", strings.Clone(key) // and the text can go
		}
		records[key] = rec
	}
	if u.Bad || u.Rest != "" {
		return false
	}
	c.records = records
	return ours
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(s string) uint32 {
	var sum uint32
	var part [4096]byte
	for len(s) > 0 {
		n := copy(part[:], s)
		sum, s = crc32.Update(sum, castagnoli, part[:n]), s[n:]
	}
	return sum
}

// owner is whose cache it is: of which directory, and which program's.
func (c *Cache) owner() string {
	var p Packer
	p.Number(int64(c.files.Identity))
	return string(p) + program()
}

// program is what this program is known by: its build, and the stat of its file,
// since a build without version control does not tell two sources apart. A record
// tells what one program has found in a certificate; another may find otherwise. A
// program of which nothing can be told is taken for a new one each time.
var program = sync.OnceValue(func() string {
	file, err := outdir.StatOfProgram()
	if err != nil {
		return rand.Text()
	}
	var p Packer
	p.Stat(file)
	if info, ok := debug.ReadBuildInfo(); ok {
		p.Text(info.String())
	}
	sum := sha256.Sum256(p)
	return string(sum[:])
})
