package engine

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"strings"

	"mtlsplan/internal/cadb"
	"mtlsplan/internal/outdir"
)

// recheck makes the plan again, of what is on disk now: it reads back what the
// run has written. It must be empty but for the owners that failed. Whom the run
// has not touched it has judged already, of the same files; unless the CA has
// changed, on which everybody depends.
func (s *session) recheck(before *Observed, report *Report) (*Observed, error) {
	opt := s.opt
	opt.Replace = nil
	touched := map[Owner]bool{}
	for _, step := range report.Plan.Steps {
		touched[step.Owner] = true
	}
	if !opt.Adopt && !touched[before.ca.owner] && !s.db.sharedRevoked {
		for owner := range touched {
			touched[owner] = opt.covers(owner)
		}
		opt.scope = touched
	}
	// From the next tick on every change of what is read now will show. Where it
	// cannot be waited for, on a full disk, the clock is 0 and nothing is remembered.
	s.clock, _ = s.dir.NextTick()
	// What was proven when the run began need not be proven again.
	s.cache.learn(before.users)
	s.cache.seen = outdir.Stat{}
	s.close()
	s.stats, _ = s.dir.Stats() // directories may have come
	if s.db.stats = s.stats; !s.db.written() || opt.Adopt {
		s.db = nil
	}
	defer func(was Options) { s.opt = was }(s.opt)
	s.opt = opt
	obs, err := s.observe()
	if err != nil {
		return nil, err
	}
	failed := map[Owner]bool{}
	for _, f := range report.Failures {
		failed[f.Owner] = true
	}
	obs, v, err := s.judge(obs)
	if err != nil {
		return nil, err
	}
	var left []string
	for _, step := range v.plan.Steps {
		if !failed[step.Owner] {
			left = append(left, fmt.Sprintf("%s: %s, because %s", step.Owner, step.Action, step.Reasons[0].Message))
		}
	}
	if len(left) > 0 {
		return nil, fmt.Errorf("the run has finished, but the directory does not match the spec yet: %s: run apply again, and report this", strings.Join(left, "; "))
	}
	return obs, nil
}

// tail is what a run has written behind a file: where it began, and its digest.
type tail struct {
	from, size int64
	sum        hash.Hash
}

func (t *tail) add(at int64, data []byte) {
	if t.sum == nil {
		t.from, t.sum = at, sha256.New()
	}
	t.size += int64(len(data))
	t.sum.Write(data)
}

// written reports whether the disk holds what the database in memory says, as
// far as this run has written it. The rest was read when the run began, under
// the lock.
func (db *database) written() bool {
	if db.stats == nil {
		return false
	}
	index, there := db.stats.Of(indexName)
	if !there || index.Size != db.indexSize {
		return false
	}
	if db.rewritten {
		file, err := db.dir.Read(indexName)
		if err != nil || string(file.Data) != string(cadb.FormatIndex(db.rows)) {
			return false
		}
	} else if !db.readsBack(indexName, &db.indexTail) {
		return false
	}
	issued, there := db.stats.Of(issuedName)
	if !there || issued.Size != db.issuedSize || !db.readsBack(issuedName, &db.issuedTail) {
		return false
	}
	db.issuedStat = issued
	number, err := db.dir.Read(numberName)
	if err != nil {
		return false
	}
	n, err := cadb.ParseNumber(number.Data)
	return err == nil && n.Cmp(db.number) == 0
}

// readsBack reads a tail back.
func (db *database) readsBack(name string, t *tail) bool {
	if t.sum == nil {
		return true
	}
	const part = 1 << 20
	sum := sha256.New()
	for at := t.from; at < t.from+t.size; at += part {
		data, err := db.dir.Part(name, at, min(part, t.from+t.size-at))
		if err != nil {
			return false
		}
		sum.Write(data)
	}
	return string(sum.Sum(nil)) == string(t.sum.Sum(nil))
}
