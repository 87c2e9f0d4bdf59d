package engine

import (
	"io"

	"mtlsplan/internal/outdir"
)

// keep writes to the cache what this run has found out and the cache did not
// know. obs is what the run began with, after what the check behind it has read,
// nil when there was nothing to do. An error costs the next run some time, and
// this one nothing.
func (s *session) keep(obs, after *Observed) {
	if s.stats == nil || !s.dir.Writable() {
		return
	}
	var w cacheWriter // of what is new
	if !s.cache.whole {
		w.to = io.Discard // all is written anew
	}
	memos := make(map[string]string, len(obs.users)) // "" for a user of whom nothing can be kept
	take := func(o *Observed) {
		for i := range o.users {
			u := &o.users[i]
			if _, later := memos[u.spec.Name]; later {
				continue
			}
			memo := ""
			if u.kept || u.stable {
				memo = u.memo
			}
			if memos[u.spec.Name] = memo; memo != "" && !u.kept {
				w.add(recordUser, memo)
			}
		}
	}
	last := obs
	if after != nil {
		last = after
		take(after)
	}
	take(obs)
	s.digests.keep(s.cfg, s.stats)

	ca, caKept := s.caMemo(last)
	if ca != "" && !caKept {
		w.add(recordCA, ca)
	}
	if s.cache.seen != (outdir.Stat{}) {
		w.top(s.cache.seen)
	}
	issued := s.db.issuedStat
	// What was adopted in memory alone is not in the file.
	fresh := len(s.db.newIssued) == 0 && issued != (outdir.Stat{}) && issued.Before(s.clock) && issued != s.cache.issued
	if fresh {
		for i := s.db.recalled; i < len(s.db.entries); i++ {
			w.add(recordEntry, s.db.entries[i].pack())
		}
		w.issued(issued, len(s.db.entries))
	}
	if w.records == 0 && s.cache.whole {
		return
	}
	// What is outdated stays as long as it is less than a quarter of what is not:
	// all of it is read by every run.
	live := len(memos) + len(s.db.entries)
	again := fresh && s.db.recalled == 0 && len(s.cache.entries) > 0
	if s.cache.whole && !again && s.cache.records+w.records < live+live/4+64 {
		w.end()
		if s.dir.Extend(cacheName, s.cache.size, w.out) == nil {
			return
		}
	}
	_ = s.dir.Replace(cacheName, func(out io.Writer) error { return s.wholeCache(out, memos, ca, fresh) })
}

// wholeCache is the cache written anew: of the users whom the run was not about
// too.
func (s *session) wholeCache(out io.Writer, memos map[string]string, ca string, fresh bool) error {
	w := cacheWriter{to: out}
	w.begin(s.stats.Identity)
	for i := range s.cfg.Users {
		name := s.cfg.Users[i].Name
		memo, ok := memos[name]
		if !ok && !s.opt.covers(userOwner(name)) {
			memo = s.cache.users[name]
		}
		if memo != "" {
			w.add(recordUser, memo)
		}
	}
	if ca == "" {
		ca = s.cache.ca
	}
	if ca != "" {
		w.add(recordCA, ca)
	}
	if fresh || s.db.recalled > 0 {
		n := len(s.db.entries)
		if !fresh {
			n = s.db.recalled
		}
		for i := range n {
			w.add(recordEntry, s.db.entries[i].pack())
		}
		stat := s.cache.issued
		if fresh {
			stat = s.db.issuedStat
		}
		w.issued(stat, n)
	}
	switch {
	case s.cache.seen != (outdir.Stat{}):
		w.top(s.cache.seen)
	case s.cache.top != (outdir.Stat{}):
		w.top(s.cache.top)
	}
	w.end()
	return w.err
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

// caMemo is the memo of the CA's key, and whether the cache has it.
func (s *session) caMemo(obs *Observed) (memo string, kept bool) {
	p, ok := keyMemoOf(string(obs.ca.owner), obs.ca.spec.Passphrase, obs.ca.pass, obs.ca.key)
	if !ok || !p.before(s.clock) {
		return "", false
	}
	if have, ok := s.stats.Of(obs.ca.key.name); !ok || have != p.key {
		return "", false
	}
	var b packer
	p.pack(&b)
	return string(b), string(b) == s.cache.ca
}
