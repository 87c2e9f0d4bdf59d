package inventory

import (
	"bytes"
	"crypto/x509"
	"slices"
	"strings"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/outdir"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/secret"
	"mtlsplan/internal/statcache"
)

// revokedElsewhere is a CRL or an index with revocations under the name that it usually has
// where a CA was run by hand.
func (r *Reader) revokedElsewhere() string {
	if _, there := r.dir.FileMode("crl.pem"); there {
		return "crl.pem"
	}
	if f, err := r.read("index.txt"); err == nil && (bytes.HasPrefix(f.Data, []byte("R\t")) || bytes.Contains(f.Data, []byte("\nR\t"))) {
		return "index.txt"
	}
	return ""
}

// ca reads the files of the CA, and which files of the database are open to more
// than they may be.
func (r *Reader) ca(m *CAMaterial) (facts.CA, error) {
	crt, err := r.caFile(plan.KindCrt)
	ca := facts.CA{
		Owner: r.caOwner(), Passphrase: m.pass, Key: m.key, Crt: certificates(crt), Past: map[int]facts.Key{},
		Interrupted: r.dir.Interrupted(), Err: firstOf(m.err, err),
	}
	if _, ca.EasyRSA = r.dir.FileMode("private/ca.key"); ca.EasyRSA {
		_, ca.EasyRSA = r.dir.FileMode("ca.crt")
	}
	if _, there := r.dir.FileMode(facts.CAPath(r.opt.Config.CA.Name, plan.KindCRL).String()); r.opt.Adopt && !there {
		ca.RevokedIn = r.revokedElsewhere()
	}
	csr, err := r.caFile(plan.KindCSR)
	if ca.CSR.File = csr.File; err != nil && ca.Err == nil {
		ca.Err = err
	}
	if c, err := pki.ParseCSR(csr.content.Data); err == nil && !csr.Missing {
		ca.CSR.Request = request(c)
	}
	for _, d := range []struct {
		name string
		kind plan.Kind
	}{{outdir.DB, plan.KindDB}, {facts.SecretsDir, plan.KindPass}} {
		mode, exists, err := r.dir.DirMode(d.name)
		if err != nil {
			return ca, err
		}
		f := r.asKept(facts.File{Kind: d.kind, Path: facts.At(d.name), Mode: mode, Owner: r.dir.DirOwner(d.name)})
		if exists && (f.Mode&^facts.ModePrivate != 0 || f.Owner != "") {
			ca.Wide = append(ca.Wide, f)
		}
	}
	if err := firstOf(r.checkout(&ca), r.inClear(&ca)); err != nil {
		return ca, err
	}
	names, err := r.dir.List(outdir.DB)
	if err != nil {
		return ca, err
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".new") {
			continue // `openssl ca` is about to rename it, beside this run
		}
		name = outdir.DB + "/" + name
		if strings.HasSuffix(name, outdir.UnreadableEnding) {
			ca.SetAside = append(ca.SetAside, name)
		}
		if name == statcache.Name && r.cache.Works() {
			// An overlay of two file systems vouches for no file, and a plain one is not odd there.
			if _, plain := r.cache.Stat(name); !plain && r.dir.CheckPlain(name) != nil {
				ca.Odd = append(ca.Odd, name)
				continue // nobody needs it
			}
		}
		if f, exists := r.unread(plan.KindDB, facts.At(name)); exists && (f.Mode&^facts.ModeSecret != 0 || f.Owner != "") {
			ca.Wide = append(ca.Wide, f)
		}
	}
	return ca, nil
}

func (r *Reader) caOwner() plan.Owner { return plan.CA(r.opt.Config.CA.Name) }

func (r *Reader) caFile(kind plan.Kind) (file, error) {
	return r.file(kind, facts.CAPath(r.opt.Config.CA.Name, kind))
}

// readCA reads the CA's key and passphrases.
func (r *Reader) readCA() *CAMaterial {
	spec, m := &r.opt.Config.CA, &CAMaterial{}
	generated, err := r.passFiles(func(kind plan.Kind) facts.Path { return facts.CAPath(spec.Name, kind) }, spec.Seal, spec.Passphrase, spec.PreviousPassphrase)
	m.pass.File = generated.clear.File
	key, keyErr := r.caFile(plan.KindKey)
	m.err = firstOf(err, keyErr)
	if err == nil {
		m.passphrases, m.pass = r.passphrases(spec.Passphrase, spec.PreviousPassphrase, spec.Seal, generated)
		if isGenerated(spec.Passphrase) && !m.now.IsZero() { // no CRL waits for an identity that it does not need
			m.pass.Unsealed, m.pass.Err = m.pass.Err, nil
		}
		m.pass.Weak = !r.opt.Blind && spec.Passphrase.Kind != config.Generated && m.pass.Made && secret.Weak(m.now)
	}
	pass := m.file
	m.Passphrase, m.KeyFile = m.now, key.content.Data
	if m.key.File = key.File; keyErr != nil {
		return m
	}
	var known *contents
	owner := string(r.caOwner())
	if k, ok := r.keyRecord(r.record(owner)); ok && k.bound(spec.Passphrase, pass.content.Stat) && k.key == key.content.Stat {
		known = &k.contents
	}
	m.key, m.opens = r.key(key, m.passphrases, unavailable(&m.pass), known)
	if k, ok := keyRecordOf(spec.Passphrase, m.passphrases, m.pass, m.key, pass, key); ok && r.settled(&k) {
		r.cache.Put(owner, &statcache.Record{Stats: statcache.StatsOf(k.pass, k.key), Facts: k.packed()}, pass.Name(), key.Name())
	}
	return m
}

// generations are those of the CA.
func (r *Reader) generations() []ledger.Generation {
	return r.ledger.Generations(string(r.caOwner()), r.opt.Now)
}

// past reads the keys of earlier generations while users still depend on them: of
// all of them where adoption may make it so.
func (r *Reader) past(ca *facts.CA, m *CAMaterial, gens []ledger.Generation) {
	for _, g := range gens[:max(0, len(gens)-1)] {
		if g.Dependents == 0 && !r.opt.Adopt || slices.Contains(r.opt.Config.CA.Compromised, g.Number) {
			continue
		}
		f, err := r.file(plan.KindKey, facts.PastKeyPath(r.opt.Config.CA.Name, g.Number))
		k := facts.Key{File: f.File, Opening: facts.Unreadable}
		if err == nil {
			k, _ = r.key(f, m.passphrases, unavailable(&m.pass), nil)
		}
		ca.Past[g.Number] = k
	}
}

// crl reads the CRLs. Those of a CA that is about to be adopted are among them.
func (r *Reader) crl(ca *facts.CA, gens []ledger.Generation) facts.CRL {
	f, err := r.caFile(plan.KindCRL)
	c := facts.CRL{File: f.File, Err: err, Lists: map[string]*x509.RevocationList{}}
	if err != nil || c.Missing {
		return c
	}
	var signers, above []*x509.Certificate // above: a proxy that reads CRLs wants those of all CAs of a chain
	for _, g := range gens {
		signers, above = append(signers, g.Cert), append(above, g.Parents...)
	}
	if len(signers) == 0 && r.opt.Adopt && r.opt.Covers(ca.Owner) && !ca.Key.Missing && ca.Crt.Cert != nil {
		signers = []*x509.Certificate{ca.Crt.Of(ca.Key.SPKI)}
		above, _ = pki.Above(signers[0], ca.Crt.All)
	}
	lists, err := pki.ParseCRLs(f.content.Data)
	c.Form = pki.Form(f.content.Data)
	c.Damaged = err != nil || len(lists) == 0
	for _, list := range lists {
		i := slices.IndexFunc(signers, func(ca *x509.Certificate) bool { return pki.SignedCRL(list, ca) })
		if i < 0 {
			c.Damaged = c.Damaged || !slices.ContainsFunc(above, func(ca *x509.Certificate) bool { return pki.SignedCRL(list, ca) })
			continue
		}
		spki := pki.PublicID(signers[i].PublicKey)
		if other := c.Lists[spki]; other != nil {
			if newer(other, list) {
				list, other = other, list
			}
			c.More = append(c.More, other)
		}
		c.Lists[spki] = list
	}
	return c
}

// newer reports whether a CRL has a higher number than another of the same CA.
func newer(a, b *x509.RevocationList) bool {
	return a.Number != nil && (b.Number == nil || a.Number.Cmp(b.Number) > 0)
}
