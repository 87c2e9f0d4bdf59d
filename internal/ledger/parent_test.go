package ledger

import (
	"crypto/x509"
	"slices"
	"testing"
)

// TestForeign: the certificates of a CA that another has signed, and of those above
// it, are on record and have no row, so that a user may have their serials.
func TestForeign(t *testing.T) {
	root := newMaker(t, "Root")
	dept := &maker{t: t}
	dept.key, dept.ca = root.sign(root.ca, "Dept", 2, now.AddDate(5, 0, 0))
	a, b := dept.user("a", 2), dept.user("b", 3)
	f := files{}
	w := NewWriter(f.parse(t))
	w.Record(Issue{"ca.m", dept.ca}, Issue{"parent.m", root.ca})
	w.Flush(f)
	if text, ok := f[IndexName]; !ok || len(text) > 0 {
		t.Errorf("index.txt is there: %v, and holds %q", ok, text)
	}
	w.Record(Issue{"user.a", a}, Issue{"user.b", b})
	w.Flush(f)
	w.Settle()
	for name, l := range map[string]*Ledger{"as written": w.Ledger(), "as read": f.parse(t), "as judged": f.parse(t).With(Revoke{Serial: "FF", Owner: "unknown.G1", When: now, NotAfter: now})} {
		if r := l.Row("02"); r == nil || r.Owner != "user.a" {
			t.Errorf("%s: the row of serial 02 is %+v", name, r)
		}
		if lost := l.Lost(); len(lost) > 0 {
			t.Errorf("%s: %s counts as lost", name, lost[0].Owner)
		}
		if l.Holder("02", l.Entries()[0].Sum) != "" {
			t.Errorf("%s: the certificate of the CA counts as that of user.a", name)
		}
		gens := l.Generations("ca.m", now)
		if len(gens) != 1 || !gens[0].Whole || len(gens[0].Parents) != 1 || !gens[0].Parents[0].Equal(root.ca) || gens[0].Dependents != 2 {
			t.Errorf("%s: generations %+v", name, gens)
		}
		if file := l.TrustFile("ca.m", []*x509.Certificate{dept.ca}); len(file) != 2 || !file[1].Equal(root.ca) {
			t.Errorf("%s: the trust file has %d certificates", name, len(file))
		}
	}
	var serials []string
	for serial, fingerprint := range w.Ledger().With(Revoke{Serial: "03", When: now}).Fingerprints(now) {
		if serials = append(serials, serial); len(fingerprint) != 40 {
			t.Errorf("fingerprint %q", fingerprint)
		}
	}
	if !slices.Equal(serials, []string{"02"}) {
		t.Errorf("fingerprints of %v", serials)
	}
	if file := f.parse(t).TrustFile("ca.m", []*x509.Certificate{root.ca}); len(file) != 1 {
		t.Errorf("above a CA that signs itself stand %d", len(file)-1)
	}
}
