package engine

import (
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
	var w cacheWriter // of what is new
	changed := 0
	for _, seen := range s.lastSeen(obs, after) {
		if seen != nil && seen.stable && !seen.kept {
			changed++
		}
	}
	// What is outdated stays as long as it is less than a quarter of what is not:
	// all of it is read by every run.
	live := len(s.cfg.Users) + len(s.db.entries)
	room := live + live/4 + 64 - s.cache.records
	if !s.cache.whole || changed >= room {
		w.to = io.Discard // all is written anew
	}
	last := obs
	if after != nil {
		last = after
	}
	for _, seen := range s.lastSeen(obs, after) {
		if seen != nil && seen.stable && !seen.kept {
			w.add(recordUser, seen.memo)
		}
	}
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
	again := fresh && s.db.recalled == 0 && len(s.cache.entries) > 0
	if w.to == nil && !again && w.records < room {
		w.end()
		if s.dir.Extend(cacheName, s.cache.size, w.out) == nil {
			return
		}
	}
	_ = s.dir.Replace(cacheName, func(out io.Writer) error { return s.wholeCache(out, obs, after, ca, fresh) })
}

// lastSeen gives of each user of the spec what was seen last, nil where the run was
// not about that user. Slots are in the order of the spec.
func (s *session) lastSeen(obs, after *Observed) iter.Seq2[*spec.User, *slot] {
	return func(yield func(*spec.User, *slot) bool) {
		var rest [2][]slot
		rest[0] = obs.users
		if after != nil {
			rest[1] = after.users
		}
		for i := range s.cfg.Users {
			u := &s.cfg.Users[i]
			var seen *slot
			for k := range rest {
				if len(rest[k]) > 0 && rest[k][0].spec == u {
					seen, rest[k] = &rest[k][0], rest[k][1:]
				}
			}
			if !yield(u, seen) {
				return
			}
		}
	}
}

// wholeCache is the cache written anew: of the users whom the run was not about
// too.
func (s *session) wholeCache(out io.Writer, obs, after *Observed, ca string, fresh bool) error {
	w := cacheWriter{to: out}
	w.begin(s.stats.Identity)
	for u, seen := range s.lastSeen(obs, after) {
		memo := ""
		switch {
		case seen != nil && (seen.kept || seen.stable):
			memo = seen.memo
		case seen == nil && !s.opt.covers(userOwner(u.Name)):
			memo = s.cache.users[u.Name]
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
