package pki

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"mtlsplan/internal/p12"
)

// container is one kind of file that holds key, certificate and CA certificates
// under a passphrase of printable ASCII: what the spec's attribute p12 names.
//
// encode knows no clock and draws what is random itself. inspect needs no
// passphrase, and bounds the work that open may do on a file that somebody else
// has made. Their errors are [ErrPassphrase], [ErrDamaged] and [ErrUnsupported].
// reopen reads only what encode has written with the same keys, and derives none.
type container struct {
	profile Profile
	doc     string // for the reference, behind the profile's name
	ending  string // of the file's name, where it is the first of a user
	further string // the same of a further one
	least   int    // iterations of the key derivation; 0 where the format counts none
	old     string // its ciphers, where they are old ones
	encode  func(key crypto.Signer, cert *x509.Certificate, chain []*x509.Certificate, keys *Keys, iterations int) ([]byte, error)
	inspect func(data []byte) (P12Info, error)
	open    func(data []byte, pass Passphrase) (*P12, error)
	reopen  func(data []byte, keys *Keys) (*P12, error)
}

// containers are all there are. The reading, the policies, the making, the check
// and the reference go by this table.
//
// 2,048 iterations are what OpenSSL and go-pkcs12 use with 3DES.
var containers = []container{
	{Compat, "3DES + SHA-1, opens everywhere", "p12", "compat.p12", 2048, "3DES and SHA-1", encodeP12(p12.TripleDES), InspectP12, OpenP12, reopenP12(p12.TripleDES)},
	{Modern, "AES-256 + SHA-256", "p12", "modern.p12", 1, "", encodeP12(p12.AES256), InspectP12, OpenP12, reopenP12(p12.AES256)},
}

// Profiles are all profiles that may be asked for, in the order in which they are
// shown.
var Profiles = func() []Profile {
	var list []Profile
	for _, c := range containers {
		list = append(list, c.profile)
	}
	return list
}()

// container is the row of a profile.
func (p Profile) container() (container, error) {
	i := slices.IndexFunc(containers, func(c container) bool { return c.profile == p })
	if i < 0 {
		return container{}, fmt.Errorf("the profile %q does not exist", string(p))
	}
	return containers[i], nil
}

// Ending is what the names of a profile's files end in, "" for no profile: "p12"
// for the first of a user, "modern.p12" for a further one.
func (p Profile) Ending(first bool) string {
	for i := range containers {
		if c := &containers[i]; c.profile == p && first {
			return c.ending
		} else if c.profile == p {
			return c.further
		}
	}
	return ""
}

// Doc describes a profile for the reference.
func (p Profile) Doc() string {
	c, _ := p.container()
	return c.doc
}

// OldCiphers names the ciphers of a profile where they are old ones, "" otherwise.
func (p Profile) OldCiphers() string {
	c, _ := p.container()
	return c.old
}

// MinIterations is the lowest number of iterations of a profile, 0 where its
// format counts none.
func (p Profile) MinIterations() int {
	c, _ := p.container()
	return c.least
}

// Iterations is how many a profile's file has where so many are asked for.
func (p Profile) Iterations(asked int) int {
	if p.MinIterations() == 0 {
		return 0
	}
	return asked
}

// Encode makes a file of the key, its certificate and the CA certificates. The
// iterations are those of every encryption in it and of the MAC. Where the format
// has a name for people, it is [FriendlyName].
func (p Profile) Encode(key crypto.Signer, cert *x509.Certificate, chain []*x509.Certificate, keys *Keys, iterations int) ([]byte, error) {
	c, err := p.container()
	switch {
	case err != nil:
		return nil, err
	case keys.pass.IsZero():
		return nil, errors.New("a private key is never written without a passphrase")
	case c.least > 0 && (iterations < c.least || iterations > maxIterations):
		return nil, fmt.Errorf("%d iterations: profile %s takes %d to %d", iterations, p, c.least, maxIterations)
	case PublicID(cert.PublicKey) != PublicID(key.Public()):
		return nil, errors.New("the key does not belong to the certificate")
	}
	return c.encode(key, cert, chain, keys, iterations)
}

// Inspect tells how a file that was made for a profile is protected, without
// opening it.
func (p Profile) Inspect(data []byte) (P12Info, error) {
	c, err := p.container()
	if err != nil {
		return P12Info{}, err
	}
	return c.inspect(data)
}

// Open decrypts a file that was made for a profile.
func (p Profile) Open(data []byte, pass Passphrase) (*P12, error) {
	c, err := p.container()
	if err != nil {
		return nil, err
	}
	return c.open(data, pass)
}

// Reopen reads what [Profile.Encode] has written with the same keys, and derives
// none anew. It proves that the file is sound; that other programs open it is what
// [Profile.Open] proves.
func (p Profile) Reopen(data []byte, keys *Keys) (*P12, error) {
	c, err := p.container()
	if err != nil {
		return nil, err
	}
	return c.reopen(data, keys)
}
