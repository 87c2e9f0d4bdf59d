package policy

import (
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
)

// userCase disturbs one user, ann, whom bob stands beside.
type userCase struct {
	name    string
	disturb func(w *world, u *facts.User, spec *config.User)
	want    []string // the plan; what follows for CRL and site is left out
}

func otherSum(b byte) (sum ledger.Sum) { sum[0] = b; return sum }

var userCases = []userCase{
	{"adopted", func(w *world, u *facts.User, _ *config.User) {
		w.forget()
		w.ask.Adopt = true
	}, []string{"user.ann adopt : unrecorded", "user.bob adopt : unrecorded"}},
	{"renamed", func(w *world, u *facts.User, _ *config.User) { w.rename(u, "old") }, []string{"user.ann rebuild key db: moved(moved)"}},
	{"renamed, and another common name", func(w *world, u *facts.User, spec *config.User) {
		w.rename(u, "old")
		spec.Subject.CommonName = "Ann"
	}, []string{"user.ann rekey key csr crt p12 db: moved(moved) subject-changed(subject.common_name)"}},
	{"renamed, and the passphrase cannot be had", func(w *world, u *facts.User, _ *config.User) {
		w.rename(u, "old")
		u.Passphrase.Err = errTest
	}, []string{"user.ann rebuild key db: moved(moved)", "failure user.ann passphrase-unavailable"}},
	{"e-mail in another case", func(w *world, u *facts.User, spec *config.User) {
		u.Crt.Cert.Name.Email, u.Crt.Cert.SANs = "Ann@m.example", []pki.SAN{{Type: pki.SANEmail, Value: "Ann@m.example"}}
		u.CSR.Request.SANs = u.Crt.Cert.SANs
		spec.Subject.Email = "ann@M.example"
	}, nil},
	{"certificate missing", func(_ *world, u *facts.User, _ *config.User) {
		u.Crt = facts.CertificateFile{File: facts.File{Kind: plan.KindCrt, Path: u.Crt.Path, Missing: true}}
	}, []string{"user.ann repair crt: missing"}},
	{"certificate damaged", func(_ *world, u *facts.User, _ *config.User) { u.Crt.Cert = nil },
		[]string{"user.ann repair crt: damaged"}},
	{"certificate is another's", func(w *world, u *facts.User, _ *config.User) { u.Crt = w.people.list[1].Crt },
		[]string{"user.ann repair crt: damaged"}},
	{"something behind the certificate", func(_ *world, u *facts.User, _ *config.User) { u.Crt.Alone = false },
		[]string{"user.ann repair crt: damaged"}},
	{"revoked", func(w *world, u *facts.User, _ *config.User) {
		w.revoke(u.Crt.Cert.Serial, "keyCompromise")
		u.Recorded = nil
	}, []string{"user.ann rekey key csr crt p12: revoked(serial)"}},
	{"another's certificate for the key was revoked", func(w *world, u *facts.User, _ *config.User) {
		stolen := w.certify(w.cfg.Users[0].Subject, u.Crt.Cert.X509.PublicKey, w.nextSerial())
		w.record(ledger.Issue{Owner: "user.zed", Cert: stolen})
		w.revoke(pki.SerialHex(stolen.SerialNumber), ledger.KeyCompromise)
	}, []string{"user.ann rekey key csr crt p12: revoked revoked(serial)"}},
	{"issued by a foreign CA", func(_ *world, u *facts.User, _ *config.User) {
		u.Crt.Cert.Issuer, u.Crt.Cert.Authority, u.Crt.Cert.X509 = "0\x00", "other", nil
	}, []string{"user.ann rekey key csr crt p12: issuer-changed(issuer) usage-changed(authorityKeyIdentifier)"}},
	{"key of another user", func(w *world, u *facts.User, _ *config.User) {
		u.Key.SPKI, u.Recorded = w.people.list[1].Key.SPKI, nil
	}, []string{"user.ann rekey key csr crt p12: key-mismatch"}},
	{"key without certificate", func(w *world, u *facts.User, _ *config.User) {
		u.Key.SPKI, u.Recorded, u.Crt = w.people.list[1].Key.SPKI, nil, w.people.list[1].Crt
	}, []string{"user.ann rekey key csr crt p12: key-mismatch damaged damaged"}},
	{"type of key", func(_ *world, _ *facts.User, spec *config.User) { spec.Key = pki.RSA2048 },
		[]string{"user.ann rekey key csr crt p12: key-changed(key)"}},
	{"subject", func(_ *world, _ *facts.User, spec *config.User) {
		spec.Subject.Locality, spec.Subject.Organization = "Meade", ""
	}, []string{"user.ann rekey key csr crt p12: subject-changed(subject.locality) subject-changed(subject.organization)"}},
	{"unknown attribute", func(_ *world, u *facts.User, _ *config.User) { u.Crt.Cert.Plain = false },
		[]string{"user.ann rekey key csr crt p12: subject-changed(subject)"}},
	{"e-mail", func(_ *world, u *facts.User, _ *config.User) {
		sans := []pki.SAN{{Type: pki.SANEmail, Value: "ann@m.example"}}
		u.Crt.Cert.SANs, u.CSR.Request.SANs = sans, sans
	}, []string{"user.ann rekey key csr crt p12: san-changed(email)"}},
	{"expired", func(w *world, _ *facts.User, spec *config.User) {
		w.later(366 * dayLong)
	}, []string{"user.ann rekey key csr crt p12: expired(validity)", "user.bob rekey key csr crt p12: expired(validity)"}},
	{"not begun", func(w *world, u *facts.User, _ *config.User) {
		w.ask.AcceptClock = true
		u.Crt.Cert.NotBefore = w.now.Add(time.Hour)
	}, []string{"user.ann rekey key csr crt p12: expired(validity)"}},
	{"expiring", func(w *world, _ *facts.User, spec *config.User) {
		spec.RenewBefore = 364*dayLong + 23*time.Hour + 30*time.Minute
	},
		[]string{"user.ann rekey key csr crt p12: expiring(renew_before)"}},
	{"expiring, key reused", func(w *world, _ *facts.User, spec *config.User) {
		spec.RenewBefore, spec.ReuseKey = 364*dayLong+23*time.Hour+30*time.Minute, true
	}, []string{"user.ann reissue crt p12: expiring(renew_before)"}},
	{"usage", func(_ *world, u *facts.User, _ *config.User) {
		u.Crt.Cert.X509, u.Crt.Cert.Unusual = nil, []pki.Mismatch{{Field: "keyUsage", Have: "none", Want: "critical, digitalSignature"}}
	}, []string{"user.ann reissue crt p12: usage-changed(keyUsage)"}},
	{"shared serial", func(w *world, u *facts.User, _ *config.User) { w.share() },
		[]string{"user.ann rekey key csr crt p12: usage-changed(serial)", "user.bob rekey key csr crt p12: usage-changed(serial)"}},
	{"overlap over", func(w *world, u *facts.User, spec *config.User) {
		w.reissue(u)
		spec.Overlap = new(30 * time.Minute)
	}, []string{"user.ann revoke : overlap-over(overlap)"}},
	{"overlap not over", func(w *world, u *facts.User, spec *config.User) {
		w.reissue(u)
		spec.Overlap = new(2 * time.Hour)
	}, nil},
	{"passphrase", func(_ *world, u *facts.User, _ *config.User) {
		u.Key.Opening, u.P12[0].Opening = facts.OpensPrevious, facts.OpensNeither
	}, []string{"user.ann rebuild key p12: passphrase-changed passphrase-changed"}},
	{"generated passphrase not made yet", func(_ *world, u *facts.User, _ *config.User) {
		u.Passphrase.Made, u.Passphrase.Missing, u.Key.Opening = false, true, facts.OpensPrevious
	}, []string{"user.ann rebuild key pass: passphrase-changed"}},
	{"iterations", func(_ *world, _ *facts.User, spec *config.User) { spec.KDFIterations = 4096 },
		[]string{"user.ann rebuild key p12: encoding-changed(kdf_iterations) encoding-changed(kdf_iterations)"}},
	{"traditional key", func(_ *world, u *facts.User, _ *config.User) { u.Key.Info.Encoding = "plain" },
		[]string{"user.ann rebuild key: encoding-changed(encoding)"}},
	{"request missing", func(_ *world, u *facts.User, _ *config.User) {
		u.CSR.Missing, u.CSR.Request = true, nil
	}, []string{"user.ann repair csr: missing"}},
	{"request damaged", func(_ *world, u *facts.User, _ *config.User) { u.CSR.Request = nil },
		[]string{"user.ann repair csr: damaged"}},
	{"request changed by its user", func(w *world, u *facts.User, _ *config.User) {
		w.byCSR(0)
		u.Asked.Sum = otherSum(1)
	}, []string{"user.ann rebuild csr: upstream(csr)"}},
	{"request for another key", func(w *world, u *facts.User, _ *config.User) {
		w.byCSR(0)
		u.Key.SPKI = "other"
		u.Recorded = nil
	}, []string{"user.ann rekey csr crt: key-changed(csr)"}},
	{"challenge", func(_ *world, u *facts.User, _ *config.User) { u.CSR.ChallengeDiffers = true },
		[]string{"user.ann rebuild csr: passphrase-changed(challenge_password)"}},
	{".p12 missing", func(_ *world, u *facts.User, _ *config.User) {
		u.P12[0] = facts.P12{File: u.P12[0].File, Profile: pki.Compat}
		u.P12[0].Missing = true
	}, []string{"user.ann rebuild p12: missing"}},
	{".p12 damaged", func(_ *world, u *facts.User, _ *config.User) { u.P12[0].Opening = facts.OpensNeither },
		[]string{"user.ann repair p12: damaged"}},
	{".p12 of another profile", func(_ *world, u *facts.User, _ *config.User) { u.P12[0].Profile = pki.Modern },
		[]string{"user.ann rebuild p12: encoding-changed(p12)"}},
	{".p12 with another certificate", func(_ *world, u *facts.User, _ *config.User) { u.P12[0].Cert = otherSum(1) },
		[]string{"user.ann rebuild p12: upstream"}},
	{"stray file", func(_ *world, u *facts.User, _ *config.User) {
		u.Stray = []facts.File{{Kind: "modern.p12", Path: facts.UserPath("ann-m", "modern.p12")}}
	}, []string{"user.ann rebuild modern.p12: encoding-changed(p12)"}},
	{"stray passphrase", func(_ *world, _ *facts.User, spec *config.User) {
		spec.Passphrase = config.Source{Kind: config.FromEnv, Env: "A"}
	},
		[]string{"user.ann rebuild pass: passphrase-changed(passphrase)"}},
	{"modes", func(_ *world, u *facts.User, _ *config.User) {
		u.Key.Mode, u.P12[0].Mode, u.Crt.Mode = 0o640, 0o604, 0o664
	},
		[]string{"user.ann repair key crt p12: mode(mode) mode(mode) mode(mode)"}},
	{"key missing", func(_ *world, u *facts.User, _ *config.User) {
		u.Key = facts.Key{File: facts.File{Path: u.Key.Path, Missing: true}}
		u.Crt.Mode = 0o666
	}, []string{"user.ann rekey key csr crt p12: missing mode(mode)"}},
	{"nothing there", func(w *world, u *facts.User, spec *config.User) {
		spec.Name = "new"
		*u = facts.User{Owner: "user.new", Passphrase: facts.Passphrase{File: facts.File{Missing: true}}, Key: facts.Key{File: facts.File{Missing: true}},
			CSR: facts.RequestFile{File: facts.File{Missing: true}}, Crt: facts.CertificateFile{File: facts.File{Missing: true}},
			P12: []facts.P12{{File: facts.File{Kind: plan.KindP12, Missing: true}}}}
	}, []string{"user.new create key csr crt p12 pass: missing"}},
	{"replace", func(w *world, _ *facts.User, _ *config.User) {
		w.ask.Replace, w.ask.Reason = []plan.Owner{"user.ann"}, "keyCompromise"
	},
		[]string{"user.ann rekey key csr crt p12 pass: replace-asked(reason)"}},
	{"unrecorded", func(w *world, u *facts.User, _ *config.User) { w.forget() },
		[]string{"user.ann refuse : unrecorded", "user.bob refuse : unrecorded"}},
	{"certificate lost from the ledger", func(w *world, u *facts.User, _ *config.User) {
		cert := certificate(w.certify(w.cfg.Users[0].Subject, u.Crt.Cert.X509.PublicKey, big.NewInt(77)))
		u.Crt.Cert = cert
	}, []string{"user.ann refuse : unrecorded"}},
	{"key unreadable", func(_ *world, u *facts.User, _ *config.User) { u.Key.Opening = facts.Unreadable }, []string{"failure user.ann unreadable"}},
	{"wrong passphrase", func(_ *world, u *facts.User, _ *config.User) { u.Key.Opening = facts.OpensNeither }, []string{"failure user.ann passphrase-wrong"}},
	{"passphrase gone", func(_ *world, u *facts.User, _ *config.User) {
		u.Key.Opening, u.Passphrase.Made = facts.OpensNeither, false
	}, []string{"failure user.ann passphrase-unavailable"}},
	{"passphrase without a source", func(_ *world, u *facts.User, _ *config.User) { u.Passphrase.Err = errTest }, []string{"failure user.ann passphrase-unavailable"}},
	{"in clear", func(_ *world, u *facts.User, spec *config.User) {
		spec.Passphrase, spec.Seal = config.Source{Kind: config.Generated}, []string{"a"}
		u.Passphrase.File = facts.File{Kind: plan.KindPass, Path: facts.UserPath("ann-m", plan.KindPass)}
	}, []string{"user.ann rebuild pass pass.age: encoding-changed(seal.recipients)"}},
	{"sealed to another", func(_ *world, u *facts.User, spec *config.User) { sealTo(u, spec, "a", "b") },
		[]string{"user.ann rebuild pass.age: encoding-changed(seal.recipients)"}},
	{"sealed to another and closed", func(_ *world, u *facts.User, spec *config.User) {
		sealTo(u, spec, "a", "b")
		u.Passphrase.Closed = errTest
	}, nil},
	{"closed and due", func(_ *world, u *facts.User, spec *config.User) {
		sealTo(u, spec, "a", "a")
		u.Passphrase.Closed, spec.RenewBefore = errTest, 365*dayLong
	}, []string{"user.ann rekey key csr crt p12 pass.age: expiring(renew_before) passphrase-changed"}},
	{"closed and due for the same key", func(_ *world, u *facts.User, spec *config.User) {
		sealTo(u, spec, "a", "a")
		u.Passphrase.Closed, spec.RenewBefore, spec.ReuseKey = errTest, 365*dayLong, true
	}, []string{"failure user.ann passphrase-unavailable"}},
	{"closed and replaced", func(w *world, u *facts.User, spec *config.User) {
		sealTo(u, spec, "a", "a")
		u.Passphrase.Closed = errTest
		w.ask.Replace, w.ask.Reason = []plan.Owner{"user.ann"}, "superseded"
	}, []string{"user.ann rekey key csr crt p12 pass.age: replace-asked(reason)"}},
	{"file cannot be read", func(_ *world, u *facts.User, _ *config.User) { u.Err = errTest }, []string{"failure user.ann file-error"}},
}

// sealTo gives a user a generated passphrase that is sealed.
func sealTo(u *facts.User, spec *config.User, have, want string) {
	spec.Passphrase, spec.Seal = config.Source{Kind: config.Generated}, []string{want}
	u.Passphrase = facts.Passphrase{File: facts.File{Kind: plan.KindSealed, Path: facts.UserPath("ann-m", plan.KindSealed)}, Made: true, Recorded: true, Recipients: []string{have}}
}

// Every policy of users is fired by a case, by itself where it can be.
func TestUserPolicies(t *testing.T) {
	fired := map[uintptr]bool{}
	for _, c := range userCases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, "ann", "bob")
			c.disturb(w, w.people.list[0], &w.cfg.Users[0])
			v := w.judge()
			w.want(&Verdict{Plan: ofUsers(v.Plan)}, c.want...)
			view := w.viewOf(0)
			for _, p := range userPolicies {
				if view.Err == nil && len(p.ask(view)) > 0 {
					fired[reflect.ValueOf(p.ask).Pointer()] = true
				}
			}
		})
	}
	for i, p := range userPolicies {
		if !fired[reflect.ValueOf(p.ask).Pointer()] {
			t.Errorf("no case fires policy %d, %s", i, p.code)
		}
	}
}

// ofUsers leaves out what a plan says of others.
func ofUsers(p *plan.Plan) *plan.Plan {
	out := &plan.Plan{Failures: p.Failures}
	for _, s := range p.Steps {
		if strings.HasPrefix(string(s.Owner), "user.") {
			out.Steps = append(out.Steps, s)
		}
	}
	return out
}

// The order of the chain is the order in which reasons of the same strength are
// shown.
func TestUserChain(t *testing.T) {
	w := newWorld(t, "ann", "bob")
	u, spec := w.people.list[0], &w.cfg.Users[0]
	w.share()
	w.revoke(u.Crt.Cert.Serial, "keyCompromise")
	u.Recorded = nil
	spec.Key, spec.Subject.Locality, spec.Subject.Email, spec.KDFIterations = pki.RSA2048, "Meade", "ann@m.example", 4096
	spec.RenewBefore = 365 * dayLong
	u.Crt.Alone, u.Crt.Cert.X509, u.Crt.Cert.Authority = false, nil, "other"
	u.Crt.Cert.Unusual = []pki.Mismatch{{Field: "keyUsage"}}
	u.Key.Opening, u.Key.Mode = facts.OpensPrevious, 0o644
	u.CSR.ChallengeDiffers, u.CSR.Request.SPKI = true, "other"
	u.Stray = []facts.File{{Kind: "modern.p12", Path: facts.UserPath("ann-m", "modern.p12")}}
	u.P12[0].Opening, u.P12[0].Info.Iterations = facts.OpensNeither, 1
	u.P12 = append(u.P12, facts.P12{File: facts.File{Kind: "modern.p12", Path: u.P12[0].Path, Missing: true}})
	w.want(&Verdict{Plan: ofUsers(w.judge().Plan)},
		"user.ann rekey key csr crt p12 modern.p12: revoked(serial) issuer-changed(issuer) key-changed(key) subject-changed(subject.locality) "+
			"subject-changed(subject.email) san-changed(email) missing expiring(renew_before) usage-changed(keyUsage) usage-changed(authorityKeyIdentifier) "+
			"usage-changed(serial) passphrase-changed passphrase-changed(challenge_password) passphrase-changed encoding-changed(kdf_iterations) "+
			"encoding-changed(kdf_iterations) encoding-changed(p12) damaged damaged mode(mode)",
		"user.bob rekey key csr crt p12: revoked(serial) usage-changed(serial)")
}

func TestChains(t *testing.T) {
	codes := func(n int, code func(int) plan.Code) string {
		var out []string
		for i := range n {
			out = append(out, string(code(i)))
		}
		return strings.Join(out, " ")
	}
	for name, c := range map[string][2]string{
		"users": {codes(len(userPolicies), func(i int) plan.Code { return userPolicies[i].code }),
			"unrecorded moved missing damaged revoked revoked issuer-changed key-mismatch key-changed subject-changed san-changed expired expired expiring usage-changed usage-changed " +
				"overlap-over passphrase-changed encoding-changed missing damaged upstream passphrase-changed missing damaged passphrase-changed encoding-changed upstream " +
				"encoding-changed encoding-changed passphrase-changed mode"},
		"ca": {codes(len(caPolicies), func(i int) plan.Code { return caPolicies[i].code }),
			"interrupted damaged unrecorded upstream key-changed missing damaged overlap-over expired expired expiring usage-changed missing passphrase-changed encoding-changed encoding-changed passphrase-changed missing damaged mode"},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: the chain is\n%s\nand should be\n%s", name, c[0], c[1])
		}
	}
}
