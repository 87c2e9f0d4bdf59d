package engine

import (
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"mtlsplan/internal/cadb"
	"mtlsplan/internal/outdir"
	"mtlsplan/internal/pki"
)

// database is the CA database in memory: what it held when the run began, and
// what the run adds. Only the goroutine that commits batches changes it.
type database struct {
	rows     []cadb.Row
	bySerial map[string]int
	byOwner  map[Owner][]int // rows of an owner, oldest first
	issued   map[Owner][][]byte
	number   *big.Int // of the next CRL

	indexSize  int64 // what an append to index.txt goes behind
	issuedSize int64
	newIssued  []byte // entries not yet in a batch
	unended    bool   // issued.pem lacks its last line end
	newLines   []byte // rows not yet in a batch
	rewrite    bool   // a row has changed: index.txt is written anew
	newNumber  bool
	hasAttr    bool
	hasNumber  bool
	numberLost bool    // crlnumber is gone, and was there
	lost       []Owner // whose certificates stand in issued.pem and not in index.txt
}

func readDatabase(dir *outdir.Dir) (*database, error) {
	db := &database{bySerial: map[string]int{}, byOwner: map[Owner][]int{}, issued: map[Owner][][]byte{}, number: big.NewInt(1)}
	index, err := dir.Read(indexName)
	if err != nil {
		return nil, err
	}
	rows, err := cadb.ParseIndex(index.Data)
	if err != nil {
		return nil, fmt.Errorf("%s/%s: %w: restore it from a backup", dir.Path(), indexName, err)
	}
	for _, r := range rows {
		if _, twice := db.bySerial[r.Serial]; twice {
			return nil, fmt.Errorf("%s/%s: serial %s stands there twice: restore it from a backup", dir.Path(), indexName, r.Serial)
		}
		db.addRow(r)
	}
	db.indexSize = int64(len(index.Data))
	if n := len(index.Data); n > 0 && index.Data[n-1] != '\n' {
		db.rewrite = true
	}

	if err := db.readIssued(dir); err != nil {
		return nil, fmt.Errorf("%s/%s: %w: restore it from a backup", dir.Path(), issuedName, err)
	}

	attr, err := dir.Read(attrName)
	if err != nil {
		return nil, err
	}
	db.hasAttr = !attr.Missing
	number, err := dir.Read(numberName)
	if err != nil {
		return nil, err
	}
	if db.hasNumber = !number.Missing; db.hasNumber {
		if db.number, err = cadb.ParseNumber(number.Data); err != nil {
			return nil, fmt.Errorf("%s/%s: %w: restore it from a backup", dir.Path(), numberName, err)
		}
	}
	db.numberLost = !db.hasNumber && len(db.rows) > 0
	for owner, list := range db.issued {
		if len(list) > len(db.byOwner[owner]) {
			db.lost = append(db.lost, owner)
		}
	}
	slices.Sort(db.lost)
	return db, nil
}

// readIssued reads issued.pem. A reader may meet an append that is under way,
// which is over after a moment; for a writer, which has carried out every
// journal, a tail is somebody else's work.
func (db *database) readIssued(dir *outdir.Dir) error {
	for range 5 {
		file, err := dir.Read(issuedName)
		if err != nil {
			return err
		}
		entries, whole, err := cadb.ParseIssued(file.Data)
		if err != nil {
			return err
		}
		if whole == int64(len(file.Data)) {
			for _, e := range entries {
				db.issued[Owner(e.Owner)] = append(db.issued[Owner(e.Owner)], e.DER)
			}
			db.issuedSize, db.unended = whole, whole > 0 && file.Data[whole-1] != '\n'
			return nil
		}
		if dir.Writable() {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	return errors.New("the last entry is cut short")
}

func (db *database) addRow(r cadb.Row) {
	db.bySerial[r.Serial] = len(db.rows)
	for _, owner := range rowOwners(r) {
		db.byOwner[owner] = append(db.byOwner[owner], len(db.rows))
	}
	db.rows = append(db.rows, r)
}

// rowOwners are whose a serial is: more than one only where an adopted CA has
// used it more than once.
func rowOwners(r cadb.Row) []Owner {
	var out []Owner
	for name := range strings.SplitSeq(r.Owner, ",") {
		out = append(out, Owner(name))
	}
	return out
}

// row returns the row of a serial, nil when there is none.
func (db *database) row(serial *big.Int) *cadb.Row {
	if i, ok := db.bySerial[pki.SerialHex(serial)]; ok {
		return &db.rows[i]
	}
	return nil
}

// valid returns the rows of an owner that are neither revoked nor past their end.
func (db *database) valid(owner Owner, now time.Time) []cadb.Row {
	var out []cadb.Row
	for _, i := range db.byOwner[owner] {
		if r := db.rows[i]; r.State != cadb.Revoked && now.Before(r.NotAfter) {
			out = append(out, r)
		}
	}
	return out
}

// fresh returns a serial that was never used.
func (db *database) fresh() *big.Int {
	for {
		if s := pki.NewSerial(); db.row(s) == nil {
			return s
		}
	}
}

// issue takes a certificate into the database. An adopted one may have a serial
// that another has too: then they share a row, which lasts as long as either.
func (db *database) issue(owner Owner, cert *x509.Certificate) {
	serial := pki.SerialHex(cert.SerialNumber)
	if i, shared := db.bySerial[serial]; shared {
		r := &db.rows[i]
		r.Owner += "," + string(owner)
		if cert.NotAfter.After(r.NotAfter) {
			r.NotAfter = cert.NotAfter.UTC()
		}
		db.byOwner[owner] = append(db.byOwner[owner], i)
		db.newIssued = append(db.newIssued, cadb.FormatIssued(cadb.Issued{Owner: string(owner), DER: cert.Raw})...)
		db.issued[owner] = append(db.issued[owner], cert.Raw)
		db.rewrite = true
		return
	}
	row := cadb.Row{
		State: cadb.Valid, NotAfter: cert.NotAfter.UTC(), Serial: serial,
		Owner: string(owner), Subject: pki.NameOneLine(cert.RawSubject),
	}
	db.newIssued = append(db.newIssued, cadb.FormatIssued(cadb.Issued{Owner: string(owner), DER: cert.Raw})...)
	db.newLines = append(db.newLines, cadb.FormatIndex([]cadb.Row{row})...)
	db.addRow(row)
	db.issued[owner] = append(db.issued[owner], cert.Raw)
}

// revoke marks a row; the first revocation of a serial stands for ever.
func (db *database) revoke(serial string, when time.Time, reason string) {
	r := &db.rows[db.bySerial[serial]]
	if r.State == cadb.Revoked {
		if r.Reason == "" {
			r.Reason = reason // index.txt has no word for every reason; the CRL has
		}
		return
	}
	r.State, r.Revoked, r.Reason = cadb.Revoked, when, reason
	db.rewrite = true
}

// takeNumber returns a CRL number that was never used. Where both crlnumber and
// the CRL are lost, it goes on from the time: numbers must not fall.
func (db *database) takeNumber(now time.Time) *big.Int {
	if db.numberLost {
		db.number, db.numberLost = big.NewInt(now.Unix()), false
	}
	n := db.number
	db.number = new(big.Int).Add(n, big.NewInt(1))
	db.newNumber = true
	return n
}

// passNumber goes on from the number of a CRL that is there, and reports whether
// that is news: the recorded one may be from an older backup.
func (db *database) passNumber(used *big.Int) bool {
	db.numberLost = db.numberLost && used == nil
	if used == nil || db.number.Cmp(used) > 0 {
		return false
	}
	db.number, db.newNumber = new(big.Int).Add(used, big.NewInt(1)), true
	return true
}

// flush adds to a batch what the database has learnt since the last flush. In
// the batch's journal it stands before every file outside db/.
func (db *database) flush(b *outdir.Batch) {
	if len(db.newIssued) > 0 {
		if db.unended {
			db.newIssued, db.unended = append([]byte("\n"), db.newIssued...), false
		}
		b.Append(issuedName, db.issuedSize, db.newIssued, outdir.ModeSecret)
		db.issuedSize += int64(len(db.newIssued))
	}
	switch {
	case db.rewrite:
		text := cadb.FormatIndex(db.rows)
		b.Put(indexName, text, outdir.ModeSecret)
		db.indexSize = int64(len(text))
	case len(db.newLines) > 0:
		b.Append(indexName, db.indexSize, db.newLines, outdir.ModeSecret)
		db.indexSize += int64(len(db.newLines))
	}
	if !db.hasAttr && len(db.rows) > 0 {
		b.Put(attrName, []byte(cadb.Attributes), outdir.ModeSecret)
		db.hasAttr = true
	}
	if db.newNumber || !db.hasNumber && len(db.rows) > 0 {
		b.Put(numberName, cadb.FormatNumber(db.number), outdir.ModeSecret)
		db.hasNumber = true
	}
	db.newIssued, db.newLines, db.rewrite, db.newNumber = nil, nil, false, false
}

// revokedRows are the rows that must not get in. An entry stays until one CRL was
// made after its end (RFC 5280, section 3.3).
func (db *database) revokedRows(lastCRL time.Time) []cadb.Row {
	var out []cadb.Row
	for _, r := range db.rows {
		if r.State == cadb.Revoked && !r.NotAfter.Before(lastCRL) {
			out = append(out, r)
		}
	}
	return out
}
