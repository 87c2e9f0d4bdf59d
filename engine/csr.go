package engine

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"

	"mtlsplan/internal/pki"
	"mtlsplan/spec"

	"github.com/titanous/rocacheck"
)

// A csr user has made the key. Only the request's public key is used: subject
// and names are the spec's, whatever the request wishes.

// csrUser reads such a user. What is wrong with the request is the owner's
// failure: the other users do not wait for it.
func (o *observer) csrUser(u *spec.User) userFacts {
	f := userFacts{spec: u, owner: userOwner(u.Name)}
	file := func(kind string) string { return userFile(o.cfg, u.Name, kind) }
	var errs [2]error
	f.crt, errs[0] = o.crt(file(kindCrt))
	f.csr.fileFacts, errs[1] = o.file(kindCSR, file(kindCSR))
	if f.err = errors.Join(errs[:]...); f.err != nil {
		return f
	}
	if !f.csr.missing {
		f.csr.csr, _ = contentOfCSR(f.csr.data)
	}
	f.key.missing, f.pass.file.missing = true, true
	for _, kind := range []string{kindKey, kindP12, "compat.p12", "modern.p12", kindPass} {
		if mode, exists := o.dir.FileMode(file(kind)); exists {
			f.stray = append(f.stray, fileFacts{kind: kind, name: file(kind), mode: mode})
		}
	}
	data, err := spec.ReadCSR(u.CSR)
	if err != nil {
		f.err = err
		return f
	}
	asked, err := contentOfCSR(data)
	if err == nil {
		err = weak(asked.key)
	}
	if err != nil {
		f.err = fmt.Errorf("the request %s: %w", u.CSR, err)
		return f
	}
	f.asked, f.key.typ, f.key.public = asked, pki.KeyTypeOf(asked.key), asked.public
	return f
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

// examineCSR is examineUser for a user who has made the key.
func examineCSR(v *userView, obs *Observed) ([]finding, error) {
	u := v.userFacts
	if other, twice := obs.keyHolder(u); twice {
		return nil, fmt.Errorf("the request holds the same key as that of %s: whoever has one could be taken for the other; make a key for each", other)
	}
	if slices.ContainsFunc(obs.ca.gens, func(g generation) bool { return g.public == u.key.public }) {
		return nil, errors.New("the request holds the key of the CA: make a key for the user")
	}
	if obs.db.givenUp(v.issued, u.key.public) {
		return nil, errors.New("a certificate for this key was revoked, and the key cannot be used again: give a request with a new one")
	}
	if len(v.issued) == 0 && !u.taken {
		return []finding{{Reason: Reason{Code: Missing, Message: "the user has no certificate yet"}, action: Create, makes: u.fromKey()}}, nil
	}
	if f, err := findCert(v, obs); f != nil || err != nil {
		return f, err
	}
	return ask(*v, userPolicies), nil
}

// csrKeyChanged finds a request with another key than the certificate's.
func csrKeyChanged(v userView) []finding {
	if v.cert == nil || v.cert.public == v.key.public {
		return nil
	}
	return []finding{{Reason: Reason{Message: "the request holds another key than the certificate", Field: "csr"}, action: Rekey, makes: v.fromKey()}}
}

// keyHolder finds another user with the same key.
func (obs *Observed) keyHolder(u *userFacts) (Owner, bool) {
	if obs.keys == nil {
		obs.keys = map[string][]Owner{}
		for i := range obs.users {
			o := obs.user(i)
			obs.keys[o.key.public] = append(obs.keys[o.key.public], o.owner)
		}
	}
	for _, owner := range obs.keys[u.key.public] {
		if owner != u.owner {
			return owner, true
		}
	}
	return "", false
}

// csrFiles makes what the task of a csr user asks for.
func (e *executor) csrFiles(t *task, b *built) error {
	u := t.user
	cert := t.certificate()
	if t.newCert {
		subject, err := u.spec.Subject.DER()
		if err != nil {
			return err
		}
		if cert, err = e.issue(b, u, u.asked.key, subject, *t.step.NotAfter); err != nil {
			return err
		}
		b.issued = append(b.issued, cert)
	}
	if t.newKey {
		b.before = u.present()
	}
	if t.mustMake(kindCSR) {
		b.put(kindCSR, u.csr.name, pki.EncodeCSR(u.asked.raw), provesCSR(u.asked.key, nil, nil))
	}
	if t.mustMake(kindCrt) {
		b.put(kindCrt, u.crt.name, pki.EncodeCertificate(cert.Raw), e.provesUserCert(b, cert, u.asked.key))
	}
	return nil
}
