package engine

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"mtlsplan/internal/cadb"
	"mtlsplan/internal/config"
	"mtlsplan/internal/outdir"
	"mtlsplan/internal/pki"
	"mtlsplan/spec"
)

// RenderSite writes a site as it would be with what the directory holds now.
// It needs no passphrase and no directory.
func RenderSite(cfg *spec.Config, opt Options, site spec.Site) ([]byte, error) {
	dir, err := outdir.Open(cfg.Output)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	s := newSession(context.Background(), cfg, opt, dir)
	defer s.close()
	o := s.observer()
	db, err := readDatabase(dir, o.cache, o.stats)
	if err != nil {
		return nil, err
	}
	o.db = db
	obs := &Observed{now: opt.Now, cfg: cfg, db: db}
	obs.ca.gens = db.generations(caOwner(cfg))
	if obs.ca.crt, err = o.crt(caFile(cfg, kindCrt)); err != nil {
		return nil, err
	}
	if obs.crl, err = o.crl(obs.ca); err != nil {
		return nil, err
	}
	obs.issuers = db.issuers(obs.ca.gens)
	o.past(obs)
	return siteText(obs, site, refused(obs.crl, serials(crlRows(obs, false))), max(1, len(obs.trust()))), nil
}

// Inspect returns one owner of the spec in full: a user or the CA.
func Inspect(ctx context.Context, cfg *spec.Config, opt Options, owner Owner) (*Details, error) {
	dir, err := outdir.Open(cfg.Output)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	opt.Only = []Owner{owner}
	s := newSession(ctx, cfg, opt, dir)
	defer s.close()
	s.thorough = true
	obs, err := s.observe()
	if err != nil {
		return nil, err
	}
	d := &Details{Owner: owner}
	plan := judge(obs, opt).plan
	for _, f := range plan.Failures {
		if f.Owner == owner {
			d.Failures = append(d.Failures, f)
		}
	}
	for i := range plan.Steps {
		if plan.Steps[i].Owner == owner {
			d.Step = &plan.Steps[i]
		}
	}
	for _, i := range obs.db.byOwner[owner] {
		d.Issued = append(d.Issued, issuedDetail(obs.db.rows[i], obs.now))
	}
	add := func(f fileFacts, state string, facts []FileFact) {
		d.Files = append(d.Files, fileDetail(cfg, f, state, facts))
	}
	if owner == obs.ca.owner {
		ca := &obs.ca
		if ca.crt.cert != nil {
			d.Certificates = append(d.Certificates, ca.crt.all...)
		}
		add(ca.key.fileFacts, keyState(ca.key, ca.pass), keyDetail(ca.key))
		add(ca.crt.fileFacts, readable(ca.crt.cert != nil), crtDetail(ca.crt))
		add(obs.crl.fileFacts, readable(!obs.crl.damaged), crlDetail(obs))
		addPass(add, ca.pass, ca.spec.Passphrase)
		return d, nil
	}
	if len(obs.users) == 0 {
		return d, nil
	}
	u := obs.users[0].full
	if u.crt.cert != nil {
		d.Certificates = append(d.Certificates, u.crt.all[0])
	}
	add(u.key.fileFacts, keyState(u.key, u.pass), keyDetail(u.key))
	add(u.csr.fileFacts, readable(u.csr.csr != nil), csrDetail(u.csr))
	add(u.crt.fileFacts, readable(u.crt.cert != nil), crtDetail(u.crt))
	for _, p := range u.p12 {
		add(p.fileFacts, p12State(p, u.pass), p12Detail(p, u))
	}
	addPass(add, u.pass, u.spec.Passphrase)
	return d, nil
}

func issuedDetail(r cadb.Row, now time.Time) IssuedDetail {
	d := IssuedDetail{Serial: r.Serial, State: "valid", NotAfter: r.NotAfter, Subject: r.Subject}
	switch {
	case r.State == cadb.Revoked:
		d.State, d.RevokedAt, d.Reason = "revoked", &r.Revoked, r.Reason
		if d.Reason == "" {
			d.Reason = "unspecified"
		}
	case now.After(r.NotAfter):
		d.State = "expired"
	}
	return d
}

func fileDetail(cfg *spec.Config, f fileFacts, state string, facts []FileFact) FileDetail {
	d := FileDetail{Kind: f.kind, Path: filepath.Join(cfg.Output, filepath.FromSlash(f.name)), State: "missing"}
	if !f.missing {
		d.Mode, d.State, d.Facts = perm(f.mode), state, facts
	}
	return d
}

func readable(ok bool) string {
	if ok {
		return "ok"
	}
	return "damaged: it cannot be read"
}

func keyState(k keyFacts, p passphrases) string {
	switch {
	case k.opened == cannotBeOpened:
		return "damaged: it holds no key that can be read"
	case p.err != nil:
		return "cannot be opened: " + p.err.Error()
	case k.opened == opensNeither:
		return "cannot be opened: the passphrase is wrong"
	case k.opened == opensPrevious:
		return "opens with previous_passphrase"
	}
	return "ok"
}

func keyDetail(k keyFacts) []FileFact {
	facts := []FileFact{{"encoding", k.info.Encoding}, {"iterations", fmt.Sprint(k.info.Iterations)}}
	if k.typ != "" {
		facts = append([]FileFact{{"type", string(k.typ)}}, facts...)
		facts = append(facts, FileFact{"public key sha256", k.public})
	}
	return facts
}

func csrDetail(c csrFacts) []FileFact {
	if c.csr == nil {
		return nil
	}
	challenge := "none"
	if !c.csr.challenge.IsZero() {
		challenge = "set"
	}
	return []FileFact{{"subject", pki.NameString([]byte(c.csr.subject))}, {"e-mail", sanText(c.csr.sans)},
		{"challenge password", challenge}, {"public key sha256", c.csr.public}}
}

func crtDetail(c crtFacts) []FileFact {
	if c.cert == nil {
		return nil
	}
	return []FileFact{{"serial", c.cert.serial}, {"not after", day(c.cert.notAfter)}, {"public key sha256", c.cert.public}}
}

func crlDetail(obs *Observed) []FileFact {
	var facts []FileFact
	for _, g := range obs.ca.signing() {
		list := obs.crl.lists[g.public]
		if list == nil {
			continue
		}
		facts = append(facts, FileFact{"generation", fmt.Sprint(g.number)}, FileFact{"number", list.Number.String()},
			FileFact{"this update", day(list.ThisUpdate)}, FileFact{"next update", day(list.NextUpdate)},
			FileFact{"revoked", fmt.Sprint(len(list.RevokedCertificateEntries))})
	}
	return facts
}

func p12State(p p12Facts, pass passphrases) string {
	switch {
	case p.opened == cannotBeOpened:
		return "damaged: it cannot be read"
	case pass.err != nil:
		return "cannot be opened: " + pass.err.Error()
	case p.opened != opensNow:
		return "cannot be opened: the passphrase is wrong"
	}
	return "ok"
}

func p12Detail(p p12Facts, u *userFacts) []FileFact {
	facts := []FileFact{{"profile", string(p.info.Profile)}, {"encoding", p.info.Encoding}, {"iterations", fmt.Sprint(p.info.Iterations)}}
	if p.opened != opensNow {
		return facts
	}
	same := "no"
	if u.crt.cert != nil && u.crt.cert.sum == p.cert && p.public == u.key.public {
		same = "yes"
	}
	return append(facts, FileFact{"holds key and certificate above", same})
}

func addPass(add func(fileFacts, string, []FileFact), p passphrases, ref config.Source) {
	if ref.Kind == config.Generated {
		add(p.file, "ok", nil)
	}
}
