package ledger

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func day(y, m, d int) time.Time { return time.Date(y, time.Month(m), d, 1, 2, 3, 0, time.UTC) }

var sample = []Row{
	{State: Valid, NotAfter: day(2027, 11, 23), Serial: "0A01", Owner: "user.mmuser", Subject: "/C=US/CN=mmuser"},
	{State: Revoked, NotAfter: day(2051, 1, 1), Revoked: day(2026, 2, 3), Reason: "keyCompromise", Serial: "0B", Owner: "user.bob", Subject: "/CN=bob"},
	{State: Revoked, NotAfter: day(2027, 1, 1), Revoked: day(2026, 2, 3), Serial: "0C", Owner: "user.eve", Subject: "/CN=eve"},
}

func TestIndexRoundTrip(t *testing.T) {
	text := FormatIndex(sample)
	rows, err := ParseIndex(text)
	if err != nil || !reflect.DeepEqual(rows, sample) {
		t.Errorf("%v\nhave %+v\nwant %+v", err, rows, sample)
	}
	if again := FormatIndex(rows); !bytes.Equal(again, text) {
		t.Errorf("have %s, want %s", again, text)
	}
}

// OpenSSL itself is the judge of the format.
func TestOpenSSLReadsIndex(t *testing.T) {
	dir := t.TempDir()
	for name, data := range map[string][]byte{
		"index.txt": FormatIndex(sample), "index.txt.attr": []byte(Attributes), "crlnumber": []byte("01\n"),
		"ca.cnf": []byte("[ca]\ndefault_ca=d\n[d]\ndatabase=" + dir + "/index.txt\ncrlnumber=" + dir + "/crlnumber\ndefault_md=sha256\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for serial, want := range map[string]string{"0A01": "Valid (V)", "0B": "Revoked (R)"} {
		// OpenSSL 3.0 ends with 1 whatever the status; the words tell.
		out, err := exec.Command("openssl", "ca", "-config", filepath.Join(dir, "ca.cnf"), "-status", serial).CombinedOutput()
		if !strings.Contains(string(out), want) {
			t.Errorf("%s: %v: %s", serial, err, out)
		}
	}
}

func TestBadIndexNamesTheLine(t *testing.T) {
	good := string(FormatIndex(sample[:1]))
	for _, bad := range []string{"V\tx", "X\t271123010203Z\t\t01\tu\ts", "V\t271123\t\t01\tu\ts", "V\t271123010203Z\t\txyz\tu\ts", "R\t271123010203Z\t\t01\tu\ts"} {
		if _, err := ParseIndex([]byte(good + bad + "\n")); err == nil || !strings.HasPrefix(err.Error(), "line 2: ") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestIssued(t *testing.T) {
	a := FormatRecord(Record{"ca.m", []byte("first")})
	b := FormatRecord(Record{"user.u", []byte("second")})
	both := append(append([]byte{}, a...), b...)
	for cut := len(a); cut <= len(both); cut++ {
		entries, whole, err := ParseRecords(both[:cut])
		want, length := 1, len(a)
		if cut >= len(both)-1 { // the last line end may be missing
			want, length = 2, cut
		}
		if err != nil || len(entries) != want || whole != int64(length) {
			t.Fatalf("cut at %d: %d entries, %d bytes, %v", cut, len(entries), whole, err)
		}
	}
	if entries, _, err := ParseRecords(append(append(bytes.Clone(a[:len(a)-1]), '\n'), b...)); err != nil || len(entries) != 2 || entries[1].Owner != "user.u" {
		t.Errorf("%v, %v", entries, err)
	}
	if _, _, err := ParseRecords(append([]byte("junk\nmore\n"), a...)); err == nil {
		t.Error("damage before the last entry was read over")
	}
}

func FuzzParseIndex(f *testing.F) {
	f.Add(FormatIndex(sample))
	f.Add([]byte("V\t\t\t\t\t\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		rows, err := ParseIndex(data)
		if err != nil {
			return
		}
		if again, err := ParseIndex(FormatIndex(rows)); err != nil || len(again) != len(rows) {
			t.Errorf("%v: %q", err, data)
		}
	})
}

func FuzzParseRecords(f *testing.F) {
	f.Add(FormatRecord(Record{"user.u", []byte("x")}))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, whole, err := ParseRecords(data)
		if err == nil && whole > int64(len(data)) {
			t.Error(whole)
		}
	})
}
