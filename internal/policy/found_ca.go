package policy

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"fmt"

	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
)

// What the directory tells of the CA.

// adoptCA records a CA that was made by hand, and those above it.
func (f *found) adoptCA() []ledger.Change {
	ca := &f.Have.CA
	if !f.Ask.Covers(ca.Owner) || f.ledger.IssuedTo(string(ca.Owner)).Len() > 0 || ca.Key.Missing || ca.Crt.Cert == nil || ca.Crt.Cert.X509 == nil {
		return nil
	}
	f.ca = true
	own := ca.Crt.Of(ca.Key.SPKI)
	above, _ := pki.Above(own, ca.Crt.All)
	return f.recordCA(own, above)
}

// renewedCA finds a certificate that a CA above ours has signed for the key that it
// has now: renewing is that CA's business, and what it gives is put into the CA
// certificate file by hand. Without --adopt it has to be of a CA that is recorded.
func (f *found) renewedCA() []ledger.Change {
	ca, current := &f.Have.CA, f.trust.Current()
	if current == nil || !f.Ask.Covers(ca.Owner) {
		return nil
	}
	above := f.ledger.Parents(string(ca.Owner))
	if f.Ask.Adopt {
		above = append(above, ca.Crt.All...)
	}
	for _, c := range ca.Crt.All {
		if pki.PublicID(c.PublicKey) != current.SPKI || !bytes.Equal(c.RawSubject, current.Cert.RawSubject) || pki.SelfIssued(c) ||
			f.ledger.IssuedTo(string(ca.Owner)).Holds(sha256.Sum256(c.Raw)) || !c.NotAfter.After(current.Cert.NotAfter) && !pki.SelfIssued(current.Cert) {
			continue
		}
		chain, whole := pki.Above(c, above)
		decline := func(format string, args ...any) {
			f.declined = fmt.Sprintf("what %s has signed for the CA is not taken over: ", pki.NameString(c.RawIssuer)) + fmt.Sprintf(format, args...)
		}
		switch {
		case !whole && f.Ask.Adopt:
			decline("the certificates above it are not there, up to the one that signs itself: put them behind it")
		case !whole:
			decline("no CA that is recorded has signed it: put those above it behind it, and say --adopt")
		case chained(c, chain, f.Now) != nil:
			decline("no proxy would let anybody in with it (%v): have one signed for a CA that may issue certificates and CRLs", chained(c, chain, f.Now))
		case !bytes.Equal(c.SubjectKeyId, current.Cert.SubjectKeyId):
			decline("it has another subject key identifier than the certificates of the users name, so that OpenSSL would refuse all of them: have it signed with subjectKeyIdentifier = %X", current.Cert.SubjectKeyId)
		default:
			f.renewed, f.declined = c, ""
			return f.recordCA(c, chain)
		}
	}
	chain, whole := pki.Above(current.Cert, above) // one above ours may have been renewed alone
	if changes := f.recordParents(chain); whole && len(changes) > 0 {
		f.renewed = chain[0]
		return changes
	}
	return nil
}

// recordCA records a certificate of the CA, and those above it that are not recorded.
func (f *found) recordCA(own *x509.Certificate, above []*x509.Certificate) []ledger.Change {
	return append([]ledger.Change{ledger.Issue{Owner: string(f.Have.CA.Owner), Cert: own}}, f.recordParents(above)...)
}

func (f *found) recordParents(above []*x509.Certificate) (out []ledger.Change) {
	owner := string(f.Have.CA.Owner)
	known := f.ledger.IssuedTo(ledger.ParentOwner(owner))
	for _, c := range above {
		if !known.Holds(sha256.Sum256(c.Raw)) {
			out = append(out, ledger.Issue{Owner: ledger.ParentOwner(owner), Cert: c})
		}
	}
	return out
}
