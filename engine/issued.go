package engine

import (
	"bytes"
	"crypto/x509"
	"maps"
	"slices"
	"strings"
	"time"

	"mtlsplan/internal/cadb"
	"mtlsplan/internal/pki"
)

// What the database tells of the certificates themselves: whose they are, for
// which key, and of which generation of the CA.

// knows reports whether this very certificate was issued to the owner.
func (db *database) knows(owner Owner, der []byte) bool {
	for _, d := range db.issued[owner] {
		if bytes.Equal(d, der) {
			return true
		}
	}
	return false
}

// newest returns the certificate most lately issued to an owner for a public
// key that is neither revoked nor past its end; nil when there is none, also
// when the key has been given up.
func (db *database) newest(owner Owner, public string, now time.Time) *x509.Certificate {
	var found *x509.Certificate
	for _, cert := range db.issuedFor(owner, public) {
		switch r := db.row(cert.SerialNumber); {
		case r == nil:
		case r.State == cadb.Revoked && r.Reason != superseded:
			return nil
		case r.State != cadb.Revoked && !now.After(cert.NotAfter):
			found = cert
		}
	}
	return found
}

// givenUp reports whether a certificate for the key was revoked for more than
// having been renewed: such a key is not certified again.
func (db *database) givenUp(owner Owner, public string) bool {
	return slices.ContainsFunc(db.issuedFor(owner, public), func(c *x509.Certificate) bool {
		r := db.row(c.SerialNumber)
		return r != nil && r.State == cadb.Revoked && r.Reason != superseded
	})
}

const superseded = "superseded"

// issuedFor are the certificates issued to an owner for a public key, oldest first.
func (db *database) issuedFor(owner Owner, public string) []*x509.Certificate {
	var out []*x509.Certificate
	for _, der := range db.issued[owner] {
		if cert, err := x509.ParseCertificate(der); err == nil && pki.PublicID(cert.PublicKey) == public {
			out = append(out, cert)
		}
	}
	return out
}

// otherCA is a CA in whose name certificates were issued here, "" for none but
// this one.
func (db *database) otherCA(ca Owner) Owner {
	var other Owner
	for owner := range db.issued {
		if strings.HasPrefix(string(owner), "ca.") && owner != ca && (other == "" || owner < other) {
			other = owner
		}
	}
	return other
}

// generations are the CA keys that certificates were issued for, oldest first.
func (db *database) generations(ca Owner) []generation {
	var out []generation
	for _, der := range db.issued[ca] {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			continue
		}
		public := pki.PublicID(cert.PublicKey)
		i := slices.IndexFunc(out, func(g generation) bool { return g.public == public })
		if i < 0 {
			i = len(out)
			out = append(out, generation{number: i + 1, public: public})
		}
		out[i].cert = cert
	}
	return out
}

// issuers tells which generation has issued each user's certificate, by
// serial. With one generation there is nothing to tell apart.
func (db *database) issuers(gens []generation) map[string]string {
	out := map[string]string{}
	if len(gens) < 2 {
		return out
	}
	for owner, list := range db.issued {
		if !isUser(owner) {
			continue
		}
		for _, der := range list {
			cert, err := x509.ParseCertificate(der)
			if err != nil {
				continue
			}
			for _, g := range gens {
				if issuedBy(cert, g.cert) {
					out[pki.SerialHex(cert.SerialNumber)] = g.public
				}
			}
		}
	}
	return out
}

// holder is whom a certificate was issued to, "" when it is not on record.
func (db *database) holder(cert *x509.Certificate) Owner {
	if r := db.row(cert.SerialNumber); r != nil {
		for _, owner := range rowOwners(*r) {
			if db.knows(owner, cert.Raw) {
				return owner
			}
		}
	}
	return ""
}

// keyOwner is another user whom a certificate for the key was issued to, "" when
// there is none, or when the owner had one too. It reads every certificate.
func (db *database) keyOwner(public string, owner Owner) Owner {
	if len(db.issuedFor(owner, public)) > 0 {
		return ""
	}
	for _, other := range slices.Sorted(maps.Keys(db.issued)) {
		if isUser(other) && len(db.issuedFor(other, public)) > 0 {
			return other
		}
	}
	return ""
}
