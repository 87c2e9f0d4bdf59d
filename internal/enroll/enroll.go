// Package enroll is the side of a user who keeps the key: it makes key and request in the
// user's own directory, and a .p12 of the key and the certificate that comes back.
package enroll

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mtlsplan/internal/config"
	"mtlsplan/internal/handout"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/secret"
)

// generatedIterations are enough where the passphrase has 140 random bits.
const generatedIterations = 2048

// most is the longest file that is read, in bytes.
const most = 1 << 20

// Home is where a user's files lie: NAME.key, NAME.csr, NAME.p12, and NAME.pass where the
// passphrase was generated.
type Home struct{ Dir, Name string }

// Path is that of the file with an ending.
func (h Home) Path(ending string) string { return filepath.Join(h.Dir, h.Name+"."+ending) }

// read reads a file; nil where there is none.
func read(path string) ([]byte, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, plan.Errorf(plan.FileError, "%w", err)
	case !info.Mode().IsRegular() || info.Size() > most:
		return nil, plan.Errorf(plan.FileError, "%s is no plain file of a usual size: move it away, or name another directory with -o", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, plan.Errorf(plan.FileError, "%w", err)
	}
	return data, nil
}

// Generated is the passphrase that was generated in an earlier run; zero where there is
// none.
func (h Home) Generated() (secret.Value, error) {
	data, err := read(h.Path("pass"))
	if err != nil || data == nil {
		return secret.Value{}, err
	}
	return secret.Line(data), nil
}

// HasKey reports whether there is a key already.
func (h Home) HasKey() bool {
	_, err := os.Lstat(h.Path("key"))
	return err == nil
}

// Made is what a request consists of.
type Made struct {
	Key, CSR string // paths
	SPKI     string // [pki.PublicID] of the key
	KeptKey  bool   // the key was there before
	KeptCSR  bool   // so was a request for it
}

// Request makes a key and a request for it. A key that is there is kept, and opened for a
// request that is missing, so that a run that was cut short can be done again; where the
// type is asked for, and no default, it must be of that. Nothing is overwritten. With
// generated, the passphrase is put into NAME.pass, before the key.
func (h Home) Request(typ pki.KeyType, asked bool, pass secret.Value, generated bool) (m Made, err error) {
	if err := secret.Check(pass); err != nil {
		return m, plan.Errorf(plan.Usage, "%w", err)
	}
	keyFile, err := read(h.Path("key"))
	if err != nil {
		return m, err
	}
	csrFile, err := read(h.Path("csr"))
	if err != nil {
		return m, err
	}
	var key crypto.Signer
	if keyFile != nil {
		m.KeptKey = true
		key, err = openKey(h.Path("key"), keyFile, pass)
	} else {
		key, err = typ.Generate()
	}
	if err != nil {
		return m, err
	}
	if have := pki.KeyTypeOf(key.Public()); m.KeptKey && asked && have != typ {
		return m, plan.Errorf(plan.TargetExists, "%s is there, is kept and is of the type %s, not %s: leave --key out to go on with it, or name another directory with -o for another key", h.Path("key"), have, typ)
	}
	m.Key, m.CSR, m.SPKI = h.Path("key"), h.Path("csr"), pki.PublicID(key.Public())
	if csrFile != nil {
		have, err := pki.ParseCSR(csrFile)
		if err != nil || pki.PublicID(have.Public) != m.SPKI {
			return m, plan.Errorf(plan.TargetExists, "%s is there and is no request for this key: move it away, or name another directory with -o", m.CSR)
		}
		m.KeptCSR = true
	}
	subject, err := pki.Subject{CommonName: h.Name}.DER()
	if err != nil {
		return m, plan.Errorf(plan.Usage, "%q cannot be the name in a request: %w", h.Name, err)
	}
	csr, err := pki.MakeCSR(subject, nil, nil, key)
	if err != nil {
		return m, err
	}
	if !m.KeptKey {
		if keyFile, err = sealKey(key, pass); err != nil {
			return m, err
		}
	}
	var files []handout.File
	if kept, err := h.Generated(); err != nil {
		return m, err
	} else if generated && kept.IsZero() {
		files = append(files, handout.File{Name: h.Name + ".pass", Data: []byte(pass.Reveal() + "\n")})
	}
	if !m.KeptKey {
		files = append(files, handout.File{Name: h.Name + ".key", Data: keyFile})
	}
	if !m.KeptCSR {
		files = append(files, handout.File{Name: h.Name + ".csr", Data: pki.EncodeCSR(csr)})
	}
	return m, h.create(files, false)
}

// sealKey encrypts a key, and opens it again with the passphrase alone.
func sealKey(key crypto.Signer, pass secret.Value) ([]byte, error) {
	data, err := pki.EncryptKey(key, pki.NewKeys(pass), iterations(pass))
	if err != nil {
		return nil, err
	}
	again, err := pki.OpenKey(data, pass)
	if err != nil || pki.PublicID(again.Public()) != pki.PublicID(key.Public()) {
		return nil, plan.Errorf(plan.SelfCheck, "the key that was made does not open with its passphrase, so nothing was written")
	}
	return data, nil
}

func iterations(pass secret.Value) int {
	if pass.IsRandom() {
		return generatedIterations
	}
	return config.IterationsChosen
}

func openKey(path string, data []byte, pass secret.Value) (crypto.Signer, error) {
	key, err := pki.OpenKey(data, pass)
	switch {
	case errors.Is(err, pki.ErrPassphrase):
		return nil, plan.Errorf(plan.PassphraseWrong, "%s: this passphrase does not open it", path)
	case err != nil:
		return nil, plan.Errorf(plan.Unreadable, "%s: %w", path, err)
	}
	return key, nil
}

func (h Home) create(files []handout.File, overwrite bool) error {
	err := handout.Create(h.Dir, files, overwrite)
	switch {
	case errors.Is(err, handout.ErrTaken):
		return plan.Errorf(plan.TargetExists, "%w", err)
	case err != nil:
		return plan.Errorf(plan.FileError, "%w", err)
	}
	return nil
}

// Bundled is what a .p12 was made of.
type Bundled struct {
	P12  string // path
	Cert *x509.Certificate
	Kept bool // it was there before
}

// Bundle makes NAME.p12 of the key and the certificate among certs that belongs to it; the
// other certificates that are CAs go with it. What was written is opened again with the
// passphrase alone. A .p12 of another certificate is replaced with overwrite alone.
func (h Home) Bundle(certs []*x509.Certificate, profile pki.Profile, pass secret.Value, overwrite bool) (b Bundled, err error) {
	keyFile, err := read(h.Path("key"))
	if err == nil && keyFile == nil {
		err = plan.Errorf(plan.FileError, "%s is not there: name the directory of mtlsplan request with -o", h.Path("key"))
	}
	if err != nil {
		return b, err
	}
	key, err := openKey(h.Path("key"), keyFile, pass)
	if err != nil {
		return b, err
	}
	spki := pki.PublicID(key.Public())
	at := slices.IndexFunc(certs, func(c *x509.Certificate) bool { return pki.PublicID(c.PublicKey) == spki })
	if at < 0 {
		return b, plan.Errorf(plan.KeyMismatch, "none of the certificates is for the key %s: ask for the one that answers %s", h.Path("key"), h.Path("csr"))
	}
	b.P12, b.Cert = h.Path("p12"), certs[at]
	have, err := read(b.P12)
	if err != nil {
		return b, err
	}
	if have != nil {
		if inside, err := profile.Open(have, pass); err == nil && inside.Cert.Equal(b.Cert) {
			b.Kept = true
			return b, nil
		}
	}
	var chain []*x509.Certificate
	for _, c := range certs {
		if c.IsCA {
			chain = append(chain, c)
		}
	}
	data, err := profile.Encode(key, b.Cert, chain, pki.NewKeys(pass), max(iterations(pass), profile.MinIterations()))
	if err != nil {
		return b, err
	}
	inside, err := profile.Open(data, pass)
	if err != nil || !inside.Cert.Equal(b.Cert) || pki.PublicID(inside.Key.Public()) != spki {
		return b, plan.Errorf(plan.SelfCheck, "the .p12 that was made does not open with the passphrase, so it was not written")
	}
	return b, h.create([]handout.File{{Name: h.Name + ".p12", Data: data}}, overwrite)
}

// ErrKey says that a file is the user's own key, which is no reason to give it up.
var ErrKey = errors.New("is the key itself: name the certificate that you were given back")

// Certificates reads a file of certificates as it came back, in PEM or DER. What is
// encoded as a key is [ErrKey].
func Certificates(data []byte) ([]*x509.Certificate, error) {
	if block, _ := pem.Decode(data); block != nil && strings.HasSuffix(block.Type, "PRIVATE KEY") {
		return nil, ErrKey
	}
	if certs, err := x509.ParseCertificates(data); err == nil && len(certs) > 0 {
		return certs, nil
	}
	certs, err := pki.ParseCertificates(bytes.TrimPrefix(data, []byte("\ufeff")))
	if err == nil && len(certs) == 0 {
		err = errors.New("there is no certificate in it")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: name the file that you were given back", err)
	}
	return certs, nil
}
