package engine

import (
	"context"
	"iter"
	"runtime"
	"strings"
	"sync"

	"mtlsplan/internal/pki"
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
// keys. What is encrypted is opened once more by the self-check; a .p12 derives
// three keys each time.
func (t *task) work() int {
	if t.slot == nil {
		return 1
	}
	const roundsPerMs = 6000
	derivations := 1 // the key that stays is opened
	for _, kind := range t.makes {
		switch {
		case kind == kindKey:
			derivations += 2
		case strings.HasSuffix(kind, kindP12):
			derivations += 6
		}
	}
	ms := 1 + derivations*t.slot.spec.KDFIterations/roundsPerMs
	if t.newKey {
		ms += map[pki.KeyType]int{pki.RSA2048: 60, pki.RSA3072: 200, pki.RSA4096: 500}[t.slot.spec.Key]
	}
	return ms
}

// chunks cuts tasks into parts of no more than size tasks and about as much work,
// but of one task at least.
func chunks(tasks []*task, size, work int) iter.Seq[[]*task] {
	return func(yield func([]*task) bool) {
		for len(tasks) > 0 {
			n, sum := 0, 0
			for n < len(tasks) && n < size && (n == 0 || sum < work) {
				sum += tasks[n].work()
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
func (e *executor) batches(ctx context.Context, tasks []*task, size int) error {
	ctx, stop := context.WithCancel(ctx)
	ready := make(chan []*built)
	var builder sync.WaitGroup
	builder.Go(func() {
		defer close(ready)
		for part := range chunks(tasks, size, batchWork*min(e.s.opt.Parallel, runtime.GOMAXPROCS(0))) {
			batch := e.buildAll(ctx, part)
			clear(part) // nobody needs them behind the batch
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
		if err := e.commit(batch); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (e *executor) buildAll(ctx context.Context, tasks []*task) []*built {
	out := make([]*built, len(tasks))
	forEach(ctx, e.s.opt.Parallel, len(tasks), func(i int) { out[i] = e.build(tasks[i]) })
	return out
}
