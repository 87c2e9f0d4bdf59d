package engine

import (
	"slices"

	"mtlsplan/internal/config"
	"mtlsplan/spec"
)

// look reads a user's files. What can be told by a memo is kept as one.
func (o *observer) look(s *slot, memos bool) {
	if memos && o.stats != nil {
		if m, ok := o.recognise(s.spec); ok {
			o.note(s, &m)
			return
		}
	}
	f := o.user(s.spec, o.cache.users[s.spec.Name])
	s.full = &f
	if !memos {
		return
	}
	if f.nothing() {
		s.full, s.absent = nil, true
		return
	}
	if m, ok := memoOf(&f); ok {
		o.note(s, &m)
		// Where a memo spared opening, only a file that cannot have changed since is
		// what was opened; and a digest does not tell of a challenge password.
		if s.stable && !m.challenged {
			o.digests.learn(s.spec.Name, f.digest)
		}
		if m.suits(s.spec) {
			s.full = nil
		}
	}
}

func (o *observer) note(s *slot, m *userMemo) {
	s.memo, s.stable = m.pack(), m.before(o.clock) && o.stats != nil && o.same(m, s.spec)
	s.kept = s.memo == o.cache.users[s.spec.Name] && !o.cache.unsaved[s.spec.Name]
}

// lookCloser reads users of whom a memo does not tell enough.
func (s *session) lookCloser(obs *Observed, users []int) (*Observed, error) {
	o := s.observer()
	one := s.reading(len(users))
	forEach(s.ctx, s.opt.Parallel, len(users), func(i int) {
		slot := &obs.users[users[i]]
		f := o.user(slot.spec, slot.memo)
		slot.full = &f
		one()
	})
	if err := s.ctx.Err(); err != nil || s.dir.Writable() {
		return obs, err
	}
	s.db = nil
	return s.relate(o, obs)
}

// nothing reports whether absentFacts tells the same.
func (f *userFacts) nothing() bool {
	u := f.spec
	if f.err != nil || f.pass.err != nil || u.CSR != "" || u.Passphrase.Kind != config.Generated || !u.PreviousPassphrase.IsZero() || !u.ChallengePassword.IsZero() {
		return false
	}
	return f.pass.file.missing && f.key.missing && f.csr.missing && f.crt.missing && len(f.stray) == 0 &&
		!slices.ContainsFunc(f.p12, func(p p12Facts) bool { return !p.missing })
}

// absentFacts are the facts of a user of whom nothing is there, and whose
// passphrase will be generated.
func absentFacts(cfg *spec.Config, u *spec.User) *userFacts {
	f := &userFacts{spec: u, owner: userOwner(u.Name)}
	file := func(kind string) fileFacts {
		return fileFacts{kind: kind, name: userFile(cfg, u.Name, kind), missing: true}
	}
	f.pass.file, f.key.fileFacts, f.csr.fileFacts, f.crt.fileFacts = file(kindPass), file(kindKey), file(kindCSR), file(kindCrt)
	for i, profile := range u.P12 {
		f.p12 = append(f.p12, p12Facts{fileFacts: file(p12Kind(i, profile)), profile: profile})
	}
	return f
}

// user gives the facts of a user: those that were read, or those of the memo,
// which are written over by the next that are asked for.
func (obs *Observed) user(i int) *userFacts {
	s := &obs.users[i]
	if s.full != nil {
		return s.full
	}
	if s.absent {
		return absentFacts(obs.cfg, s.spec)
	}
	if obs.memo.unpack(s.memo) != nil {
		return &userFacts{spec: s.spec, owner: userOwner(s.spec.Name), brief: true, err: errMemo}
	}
	obs.memo.facts(&obs.brief, s.spec)
	return &obs.brief
}

// caKnown is what the cache knows of the CA's key, nil for nothing.
func (o *observer) caKnown() *keyMemo {
	if o.stats == nil || o.cache.ca == "" {
		return nil
	}
	var p keyMemo
	u := unpacker{rest: o.cache.ca}
	if p.unpack(&u); u.bad || u.rest != "" || p.name != string(caOwner(o.cfg)) {
		return nil
	}
	return &p
}
