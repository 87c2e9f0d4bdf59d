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
	"slices"
	"strings"
	"sync"

	"mtlsplan/internal/outdir"
)

// Name is that of the file, relative to the output directory: a line that names
// the format, and then segments, each with its length and its CRC-32C before it.
// The first says whose cache it is, the others hold records, each with its key, its
// stats, its digest and its facts. Of two records of a key the later holds. A
// segment that is not whole is ignored, and so is all behind it.
const Name = outdir.DB + "/cache"

const format = "mtlsplan cache 2\n"

const (
	headSize   = 8       // of a segment
	maxSegment = 1 << 20 // from where on a segment ends
)

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
	news    map[string]bool // keys of which the file does not hold the record
	size    int64           // of what is whole in the file; 0 where it has to be written anew
	held    int             // records in the file, outdated ones too
}

// Open reads the cache of a directory. One that is damaged, or of another format,
// is empty; of one that is another directory's or another program's, only the
// digests are believed.
func Open(dir *outdir.Dir) *Cache {
	c := &Cache{dir: dir, records: map[string]*Record{}, news: map[string]bool{}}
	var ok bool
	if c.files, ok = dir.Stats(); !ok {
		c.files = nil
		return c
	}
	if dir.Writable() {
		c.clock, _ = dir.Started()
	}
	c.parse(dir.Text(Name))
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
		c.records[key], c.news[key] = &rec, true
	}
}

// Save writes the records of some keys, if the file does not hold them yet; those
// of other keys are forgotten in time. It is not durable. An error costs a later run
// some time, and this one nothing.
//
// New records go behind the rest, as long as the outdated ones are less than a
// quarter of the others: every run reads all of them.
func (c *Cache) Save(keys iter.Seq[string]) error {
	if c.size > 0 && len(c.news) == 0 || len(c.records) == 0 || !c.Works() || !c.dir.Writable() {
		return nil
	}
	if n := len(c.records); c.size > 0 && c.held+len(c.news) < n+n/4+64 {
		var w writer
		for key := range c.news {
			w.add(key, c.records[key])
		}
		w.end()
		if c.dir.Extend(Name, c.size, w.out) == nil {
			c.size, c.held = c.size+int64(len(w.out)), c.held+len(c.news)
			clear(c.news)
			return nil
		}
	}
	n, size := 0, int64(0)
	err := c.dir.Replace(Name, func(to io.Writer) error {
		w := writer{to: to, out: Packer(format)}
		w.begin()
		w.out.Text(c.owner())
		w.end()
		for key := range keys {
			if rec := c.records[key]; rec != nil {
				w.add(key, rec)
				n++
			}
		}
		w.end()
		size = w.written
		return w.err
	})
	if err != nil {
		return err
	}
	c.size, c.held = size, n
	clear(c.news)
	return nil
}

// writer makes segments. The last one grows where it stands, behind room for its
// head: that of many certificates is long.
type writer struct {
	out     Packer    // segments
	begun   bool      // the last one is not ended
	head    int       // where it begins
	to      io.Writer // where segments go, nil: they stay
	written int64
	err     error
}

func (w *writer) begin() {
	if !w.begun {
		w.begun, w.head = true, len(w.out)
		w.out = append(w.out, make([]byte, headSize)...)
	}
}

func (w *writer) add(key string, rec *Record) {
	w.begin()
	w.out = slices.Grow(w.out, len(key)+len(rec.Stats)+len(rec.Digest)+len(rec.Facts)+3*binary.MaxVarintLen32)
	w.out.Text(key)
	w.out.Text(string(rec.Stats))
	w.out.Sum(rec.Digest)
	w.out.Text(rec.Facts)
	if len(w.out)-w.head > maxSegment {
		w.end()
	}
}

// end ends a segment.
func (w *writer) end() {
	if !w.begun {
		return
	}
	w.begun = false
	head, body := w.out[w.head:], w.out[w.head+headSize:]
	binary.LittleEndian.PutUint32(head, uint32(len(body)))
	binary.LittleEndian.PutUint32(head[4:], crc32.Checksum(body, castagnoli))
	if w.to == nil {
		return
	}
	w.written += int64(len(w.out))
	if w.err == nil {
		_, w.err = w.to.Write(w.out)
	}
	w.out = w.out[:0]
}

// parse reads the text of a cache, as far as it is whole.
func (c *Cache) parse(text string) {
	rest, ok := strings.CutPrefix(text, format)
	if !ok {
		return
	}
	owner, rest, ok := segment(rest)
	u := Unpacker{Rest: owner}
	ours := u.Text() == c.owner()
	if !ok || u.Bad {
		return
	}
	c.records = make(map[string]*Record, len(rest)/500) // about what one has
	for rest != "" {
		var part string
		if part, rest, ok = segment(rest); !ok || !c.take(part, ours) {
			return
		}
	}
	if ours {
		c.size = int64(len(text))
	}
}

// take reads the records of a segment. One that a checksum has vouched for and that
// cannot be read is of another program.
func (c *Cache) take(part string, ours bool) bool {
	u := Unpacker{Rest: part}
	for u.Rest != "" {
		key, rec := u.Text(), &Record{Stats: Stats(u.Text()), Digest: u.Sum(), Facts: u.Text()}
		if u.Bad {
			return false
		}
		if !ours {
			rec.Stats, rec.Facts, key = "", "", strings.Clone(key) // and the text can go
		}
		c.records[key] = rec
		c.held++
	}
	return true
}

// segment cuts the next segment off a text.
func segment(text string) (part, rest string, ok bool) {
	if len(text) < headSize {
		return "", "", false
	}
	head := []byte(text[:headSize])
	size := uint64(binary.LittleEndian.Uint32(head))
	if size > uint64(len(text)-headSize) {
		return "", "", false
	}
	part, rest = text[headSize:headSize+size], text[headSize+size:]
	return part, rest, checksum(part) == binary.LittleEndian.Uint32(head[4:])
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
