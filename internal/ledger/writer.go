package ledger

import (
	"crypto/sha256"
	"hash"
	"io/fs"
	"math/big"
	"time"

	"mtlsplan/internal/pki"
)

// disk is what the files are known to hold.
type disk struct {
	indexSize          int64 // what an append to index.txt goes behind
	issuedSize         int64
	issuedEnd          int64 // where the next entry will stand
	unended            bool  // issued.pem lacks its last line end
	hasAttr, hasNumber bool
	hasIndex           bool // or it is about to be written
	settled            int  // so many entries are in the file, or were found there
}

// pending is what the files do not hold yet.
type pending struct {
	issued        []byte // entries
	lines         []byte // rows
	rewrite       bool   // a row has changed: index.txt is written anew
	number        bool
	rendered      bool
	sharedRevoked bool // a serial was revoked that several owners have
}

// Batch is where changes of files go, in the order in which they have to happen.
type Batch interface {
	Put(name string, data []byte, mode fs.FileMode)
	Append(name string, size int64, data []byte, mode fs.FileMode)
}

// Writer changes a ledger, and remembers what it has written. It is not safe for
// use by several goroutines.
type Writer struct {
	l      *Ledger
	index  tail
	issued tail
	shared bool // a serial was revoked that several owners have
}

// NewWriter returns the writer of a ledger. A ledger has one.
func NewWriter(l *Ledger) *Writer { return &Writer{l: l} }

// Ledger is the ledger as it stands.
func (w *Writer) Ledger() *Ledger { return w.l }

// Record makes changes, in memory until [Writer.Flush].
func (w *Writer) Record(changes ...Change) {
	for _, c := range changes {
		c.apply(w.l)
	}
}

// FreshSerial returns a serial that was never used.
func (w *Writer) FreshSerial() *big.Int {
	for {
		if s := pki.NewSerial(); w.l.Row(pki.SerialHex(s)) == nil {
			return s
		}
	}
}

// FreshNumber returns a CRL number that was never used; [PassNumber] records that
// it is. Where both crlnumber and the CRL are lost, it goes on from the time:
// numbers must not fall (RFC 5280 section 5.2.3).
func (w *Writer) FreshNumber(now time.Time) *big.Int {
	if w.l.numberLost {
		return big.NewInt(now.Unix())
	}
	return new(big.Int).Set(w.l.number)
}

// Flush adds to a batch what the ledger has learnt since the last flush. In the
// batch's journal it stands before every file outside db/.
func (w *Writer) Flush(b Batch) {
	const mode fs.FileMode = 0o600
	l, d, p := w.l, &w.l.disk, &w.l.pending
	if len(p.issued) > 0 {
		if d.unended {
			p.issued, d.unended = append([]byte("\n"), p.issued...), false
		}
		b.Append(IssuedName, d.issuedSize, p.issued, mode)
		w.issued.add(d.issuedSize, p.issued)
		d.issuedSize += int64(len(p.issued))
	}
	switch {
	case p.rewrite:
		text := FormatIndex(l.rows)
		b.Put(IndexName, text, mode)
		d.indexSize, w.index = int64(len(text)), tail{}
		w.index.add(0, text)
	case len(p.lines) > 0:
		b.Append(IndexName, d.indexSize, p.lines, mode)
		w.index.add(d.indexSize, p.lines)
		d.indexSize += int64(len(p.lines))
	case !d.hasIndex && l.above: // the certificate of a CA that another has signed has no row
		b.Put(IndexName, nil, mode)
		w.index.add(0, nil)
	}
	d.hasIndex = d.hasIndex || len(l.rows) > 0 || l.above
	if !d.hasAttr && d.hasIndex {
		b.Put(AttrName, []byte(Attributes), mode)
		d.hasAttr = true
	}
	if p.number || !d.hasNumber && d.hasIndex {
		b.Put(NumberName, FormatNumber(l.number), mode)
		d.hasNumber = true
	}
	if p.rendered {
		b.Put(RenderedName, formatRendered(l), mode)
	}
	w.shared = w.shared || p.sharedRevoked
	*p = pending{}
}

// Settle says that the files hold what was flushed: the certificates of users
// are no longer held.
func (w *Writer) Settle() {
	l := w.l
	for ; l.disk.settled < len(l.entries); l.disk.settled++ {
		if e := &l.entries[l.disk.settled]; !e.Held() && !l.above {
			e.DER = nil
		}
	}
}

// SharedRevoked reports whether a serial was revoked that several owners have:
// then it concerns users whom the run was not about.
func (w *Writer) SharedRevoked() bool { return w.shared }

// tail is what was written behind a file, or as all of it: where it began, and its
// digest.
type tail struct {
	from, size int64
	sum        hash.Hash
}

func (t *tail) add(at int64, data []byte) {
	if t.sum == nil {
		t.from, t.sum = at, sha256.New()
	}
	t.size += int64(len(data))
	t.sum.Write(data)
}

// Reader reads the files of a CA database back.
type Reader interface {
	Size(name string) (int64, bool)
	Part(name string, at, size int64) ([]byte, error)
}

// Written reports whether the files hold what the ledger says, as far as the
// writer has written it.
func (w *Writer) Written(r Reader) bool {
	l := w.l
	return readsBack(r, IndexName, l.disk.indexSize, &w.index) && readsBack(r, IssuedName, l.disk.issuedSize, &w.issued) &&
		isWhole(r, NumberName, FormatNumber(l.number)) && (len(l.rendered) == 0 || isWhole(r, RenderedName, formatRendered(l)))
}

func isWhole(r Reader, name string, want []byte) bool {
	size, ok := r.Size(name)
	if !ok || size != int64(len(want)) {
		return false
	}
	text, err := r.Part(name, 0, size)
	return err == nil && string(text) == string(want)
}

// readsBack reports whether a file has a size, and ends with what was written.
func readsBack(r Reader, name string, size int64, t *tail) bool {
	if have, ok := r.Size(name); !ok || have != size {
		return false
	}
	if t.sum == nil {
		return true
	}
	const part = 1 << 20
	sum := sha256.New()
	for at := t.from; at < t.from+t.size; at += part {
		data, err := r.Part(name, at, min(part, t.from+t.size-at))
		if err != nil {
			return false
		}
		sum.Write(data)
	}
	return string(sum.Sum(nil)) == string(t.sum.Sum(nil))
}
