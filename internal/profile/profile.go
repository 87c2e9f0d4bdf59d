// Package profile judges certificates, CRLs and requests by RFC 5280, clause
// by clause, and by what mtlsplan promises to issue. It is written for tests,
// and apart from internal/pki, which it judges: it takes the DER to pieces by
// itself, because crypto/x509 hides much of what the clauses are about.
//
// A clause is one small function and one row in a table. A value is judged by
// every row, so one run shows all that is wrong.
package profile

import "strings"

// Role is what a certificate is for.
type Role string

const (
	CA       Role = "CA"
	Reissued Role = "reissued CA" // of a CA that was taken over: its name stays as others made it
	User     Role = "user"
)

// Finding is one clause that a value does not meet.
type Finding struct {
	Clause string // "RFC 5280 4.1.2.2", or "profile" for a promise of mtlsplan's own
	Fault  string // one line
}

func (f Finding) String() string { return f.Clause + ": " + f.Fault }

// Promised stands for a clause in what mtlsplan itself promises beyond the RFCs.
const Promised = "profile"

// rule is one clause. fault says in one line what is wrong, or nothing.
type rule[T any] struct {
	clause string
	asks   string
	fault  func(T) string
}

// judge applies every rule of a table.
func judge[T any](rules []rule[T], v T) []Finding {
	var found []Finding
	for _, r := range rules {
		if fault := r.fault(v); fault != "" {
			found = append(found, Finding{r.clause, r.asks + ": " + strings.ToValidUTF8(fault, "?")})
		}
	}
	return found
}

// Certificate judges a DER certificate (RFC 5280 section 4) for its role.
// issuer is the DER certificate of the CA that issued it, itself for a CA.
func Certificate(role Role, der, issuer []byte) []Finding {
	return certificateBy(certificateRules, role, der, issuer)
}

func certificateBy(rules []rule[*certificate], role Role, der, issuer []byte) []Finding {
	c, err := parseCertificate(der)
	if err != nil {
		return []Finding{{"RFC 5280 4.1", err.Error()}}
	}
	ca, err := parseCertificate(issuer)
	if err != nil {
		return []Finding{{"RFC 5280 4.1", "its issuer: " + err.Error()}}
	}
	c.role, c.ca = role, ca
	return judge(rules, c)
}

// CRL judges a DER CRL (RFC 5280 section 5) of the CA whose DER certificate is
// given.
func CRL(der, issuer []byte) []Finding { return crlBy(crlRules, der, issuer) }

func crlBy(rules []rule[*crl], der, issuer []byte) []Finding {
	l, err := parseCRL(der)
	if err != nil {
		return []Finding{{"RFC 5280 5.1", err.Error()}}
	}
	if l.ca, err = parseCertificate(issuer); err != nil {
		return []Finding{{"RFC 5280 4.1", "its issuer: " + err.Error()}}
	}
	return judge(rules, l)
}

// Request judges a DER PKCS #10 request (RFC 2986) that mtlsplan made for the
// certificate, which is DER too.
func Request(der, certificate []byte) []Finding { return requestBy(requestRules, der, certificate) }

func requestBy(rules []rule[*request], der, certificate []byte) []Finding {
	r, err := parseRequest(der)
	if err != nil {
		return []Finding{{"RFC 2986 4", err.Error()}}
	}
	if r.cert, err = parseCertificate(certificate); err != nil {
		return []Finding{{"RFC 5280 4.1", "its certificate: " + err.Error()}}
	}
	return judge(rules, r)
}
