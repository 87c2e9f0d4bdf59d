package policy

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
	"mtlsplan/render"
)

const dayLong = 24 * time.Hour

// world is a directory in which all is as it should be, to be disturbed by a test.
// It was made an hour before now.
type world struct {
	t      *testing.T
	now    time.Time
	cfg    *config.Config
	have   *facts.Inventory
	ledger *ledger.Ledger
	ask    Ask
	key    crypto.Signer
	ca     *x509.Certificate
	serial int64
	people *people
}

// people are users whose facts are overwritten by the next call.
type people struct {
	list []*facts.User
	spec []int
	last facts.User
}

func (p *people) Len() int       { return len(p.list) }
func (p *people) Spec(i int) int { return p.spec[i] }
func (p *people) User(i int) *facts.User {
	p.last = *p.list[i]
	return &p.last
}

func newWorld(t *testing.T, names ...string) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC), people: &people{}}
	w.cfg = &config.Config{Output: "/out", CA: config.CA{
		Name: "m", Subject: pki.Subject{Organization: "M", CommonName: "CA"}, Key: pki.ECDSAP256, Validity: 3650 * dayLong, RenewBefore: 365 * dayLong,
		Passphrase: config.Source{Kind: config.Generated}, KDFIterations: 2048, Generation: 1, CRLValidity: 30 * dayLong, CRLRenewBefore: 10 * dayLong,
	}}
	w.have = &facts.Inventory{Users: w.people}
	led, err := ledger.Parse(ledger.Files{Number: ledger.Text{Data: []byte("02\n")}, Attr: ledger.Text{Data: []byte(ledger.Attributes)}})
	w.must(err)
	w.ledger = led
	w.key, w.ca = w.makeCA(1)
	w.record(ledger.Issue{Owner: "ca.m", Cert: w.ca})
	path := func(kind plan.Kind) facts.File {
		return facts.File{Kind: kind, Path: facts.CAPath("m", kind), Mode: facts.ModeOf(kind)}
	}
	w.have.CA = facts.CA{
		Owner: "ca.m", Passphrase: facts.Passphrase{File: path(plan.KindPass), Made: true},
		Key: facts.Key{File: path(plan.KindKey), Info: pki.KeyInfo{Encoding: pki.KeyEncoding, Iterations: 2048}, Opening: facts.OpensNow, Type: pki.ECDSAP256, SPKI: pki.PublicID(w.key.Public())},
		Crt: facts.CertificateFile{File: path(plan.KindCrt), Cert: certificate(w.ca), Alone: true, All: []*x509.Certificate{w.ca}},
	}
	w.have.CRL.File = path(plan.KindCRL)
	w.putCRL(w.signCRL(1))
	for _, name := range names {
		w.addUser(name)
	}
	w.addSite("app")
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) begin() time.Time { return w.now.Add(-time.Hour - pki.Backdate) }

func (w *world) record(changes ...ledger.Change) { w.ledger = w.ledger.With(changes...) }

func (w *world) nextSerial() *big.Int {
	w.serial++
	return big.NewInt(w.serial)
}

func (w *world) makeCA(generation int) (crypto.Signer, *x509.Certificate) {
	key, err := pki.ECDSAP256.Generate()
	w.must(err)
	subject, err := GenerationSubject(w.cfg.CA.Subject, generation).DER()
	w.must(err)
	der, err := pki.SignCA(pki.CARequest{Subject: subject, Serial: w.nextSerial(), NotBefore: w.begin(), NotAfter: w.begin().Add(3650*dayLong + pki.Backdate)}, key)
	w.must(err)
	cert, err := x509.ParseCertificate(der)
	w.must(err)
	return key, cert
}

// signCRL signs a CRL that lists some serials, for no reason.
func (w *world) signCRL(number int64, serials ...string) *x509.RevocationList {
	r := pki.CRLRequest{Number: big.NewInt(number), ThisUpdate: w.begin(), NextUpdate: w.now.Add(29 * dayLong)}
	for _, s := range serials {
		n, _ := new(big.Int).SetString(s, 16)
		r.Entries = append(r.Entries, x509.RevocationListEntry{SerialNumber: n, RevocationTime: w.begin()})
	}
	der, err := pki.SignCRL(r, w.ca, w.key)
	w.must(err)
	list, err := x509.ParseRevocationList(der)
	w.must(err)
	return list
}

func (w *world) putCRL(list *x509.RevocationList) {
	w.have.CRL.Lists = map[string]*x509.RevocationList{pki.PublicID(w.key.Public()): list}
}

// certify issues a certificate and tells nobody.
func (w *world) certify(s pki.Subject, public crypto.PublicKey, serial *big.Int) *x509.Certificate {
	subject, err := s.DER()
	w.must(err)
	der, err := pki.SignUser(pki.UserRequest{Subject: subject, Public: public, Serial: serial, NotBefore: w.begin(), NotAfter: w.begin().Add(365*dayLong + pki.Backdate)}, w.ca, w.key)
	w.must(err)
	cert, err := x509.ParseCertificate(der)
	w.must(err)
	return cert
}

func certificate(c *x509.Certificate) *facts.Certificate {
	name, rest, err := pki.ParseSubject(c.RawSubject)
	return &facts.Certificate{
		Sum: sha256.Sum256(c.Raw), Serial: pki.SerialHex(c.SerialNumber), SPKI: pki.PublicID(c.PublicKey), Subject: string(c.RawSubject), Name: name,
		Plain: err == nil && len(rest) == 0, Issuer: string(c.RawIssuer), Authority: string(c.AuthorityKeyId), NotBefore: c.NotBefore, NotAfter: c.NotAfter, Version: c.Version, X509: c,
	}
}

// addUser adds a user for whom there is nothing to do.
func (w *world) addUser(name string) *facts.User {
	key, err := pki.ECDSAP256.Generate()
	w.must(err)
	spec := config.User{
		Name: name, Subject: pki.Subject{Organization: "M", CommonName: name}, Key: pki.ECDSAP256, Validity: 365 * dayLong, RenewBefore: 30 * dayLong,
		Passphrase: config.Source{Kind: config.Generated}, P12: []pki.Profile{pki.Compat}, KDFIterations: 2048,
	}
	cert := w.certify(spec.Subject, key.Public(), w.nextSerial())
	w.record(ledger.Issue{Owner: "user." + name, Cert: cert})
	u := w.files(name, certificate(cert))
	w.people.list, w.people.spec = append(w.people.list, u), append(w.people.spec, len(w.cfg.Users))
	w.cfg.Users = append(w.cfg.Users, spec)
	return u
}

// files are the files of a user, as they were made with a certificate.
func (w *world) files(name string, c *facts.Certificate) *facts.User {
	path := func(kind plan.Kind) facts.File {
		return facts.File{Kind: kind, Path: facts.UserPath(facts.Base(name, "m"), kind), Mode: facts.ModeOf(kind)}
	}
	return &facts.User{
		Owner: plan.User(name), Passphrase: facts.Passphrase{File: path(plan.KindPass), Made: true},
		Key:      facts.Key{File: path(plan.KindKey), Info: pki.KeyInfo{Encoding: pki.KeyEncoding, Iterations: 2048}, Opening: facts.OpensNow, Type: pki.ECDSAP256, SPKI: c.SPKI},
		CSR:      facts.RequestFile{File: path(plan.KindCSR), Request: &facts.Request{Subject: c.Subject, SPKI: c.SPKI, Type: pki.ECDSAP256}},
		Crt:      facts.CertificateFile{File: path(plan.KindCrt), Cert: c, Alone: true},
		P12:      []facts.P12{{File: path(plan.KindP12), Profile: pki.Compat, Info: pki.P12Info{Profile: pki.Compat, Encoding: "3DES + SHA-1", Iterations: 2048}, Opening: facts.OpensNow, Cert: c.Sum, SPKI: c.SPKI}},
		Recorded: c,
	}
}

// byCSR lets a user be one who has made the key.
func (w *world) byCSR(i int) *facts.User {
	u, spec := w.people.list[i], &w.cfg.Users[i]
	spec.CSR, spec.P12, spec.Passphrase = "/in/"+spec.Name+".csr", nil, config.Source{}
	u.Passphrase, u.P12 = facts.Passphrase{File: facts.File{Missing: true}}, nil
	u.Key = facts.Key{File: facts.File{Missing: true}, Type: u.Key.Type, SPKI: u.Key.SPKI}
	asked := *u.CSR.Request
	asked.Key = u.Crt.Cert.X509.PublicKey
	u.Asked = &asked
	return u
}

// depart takes a user out of the spec; the files stay.
func (w *world) depart(i int) *facts.Departed {
	u := w.people.list[i]
	w.people.list = append(w.people.list[:i:i], w.people.list[i+1:]...)
	w.cfg.Users = append(w.cfg.Users[:i:i], w.cfg.Users[i+1:]...)
	w.people.spec = w.people.spec[:len(w.people.list)]
	w.have.Departed = append(w.have.Departed, facts.Departed{
		Owner: u.Owner, Crt: u.Crt, Files: []facts.File{u.Passphrase.File, u.Key.File, u.CSR.File, u.Crt.File, u.P12[0].File},
	})
	return &w.have.Departed[len(w.have.Departed)-1]
}

// rename lets the ledger know a user by a former name, and a moved block give the one that
// the user has.
func (w *world) rename(u *facts.User, former string) *facts.Moved {
	from := plan.User(former)
	var certs [][]byte
	for _, e := range w.ledger.CertificatesOf(string(u.Owner)) {
		certs = append(certs, e.DER)
	}
	w.record(ledger.Rename{From: string(u.Owner), To: string(from), Certs: certs})
	w.cfg.Moved = append(w.cfg.Moved, config.Moved{From: from, To: u.Owner, Listed: true})
	w.have.Moved = append(w.have.Moved, facts.Moved{From: from, To: u.Owner, Listed: true, Files: []facts.File{u.Key.File}, Names: []string{former + "-m.key"}, Certs: certs})
	return &w.have.Moved[len(w.have.Moved)-1]
}

// addSite adds a site of a proxy that writes down what it was given.
func (w *world) addSite(name string) {
	site := config.Site{Name: name, Settings: render.Settings{File: "proxy/" + name}, Proxy: &render.Proxy{Name: "proxy", NamesUsers: func(render.Settings) bool { return false }, Render: func(s render.Site) []render.File {
		return []render.File{{Name: s.File, Data: fmt.Appendln(nil, s.ClientCA, s.Revoked, s.Generation, s.Upstream)}}
	}}}
	w.cfg.Sites = append(w.cfg.Sites, site)
	s := facts.Site{Owner: plan.Site("proxy", name)}
	for _, f := range RenderSite(w.cfg, site, Public{Trusted: []*x509.Certificate{w.ca}}) {
		sum := sha256.Sum256(f.Data)
		s.Files = append(s.Files, facts.Rendered{File: facts.File{Kind: plan.KindSite, Path: facts.At(f.Name), Mode: 0o644}, Sum: sum})
		w.record(ledger.Render{Path: f.Name, Sum: sum})
	}
	w.have.Sites = append(w.have.Sites, s)
}

func (w *world) judge() *Verdict {
	return Judge(Question{Config: w.cfg, Have: w.have, Ledger: w.ledger, Now: w.now, Ask: w.ask})
}

// want compares a plan with lines, one a step, a note or a failure.
func (w *world) want(v *Verdict, lines ...string) {
	w.t.Helper()
	if have, want := text(v.Plan), strings.Join(lines, "\n"); have != want {
		w.t.Errorf("the plan is\n%s\nand should be\n%s", have, want)
	}
	for i, task := range v.Tasks {
		if task.Step.Owner != v.Plan.Steps[i].Owner || len(v.Tasks) != len(v.Plan.Steps) {
			w.t.Errorf("task %d is of %s, the step of %s", i, task.Step.Owner, v.Plan.Steps[i].Owner)
		}
	}
}

func text(p *plan.Plan) string {
	var out []string
	for _, s := range p.Steps {
		line := fmt.Sprintf("%s %s %s:", s.Owner, s.Action, strings.Join(s.Artefacts, " "))
		for _, r := range s.Reasons {
			line += " " + string(r.Code)
			if r.Field != "" {
				line += "(" + r.Field + ")"
			}
		}
		out = append(out, line)
	}
	for _, n := range p.Notes {
		out = append(out, fmt.Sprintf("note %s %s", n.Owner, n.Code))
	}
	for _, f := range p.Failures {
		out = append(out, fmt.Sprintf("failure %s %s", f.Owner, f.Code))
	}
	return strings.Join(out, "\n")
}
