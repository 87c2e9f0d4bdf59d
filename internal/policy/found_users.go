package policy

import (
	"crypto/sha256"
	"crypto/x509"
	"slices"
	"time"

	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
)

// Adoption takes files over that were made by hand: what the CA has issued goes
// into the ledger as it is, and then the policies judge it like everything else.
// Nothing that works is replaced for being foreign.

// adoptUsers records the certificates of users, also of those whom the run is
// not about: nothing of theirs is touched, but a serial that they share must be
// known to be theirs too before somebody revokes it.
func (f *found) adoptUsers() []ledger.Change {
	var out []ledger.Change
	cas := f.trust.Certificates()
	for i := range f.Have.Users.Len() {
		u := f.Have.Users.User(i)
		if u.Err != nil {
			continue
		}
		ours := f.unknown(u.Crt.Cert) && signedByAny(u.Crt.Cert, cas)
		lost := f.ledger.IssuedTo(string(u.Owner)).Len() > 0
		if ours {
			out = append(out, f.adopt(u.Owner, u.Crt.Cert))
		}
		if hasFiles(u) && (ours || !lost) {
			f.users[u.Owner] = adopted{lost}
		}
	}
	for i := range f.Have.Bystanders {
		b := &f.Have.Bystanders[i]
		if c := b.Crt.Cert; c != nil && c.X509 != nil && f.ledger.IssuedTo(string(b.Owner)).Len() == 0 && signedByAny(c, cas) {
			out = append(out, f.adopt(b.Owner, c))
		}
	}
	return append(f.adoptFurther(cas), out...)
}

// adoptFurther records the other certificates of the CA in the files of users, behind the
// first in the certificate file or in a .p12: any of them may be the one that somebody
// uses, and has to be revoked with the user. Whatever counts of a user is taken before,
// because such a file may hold those of others; it is recorded behind them, because what
// was issued last for a key counts.
func (f *found) adoptFurther(cas []*x509.Certificate) (out []ledger.Change) {
	for i := range f.Have.Users.Len() {
		u := f.Have.Users.User(i)
		own := u.Crt.Cert
		for _, c := range f.lostOf(u, cas) {
			f.taken[sha256.Sum256(c.Raw)] = true
			f.further[u.Owner] = append(f.further[u.Owner], pki.SerialHex(c.SerialNumber))
			out = append(out, ledger.Issue{Owner: string(u.Owner), Cert: c})
		}
		if len(f.further[u.Owner]) > 0 && own != nil && f.ledger.IssuedTo(string(u.Owner)).Holds(own.Sum) {
			out = append(out, ledger.Issue{Owner: string(u.Owner), Cert: own.X509}) // once more, so that it still counts
		}
	}
	return out
}

// lostOf are the certificates in a user's files that nobody is recorded to have. Nothing is
// touched of somebody whose certificate file cannot be read.
func (f *found) lostOf(u *facts.User, cas []*x509.Certificate) []*x509.Certificate {
	if u.Err != nil || u.Crt.Why != nil {
		return nil
	}
	var out []*x509.Certificate
	see := func(all []*x509.Certificate) {
		for _, c := range all {
			if f.lost(c, cas) && !slices.ContainsFunc(out, c.Equal) {
				out = append(out, c)
			}
		}
	}
	see(u.Crt.All)
	for i := range u.P12 {
		see(u.P12[i].All)
	}
	return out
}

// lost reports whether a certificate is of a user of one of the CAs, has not ended, and
// nobody is recorded to have it.
func (f *found) lost(c *x509.Certificate, cas []*x509.Certificate) bool {
	sum := sha256.Sum256(c.Raw)
	return !f.taken[sum] && f.ledger.Holder(pki.SerialHex(c.SerialNumber), sum) == "" && f.Now.Before(c.NotAfter) && !f.trust.knowsKey(c) &&
		slices.ContainsFunc(cas, func(ca *x509.Certificate) bool { return pki.Signed(c, ca) })
}

// Strangers are certificates that a CA has issued to nobody whom spec or ledger knows, and
// that are neither revoked nor past their end.
func Strangers(have *facts.Inventory, l *ledger.Ledger, cas []*x509.Certificate, now time.Time) []facts.CertificateFile {
	var out []facts.CertificateFile
	for _, c := range have.Strangers {
		if r := l.Row(c.Cert.Serial); r != nil && r.State == ledger.Revoked {
			continue
		}
		if now.Before(c.Cert.NotAfter) && l.Holder(c.Cert.Serial, c.Cert.Sum) == "" && signedByAny(c.Cert, cas) {
			out = append(out, c)
		}
	}
	return out
}

// StrangerText says of the file of such a certificate what it is, and what to do.
func StrangerText(name string) string {
	return name + " was issued by this CA, and neither the spec nor the CA database knows the user: nothing revokes it, and it may get in; list the user in the spec and say --adopt, and then take the user out again if nobody is to have it"
}

// hasFiles reports whether a user has a key, a certificate or a request.
func hasFiles(u *facts.User) bool { return !u.Key.Missing || !u.Crt.Missing || !u.CSR.Missing }

func (f *found) adopt(owner plan.Owner, c *facts.Certificate) ledger.Change {
	f.taken[c.Sum] = true
	return ledger.Issue{Owner: string(owner), Cert: c.X509}
}

// unknown reports whether a certificate is at hand that nobody is recorded to
// have.
func (f *found) unknown(c *facts.Certificate) bool {
	return c != nil && c.X509 != nil && !f.taken[c.Sum] && f.ledger.Holder(c.Serial, c.Sum) == ""
}

// adoptDeparted records what was made by hand for somebody who must not get in,
// or was lost from the ledger: it takes a record to revoke it.
func (f *found) adoptDeparted() []ledger.Change {
	var out []ledger.Change
	if !f.Ask.Adopt {
		return nil
	}
	cas := f.trust.Certificates()
	for i := range f.Have.Departed {
		d := &f.Have.Departed[i]
		if !f.Ask.Covers(d.Owner) || d.Err != nil {
			continue
		}
		if f.unknown(d.Crt.Cert) && signedByAny(d.Crt.Cert, cas) {
			out = append(out, f.adopt(d.Owner, d.Crt.Cert))
		}
		for _, c := range d.Crt.All {
			if f.lost(c, cas) {
				f.taken[sha256.Sum256(c.Raw)] = true
				out = append(out, ledger.Issue{Owner: string(d.Owner), Cert: c})
			}
		}
	}
	return out
}
