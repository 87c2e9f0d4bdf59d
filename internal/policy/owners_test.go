package policy

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
)

// TestOwners disturbs the CA, the CRL, the site and those who have departed.
func TestOwners(t *testing.T) {
	for name, c := range map[string]struct {
		disturb func(w *world)
		want    []string
	}{
		"no CA yet": {func(w *world) {
			w.ledger = w.blank()
			w.have.CA = facts.CA{Owner: "ca.m", Passphrase: facts.Passphrase{File: facts.File{Missing: true}}, Key: facts.Key{File: facts.File{Missing: true}}, Crt: facts.CertificateFile{File: facts.File{Missing: true}}}
			w.have.CRL = facts.CRL{File: facts.File{Missing: true}}
			w.have.Sites[0].Files[0].Missing = true
			w.people.list = nil
		}, []string{"ca.m create key crt pass: missing", "crl.m create crl: missing", "proxy.app create site: missing"}},
		"CA interrupted":    {func(w *world) { w.have.CA.Interrupted = true }, []string{"ca.m repair db: interrupted"}},
		"CA key gone":       {func(w *world) { w.have.CA.Key.Missing = true }, []string{"ca.m refuse : missing"}},
		"CA key damaged":    {func(w *world) { w.have.CA.Key.Opening = facts.Unreadable }, []string{"ca.m refuse : unreadable"}},
		"CA key of another": {func(w *world) { w.have.CA.Key.SPKI = "other" }, []string{"ca.m refuse : key-mismatch"}},
		"CA passphrase": {func(w *world) { w.have.CA.Key.Opening = facts.OpensNeither },
			[]string{"failure ca.m passphrase-wrong", "failure crl.m crl-unavailable"}},
		"CA certificate gone": {func(w *world) {
			w.have.CA.Crt = facts.CertificateFile{File: facts.File{Kind: plan.KindCrt, Missing: true}}
		}, []string{"ca.m repair crt: missing"}},
		"CA certificate damaged": {func(w *world) { w.have.CA.Crt.Cert, w.have.CA.Crt.All = nil, nil }, []string{"ca.m repair crt: damaged"}},
		"CA expiring":            {func(w *world) { w.cfg.CA.RenewBefore = 3650 * dayLong }, []string{"ca.m reissue crt: expiring(renew_before)", "proxy.app rebuild site: upstream"}},
		"CA expired": {func(w *world) { w.later(3651 * dayLong) },
			[]string{"ca.m refuse : expired(validity)"}},
		"CA modes and wide directories": {func(w *world) {
			w.have.CA.Key.Mode = 0o640
			w.have.CA.Wide = []facts.File{{Kind: plan.KindDB, Path: facts.At("db"), Mode: 0o755}}
		}, []string{"ca.m repair key db: mode(mode) mode(mode)"}},
		"roll over":               {func(w *world) { w.cfg.CA.Generation = 2 }, []string{"ca.m rekey key crt: key-changed(generation)", "crl.m reissue crl: upstream", "proxy.app rebuild site: upstream"}},
		"generation too high":     {func(w *world) { w.cfg.CA.Generation = 3 }, []string{"ca.m refuse : key-changed"}},
		"directory of another CA": {func(w *world) { w.cfg.CA.Name, w.have.CA.Owner = "n", "ca.n" }, []string{"ca.n refuse : unrecorded"}},
		"old generation": {func(w *world) {
			crl := w.have.CRL.Lists
			w.rollOver()
			w.putCRL(w.signCRL(1))
			for spki, list := range crl {
				w.have.CRL.Lists[spki] = list
			}
		}, []string{"proxy.app rebuild site: settings-changed", "note ca.m old-generation"}},
		"old key gone": {func(w *world) {
			w.rollOver()
			w.putCRL(w.signCRL(1))
			delete(w.have.CA.Past, 1)
			w.have.Sites = nil
		}, []string{"note ca.m old-generation", "note crl.m crl-ends"}},
		"CRL gone":     {func(w *world) { w.have.CRL = facts.CRL{File: facts.File{Missing: true}} }, []string{"crl.m create crl: missing"}},
		"CRL damaged":  {func(w *world) { w.have.CRL.Damaged = true }, []string{"crl.m repair crl: damaged"}},
		"CRL expiring": {func(w *world) { w.cfg.CA.CRLRenewBefore = 30 * dayLong }, []string{"crl.m reissue crl: expiring"}},
		"CRL expired":  {func(w *world) { w.now = w.now.Add(30 * dayLong) }, []string{"crl.m reissue crl: expired"}},
		"CRL behind": {func(w *world) { w.revoke("02", "superseded") },
			[]string{"crl.m reissue crl: revoked", "proxy.app rebuild site: upstream", "user.ann rekey key csr crt p12: revoked(serial)"}},
		"CRL unreadable":  {func(w *world) { w.have.CRL.Err = errTest }, []string{"failure crl.m file-error"}},
		"site edited":     {func(w *world) { w.have.Sites[0].Files[0].Sum[0]++ }, []string{"proxy.app repair site: damaged"}},
		"site settings":   {func(w *world) { w.cfg.Sites[0].Settings.Upstream = []string{"127.0.0.1:1"} }, []string{"proxy.app rebuild site: settings-changed"}},
		"site unreadable": {func(w *world) { w.have.Sites[0].Err = errTest }, []string{"failure proxy.app file-error"}},
		"site of somebody else": {func(w *world) {
			w.ledger = w.blank()
			w.have.Sites[0].Files[0].Sum[0]++
			w.people.list = nil
			w.have.CRL.Lists, w.have.CRL.Damaged = nil, true
		}, []string{"ca.m refuse : unrecorded", "proxy.app refuse : unrecorded"}},
		"removed": {func(w *world) { w.depart(0) },
			[]string{"user.ann retire key csr crt p12 pass: removed(serial)", "crl.m reissue crl: revoked", "proxy.app rebuild site: upstream"}},
		"revoked in the spec": {func(w *world) {
			w.depart(0)
			w.cfg.Users = append(w.cfg.Users, config.User{Name: "ann", Revoked: "keyCompromise"})
		}, []string{"user.ann retire key csr crt p12 pass: revoked(serial)", "crl.m reissue crl: revoked", "proxy.app rebuild site: upstream"}},
		"revoked, whatever only says": {func(w *world) {
			w.depart(0)
			w.ask.Covers = func(o plan.Owner) bool { return o == "user.ann" }
		}, []string{"user.ann retire key csr crt p12 pass: removed(serial)", "crl.m reissue crl: revoked", "proxy.app rebuild site: upstream"}},
		"departed, with a shared serial": {func(w *world) {
			w.share()
			w.depart(0)
			w.have.Departed[0].Files = nil
			w.people.list = nil
			w.ask.Covers = func(o plan.Owner) bool { return o == "user.ann" }
		}, []string{"note user.ann shared-serial"}},
		"departed, with a file of nobody": {func(w *world) {
			w.forget()
			w.depart(0)
			w.have.Departed[0].Crt.Cert = nil
			w.people.list = nil
		}, []string{"user.ann refuse : unrecorded"}},
		"renamed, but the new name is taken": {func(w *world) { w.rename(w.people.list[0], "old").Taken = "ann-m.key" }, []string{"user.ann refuse : moved"}},
		"renamed, but both have a certificate": {func(w *world) {
			u := w.people.list[0]
			w.rename(u, "old")
			w.record(ledger.Issue{Owner: "user.ann", Cert: w.certify(w.cfg.Users[0].Subject, u.Crt.Cert.X509.PublicKey, w.nextSerial())})
		}, []string{"user.ann refuse : moved"}},
		"renamed, but a file is in the way": {func(w *world) { w.rename(w.people.list[0], "old").Err = errTest }, []string{"failure user.ann file-error"}},
		"renamed to nobody": {func(w *world) {
			m := w.rename(w.people.list[0], "old")
			m.Listed, m.To = false, "user.other"
			w.cfg.Moved[0] = config.Moved{From: "user.old", To: "user.other"}
			w.people.list, w.people.spec, w.cfg.Users = w.people.list[1:], []int{0}, w.cfg.Users[1:]
		}, []string{"user.old refuse : moved"}},
		"renamed, but the run is not about that": {func(w *world) {
			w.rename(w.people.list[0], "old")
			w.people.list, w.people.spec = w.people.list[1:], []int{1}
			w.ask.Covers = func(o plan.Owner) bool { return o == "user.bob" }
		}, nil},
		"renamed before": {func(w *world) {
			w.cfg.Moved = []config.Moved{{From: "user.old", To: "user.ann", Listed: true}}
		}, []string{"note user.ann moved-done"}},
		"upper and lower case": {func(w *world) {
			w.depart(0).Twin = "user.Ann"
		}, []string{"user.ann refuse : moved"}},
		"another reason": {func(w *world) {
			w.revoke("02", "")
			w.depart(0)
			w.have.Departed = nil
			w.cfg.Users = append(w.cfg.Users, config.User{Name: "ann", Revoked: "keyCompromise"})
			w.putCRL(w.signCRL(1, "02"))
			w.have.Sites = nil
		}, []string{"note user.ann reason-kept"}},
		"other notes": {func(w *world) {
			w.have.Orphans, w.have.CA.Odd, w.have.CA.Passphrase.Weak = []string{"nginx/old"}, []string{"db/cache"}, true
			w.cfg.CA.Subject.CommonName, w.cfg.CA.Key, w.cfg.CA.Validity = "Other", pki.RSA4096, dayLong
			w.cfg.Users[1].Validity = dayLong
		}, []string{"note ca.m weak-passphrase", "note ca.m next-generation", "note ca.m next-generation", "note ca.m next-renewal", "note user.bob next-renewal", "note  cache-unusable", "note  orphaned"}},
		"cut to the CA": {func(w *world) {
			w.cfg.Users[0].Validity, w.cfg.Users[0].Key = 9999*dayLong, pki.RSA2048
			w.have.Sites = nil
		}, []string{"user.ann rekey key csr crt p12: key-changed(key)", "note ca.m cut-to-ca"}},
		"clock behind": {func(w *world) {
			w.now = w.now.Add(-50 * time.Minute)
			w.people.list[0].Crt.Cert.NotBefore = w.now.Add(20 * time.Minute)
		},
			[]string{"user.ann rekey key csr crt p12: expired(validity)", "note  clock-behind"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "ann", "bob")
			c.disturb(w)
			v := w.judge()
			w.want(v, c.want...)
			if behind := v.Clock != nil; behind != (name == "clock behind") {
				t.Error(v.Clock)
			}
		})
	}
}

func TestGuard(t *testing.T) {
	for _, c := range []struct {
		users, leave int
		most         *int
		allow        int
		refused      bool
	}{
		{3, 1, nil, 0, false},
		{3, 2, nil, 0, true},
		{3, 2, nil, 2, false},
		{21, 2, nil, 0, false},
		{21, 3, nil, 0, true},
		{3, 1, new(0), 0, true},
		{3, 1, new(0), 1, false},
		{3, 2, new(2), 1, false},
	} {
		var names []string
		for i := range c.users {
			names = append(names, "u"+string(rune('a'+i)))
		}
		w := newWorld(t, names...)
		w.cfg.Guard.MaxRevocations, w.ask.Allow = c.most, c.allow
		for range c.leave {
			w.depart(0)
		}
		if v := w.judge(); v.Plan.Refused() != c.refused {
			t.Errorf("%+v:\n%s", c, text(v.Plan))
		} else if first := v.Plan.Steps[0]; c.refused && (first.Owner != "ca.m" || first.Reasons[0].Field != "guard.max_revocations") {
			t.Errorf("%+v: %+v", c, first)
		}
	}
}

// A request that a user has made is the owner's failure when its key must not be
// certified.
func TestCSRKeys(t *testing.T) {
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		disturb func(w *world, u *facts.User)
		want    string
	}{
		"good":       {func(*world, *facts.User) {}, ""},
		"weak":       {func(_ *world, u *facts.User) { u.Asked.Key = &short.PublicKey }, "failure user.ann csr-invalid"},
		"no key":     {func(_ *world, u *facts.User) { u.Asked.Key = nil }, "failure user.ann csr-invalid"},
		"another's":  {func(w *world, u *facts.User) { u.Key.SPKI = w.people.list[1].Key.SPKI }, "failure user.ann key-reused"},
		"the CA's":   {func(w *world, u *facts.User) { u.Key.SPKI = w.have.CA.Key.SPKI }, "failure user.ann key-reused"},
		"given up":   {func(w *world, u *facts.User) { w.revoke(u.Crt.Cert.Serial, "keyCompromise") }, "failure user.ann key-compromised"},
		"superseded": {func(w *world, u *facts.User) { w.revoke(u.Crt.Cert.Serial, "affiliationChanged") }, "failure user.ann key-reused"},
		"replace":    {func(w *world, _ *facts.User) { w.ask.Replace = []plan.Owner{"user.ann"} }, "user.ann revoke : replace-asked(reason)\nfailure user.ann key-reused"},
		"replace for a stolen key": {func(w *world, _ *facts.User) {
			w.ask.Replace, w.ask.Reason = []plan.Owner{"user.ann"}, ledger.KeyCompromise
		}, "user.ann revoke : replace-asked(reason)\nfailure user.ann key-compromised"},
		"a stolen key": {func(w *world, u *facts.User) {
			stolen := w.certify(w.cfg.Users[1].Subject, u.Crt.Cert.X509.PublicKey, w.nextSerial())
			w.record(ledger.Issue{Owner: "user.zed", Cert: stolen})
			w.revoke(pki.SerialHex(stolen.SerialNumber), ledger.KeyCompromise)
		}, "user.ann revoke : revoked(serial)\nfailure user.ann key-compromised"},
		"mode of copy": {func(_ *world, u *facts.User) { u.CSR.Mode = 0o666 }, "user.ann repair csr: mode(mode)"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "ann", "bob")
			c.disturb(w, w.byCSR(0))
			if have := text(ofUsers(w.judge().Plan)); have != c.want {
				t.Errorf("%q, not %q", have, c.want)
			}
		})
	}
}

// A certificate whose file was not read is judged by its bytes all the same.
func TestAuthorityOfARememberedCertificate(t *testing.T) {
	w := newWorld(t, "ann", "bob")
	view := w.viewOf(0)
	reissued := *w.ca
	reissued.SubjectKeyId = []byte{1, 2}
	view.ca = &issuer{trusted: []*x509.Certificate{&reissued}}
	full := view.unusual()
	cert := *view.cert
	cert.X509 = nil
	view.cert = &cert
	if brief := view.unusual(); len(full) != 1 || len(brief) != 1 || full[0] != brief[0] {
		t.Errorf("%v and %v", full, brief)
	}
}

func TestRevokedWhileCarryingOut(t *testing.T) {
	w := newWorld(t, "ann", "bob")
	v := w.judge()
	trust := v.Trust
	w.revoke("02", "superseded")
	rows := trust.Revoked(w.ledger, w.have.CRL, w.now, false)
	if got := Refused(w.have.CRL, Serials(rows)); strings.Join(got, " ") != "02" {
		t.Error(got)
	}
	if rows := trust.Revoked(w.ledger, w.have.CRL, w.now, true); len(rows) != 0 {
		t.Error(rows)
	}
	if kept := v.Kept(w.have.CRL); len(kept.Lists) != 0 {
		t.Error(kept)
	}
	if ca := w.ca.NotAfter; endOf(w.now, dayLong, ca) != w.now.Add(dayLong) || endOf(w.now, 9999*dayLong, ca) != ca {
		t.Error("end")
	}
}
