package ledger

import (
	"crypto/sha256"
	"crypto/x509"
	"runtime"
	"strings"
	"sync"
	"time"

	"mtlsplan/internal/pki"
)

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
	Number    string // serial of the issuer's certificate, where this one names it, "" for none

	// DER is nil where the file has to be asked for it: of a user's certificate
	// with an authority identifier.
	DER []byte

	row     int32 // in index.txt, -1 for none
	foreign bool  // see [Entry.Foreign]
}

func (e *Entry) ended(now time.Time) bool { return now.After(time.Unix(e.NotAfter, 0)) }

// Held reports whether the DER of an entry has to be at hand: that of a CA is
// asked for in every run, and without an identifier only the signature tells who
// has issued a certificate.
func (e *Entry) Held() bool { return !IsUser(e.Owner) || e.Authority == "" && e.SPKI != "" }

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
		Issuer: string(cert.RawIssuer), Authority: string(cert.AuthorityKeyId), Number: pki.NumberOfIssuer(cert),
	}
}

// share lets an entry have its texts in common with others: nearly all have the
// same issuer, and of 100,000 one copy is enough.
func (l *Ledger) share(e *Entry) {
	for _, s := range []*string{&e.Issuer, &e.Authority, &e.Number} {
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
		if e.foreign = foreign(e.Owner, e.DER); e.foreign {
			e.row = -1
			l.above = l.above || strings.HasPrefix(e.Owner, parents)
			l.issued[e.Owner] = append(l.issued[e.Owner], int32(i))
			continue
		}
		if row++; row >= len(l.rows) || l.rows[row].Serial != e.Serial {
			row = int(l.rowAt(e.Serial))
		}
		e.row = int32(row)
		l.mismatched = l.mismatched || row < 0 || l.rows[row].Owner != e.Owner
		if list := l.issued[e.Owner]; list != nil {
			l.issued[e.Owner] = append(list, int32(i))
		} else {
			l.issued[e.Owner] = arena[i : i+1 : i+1]
		}
	}
}
