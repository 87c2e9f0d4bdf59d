package engine

import (
	"crypto"
	"crypto/x509"
	"math/big"

	"mtlsplan/internal/pki"
	"mtlsplan/internal/secret"
)

// buildCA makes what the CA's task asks for, and the CA that it leaves.
func (e *executor) buildCA(b *built) error {
	t, ca := b.task, b.task.ca
	for _, f := range t.removes {
		b.after = append(b.after, f.name)
	}
	pass := b.newPassphrase(ca.pass)
	var key crypto.Signer
	var err error
	if t.newKey {
		key, err = ca.spec.Key.Generate()
	} else {
		key, err = unlock(ca.key, ca.pass)
	}
	if err != nil {
		return err
	}
	trust := e.obs.trust()
	if t.newCert {
		cert, err := e.newCA(b, key)
		if err != nil {
			return err
		}
		b.issued = append(b.issued, cert)
		if len(trust) > 0 && (!t.newKey || e.dropped) {
			trust = trust[1:]
		}
		trust = append([]*x509.Certificate{cert}, trust...)
	}
	if t.newKey && !ca.key.missing {
		if err := e.pastKey(b, ca, pass); err != nil {
			return err
		}
	}
	if t.mustMake(kindKey) {
		if err := e.putKey(b, ca.key.name, key, pass, ca.spec.KDFIterations); err != nil {
			return err
		}
	}
	for _, g := range ca.past() {
		if g.key.opened != opensPrevious {
			continue
		}
		if err := e.underNewPassphrase(b, g.key.name, g.key, pass); err != nil {
			return err
		}
	}
	if t.mustMake(kindCrt) {
		var text []byte
		for _, c := range trust {
			text = append(text, pki.EncodeCertificate(c.Raw)...)
		}
		b.put(kindCrt, ca.crt.name, text, provesCA(b, trust, key.Public()))
	}
	b.then = func() {
		e.trusted = trust
		e.signers[pki.PublicID(key.Public())] = key
	}
	return nil
}

// pastKey is what is kept of a key that a rollover replaces: the file as it is,
// unless a passphrase that is about to go is all that opens it, or it is not
// encrypted as it should be.
func (e *executor) pastKey(b *built, ca *caFacts, pass secret.Value) error {
	name := pastKeyFile(e.s.cfg, len(ca.gens))
	if ca.key.opened != opensPrevious && ca.key.info.Encoding == pki.KeyEncoding {
		b.put(kindKey, name, ca.key.data, provesOpens(ca.key.public, ca.pass.now))
		return nil
	}
	return e.underNewPassphrase(b, name, ca.key, pass)
}

func (e *executor) underNewPassphrase(b *built, name string, k keyFacts, pass secret.Value) error {
	ca := b.task.ca
	key, err := unlock(k, ca.pass)
	if err != nil {
		return err
	}
	return e.putKey(b, name, key, pass, ca.spec.KDFIterations)
}

// newCA signs the CA's own certificate: under the name that it has, byte for
// byte, or no user's issuer would match; under a new name for a new key.
func (e *executor) newCA(b *built, key crypto.Signer) (*x509.Certificate, error) {
	t, ca := b.task, b.task.ca
	req := pki.CARequest{Serial: e.obs.db.fresh(), NotBefore: e.now().Add(-backdate), NotAfter: *t.step.NotAfter}
	if t.newKey {
		subject, err := generationSubject(ca.spec.Subject, len(ca.gens)+1).DER()
		if err != nil {
			return nil, err
		}
		req.Subject = subject
	} else {
		before := e.obs.trust()[0]
		req.Subject, req.KeyID = before.RawSubject, before.SubjectKeyId
	}
	b.asked = req
	der, err := pki.SignCA(req, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// buildCRL signs a CRL for every CA that is trusted, of what the database says
// by now. A CA whose key cannot be opened keeps the CRL that it has.
func (e *executor) buildCRL(b *built) error {
	entries := e.crlEntries()
	var text []byte
	var signed []signedCRL
	for _, ca := range e.trusted {
		public := pki.PublicID(ca.PublicKey)
		key, err := e.signer(public)
		if err != nil {
			if list := e.obs.crl.lists[public]; list != nil && len(text) > 0 {
				text = append(text, pki.EncodeCRL(list.Raw)...)
				signed = append(signed, signedCRL{ca: ca, kept: list.Raw})
				continue
			}
			return err
		}
		request := pki.CRLRequest{
			Number: e.obs.db.takeNumber(e.now()), ThisUpdate: e.now().Add(-backdate), NextUpdate: *b.task.step.NotAfter, Entries: entries[public],
		}
		der, err := pki.SignCRL(request, ca, key)
		if err != nil {
			return err
		}
		text = append(text, pki.EncodeCRL(der)...)
		signed = append(signed, signedCRL{ca: ca, request: request})
	}
	b.then = func() { e.crl = e.obs.kept() }
	b.put(kindCRL, e.obs.crl.name, text, provesCRLs(signed))
	return nil
}

// crlEntries are the entries of each CA's CRL, by the identity of its key.
func (e *executor) crlEntries() map[string][]x509.RevocationListEntry {
	out := map[string][]x509.RevocationListEntry{}
	latest := e.now().Add(-backdate)
	for _, r := range crlRows(e.obs, e.dropped) {
		serial, _ := new(big.Int).SetString(r.Serial, 16)
		code, _ := pki.ReasonCode(r.Reason)
		when := r.Revoked
		if when.After(latest) {
			when = latest
		}
		public := e.obs.signerOf(r)
		out[public] = append(out[public], x509.RevocationListEntry{SerialNumber: serial, RevocationTime: when, ReasonCode: code})
	}
	return out
}
