package ledger

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"slices"
	"testing"
)

// A renaming moves rows and certificates, of shared serials too; issued.pem only grows,
// and tells the new name to whoever reads it, whatever index.txt says.
func TestRename(t *testing.T) {
	m := newMaker(t, "ca")
	ada, again, eve, twin := m.user("ada", 2), m.user("ada", 3), m.user("eve", 4), m.user("bob", 3)
	f := files{}
	w := NewWriter(f.parse(t))
	for _, c := range []struct {
		owner string
		cert  *x509.Certificate
	}{{"ca.m", m.ca}, {"user.ada", ada}, {"user.ada", again}, {"user.bob", twin}, {"user.eve", eve}} {
		w.Record(Issue{Owner: c.owner, Cert: c.cert})
	}
	w.Flush(f)
	index, issued := slices.Clone(f[IndexName]), slices.Clone(f[IssuedName])

	rename := func(w *Writer, from, to string) {
		var certs [][]byte
		for _, e := range w.Ledger().CertificatesOf(from) {
			certs = append(certs, e.DER)
		}
		w.Record(Rename{From: from, To: to, Certs: certs})
		w.Flush(f)
	}
	check := func(what string, l *Ledger, owner string) {
		t.Helper()
		have := fmt.Sprint(l.Knows("user.ada"), l.Row("02").Owner, l.Row("03").Owner, l.Row("04").Owner, l.IssuedTo(owner).Len(), l.IssuedTo("user.bob").Len(), len(l.Lost()), len(l.Valid(owner, now)))
		if want := fmt.Sprint(false, owner, owner+",user.bob", "user.eve", 2, 1, 0, 2); have != want {
			t.Errorf("%s: %s, want %s", what, have, want)
		}
		if holder := l.Holder("03", sha256.Sum256(again.Raw)); holder != owner {
			t.Errorf("%s: %s has the certificate", what, holder)
		}
	}
	w = NewWriter(holding(t, f))
	rename(w, "user.ada", "user.ada:laptop")
	check("in memory", w.Ledger(), "user.ada:laptop")
	check("read", f.parse(t), "user.ada:laptop")
	if !bytes.HasPrefix(f[IssuedName], issued) {
		t.Error("issued.pem has not only grown")
	}

	w = NewWriter(holding(t, f))
	rename(w, "user.ada:laptop", "user.lovelace")
	check("renamed twice", f.parse(t), "user.lovelace")
	recalled, err := Parse(Files{Index: Text{Data: index}, Number: Text{Data: f[NumberName]}, Recalled: f.parse(t).All(), Size: int64(len(f[IssuedName]))})
	if err != nil {
		t.Fatal(err)
	}
	check("an older index, entries from the cache", recalled, "user.lovelace")
	f[IndexName] = index
	check("an older index", f.parse(t), "user.lovelace")
	w = NewWriter(f.parse(t))
	w.Flush(f)
	if rows, err := ParseIndex(f[IndexName]); err != nil || rows[1].Owner != "user.lovelace" {
		t.Errorf("the next batch writes %+v, %v", rows, err)
	}
}

// holding is the ledger of files with the DER of every entry.
func holding(t *testing.T, f files) *Ledger {
	t.Helper()
	l, err := Parse(Files{Index: Text{Data: f[IndexName]}, Number: Text{Data: f[NumberName]}, Attr: Text{Data: f[AttrName]}, Issued: f[IssuedName], Hold: true})
	if err != nil {
		t.Fatal(err)
	}
	return l
}
