package ledger

import (
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"

	"mtlsplan/internal/pki"
)

// Change is one thing that happens to a ledger.
type Change interface{ apply(*Ledger) }

// Issue records a certificate. An adopted one may have a serial that another has
// too: then they share a row, which lasts as long as either.
type Issue struct {
	Owner string
	Cert  *x509.Certificate
}

// Restore records a certificate of issued.pem that index.txt lacks: another program
// has written an older copy of it.
type Restore struct {
	Owner string
	Cert  *x509.Certificate
}

// Revoke revokes a serial. The first revocation stands for ever; only a reason
// that was missing is filled in.
type Revoke struct {
	Serial string
	When   time.Time
	Reason string // RFC 5280 name, "" for unspecified

	// Owner and NotAfter are for a serial without a row, which gets one.
	Owner    string
	NotAfter time.Time
}

// PassNumber makes the next CRL's number higher than one that was used.
type PassNumber struct{ Used *big.Int }

// Render records what was written to a path.
type Render struct {
	Path string
	Sum  Sum
}

// With is the ledger as it would be after some changes. The ledger itself stays
// as it is.
func (l *Ledger) With(changes ...Change) *Ledger {
	if len(changes) == 0 {
		return l
	}
	c := *l
	c.rows, c.entries = slices.Clone(l.rows), slices.Clone(l.entries)
	c.bySerial, c.byOwner, c.issued = maps.Clone(l.bySerial), maps.Clone(l.byOwner), maps.Clone(l.issued)
	// Lists share one array with others: an append must not write into it.
	for _, lists := range []map[string][]int32{c.byOwner, c.issued} {
		for owner, list := range lists {
			lists[owner] = slices.Clip(list)
		}
	}
	c.rendered, c.texts = maps.Clone(l.rendered), maps.Clone(l.texts)
	c.pending = pending{}
	for _, change := range changes {
		change.apply(&c)
	}
	return &c
}

func (c Issue) apply(l *Ledger) {
	other := foreign(c.Owner, c.Cert.Raw)
	if !other {
		l.addCertificate(c.Owner, c.Cert)
	}
	text := FormatRecord(Record{Owner: c.Owner, DER: c.Cert.Raw})
	l.pending.issued = append(l.pending.issued, text...)
	l.issued[c.Owner] = append(l.issued[c.Owner], int32(len(l.entries)))
	e := entryOf(c.Owner, c.Cert, l.disk.issuedEnd, int64(len(text)))
	if e.row, e.foreign = l.rowAt(e.Serial), other; other {
		e.row = -1
		l.above = l.above || strings.HasPrefix(c.Owner, parents)
	} else if e.row >= 0 {
		e.Serial = l.rows[e.row].Serial
	}
	l.share(&e)
	e.DER = c.Cert.Raw
	l.disk.issuedEnd += int64(len(text))
	l.entries = append(l.entries, e)
}

func (c Restore) apply(l *Ledger) { l.addCertificate(c.Owner, c.Cert) }

func (l *Ledger) addCertificate(owner string, cert *x509.Certificate) {
	serial := pki.SerialHex(cert.SerialNumber)
	i, shared := l.bySerial[serial]
	if !shared {
		l.addRow(Row{State: Valid, NotAfter: cert.NotAfter.UTC(), Serial: serial, Owner: owner, Subject: pki.NameOneLine(cert.RawSubject)})
		return
	}
	r := &l.rows[i]
	if unowned(r) && r.Subject == pki.NameOneLine(cert.RawSubject) {
		l.giveRow(i, owner)
	}
	if !slices.Contains(r.Owners(), owner) { // it may have lost its entry in issued.pem
		r.Owner += "," + owner
		l.byOwner[owner] = append(l.byOwner[owner], i)
	}
	if cert.NotAfter.After(r.NotAfter) {
		r.NotAfter = cert.NotAfter.UTC()
	}
	l.pending.rewrite = true
}

// unowned reports whether none of the owners of a row is one of ours: others write "unknown"
// or the name of a file there, and OpenSSL never reads it.
func unowned(r *Row) bool {
	return !slices.ContainsFunc(r.Owners(), func(o string) bool {
		return IsUser(o) || strings.HasPrefix(o, "ca.") || strings.HasPrefix(o, unlisted)
	})
}

// giveRow gives a row to one owner alone.
func (l *Ledger) giveRow(i int32, owner string) {
	r := &l.rows[i]
	for _, o := range r.Owners() {
		l.byOwner[o] = slices.DeleteFunc(slices.Clone(l.byOwner[o]), func(k int32) bool { return k == i })
		if len(l.byOwner[o]) == 0 {
			delete(l.byOwner, o)
		}
	}
	r.Owner, l.byOwner[owner] = owner, append(l.byOwner[owner], i)
}

func (l *Ledger) addRow(r Row) {
	l.pending.lines = append(l.pending.lines, FormatIndex([]Row{r})...)
	l.bySerial[r.Serial] = int32(len(l.rows))
	for _, owner := range r.Owners() {
		l.byOwner[owner] = append(l.byOwner[owner], int32(len(l.rows)))
	}
	l.rows = append(l.rows, r)
}

func (c Revoke) apply(l *Ledger) {
	if l.Row(c.Serial) == nil {
		l.addRow(Row{State: Valid, NotAfter: c.NotAfter.UTC(), Serial: c.Serial, Owner: c.Owner, Subject: "/CN=unknown"})
	}
	r := l.Row(c.Serial)
	if r.State == Revoked {
		if r.Reason == "" {
			r.Reason = c.Reason // index.txt has no word for every reason; the CRL has
		}
		return
	}
	r.State, r.Revoked, r.Reason = Revoked, c.When, c.Reason
	l.pending.sharedRevoked = l.pending.sharedRevoked || strings.Contains(r.Owner, ",")
	l.pending.rewrite = true
}

func (c PassNumber) apply(l *Ledger) {
	l.numberLost = false
	if l.number.Cmp(c.Used) <= 0 {
		l.number, l.pending.number = new(big.Int).Add(c.Used, big.NewInt(1)), true
	}
}

func (c Render) apply(l *Ledger) {
	if have, ok := l.rendered[c.Path]; ok && have == c.Sum {
		return
	}
	l.rendered[c.Path], l.pending.rendered = c.Sum, true
}

// parseRendered reads the lines of db/rendered, which `sha256sum -c` reads too:
// the checksum, two blanks, and the path relative to the output directory. A line
// that cannot be read is no record: no revocation waits for it.
func parseRendered(data []byte) map[string]Sum {
	out := map[string]Sum{}
	for line := range strings.Lines(string(unmarked(data))) {
		text, path, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		sum, err := hex.DecodeString(text)
		if ok && err == nil && len(sum) == len(Sum{}) && path != "" {
			out[path] = Sum(sum)
		}
	}
	return out
}

func formatRendered(l *Ledger) []byte {
	var b []byte
	for _, path := range l.RenderedPaths() {
		b = fmt.Appendf(b, "%x  %s\n", l.rendered[path], path)
	}
	return b
}
