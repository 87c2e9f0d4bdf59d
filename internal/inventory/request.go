package inventory

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"

	"github.com/titanous/rocacheck"
)

// readCSRUser reads a user who has made the key. Only the request's public key is
// used: subject and names are the spec's, whatever the request asks for. What is
// wrong with the request is the owner's failure: the other users do not wait for
// it.
func (r *Reader) readCSRUser(u *config.User) *Material {
	m := &Material{Facts: &facts.User{Owner: plan.User(u.Name)}}
	f, base := m.Facts, r.base(u)
	path := func(kind plan.Kind) facts.Path { return facts.UserPath(base, kind) }
	crt, crtErr := r.file(plan.KindCrt, path(plan.KindCrt))
	csr, csrErr := r.file(plan.KindCSR, path(plan.KindCSR))
	f.Key.File = facts.File{Kind: plan.KindKey, Path: path(plan.KindKey), Missing: true}
	f.Passphrase.File = facts.File{Kind: plan.KindPass, Path: path(plan.KindPass), Missing: true}
	f.Crt.File, f.CSR.File = crt.File, csr.File
	if f.Err = errors.Join(crtErr, csrErr); f.Err != nil {
		return m
	}
	f.Crt = certificates(crt)
	if c, err := pki.ParseCSR(csr.content.Data); err == nil {
		f.CSR.Request = request(c)
	}
	for _, kind := range append(slices.Clone(facts.UserKinds[1:]), plan.KindPass) { // a passphrase leaves behind its key
		if kind == plan.KindCSR || kind == plan.KindCrt {
			continue
		}
		if s, exists := r.unread(kind, path(kind)); exists {
			f.Stray = append(f.Stray, s)
		}
	}
	data, err := r.opt.ReadRequest(u.CSR)
	if err != nil {
		f.Err = plan.Errorf(plan.CSRInvalid, "%w", err)
		return m
	}
	asked, err := pki.ParseCSR(data)
	if err == nil {
		err = weak(asked.Public)
	}
	if err != nil {
		f.Err = plan.Errorf(plan.CSRInvalid, "the request %s: %w", u.CSR, err)
		return m
	}
	m.Request, f.Asked = asked, request(asked)
	f.Key.Type, f.Key.SPKI = f.Asked.Type, f.Asked.SPKI
	return m
}

// weak refuses keys that nobody should be let in with: too short, of a curve
// that TLS libraries do not take, or with the factors that Infineon's chips
// made (ROCA, CVE-2017-15361). Debian's weak keys of 2008 are not looked for:
// there is no kept list of them to build upon.
func weak(key crypto.PublicKey) error {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() < 2048 {
			return fmt.Errorf("holds a key of %d bits, which TLS libraries refuse today: make one of 2048 bits or more", k.N.BitLen())
		}
		if rocacheck.IsWeak(k) {
			return errors.New("holds a key that its public part gives away (ROCA, CVE-2017-15361): make one elsewhere than in the chip that made it")
		}
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() && k.Curve != elliptic.P384() && k.Curve != elliptic.P521() {
			return fmt.Errorf("holds a key on the curve %s, which TLS libraries refuse today: take P-256 or P-384", k.Curve.Params().Name)
		}
	case ed25519.PublicKey:
	default:
		return fmt.Errorf("holds a key of type %s, which TLS libraries refuse today: make one of rsa-2048 or ecdsa-p256", pki.KeyTypeOf(key))
	}
	return nil
}
