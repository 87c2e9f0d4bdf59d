package inventory

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/secret"
	"mtlsplan/internal/statcache"
)

// kindsOf are the kinds of a user's files, in the order of a record's stats.
func kindsOf(u *config.User) []plan.Kind { return appendKinds(nil, u) }

func appendKinds(kinds []plan.Kind, u *config.User) []plan.Kind {
	kinds = append(kinds, facts.PassKind(u.Seal), plan.KindKey, plan.KindCSR, plan.KindCrt)
	for i, profile := range u.P12 {
		kinds = append(kinds, facts.P12Kind(i, profile))
	}
	return kinds
}

// Places in the list of [kindsOf].
const (
	atPass, atKey, atCSR, atCrt, atP12 = 0, 1, 2, 3, 4
)

func (r *Reader) base(u *config.User) string { return r.baseOf(u.Name) }

// readUser reads a user's files. The cache may spare opening them, and nothing else.
func (r *Reader) readUser(u *config.User) *Material {
	if u.CSR != "" {
		return r.readCSRUser(u)
	}
	m := &Material{Facts: &facts.User{Owner: plan.User(u.Name)}}
	f, base, kinds := m.Facts, r.base(u), kindsOf(u)
	files, errs := make([]file, len(kinds)), make([]error, len(kinds))
	path := func(kind plan.Kind) facts.Path { return facts.UserPath(base, kind) }
	generated, errPass := r.passFiles(path, u.Seal, u.Passphrase, u.PreviousPassphrase)
	errs[atPass] = errPass
	for i := atKey; i < len(kinds); i++ {
		files[i], errs[i] = r.file(kinds[i], path(kinds[i]))
	}
	key, csr, crt := files[atKey], files[atCSR], files[atCrt]
	f.Passphrase.File, f.Key.File, f.CSR.File, f.Crt.File = generated.clear.File, key.File, csr.File, crt.File
	if f.Err = firstOf(errs...); f.Err != nil {
		return m
	}
	m.passphrases, f.Passphrase = r.passphrases(u.Passphrase, u.PreviousPassphrase, u.Seal, generated)
	pass := m.file
	files[atPass] = pass
	m.files = files
	m.Passphrase = m.now
	f.Crt = certificates(crt)

	m.digest = digestOf(u.Passphrase, m.now, files)
	rec := r.record(string(f.Owner))
	proved := rec != nil && m.digest != statcache.Digest{} && m.digest == rec.Digest && f.Crt.Cert != nil
	was, ok := r.keyRecord(rec)
	var known *contents
	switch {
	case proved:
		known = &contents{typ: pki.KeyTypeOf(f.Crt.Cert.X509.PublicKey), spki: f.Crt.Cert.SPKI, cert: f.Crt.Cert.Sum}
	case ok && was.bound(u.Passphrase, pass.content.Stat) && was.key == key.content.Stat:
		known = &was.contents
	}
	f.Key, m.opens = r.key(key, m.passphrases, unavailable(&f.Passphrase), known)
	if known == nil && ok && f.Key.Opening == facts.OpensNow && f.Key.SPKI == was.spki && was.key == key.content.Stat {
		known = &was.contents // the passphrase is the one that has opened the .p12
	}

	r.challenge(u, m)
	if proved {
		f.CSR.Request = &facts.Request{Subject: f.Crt.Cert.Subject, SANs: f.Crt.Cert.SANs, SPKI: f.Crt.Cert.SPKI, Type: f.Key.Type}
		f.CSR.ChallengeDiffers = !m.Challenge.IsZero()
	} else if c, err := pki.ParseCSR(csr.content.Data); err == nil {
		f.CSR.Request = request(c)
		f.CSR.ChallengeDiffers = !secret.New(c.Challenge()).Equal(m.Challenge)
	}
	now := m.now
	if f.Passphrase.Err != nil || f.Passphrase.Closed != nil {
		now = secret.Value{}
	}
	for i, profile := range u.P12 {
		k := known
		if p12 := files[atP12+i]; !proved && k != nil && rec.Stats.At(atP12+i) != p12.content.Stat {
			k = nil
		}
		f.P12 = append(f.P12, r.p12(files[atP12+i], profile, now, k, f.Crt.Cert))
	}
	if c := f.Crt.Cert; r.opt.Adopt && c != nil && f.Key.SPKI != "" && c.SPKI != f.Key.SPKI {
		f.Crt.Cert = factsOf(f.Crt.Of(f.Key.SPKI)) // it may stand behind that of the CA
	}
	if !r.opt.Blind && f.Passphrase.Err == nil && !proved {
		r.fromP12(u, m)
	}
	if f.Passphrase.Closed != nil {
		glanceClosed(u, f)
	}
	for _, kind := range facts.UserKinds {
		if slices.Contains(kinds, kind) || facts.IsPass(kind) { // of which Passphrase tells
			continue
		}
		if s, exists := r.unread(kind, facts.UserPath(base, kind)); exists {
			f.Stray = append(f.Stray, s)
		}
	}
	return m
}

// challenge reads the challenge password.
func (r *Reader) challenge(u *config.User, m *Material) {
	if u.ChallengePassword.IsZero() || r.opt.Blind {
		return
	}
	entry := r.secrets.from(u.ChallengePassword)
	m.Challenge = entry.value
	if entry.err != nil {
		m.Facts.ChallengeErr = plan.Errorf(plan.PassphraseUnavailable, "challenge password: %w", entry.err)
	}
	m.Facts.ChallengeReused = m.Facts.Passphrase.Err == nil && m.Challenge.Equal(m.now)
}

// digestOf is the digest of a user's files, zero where one is missing, and where
// the passphrase is one that a person may have chosen: such a digest would be
// quick to guess with.
func digestOf(src config.Source, pass secret.Value, files []file) statcache.Digest {
	if src.Kind != config.Generated || !pass.IsRandom() {
		return statcache.Digest{}
	}
	h := sha256.New()
	add := func(kind plan.Kind, data []byte) {
		h.Write(binary.AppendUvarint([]byte(kind+"\n"), uint64(len(data))))
		h.Write(data)
	}
	add(plan.KindPass, []byte(pass.Reveal()))
	for _, f := range files[atKey:] {
		if f.Missing {
			return statcache.Digest{}
		}
		add(f.Kind, f.content.Data)
	}
	return statcache.Digest(h.Sum(nil))
}

// nothing reports whether nothing of a user is there, and nothing has to be asked
// for: [absent] gives the same facts.
func nothing(u *config.User, f *facts.User) bool {
	if f.Err != nil || f.Passphrase.Err != nil || u.CSR != "" || u.Passphrase.Kind != config.Generated || !u.PreviousPassphrase.IsZero() || !u.ChallengePassword.IsZero() {
		return false
	}
	for i := range f.P12 {
		if !f.P12[i].Missing {
			return false
		}
	}
	return f.Passphrase.Missing && f.Key.Missing && f.CSR.Missing && f.Crt.Missing && len(f.Stray) == 0
}

// absent gives the facts of a user of whom nothing is there. It takes the lists of
// f again.
func absent(f *facts.User, u *config.User, owner plan.Owner, base string) {
	missing := func(kind plan.Kind) facts.File {
		return facts.File{Kind: kind, Path: facts.UserPath(base, kind), Missing: true}
	}
	p12 := f.P12[:0]
	*f = facts.User{Owner: owner}
	f.Passphrase.File, f.Key.File, f.CSR.File, f.Crt.File = missing(facts.PassKind(u.Seal)), missing(plan.KindKey), missing(plan.KindCSR), missing(plan.KindCrt)
	for i, profile := range u.P12 {
		p12 = append(p12, facts.P12{File: missing(facts.P12Kind(i, profile)), Profile: profile})
	}
	f.P12 = p12
}
