package policy

import (
	"fmt"
	"slices"
	"strings"

	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/plan"
)

// departed is a user who must have no valid certificate, and who still has
// something: one who is no longer in the spec, or whom it lists as revoked.
type departed struct {
	index  int          // in the inventory
	code   plan.Code    // Removed or Revoked
	reason string       // for the CRL: a name from RFC 5280 section 5.3.1
	rows   []ledger.Row // valid and unexpired

	unrecorded bool // there are files of somebody of whom the ledger knows nothing
	lost       bool // the CA has issued the certificate in place, and the ledger does not know it
}

// findDeparted finds them in the ledger as it is with what was found. Whoever has a
// valid certificate loses it, whomever the run is about.
func (f *found) findDeparted() []departed {
	if len(f.Have.Departed) == 0 {
		return nil
	}
	listed := map[plan.Owner]string{}
	for i := range f.Config.Users {
		if u := &f.Config.Users[i]; u.Revoked != "" {
			listed[plan.User(u.Name)] = u.Revoked
		}
	}
	var out []departed
	cas := f.trust.Certificates()
	for i := range f.Have.Departed {
		have := &f.Have.Departed[i]
		d := departed{index: i, code: plan.Removed, reason: "cessationOfOperation"}
		if reason, ok := listed[have.Owner]; ok {
			d.code, d.reason = plan.Revoked, reason
		}
		d.rows = f.ledger.Valid(string(have.Owner), f.Now)
		covered := f.Ask.Covers(have.Owner)
		if c := have.Crt.Cert; covered && c != nil && have.Err == nil {
			d.lost = f.ledger.Holder(c.Serial, c.Sum) == "" && signedByAny(c, cas)
		}
		d.unrecorded = covered && len(have.Files) > 0 && f.ledger.IssuedTo(string(have.Owner)).Len() == 0 && !f.Ask.Adopt
		if len(d.rows) > 0 || covered && (len(have.Files) > 0 || have.Err != nil) {
			out = append(out, d)
		}
	}
	return out
}

func (j *judgement) judgeDeparted() {
	for i := range j.found.departed {
		d := &j.found.departed[i]
		j.judgeOneDeparted(d, &j.Have.Departed[d.index])
	}
	j.hearDeparted()
}

func (j *judgement) judgeOneDeparted(d *departed, have *facts.Departed) {
	same := j.sameName(d, have)
	switch {
	case have.Err != nil:
		j.fail(have.Owner, fallback(plan.FileError, have.Err))
		have = &facts.Departed{Owner: have.Owner} // its files stay where they are
	case len(same) > 0:
		j.add(newTask(OfDeparted, d.index, have.Owner, same))
		return
	case d.lost:
		j.add(newTask(OfDeparted, d.index, have.Owner,
			unrecorded(have.Crt.Name()+" was issued by the CA, but the CA database knows nothing of it, so that it cannot be revoked")))
		return
	case d.unrecorded:
		j.add(newTask(OfDeparted, d.index, have.Owner, refuse(plan.Unrecorded,
			"files of the user are there, of which the CA database knows nothing, so that nothing can be revoked: say --adopt to take them over, or move them away")))
		return
	}
	message := "the user is no longer in the spec"
	switch {
	case have.Owner.IsDevice():
		message = "the device is no longer in the spec"
	case j.lists(have.Owner):
		message = "the spec lists the user with devices now"
	}
	if d.code == plan.Revoked {
		message = "the spec says revoked = \"" + d.reason + "\""
	}
	if to := j.successor(have.Owner); to != "" && d.code == plan.Removed && len(d.rows) > 0 {
		message += fmt.Sprintf(" (a moved block from %q to %q would keep the certificate valid)", have.Owner, to)
	}
	f := finding{Reason: plan.Reason{Code: d.code, Message: message}, action: plan.Retire, removes: have.Files}
	// A serial that others hold too waits until they no longer need it.
	f.revokes = slices.DeleteFunc(slices.Clone(d.rows), j.needed)
	if n := len(f.revokes); n > 0 {
		f.Message += "; " + plural(n, "certificate") + " will be revoked"
		f.Field, f.Have = "serial", strings.Join(Serials(f.revokes), " ")
		if also := others(f.revokes, have.Owner); also != "" {
			f.Message += ", and with a shared serial what was issued before to " + also
		}
	}
	if len(d.rows) == 0 && len(f.removes) == 0 {
		return // a failure says why
	}
	if len(f.revokes) == 0 && len(f.removes) == 0 {
		j.warn(have.Owner, plan.SharedSerial, "shares serial %s with %s: it is revoked once they have certificates of their own, or at once with --replace",
			strings.Join(Serials(d.rows), " "), others(d.rows, have.Owner))
		j.add(nil)
		return
	}
	f.reason = d.reason
	j.audience(have.Owner).hear(d.code, plan.KeptOut, keptOut, []finding{f})
	t := newTask(OfDeparted, d.index, have.Owner, []finding{f})
	if len(d.rows) > 0 {
		j.shut[have.Owner] = true
	}
	j.add(t)
}

// needed reports whether a shared serial is still the only valid certificate of
// somebody who has not departed.
func (j *judgement) needed(r ledger.Row) bool {
	if !strings.Contains(r.Owner, ",") {
		return false
	}
	return slices.ContainsFunc(r.Owners(), func(o string) bool {
		return ledger.IsUser(o) && j.leaving[o] == "" && len(j.Ledger.Valid(o, j.Now)) == 1
	})
}

// unrecorded refuses to go on beside a certificate of ours that the ledger has
// lost: what is not recorded cannot be revoked.
func unrecorded(what string) []finding {
	return refuse(plan.Unrecorded, what+": restore a newer database, or say --adopt to take it over")
}

// lists reports whether the spec lists a person, with devices or without.
func (j *judgement) lists(person plan.Owner) bool {
	if j.persons == nil {
		j.persons = map[plan.Owner]bool{}
		for i := range j.Config.Users {
			j.persons[plan.User(j.Config.Users[i].Name).Person()] = true
		}
	}
	return j.persons[person]
}
