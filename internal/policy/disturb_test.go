package policy

import (
	"errors"
	"time"

	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
)

// The disturbances of a world.

var errTest = errors.New("test")

// blank is the ledger of a directory in which nothing was ever issued.
func (w *world) blank() *ledger.Ledger {
	led, err := ledger.Parse(ledger.Files{Number: ledger.Text{Missing: true}})
	w.must(err)
	return led
}

// forget takes the users out of the ledger.
func (w *world) forget() {
	led, err := ledger.Parse(ledger.Files{Number: ledger.Text{Data: []byte("02\n")}, Attr: ledger.Text{Data: []byte(ledger.Attributes)}})
	w.must(err)
	for _, path := range w.ledger.RenderedPaths() {
		sum, _ := w.ledger.Rendered(path)
		led = led.With(ledger.Render{Path: path, Sum: sum})
	}
	w.ledger = led
	w.record(ledger.Issue{Owner: "ca.m", Cert: w.ca})
	for _, u := range w.people.list {
		u.Recorded = nil
	}
}

func (w *world) revoke(serial, reason string) {
	w.record(ledger.Revoke{Serial: serial, When: w.now.Add(-pki.Backdate).Truncate(time.Second), Reason: reason})
}

// later lets time pass, but for the CRL, which is signed anew.
func (w *world) later(d time.Duration) {
	w.now = w.now.Add(d)
	w.putCRL(w.signCRL(1))
}

// share gives bob a certificate with ann's serial.
func (w *world) share() {
	bob := w.people.list[1]
	serial := w.people.list[0].Crt.Cert.X509.SerialNumber
	cert := w.certify(w.cfg.Users[1].Subject, bob.Crt.Cert.X509.PublicKey, serial)
	w.record(ledger.Revoke{Serial: bob.Crt.Cert.Serial, When: w.now.Add(-pki.Backdate), Reason: ledger.Superseded},
		ledger.Issue{Owner: "user.bob", Cert: cert})
	w.putCRL(w.signCRL(1, bob.Crt.Cert.Serial))
	*bob = *w.files("bob", certificate(cert))
}

// reissue gives a user a newer certificate for the same key.
func (w *world) reissue(u *facts.User) {
	spec := &w.cfg.Users[0]
	cert := w.certify(spec.Subject, u.Crt.Cert.X509.PublicKey, w.nextSerial())
	w.record(ledger.Issue{Owner: string(u.Owner), Cert: cert})
	*u = *w.files(spec.Name, certificate(cert))
}

// viewOf judges all up to a user, and gives what the policies saw.
func (w *world) viewOf(i int) *userView {
	q := Question{Config: w.cfg, Have: w.have, Ledger: w.ledger, Now: w.now, Ask: w.ask}
	if q.Ask.Covers == nil {
		q.Ask.Covers = everybody
	}
	j := newJudgement(q, find(q))
	j.judgeCA()
	j.findHolders()
	j.judgeUser(i)
	return &j.user
}
