package policy

import (
	"crypto/x509"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
)

// foundText writes what was found, one word a change.
func foundText(v *Verdict) string {
	var out []string
	for _, c := range v.Found {
		switch c := c.(type) {
		case ledger.Issue:
			out = append(out, "issue:"+c.Owner)
		case ledger.Revoke:
			out = append(out, "revoke:"+c.Serial+":"+c.Owner+":"+c.Reason)
		case ledger.PassNumber:
			out = append(out, "number:"+c.Used.String())
		default:
			out = append(out, fmt.Sprintf("%T", c))
		}
	}
	return strings.Join(out, " ")
}

func (w *world) wantFound(v *Verdict, want string) {
	w.t.Helper()
	if have := foundText(v); have != want {
		w.t.Errorf("found %q, not %q", have, want)
	}
}

// byHand is a directory of which the ledger knows nothing.
func byHand(t *testing.T, names ...string) *world {
	w := newWorld(t, names...)
	w.forget()
	w.ledger = w.blank()
	return w
}

func TestAdoption(t *testing.T) {
	t.Run("not asked", func(t *testing.T) {
		w := byHand(t, "ann")
		v := w.judge()
		w.wantFound(v, "number:1")
		w.want(v, "ca.m refuse : unrecorded", "user.ann refuse : unrecorded")
	})
	t.Run("everything", func(t *testing.T) {
		w := byHand(t, "ann", "bob", "cyd")
		w.ask.Adopt = true
		ann := w.people.list[0].Crt.Cert.Serial
		bob := w.people.list[1]
		bystander := w.depart(2)
		w.have.Bystanders = []facts.Bystander{{Owner: "user.dan", Crt: bystander.Crt}}
		w.have.Departed = nil
		w.putCRL(w.signCRL(3, bob.Crt.Cert.Serial))
		v := w.judge()
		w.wantFound(v, "issue:ca.m issue:user.ann issue:user.bob issue:user.dan number:3 revoke:"+bob.Crt.Cert.Serial+":unknown.G1:unspecified")
		w.want(v, "ca.m adopt : unrecorded", "crl.m repair db: revoked damaged", "proxy.app repair site: damaged",
			"user.ann adopt : unrecorded", "user.bob adopt key csr crt p12: unrecorded revoked(serial)")
		if w.ledger.Row(ann) != nil {
			t.Error("the ledger itself has changed")
		}
		if r := w.ledger.With(v.Found...).Row(bob.Crt.Cert.Serial); r.State != ledger.Revoked || r.Owner != "user.bob" {
			t.Errorf("%+v", r)
		}
		if v.Trust.Current() == nil || v.Trust.Current().Dependents != 2 {
			t.Errorf("%+v", v.Trust.Generations)
		}
		// A finding that is recorded is not found again.
		w.record(v.Found...)
		w.wantFound(w.judge(), "")
	})
	t.Run("the CA first", func(t *testing.T) {
		w := byHand(t, "ann")
		w.ask = Ask{Adopt: true, Covers: func(o plan.Owner) bool { return o == "user.ann" }}
		v := w.judge()
		w.wantFound(v, "number:1")
		w.want(v, "ca.m refuse : unrecorded")
	})
	t.Run("lost", func(t *testing.T) {
		w := newWorld(t, "ann")
		w.ask.Adopt = true
		u := w.people.list[0]
		u.Crt.Cert = certificate(w.certify(w.cfg.Users[0].Subject, u.Crt.Cert.X509.PublicKey, big.NewInt(77)))
		u.P12[0].Cert = u.Crt.Cert.Sum
		v := w.judge()
		w.wantFound(v, "issue:user.ann")
		w.want(v, "user.ann adopt : unrecorded")
		if !strings.Contains(v.Plan.Steps[0].Reasons[0].Message, "lost from its database") || v.Tasks[0].Keep != u.Crt.Cert.Sum {
			t.Errorf("%+v", v.Tasks[0])
		}
	})
	t.Run("further certificates", func(t *testing.T) {
		w := byHand(t, "ann", "bob")
		w.ask.Adopt = true
		ann, bob := w.people.list[0], w.people.list[1]
		again := func(serial int64) *x509.Certificate {
			return w.certify(w.cfg.Users[0].Subject, ann.Crt.Cert.X509.PublicKey, big.NewInt(serial))
		}
		ended, both := again(78), again(79)
		ended.NotAfter = w.now.Add(-time.Second)
		ann.Crt.All = []*x509.Certificate{ann.Crt.Cert.X509, w.ca, bob.Crt.Cert.X509, ended, both}
		ann.P12[0].All = []*x509.Certificate{again(80), both, w.ca}
		v := w.judge()
		if want := "issue:ca.m issue:user.ann issue:user.ann issue:user.ann issue:user.bob"; !strings.HasPrefix(foundText(v), want) {
			t.Errorf("found %q, not %q", foundText(v), want)
		}
		for i, want := range []int64{79, 80} {
			if have := v.Found[1+i].(ledger.Issue).Cert.SerialNumber; have.Int64() != want {
				t.Errorf("serial %d, not %d", have, want)
			}
		}
		bob.Crt.Why = fmt.Errorf("it is a PKCS #7 bundle")
		bob.P12[0].All = []*x509.Certificate{again(81)}
		if w.ledger.With(w.judge().Found...).Row("51") != nil {
			t.Error("something of somebody is taken whose certificate cannot be read")
		}
	})
	t.Run("departed", func(t *testing.T) {
		w := newWorld(t, "ann", "bob")
		w.forget()
		w.record(ledger.Issue{Owner: "user.bob", Cert: w.people.list[1].Crt.Cert.X509})
		w.ask.Allow = 1
		d := w.depart(0)
		second := w.certify(w.cfg.Users[0].Subject, d.Crt.Cert.X509.PublicKey, big.NewInt(0x7777))
		d.Crt.All = []*x509.Certificate{d.Crt.Cert.X509, second}
		w.want(w.judge(), "user.ann refuse : unrecorded")
		w.ask.Adopt = true
		v := w.judge()
		w.wantFound(v, "issue:user.ann issue:user.ann")
		w.want(v, "user.ann retire key csr crt p12 pass: removed(serial)", "crl.m reissue crl: revoked", "proxy.app rebuild site: upstream")
		if len(v.Tasks[0].Revokes) != 2 || v.Tasks[0].Revokes[0].Serial != d.Crt.Cert.Serial {
			t.Errorf("%+v", v.Tasks[0].Revokes)
		}
	})
}

func TestAdoptionOfASharedSerial(t *testing.T) {
	w := byHand(t, "ann", "bob")
	w.ask.Adopt = true
	bob := w.people.list[1]
	cert := w.certify(w.cfg.Users[1].Subject, bob.Crt.Cert.X509.PublicKey, w.people.list[0].Crt.Cert.X509.SerialNumber)
	*bob = *w.files("bob", certificate(cert))
	w.want(&Verdict{Plan: ofUsers(w.judge().Plan)}, "user.ann adopt key csr crt p12: unrecorded usage-changed(serial)", "user.bob adopt key csr crt p12: unrecorded usage-changed(serial)")
}

func TestLearnedRevocations(t *testing.T) {
	w := newWorld(t, "ann", "bob")
	ann := w.people.list[0].Crt.Cert.Serial
	w.putCRL(w.signCRL(9, ann, "BEEF"))
	v := w.judge()
	w.wantFound(v, "number:9 revoke:"+ann+":unknown.G1:unspecified revoke:BEEF:unknown.G1:unspecified")
	w.want(v, "crl.m repair db: revoked damaged", "proxy.app rebuild site: settings-changed", "user.ann rekey key csr crt p12: revoked(serial)")
	if m := v.Plan.Steps[0].Reasons[0].Message; m != "the CRL lists 2 revocations that db/index.txt lacks, now recorded" {
		t.Error(m)
	}
	if m := v.Plan.Steps[0].Reasons[1].Message; m != "the number in db/crlnumber is not above that of the CRL in place; it is set to 0A" {
		t.Error(m)
	}
	if r := w.ledger.With(v.Found...).Row("BEEF"); r == nil || r.State != ledger.Revoked || v.Trust.Signer(*r) != v.Trust.Current().SPKI {
		t.Errorf("%+v", r)
	}
}

// A reason that only the CRL has is recorded, and is no news.
func TestLearnedReason(t *testing.T) {
	w := newWorld(t, "ann")
	serial := w.people.list[0].Crt.Cert.Serial
	w.revoke(serial, "")
	w.depart(0)
	w.have.Departed = nil
	list := w.signCRL(1, serial)
	list.RevokedCertificateEntries[0].ReasonCode = 9
	w.putCRL(list)
	v := w.judge()
	w.wantFound(v, "revoke:"+serial+":unknown.G1:privilegeWithdrawn")
	w.want(v, "proxy.app rebuild site: settings-changed")
}

// A generation that has left took its CRL along: what the ledger still has as
// valid of it was revoked before.
func TestGenerationLeftBehind(t *testing.T) {
	w := newWorld(t, "ann", "bob")
	old := w.ca
	w.rollOver()
	w.have.CRL.Lists = map[string]*x509.RevocationList{}
	w.putCRL(w.signCRL(9))
	v := w.judge()
	w.wantFound(v, "number:9 revoke:02:: revoke:03::")
	if past := v.Trust.Past(); len(past) != 0 {
		t.Errorf("%+v", past)
	}
	if r := w.ledger.With(v.Found...).Row("02"); v.Trust.Signer(*r) != pki.PublicID(old.PublicKey) || r.Revoked != w.begin().Add(-time.Second) {
		t.Errorf("%+v", r)
	}
}

// rollOver makes a second generation, whose key and certificate are in place.
func (w *world) rollOver() {
	w.cfg.CA.Generation++
	ca := &w.have.CA
	past := ca.Key
	past.Path = facts.PastKeyPath("m", w.cfg.CA.Generation-1)
	ca.Past = map[int]facts.Key{w.cfg.CA.Generation - 1: past}
	old := w.ca
	w.key, w.ca = w.makeCA(w.cfg.CA.Generation)
	w.record(ledger.Issue{Owner: "ca.m", Cert: w.ca})
	ca.Key.SPKI = pki.PublicID(w.key.Public())
	ca.Crt.Cert, ca.Crt.All = certificate(w.ca), []*x509.Certificate{w.ca, old}
}
