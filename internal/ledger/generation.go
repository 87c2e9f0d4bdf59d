package ledger

import (
	"crypto/x509"
	"slices"
	"time"

	"mtlsplan/internal/pki"
)

// Generation is one CA key that certificates were issued for, the first being 1.
type Generation struct {
	Number int
	Cert   *x509.Certificate // the newest for the key
	SPKI   string

	// Parents are the CAs above it, from the one that has signed Cert to the one that
	// signs itself; nil for a CA that signs itself. Whole is false where one of them is
	// not recorded.
	Parents []*x509.Certificate
	Whole   bool

	// Dependents counts the users' certificates of it that are neither revoked nor
	// past their end.
	Dependents int

	// Named counts those of them that name Cert by its serial: OpenSSL takes no other
	// certificate in its place. Until is when the last of them ends.
	Named int
	Until time.Time
}

// Generations are the keys of a CA, oldest first: the last is the current one.
func (l *Ledger) Generations(ca string, now time.Time) []Generation {
	var out []Generation
	for _, at := range l.issued[ca] {
		e := &l.entries[at]
		cert, err := x509.ParseCertificate(e.DER)
		if err != nil {
			continue
		}
		i := slices.IndexFunc(out, func(g Generation) bool { return g.SPKI == e.SPKI })
		if i < 0 {
			i = len(out)
			out = append(out, Generation{Number: i + 1, SPKI: e.SPKI})
		}
		out[i].Cert = cert
	}
	for i, above := 0, l.Parents(ca); i < len(out); i++ {
		out[i].Parents, out[i].Whole = pki.Above(out[i].Cert, above)
	}
	issuers := l.Issuers(out)
	counts := func(r *Row) bool {
		return r.State != Revoked && now.Before(r.NotAfter) && IsUser(r.Owner)
	}
	for i := range l.rows {
		r := &l.rows[i]
		if !counts(r) {
			continue
		}
		for i := range out {
			if len(out) == 1 || issuers[r.Serial] == out[i].SPKI {
				out[i].Dependents++
			}
		}
	}
	for i := range l.entries {
		e := &l.entries[i]
		if e.Number == "" || !IsUser(e.Owner) {
			continue
		}
		for k := range out {
			g := &out[k]
			if r := l.rowOf(e); r != nil && counts(r) && e.Number == pki.SerialHex(g.Cert.SerialNumber) && (len(out) == 1 || issuers[e.Serial] == g.SPKI) {
				g.Named++
				if end := time.Unix(e.NotAfter, 0); end.After(g.Until) {
					g.Until = end
				}
			}
		}
	}
	return out
}

// Issuers tells which generation has issued each user's certificate: the SPKI by
// serial. With one generation there is nothing to tell apart, and it is empty.
func (l *Ledger) Issuers(gens []Generation) map[string]string {
	out := map[string]string{}
	if len(gens) < 2 {
		return out
	}
	for i := range l.entries {
		e := &l.entries[i]
		if !IsUser(e.Owner) || e.SPKI == "" {
			continue
		}
		if spki := e.issuer(gens); spki != "" {
			out[e.Serial] = spki
		}
	}
	return out
}

// IssuerOf is [Ledger.Issuers] of one row, also where there is one generation; "" where
// no certificate that is recorded tells.
func (l *Ledger) IssuerOf(r Row, gens []Generation) string {
	for _, owner := range r.Owners() {
		for _, i := range l.issued[owner] {
			if e := &l.entries[i]; e.Serial == r.Serial && IsUser(owner) && e.SPKI != "" {
				return e.issuer(gens)
			}
		}
	}
	return ""
}

// issuer is the SPKI of the generation that has issued a certificate, "" for none.
func (e *Entry) issuer(gens []Generation) string {
	for _, g := range slices.Backward(gens) {
		if pki.IssuedBy(g.Cert, e.Issuer, e.Authority, func() *x509.Certificate {
			cert, _ := x509.ParseCertificate(e.DER)
			return cert
		}) {
			return g.SPKI
		}
	}
	return ""
}
