package engine

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"mtlsplan/internal/config"
	"mtlsplan/internal/pki"
	"mtlsplan/spec"
)

func (o *observer) user(u *spec.User, known string) userFacts {
	if u.CSR != "" {
		return o.csrUser(u)
	}
	f := userFacts{spec: u, owner: userOwner(u.Name)}
	file := func(kind string) string { return userFile(o.cfg, u.Name, kind) }
	var errs [4]error
	f.pass, errs[0] = o.passphrases(u.Passphrase, u.PreviousPassphrase, file(kindPass))
	var m *userMemo
	if known != "" {
		m = &userMemo{}
		if m.unpack(known) != nil {
			m = nil
		}
	}
	f.key, errs[1] = o.key(file(kindKey), &f.pass, u.Passphrase, m.keyOrNil())
	if f.key.opened != opensNow || m != nil && (f.key.stat != m.key || f.key.public != m.opened.public) {
		m = nil // what it says of the .p12 is of another passphrase
	}
	f.crt, errs[2] = o.crt(file(kindCrt))
	f.csr.fileFacts, errs[3] = o.file(kindCSR, file(kindCSR))
	if f.err = errors.Join(errs[:]...); f.err != nil {
		return f
	}
	if !f.csr.missing {
		f.csr.csr, _ = contentOfCSR(f.csr.data)
	}
	if f.pass.err == nil && !u.ChallengePassword.IsZero() {
		if f.challenge, f.pass.err = o.vault.open(u.ChallengePassword); f.pass.err != nil {
			f.pass.err = fmt.Errorf("challenge password: %w", f.pass.err)
		} else if f.challenge.Equal(f.pass.now) {
			f.pass.err = errors.New("the challenge password equals the key's passphrase, and a CSR is not encrypted: give another one")
		}
	}
	files := []fileFacts{f.key.fileFacts, f.csr.fileFacts, f.crt.fileFacts}
	for i, profile := range u.P12 {
		var was *p12Memo
		if m != nil && i < len(m.p12) {
			was = &m.p12[i]
		}
		p, err := o.p12(p12Kind(i, profile), file(p12Kind(i, profile)), profile, f.pass, was, m)
		files = append(files, p.fileFacts)
		p.data = nil
		f.p12, f.err = append(f.p12, p), errors.Join(f.err, err)
	}
	f.digest = digestOf(u.Passphrase, f.pass.file, files...)
	f.csr.data, f.crt.data = nil, nil // a run over many users keeps what it has parsed
	for _, profile := range pki.Profiles {
		kind := string(profile) + "." + kindP12
		stray := len(u.P12) < 2 || p12Kind(1, u.P12[1]) != kind
		if mode, exists := o.dir.FileMode(file(kind)); stray && exists {
			f.stray = append(f.stray, fileFacts{kind: kind, name: file(kind), mode: mode})
		}
	}
	return f
}

// p12 reads a .p12. was tells of one that opened together with the key that has
// opened now, nil for none.
func (o *observer) p12(kind, name string, profile pki.Profile, pass passphrases, was *p12Memo, m *userMemo) (p12Facts, error) {
	file, err := o.file(kind, name)
	p := p12Facts{fileFacts: file, profile: profile}
	if err != nil || p.missing {
		return p, err
	}
	if p.info, err = pki.InspectP12(p.data); err != nil {
		p.opened = cannotBeOpened
		return p, nil
	}
	if pass.err != nil || pass.now.IsZero() {
		return p, nil
	}
	if was != nil && was.stat == p.stat {
		p.opened, p.cert, p.public = opensNow, m.cert.sum, m.opened.public
		return p, nil
	}
	id := o.opened.id(p.data, pass.now)
	if known, ok := o.opened.m.Load(id); ok {
		found := known.(openedP12)
		p.opened, p.cert, p.public = opensNow, found.cert, found.public
		return p, nil
	}
	open, err := pki.OpenP12(p.data, pass.now)
	switch {
	case err == nil:
		found := openedP12{sha256.Sum256(open.Cert.Raw), pki.PublicID(open.Key.Public())}
		p.opened, p.cert, p.public = opensNow, found.cert, found.public
	case errors.Is(err, pki.ErrPassphrase):
		p.opened = opensNeither
	default:
		p.opened = cannotBeOpened
	}
	return p, nil
}

// left finds the users that must have no valid certificate and still have
// something: a row of the database, or files.
func (o *observer) left(obs *Observed, opt Options) []leftFacts {
	listed := map[Owner]bool{}
	var out []leftFacts
	add := func(l leftFacts) {
		if !opt.covers(l.owner) {
			return
		}
		name := strings.TrimPrefix(string(l.owner), "user.")
		l.files, l.err = o.filesOf(name)
		l.unrecorded = len(l.files) > 0 && len(obs.db.issued[l.owner]) == 0 && !opt.Adopt
		if slices.ContainsFunc(l.files, func(f fileFacts) bool { return f.kind == kindCrt }) {
			// What was made by hand for somebody who must not get in, or was
			// lost from the database: it takes a record to revoke it.
			switch c, err := o.crt(userFile(o.cfg, name, kindCrt)); {
			case err != nil || c.cert == nil || obs.db.holder(c.cert) != "" || !signedByAny(c.all[0], obs.trust()):
			case opt.Adopt:
				obs.db.issue(l.owner, c.all[0])
			default:
				l.lost = c.name
			}
		}
		l.rows = obs.db.valid(l.owner, obs.now)
		if len(l.rows) > 0 || len(l.files) > 0 || l.err != nil {
			out = append(out, l)
		}
	}
	for _, u := range o.cfg.Users {
		listed[userOwner(u.Name)] = true
		if u.Revoked != "" {
			add(leftFacts{owner: userOwner(u.Name), code: Revoked, reason: u.Revoked})
		}
	}
	for _, r := range obs.db.rows {
		for _, owner := range rowOwners(r) {
			if isUser(owner) && !listed[owner] {
				listed[owner] = true
				add(leftFacts{owner: owner, code: Removed, reason: "cessationOfOperation"})
			}
		}
	}
	return out
}

// filesOf are the files of a user, whatever the spec says of the user.
func (o *observer) filesOf(name string) ([]fileFacts, error) {
	if !config.ValidName(name) {
		return nil, fmt.Errorf("the CA database names an owner %q that can have no files", name)
	}
	var out []fileFacts
	for _, kind := range []string{kindPass, kindKey, kindCSR, kindCrt, kindP12, "compat.p12", "modern.p12"} {
		file := userFile(o.cfg, name, kind)
		if mode, exists := o.dir.FileMode(file); exists {
			out = append(out, fileFacts{kind: kind, name: file, mode: mode})
		}
	}
	return out, nil
}
