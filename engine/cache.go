package engine

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"io"
	"runtime/debug"
	"sync"

	"mtlsplan/internal/outdir"
)

// The cache keeps memos from one run to the next, so that a run which has nothing
// to do asks of each file only its stat, and reads none. It may be deleted at any
// time without changing a result: what it says is believed only of files that are
// certainly those it was said of.
//
// It is a log: a line that names the format, and then segments, each with its
// length and its checksum before it. Of two records about one thing the later
// holds. Whatever is not whole, and all behind it, is not there.

const (
	cacheName   = outdir.DB + "/cache"
	cacheFormat = "mtlsplan cache 1\n"
)

// Kinds of record.
const (
	recordDir    = 'd' // the directory that the cache is of
	recordCA     = 'c' // memo of the CA's key
	recordUser   = 'u' // memo of a user
	recordEntry  = 'e' // entry of issued.pem, in its order
	recordTop    = 't' // stat of the directory when no .p12 in it had a profile in its name
	recordIssued = 'i' // stat of issued.pem, and how many entries stand before
)

type cache struct {
	users   map[string]string // memos by name
	ca      string            // memo of its key
	entries []issued          // of issued.pem
	issued  outdir.Stat       // of the file with those entries, zero when that is not known
	unsaved map[string]bool   // memos that only this run knows
	seen    outdir.Stat       // what top should be now, zero where it is right or not known
	top     outdir.Stat       // of the directory when no .p12 in it had a profile in its name
	covered int               // how many entries the stat is for
	size    int64             // of what is whole
	whole   bool              // nothing lies behind it
	records int               // all of them, the outdated ones too
}

// openCache reads the cache, an empty one where there is none that can be used.
func openCache(dir *outdir.Dir, stats *outdir.Stats) *cache {
	if stats == nil {
		return &cache{}
	}
	return parseCache(dir.Text(cacheName), stats.Identity)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const segmentHead = 8

// parseCache reads the text of a cache of the directory with an identity.
func parseCache(text string, identity uint64) *cache {
	c := &cache{users: map[string]string{}}
	if len(text) < len(cacheFormat) || text[:len(cacheFormat)] != cacheFormat {
		return c
	}
	at := len(cacheFormat)
	ours := false
	for len(text)-at >= segmentHead {
		head := []byte(text[at : at+segmentHead])
		size := binary.LittleEndian.Uint32(head)
		if uint64(size) > uint64(len(text)-at-segmentHead) {
			break
		}
		length := int(size)
		segment := text[at+segmentHead : at+segmentHead+length]
		if checksum(segment) != binary.LittleEndian.Uint32(head[4:]) {
			break
		}
		if at == len(cacheFormat) {
			if ours = segment == identityRecord(identity); !ours {
				return c
			}
		} else if !c.take(segment) {
			break
		}
		at += segmentHead + length
	}
	if !ours {
		return c
	}
	// Entries behind the last stat are of an append that was cut short.
	c.size, c.whole = int64(at), at == len(text) && len(c.entries) == c.covered
	c.entries = c.entries[:c.covered]
	return c
}

func checksum(s string) uint32 {
	var sum uint32
	var part [4096]byte
	for len(s) > 0 {
		n := copy(part[:], s)
		sum, s = crc32.Update(sum, castagnoli, part[:n]), s[n:]
	}
	return sum
}

func identityRecord(identity uint64) string {
	var b packer
	b = append(b, recordDir)
	b.text(string(binary.LittleEndian.AppendUint64(nil, identity)) + program())
	return string(b)
}

// program is what this program is known by: its build, and the stat of its file,
// since a build without version control does not tell two sources apart. What a
// memo tells of a certificate, that it is as would be issued today, is another
// program's opinion once that changes. A program that cannot be told is no other.
var program = sync.OnceValue(func() string {
	file, err := outdir.StatOfProgram()
	if err != nil {
		return rand.Text()
	}
	var b packer
	b.stat(file)
	if info, ok := debug.ReadBuildInfo(); ok {
		b.text(info.String())
	}
	sum := sha256.Sum256(b)
	return string(sum[:])
})

// take reads the records of a segment. What a checksum has vouched for and cannot
// be read is of another program.
func (c *cache) take(segment string) bool {
	u := unpacker{rest: segment}
	for u.rest != "" {
		kind, body := u.take(1), u.text()
		if u.bad {
			return false
		}
		c.records++
		r := unpacker{rest: body}
		switch kind[0] {
		case recordCA:
			c.ca = body
		case recordUser:
			c.users[r.text()] = body
		case recordEntry:
			var e issued
			e.unpack(&r)
			c.entries = append(c.entries, e)
		case recordTop:
			c.top = r.stat()
		case recordIssued:
			c.issued = r.stat()
			if n := r.number(); n < 0 || n > int64(len(c.entries)) {
				r.bad = true
			} else {
				c.entries, c.covered = c.entries[:n], int(n)
			}
		default:
			return false
		}
		if r.bad {
			return false
		}
	}
	return true
}

// learn takes over what this run has found out.
func (c *cache) learn(users []slot) {
	if c.users == nil {
		c.users = map[string]string{}
	}
	c.unsaved = map[string]bool{}
	for i := range users {
		if s := &users[i]; s.stable && !s.kept {
			c.users[s.spec.Name], c.unsaved[s.spec.Name] = s.memo, true
		}
	}
}

func (e *issued) pack() string {
	var b packer
	b.text(string(e.owner))
	b.number(e.at)
	b.number(e.size)
	b.sum(e.sum)
	for _, s := range []string{e.public, e.serial, e.issuer, e.authority} {
		b.text(s)
	}
	b.number(e.notAfter)
	return string(b)
}

func (e *issued) unpack(u *unpacker) {
	e.owner, e.at, e.size, e.sum = Owner(u.text()), u.number(), u.number(), u.sum()
	e.public, e.serial, e.issuer, e.authority, e.notAfter = u.text(), u.text(), u.text(), u.text(), u.number()
}

// cacheWriter makes segments of records.
type cacheWriter struct {
	to      io.Writer // where segments go, nil: to out
	err     error
	out     packer
	segment packer
	records int
}

// maxSegment bounds what one checksum is for.
const maxSegment = 1 << 20

func (w *cacheWriter) add(kind byte, body string) {
	w.segment = append(w.segment, kind)
	w.segment.text(body)
	if w.records++; len(w.segment) > maxSegment {
		w.end()
	}
}

func (w *cacheWriter) end() {
	if len(w.segment) == 0 {
		return
	}
	w.out = binary.LittleEndian.AppendUint32(w.out, uint32(len(w.segment)))
	w.out = binary.LittleEndian.AppendUint32(w.out, crc32.Checksum(w.segment, castagnoli))
	w.out = append(w.out, w.segment...)
	w.segment = w.segment[:0]
	w.flush()
}

func (w *cacheWriter) flush() {
	if w.to == nil {
		return
	}
	if w.err == nil {
		_, w.err = w.to.Write(w.out)
	}
	w.out = w.out[:0]
}

// begin writes what stands before all records.
func (w *cacheWriter) begin(identity uint64) {
	w.out = append(w.out, cacheFormat...)
	w.segment = append(w.segment, identityRecord(identity)...)
	w.end()
}
