package policy

import (
	"time"

	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
)

// ahead reports whether a date is further in the future than clocks may differ.
func ahead(now, date time.Time) bool { return now.Before(date.Add(-pki.Backdate)) }

// judgeClock finds that now lies before what must be past: what the directory
// records as its own past, and the release of the program. What would be issued
// would have ended, or not begun, elsewhere.
func (j *judgement) judgeClock() {
	if j.Ask.AcceptClock {
		return
	}
	late, what := j.newestPast()
	switch {
	case ahead(j.Now, late):
		j.verdict.Clock = plan.Errorf(plan.ClockBehind, "the clock says %s, but %s is dated %s: correct the clock, or say --accept-clock if that date is wrong", day(j.Now), what, day(late))
	case ahead(j.Now, j.Released):
		j.verdict.Clock = plan.Errorf(plan.ClockBehind, "the clock says %s, but this program was released on %s: set the clock, or wait until the network has set it, as a board without a battery has to; --accept-clock goes on all the same",
			day(j.Now), j.Released.UTC().Format(time.DateOnly))
	default:
		return
	}
	j.warn("", plan.ClockBehind, "%v; apply would stop here", j.verdict.Clock)
}

// newestPast is the newest date that the directory records as its own past.
func (j *judgement) newestPast() (late time.Time, what string) {
	see := func(t time.Time, name string) {
		if t.After(late) {
			late, what = t, name
		}
	}
	if c := j.Have.CA.Crt.Cert; c != nil {
		see(c.NotBefore, "the CA certificate")
	}
	if j.late.After(late) {
		see(j.late, "the certificate of "+string(j.latest))
	}
	rows := j.Ledger.Rows()
	for i := range rows {
		see(rows[i].Revoked, "a revocation")
	}
	for _, list := range j.Have.CRL.Lists {
		see(list.ThisUpdate, "the CRL")
	}
	return late, what
}
