package ledger

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"

	"mtlsplan/internal/pki"
)

// Names of the files, relative to the output directory.
const (
	IndexName    = "db/index.txt"
	AttrName     = "db/index.txt.attr"
	NumberName   = "db/crlnumber"
	IssuedName   = "db/issued.pem"
	RenderedName = "db/rendered"
)

// Reasons of a revocation that decide what becomes of the key (RFC 5280 section
// 5.3.1).
const (
	Superseded    = "superseded"    // a renewal has replaced the certificate
	KeyCompromise = "keyCompromise" // somebody else has the key
	CACompromise  = "cACompromise"  // somebody else has the key of the CA
)

// Ledger is the CA database in memory.
type Ledger struct {
	rows     []Row
	bySerial map[string]int32
	byOwner  map[string][]int32 // rows of an owner, oldest first
	entries  []Entry
	former   []Entry            // those of whose certificate there is a later one
	issued   map[string][]int32 // entries of an owner, oldest first
	number   *big.Int           // of the next CRL
	rendered map[string]Sum     // by path
	attr     string             // content of index.txt.attr

	mismatched bool              // an entry has no row, or one of another owner
	above      bool              // certificates of CAs above ours are recorded
	numberLost bool              // crlnumber is gone, and was there
	texts      map[string]string // those that entries share
	disk       disk
	pending    pending
}

// Sum is a SHA-256.
type Sum = [sha256.Size]byte

// IsUser reports whether an owner is a user.
func IsUser(owner string) bool { return len(owner) > 5 && owner[:5] == "user." }

// Text is the content of a file.
type Text struct {
	Data    []byte
	Missing bool
}

// Files are the files of a CA database.
type Files struct {
	Index, Attr, Number, Rendered Text

	// Issued is the content of issued.pem. With Recalled, the entries of the very
	// same content, it is not read: Size and Unended tell of it.
	Issued   []byte
	Recalled []Entry
	Size     int64 // of issued.pem
	Unended  bool  // it lacks its last line end

	// Hold keeps the DER of every entry, because issued.pem cannot be asked later.
	Hold bool
}

// ErrTorn says that the last entry of issued.pem is cut short: an append is under
// way, or was interrupted.
var ErrTorn = errors.New("the last entry is cut short")

var errUTF16 = errors.New("it is text in UTF-16, which OpenSSL does not read either")

// inUTF16 names the first file that is UTF-16, "" for none.
func (f *Files) inUTF16() string {
	switch {
	case pki.IsUTF16(f.Index.Data):
		return IndexName
	case pki.IsUTF16(f.Issued):
		return IssuedName
	case pki.IsUTF16(f.Number.Data):
		return NumberName
	}
	return ""
}

// unmarked is a text without the byte order mark that editors put in front of UTF-8. It is
// in no file as it was written here.
func unmarked(text []byte) []byte { return bytes.TrimPrefix(text, mark) }

var mark = []byte("\ufeff")

// DamagedError is of a file of the CA database that cannot be read as what it is. Its
// message says what to do.
type DamagedError struct {
	File string // a path in the output directory
	Err  error
	Way  string // what to do; "" for a backup
}

func (e *DamagedError) Error() string {
	way := cmp.Or(e.Way, "restore it from a backup")
	if errors.Is(e.Err, errUTF16) {
		way = "convert it with iconv -f UTF-16 -t UTF-8, or " + way
	}
	return fmt.Sprintf("%s: %v: %s", e.File, e.Err, way)
}

func (e *DamagedError) Unwrap() error { return e.Err }

// Parse reads a CA database. The error is a [*DamagedError]; it wraps [ErrTorn] where
// that is the reason.
func Parse(f Files) (*Ledger, error) {
	l := &Ledger{number: big.NewInt(1), texts: map[string]string{}}
	bad := func(name string, err error) (*Ledger, error) {
		return nil, &DamagedError{File: name, Err: err}
	}
	if name := f.inUTF16(); name != "" {
		return bad(name, errUTF16)
	}
	rows, err := ParseIndex(f.Index.Data)
	if err != nil {
		return bad(IndexName, err)
	}
	if twice := l.setRows(rows); twice != "" {
		return bad(IndexName, fmt.Errorf("serial %s stands there twice", twice))
	}
	l.disk.indexSize = int64(len(f.Index.Data))
	if n := len(f.Index.Data); n > 0 && f.Index.Data[n-1] != '\n' || bytes.HasPrefix(f.Index.Data, mark) {
		l.pending.rewrite = true
	}
	if f.Recalled != nil {
		l.entries, l.disk.issuedSize, l.disk.unended = slices.Clip(f.Recalled), f.Size, f.Unended
	} else {
		whole, err := l.readEntries(f.Issued, f.Hold)
		if err == nil && whole != int64(len(f.Issued)) {
			err = ErrTorn
		}
		if err != nil {
			return bad(IssuedName, err)
		}
		l.disk.issuedSize, l.disk.unended = whole, whole > 0 && f.Issued[whole-1] != '\n'
	}
	l.dropRenamed()
	l.link()
	if l.disk.issuedEnd = l.disk.issuedSize; l.disk.unended {
		l.disk.issuedEnd++
	}
	l.attr = string(f.Attr.Data)
	l.disk.hasIndex = !f.Index.Missing
	l.disk.hasAttr, l.disk.hasNumber = !f.Attr.Missing, !f.Number.Missing
	if l.disk.hasNumber {
		if l.number, err = ParseNumber(f.Number.Data); err != nil {
			return bad(NumberName, err)
		}
	}
	l.numberLost = !l.disk.hasNumber && len(l.rows) > 0
	l.rendered = parseRendered(f.Rendered.Data)
	return l, nil
}

// setRows takes rows over, and returns a serial that stands there twice, "" for
// none. Nearly all owners have one row: their lists share one array.
func (l *Ledger) setRows(rows []Row) (twice string) {
	l.rows = rows
	l.bySerial, l.byOwner = make(map[string]int32, len(rows)), make(map[string][]int32, len(rows))
	arena := make([]int32, len(rows))
	for i := range rows {
		r := &rows[i]
		if l.bySerial[r.Serial] = int32(i); len(l.bySerial) == i {
			return r.Serial
		}
		arena[i] = int32(i)
		if l.byOwner[r.Owner] == nil && !strings.Contains(r.Owner, ",") {
			l.byOwner[r.Owner] = arena[i : i+1 : i+1]
			continue
		}
		for _, owner := range r.Owners() {
			l.byOwner[owner] = append(l.byOwner[owner], int32(i))
		}
	}
	return ""
}

func (l *Ledger) rowAt(serial string) int32 {
	if i, ok := l.bySerial[serial]; ok {
		return i
	}
	return -1
}

// Rows are all rows of index.txt, in its order. They must not be changed.
func (l *Ledger) Rows() []Row { return l.rows }

// Entries are all entries of issued.pem, in its order, but for those of a name that an
// owner had before ([Rename]). They must not be changed.
func (l *Ledger) Entries() []Entry { return l.entries }

// Blank reports whether nothing was ever issued.
func (l *Ledger) Blank() bool { return len(l.issued) == 0 }

// Number is that of the next CRL.
func (l *Ledger) Number() *big.Int { return l.number }

// Attr is the content of index.txt.attr, "" where it is missing. It should be
// [Attributes].
func (l *Ledger) Attr() string { return l.attr }

// Row returns the row of a serial, nil when there is none. It must not be changed.
func (l *Ledger) Row(serial string) *Row {
	if i := l.rowAt(serial); i >= 0 {
		return &l.rows[i]
	}
	return nil
}

// RowsOf returns the rows of an owner, oldest first.
func (l *Ledger) RowsOf(owner string) []Row {
	var out []Row
	for _, i := range l.byOwner[owner] {
		out = append(out, l.rows[i])
	}
	return out
}

// Owners are all owners of rows.
func (l *Ledger) Owners() []string { return slices.Sorted(maps.Keys(l.byOwner)) }

// Valid returns the rows of an owner that are neither revoked nor past their end,
// oldest first.
func (l *Ledger) Valid(owner string, now time.Time) []Row { return l.AppendValid(nil, owner, now) }

// AppendValid appends what [Ledger.Valid] gives, so that nothing is allocated.
func (l *Ledger) AppendValid(out []Row, owner string, now time.Time) []Row {
	for _, i := range l.byOwner[owner] {
		if r := &l.rows[i]; r.valid(now) {
			out = append(out, *r)
		}
	}
	return out
}

// Active are the users with a valid certificate, in no order.
func (l *Ledger) Active(now time.Time) []string {
	var out []string
	for owner, rows := range l.byOwner {
		if IsUser(owner) && slices.ContainsFunc(rows, func(i int32) bool { return l.rows[i].valid(now) }) {
			out = append(out, owner)
		}
	}
	return out
}

// Revoked are the rows that must not get in. An entry stays until one CRL was made
// after its end (RFC 5280, section 3.3).
func (l *Ledger) Revoked(lastCRL time.Time) []Row {
	var out []Row
	for i := range l.rows {
		if r := &l.rows[i]; r.State == Revoked && !r.NotAfter.Before(lastCRL) {
			out = append(out, *r)
		}
	}
	return out
}

// Lost are the entries of issued.pem that index.txt lacks, or has under another owner
// alone.
func (l *Ledger) Lost() []*Entry {
	if !l.mismatched {
		return nil
	}
	var out []*Entry
	for owner, list := range l.issued {
		if len(list) <= len(l.byOwner[owner]) {
			continue
		}
		for _, i := range list {
			e := &l.entries[i]
			if r := l.rowOf(e); !e.foreign && (r == nil || !slices.Contains(r.Owners(), owner)) {
				out = append(out, e)
			}
		}
	}
	slices.SortFunc(out, func(a, b *Entry) int { return cmp.Compare(a.At, b.At) })
	return out
}

// OtherCA is a CA in whose name certificates were issued here, "" for none but
// this one.
func (l *Ledger) OtherCA(ca string) string {
	other := ""
	for owner := range l.issued {
		if strings.HasPrefix(owner, "ca.") && owner != ca && (other == "" || owner < other) {
			other = owner
		}
	}
	return other
}

// Rendered is the checksum of a rendered file as it was written last; ok is false
// for a path that nothing was rendered to.
func (l *Ledger) Rendered(path string) (sum Sum, ok bool) {
	sum, ok = l.rendered[path]
	return sum, ok
}

// RenderedPaths are all paths that something was rendered to, sorted.
func (l *Ledger) RenderedPaths() []string { return slices.Sorted(maps.Keys(l.rendered)) }
