package ledger

import (
	"maps"
	"slices"
	"time"
)

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
		case r.endsKey():
			return nil
		case r.State != Revoked && !e.ended(now):
			found = e
		}
	}
	return found
}

// Last is the certificate most lately issued, nil when there is none.
func (o Issued) Last() *Entry {
	if len(o.list) == 0 {
		return nil
	}
	return &o.l.entries[o.list[len(o.list)-1]]
}

// GivenUp reports whether a certificate for the key was revoked for more than
// having been renewed: such a key is not certified again.
func (o Issued) GivenUp(spki string) bool {
	for e := range o.For(spki) {
		if r := o.l.rowOf(e); r != nil && r.endsKey() {
			return true
		}
	}
	return false
}

// Under are the serials of the owner's certificates for any of some keys.
func (o Issued) Under(keys map[string]bool) map[string]bool {
	out := map[string]bool{}
	for _, i := range o.list {
		if e := &o.l.entries[i]; keys[e.SPKI] {
			out[e.Serial] = true
		}
	}
	return out
}

// KeysOf are the keys of the certificates whose rows f picks.
func (l *Ledger) KeysOf(f func(*Row) bool) map[string]bool {
	serials := map[string]bool{}
	for i := range l.rows {
		if f(&l.rows[i]) {
			serials[l.rows[i].Serial] = true
		}
	}
	keys := map[string]bool{}
	for i := range l.entries {
		if e := &l.entries[i]; len(serials) > 0 && serials[e.Serial] && e.SPKI != "" && IsUser(e.Owner) {
			keys[e.SPKI] = true
		}
	}
	return keys
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
	switch {
	case e.foreign:
		return nil
	case e.row < 0:
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
