package inventory

import (
	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
)

// A glance reads no secret, or has none of an owner whose passphrase is sealed and cannot
// be opened. What is encrypted is taken for what it should be: to hold
// the key of the certificate that lies beside it, and to open.

// glancedPass is what can be told of a passphrase without reading it.
func glancedPass(now config.Source, f *facts.Passphrase) {
	f.Made = now.Kind != config.Generated || !f.Missing
}

// glancedKey says how a key is taken to open. One whose generated passphrase is gone
// opens with none, or with the one before.
func glancedKey(k *facts.Key, now, previous config.Source, p *facts.Passphrase) {
	switch {
	case k.Missing || k.Opening != facts.NotTried:
	case now.Kind != config.Generated || !p.Missing:
		k.Opening = facts.OpensNow
	case previous.IsZero():
		k.Opening = facts.OpensNeither
	default:
		k.Opening = facts.OpensPrevious
	}
}

// glanceCA completes the facts of the CA, whose generations the ledger knows.
func (r *Reader) glanceCA(ca *facts.CA, gens []ledger.Generation) {
	spec := &r.opt.Config.CA
	glancedKey(&ca.Key, spec.Passphrase, spec.PreviousPassphrase, &ca.Passphrase)
	for n, k := range ca.Past {
		glancedKey(&k, spec.Passphrase, spec.PreviousPassphrase, &ca.Passphrase)
		ca.Past[n] = k
	}
	if ca.Key.Missing || ca.Key.SPKI != "" {
		return
	}
	switch {
	case len(gens) > 0:
		g := gens[len(gens)-1]
		ca.Key.Type, ca.Key.SPKI = pki.KeyTypeOf(g.Cert.PublicKey), g.SPKI
	case len(ca.Crt.All) > 0:
		key := ca.Crt.All[0].PublicKey
		ca.Key.Type, ca.Key.SPKI = pki.KeyTypeOf(key), pki.PublicID(key)
	}
}

// glanceUser completes the facts of a user whose files were read.
func (r *Reader) glanceUser(u *config.User, f *facts.User) {
	if r.opt.Blind {
		f.CSR.ChallengeDiffers = false
	}
	if u.CSR != "" || f.Err != nil {
		return
	}
	glancedKey(&f.Key, u.Passphrase, u.PreviousPassphrase, &f.Passphrase)
	if f.Key.Missing {
		return
	}
	if f.Key.SPKI == "" {
		r.glanceKey(f)
	}
	r.findRecorded(f)
	cert := f.Recorded
	if cert == nil {
		cert = f.Crt.Cert
	}
	glanceP12(f, cert)
}

// glanceClosed is glanceUser as far as it goes without the ledger.
func glanceClosed(u *config.User, f *facts.User) {
	glancedKey(&f.Key, u.Passphrase, u.PreviousPassphrase, &f.Passphrase)
	if cert := f.Crt.Cert; !f.Key.Missing && cert != nil && cert.X509 != nil {
		if f.Key.SPKI == "" {
			f.Key.Type, f.Key.SPKI = pki.KeyTypeOf(cert.X509.PublicKey), cert.SPKI
		}
		glanceP12(f, cert)
	}
}

// glanceP12 takes every .p12 for one of the key and a certificate.
func glanceP12(f *facts.User, cert *facts.Certificate) {
	for i := range f.P12 {
		if p := &f.P12[i]; cert != nil && !p.Missing && p.Opening == facts.NotTried && f.Key.Opening == facts.OpensNow {
			p.Opening, p.Cert, p.SPKI = facts.OpensNow, cert.Sum, f.Key.SPKI
		}
	}
}

// glanceKey finds the key that a key file is taken to hold: that of the certificate in
// place, else of the request, else of what was issued to the user last.
func (r *Reader) glanceKey(f *facts.User) {
	switch last := r.ledger.IssuedTo(string(f.Owner)).Last(); {
	case f.Crt.Cert != nil && f.Crt.Cert.X509 != nil:
		f.Key.Type, f.Key.SPKI = pki.KeyTypeOf(f.Crt.Cert.X509.PublicKey), f.Crt.Cert.SPKI
	case f.CSR.Request != nil:
		f.Key.Type, f.Key.SPKI = f.CSR.Request.Type, f.CSR.Request.SPKI
	case last != nil:
		f.Key.SPKI = last.SPKI
		if cert, err := r.certificate(last); err == nil {
			f.Key.Type = pki.KeyTypeOf(cert.PublicKey)
		}
	}
}
