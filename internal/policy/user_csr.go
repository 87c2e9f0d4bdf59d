package policy

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"

	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"

	"github.com/titanous/rocacheck"
)

// A csr user has made the key. Only the request's key is used: subject and names
// are the spec's, whatever the request wishes. A bad request is the owner's failure:
// the other users do not wait for it.

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
			return errors.New("holds a key whose private part can be computed (ROCA, CVE-2017-15361): make a new one on another device")
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

// examineCSR is [judgement.examineUser] for a user who has made the key.
func (j *judgement) examineCSR(v *userView) ([]finding, error) {
	spki := v.Key.SPKI
	if i := slices.IndexFunc(j.holders[spki], func(o plan.Owner) bool { return o != v.Owner }); i >= 0 {
		return nil, plan.Errorf(plan.KeyReused, "the request holds the same key as that of %s: each could pass for the other: make one key per user", j.holders[spki][i])
	}
	if slices.ContainsFunc(j.trust.Generations, func(g ledger.Generation) bool { return g.SPKI == spki }) {
		return nil, plan.Errorf(plan.KeyReused, "the request holds the key of the CA: make a key for the user")
	}
	if j.compromised[spki] {
		return nil, plan.Errorf(plan.KeyCompromised, "the key of the request is revoked for keyCompromise, and nobody gets a certificate for it again: make a new key, and a request with it")
	}
	if v.issued.GivenUp(spki) {
		return nil, plan.Errorf(plan.KeyReused, "a certificate for this key was revoked, and the key cannot be used again: give a request with a new one")
	}
	if v.issued.Len() == 0 && !v.adopted {
		return []finding{{Reason: plan.Reason{Code: plan.Missing, Message: "the user has no certificate yet"}, action: plan.Create, makes: v.fromKey()}}, nil
	}
	return j.examineCert(v)
}

// csrKeyChanged finds a request with another key than the certificate's.
func csrKeyChanged(v *userView) []finding {
	if v.cert == nil || v.cert.SPKI == v.Key.SPKI {
		return nil
	}
	return one(plan.Rekey, plan.Reason{Message: "the request holds another key than the certificate", Field: "csr"}, v.fromKey()...)
}

// findHolders finds who has the key of a csr user, other users among them.
func (j *judgement) findHolders() {
	users := j.Have.Users
	for i := range users.Len() {
		if j.Config.Users[users.Spec(i)].CSR == "" {
			continue
		}
		if spki := users.User(i).Key.SPKI; spki != "" {
			if j.holders == nil {
				j.holders = map[string][]plan.Owner{}
			}
			j.holders[spki] = nil
		}
	}
	if j.holders == nil {
		return
	}
	for i := range users.Len() {
		u := users.User(i)
		if have, asked := j.holders[u.Key.SPKI]; asked {
			j.holders[u.Key.SPKI] = append(have, u.Owner)
		}
	}
}
