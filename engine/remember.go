package engine

import (
	"bytes"
	"context"
	"slices"

	"mtlsplan/internal/config"
	"mtlsplan/internal/outdir"
	"mtlsplan/internal/pki"
	"mtlsplan/spec"
)

// remember finds the users whose files are all those that a memo tells of. Of a
// passphrase that nothing can be told of without asking for it, the key has to
// open once more; a .p12 that opened together with it need not.
func (o *observer) remember(ctx context.Context, workers int, slots []slot) {
	if o.stats == nil || len(o.cache.users) == 0 {
		return
	}
	strays := func(u *spec.User) bool { return o.hasStray(u, nil) }
	if len(slots) >= manyUsers {
		names := o.strays()
		strays = func(u *spec.User) bool { return o.hasStray(u, names) }
	}
	var ask []int
	var m userMemo
	for i := range slots {
		if i%1024 == 0 && ctx.Err() != nil {
			return
		}
		slot := &slots[i]
		memo := o.cache.users[slot.spec.Name]
		if memo == "" {
			continue
		}
		if _, err := m.unpackFiles(memo); err != nil || m.name != slot.spec.Name || !m.suits(slot.spec) || !o.same(&m, slot.spec) || strays(slot.spec) {
			continue
		}
		switch slot.spec.Passphrase.Kind {
		case config.Generated, config.FromFile:
			if !m.bound(slot.spec.Passphrase, m.pass) {
				continue
			}
			o.recall(slot, memo)
		default:
			ask = append(ask, i)
		}
	}
	forEach(ctx, workers, len(ask), func(i int) {
		slot := &slots[ask[i]]
		if memo := o.cache.users[slot.spec.Name]; o.stillOpens(slot.spec, memo) {
			o.recall(slot, memo)
		}
	})
}

func (o *observer) recall(s *slot, memo string) {
	s.memo, s.stable = memo, true
	s.kept = !o.cache.unsaved[s.spec.Name]
}

// same reports whether the files that a memo tells of are those that lie there.
func (o *observer) same(m *userMemo, u *spec.User) bool {
	base := u.Name + "-" + o.cfg.CA.Name
	is := func(name string, want outdir.Stat) bool {
		have, ok := o.stats.Of(name)
		return ok && have == want
	}
	pass := "secrets/" + base + "." + kindPass
	if m.pass == (outdir.Stat{}) && !o.stats.Missing(pass) || m.pass != (outdir.Stat{}) && !is(pass, m.pass) {
		return false
	}
	if !is(base+"."+kindKey, m.key) || !is(base+"."+kindCSR, m.csr) || !is(base+"."+kindCrt, m.crt) {
		return false
	}
	for i := range m.p12 {
		if !is(base+"."+p12Kind(i, m.p12[i].asked), m.p12[i].stat) {
			return false
		}
	}
	return true
}

// stillOpens reports whether the key of a memo opens with the user's passphrase.
func (o *observer) stillOpens(u *spec.User, memo string) bool {
	var m userMemo
	if m.unpack(memo) != nil {
		return false
	}
	pass, err := o.vault.open(u.Passphrase)
	if err != nil {
		return false
	}
	file, err := o.dir.Read(userFile(o.cfg, u.Name, kindKey))
	if err != nil || file.Missing || file.Stat != m.key {
		return false
	}
	id := o.opened.id(file.Data, pass)
	known, ok := o.opened.m.Load(id)
	if !ok {
		key, err := pki.OpenKey(file.Data, pass)
		if err != nil {
			return false
		}
		known = openedKeyOf(key.Public())
		o.opened.m.Store(id, known)
	}
	return known.(openedKey) == m.opened
}

// manyUsers is from where on one look at all names costs less than two at each
// user's.
const manyUsers = 256

// strays are the names of the .p12 files with a profile in their name. A directory
// that is as it was when there was none has none.
func (o *observer) strays() map[string]bool {
	top, ok := o.stats.Top()
	out := map[string]bool{}
	if ok && top == o.cache.top {
		return out
	}
	err := o.dir.Names(func(name []byte) {
		for _, p := range pki.Profiles {
			if bytes.HasSuffix(name, []byte("."+string(p)+"."+kindP12)) {
				out[string(name)] = true
			}
		}
	})
	if err != nil {
		return nil // each user is asked for
	}
	if ok && len(out) == 0 && top.Before(o.clock) {
		o.cache.seen = top
	}
	return out
}

// hasStray reports whether a user has a .p12 of a profile that the spec does not
// ask for. names are those that there are, nil when nobody has looked.
func (o *observer) hasStray(u *spec.User, names map[string]bool) bool {
	if names != nil && len(names) == 0 {
		return false
	}
	return slices.ContainsFunc(pki.Profiles, func(p pki.Profile) bool {
		name := userFile(o.cfg, u.Name, string(p)+"."+kindP12)
		return (len(u.P12) < 2 || u.P12[1] != p) && (names == nil && !o.stats.Missing(name) || names[name])
	})
}
