package engine

import (
	"crypto"
	"crypto/x509"
	"slices"

	"mtlsplan/internal/authority"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/inventory"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/policy"
	"mtlsplan/internal/secret"
)

// makeCA makes what the CA's task asks for, and what stays of the CA key that a
// rollover replaces.
func (c *carryOut) makeCA(r *result) error {
	t, spec := r.task, &c.cfg.CA
	path := func(kind plan.Kind) facts.Path { return facts.CAPath(spec.Name, kind) }
	for _, f := range t.Removes {
		r.after = append(r.after, f.Name())
	}
	trust := c.trusted
	var m *inventory.CAMaterial
	var pass secret.Value
	var key crypto.Signer
	var public crypto.PublicKey
	var err error
	if c.needsKey(t) {
		if m, err = c.in.CA(); err != nil {
			return err
		}
		if pass, err = r.passphrase(m.Passphrase, spec.Seal, path); err != nil {
			return err
		}
		if key, err = c.caKey(t); err != nil {
			return err
		}
		public = key.Public()
	} else if len(trust) > 0 {
		public = trust[0].PublicKey
	}
	if t.NewCert {
		cert, err := c.newCA(r, key)
		if err != nil {
			return err
		}
		r.issued = append(r.issued, cert)
		if len(trust) > 0 && (!t.NewKey || c.verdict.Dropped) {
			trust = trust[1:]
		}
		trust = append([]*x509.Certificate{cert}, trust...)
	}
	if t.NewKey && !c.have.CA.Key.Missing {
		if err := c.pastKey(r, m, pass); err != nil {
			return err
		}
	}
	if t.MustMake(plan.KindKey) {
		if err := r.key(path(plan.KindKey), key, pass, spec.KDFIterations, &c.firsts); err != nil {
			return err
		}
	}
	for _, g := range c.verdict.Trust.Past() {
		if c.have.CA.Past[g.Number].Opening != facts.OpensPrevious {
			continue
		}
		if err := c.underNewPassphrase(r, facts.PastKeyPath(spec.Name, g.Number), g.SPKI, pass); err != nil {
			return err
		}
	}
	if t.MustMake(plan.KindCrt) {
		var text []byte
		file := c.writer.Ledger().TrustFile(string(t.Step.Owner), trust)
		for _, cert := range file {
			text = append(text, pki.EncodeCertificate(cert.Raw)...)
		}
		r.put(plan.KindCrt, path(plan.KindCrt), text, provesCA(r, file, public))
	}
	if t.MustMake(plan.KindCSR) {
		subject := trust[0].RawSubject
		der, err := pki.MakeCSR(subject, nil, secret.Value{}, key)
		if err != nil {
			return err
		}
		r.put(plan.KindCSR, path(plan.KindCSR), pki.EncodeCSR(der), provesCSR(key.Public(), subject, nil))
	}
	if t.MustMake(plan.KindGit) {
		for _, g := range c.have.CA.Git {
			if !g.Whole() {
				r.put(plan.KindGit, g.Path, g.Want(), provesGit(g))
			}
		}
	}
	r.then = func() {
		c.trusted = trust
		if len(trust) > 0 && key != nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.keys[pki.PublicID(key.Public())] = authority.NewKeyFile(trust[0], func() (crypto.Signer, error) { return key, nil })
		}
		for _, p := range r.puts {
			if p.name == path(plan.KindKey).String() {
				c.in.MadeKey(p.data, pass, key.Public())
			}
		}
	}
	return nil
}

// needsKey reports whether the CA's key and passphrase have to be at hand for a task.
// A generation that is compromised is left behind without them.
func (c *carryOut) needsKey(t *policy.Task) bool {
	return t.NewCert || t.MustMake(plan.KindKey) || t.MustMake(facts.PassKind(c.cfg.CA.Seal)) || t.MustMake(plan.KindCSR) ||
		slices.ContainsFunc(c.verdict.Trust.Past(), func(g ledger.Generation) bool { return c.have.CA.Past[g.Number].Opening == facts.OpensPrevious })
}

// caKey is the key that the CA has after the task.
func (c *carryOut) caKey(t *policy.Task) (crypto.Signer, error) {
	switch now := c.verdict.Trust.Current(); {
	case t.NewKey:
		return c.cfg.CA.Key.Generate()
	case now != nil:
		return c.keyFile(now.SPKI).Key()
	}
	return c.openCA()
}

// pastKey is what is kept of a key that a rollover replaces: the file as it is,
// unless a passphrase that is about to go is all that opens it, or it is not
// encrypted as it should be. One that nothing opens is kept too: its passphrase may
// turn up.
func (c *carryOut) pastKey(r *result, m *inventory.CAMaterial, pass secret.Value) error {
	now := c.verdict.Trust.Current()
	path := facts.PastKeyPath(c.cfg.CA.Name, now.Number)
	key := c.have.CA.Key
	if key.Opening != facts.OpensNow && key.Opening != facts.OpensPrevious {
		r.moves = append(r.moves, move{key.Name(), path.String()})
		return nil
	}
	if key.Opening != facts.OpensPrevious && key.Info.Encoding == pki.KeyEncoding {
		r.put(plan.KindKey, path, m.KeyFile, provesOpens(key.SPKI, m.Passphrase))
		return nil
	}
	return c.underNewPassphrase(r, path, now.SPKI, pass)
}

func (c *carryOut) underNewPassphrase(r *result, path facts.Path, spki string, pass secret.Value) error {
	key, err := c.keyFile(spki).Key()
	if err != nil {
		return err
	}
	return r.key(path, key, pass, c.cfg.CA.KDFIterations, &c.firsts)
}

// newCA signs the CA's own certificate: under the name that it has, byte for
// byte, or no user's issuer would match; under a new name for a new key.
func (c *carryOut) newCA(r *result, key crypto.Signer) (*x509.Certificate, error) {
	req := pki.CARequest{Serial: c.writer.FreshSerial(), NotBefore: c.opt.Now.Add(-pki.Backdate), NotAfter: *r.task.Step.NotAfter}
	if r.task.NewKey {
		subject, err := policy.GenerationSubject(c.cfg.CA.Subject, len(c.verdict.Trust.Generations)+1).DER()
		if err != nil {
			return nil, err
		}
		req.Subject = subject
	} else {
		req.Subject, req.KeyID = c.trusted[0].RawSubject, c.trusted[0].SubjectKeyId
	}
	r.asked = req
	der, err := pki.SignCA(req, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}
