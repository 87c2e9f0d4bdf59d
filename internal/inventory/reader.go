// Package inventory reads an output directory, and nobody else does: what lies
// there, parsed, as one value that holds no secret ([facts.Inventory]), and the
// CA database ([ledger.Ledger]). Files that are known from an earlier run are not
// read again; no caller can tell.
//
// It decides nothing and changes nothing but its cache. The secrets that it takes
// to make an owner's files anew are read when they are asked for ([Material]).
package inventory

import (
	"context"
	"crypto"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/outdir"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/statcache"
)

// Options are what a run is about.
type Options struct {
	Config    *config.Config
	Now       time.Time
	Covers    func(plan.Owner) bool // the owners that the run is about
	Adopt     bool                  // files that the ledger knows nothing of are to be taken over
	Thorough  bool                  // every file is read and opened, whatever the cache knows
	Prove     bool                  // Thorough, and what it takes to prove the files is kept: [Reader.Signer], the DER of every entry of the ledger
	Blind     bool                  // no secret is read, and nothing that is encrypted is opened
	Glance    bool                  // Blind, and what is encrypted is taken for what it should be, so that owners can be judged
	Granted   bool                  // of a Glance: what is sealed is taken to open, as where apply runs
	Parallel  int                   // how many owners are read at a time; less than 1: as many as there are cores
	LookupEnv func(string) (string, bool)

	// Reading, if set, gets the number of users whose files have been read, and the
	// total to read; users known from the cache do not count. It is called from one
	// goroutine at a time.
	Reading func(done, total int)

	// Trace, if set, is told what is begun, "read" and a file for example, and calls back
	// when that has ended. It is called from several goroutines.
	Trace func(doing, what string) (ended func())
}

// Reader reads one output directory.
type Reader struct {
	ctx     context.Context
	dir     *outdir.Dir
	opt     Options
	cache   *statcache.Cache
	opened  openings
	secrets *secrets
	unasked bool

	formerly map[plan.Owner][]plan.Owner // the former names of users whom the spec says to be renamed, the oldest first

	// Of what was read last:
	former map[string]string // what the names of a user's files still begin with, by the name that is to be
	users  *users
	ledger *ledger.Ledger
	owed   ledger.Owed
	sealed *ledger.Sealed
	issued outdir.Stat // of the issued.pem that ledger tells of, zero where it is not known
}

// New begins to read a directory. The end of ctx ends the reading, with its error.
func New(ctx context.Context, dir *outdir.Dir, opt Options) *Reader {
	if opt.Parallel < 1 {
		opt.Parallel = runtime.GOMAXPROCS(0)
	}
	if opt.Trace == nil {
		opt.Trace = func(string, string) func() { return func() {} }
	}
	opt.Thorough, opt.Blind = opt.Thorough || opt.Prove, opt.Blind || opt.Glance
	r := &Reader{ctx: ctx, dir: dir, opt: opt, cache: statcache.Open(dir), secrets: newSecrets(ctx, opt.Config, opt.LookupEnv), sealed: ledger.ParseSealed(nil)}
	r.secrets.trace = opt.Trace
	r.opened.keep, r.opened.certs = opt.Prove, opt.Adopt
	if len(opt.Config.Moved) > 0 {
		r.formerly = map[plan.Owner][]plan.Owner{}
		for _, m := range opt.Config.Moved {
			r.formerly[m.To] = append(r.formerly[m.To], m.From)
		}
	}
	return r
}

// Unask says whether programs are left alone that give users' passphrases. Whoever
// would need one of them has a passphrase that cannot be had.
func (r *Reader) Unask(yes bool) { r.unasked = yes }

// Close lets go of what the reader holds open.
func (r *Reader) Close() { r.cache.Close() }

// Take reads the directory. An error means that nothing can be judged; what
// concerns one owner is in that owner's facts.
func (r *Reader) Take() (*facts.Inventory, *ledger.Ledger, error) { return r.take(nil) }

// Again reads back what a run has written: the owners that covers now. The ledger
// of w is taken as read where w has written all of it and the files hold that;
// else, or with reread, it is read again.
func (r *Reader) Again(covers func(plan.Owner) bool, w *ledger.Writer, reread bool) (*facts.Inventory, *ledger.Ledger, error) {
	r.cache.Renew()
	r.opt.Covers = covers
	if reread || !w.Written(database{r}) {
		inv, led, err := r.take(nil)
		if _, damaged := errors.AsType[*ledger.DamagedError](err); damaged {
			err = plan.Errorf(plan.Failed, "%w", err) // no refusal, after what the run has written
		}
		return inv, led, err
	}
	r.issued, _ = r.cache.Stat(ledger.IssuedName)
	return r.take(w.Ledger())
}

// take reads all but the ledger, where that is known.
//
// The ledger comes after the files: a writer beside us records first, so that
// whatever was seen of a certificate is in it.
func (r *Reader) take(l *ledger.Ledger) (*facts.Inventory, *ledger.Ledger, error) {
	if err := r.readSealed(); err != nil {
		return nil, nil, err
	}
	r.secrets.ask(true)
	inv, ca := &facts.Inventory{}, r.readCA()
	r.secrets.ask(!r.unasked) // whoever signs has been asked
	var err error
	if inv.CA, err = r.ca(ca); err != nil {
		return nil, nil, err
	}
	r.findFormer()
	if r.users, err = r.readUsers(); err != nil {
		return nil, nil, err
	}
	if r.ledger = l; l == nil {
		if err := r.readLedger(); err != nil {
			return nil, nil, err
		}
	}
	if err := r.relate(); err != nil {
		return nil, nil, err
	}
	inv.Users = r.users
	gens := r.generations()
	r.past(&inv.CA, ca, gens)
	if r.opt.Glance || inv.CA.Passphrase.Closed != nil {
		r.glanceCA(&inv.CA, gens)
	}
	inv.CRL = r.crl(&inv.CA, gens)
	if inv.Moved, err = r.moved(); err != nil {
		return nil, nil, err
	}
	inv.Departed, inv.Out = r.departed(), r.out()
	if inv.Bystanders, err = r.bystanders(); err != nil {
		return nil, nil, err
	}
	if inv.Strangers, err = r.strangers(); err != nil {
		return nil, nil, err
	}
	if err := r.readOwed(); err != nil {
		return nil, nil, err
	}
	inv.Owed = r.requests()
	inv.Sites = r.sites()
	inv.Orphans = r.orphans(inv.Sites)
	return inv, r.ledger, nil
}

// Signer is a key that was opened while the directory was read, by its
// [pki.PublicID]; nil for one that was not. Only with Prove are keys kept.
func (r *Reader) Signer(spki string) crypto.Signer {
	key, _ := r.opened.keys.Load(spki)
	signer, _ := key.(crypto.Signer)
	return signer
}

// Ledger reads the ledger alone.
func (r *Reader) Ledger() (*ledger.Ledger, error) {
	if err := r.readLedger(); err != nil {
		return nil, err
	}
	return r.ledger, nil
}

// Keep writes the cache: what this run has found out, and the next need not. A
// cache that cannot be written costs the next run time, and changes nothing.
func (r *Reader) Keep() {
	r.keepLedger()
	r.KeepOpened()
}

// KeepOpened is Keep for a run that ended early: what was opened need not be
// opened again.
func (r *Reader) KeepOpened() {
	_ = r.cache.Save(func(yield func(string) bool) {
		cfg := r.opt.Config
		for _, key := range []string{statcache.Top, ledger.IssuedName, string(plan.CA(cfg.CA.Name))} {
			if !yield(key) {
				return
			}
		}
		for i := range cfg.Users {
			if !yield(string(plan.User(cfg.Users[i].Name))) {
				return
			}
		}
	})
}

// forEach calls f for every index, so many at a time, until ctx ends: then the
// rest is left out.
func forEach(ctx context.Context, workers, n int, f func(int)) {
	var wg sync.WaitGroup
	var next atomic.Int64
	for range min(n, workers) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				f(i)
			}
		})
	}
	wg.Wait()
}

// progress returns what is called whenever the files of one more user have been
// read, of so many.
func (r *Reader) progress(total int) func() {
	if r.opt.Reading == nil {
		return func() {}
	}
	var mu sync.Mutex
	done := 0
	return func() {
		mu.Lock()
		defer mu.Unlock()
		done++
		r.opt.Reading(done, total)
	}
}
