package ledger

import "strings"

// Unissued are the rows of ours of whose certificate issued.pem knows nothing, by serial:
// index.txt is from another state of the database than issued.pem. What `openssl ca` has
// issued, and what only a CRL told of, is not ours.
func (l *Ledger) Unissued() []string {
	issued := make(map[string]bool, len(l.entries))
	for i := range l.entries {
		issued[l.entries[i].Serial] = true
	}
	var out []string
	for i := range l.rows {
		if r := &l.rows[i]; (IsUser(r.Owner) || strings.HasPrefix(r.Owner, "ca.")) && !issued[r.Serial] {
			out = append(out, r.Serial)
		}
	}
	return out
}

// Unlisted are the entries of issued.pem whose serials index.txt lacks.
func (l *Ledger) Unlisted() []*Entry {
	var out []*Entry
	for i := range l.entries {
		if e := &l.entries[i]; !e.foreign && e.SPKI != "" && l.rowOf(e) == nil {
			out = append(out, e)
		}
	}
	return out
}
