package verify

import (
	"crypto/x509"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/policy"
)

const backup = "restore it from a backup"

// database compares the files of the CA database with one another, and checks the
// signature of every certificate that was ever issued.
func (p *proof) database() {
	ca := p.Have.CA.Owner
	if have := strings.TrimSpace(p.Ledger.Attr()); len(p.Ledger.Rows()) > 0 && have != strings.TrimSpace(ledger.Attributes) {
		p.fail(ca, plan.DatabaseWhole, plan.Damaged, "%s does not say %q, without which openssl ca refuses a second certificate for a name: write this line into it",
			ledger.AttrName, strings.TrimSpace(ledger.Attributes))
	}
	for _, c := range policy.Strangers(p.Have, p.Ledger, p.Have.CA.Crt.All, p.Now) {
		p.fail(ca, plan.CertificateRecorded, plan.Unrecorded, "%s", policy.StrangerText(c.Name()))
	}
	entries := p.Ledger.Entries()
	lost := map[*ledger.Entry]bool{} // of which the policies speak
	for _, e := range p.Ledger.Lost() {
		lost[e] = true
	}
	p.forEach(len(entries), func(i int) {
		e := &entries[i]
		if what := p.entry(e); what != "" {
			p.fail(plan.Owner(e.Owner), plan.DatabaseWhole, plan.Damaged, "%s: the certificate of %s at byte %d %s: %s", ledger.IssuedName, e.Owner, e.At, what, backup)
			return
		}
		if what := p.row(e); what != "" && !lost[e] {
			p.fail(plan.Owner(e.Owner), plan.DatabaseWhole, plan.Damaged, "%s: serial %s %s: %s", ledger.IndexName, e.Serial, what, backup)
		}
	})
}

// entry says what is wrong with a certificate of issued.pem, "" for nothing.
func (p *proof) entry(e *ledger.Entry) string {
	cert, err := x509.ParseCertificate(e.DER)
	if err != nil {
		return "cannot be read"
	}
	owner := string(p.Have.CA.Owner)
	if !ledger.IsUser(e.Owner) && e.Owner != owner && e.Owner != ledger.ParentOwner(owner) {
		return fmt.Sprintf("has an owner that is neither a user nor %s", p.Have.CA.Owner)
	}
	signers := append(p.Ledger.Parents(owner), cert)
	if ledger.IsUser(e.Owner) {
		signers = nil
		for _, g := range p.Verdict.Trust.Generations {
			signers = append(signers, g.Cert)
		}
	}
	if !slices.ContainsFunc(signers, func(ca *x509.Certificate) bool { return signedBy(cert, ca) }) {
		return "was altered: no CA of the database has signed it"
	}
	return ""
}

// signedBy checks a signature and nothing else: a certificate that was adopted may be
// of a CA that today's rules would not have.
func signedBy(cert, ca *x509.Certificate) bool {
	return ca.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature) == nil
}

// row says in what the row of an entry differs from the certificate, "" for nothing. A
// serial that is shared has one row for several certificates.
func (p *proof) row(e *ledger.Entry) string {
	if e.Foreign() {
		return ""
	}
	r := p.Ledger.Row(e.Serial)
	cert, err := x509.ParseCertificate(e.DER)
	switch {
	case r == nil:
		return "is not in it, and " + ledger.IssuedName + " has its certificate"
	case !slices.Contains(r.Owners(), e.Owner):
		return fmt.Sprintf("is of %s, and in %s of %s", r.Owner, ledger.IssuedName, e.Owner)
	case err != nil || len(r.Owners()) > 1:
	case !r.NotAfter.Equal(cert.NotAfter):
		return fmt.Sprintf("ends on %s, and the certificate on %s", day(r.NotAfter), day(cert.NotAfter))
	case r.Subject != pki.NameOneLine(cert.RawSubject):
		return fmt.Sprintf("names %q, and the certificate %q", r.Subject, pki.NameOneLine(cert.RawSubject))
	}
	return ""
}

// ca checks the signatures in the trust file, and the keys of earlier generations.
func (p *proof) ca() {
	ca := &p.Have.CA
	for _, cert := range ca.Crt.All {
		if _, whole := pki.Above(cert, ca.Crt.All); !(pki.SelfIssued(cert) && signedBy(cert, cert) || !pki.SelfIssued(cert) && whole) && !p.has(ca.Owner, plan.CertificateRecorded) {
			p.fail(ca.Owner, plan.CertificateValid, plan.Damaged, "%s: the signature of %s is wrong: %s", ca.Crt.Name(), pki.NameString(cert.RawSubject), backup)
		}
	}
	for _, g := range p.Verdict.Trust.Past() {
		if k, read := ca.Past[g.Number]; read && k.SPKI != "" && k.SPKI != g.SPKI {
			p.fail(ca.Owner, plan.KeyMatches, plan.KeyMismatch, "%s is not the key of generation %d: %s", k.Name(), g.Number, backup)
		}
	}
}

// users lets every user in who has a certificate.
func (p *proof) users() {
	list := make([]*facts.User, p.Have.Users.Len())
	for i := range list {
		list[i] = p.Have.Users.User(i)
	}
	p.forEach(len(list), func(i int) { p.user(list[i]) })
}

func (p *proof) user(u *facts.User) {
	if u.Err != nil || u.Crt.Cert == nil || u.Crt.Cert.X509 == nil {
		p.unanswered(u.Owner, plan.CertificateValid, plan.LetIn)
		return
	}
	cert := u.Crt.Cert.X509
	if p.unjudged[u.Owner] && p.Ledger.Holder(u.Crt.Cert.Serial, u.Crt.Cert.Sum) != string(u.Owner) {
		p.fail(u.Owner, plan.CertificateRecorded, plan.Damaged, "%s is not a certificate that the CA database holds for the user: %s", u.Crt.Name(), backup)
	}
	if p.has(u.Owner, plan.CertificateValid) || p.has(u.Owner, plan.CertificateRecorded) {
		p.unanswered(u.Owner, plan.CertificateValid, plan.LetIn)
		return
	}
	if err := p.gate.chain(cert); err != nil {
		p.fail(u.Owner, plan.CertificateValid, plan.IssuerChanged, "%s is not good for a server with %s (%s): %s", u.Crt.Name(), p.Have.CA.Crt.Name(), x509Reason(err), p.wayIn(u.Owner))
		p.unanswered(u.Owner, plan.CertificateValid, plan.LetIn)
		return
	}
	for i := range p.Have.Sites {
		if site := &p.Have.Sites[i]; p.refuses(i, u.Crt.Cert.Serial) {
			p.fail(u.Owner, plan.LetIn, plan.Revoked, "%s refuses serial %s as revoked, and the CA database says nothing of that: mtlsplan apply mends the site", site.Owner, u.Crt.Cert.Serial)
			return
		}
	}
	key := p.Signer(u.Crt.Cert.SPKI)
	if key == nil || u.Asked != nil {
		return // chain and revocation are all that the server looks at beside the key
	}
	if err := p.gate.letsIn(p.ctx, cert, key); err != nil && p.ctx.Err() == nil {
		p.fail(u.Owner, plan.LetIn, plan.KeyMismatch, "a TLS server with %s does not let the user in (%s): %s", p.Have.CA.Crt.Name(), x509Reason(err), p.wayIn(u.Owner))
	}
}

// unanswered leaves checks open that follow from one that fails: once is enough to say.
func (p *proof) unanswered(owner plan.Owner, checks ...plan.CheckName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, check := range checks {
		p.failed[id(owner, check)] = true
	}
}

// wayIn is what lets somebody in again whom the server refuses.
func (p *proof) wayIn(owner plan.Owner) string {
	ca := p.Have.CA.Owner
	if p.has(ca, plan.CertificateRecorded) || p.has(ca, plan.FilesPresent) || p.has(ca, plan.CertificateValid) {
		return "mend " + string(ca) + " first"
	}
	return "have a new key made with mtlsplan apply --replace " + string(owner)
}

// x509Reason is an error of the libraries without the names of its layers and without
// what it supposes.
func x509Reason(err error) string {
	text, _, _ := strings.Cut(err.Error(), " (possibly")
	return strings.ReplaceAll(strings.ReplaceAll(text, "tls: ", ""), "x509: ", "")
}

// refuses reports whether the i-th site refuses a serial: by its map, or by the CRL.
func (p *proof) refuses(i int, serial string) bool {
	settings := &p.Config.Sites[i].Settings
	if settings.Revocation != "crl" && p.mapped[i][serial] {
		return true
	}
	return settings.Revocation != "map" && p.listed(serial)
}

// listed reports whether a CRL in place lists a serial.
func (p *proof) listed(serial string) bool {
	for _, on := range p.onCRL {
		if on[serial] {
			return true
		}
	}
	return false
}

// crl compares the CRLs with the CA database.
func (p *proof) crl() {
	owner, crl, trust := plan.CRL(p.Config.CA.Name), &p.Have.CRL, p.Verdict.Trust
	var newest *big.Int
	for spki, list := range crl.Lists {
		if list.Number != nil && (newest == nil || list.Number.Cmp(newest) > 0) {
			newest = list.Number
		}
		for i := range list.RevokedCertificateEntries {
			e := &list.RevokedCertificateEntries[i]
			if what := p.listing(spki, list, e); what != "" {
				p.fail(owner, plan.CRLEntries, plan.Damaged, "%s: serial %s %s: the CRL is signed, so restore %s from a backup", crl.Name(), pki.SerialHex(e.SerialNumber), what, ledger.IndexName)
			}
		}
	}
	if next := p.Ledger.Number(); newest != nil && next.Cmp(new(big.Int).Add(newest, big.NewInt(1))) > 0 {
		p.fail(owner, plan.CRLNumber, plan.Damaged, "the newest CRL in place is number %X, and the next would be %X: %s was altered, or another program has signed a CRL that is not in place: move %s away and run mtlsplan apply, which signs one",
			newest, next, ledger.NumberName, crl.Name())
	}
	if crl.Missing || crl.Damaged || crl.Err != nil || p.has(owner, plan.CRLEntries) {
		return
	}
	for _, r := range trust.Revoked(p.Ledger, *crl, p.Now, false) {
		for _, g := range trust.Signing() {
			if on := p.onCRL[g.SPKI]; on != nil && !p.Verdict.CannotSign[g.SPKI] && trust.Belongs(r, g.SPKI) && !on[r.Serial] {
				p.fail(owner, plan.CRLEntries, plan.Revoked, "%s does not list serial %s of %s, which is revoked: mtlsplan apply mends it", crl.Name(), r.Serial, r.Owner)
				break
			}
		}
	}
}

// listing says in what an entry of a CRL differs from the CA database, "" for nothing.
// That the database lacks the revocation is a matter of the policies.
func (p *proof) listing(spki string, list *x509.RevocationList, e *x509.RevocationListEntry) string {
	r := p.Ledger.Row(pki.SerialHex(e.SerialNumber))
	if r == nil || r.State != ledger.Revoked {
		return ""
	}
	other := policy.OtherRevocation(list, e, r)
	switch {
	case other != "":
		return other
	case !p.Verdict.Trust.Belongs(*r, spki) && !p.onCRL[p.Verdict.Trust.Signer(*r)][r.Serial]:
		return "is on the CRL of a CA that has not issued it"
	}
	return ""
}

// keptOut finds revoked certificates that a site would let in: those that a CA in the
// trust file has signed, and that neither its map nor the CRL refuses.
func (p *proof) keptOut() {
	if p.Verdict.Trust.Current() == nil {
		return // nobody gets in
	}
	der := map[string][]byte{} // of the certificate, by serial
	entries := p.Ledger.Entries()
	for i := range entries {
		der[entries[i].Serial] = entries[i].DER
	}
	for _, r := range p.Ledger.Rows() {
		if r.State != ledger.Revoked || !p.Now.Before(r.NotAfter) || !p.trusted(r, der[r.Serial]) {
			continue
		}
		owner := plan.Owner(r.Owners()[0])
		if len(p.Have.Sites) == 0 && !p.listed(r.Serial) {
			p.getsIn(owner, r, "a proxy that reads "+p.Have.CRL.Name())
		}
		for i := range p.Have.Sites {
			if !p.refuses(i, r.Serial) {
				p.getsIn(owner, r, string(p.Have.Sites[i].Owner))
			}
		}
	}
}

func (p *proof) getsIn(owner plan.Owner, r ledger.Row, where string) {
	if !ledger.IsUser(string(owner)) {
		owner = plan.CRL(p.Config.CA.Name) // only its CRL tells of the certificate
	}
	p.fail(owner, plan.KeptOut, plan.Revoked, "%s lets serial %s in, which was revoked on %s: %s", where, r.Serial, day(r.Revoked), p.wayOut(&r))
}

// wayOut is what keeps somebody out whom a CRL lets in: signed again, or, where its CA
// cannot sign any more, with the CA no longer trusted.
func (p *proof) wayOut(r *ledger.Row) string {
	trust := p.Verdict.Trust
	spki := trust.Signer(*r)
	i := slices.IndexFunc(trust.Generations, func(g ledger.Generation) bool { return g.SPKI == spki })
	if !p.Verdict.CannotSign[spki] || i < 0 {
		return "run mtlsplan apply, and have the proxy read what it has written"
	}
	g, key := &trust.Generations[i], p.Have.CA.Key.Name()
	if g != trust.Current() {
		key = facts.PastKeyPath(p.Config.CA.Name, g.Number).String()
	}
	return fmt.Sprintf("mtlsplan apply cannot sign the CRL of generation %d any more, because %s is lost or does not open: restore it from a backup, with its passphrase, and run apply; or move its users at once with mtlsplan apply --replace 'user.*', and the apply after that no longer trusts it; or list %d in compromised, and one apply does both",
		g.Number, key, g.Number)
}

// trusted reports whether a revoked certificate would get in if nothing refused it.
func (p *proof) trusted(r ledger.Row, der []byte) bool {
	if der == nil {
		return slices.ContainsFunc(p.Verdict.Trust.Generations, func(g ledger.Generation) bool {
			return p.Verdict.Trust.Belongs(r, g.SPKI) && slices.ContainsFunc(p.Have.CA.Crt.All, func(ca *x509.Certificate) bool { return pki.PublicID(ca.PublicKey) == g.SPKI })
		})
	}
	cert, err := x509.ParseCertificate(der)
	return err == nil && p.gate.chain(cert) == nil
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }
