package policy

import (
	"slices"
	"testing"
	"time"

	"mtlsplan/internal/plan"
)

// TestPoliciesSayWhatHolds: explain says of each policy that finds nothing what is so.
func TestPoliciesSayWhatHolds(t *testing.T) {
	check := func(table string, rows map[string]plan.Code, code plan.Code, holds string) {
		t.Helper()
		if _, twice := rows[holds]; holds == "" || twice {
			t.Errorf("%s: the row of %s says %q", table, code, holds)
		}
		rows[holds] = code
	}
	users, cas := map[string]plan.Code{}, map[string]plan.Code{}
	for _, p := range userPolicies {
		check("userPolicies", users, p.code, p.holds)
	}
	for _, p := range caPolicies {
		check("caPolicies", cas, p.code, p.holds)
	}
	for _, p := range keylessPolicies {
		if users[p.holds] != p.code {
			t.Errorf("keylessPolicies: the row of %s says %q", p.code, p.holds)
		}
	}
	for _, p := range lostKeyPolicies {
		if cas[p.holds] != p.code {
			t.Errorf("lostKeyPolicies: the row of %s says %q", p.code, p.holds)
		}
	}
}

// TestExplainAsksTheSameRows: the answers are those of the rows that are about what a user
// has, and what they find is what the plan has.
func TestExplainAsksTheSameRows(t *testing.T) {
	w := newWorld(t, "ann", "bob")
	w.now = w.now.Add(360 * dayLong)
	w.ask.Explain = "user.ann"
	v := Judge(Question{Config: w.cfg, Have: w.have, Ledger: w.ledger, Now: w.now, Ask: w.ask})
	rows := slices.DeleteFunc(slices.Clone(userPolicies), func(p policy[*userView]) bool { return audience{}.pointless(p.code, p.check, p.holds) })
	if len(v.Answers) != len(rows) || len(rows) != len(userPolicies)-1 {
		t.Fatalf("%d answers of %d policies, %d of all users", len(v.Answers), len(userPolicies), len(rows))
	}
	found := 0
	for i, a := range v.Answers {
		if p := rows[i]; a.Code != p.code || a.Check != p.check || a.Holds != p.holds {
			t.Errorf("answer %d is %+v", i, a)
		}
		found += len(a.Reasons)
	}
	for _, s := range v.Plan.Steps {
		if s.Owner == "user.ann" && len(s.Reasons) != found {
			t.Errorf("the step has %d reasons, and the answers %d", len(s.Reasons), found)
		}
	}
	if found == 0 {
		t.Error("nobody finds that the certificate has ended")
	}
}

// TestCutCertificateIsRenewedWithTheCA: a certificate that ends with the CA's is renewed
// when that is, and not at its own time.
func TestCutCertificateIsRenewedWithTheCA(t *testing.T) {
	w := newWorld(t, "ann")
	end := w.ca.NotAfter
	w.now = end.Add(-400 * dayLong) // the CA is renewed 365 days before its end
	w.cfg.Users[0].Validity, w.cfg.Users[0].RenewBefore, w.cfg.Users[0].RenewSpread = 500*dayLong, 450*dayLong, 0
	q := Question{Config: w.cfg, Have: w.have, Ledger: w.ledger, Now: w.now, Ask: w.ask}
	_, o := Survey(q)
	var renewals []time.Time
	for _, e := range o.Events(end) {
		if e.Owner == "user.ann" && e.Event == plan.EventRenewal {
			renewals = append(renewals, e.At)
		}
	}
	reissue := end.Add(-w.cfg.CA.RenewBefore)
	if len(renewals) < 2 || !renewals[0].Equal(w.now) || !renewals[1].Equal(reissue) {
		t.Errorf("renewals at %v: not now and at %s", renewals, reissue)
	}
}
