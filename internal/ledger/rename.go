package ledger

import (
	"cmp"
	"slices"
	"strings"
)

// Rename gives what was issued to one owner to another, who is the same user under
// another name. The rows change; in issued.pem, which only grows, the certificates
// stand once more, behind the new name: the last entry of a certificate counts.
type Rename struct {
	From, To string

	// Certs are the DER of what was issued to From, in the order of [Ledger.CertificatesOf].
	Certs [][]byte
}

// Knows reports whether there is a row or a certificate of an owner.
func (l *Ledger) Knows(owner string) bool {
	return len(l.byOwner[owner]) > 0 || len(l.issued[owner]) > 0
}

// CertificatesOf are the entries of an owner, oldest first.
func (l *Ledger) CertificatesOf(owner string) []*Entry {
	var out []*Entry
	for _, i := range l.issued[owner] {
		out = append(out, &l.entries[i])
	}
	return out
}

func (c Rename) apply(l *Ledger) {
	for _, i := range l.byOwner[c.From] {
		r := &l.rows[i]
		r.Owner = replaced(r.Owner, c.From, c.To)
	}
	if rows := l.byOwner[c.From]; len(rows) > 0 {
		all := slices.Concat(l.byOwner[c.To], rows)
		slices.Sort(all)
		l.byOwner[c.To] = slices.Compact(all)
		delete(l.byOwner, c.From)
		l.pending.rewrite = true
	}
	list := l.issued[c.From]
	for k, i := range list {
		text := FormatRecord(Record{Owner: c.To, DER: c.Certs[k]})
		l.pending.issued = append(l.pending.issued, text...)
		l.disk.issuedEnd += int64(len(text))
		l.entries[i].Owner = c.To // the DER still stands where it stood
	}
	if len(list) > 0 {
		l.issued[c.To] = slices.Concat(l.issued[c.To], list)
		delete(l.issued, c.From)
	}
}

// replaced is a list of owners, with commas between, in which one has another name.
func replaced(owners, from, to string) string {
	list := strings.Split(owners, ",")
	for i := range list {
		if list[i] == from {
			list[i] = to
		}
	}
	var out []string
	for _, o := range list {
		if !slices.Contains(out, o) {
			out = append(out, o)
		}
	}
	return strings.Join(out, ",")
}

// All are all entries of issued.pem, also those of former names, in its order. They must
// not be changed.
func (l *Ledger) All() []Entry {
	if len(l.former) == 0 {
		return l.entries
	}
	all := slices.Concat(l.entries, l.former)
	slices.SortFunc(all, func(a, b Entry) int { return cmp.Compare(a.At, b.At) })
	return all
}

// dropRenamed drops the entries of whose certificate there is a later one: the owner was
// renamed. Whoever has written index.txt since from an older copy, the rows have the
// later name.
func (l *Ledger) dropRenamed() {
	// Entries are nearly always in the order of the rows: only one that steps back can
	// be the second of a serial.
	again := map[string]bool{}
	row, most := int32(-1), int32(-1)
	for i := range l.entries {
		e := &l.entries[i]
		if row++; int(row) >= len(l.rows) || l.rows[row].Serial != e.Serial {
			row = l.rowAt(e.Serial)
		}
		if row <= most && IsUser(e.Owner) {
			again[e.Serial] = true
		}
		most = max(most, row)
	}
	if len(again) == 0 {
		return
	}
	last := map[Sum]int{}
	for i := range l.entries {
		if again[l.entries[i].Serial] {
			last[l.entries[i].Sum] = i
		}
	}
	kept, renamed := l.entries[:0:0], false
	for i := range l.entries {
		e := l.entries[i]
		if k, twice := last[e.Sum]; twice && again[e.Serial] && k != i {
			if r := l.Row(e.Serial); r != nil && slices.Contains(r.Owners(), e.Owner) && e.Owner != l.entries[k].Owner {
				r.Owner, renamed = replaced(r.Owner, e.Owner, l.entries[k].Owner), true
			}
			l.former = append(l.former, e)
			continue
		}
		kept = append(kept, e)
	}
	l.entries = kept
	if renamed {
		l.setRows(l.rows)
		l.pending.rewrite = true
	}
}
