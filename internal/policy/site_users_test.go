package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mtlsplan/internal/config"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
	"mtlsplan/render"
)

// A site knows the users of the spec by the serials that are theirs alone, that are
// not refused, and that had not ended when the CRL was made.
func TestHolders(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	row := func(serial, owner string, end time.Time) ledger.Row {
		return ledger.Row{State: ledger.Valid, NotAfter: end, Serial: serial, Owner: owner, Subject: "/CN=x"}
	}
	later := now.AddDate(1, 0, 0)
	l, err := ledger.Parse(ledger.Files{Number: ledger.Text{Missing: true}, Rendered: ledger.Text{Missing: true}, Index: ledger.Text{Data: ledger.FormatIndex([]ledger.Row{
		row("06", "user.ada", later), row("01", "user.ada", now), row("02", "user.ada", now.Add(-time.Second)),
		row("08", "user.cyd:laptop", later),
		row("03", "user.bob", later), row("04", "user.ada,user.bob", later), row("05", "user.gone", later), row("07", "ca.m", later),
	})}})
	if err != nil {
		t.Fatal(err)
	}
	cfg := &config.Config{Users: []config.User{
		{Name: "ada", Subject: pki.Subject{CommonName: "Ada", Email: "ada@example.com"}, Groups: []string{"admins"}},
		{Name: "bob", Subject: pki.Subject{CommonName: "Bob"}},
		{Name: "cyd:laptop", Device: "laptop", Subject: pki.Subject{CommonName: "cyd (laptop)"}},
	}}
	got := fmt.Sprint(holders(cfg, Public{Ledger: l, Revoked: []string{"03"}, Since: now}))
	if want := "[{01 ada  Ada ada@example.com [admins]} {06 ada  Ada ada@example.com [admins]} {08 cyd laptop cyd (laptop)  []}]"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// A site that names users is written after their certificates are issued, whatever
// --only says, and no other site is.
func TestSiteFollowsCertificates(t *testing.T) {
	for _, names := range []bool{true, false} {
		w := newWorld(t, "ann") // the inventory has whom the run is about
		w.cfg.Sites[0].Proxy.NamesUsers = func(render.Settings) bool { return names }
		w.now = w.now.Add(340 * dayLong)
		w.ask.Covers = func(o plan.Owner) bool { return o == "user.ann" }
		v := w.judge()
		var got []string
		for i, s := range v.Plan.Steps {
			got = append(got, fmt.Sprint(s.Owner, " ", s.Action, " ", v.Tasks[i].Stage()))
		}
		want := []string{"user.ann rekey 4"}
		if names {
			want = append(want, "proxy.app rebuild 5")
			if m := v.Plan.Steps[len(v.Plan.Steps)-1].Reasons[0].Message; !strings.Contains(m, "a copy made by hand") {
				t.Error(m)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("names %v: %q, want %q", names, got, want)
		}
	}
}
