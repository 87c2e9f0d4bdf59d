package engine

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"

	"mtlsplan/internal/outdir"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/secret"
)

// built is what a task comes to, in memory: nothing of it is on disk yet.
type built struct {
	task    *task
	issued  []*x509.Certificate
	request pki.UserRequest // what a user's issued one was asked to be
	asked   pki.CARequest   // the same of the CA's
	before  []string        // files that go before the new ones come (I5)
	puts    []put
	after   []string // files that go last
	moves   []move   // files that go to db/retired
	opened  []opened // what its proofs have opened
	known   bool     // its digest tells all that
	then    func()   // what follows for the rest of the run, once all is proven
	err     error    // the owner is left as it was
}

type put struct {
	name  string
	data  []byte
	mode  fs.FileMode
	proof proof
}

type move struct{ from, to string }

func (b *built) put(kind, name string, data []byte, p proof) {
	b.puts = append(b.puts, put{name, data, kindMode(kind), p})
}

// unlock opens a key file with the passphrase that opened it when it was observed.
func unlock(k keyFacts, p passphrases) (crypto.Signer, error) {
	pass := p.now
	if k.opened == opensPrevious {
		pass = p.previous
	}
	key, err := pki.OpenKey(k.data, pass)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k.name, err)
	}
	return key, nil
}

// newPassphrase makes a generated passphrase when the task asks for one.
func (b *built) newPassphrase(p passphrases) secret.Value {
	if !b.task.mustMake(kindPass) {
		return p.now
	}
	pass := secret.Random()
	b.put(kindPass, p.file.name, []byte(pass.Reveal()+"\n"), provesPassphrase(pass))
	return pass
}

// putKey encrypts a key and puts it.
func (e *executor) putKey(b *built, name string, key crypto.Signer, pass secret.Value, iterations int) error {
	data, err := pki.EncryptKey(key, pass, iterations)
	if err == nil {
		b.put(kindKey, name, data, e.provesKey(b, key.Public(), pass, iterations))
	}
	return err
}

// buildUser makes what a user's task asks for.
func (e *executor) buildUser(b *built) error {
	t, u := b.task, b.task.user
	file := func(kind string) string { return userFile(e.s.cfg, u.spec.Name, kind) }
	for _, f := range t.removes {
		if u.asked != nil {
			// The only copy of a key may be among them.
			b.moves = append(b.moves, move{f.name, retiredName(e.s.dir, f.name)})
			continue
		}
		b.after = append(b.after, f.name)
	}
	if len(t.makes) == 0 {
		return nil
	}
	if u.asked != nil {
		return e.csrFiles(t, b)
	}
	pass := b.newPassphrase(u.pass)
	var key crypto.Signer
	var err error
	if t.newKey {
		if key, err = u.spec.Key.Generate(); err != nil {
			return err
		}
		b.before = u.present()
	} else if key, err = unlock(u.key, u.pass); err != nil {
		return err
	}
	cert := t.certificate()
	subject, err := u.spec.Subject.DER()
	if err != nil {
		return err
	}
	if t.newCert {
		if cert, err = e.issue(b, u, key.Public(), subject, *t.step.NotAfter); err != nil {
			return err
		}
		b.issued = append(b.issued, cert)
	} else if cert != nil {
		subject = cert.RawSubject
	}
	if t.mustMake(kindKey) {
		if err := e.putKey(b, file(kindKey), key, pass, u.spec.KDFIterations); err != nil {
			return err
		}
	}
	if t.mustMake(kindCSR) {
		der, err := pki.MakeCSR(subject, u.spec.SANs(), u.challenge, key)
		if err != nil {
			return err
		}
		b.put(kindCSR, file(kindCSR), pki.EncodeCSR(der), provesCSR(key.Public(), subject, u.spec.SANs()))
	}
	if t.mustMake(kindCrt) {
		b.put(kindCrt, file(kindCrt), pki.EncodeCertificate(cert.Raw), e.provesUserCert(b, cert, key.Public()))
	}
	for _, p := range u.p12 {
		if !t.mustMake(p.kind) {
			continue
		}
		chain, err := e.chain(cert)
		if err != nil {
			return err
		}
		data, err := pki.EncodeP12(p.profile, key, cert, chain, pass, u.spec.KDFIterations)
		if err != nil {
			return err
		}
		b.put(p.kind, file(p.kind), data, e.provesP12(b, p, cert, chain, pass, u.spec.KDFIterations))
	}
	if t.newCert && u.spec.ChallengePassword.IsZero() && e.s.stats != nil && !e.s.opt.Adopt { // else nobody asks for digests
		b.then = func() { b.known = e.s.digests.proven(e.s.cfg, u, b.puts) }
	}
	return nil
}

// chain is what a .p12 holds beside key and certificate: the CA certificate
// that is current now.
func (e *executor) chain(cert *x509.Certificate) ([]*x509.Certificate, error) {
	if cert == nil {
		return nil, errors.New("there is no certificate to put into a .p12")
	}
	facts := &certFacts{issuer: string(cert.RawIssuer), authority: string(cert.AuthorityKeyId), full: cert}
	for _, ca := range e.trusted {
		if issuedBy(facts, ca) {
			return []*x509.Certificate{ca}, nil
		}
	}
	return nil, errors.New("no CA certificate at hand has issued the certificate")
}

func (e *executor) issue(b *built, u *userFacts, public crypto.PublicKey, subject []byte, notAfter time.Time) (*x509.Certificate, error) {
	ca := e.trusted[0]
	caKey, err := e.signer(pki.PublicID(ca.PublicKey))
	if err != nil {
		return nil, err
	}
	notBefore := e.now().Add(-backdate)
	if notBefore.Before(ca.NotBefore) {
		notBefore = ca.NotBefore
	}
	b.request = pki.UserRequest{
		Subject: subject, SANs: u.spec.SANs(), Public: public,
		Serial: e.serial(), NotBefore: notBefore, NotAfter: notAfter,
	}
	der, err := pki.SignUser(b.request, ca, caKey)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// buildLeft retires a user's files; the passphrase leaves after the key.
func (e *executor) buildLeft(b *built) error {
	t := b.task
	slices.SortStableFunc(t.removes, func(a, c fileFacts) int { return boolInt(a.kind == kindPass) - boolInt(c.kind == kindPass) })
	for _, f := range t.removes {
		b.moves = append(b.moves, move{f.name, retiredName(e.s.dir, f.name)})
	}
	return nil
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// retiredName is a free name in db/retired: a user may leave more than once.
func retiredName(dir *outdir.Dir, name string) string {
	base := outdir.DB + "/retired/" + path.Base(name)
	to := base
	for n := 1; ; n++ {
		if _, exists := dir.FileMode(to); !exists {
			return to
		}
		to = fmt.Sprintf("%s.%d", base, n)
	}
}

// buildSite renders what the database says by now.
func (e *executor) buildSite(b *built) error {
	if s := b.task.site; b.task.mustMake(kindSite) {
		site := siteOf(e.obs, s.spec, refused(e.crl, serials(crlRows(e.obs, e.dropped))), len(e.trusted))
		text := withDigest(s.spec.Proxy.Render(site)[0].Data)
		b.put(kindSite, s.name, text, provesSite(bytes.Clone(text)))
	}
	return nil
}

// revoke takes a task's revocations into the database.
func (e *executor) revoke(t *task) {
	when := e.now().Add(-backdate).Truncate(time.Second).UTC()
	for _, r := range t.revokes {
		e.obs.db.revoke(r.Serial, when, t.reason)
	}
}
