// Package profile judges certificates, CRLs and requests by clauses of RFC 5280 and
// by mtlsplan's own promises, as far as no other judge of the tests covers them.
// zlint, OpenSSL, GnuTLS, NSS, Java and python3-cryptography find the other faults,
// wrong signatures among them. The package does not use internal/pki, which it
// judges.
//
// A clause is one small function and one row in a table. A value is judged by every
// row, so one run shows all its faults.
package profile

import (
	"crypto/x509"
	"fmt"
)

// Role is the purpose of a certificate.
type Role string

const (
	CA       Role = "CA"
	Reissued Role = "reissued CA" // of a CA that was adopted: it keeps the name that others gave it
	User     Role = "user"
)

// Finding is one clause that a value does not meet.
type Finding struct {
	Clause string // "RFC 5280 4.1.1.2", or "profile" for mtlsplan's own promise
	Fault  string // one line
}

func (f Finding) String() string { return f.Clause + ": " + f.Fault }

// Promised is the clause of mtlsplan's own promises, which go beyond the RFCs.
const Promised = "profile"

// rule is one clause. fault describes the fault in one line; "" is none.
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
			found = append(found, Finding{r.clause, r.asks + ": " + fault})
		}
	}
	return found
}

// Certificate judges a certificate (RFC 5280 section 4) for its role. The issuer is
// the CA's certificate; for a CA it is c itself.
func Certificate(role Role, c, issuer *x509.Certificate) []Finding {
	return judge(certificateRules, certificate{c, role, issuer})
}

// CRL judges a CRL (RFC 5280 section 5) of the CA with this certificate.
func CRL(list *x509.RevocationList, issuer *x509.Certificate) []Finding {
	return judge(crlRules, crl{list, issuer})
}

// Request judges a PKCS #10 request (RFC 2986) that mtlsplan made for the
// certificate.
func Request(r *x509.CertificateRequest, c *x509.Certificate) []Finding {
	return judge(requestRules, request{r, c})
}

// Serials judges the serial numbers of one CA's certificates: no two are the same
// (RFC 5280 section 4.1.2.2).
func Serials(certificates []*x509.Certificate) []Finding {
	var found []Finding
	seen := map[string]bool{}
	for _, c := range certificates {
		serial := c.SerialNumber.Text(16)
		if seen[serial] {
			found = append(found, Finding{"RFC 5280 4.1.2.2", fmt.Sprintf("two certificates have the serial number %s", serial)})
		}
		seen[serial] = true
	}
	return found
}
