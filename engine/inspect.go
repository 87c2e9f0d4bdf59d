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
	"mtlsplan/internal/plan"
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
	verdict := judge(obs, opt).plan
	for _, f := range verdict.Failures {
		if f.Owner == owner {
			d.Failures = append(d.Failures, f)
		}
	}
	for i := range verdict.Steps {
		if verdict.Steps[i].Owner == owner {
			d.Step = &verdict.Steps[i]
		}
	}
	for _, i := range obs.db.byOwner[owner] {
		d.Issued = append(d.Issued, issuedDetail(obs.db.rows[i], obs.now))
	}
	add := func(f fileFacts, state fileState, facts []FileFact) {
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

// fileState is what can be said of a file that is there.
type fileState struct{ code, message string }

var fileOK = fileState{code: plan.FileOK}

func fileDetail(cfg *spec.Config, f fileFacts, state fileState, facts []FileFact) FileDetail {
	d := FileDetail{Kind: f.kind, Path: filepath.Join(cfg.Output, filepath.FromSlash(f.name)), State: plan.FileMissing}
	if !f.missing {
		d.Mode, d.State, d.Message, d.Facts = perm(f.mode), state.code, state.message, facts
	}
	return d
}

func readable(ok bool) fileState {
	if ok {
		return fileOK
	}
	return fileState{plan.FileDamaged, "it cannot be read"}
}

func keyState(k keyFacts, p passphrases) fileState {
	switch {
	case k.opened == cannotBeOpened:
		return fileState{plan.FileDamaged, "it holds no key that can be read"}
	case p.err != nil:
		return fileState{plan.FileLocked, p.err.Error()}
	case k.opened == opensNeither:
		return fileState{plan.FileLocked, "the passphrase is wrong"}
	case k.opened == opensPrevious:
		return fileState{plan.FilePreviousPassphrase, "it opens with previous_passphrase"}
	}
	return fileOK
}

func keyDetail(k keyFacts) []FileFact {
	facts := []FileFact{{Name: plan.FactEncoding, Value: k.info.Encoding}, {Name: plan.FactIterations, Value: fmt.Sprint(k.info.Iterations)}}
	if k.typ != "" {
		facts = append([]FileFact{{Name: plan.FactType, Value: string(k.typ)}}, facts...)
		facts = append(facts, FileFact{Name: plan.FactSPKISHA256, Value: k.public})
	}
	return facts
}

// instant writes a time for scripts.
func instant(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func csrDetail(c csrFacts) []FileFact {
	if c.csr == nil {
		return nil
	}
	challenge := "none"
	if !c.csr.challenge.IsZero() {
		challenge = "set"
	}
	return []FileFact{{Name: plan.FactSubject, Value: pki.NameString([]byte(c.csr.subject))}, {Name: plan.FactEmail, Value: sanText(c.csr.sans)},
		{Name: plan.FactChallengePassword, Value: challenge}, {Name: plan.FactSPKISHA256, Value: c.csr.public}}
}

func crtDetail(c crtFacts) []FileFact {
	if c.cert == nil {
		return nil
	}
	return []FileFact{{Name: plan.FactSerial, Value: c.cert.serial}, {Name: plan.FactNotAfter, Value: instant(c.cert.notAfter)}, {Name: plan.FactSPKISHA256, Value: c.cert.public}}
}

func crlDetail(obs *Observed) []FileFact {
	var facts []FileFact
	for _, g := range obs.ca.signing() {
		list := obs.crl.lists[g.public]
		if list == nil {
			continue
		}
		facts = append(facts, FileFact{Name: plan.FactGeneration, Value: fmt.Sprint(g.number)}, FileFact{Name: plan.FactNumber, Value: list.Number.String()},
			FileFact{Name: plan.FactThisUpdate, Value: instant(list.ThisUpdate)}, FileFact{Name: plan.FactNextUpdate, Value: instant(list.NextUpdate)},
			FileFact{Name: plan.FactRevoked, Value: fmt.Sprint(len(list.RevokedCertificateEntries))})
	}
	return facts
}

func p12State(p p12Facts, pass passphrases) fileState {
	switch {
	case p.opened == cannotBeOpened:
		return fileState{plan.FileDamaged, "it cannot be read"}
	case pass.err != nil:
		return fileState{plan.FileLocked, pass.err.Error()}
	case p.opened != opensNow:
		return fileState{plan.FileLocked, "the passphrase is wrong"}
	}
	return fileOK
}

func p12Detail(p p12Facts, u *userFacts) []FileFact {
	facts := []FileFact{{Name: plan.FactProfile, Value: string(p.info.Profile)}, {Name: plan.FactEncoding, Value: p.info.Encoding}, {Name: plan.FactIterations, Value: fmt.Sprint(p.info.Iterations)}}
	if p.opened != opensNow {
		return facts
	}
	same := "no"
	if u.crt.cert != nil && u.crt.cert.sum == p.cert && p.public == u.key.public {
		same = "yes"
	}
	return append(facts, FileFact{Name: plan.FactHolds, Value: same})
}

func addPass(add func(fileFacts, fileState, []FileFact), p passphrases, ref config.Source) {
	if ref.Kind == config.Generated {
		add(p.file, fileOK, nil)
	}
}
