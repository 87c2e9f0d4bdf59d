package engine

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mtlsplan/internal/cadb"
	"mtlsplan/internal/config"
	"mtlsplan/internal/outdir"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/secret"
	"mtlsplan/render/proxies"
	"mtlsplan/spec"
)

// observer reads an output directory into facts.
type observer struct {
	dir     *outdir.Dir
	cfg     *spec.Config
	db      *database
	vault   *vault
	opened  *openings
	cache   *cache
	digests *digests
	stats   *outdir.Stats // nil where nothing can be known by them
	clock   int64         // of the output directory, of before anything was read; 0 for a reader
}

// forEach calls f for every index, so many at a time, until ctx ends: then the
// rest is left out.
func forEach(ctx context.Context, workers, n int, f func(int)) {
	var wg sync.WaitGroup
	var next atomic.Int64
	for range min(n, workers) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				f(i)
			}
		})
	}
	wg.Wait()
}

// observe reads what the directory holds. An error means that nothing can be
// judged; what concerns one owner is in that owner's facts.
func (s *session) observe() (*Observed, error) {
	o := s.observer()
	obs := &Observed{now: s.opt.Now, cfg: s.cfg, adopting: s.opt.Adopt}
	var err error
	if obs.ca, err = o.ca(); err != nil {
		return nil, err
	}
	obs.ca.interrupted = s.dir.Interrupted()
	for i := range s.cfg.Users {
		if u := &s.cfg.Users[i]; u.Revoked == "" && s.opt.covers(userOwner(u.Name)) {
			obs.users = append(obs.users, slot{spec: u})
		}
	}
	if !s.thorough && !s.opt.Adopt {
		o.remember(s.ctx, s.opt.Parallel, obs.users)
	}
	var unknown []*slot
	for i := range obs.users {
		if obs.users[i].memo == "" {
			unknown = append(unknown, &obs.users[i])
		}
	}
	one := s.reading(len(unknown))
	forEach(s.ctx, s.opt.Parallel, len(unknown), func(i int) {
		o.look(unknown[i], !s.thorough && !s.opt.Adopt)
		one()
	})
	if err := s.ctx.Err(); err != nil {
		return nil, err
	}
	return s.relate(o, obs)
}

// reading returns what is called whenever the files of one more user have been
// read, of so many, and tells whoever wants to know.
func (s *session) reading(total int) func() {
	if s.opt.Reading == nil {
		return func() {}
	}
	var mu sync.Mutex
	done := 0
	return func() {
		mu.Lock()
		defer mu.Unlock()
		done++
		s.opt.Reading(done, total)
	}
}

// relate reads what is one for all owners, and what follows from it.
//
// The database comes after the files: a writer beside us records first, so that
// whatever was seen of a certificate is in it.
func (s *session) relate(o *observer, seen *Observed) (*Observed, error) {
	obs := &Observed{now: seen.now, cfg: seen.cfg, adopting: seen.adopting, ca: seen.ca, users: seen.users}
	if s.db == nil {
		db, err := readDatabase(s.dir, o.cache, o.stats)
		if err != nil {
			return nil, err
		}
		s.db = db
	}
	o.db, obs.db, obs.ca.gens = s.db, s.db, s.db.generations(obs.ca.owner)
	if s.opt.Adopt && s.opt.covers(obs.ca.owner) {
		obs.ca.adopt(obs.db)
	}
	if s.opt.Adopt {
		for i := range obs.users {
			obs.users[i].full.adopt(obs)
		}
		if err := o.adoptRest(obs, s.opt); err != nil {
			return nil, err
		}
	}
	obs.issuers = obs.db.issuers(obs.ca.gens)
	obs.crl, obs.crlErr = o.crl(obs.ca)
	obs.learn()
	o.past(obs)
	obs.left = o.left(obs, s.opt)
	obs.leaving = map[Owner]bool{}
	for _, l := range obs.left {
		obs.leaving[l.owner] = true
	}
	for _, site := range s.cfg.Sites {
		f := siteFacts{spec: site, owner: siteOwner(site)}
		f.fileFacts, f.err = o.file(kindSite, site.Proxy.Files(site.Settings)[0])
		obs.sites = append(obs.sites, f)
	}
	return obs, o.orphans(obs)
}

// orphans finds sites that mtlsplan has written and the spec names no more.
// They are left alone, since a proxy may still read them.
func (o *observer) orphans(obs *Observed) error {
	for _, proxy := range proxies.All {
		names, err := o.dir.List(proxy.Name)
		if err != nil {
			return err
		}
		for _, name := range names {
			name = proxy.Name + "/" + name
			if slices.ContainsFunc(obs.sites, func(s siteFacts) bool { return s.name == name }) {
				continue
			}
			if f, err := o.dir.Read(name); err == nil && untouched(f.Data) {
				obs.orphans = append(obs.orphans, name)
			}
		}
	}
	return nil
}

func (o *observer) file(kind, name string) (fileFacts, error) {
	f, err := o.dir.Read(name)
	return factsOf(kind, f), err
}

func (o *observer) ca() (caFacts, error) {
	ca := caFacts{spec: o.cfg.CA, owner: caOwner(o.cfg)}
	var errs [3]error
	ca.pass, errs[0] = o.passphrases(ca.spec.Passphrase, ca.spec.PreviousPassphrase, caFile(o.cfg, kindPass))
	ca.key, errs[1] = o.key(caFile(o.cfg, kindKey), &ca.pass, ca.spec.Passphrase, o.caKnown())
	ca.crt, errs[2] = o.crt(caFile(o.cfg, kindCrt))
	ca.err = errors.Join(errs[:]...)
	for _, name := range []string{outdir.DB, "secrets"} {
		mode, exists, err := o.dir.DirMode(name)
		if err != nil {
			return ca, err
		}
		if exists && mode&^outdir.ModePrivate != 0 {
			kind := kindDB
			if name == "secrets" {
				kind = kindPass
			}
			ca.wide = append(ca.wide, fileFacts{kind: kind, name: name, mode: mode})
		}
	}
	names, err := o.dir.List(outdir.DB)
	if err != nil {
		return ca, err
	}
	for _, name := range names {
		name = outdir.DB + "/" + name
		if (name == cacheName || name == digestsName) && o.stats != nil {
			if _, plain := o.stats.Of(name); !plain {
				ca.odd = append(ca.odd, name)
				continue // nobody needs it
			}
		}
		if mode, isFile := o.dir.FileMode(name); isFile && mode&^outdir.ModeSecret != 0 {
			ca.wide = append(ca.wide, fileFacts{kind: kindDB, name: name, mode: mode})
		}
	}
	return ca, nil
}

// passphrases reads an owner's secrets. previous may fail without harm: it is
// there for the one run that changes the passphrase.
func (o *observer) passphrases(now, previous config.Source, passName string) (passphrases, error) {
	var p passphrases
	pass, err := o.dir.Read(passName)
	if err != nil {
		return p, err
	}
	p.file = factsOf(kindPass, pass)
	if p.now, p.err = o.vault.of(now, pass); p.err == nil {
		p.source = o.vault.source(now)
	}
	if !previous.IsZero() {
		p.previous, p.previousErr = o.vault.of(previous, pass)
	}
	return p, nil
}

// key reads a key file. known is what may spare opening it, nil for nothing.
func (o *observer) key(name string, pass *passphrases, ref config.Source, known *keyMemo) (keyFacts, error) {
	file, err := o.file(kindKey, name)
	k := keyFacts{fileFacts: file}
	if err != nil || k.missing {
		return k, err
	}
	if k.info, err = pki.InspectKey(k.data); err != nil {
		k.opened = cannotBeOpened
		return k, nil
	}
	if pass.err != nil {
		return k, nil
	}
	if known.bound(ref, pass.file.stat) && known.key == k.stat {
		k.opened, k.typ, k.public = opensNow, known.opened.typ, known.opened.public
		return k, nil
	}
	for _, try := range []struct {
		pass   secret.Value
		result opening
	}{{pass.now, opensNow}, {pass.previous, opensPrevious}} {
		if try.pass.IsZero() {
			continue
		}
		id := o.opened.id(k.data, try.pass)
		known, ok := o.opened.m.Load(id)
		if !ok {
			signer, err := pki.OpenKey(k.data, try.pass)
			if errors.Is(err, pki.ErrPassphrase) {
				continue
			}
			if err != nil {
				k.opened = cannotBeOpened
				return k, nil
			}
			known = openedKeyOf(signer.Public())
			o.opened.m.Store(id, known)
		}
		found := known.(openedKey)
		k.opened, k.typ, k.public = try.result, found.typ, found.public
		return k, nil
	}
	k.opened = opensNeither
	return k, nil
}

func (o *observer) crt(name string) (crtFacts, error) {
	file, err := o.file(kindCrt, name)
	c := crtFacts{fileFacts: file}
	if err == nil && !c.missing {
		c.parse()
	}
	return c, err
}

func (c *crtFacts) parse() {
	if certs, err := pki.ParseCertificates(c.data); err == nil && len(certs) > 0 {
		c.cert, c.all = factsOfCert(certs[0]), certs
		c.alone = bytes.Equal(c.data, pki.EncodeCertificate(certs[0].Raw))
	}
}

func (o *observer) crl(ca caFacts) (crlFacts, error) {
	file, err := o.file(kindCRL, caFile(o.cfg, kindCRL))
	c := crlFacts{fileFacts: file, lists: map[string]*x509.RevocationList{}}
	if err != nil || c.missing {
		return c, err
	}
	lists, err := pki.ParseCRLs(c.data)
	c.damaged = err != nil || len(lists) == 0
	for _, list := range lists {
		i := slices.IndexFunc(ca.gens, func(g generation) bool { return list.CheckSignatureFrom(g.cert) == nil })
		if i < 0 {
			c.damaged = true
			continue
		}
		c.lists[ca.gens[i].public] = list
	}
	return c, nil
}

// learn takes over what a CRL of ours lists and the database does not say: of
// an adopted CA, or because the database is from an older backup. What was
// revoked once stays revoked.
func (obs *Observed) learn() {
	for _, list := range obs.crl.lists {
		obs.behind = obs.db.passNumber(list.Number) || obs.behind
	}
	for i, g := range obs.ca.gens {
		list := obs.crl.lists[g.public]
		if list == nil {
			if newest := obs.crl.lists[obs.ca.gens[len(obs.ca.gens)-1].public]; i < len(obs.ca.gens)-1 && newest != nil && obs.behind && !obs.crl.damaged {
				obs.leaveBehind(g, newest.ThisUpdate)
			}
			continue
		}
		for _, e := range list.RevokedCertificateEntries {
			if e.SerialNumber.Sign() < 0 {
				continue // no certificate has it (RFC 5280 section 4.1.2.2), nor has index.txt a way to write it
			}
			serial, reason := pki.SerialHex(e.SerialNumber), pki.ReasonName(e.ReasonCode)
			if obs.db.row(serial) == nil {
				obs.db.addRow(cadb.Row{State: cadb.Valid, NotAfter: g.cert.NotAfter.UTC(), Serial: serial, Owner: unknownOwner(g), Subject: "/CN=unknown"})
			}
			if obs.db.row(serial).State != cadb.Revoked {
				obs.learnt++
			}
			obs.db.revoke(serial, e.RevocationTime.UTC(), reason)
		}
	}
}

// leaveBehind revokes what the database says to be valid of a generation that
// has left since: it left because nobody had a valid certificate of it, and its
// CRL, which would list them, left with it.
func (obs *Observed) leaveBehind(g generation, left time.Time) {
	for i := range obs.db.rows {
		r := &obs.db.rows[i]
		if r.State != cadb.Revoked && obs.now.Before(r.NotAfter) && isUser(Owner(r.Owner)) && obs.issuers[r.Serial] == g.public {
			obs.learnt++
			obs.db.revoke(r.Serial, left.Add(-time.Second).UTC(), "")
		}
	}
}

// past reads the keys of earlier generations while users still depend on them.
// What this very moment has revoked still counts: a CA leaves in the first run
// that finds nobody, not in the one that makes it so.
func (o *observer) past(obs *Observed) {
	ca := &obs.ca
	thisRun := obs.now.Add(-backdate).Truncate(time.Second)
	for i := range obs.db.rows {
		r := &obs.db.rows[i]
		if r.State == cadb.Revoked && r.Revoked.Before(thisRun) || !obs.now.Before(r.NotAfter) || !isUser(Owner(r.Owner)) {
			continue
		}
		for i := range ca.gens {
			if len(ca.gens) == 1 || obs.issuers[r.Serial] == ca.gens[i].public {
				ca.gens[i].valid++
			}
		}
	}
	for i := range ca.gens {
		g := &ca.gens[i]
		if i == len(ca.gens)-1 || g.valid == 0 {
			continue
		}
		var err error
		if g.key, err = o.key(pastKeyFile(o.cfg, g.number), &ca.pass, config.Source{}, nil); err != nil {
			g.key.opened = cannotBeOpened
		}
	}
}
