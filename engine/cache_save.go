package engine

import (
	"cmp"
	"io"
	"iter"

	"mtlsplan/internal/outdir"
	"mtlsplan/spec"
)

// keep writes to the cache what this run has found out and the cache did not
// know. obs is what the run began with, after what the check behind it has read,
// nil when there was nothing to do. An error costs the next run some time, and
// this one nothing.
func (s *session) keep(obs, after *Observed) {
	if s.stats == nil || !s.dir.Writable() {
		return
	}
	s.digests.keep(s.cfg, s.stats)
	last := obs
	if after != nil {
		last = after
	}
	k := keeping{session: s, obs: obs, after: after}
	k.ca, k.newCA = s.caMemo(last)
	issued := s.db.issuedStat
	// What was adopted in memory alone is not in the file.
	k.issued = len(s.db.newIssued) == 0 && issued != (outdir.Stat{}) && issued.Before(s.clock) && issued != s.cache.issued
	n := k.news()
	if n == 0 && s.cache.whole {
		return
	}
	// What is outdated stays as long as it is less than a quarter of what is not:
	// all of it is read by every run.
	live := len(s.cfg.Users) + len(s.db.entries)
	again := k.issued && s.db.recalled == 0 && len(s.cache.entries) > 0
	if s.cache.whole && !again && s.cache.records+n < live+live/4+64 {
		var w cacheWriter
		k.extend(&w)
		if s.dir.Extend(cacheName, s.cache.size, w.out) == nil {
			return
		}
	}
	_ = s.dir.Replace(cacheName, k.whole)
}

// keeping is what a run keeps.
type keeping struct {
	*session
	obs, after *Observed
	ca         string // memo of its key, "" for none
	newCA      bool   // which the cache does not have
	issued     bool   // of issued.pem there is more to keep than the cache has
}

// news counts the records that extend writes.
func (k *keeping) news() (n int) {
	for _, seen := range k.lastSeen() {
		if seen.isNew() {
			n++
		}
	}
	if k.newCA {
		n++
	}
	if k.cache.seen != (outdir.Stat{}) {
		n++
	}
	if k.issued {
		n += len(k.db.entries) - k.db.recalled + 1
	}
	return n
}

// extend writes what the cache does not have.
func (k *keeping) extend(w *cacheWriter) {
	for _, seen := range k.lastSeen() {
		if seen.isNew() {
			w.add(recordUser, seen.memo)
		}
	}
	if k.newCA {
		w.add(recordCA, k.ca)
	}
	if k.cache.seen != (outdir.Stat{}) {
		w.top(k.cache.seen)
	}
	if k.issued {
		w.entries(k.db.entries[k.db.recalled:])
		w.issued(k.db.issuedStat, len(k.db.entries))
	}
	w.end()
}

// isNew reports whether the memo can be kept, and the cache does not have it.
func (s *slot) isNew() bool { return s != nil && s.stable && !s.kept }

// lastSeen gives of each user of the spec what was seen last, nil where the run was
// not about that user. Slots are in the order of the spec.
func (k *keeping) lastSeen() iter.Seq2[*spec.User, *slot] {
	return func(yield func(*spec.User, *slot) bool) {
		var rest [2][]slot
		rest[0] = k.obs.users
		if k.after != nil {
			rest[1] = k.after.users
		}
		for i := range k.cfg.Users {
			u := &k.cfg.Users[i]
			var seen *slot
			for j := range rest {
				if len(rest[j]) > 0 && rest[j][0].spec == u {
					seen, rest[j] = &rest[j][0], rest[j][1:]
				}
			}
			if !yield(u, seen) {
				return
			}
		}
	}
}

// whole writes the cache anew: of the users whom the run was not about too.
func (k *keeping) whole(out io.Writer) error {
	w := cacheWriter{to: out}
	w.begin(k.stats.Identity)
	for u, seen := range k.lastSeen() {
		memo := ""
		switch {
		case seen != nil && (seen.kept || seen.stable):
			memo = seen.memo
		case seen == nil && !k.opt.covers(userOwner(u.Name)):
			memo = k.cache.users[u.Name]
		}
		if memo != "" {
			w.add(recordUser, memo)
		}
	}
	if ca := cmp.Or(k.ca, k.cache.ca); ca != "" {
		w.add(recordCA, ca)
	}
	entries, stat := k.db.entries[:k.db.recalled], k.cache.issued
	if k.issued {
		entries, stat = k.db.entries, k.db.issuedStat
	}
	if k.issued || len(entries) > 0 {
		w.entries(entries)
		w.issued(stat, len(entries))
	}
	if top := cmp.Or(k.cache.seen, k.cache.top); top != (outdir.Stat{}) {
		w.top(top)
	}
	w.end()
	return w.err
}

func (w *cacheWriter) entries(list []issued) {
	for i := range list {
		w.add(recordEntry, list[i].pack())
	}
}

func (w *cacheWriter) top(stat outdir.Stat) {
	var b packer
	b.stat(stat)
	w.add(recordTop, string(b))
}

func (w *cacheWriter) issued(stat outdir.Stat, entries int) {
	var b packer
	b.stat(stat)
	b.number(int64(entries))
	w.add(recordIssued, string(b))
}

// caMemo is the memo of the CA's key, and whether the cache does not have it.
func (s *session) caMemo(obs *Observed) (memo string, isNew bool) {
	p, ok := keyMemoOf(string(obs.ca.owner), obs.ca.spec.Passphrase, obs.ca.pass, obs.ca.key)
	if !ok || !p.before(s.clock) {
		return "", false
	}
	if have, ok := s.stats.Of(obs.ca.key.name); !ok || have != p.key {
		return "", false
	}
	var b packer
	p.pack(&b)
	return string(b), string(b) != s.cache.ca
}
