package ledger

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"runtime"
	"slices"
	"strings"
	"sync"
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

// Superseded is the reason of a certificate that a renewal has replaced.
const Superseded = "superseded"

// Ledger is the CA database in memory.
type Ledger struct {
	rows     []Row
	bySerial map[string]int32
	byOwner  map[string][]int32 // rows of an owner, oldest first
	entries  []Entry
	issued   map[string][]int32 // entries of an owner, oldest first
	number   *big.Int           // of the next CRL
	rendered map[string]Sum     // by path

	numberLost bool              // crlnumber is gone, and was there
	texts      map[string]string // those that entries share
	disk       disk
	pending    pending
}

// Sum is a SHA-256.
type Sum = [sha256.Size]byte

// Entry is one certificate of issued.pem: what a run may ask of any of them.
type Entry struct {
	Owner     string
	At, Size  int64  // where it stands in the file
	Sum       Sum    // of the DER
	SPKI      string // [pki.PublicID] of the key, "" for a certificate that cannot be read
	Serial    string
	NotAfter  int64  // seconds since 1970
	Issuer    string // DER of the name
	Authority string // key identifier of the issuer's, "" for none

	// DER is nil where the file has to be asked for it: of a user's certificate
	// with an authority identifier.
	DER []byte

	row int32 // in index.txt, -1 for none
}

func (e *Entry) ended(now time.Time) bool { return now.After(time.Unix(e.NotAfter, 0)) }

// Held reports whether the DER of an entry has to be at hand: that of a CA is
// asked for in every run, and without an identifier only the signature tells who
// has issued a certificate.
func (e *Entry) Held() bool { return !IsUser(e.Owner) || e.Authority == "" && e.SPKI != "" }

// IsUser reports whether an owner is a user.
func IsUser(owner string) bool { return len(owner) > 5 && owner[:5] == "user." }

// Text is the content of a file.
type Text struct {
	Data    []byte
	Missing bool
}

// Files are the files of a CA database.
type Files struct {
	Index, Number, Rendered Text
	HasAttr                 bool

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

// Parse reads a CA database. The error names the file and what to do; it wraps
// [ErrTorn] where that is the reason.
func Parse(f Files) (*Ledger, error) {
	l := &Ledger{number: big.NewInt(1), texts: map[string]string{}}
	bad := func(name string, err error) (*Ledger, error) {
		return nil, fmt.Errorf("%s: %w: restore it from a backup", name, err)
	}
	rows, err := ParseIndex(f.Index.Data)
	if err != nil {
		return bad(IndexName, err)
	}
	if twice := l.setRows(rows); twice != "" {
		return bad(IndexName, fmt.Errorf("serial %s stands there twice", twice))
	}
	l.disk.indexSize = int64(len(f.Index.Data))
	if n := len(f.Index.Data); n > 0 && f.Index.Data[n-1] != '\n' {
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
	l.link()
	if l.disk.issuedEnd = l.disk.issuedSize; l.disk.unended {
		l.disk.issuedEnd++
	}
	l.disk.hasAttr, l.disk.hasNumber = f.HasAttr, !f.Number.Missing
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

// readEntries parses the text of issued.pem on all cores, some entries at a time.
func (l *Ledger) readEntries(text []byte, hold bool) (whole int64, err error) {
	const some = 4096
	var part []Entry
	take := func() {
		workers := runtime.GOMAXPROCS(0)
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				for i := w; i < len(part); i += workers {
					p := part[i]
					if part[i] = newEntry(p.Owner, p.DER, p.At, p.Size); hold || part[i].Held() {
						part[i].DER = p.DER
					}
				}
			})
		}
		wg.Wait()
		for i := range part {
			l.share(&part[i])
		}
		l.entries = append(l.entries, part...)
		part = part[:0]
	}
	whole, err = EachRecord(text, func(e Record, at, size int64) {
		part = append(part, Entry{Owner: e.Owner, At: at, Size: size, DER: e.DER})
		if len(part) == some {
			take()
		}
	})
	take()
	return whole, err
}

func newEntry(owner string, der []byte, at, size int64) Entry {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return Entry{Owner: owner, At: at, Size: size, Sum: sha256.Sum256(der)}
	}
	return entryOf(owner, cert, at, size)
}

func entryOf(owner string, cert *x509.Certificate, at, size int64) Entry {
	return Entry{
		Owner: owner, At: at, Size: size, Sum: sha256.Sum256(cert.Raw),
		SPKI: pki.PublicID(cert.PublicKey), Serial: pki.SerialHex(cert.SerialNumber), NotAfter: cert.NotAfter.Unix(),
		Issuer: string(cert.RawIssuer), Authority: string(cert.AuthorityKeyId),
	}
}

// share lets an entry have its texts in common with others: nearly all have the
// same issuer, and of 100,000 one copy is enough.
func (l *Ledger) share(e *Entry) {
	for _, s := range []*string{&e.Issuer, &e.Authority} {
		if _, known := l.texts[*s]; !known {
			l.texts[*s] = *s
		}
		*s = l.texts[*s]
	}
}

// link finds the entries of each owner, and their rows.
func (l *Ledger) link() {
	l.issued = make(map[string][]int32, len(l.entries))
	arena := make([]int32, len(l.entries))
	row := -1
	for i := range l.entries {
		arena[i] = int32(i)
		// They are nearly always in the order of the rows.
		e := &l.entries[i]
		if row++; row >= len(l.rows) || l.rows[row].Serial != e.Serial {
			row = int(l.rowAt(e.Serial))
		}
		e.row = int32(row)
		if list := l.issued[e.Owner]; list != nil {
			l.issued[e.Owner] = append(list, int32(i))
		} else {
			l.issued[e.Owner] = arena[i : i+1 : i+1]
		}
	}
}

// Owners are whose a serial is: more than one only where an adopted CA has used
// it more than once.
func (r Row) Owners() []string {
	if strings.IndexByte(r.Owner, ',') < 0 {
		return []string{r.Owner}
	}
	return strings.Split(r.Owner, ",")
}

func (l *Ledger) rowAt(serial string) int32 {
	if i, ok := l.bySerial[serial]; ok {
		return i
	}
	return -1
}

// Rows are all rows of index.txt, in its order. They must not be changed.
func (l *Ledger) Rows() []Row { return l.rows }

// Entries are all entries of issued.pem, in its order. They must not be changed.
func (l *Ledger) Entries() []Entry { return l.entries }

// Blank reports whether nothing was ever issued.
func (l *Ledger) Blank() bool { return len(l.issued) == 0 }

// Number is that of the next CRL.
func (l *Ledger) Number() *big.Int { return l.number }

// Row returns the row of a serial, nil when there is none. It must not be changed.
func (l *Ledger) Row(serial string) *Row {
	if i, ok := l.bySerial[serial]; ok {
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

func (r *Row) valid(now time.Time) bool { return r.State != Revoked && now.Before(r.NotAfter) }

// Active counts the users with a valid certificate.
func (l *Ledger) Active(now time.Time) int {
	n := 0
	for owner, rows := range l.byOwner {
		if IsUser(owner) && slices.ContainsFunc(rows, func(i int32) bool { return l.rows[i].valid(now) }) {
			n++
		}
	}
	return n
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

// Lost are the owners whose certificates stand in issued.pem and not in index.txt.
func (l *Ledger) Lost() []string {
	var out []string
	for owner, list := range l.issued {
		if len(list) > len(l.byOwner[owner]) {
			out = append(out, owner)
		}
	}
	slices.Sort(out)
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

// Issued is the certificates of one owner.
type Issued struct {
	l    *Ledger
	list []int32
}

// IssuedTo finds what was issued to an owner.
func (l *Ledger) IssuedTo(owner string) Issued { return Issued{l, l.issued[owner]} }

// Len is the number of certificates.
func (o Issued) Len() int { return len(o.list) }

// Holds reports whether this very certificate was issued to the owner.
func (o Issued) Holds(sum Sum) bool {
	return slices.ContainsFunc(o.list, func(i int32) bool { return o.l.entries[i].Sum == sum })
}

// For are the certificates for a key, oldest first.
func (o Issued) For(spki string) func(yield func(*Entry) bool) {
	return func(yield func(*Entry) bool) {
		for _, i := range o.list {
			if e := &o.l.entries[i]; e.SPKI == spki && spki != "" && !yield(e) {
				return
			}
		}
	}
}

// Newest is the certificate most lately issued for a key that is neither revoked
// nor past its end; nil when there is none, also when the key has been given up.
func (o Issued) Newest(spki string, now time.Time) *Entry {
	var found *Entry
	for e := range o.For(spki) {
		switch r := o.l.rowOf(e); {
		case r == nil:
		case r.State == Revoked && r.Reason != Superseded:
			return nil
		case r.State != Revoked && !e.ended(now):
			found = e
		}
	}
	return found
}

// GivenUp reports whether a certificate for the key was revoked for more than
// having been renewed: such a key is not certified again.
func (o Issued) GivenUp(spki string) bool {
	for e := range o.For(spki) {
		if r := o.l.rowOf(e); r != nil && r.State == Revoked && r.Reason != Superseded {
			return true
		}
	}
	return false
}

// EverFor reports whether a certificate was issued for a key.
func (o Issued) EverFor(spki string) bool {
	for range o.For(spki) {
		return true
	}
	return false
}

// rowOf is the row of an entry, nil for none. One may have come since.
func (l *Ledger) rowOf(e *Entry) *Row {
	if e.row < 0 {
		return l.Row(e.Serial)
	}
	return &l.rows[e.row]
}

// Holder is the owner whom a certificate was issued to, "" when it is not on
// record.
func (l *Ledger) Holder(serial string, sum Sum) string {
	if r := l.Row(serial); r != nil {
		for _, owner := range r.Owners() {
			if l.IssuedTo(owner).Holds(sum) {
				return owner
			}
		}
	}
	return ""
}

// KeyOwner is another user whom a certificate for the key was issued to, "" when
// there is none, or when the owner had one too. It looks at every certificate.
func (l *Ledger) KeyOwner(spki, owner string) string {
	if l.IssuedTo(owner).EverFor(spki) {
		return ""
	}
	for _, other := range slices.Sorted(maps.Keys(l.issued)) {
		if IsUser(other) && l.IssuedTo(other).EverFor(spki) {
			return other
		}
	}
	return ""
}

// Rendered is the checksum of a rendered file as it was written last; ok is false
// for a path that nothing was rendered to.
func (l *Ledger) Rendered(path string) (sum Sum, ok bool) {
	sum, ok = l.rendered[path]
	return sum, ok
}

// RenderedPaths are all paths that something was rendered to, sorted.
func (l *Ledger) RenderedPaths() []string { return slices.Sorted(maps.Keys(l.rendered)) }
