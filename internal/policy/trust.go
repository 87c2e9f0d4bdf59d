package policy

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
)

// Trust is the CAs whose certificates are good.
type Trust struct {
	Generations []ledger.Generation // every key that the CA has had, oldest first

	compromised []int           // numbers of those that somebody else has the key of
	left        map[string]bool // SPKI of those that this plan takes the last dependent from

	ledger  *ledger.Ledger
	issuers map[string]string // SPKI of the issuer by serial, where there are several generations
}

func newTrust(cfg *config.Config, l *ledger.Ledger, now time.Time) Trust {
	gens := l.Generations(string(plan.CA(cfg.CA.Name)), now)
	return Trust{gens, cfg.CA.Compromised, nil, l, l.Issuers(gens)}
}

// Current is the CA that issues, nil for none.
func (t Trust) Current() *ledger.Generation {
	if len(t.Generations) == 0 {
		return nil
	}
	return &t.Generations[len(t.Generations)-1]
}

// Compromised reports whether the spec says that somebody else has the key of a
// generation.
func (t Trust) Compromised(g *ledger.Generation) bool {
	return g != nil && slices.Contains(t.compromised, g.Number)
}

// Past are the earlier generations that somebody still depends on when the plan is
// done, newest first; none that is compromised.
func (t Trust) Past() []ledger.Generation {
	var out []ledger.Generation
	for i := len(t.Generations) - 2; i >= 0; i-- {
		if g := &t.Generations[i]; g.Dependents > 0 && !t.Compromised(g) && !t.left[g.SPKI] {
			out = append(out, t.Generations[i])
		}
	}
	return out
}

// Signing are the generations that have to have a CRL: the current one, and
// behind it those of [Trust.Past].
func (t Trust) Signing() []ledger.Generation {
	current := t.Current()
	if current == nil {
		return nil
	}
	return append([]ledger.Generation{*current}, t.Past()...)
}

// Certificates are what the CA certificate file should hold: one of each of
// [Trust.Signing].
func (t Trust) Certificates() []*x509.Certificate {
	var out []*x509.Certificate
	for _, g := range t.Signing() {
		out = append(out, g.Cert)
	}
	return out
}

// Signed reports whether another CA has signed the current one.
func (t Trust) Signed() bool { return t.Current() != nil && !pki.SelfIssued(t.Current().Cert) }

// Signer is the SPKI of the CA that has issued a row's certificate; where nothing tells,
// the current one. There must be a CA.
func (t Trust) Signer(r ledger.Row) string {
	return cmp.Or(t.issuer(r), t.Current().SPKI)
}

// Belongs reports whether a revoked row belongs on the CRL of a CA, which may be one
// that is only made now. `openssl ca` adds rows without a certificate, and where nothing
// tells the issuer the row belongs on every CRL: on one alone, it might be the wrong one.
// A serial that a CA has not issued does no harm on its CRL.
func (t Trust) Belongs(r ledger.Row, spki string) bool {
	issuer := t.issuer(r)
	return issuer == "" || issuer == spki
}

// issuer is the SPKI of the CA that has issued a row's certificate, "" where nothing
// tells.
func (t Trust) issuer(r ledger.Row) string {
	if !ledger.IsUser(r.Owner) {
		for _, g := range t.Generations {
			if r.Owner == unknownOwner(g) {
				return g.SPKI
			}
		}
		return ""
	}
	if len(t.Generations) == 1 {
		return t.ledger.IssuerOf(r, t.Generations)
	}
	return t.issuers[r.Serial]
}

// unknown stands in the owner's place of a certificate of which nothing tells the issuer;
// `openssl ca` writes the same word there.
const unknown = "unknown"

// unknownOwner stands in the owner's place of a certificate that only a
// generation's CRL tells of.
func unknownOwner(g ledger.Generation) string { return ledger.UnlistedOwner(g.Number) }

func (t Trust) knowsKey(c *x509.Certificate) bool {
	spki := pki.PublicID(c.PublicKey)
	return slices.ContainsFunc(t.Generations, func(g ledger.Generation) bool { return g.SPKI == spki })
}

// leftBehind reports whether a certificate is of a generation that is
// compromised: [judgement.examineCompromised] leaves it behind.
func (t Trust) leftBehind(c *x509.Certificate) bool {
	spki := pki.PublicID(c.PublicKey)
	return slices.ContainsFunc(t.Generations, func(g ledger.Generation) bool { return g.SPKI == spki && t.Compromised(&g) })
}

// GenerationSubject is the CA's subject with its generation in the name: two
// keys under one name would leave a reader to guess which of them has signed.
func GenerationSubject(s pki.Subject, generation int) pki.Subject {
	if generation > 1 {
		s.CommonName += fmt.Sprintf(" G%d", generation)
	}
	return s
}

// issuedByAny reports whether one of the CAs has issued a certificate.
func issuedByAny(c *facts.Certificate, cas []*x509.Certificate) bool {
	for _, ca := range cas {
		if pki.IssuedBy(ca, c.Issuer, c.Authority, func() *x509.Certificate { return c.X509 }) {
			return true
		}
	}
	return false
}

// signedByAny is [issuedByAny] of a certificate that the ledger does not know:
// then the signature counts, where the certificate itself is at hand.
func signedByAny(c *facts.Certificate, cas []*x509.Certificate) bool {
	if c.X509 == nil {
		return issuedByAny(c, cas)
	}
	return slices.ContainsFunc(cas, func(ca *x509.Certificate) bool { return pki.Signed(c.X509, ca) })
}
