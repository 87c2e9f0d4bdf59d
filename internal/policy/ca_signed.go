package policy

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"mtlsplan/internal/facts"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
)

// A CA that another CA has signed. Its certificate is the other's to renew, and a
// proxy trusts it only together with those above it, up to the one that signs itself.

// examineParents finds what keeps a CA that another has signed from letting anybody
// in: a refusal where the certificates above it are not at hand, an error where one
// of them, or its own, has ended.
func (j *judgement) examineParents(v *caView) ([]finding, error) {
	current := j.trust.Current()
	if v.rolls() || current.Whole && len(current.Parents) == 0 {
		return nil, nil
	}
	last := current.Cert
	if n := len(current.Parents); n > 0 {
		last = current.Parents[n-1]
	}
	if !current.Whole {
		return refuse(plan.Unrecorded, fmt.Sprintf("%s is the certificate of a CA that another CA has signed, and that of %s is not in it, without which a proxy refuses everybody: put it there, behind the CA's own, and those above it up to the one that signs itself",
			v.Crt.Name(), pki.NameString(last.RawIssuer))), nil
	}
	signer := pki.NameString(current.Cert.RawIssuer)
	if ended, end := firstEnd(current.Cert, current.Parents); j.Now.After(end) {
		if ended == current.Cert {
			return nil, plan.Errorf(plan.CAUnavailable, "its certificate has ended on %s, so that nobody gets in and nothing can be issued: %s; or set generation = %d for a new CA that signs itself", day(end), haveSigned(v.CA, signer), current.Number+1)
		}
		return nil, plan.Errorf(plan.CAUnavailable, "the certificate of %s, which is above it, has ended on %s, so that nobody gets in: get the new one, put it into %s behind the CA's own, and say --adopt",
			pki.NameString(ended.RawSubject), day(end), v.Crt.Name())
	}
	if err := chained(current.Cert, current.Parents, j.Now); err != nil && j.found.ca {
		return refuse(plan.Unrecorded, fmt.Sprintf("no proxy lets anybody in with what this CA issues (%s): have %s sign a certificate for a CA that may issue certificates and CRLs, with SHA-256 or better, and put it into %s in place of this one",
			err, signer, v.Crt.Name())), nil
	}
	return nil, nil
}

// firstEnd is the certificate of a chain that ends first, and when.
func firstEnd(own *x509.Certificate, parents []*x509.Certificate) (*x509.Certificate, time.Time) {
	first := own
	for _, c := range parents {
		if c.NotAfter.Before(first.NotAfter) {
			first = c
		}
	}
	return first, first.NotAfter
}

// chained is nil for a chain of CAs that a reader takes below it for those of clients.
func chained(own *x509.Certificate, parents []*x509.Certificate, now time.Time) error {
	below, roots := x509.NewCertPool(), x509.NewCertPool()
	for _, c := range parents {
		below.AddCert(c)
	}
	roots.AddCert(parents[len(parents)-1])
	const signs = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	switch {
	case !own.BasicConstraintsValid || !own.IsCA:
		return errors.New("its certificate is not that of a CA: basicConstraints does not say CA:TRUE")
	case own.KeyUsage&signs != signs:
		return errors.New("its keyUsage does not have both keyCertSign and cRLSign")
	case len(own.SubjectKeyId) == 0:
		return errors.New("its certificate has no subject key identifier")
	}
	for _, c := range append([]*x509.Certificate{own}, parents[:len(parents)-1]...) {
		switch c.SignatureAlgorithm {
		case x509.MD5WithRSA, x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1:
			return fmt.Errorf("the certificate of %s is signed with %s, which no TLS library takes any more", pki.NameString(c.RawSubject), c.SignatureAlgorithm)
		}
	}
	_, err := own.Verify(x509.VerifyOptions{Roots: roots, Intermediates: below, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return err
}

// haveSigned says how the certificate is renewed.
func haveSigned(ca *facts.CA, signer string) string {
	how := "have " + ca.CSR.Name() + " signed by " + signer
	if ca.CSR.Missing {
		how = fmt.Sprintf("make a request with openssl req -new -key %s, under the CA's own subject, and have it signed by %s", ca.Key.Name(), signer)
	}
	return how + ", and put the certificate into " + ca.Crt.Name() + " in place of the CA's own"
}

// caRenewed says what a CA above this one has signed anew.
func caRenewed(v *caView) []finding {
	if v.renewed == nil {
		return nil
	}
	if pki.PublicID(v.renewed.PublicKey) != v.trust.Current().SPKI {
		return one(plan.Repair, plan.Reason{Message: fmt.Sprintf("%s holds a newer certificate of %s, which is above the CA; it is recorded", v.Crt.Name(), pki.NameString(v.renewed.RawSubject))}, plan.KindDB)
	}
	return one(plan.Repair, plan.Reason{Message: fmt.Sprintf("%s holds a certificate that %s has signed for the CA, until %s; it is recorded, and the key and its users stay",
		v.Crt.Name(), pki.NameString(v.renewed.RawIssuer), day(v.renewed.NotAfter))}, plan.KindDB)
}

// caRequest has a request at hand for the CA above this one.
func caRequest(v *caView) []finding {
	current := v.trust.Current()
	c := v.CSR.Request
	if len(current.Parents) == 0 || v.rolls() || c != nil && c.SPKI == current.SPKI && c.Subject == string(current.Cert.RawSubject) {
		return nil
	}
	return one(plan.Rebuild, plan.Reason{Message: fmt.Sprintf("there is no request for the CA's own certificate: %s can sign it when that has to be renewed", pki.NameString(current.Cert.RawIssuer))}, plan.KindCSR)
}

// aheadOf is how long before its end a CA's certificate has to be renewed. renew_before is
// of the spec's validity, and one that another CA has signed may have a shorter one.
func aheadOf(cert *x509.Certificate, before time.Duration) time.Duration {
	if pki.SelfIssued(cert) {
		return before
	}
	return min(before, cert.NotAfter.Sub(cert.NotBefore)/3)
}

// signedNotes tell of a CA that another CA has signed.
func (j *judgement) signedNotes() {
	ca, current := &j.Have.CA, j.trust.Current()
	own, end := firstEnd(current.Cert, current.Parents)
	if j.Now.Before(end.Add(-aheadOf(own, j.Config.CA.RenewBefore))) {
		return
	}
	if own == current.Cert {
		j.warn(ca.Owner, plan.ParentRenews, "the CA certificate ends on %s, and another CA has to renew it: %s", day(end), haveSigned(ca, pki.NameString(own.RawIssuer)))
		return
	}
	j.warn(ca.Owner, plan.ParentRenews, "the certificate of %s, which is above the CA, ends on %s, and nobody gets in from then on: get the new one, put it into %s behind the CA's own, and say --adopt",
		pki.NameString(own.RawSubject), day(end), ca.Crt.Name())
}

// signed reports whether a CA above one of ours is trusted together with it.
func signed(file, trusted []*x509.Certificate) bool {
	return !slices.EqualFunc(file, trusted, sameCert)
}

func sameCert(a, b *x509.Certificate) bool { return a == b || a.Equal(b) }
