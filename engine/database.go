package engine

import (
	"crypto/x509"
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
	bySerial map[string]int32
	byOwner  map[Owner][]int32 // rows of an owner, oldest first
	entries  []issued
	issued   map[Owner][]int32 // entries of an owner, oldest first
	number   *big.Int          // of the next CRL

	dir           *outdir.Dir
	indexSize     int64 // what an append to index.txt goes behind
	issuedSize    int64
	stats         *outdir.Stats // nil where nothing can be known by them
	indexTail     tail          // what this run has written
	issuedTail    tail
	rewritten     bool // index.txt was written anew
	sharedRevoked bool // a serial was revoked that several owners have

	recalled   int               // how many entries the cache has told of
	texts      map[string]string // those that entries share
	settled    int               // so many entries are in the file, or were found there
	issuedEnd  int64             // where the next entry will stand
	issuedStat outdir.Stat       // of the file that entries were read from
	newIssued  []byte            // entries not yet in a batch
	unended    bool              // issued.pem lacks its last line end
	newLines   []byte            // rows not yet in a batch
	rewrite    bool              // a row has changed: index.txt is written anew
	newNumber  bool
	hasAttr    bool
	hasNumber  bool
	numberLost bool    // crlnumber is gone, and was there
	lost       []Owner // whose certificates stand in issued.pem and not in index.txt
}

// readDatabase reads the database. Of issued.pem it takes what the cache knows,
// if the file is still the same.
func readDatabase(dir *outdir.Dir, known *cache, stats *outdir.Stats) (*database, error) {
	db := &database{dir: dir, stats: stats, number: big.NewInt(1), texts: map[string]string{}}
	index, err := dir.Read(indexName)
	if err != nil {
		return nil, err
	}
	rows, err := cadb.ParseIndex(index.Data)
	if err != nil {
		return nil, fmt.Errorf("%s/%s: %w: restore it from a backup", dir.Path(), indexName, err)
	}
	if twice := db.setRows(rows); twice != "" {
		return nil, fmt.Errorf("%s/%s: serial %s stands there twice: restore it from a backup", dir.Path(), indexName, twice)
	}
	db.indexSize = int64(len(index.Data))
	if n := len(index.Data); n > 0 && index.Data[n-1] != '\n' {
		db.rewrite = true
	}

	if err := db.readIssued(dir, known, stats); err != nil {
		return nil, fmt.Errorf("%s/%s: %w: restore it from a backup", dir.Path(), issuedName, err)
	}
	db.link()
	if db.issuedEnd = db.issuedSize; db.unended {
		db.issuedEnd++
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

// setRows takes rows over, and returns a serial that stands there twice, "" for
// none. Nearly all owners have one row: their lists share one array.
func (db *database) setRows(rows []cadb.Row) (twice string) {
	db.rows = rows
	db.bySerial, db.byOwner = make(map[string]int32, len(rows)), make(map[Owner][]int32, len(rows))
	arena := make([]int32, len(rows))
	for i := range rows {
		r := &rows[i]
		if db.bySerial[r.Serial] = int32(i); len(db.bySerial) == i {
			return r.Serial
		}
		arena[i] = int32(i)
		if owner := Owner(r.Owner); db.byOwner[owner] == nil && !strings.Contains(r.Owner, ",") {
			db.byOwner[owner] = arena[i : i+1 : i+1]
			continue
		}
		for _, owner := range rowOwners(*r) {
			db.byOwner[owner] = append(db.byOwner[owner], int32(i))
		}
	}
	return ""
}

func (db *database) addRow(r cadb.Row) {
	db.bySerial[r.Serial] = int32(len(db.rows))
	for _, owner := range rowOwners(r) {
		db.byOwner[owner] = append(db.byOwner[owner], int32(len(db.rows)))
	}
	db.rows = append(db.rows, r)
}

// rowOwners are whose a serial is: more than one only where an adopted CA has
// used it more than once.
func rowOwners(r cadb.Row) []Owner {
	if strings.IndexByte(r.Owner, ',') < 0 {
		return []Owner{Owner(r.Owner)}
	}
	var out []Owner
	for name := range strings.SplitSeq(r.Owner, ",") {
		out = append(out, Owner(name))
	}
	return out
}

// rowAt is where the row of a serial stands, -1 for nowhere.
func (db *database) rowAt(serial string) int32 {
	if i, ok := db.bySerial[serial]; ok {
		return i
	}
	return -1
}

// row returns the row of a serial, nil when there is none.
func (db *database) row(serial string) *cadb.Row {
	if i, ok := db.bySerial[serial]; ok {
		return &db.rows[i]
	}
	return nil
}

// valid returns the rows of an owner that are neither revoked nor past their end.
func (db *database) valid(owner Owner, now time.Time) []cadb.Row {
	return db.appendValid(nil, owner, now)
}

func (db *database) appendValid(out []cadb.Row, owner Owner, now time.Time) []cadb.Row {
	for _, i := range db.byOwner[owner] {
		if r := &db.rows[i]; r.State != cadb.Revoked && now.Before(r.NotAfter) {
			out = append(out, *r)
		}
	}
	return out
}

// validRows are the valid rows of a user; of one who is known by a memo they last
// as long as the facts.
func (obs *Observed) validRows(u *userFacts) []cadb.Row {
	if !u.brief {
		return obs.db.valid(u.owner, obs.now)
	}
	obs.rows = obs.db.appendValid(obs.rows[:0], u.owner, obs.now)
	return obs.rows
}

// fresh returns a serial that was never used.
func (db *database) fresh() *big.Int {
	for {
		if s := pki.NewSerial(); db.row(pki.SerialHex(s)) == nil {
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
		db.record(owner, cert)
		db.rewrite = true
		return
	}
	row := cadb.Row{
		State: cadb.Valid, NotAfter: cert.NotAfter.UTC(), Serial: serial,
		Owner: string(owner), Subject: pki.NameOneLine(cert.RawSubject),
	}
	db.newLines = append(db.newLines, cadb.FormatIndex([]cadb.Row{row})...)
	db.addRow(row)
	db.record(owner, cert)
}

func (db *database) record(owner Owner, cert *x509.Certificate) {
	text := cadb.FormatIssued(cadb.Issued{Owner: string(owner), DER: cert.Raw})
	db.newIssued = append(db.newIssued, text...)
	db.addEntry(owner, cert, int64(len(text)))
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
	db.sharedRevoked = db.sharedRevoked || strings.Contains(r.Owner, ",")
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
		db.issuedTail.add(db.issuedSize, db.newIssued)
		db.issuedSize += int64(len(db.newIssued))
	}
	switch {
	case db.rewrite:
		text := cadb.FormatIndex(db.rows)
		b.Put(indexName, text, outdir.ModeSecret)
		db.indexSize, db.rewritten = int64(len(text)), true
	case len(db.newLines) > 0:
		b.Append(indexName, db.indexSize, db.newLines, outdir.ModeSecret)
		db.indexTail.add(db.indexSize, db.newLines)
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
	for i := range db.rows {
		if r := &db.rows[i]; r.State == cadb.Revoked && !r.NotAfter.Before(lastCRL) {
			out = append(out, *r)
		}
	}
	return out
}
