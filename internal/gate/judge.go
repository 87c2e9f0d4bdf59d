// Package gate lets visitors in by their certificates, as the proxy would: it
// judges a certificate by the trust file and the revocations of an output directory,
// and has a TLS server that asks for one.
//
// The judgement is pure. The server gets directory, clock and pages from its caller.
package gate

import (
	"cmp"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"math"
	"time"

	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
)

// World is what decides who gets in.
type World struct {
	CAs         []*x509.Certificate // of the trust file
	Generations []ledger.Generation // of the CA, oldest first
	Ledger      *ledger.Ledger
	CRLs        map[string]*x509.RevocationList // by the SPKI of the CA

	// Above: CAs above ours are trusted too, so that only a certificate that the CA
	// database holds lets anybody in. They are not among CAs.
	Above bool
}

// Judge says whether somebody gets in with a certificate, nil for none. A revocation
// comes before all else that is wrong, because it is what a new certificate mends.
func (w *World) Judge(cert *x509.Certificate, now time.Time) plan.VisitDocument {
	if cert == nil {
		return plan.VisitDocument{FormatVersion: plan.FormatVersion, Code: plan.NoCertificate}
	}
	code, shown := w.examine(cert, now)
	return plan.VisitDocument{FormatVersion: plan.FormatVersion, Admitted: code == plan.Admitted, Code: code, Certificate: shown}
}

func (w *World) examine(cert *x509.Certificate, now time.Time) (plan.Code, *plan.VisitCertificate) {
	shown := show(cert, now)
	ca, weak := w.signer(cert)
	ours := w.recordedAs(cert, ca, shown)
	if ca != nil {
		shown.Generation = w.generation(ca)
	}
	switch {
	case ca == nil && !ours && !weak:
		return plan.UnknownCA, shown
	case (ca != nil || ours) && w.revoked(cert, ca, shown):
		return plan.Revoked, shown
	case weak:
		return plan.Unsuitable, shown
	case ca == nil:
		return plan.CALeft, shown
	case now.Before(cert.NotBefore):
		return plan.NotYetValid, shown
	case now.After(cert.NotAfter):
		return plan.Expired, shown
	case now.Before(ca.NotBefore) || now.After(ca.NotAfter):
		return plan.CAEnded, shown
	case !ours:
		return plan.NotRecorded, shown
	case !serves(cert, ca, now):
		return plan.Unsuitable, shown
	}
	return plan.Admitted, shown
}

// show is what a certificate says by itself.
func show(cert *x509.Certificate, now time.Time) *plan.VisitCertificate {
	name, _, _ := pki.ParseSubject(cert.RawSubject) // of a foreign name, what can be read of it
	email := name.Email
	for _, san := range pki.SANs(cert) {
		if san.Type == pki.SANEmail {
			email = san.Value
			break
		}
	}
	return &plan.VisitCertificate{
		CommonName: name.CommonName, Email: email, Serial: pki.SerialHex(cert.SerialNumber), Issuer: pki.NameString(cert.RawIssuer),
		NotBefore: plan.Seconds(cert.NotBefore), NotAfter: plan.Seconds(cert.NotAfter),
		DaysLeft: int(math.Floor(cert.NotAfter.Sub(now).Hours() / 24)),
	}
}

// recordedAs reports whether the CA database knows this very certificate, and adds
// whose it is. `openssl ca` records a row of index.txt and no certificate; a row
// counts only where the CA has signed, so that nobody learns of a user by a serial.
func (w *World) recordedAs(cert, ca *x509.Certificate, shown *plan.VisitCertificate) bool {
	if owner := w.Ledger.Holder(shown.Serial, sha256.Sum256(cert.Raw)); owner != "" {
		if ledger.IsUser(owner) {
			shown.Owner = plan.Owner(owner)
		}
		return true
	}
	return ca != nil && !w.Above && w.Ledger.Row(shown.Serial) != nil
}

// signer is the CA of the trust file that has signed a certificate, nil for none.
// weak says that the certificate names one, and has a signature that nobody takes
// today, such as one with SHA-1.
func (w *World) signer(cert *x509.Certificate) (ca *x509.Certificate, weak bool) {
	for _, ca := range w.CAs {
		if string(cert.RawIssuer) != string(ca.RawSubject) {
			continue
		}
		err := cert.CheckSignatureFrom(ca)
		if err == nil {
			return ca, false
		}
		_, insecure := errors.AsType[x509.InsecureAlgorithmError](err)
		weak = weak || insecure
	}
	return nil, weak
}

// generation is the number of a CA, 0 for one that the CA database does not know.
func (w *World) generation(ca *x509.Certificate) int {
	spki := pki.PublicID(ca.PublicKey)
	for _, g := range w.Generations {
		if g.SPKI == spki {
			return g.Number
		}
	}
	return 0
}

// revoked reports whether the CA database or the CA's CRL lists a certificate, and
// adds when and why it was revoked.
func (w *World) revoked(cert, ca *x509.Certificate, shown *plan.VisitCertificate) bool {
	tell := func(at time.Time, reason string) bool {
		at = plan.Seconds(at)
		shown.RevokedAt, shown.RevokedFor = &at, cmp.Or(reason, "unspecified")
		return true
	}
	if row := w.Ledger.Row(shown.Serial); row != nil && row.State == ledger.Revoked {
		return tell(row.Revoked, row.Reason)
	}
	if ca == nil {
		return false
	}
	if crl := w.CRLs[pki.PublicID(ca.PublicKey)]; crl != nil {
		for _, e := range crl.RevokedCertificateEntries {
			if e.SerialNumber.Cmp(cert.SerialNumber) == 0 {
				return tell(e.RevocationTime, pki.ReasonName(e.ReasonCode))
			}
		}
	}
	return false
}

// serves reports whether all else is in order for the certificate of a client: its
// purpose, the length of the keys, and whatever the CA's certificate may restrict.
func serves(cert, ca *x509.Certificate, now time.Time) bool {
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	_, err := cert.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return err == nil && !(cert.BasicConstraintsValid && cert.IsCA) && !short(cert) && !short(ca)
}

// short reports whether the key of a certificate is too short for OpenSSL's security
// level 2, which is the default of Debian's and Ubuntu's NGINX.
func short(cert *x509.Certificate) bool {
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	return ok && key.N.BitLen() < 2048
}
