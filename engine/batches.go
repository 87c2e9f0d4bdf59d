package engine

import (
	"context"
	"iter"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"mtlsplan/internal/facts"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/policy"
)

const (
	// batchSize is the number of users that are built and committed together: it
	// bounds what a crash can undo, and what is held in memory to three batches.
	batchSize = 256
	// batchWork is what there may be to do for a batch, in milliseconds of each
	// core: an interrupt, and the patience of whoever watches, must not wait for
	// 256 keys of RSA-4096.
	batchWork = 5000
)

// work is about how long it takes to build what a task asks for, in milliseconds
// of one core of a usual machine: it is key derivation and the generation of RSA
// keys. The self-check opens each encrypted file once more; a .p12 derives three keys
// each time.
func (c *carryOut) work(t *policy.Task) int {
	if t.Part != policy.OfUser {
		return 1
	}
	u := c.user(t)
	const roundsPerMs = 6000
	derivations := 1 // the key that stays is opened
	for _, kind := range t.Makes {
		switch {
		case kind == plan.KindKey:
			derivations += 2
		case facts.IsP12(kind):
			derivations += 6
		}
	}
	ms := 1 + derivations*u.KDFIterations/roundsPerMs
	if t.NewKey {
		ms += map[pki.KeyType]int{pki.RSA2048: 60, pki.RSA3072: 200, pki.RSA4096: 500}[u.Key]
	}
	return ms
}

// chunks cuts tasks into parts of no more than size tasks and about as much work,
// but of one task at least.
func chunks(tasks []*policy.Task, size, most int, work func(*policy.Task) int) iter.Seq[[]*policy.Task] {
	return func(yield func([]*policy.Task) bool) {
		for len(tasks) > 0 {
			n, sum := 0, 0
			for n < len(tasks) && n < size && (n == 0 || sum < most) {
				sum += work(tasks[n])
				n++
			}
			if !yield(tasks[:n:n]) {
				return
			}
			tasks = tasks[n:]
		}
	}
}

// batches builds tasks on all cores, no more than size at a time, and commits one
// batch while the next is built. An interrupt ends it between two commits; what was
// only built is forgotten.
func (c *carryOut) batches(tasks []*policy.Task, size int) error {
	ctx, stop := context.WithCancel(c.ctx)
	ready := make(chan []*result)
	var failed error // of the builder; read once ready is closed
	var builder sync.WaitGroup
	builder.Go(func() {
		defer close(ready)
		for part := range chunks(tasks, size, batchWork*min(c.opt.Parallel, runtime.GOMAXPROCS(0)), c.work) {
			var batch []*result
			if batch, failed = c.prepare(part); failed != nil {
				return
			}
			c.buildAll(ctx, batch)
			select {
			case <-ctx.Done():
				return
			case ready <- batch:
			}
		}
	})
	defer builder.Wait()
	defer stop()
	for batch := range ready {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := c.commit(batch); err != nil {
			return err
		}
	}
	if failed != nil {
		return failed
	}
	return ctx.Err()
}

// buildAll builds results in their places, so many at a time, until ctx ends: then
// the rest is left out, and the batch is not used.
func (c *carryOut) buildAll(ctx context.Context, batch []*result) {
	var workers errgroup.Group
	workers.SetLimit(c.opt.Parallel)
	for i, r := range batch {
		workers.Go(func() error {
			if ctx.Err() == nil {
				batch[i] = c.build(r)
			}
			return nil
		})
	}
	_ = workers.Wait() // a task that fails says so in its result
}
