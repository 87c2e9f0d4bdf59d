package engine

import (
	"io/fs"
	"slices"
	"time"

	"mtlsplan/internal/config"
	"mtlsplan/internal/outdir"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/secret"
	"mtlsplan/spec"
)

// A memo is what is known of an owner from the files that were read, in one
// string: the stats by which the files are known again, and what was parsed from
// them. It says nothing of the spec, and holds no secret and nothing that would
// make guessing one cheaper than it is with the files.
//
// Only of files that fit together there is one: key, request, certificate and
// .p12 are of one key and one subject, and the passphrase opens what is
// encrypted. Whatever else a user has is read anew in each run.

// keyMemo is the head of a memo: this key file opens with the passphrase from
// this source.
type keyMemo struct {
	name   string
	kind   config.SourceKind
	path   string      // of the passphrase's file, when that is the source
	source outdir.Stat // of it
	pass   outdir.Stat // of the generated passphrase's file, zero for none
	key    outdir.Stat

	iterations int
	opened     openedKey
}

// bound reports whether the passphrase is from the same source as it was, and
// certainly the same. A variable and a program cannot be told to be the same.
func (p *keyMemo) bound(ref config.Source, pass outdir.Stat) bool {
	switch {
	case p == nil || p.kind != ref.Kind:
		return false
	case ref.Kind == config.Generated:
		return p.pass == pass
	case ref.Kind == config.FromFile:
		info, ok := secret.Ref(ref).Info()
		return ok && p.path == ref.File && p.source == sourceStat(info)
	}
	return false
}

// sourceStat is what a passphrase's file is known by: not its size, which would
// tell how long the passphrase is. Of a file in secrets/ that is no news to
// whoever may read db/, both being private to the same user.
func sourceStat(info fs.FileInfo) outdir.Stat {
	s := outdir.StatOf(info)
	s.Size = 0
	return s
}

func (m *userMemo) keyOrNil() *keyMemo {
	if m == nil {
		return nil
	}
	return &m.keyMemo
}

// userMemo is the memo of a user.
type userMemo struct {
	keyMemo
	csr, crt   outdir.Stat
	challenged bool // the request holds a challenge password, which is not kept
	cert       certFacts
	p12        []p12Memo
	request    csrContent // made of cert by facts
}

type p12Memo struct {
	stat       outdir.Stat
	asked      pki.Profile // what the file is named for, "" of the first
	profile    pki.Profile // what it has
	iterations int
}

// keyMemoOf makes the memo of a key that was opened; ok is false when it tells less.
func keyMemoOf(name string, ref config.Source, pass passphrases, k keyFacts) (p keyMemo, ok bool) {
	if pass.err != nil || k.missing || k.opened != opensNow || k.info.Encoding != pki.KeyEncoding || k.stat == (outdir.Stat{}) {
		return p, false
	}
	p = keyMemo{name: name, kind: ref.Kind, key: k.stat, iterations: k.info.Iterations, opened: openedKey{k.typ, k.public}}
	switch ref.Kind {
	case config.Generated:
		p.pass = pass.file.stat
		return p, !pass.file.missing && p.pass != (outdir.Stat{})
	case config.FromFile:
		p.path, p.source = ref.File, pass.source
		return p, pass.file.missing && p.source != (outdir.Stat{})
	}
	return p, pass.file.missing
}

// memoOf makes the memo of a user who was read, if all fits together.
func memoOf(f *userFacts) (m userMemo, ok bool) {
	if f.err != nil || f.asked != nil || f.spec.CSR != "" || len(f.stray) > 0 || f.csr.csr == nil || f.crt.cert == nil || len(f.p12) == 0 {
		return m, false
	}
	if m.keyMemo, ok = keyMemoOf(f.spec.Name, f.spec.Passphrase, f.pass, f.key); !ok {
		return m, false
	}
	m.csr, m.crt, m.cert, m.challenged = f.csr.stat, f.crt.stat, *f.crt.cert, !f.csr.csr.challenge.IsZero()
	ok = m.csr != (outdir.Stat{}) && m.crt != (outdir.Stat{}) && f.crt.alone && m.cert.usual && m.cert.plain && onlyEmail(m.cert.sans) &&
		m.cert.public == m.opened.public && f.csr.csr.public == m.opened.public &&
		f.csr.csr.subject == m.cert.subject && slices.Equal(f.csr.csr.sans, m.cert.sans)
	for i, p := range f.p12 {
		pm := p12Memo{stat: p.stat, profile: p.info.Profile, iterations: p.info.Iterations}
		if i > 0 {
			pm.asked = p.profile
		}
		ok = ok && !p.missing && p.opened == opensNow && p.cert == m.cert.sum && p.public == m.opened.public && pm.profile != "" && pm.stat != (outdir.Stat{})
		m.p12 = append(m.p12, pm)
	}
	m.cert.full, m.cert.subject = nil, ""
	return m, ok
}

// before reports whether none of the files was changed since a moment of the
// file system's clock, or in its tick. A file elsewhere has another clock.
func (p *keyMemo) before(clock int64) bool {
	return p.key.Before(clock) && p.pass.Before(clock) && p.source.Before(clock-elsewhere)
}

const elsewhere = int64(2 * time.Second)

func (m *userMemo) before(clock int64) bool {
	for _, p := range m.p12 {
		if !p.stat.Before(clock) {
			return false
		}
	}
	return m.keyMemo.before(clock) && m.csr.Before(clock) && m.crt.Before(clock)
}

// suits reports whether a memo tells of the files that the spec asks for.
func (m *userMemo) suits(u *spec.User) bool {
	if m.challenged || !u.ChallengePassword.IsZero() || u.CSR != "" || len(m.p12) != len(u.P12) || m.kind != u.Passphrase.Kind {
		return false
	}
	for i := range m.p12 {
		if i > 0 && m.p12[i].asked != u.P12[i] {
			return false
		}
	}
	return true
}

// facts are the facts of a user who has a memo, without names: what they are
// needed for is said of a user who was read.
func (m *userMemo) facts(f *userFacts, u *spec.User) {
	file := func(kind string, s outdir.Stat) fileFacts {
		return fileFacts{kind: kind, mode: fs.FileMode(s.Mode) & fs.ModePerm, missing: s == outdir.Stat{}}
	}
	p12 := f.p12[:0]
	*f = userFacts{spec: u, owner: userOwner(u.Name), brief: true}
	f.pass.file = file(kindPass, m.pass)
	f.key = keyFacts{fileFacts: file(kindKey, m.key), info: pki.KeyInfo{Encoding: pki.KeyEncoding, Iterations: m.iterations}, opened: opensNow, typ: m.opened.typ, public: m.opened.public}
	f.crt = crtFacts{fileFacts: file(kindCrt, m.crt), cert: &m.cert, alone: true}
	f.csr = csrFacts{fileFacts: file(kindCSR, m.csr), csr: &m.request}
	m.request = csrContent{subject: m.cert.subject, sans: m.cert.sans, public: m.cert.public}
	for i, p := range m.p12 {
		p12 = append(p12, p12Facts{
			fileFacts: file(p12Kind(i, u.P12[i]), p.stat), profile: u.P12[i], opened: opensNow, cert: m.cert.sum, public: m.opened.public,
			info: pki.P12Info{Profile: p.profile, Iterations: p.iterations},
		})
	}
	f.p12 = p12
}
