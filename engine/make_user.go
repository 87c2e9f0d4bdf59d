package engine

import (
	"cmp"
	"crypto"
	"crypto/x509"
	"errors"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/inventory"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
)

// makeUser makes what a user's task asks for.
func (c *carryOut) makeUser(r *result) error {
	t, u := r.task, c.user(r.task)
	switch {
	case u.CSR != "":
		// The only copy of a key may be among them.
		r.retire(c.retiredName)
	default:
		for _, f := range t.Removes {
			r.after = append(r.after, f.Name())
		}
	}
	if len(t.Makes) == 0 {
		return nil
	}
	m, err := c.in.User(t.Index)
	if err != nil {
		return err
	}
	if !t.NewPass && m.Facts.Passphrase.Err != nil {
		return m.Facts.Passphrase.Err
	}
	if m.Facts.ChallengeErr != nil {
		return m.Facts.ChallengeErr
	}
	switch {
	case t.NewKey:
		r.before = madeFromCert(m.Facts)
	case t.NewCert && !m.Facts.Key.InP12: // unless it is the only copy of the key
		r.before = p12Names(m.Facts)
	}
	if t.NewKey && t.NewPass && !m.Facts.Key.Missing && !m.Facts.Key.InP12 {
		r.before = append(r.before, m.Facts.Key.Name()) // it does not open with the new passphrase
	}
	if u.CSR != "" {
		if pki.PublicID(m.Request.Public) != t.Key {
			return errChanged(u.CSR)
		}
		return c.makeFromRequest(r, u, m)
	}
	path := c.pathsOf(u)
	if m.Facts.Passphrase.Closed != nil && !t.NewKey && !t.Opens() { // the certificate alone, from the database
		cert, err := c.certificate(r, u, m, nil)
		if err != nil || cert == nil {
			return cmp.Or(err, errNoCertificate)
		}
		return c.crt(r, path(plan.KindCrt), cert, cert.PublicKey)
	}
	pass, err := r.passphrase(m.Passphrase, u.Seal, path)
	if err != nil {
		return err
	}
	var key crypto.Signer
	if t.NewKey {
		key, err = u.Key.Generate()
	} else {
		key, err = m.OpenKey()
	}
	if err != nil {
		return err
	}
	if !t.NewKey && pki.PublicID(key.Public()) != t.Key {
		return errChanged(path(plan.KindKey).String())
	}
	cert, err := c.certificate(r, u, m, key.Public())
	if err != nil {
		return err
	}
	if t.MustMake(plan.KindKey) {
		if err := r.key(path(plan.KindKey), key, pass, u.KDFIterations, &c.firsts); err != nil {
			return err
		}
	}
	if t.MustMake(plan.KindCSR) {
		if err := r.csr(path(plan.KindCSR), u, key, cert, m); err != nil {
			return err
		}
	}
	if err := c.crt(r, path(plan.KindCrt), cert, key.Public()); err != nil {
		return err
	}
	for i, profile := range u.P12 {
		kind := facts.P12Kind(i, profile)
		if !t.MustMake(kind) {
			continue
		}
		chain, err := c.chain(cert)
		if err != nil {
			return err
		}
		keys := pki.NewKeys(pass)
		data, err := profile.Encode(key, cert, chain, keys, u.KDFIterations)
		if err != nil {
			return err
		}
		r.put(kind, path(kind), data, provesP12(profile, cert, chain, keys, pass, u.KDFIterations, &c.firsts))
	}
	r.then = func() { c.in.Made(u, r.content(), pass, cert) }
	return nil
}

// certificate is the one that the user's files are made with: a new one, or the
// one that stays; nil for neither.
func (c *carryOut) certificate(r *result, u *config.User, m *inventory.Material, public crypto.PublicKey) (*x509.Certificate, error) {
	switch t := r.task; {
	case t.NewCert:
		subject, err := u.Subject.DER()
		if err != nil {
			return nil, err
		}
		return c.issue(r, public, subject, u.SANs())
	case t.Keep != ledger.Sum{}:
		return c.in.Certificate(m, t.Keep)
	}
	return nil, nil
}

// csr makes the request that the certificate answers.
func (r *result) csr(path facts.Path, u *config.User, key crypto.Signer, cert *x509.Certificate, m *inventory.Material) error {
	subject, sans := []byte(nil), u.SANs()
	var err error
	if cert != nil {
		subject, sans = cert.RawSubject, pki.SANs(cert) // an address may be spelt otherwise in it
	} else if subject, err = u.Subject.DER(); err != nil {
		return err
	}
	der, err := pki.MakeCSR(subject, sans, m.Challenge, key)
	if err != nil {
		return err
	}
	r.put(plan.KindCSR, path, pki.EncodeCSR(der), provesCSR(key.Public(), subject, sans))
	return nil
}

// makeFromRequest makes what the task of a csr user asks for: the key is the
// user's own, and of the request only the public key is used.
func (c *carryOut) makeFromRequest(r *result, u *config.User, m *inventory.Material) error {
	path, public := c.pathsOf(u), m.Request.Public
	cert, err := c.certificate(r, u, m, public)
	if err != nil {
		return err
	}
	if r.task.MustMake(plan.KindCSR) {
		r.put(plan.KindCSR, path(plan.KindCSR), pki.EncodeCSR(m.Request.Raw), provesCSR(public, nil, nil))
	}
	return c.crt(r, path(plan.KindCrt), cert, public)
}

// crt puts the certificate, if the task asks for its file.
func (c *carryOut) crt(r *result, path facts.Path, cert *x509.Certificate, public crypto.PublicKey) error {
	if !r.task.MustMake(plan.KindCrt) {
		return nil
	}
	if cert == nil {
		return errNoCertificate
	}
	r.put(plan.KindCrt, path, pki.EncodeCertificate(cert.Raw), provesUserCert(r, cert, public, c.trusted[0]))
	return nil
}

// pathsOf gives the paths of a user's files.
func (c *carryOut) pathsOf(u *config.User) func(plan.Kind) facts.Path {
	base := facts.Base(u.Name, c.cfg.CA.Name)
	return func(kind plan.Kind) facts.Path { return facts.UserPath(base, kind) }
}

// errChanged says that a file no longer holds the key that was judged.
func errChanged(name string) error {
	return plan.Errorf(plan.FileError, "%s was changed while the run was under way: run again", name)
}

var errNoCertificate = errors.New("there is no certificate to make the files of")

// madeFromCert are the names of the files made from the certificate that are there.
func madeFromCert(u *facts.User) []string {
	if u.Crt.Missing {
		return p12Names(u)
	}
	return append([]string{u.Crt.Name()}, p12Names(u)...)
}

// p12Names are the names of the .p12 files that are there.
func p12Names(u *facts.User) []string {
	var out []string
	for _, p := range u.P12 {
		if !p.Missing {
			out = append(out, p.Name())
		}
	}
	return out
}

// chain is what a .p12 holds beside key and certificate: that of the CA which has
// issued the certificate, as it is now.
func (c *carryOut) chain(cert *x509.Certificate) ([]*x509.Certificate, error) {
	if cert == nil {
		return nil, errNoCertificate
	}
	for _, ca := range c.trusted {
		if pki.IssuedBy(ca, string(cert.RawIssuer), string(cert.AuthorityKeyId), func() *x509.Certificate { return cert }) {
			return c.authority(ca).Chain(), nil
		}
	}
	return nil, errors.New("no CA certificate at hand has issued the certificate")
}
