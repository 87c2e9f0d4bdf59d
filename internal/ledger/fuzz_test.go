package ledger

import (
	"bytes"
	"strings"
	"testing"
)

func FuzzParseNumber(f *testing.F) {
	for _, s := range []string{"01\n", "", "-1\n", "1000", "0x10", "1_0", strings.Repeat("F", 40), strings.Repeat("F", 41), "é"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := ParseNumber(data)
		if err != nil {
			return
		}
		if again, err := ParseNumber(FormatNumber(n)); err != nil || again.Cmp(n) != 0 || n.Sign() < 0 || len(n.Bytes()) > 20 {
			t.Errorf("%q is %v, then %v, %v", data, n, again, err)
		}
	})
}

// FuzzIndexStaysAsItIs: what could be read is written as OpenSSL reads it, six
// columns a line, and says the same.
func FuzzIndexStaysAsItIs(f *testing.F) {
	f.Add(FormatIndex(sample))
	f.Add([]byte("R\t271123010203Z\t260203010203Z,keyTime,20260301120000Z\t0a\tuser.a,user.b\t/CN=a\\x09b\r\n\n"))
	f.Add([]byte("V\t491231235959Z\t\t00FF\tunknown\t/CN==cmd|'/C calc'!A0\nE\t500101000000Z\t\t7F\t\t\n"))
	f.Add([]byte("V\t12050101010203Z\t\t0B\tuser.bob\t/CN=bob\n"))
	f.Add([]byte("V\t20500101000000Z\tx\t+1\t\x1b[31m\t\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		rows, err := ParseIndex(data)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x1b\x00") {
				t.Errorf("an error that steers a terminal: %q", err)
			}
			return
		}
		text := FormatIndex(rows)
		for line := range bytes.Lines(text) {
			if bytes.Count(line, []byte("\t")) != 5 {
				t.Errorf("%q is written as %q", data, line)
			}
		}
		again, err := ParseIndex(text)
		if err != nil || len(again) != len(rows) {
			t.Fatalf("%q is written as %q: %v", data, text, err)
		}
		for i, r := range rows {
			if !again[i].NotAfter.Equal(r.NotAfter) || again[i].Serial != r.Serial || again[i].Owner != r.Owner || again[i].State != r.State || !again[i].Revoked.Equal(r.Revoked) || again[i].Reason != r.Reason {
				t.Errorf("%+v becomes %+v", r, again[i])
			}
			if strings.Trim(r.Serial, "0123456789ABCDEF") != "" {
				t.Errorf("serial %q", r.Serial)
			}
		}
	})
}

// FuzzIssuedStaysWhole: an append behind what could be read is read back.
func FuzzIssuedStaysWhole(f *testing.F) {
	entry := FormatRecord(Record{"user.u", []byte("x")})
	f.Add(entry)
	f.Add(append(bytes.Clone(entry), "user.v\n-----BEGIN CERTIFICATE-----\nAA"...))
	f.Add([]byte("user.\x1b[31m\n\n-----BEGIN CERTIFICATE-----\nA: b\n\nAAAA\n-----END CERTIFICATE-----"))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, whole, err := ParseRecords(data)
		if err != nil {
			return
		}
		if whole < 0 || whole > int64(len(data)) {
			t.Fatal(whole)
		}
		more := append(bytes.Clone(data[:whole]), entry...)
		after, end, err := ParseRecords(more)
		if err != nil || len(after) != len(entries)+1 || end != int64(len(more)) || after[len(entries)].Owner != "user.u" {
			t.Errorf("%q: %d entries, then %d, %v", data, len(entries), len(after), err)
		}
	})
}
