package policy

import (
	"crypto/x509"
	"slices"
	"time"

	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
)

// Revoked are the revoked rows that the next CRLs list; crl is what is in place.
// Those of a CA that is no longer trusted are on none: nobody gets in with them
// anyway. Those whose issuer nothing tells are on all. dropped says that this very run
// leaves the current CA behind.
func (t Trust) Revoked(l *ledger.Ledger, crl facts.CRL, now time.Time, dropped bool) []ledger.Row {
	current := t.Current()
	if current == nil {
		return nil
	}
	last := now
	for _, list := range crl.Lists {
		if list.ThisUpdate.Before(last) {
			last = list.ThisUpdate
		}
	}
	signing := t.signing(dropped)
	return slices.DeleteFunc(l.Revoked(last), func(r ledger.Row) bool {
		issuer := t.issuer(r)
		return issuer != "" && !signing[issuer]
	})
}

// Barred are the serials that a site must refuse: those of [Trust.Revoked], and those
// of a generation that is no longer trusted, on which a copy of the CA certificate file
// may still rest.
func (t Trust) Barred(l *ledger.Ledger, crl facts.CRL, now time.Time, dropped bool) []string {
	return t.barred(t.Revoked(l, crl, now, dropped), l, now, dropped)
}

func (t Trust) barred(revoked []ledger.Row, l *ledger.Ledger, now time.Time, dropped bool) []string {
	out, signing := Serials(revoked), t.signing(dropped)
	if len(signing) == len(t.Generations) {
		return out
	}
	for _, r := range l.Revoked(now) {
		if issuer := t.issuer(r); issuer != "" && !signing[issuer] {
			out = append(out, r.Serial)
		}
	}
	return out
}

// signing are the keys of [Trust.Signing] when the plan is done, by SPKI.
func (t Trust) signing(dropped bool) map[string]bool {
	out := map[string]bool{}
	for _, g := range t.Signing() {
		out[g.SPKI] = true
	}
	if current := t.Current(); dropped && current != nil {
		delete(out, current.SPKI)
	}
	return out
}

// Kept are the CRLs that stay as they are when the file is made anew, because
// their CA's key cannot be opened.
func (v *Verdict) Kept(have facts.CRL) facts.CRL {
	kept := facts.CRL{Lists: map[string]*x509.RevocationList{}}
	for spki := range v.CannotSign {
		if list := have.Lists[spki]; list != nil {
			kept.Lists[spki] = list
		}
	}
	return kept
}

// blocked reports whether the key of an earlier generation cannot sign.
func blocked(k facts.Key) bool {
	return k.Opening != facts.OpensNow && k.Opening != facts.OpensPrevious
}

// Refused are the serials that a site must refuse, sorted: the revoked ones, and
// those that the CRL in place still lists. A site does not wait for a CRL that
// cannot be read or signed.
func Refused(crl facts.CRL, revoked []string) []string {
	out := append(onCRL(crl), revoked...)
	slices.Sort(out)
	return slices.Compact(out)
}

// onCRL are the serials that a CRL lists, sorted.
func onCRL(crl facts.CRL) []string {
	var out []string
	for _, list := range crl.Lists {
		out = append(out, onList(list)...)
	}
	slices.Sort(out)
	return out
}

// onList are the serials that one CA's CRL lists, sorted; none where there is none.
func onList(list *x509.RevocationList) []string {
	if list == nil {
		return nil
	}
	out := make([]string, 0, len(list.RevokedCertificateEntries))
	for i := range list.RevokedCertificateEntries {
		out = append(out, pki.SerialHex(list.RevokedCertificateEntries[i].SerialNumber))
	}
	slices.Sort(out)
	return out
}

// pending counts the revoked rows that are not on each CRL on which they belong. A CRL
// that is not there, or that its CA cannot sign, counts only where no other lists the row.
func (t Trust) pending(crl facts.CRL, rows []ledger.Row, cannotSign map[string]bool) int {
	n, on, signs := 0, onCRL(crl), map[string][]string{}
	for _, g := range t.Signing() {
		if list := crl.Lists[g.SPKI]; list != nil && !cannotSign[g.SPKI] {
			signs[g.SPKI] = onList(list)
		}
	}
	for _, r := range rows {
		_, listed := slices.BinarySearch(on, r.Serial)
		for spki, serials := range signs {
			if listed && t.Belongs(r, spki) {
				_, listed = slices.BinarySearch(serials, r.Serial)
			}
		}
		if !listed {
			n++
		}
	}
	return n
}
