package ledger

import (
	"bytes"
	"cmp"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"
)

// State is the first column of index.txt.
type State byte

const (
	Valid   State = 'V'
	Revoked State = 'R'
	Expired State = 'E' // only OpenSSL's own commands write it; it reads as Valid and past its end
)

// Row is one line of index.txt: one serial.
type Row struct {
	State    State
	NotAfter time.Time
	Revoked  time.Time // zero unless State is Revoked
	Reason   string    // RFC 5280 name; "" for unspecified
	Written  string    // the reason as OpenSSL wrote it, where it says more: "keyTime,20260301120000Z"
	Serial   string    // upper-case hex in whole bytes
	Owner    string    // in the file-name column, which OpenSSL never reads
	Subject  string    // as X509_NAME_oneline prints it
}

// Owners are whose a serial is: more than one only where an adopted CA has used
// it more than once.
func (r Row) Owners() []string {
	if strings.IndexByte(r.Owner, ',') < 0 {
		return []string{r.Owner}
	}
	return strings.Split(r.Owner, ",")
}

func (r *Row) valid(now time.Time) bool { return r.State != Revoked && now.Before(r.NotAfter) }

// endsKey reports whether a certificate was revoked for a reason that lies with its
// holder or its key: neither for having been renewed, nor for what befell its CA.
func (r *Row) endsKey() bool {
	return r.State == Revoked && r.Reason != Superseded && r.Reason != CACompromise
}

// Graver is the graver of two reasons: a compromised key must not be forgotten for a
// reason that was found later.
func Graver(a, b string) string {
	weight := func(reason string) int {
		return slices.Index([]string{"", Superseded, "unspecified"}, reason) // -1 for any other
	}
	switch {
	case a == KeyCompromise || b == KeyCompromise:
		return KeyCompromise
	case weight(a) < 0:
		return a
	case weight(b) < 0 || weight(b) > weight(a):
		return b
	}
	return a
}

// Attributes is the content of index.txt.attr: the same subject may have
// several valid certificates, as it has around every renewal.
const Attributes = "unique_subject = no\n"

// ParseIndex reads index.txt. The error names the line.
func ParseIndex(data []byte) ([]Row, error) {
	rows := make([]Row, 0, bytes.Count(data, []byte("\n"))+1)
	n := 0
	for line := range strings.Lines(string(unmarked(data))) { // one string, of which every column is a part
		n++
		text := strings.TrimRight(line, "\r\n")
		if text == "" {
			continue
		}
		row, err := parseRow(text)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func parseRow(text string) (Row, error) {
	var col [6]string
	if n := strings.Count(text, "\t") + 1; n != len(col) {
		return Row{}, fmt.Errorf("has %d columns where index.txt has 6", n)
	}
	for i := range col {
		col[i], text, _ = strings.Cut(text, "\t")
	}
	row := Row{Serial: strings.ToUpper(col[3]), Owner: col[4], Subject: col[5]}
	if len(col[0]) != 1 || !strings.Contains("VRE", col[0]) {
		return Row{}, fmt.Errorf("state %q is none of V, R and E", col[0])
	}
	row.State = State(col[0][0])
	if row.Serial == "" || strings.Trim(row.Serial, hexDigits) != "" || len(row.Serial)%2 != 0 {
		return Row{}, fmt.Errorf("serial %q is not hexadecimal in whole bytes", col[3])
	}
	var err error
	if row.NotAfter, err = parseTime(col[1]); err != nil {
		return Row{}, err
	}
	if row.State == Revoked {
		when, reason, _ := strings.Cut(col[2], ",")
		if row.Revoked, err = parseTime(when); err != nil {
			return Row{}, err
		}
		// holdInstruction, keyTime and CAkeyTime carry a second value.
		var more bool
		if row.Reason, _, more = strings.Cut(reason, ","); more {
			row.Written = reason
		}
		if name, ok := opensslReasons[row.Reason]; ok {
			row.Reason = name
		}
	}
	return row, nil
}

const hexDigits = "0123456789ABCDEF"

// opensslReasons are the reasons that `openssl ca` writes with an extra value
// under another name.
var opensslReasons = map[string]string{
	"holdInstruction": "certificateHold",
	"keyTime":         "keyCompromise",
	"CAkeyTime":       "cACompromise",
	"CACompromise":    "cACompromise",
	"unspecified":     "",
}

// parseTime reads ASN.1 UTCTime and GeneralizedTime as OpenSSL writes them.
func parseTime(s string) (time.Time, error) {
	if t, ok := plainTime(s); ok {
		return t, nil
	}
	layout := "060102150405Z"
	if len(s) == len("20060102150405Z") {
		layout = "20060102150405Z"
	}
	t, err := time.Parse(layout, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("time %q is neither YYMMDDHHMMSSZ nor YYYYMMDDHHMMSSZ", s)
	}
	// RFC 5280 section 4.1.2.5.1: YY from 50 on is 19YY; Go's pivot is 69.
	if layout == "060102150405Z" && t.Year() >= 2050 {
		t = t.AddDate(-100, 0, 0)
	}
	return t, nil
}

// plainTime reads a UTCTime of this century that every month has; all else is for
// the library, which takes ten times as long.
func plainTime(s string) (t time.Time, ok bool) {
	if len(s) != len("060102150405Z") || s[12] != 'Z' {
		return t, false
	}
	var n [6]int
	for i := range n {
		a, b := s[2*i]-'0', s[2*i+1]-'0'
		if a > 9 || b > 9 {
			return t, false
		}
		n[i] = int(a)*10 + int(b)
	}
	if n[0] >= 50 || n[1] < 1 || n[1] > 12 || n[2] < 1 || n[2] > 28 || n[3] > 23 || n[4] > 59 || n[5] > 59 {
		return t, false
	}
	return time.Date(2000+n[0], time.Month(n[1]), n[2], n[3], n[4], n[5], 0, time.UTC), true
}

func formatTime(t time.Time) string {
	t = t.UTC()
	if t.Year() >= 1950 && t.Year() < 2050 {
		return t.Format("060102150405Z")
	}
	return t.Format("20060102150405Z")
}

// FormatIndex writes rows as index.txt has them.
func FormatIndex(rows []Row) []byte {
	const dates = 64 // two of them, a reason and the tabs
	size := 0
	for i := range rows {
		size += dates + len(rows[i].Serial) + len(rows[i].Owner) + len(rows[i].Subject)
	}
	b := make([]byte, 0, size)
	for i := range rows {
		r := &rows[i]
		revoked := ""
		if r.State == Revoked {
			revoked = formatTime(r.Revoked)
			if reason := cmp.Or(r.Written, toOpenSSL(r.Reason)); reason != "" {
				revoked += "," + reason
			}
		}
		b = fmt.Appendf(b, "%c\t%s\t%s\t%s\t%s\t%s\n", r.State, formatTime(r.NotAfter), revoked, r.Serial, r.Owner, r.Subject)
	}
	return b
}

// toOpenSSL gives the name by which OpenSSL knows a reason: none for what its
// `ca` command would not read.
func toOpenSSL(reason string) string {
	switch reason {
	case "cACompromise":
		return "CACompromise"
	case "privilegeWithdrawn", "aACompromise", "unspecified":
		return ""
	}
	return reason
}

// ParseNumber reads crlnumber: the number that the next CRL will have.
func ParseNumber(data []byte) (*big.Int, error) {
	text := strings.TrimSpace(string(unmarked(data)))
	n, ok := new(big.Int).SetString(text, 16)
	if !ok || strings.Trim(strings.ToUpper(text), hexDigits) != "" || n.BitLen() > 159 {
		return nil, fmt.Errorf("%q is no CRL number in hexadecimal", text)
	}
	return n, nil
}

// FormatNumber writes crlnumber as OpenSSL reads it: whole bytes.
func FormatNumber(n *big.Int) []byte {
	text := fmt.Sprintf("%X", n)
	if len(text)%2 != 0 {
		text = "0" + text
	}
	return []byte(text + "\n")
}
