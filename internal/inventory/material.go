package inventory

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"fmt"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/secret"
	"mtlsplan/internal/statcache"
)

// Material is what it takes to make a user's files anew: secrets and all, of the
// files as they are now. It is never kept.
type Material struct {
	Facts      *facts.User  // complete
	Passphrase secret.Value // zero for a generated one that was never made
	Challenge  secret.Value // the challenge password, zero for none
	Request    *pki.CSR     // that a csr user has made, nil for other users

	passphrases
	opens  secret.Value  // what opens the key
	inside crypto.Signer // the key that was in a .p12, see [facts.Key]
	files  []file        // in the order of kindsOf, nil of a csr user
	digest statcache.Digest
}

// OpenKey opens the key, with whichever passphrase opens it.
func (m *Material) OpenKey() (crypto.Signer, error) {
	if m.inside != nil {
		return m.inside, nil
	}
	if m.files == nil {
		return nil, fmt.Errorf("%s is not there", m.Facts.Key.Name())
	}
	if m.Facts.Passphrase.Closed != nil {
		return nil, m.Facts.Passphrase.Closed
	}
	return openKey(m.Facts.Key.File, m.files[atKey].content.Data, m.opens)
}

func openKey(f facts.File, data []byte, pass secret.Value) (crypto.Signer, error) {
	key, err := pki.OpenKey(data, pass)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return key, nil
}

// User reads what it takes to make the files of the i-th user of the inventory that
// was taken last. An error is of files that cannot be read; of secrets the facts
// have it. It may be called by several goroutines.
func (r *Reader) User(i int) (*Material, error) {
	s, u := &r.users.slots[i], r.users.config(i)
	if s.absent {
		m := &Material{Facts: &facts.User{}}
		absent(m.Facts, u, s.owner, r.base(u))
		return m, nil
	}
	m := r.readUser(u)
	f := m.Facts
	if f.Err != nil {
		return nil, f.Err
	}
	switch {
	case s.full == nil:
		f.Recorded = f.Crt.Cert
	case s.full.Recorded == nil:
	case f.Crt.Cert != nil && f.Crt.Cert.Sum == s.full.Recorded.Sum:
		f.Recorded = f.Crt.Cert
	default:
		f.Recorded = s.full.Recorded
	}
	return m, nil
}

// Certificate is a certificate of a user: the one in place, or the one that the
// ledger holds for the key.
func (r *Reader) Certificate(m *Material, sum ledger.Sum) (*x509.Certificate, error) {
	for _, c := range []*facts.Certificate{m.Facts.Crt.Cert, m.Facts.Recorded} {
		if c != nil && c.Sum == sum && c.X509 != nil {
			return c.X509, nil
		}
	}
	return nil, fmt.Errorf("the certificate of %s was changed while it was read: run again", m.Facts.Owner)
}

// CAMaterial is what it takes to make the CA's files anew.
type CAMaterial struct {
	Passphrase secret.Value // zero for a generated one that was never made
	KeyFile    []byte       // nil for none

	passphrases
	pass  facts.Passphrase
	key   facts.Key
	opens secret.Value
	err   error
}

// OpenKey opens the key, with whichever passphrase opens it.
func (m *CAMaterial) OpenKey() (crypto.Signer, error) {
	if m.pass.Closed != nil {
		return nil, m.pass.Closed
	}
	return openKey(m.key.File, m.KeyFile, m.opens)
}

// CA reads what it takes to make the CA's files anew.
func (r *Reader) CA() (*CAMaterial, error) {
	m := r.readCA()
	return m, firstOf(m.err, m.pass.Err)
}

// PastKey opens the key of an earlier generation, with the CA's passphrase or its
// previous one.
func (r *Reader) PastKey(n int) (crypto.Signer, error) {
	m, err := r.CA()
	if err != nil {
		return nil, err
	}
	f, err := r.file(plan.KindKey, facts.PastKeyPath(r.opt.Config.CA.Name, n))
	if err != nil {
		return nil, err
	}
	if m.pass.Closed != nil {
		return nil, m.pass.Closed
	}
	_, opens := r.key(f, m.passphrases, nil, nil)
	return openKey(f.File, f.content.Data, opens)
}

// Made tells what a run has made for a user, by its path, and has opened itself
// with the passphrase. If it comes to lie on the disk as it was made, it need not
// be opened there.
func (r *Reader) Made(u *config.User, made map[string][]byte, pass secret.Value, cert *x509.Certificate) {
	if u.CSR != "" || cert == nil || !r.cache.Works() {
		return
	}
	base, files := r.base(u), []file(nil)
	for _, kind := range kindsOf(u) {
		path := facts.UserPath(base, kind)
		data, ok := made[path.String()]
		f := file{File: facts.File{Kind: kind, Path: path, Missing: !ok}}
		f.content.Data = data
		files = append(files, f)
	}
	digest := digestOf(u.Passphrase, pass, files)
	if digest != (statcache.Digest{}) && u.ChallengePassword.IsZero() && !r.opt.Adopt && !r.opt.Thorough {
		r.cache.Prove(string(plan.User(u.Name)), digest)
		return
	}
	for i, f := range files {
		switch c := contentsOf(cert.PublicKey); {
		case f.Missing || i != atKey && i < atP12:
		case i == atKey:
			r.opened.add(f.content.Data, pass, c)
		default:
			c.cert = sha256.Sum256(cert.Raw)
			r.opened.add(f.content.Data, pass, c)
		}
	}
}

// MadeKey is Made for a key of the CA.
func (r *Reader) MadeKey(data []byte, pass secret.Value, key crypto.PublicKey) {
	r.opened.add(data, pass, contentsOf(key))
}
