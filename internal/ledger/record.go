package ledger

import (
	"bytes"
	"encoding/pem"
	"fmt"
)

// Record is one entry of issued.pem: a certificate that was issued or adopted,
// and its owner.
type Record struct {
	Owner string
	DER   []byte
}

const pemType = "CERTIFICATE"

// FormatRecord writes one entry: a line with the owner, then the PEM, which
// every reader of PEM finds behind it.
func FormatRecord(e Record) []byte {
	return append([]byte(e.Owner+"\n"), pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: e.DER})...)
}

var (
	begin = []byte("-----BEGIN " + pemType + "-----") // git may have put a carriage return behind it
	end   = []byte("-----END " + pemType + "-----")   // and an editor may have taken the last line end away
)

// ParseRecords reads issued.pem, as [EachRecord] does.
func ParseRecords(data []byte) (entries []Record, whole int64, err error) {
	whole, err = EachRecord(data, func(e Record, _, _ int64) { entries = append(entries, e) })
	if err != nil {
		return nil, 0, err
	}
	return entries, whole, nil
}

// EachRecord calls f for each entry of issued.pem, with the part of data in which
// it stands. whole is the length of what could be read: an append that was cut
// short leaves a torn last entry behind it, which belongs to a batch that never
// became visible. Damage anywhere else is an error.
func EachRecord(data []byte, f func(e Record, at, size int64)) (whole int64, err error) {
	rest := data
	for len(rest) > 0 {
		stop := bytes.Index(rest, end)
		if stop < 0 {
			break
		}
		stop += len(end)
		if bytes.HasPrefix(rest[stop:], []byte("\r\n")) {
			stop++
		}
		if stop < len(rest) && rest[stop] == '\n' {
			stop++
		}
		entry := rest[:stop]
		start := bytes.Index(entry, begin)
		if start < 0 {
			return 0, damaged(whole)
		}
		owner := bytes.Trim(unmarked(entry[:start]), "\r\n")
		block, _ := pem.Decode(entry[start:])
		if block == nil || len(owner) == 0 || bytes.ContainsFunc(owner, func(r rune) bool { return r <= ' ' }) {
			return 0, damaged(whole)
		}
		f(Record{Owner: string(owner), DER: block.Bytes}, whole, int64(len(entry)))
		whole += int64(len(entry))
		rest = rest[len(entry):]
	}
	return whole, nil
}

func damaged(at int64) error {
	return fmt.Errorf("the entry at byte %d is not an owner's line followed by a certificate", at)
}
