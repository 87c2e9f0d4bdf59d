package ledger

import "fmt"

// Shared are the files that `openssl ca` writes too, without a lock, each with what
// brings both versions together: nothing that was issued and nothing that was revoked
// is lost. Nothing is to be merged of index.txt.attr, and issued.pem nobody else has any
// business to write.
func Shared() map[string]func(theirs, ours []byte) ([]byte, error) {
	return map[string]func(theirs, ours []byte) ([]byte, error){IndexName: mergeIndex, NumberName: mergeNumber, AttrName: nil, IssuedName: nil}
}

// mergeIndex keeps the rows of both, theirs first. A serial that is revoked in either
// is revoked, for the graver reason. Owners are ours: OpenSSL writes none.
func mergeIndex(theirs, ours []byte) ([]byte, error) {
	out, err := ParseIndex(theirs)
	if err != nil {
		return nil, fmt.Errorf("another program has written it: %w", err)
	}
	mine, err := ParseIndex(ours)
	if err != nil {
		return nil, err
	}
	at := make(map[string]int, len(out))
	for i := range out {
		at[out[i].Serial] = i
	}
	for _, r := range mine {
		i, both := at[r.Serial]
		if !both {
			out = append(out, r)
			continue
		}
		have := &out[i]
		if r.State == Revoked {
			have.revokedToo(r)
		}
		have.Owner = r.Owner
		if r.NotAfter.After(have.NotAfter) {
			have.NotAfter = r.NotAfter
		}
	}
	return FormatIndex(out), nil
}

// revokedToo takes over the revocation of another row of the same serial: the earlier
// date, and the graver reason.
func (r *Row) revokedToo(other Row) {
	if r.State != Revoked {
		r.State, r.Revoked, r.Reason, r.Written = Revoked, other.Revoked, other.Reason, other.Written
		return
	}
	if other.Revoked.Before(r.Revoked) {
		r.Revoked = other.Revoked
	}
	if reason := Graver(r.Reason, other.Reason); reason != r.Reason {
		r.Reason, r.Written = other.Reason, other.Written
	}
}

// mergeNumber keeps the higher number: numbers must not fall (RFC 5280 section 5.2.3).
func mergeNumber(theirs, ours []byte) ([]byte, error) {
	a, err := ParseNumber(theirs)
	if err != nil {
		return nil, fmt.Errorf("another program has written it: %w", err)
	}
	b, err := ParseNumber(ours)
	if err != nil {
		return nil, err
	}
	if a.Cmp(b) < 0 {
		return ours, nil
	}
	return theirs, nil
}
