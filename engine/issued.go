package engine

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"mtlsplan/internal/cadb"
	"mtlsplan/internal/outdir"
	"mtlsplan/internal/pki"
)

// What the database tells of the certificates themselves: whose they are, for
// which key, and of which generation of the CA.

// issued is one certificate of issued.pem: what a run may ask of any of them.
type issued struct {
	owner     Owner
	at, size  int64 // where it stands in the file
	sum       [sha256.Size]byte
	public    string // identity of the key, "" for a certificate that cannot be read
	serial    string
	notAfter  int64 // seconds since 1970
	issuer    string
	authority string
	row       int32  // in index.txt, -1 for none
	der       []byte // nil where the file has it
}

func (e *issued) ended(now time.Time) bool { return now.After(time.Unix(e.notAfter, 0)) }

func newEntry(owner Owner, der []byte, at, size int64) issued {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return issued{owner: owner, at: at, size: size, sum: sha256.Sum256(der)}
	}
	return entryOf(owner, cert, at, size)
}

func entryOf(owner Owner, cert *x509.Certificate, at, size int64) issued {
	e := issued{owner: owner, at: at, size: size, sum: sha256.Sum256(cert.Raw)}
	e.public, e.serial, e.notAfter = pki.PublicID(cert.PublicKey), pki.SerialHex(cert.SerialNumber), cert.NotAfter.Unix()
	e.issuer, e.authority = string(cert.RawIssuer), string(cert.AuthorityKeyId)
	return e
}

// readIssued reads issued.pem. A reader may meet an append that is under way,
// which is over after a moment; for a writer, which has carried out every
// journal, a tail is somebody else's work.
func (db *database) readIssued(dir *outdir.Dir, known *cache, stats *outdir.Stats) error {
	if db.recall(known, stats) {
		return nil
	}
	for range 5 {
		file, err := dir.Read(issuedName)
		if err != nil {
			return err
		}
		db.entries = nil
		whole, err := db.takeEntries(file.Data, !dir.Interrupted())
		if err != nil {
			return err
		}
		if whole == int64(len(file.Data)) {
			db.issuedSize, db.unended = whole, whole > 0 && file.Data[whole-1] != '\n'
			db.issuedStat = file.Stat
			return nil
		}
		if dir.Writable() {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	return errors.New("the last entry is cut short")
}

// recall takes what the cache knows of issued.pem.
func (db *database) recall(known *cache, stats *outdir.Stats) bool {
	if stats == nil || known.issued == (outdir.Stat{}) {
		return false
	}
	if have, ok := stats.Of(issuedName); !ok || have != known.issued {
		return false
	}
	db.entries, db.issuedStat, db.issuedSize = slices.Clip(known.entries), known.issued, known.issued.Size
	for i := range db.entries {
		e := &db.entries[i]
		if isUser(e.owner) || e.der != nil {
			continue
		}
		cert, err := db.certificate(e)
		if err != nil {
			db.entries = nil
			return false
		}
		e.der = cert.Raw
	}
	last, err := db.dir.Part(issuedName, known.issued.Size-1, 1)
	db.unended = err != nil || last[0] != '\n'
	if err != nil {
		return false
	}
	db.recalled = len(db.entries)
	return true
}

// takeEntries parses the text of issued.pem, some entries at a time. Of users'
// certificates only what a run may ask of all is kept, if the file can give the rest.
func (db *database) takeEntries(text []byte, lazy bool) (whole int64, err error) {
	const some = 4096
	var part []issued
	take := func() {
		forEach(context.Background(), runtime.GOMAXPROCS(0), len(part), func(i int) {
			p := part[i]
			part[i] = newEntry(p.owner, p.der, p.at, p.size)
			if !lazy || !isUser(p.owner) {
				part[i].der = p.der
			}
		})
		for i := range part {
			db.share(&part[i])
		}
		db.entries = append(db.entries, part...)
		part = part[:0]
	}
	whole, err = cadb.EachIssued(text, func(e cadb.Issued, at, size int64) {
		part = append(part, issued{owner: Owner(e.Owner), at: at, size: size, der: e.DER})
		if len(part) == some {
			take()
		}
	})
	take()
	return whole, err
}

// link finds the entries of each owner.
func (db *database) link() {
	db.issued = make(map[Owner][]int32, len(db.entries))
	arena := make([]int32, len(db.entries))
	row := -1
	for i := range db.entries {
		arena[i] = int32(i)
		// They are nearly always in the order of the rows.
		e := &db.entries[i]
		if row++; row >= len(db.rows) || db.rows[row].Serial != e.serial {
			row = int(db.rowAt(e.serial))
		}
		e.row = int32(row)
		owner := db.entries[i].owner
		if list := db.issued[owner]; list != nil {
			db.issued[owner] = append(list, int32(i))
		} else {
			db.issued[owner] = arena[i : i+1 : i+1]
		}
	}
}

// addEntry takes a certificate in that is not in the file yet.
func (db *database) addEntry(owner Owner, cert *x509.Certificate, size int64) {
	db.issued[owner] = append(db.issued[owner], int32(len(db.entries)))
	e := entryOf(owner, cert, db.issuedEnd, size)
	if e.row = db.rowAt(e.serial); e.row >= 0 {
		e.serial = db.rows[e.row].Serial
	}
	db.share(&e)
	e.der = cert.Raw
	db.issuedEnd += size
	db.entries = append(db.entries, e)
}

// share lets an entry have its texts in common with others: nearly all have the
// same issuer, and of 100,000 one copy is enough.
func (db *database) share(e *issued) {
	for _, s := range []*string{&e.issuer, &e.authority} {
		if _, known := db.texts[*s]; !known {
			db.texts[*s] = *s
		}
		*s = db.texts[*s]
	}
}

// settle says that the file has all entries: those of users need not be held any
// more.
func (db *database) settle() {
	for ; db.settled < len(db.entries); db.settled++ {
		if e := &db.entries[db.settled]; isUser(e.owner) {
			e.der = nil
		}
	}
}

// certificate is the certificate of an entry in full.
func (db *database) certificate(e *issued) (*x509.Certificate, error) {
	der := e.der
	if der == nil {
		text, err := db.dir.Part(issuedName, e.at, e.size)
		if err != nil {
			return nil, err
		}
		if list, _, err := cadb.ParseIssued(text); err == nil && len(list) == 1 {
			der = list[0].DER
		}
		if sha256.Sum256(der) != e.sum {
			return nil, fmt.Errorf("%s was changed while it was read: run again", issuedName)
		}
	}
	return x509.ParseCertificate(der)
}

// knows reports whether this very certificate was issued to the owner.
func (db *database) knows(owner Owner, sum [sha256.Size]byte) bool {
	return db.holds(db.issued[owner], sum)
}

// Of one user all is asked of the same list of entries: finding it takes longer
// than what is asked.

func (db *database) holds(list []int32, sum [sha256.Size]byte) bool {
	return slices.ContainsFunc(list, func(i int32) bool { return db.entries[i].sum == sum })
}

// newest returns the certificate among those of an owner most lately issued for a public
// key that is neither revoked nor past its end; nil when there is none, also
// when the key has been given up.
func (db *database) newest(list []int32, public string, now time.Time) *issued {
	var found *issued
	for e := range db.issuedFor(list, public) {
		switch r := db.rowOf(e); {
		case r == nil:
		case r.State == cadb.Revoked && r.Reason != superseded:
			return nil
		case r.State != cadb.Revoked && !e.ended(now):
			found = e
		}
	}
	return found
}

// givenUp reports whether one of an owner's certificates for the key was revoked for more than
// having been renewed: such a key is not certified again.
func (db *database) givenUp(list []int32, public string) bool {
	for e := range db.issuedFor(list, public) {
		if r := db.rowOf(e); r != nil && r.State == cadb.Revoked && r.Reason != superseded {
			return true
		}
	}
	return false
}

const superseded = "superseded"

// issuedFor are those of an owner's certificates that are for a public key, oldest first.
func (db *database) issuedFor(list []int32, public string) func(yield func(*issued) bool) {
	return func(yield func(*issued) bool) {
		for _, i := range list {
			if e := &db.entries[i]; e.public == public && public != "" && !yield(e) {
				return
			}
		}
	}
}

// rowOf is the row of an entry, nil for none. One may have come since.
func (db *database) rowOf(e *issued) *cadb.Row {
	if e.row < 0 {
		return db.row(e.serial)
	}
	return &db.rows[e.row]
}

// everFor reports whether a certificate was issued to an owner for a public key.
func (db *database) everFor(owner Owner, public string) bool {
	for range db.issuedFor(db.issued[owner], public) {
		return true
	}
	return false
}

// otherCA is a CA in whose name certificates were issued here, "" for none but
// this one.
func (db *database) otherCA(ca Owner) Owner {
	var other Owner
	for owner := range db.issued {
		if strings.HasPrefix(string(owner), "ca.") && owner != ca && (other == "" || owner < other) {
			other = owner
		}
	}
	return other
}

// generations are the CA keys that certificates were issued for, oldest first.
func (db *database) generations(ca Owner) []generation {
	var out []generation
	for _, at := range db.issued[ca] {
		cert, err := db.certificate(&db.entries[at])
		if err != nil {
			continue
		}
		public := db.entries[at].public
		i := slices.IndexFunc(out, func(g generation) bool { return g.public == public })
		if i < 0 {
			i = len(out)
			out = append(out, generation{number: i + 1, public: public})
		}
		out[i].cert = cert
	}
	return out
}

// issuers tells which generation has issued each user's certificate, by
// serial. With one generation there is nothing to tell apart.
func (db *database) issuers(gens []generation) map[string]string {
	out := map[string]string{}
	if len(gens) < 2 {
		return out
	}
	for i := range db.entries {
		e := &db.entries[i]
		if !isUser(e.owner) || e.public == "" {
			continue
		}
		facts := certFacts{issuer: e.issuer, authority: e.authority}
		if e.authority == "" {
			var err error
			if facts.full, err = db.certificate(e); err != nil {
				continue
			}
		}
		for _, g := range gens {
			if issuedBy(&facts, g.cert) {
				out[e.serial] = g.public
			}
		}
	}
	return out
}

// holder is whom a certificate was issued to, "" when it is not on record.
func (db *database) holder(cert *certFacts) Owner {
	if r := db.row(cert.serial); r != nil {
		for _, owner := range rowOwners(*r) {
			if db.knows(owner, cert.sum) {
				return owner
			}
		}
	}
	return ""
}

// keyOwner is another user whom a certificate for the key was issued to, "" when
// there is none, or when the owner had one too. It looks at every certificate.
func (db *database) keyOwner(public string, owner Owner) Owner {
	if db.everFor(owner, public) {
		return ""
	}
	for _, other := range slices.Sorted(maps.Keys(db.issued)) {
		if isUser(other) && db.everFor(other, public) {
			return other
		}
	}
	return ""
}
