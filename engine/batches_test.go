package engine

import (
	"slices"
	"testing"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/policy"
)

// A batch of cheap users is full; one of expensive users ends early.
func TestBatchesAreBounded(t *testing.T) {
	for name, test := range map[string]struct {
		key    pki.KeyType
		rounds int
		least  int
		most   int
	}{
		"usual":         {pki.ECDSAP256, 2048, batchSize, batchSize},
		"RSA-2048":      {pki.RSA2048, 2048, 100, 200},
		"RSA-4096":      {pki.RSA4096, 2048, 10, 25},
		"many rounds":   {pki.ECDSAP256, 600_000, 4, 12},
		"all there are": {pki.RSA4096, 10_000_000, 1, 1},
	} {
		c := &carryOut{run: &run{cfg: &config.Config{Users: []config.User{{Key: test.key, KDFIterations: test.rounds}}}},
			stock: stock{have: &facts.Inventory{Users: onlyUser{}}}}
		var tasks []*policy.Task
		for range 600 {
			tasks = append(tasks, &policy.Task{Part: policy.OfUser, NewKey: true, Makes: []plan.Kind{plan.KindKey, plan.KindCSR, plan.KindCrt, plan.KindP12}})
		}
		var all []*policy.Task
		for part := range chunks(tasks, batchSize, 2*batchWork, c.work) {
			last := len(all)+len(part) == len(tasks)
			if len(part) > test.most || len(part) < test.least && !last {
				t.Errorf("%s: a batch of %d", name, len(part))
			}
			all = append(all, part...)
		}
		if !slices.Equal(all, tasks) {
			t.Errorf("%s: the batches hold %d of %d tasks, or hold them in another order", name, len(all), len(tasks))
		}
	}
}

// onlyUser is the only user of a spec.
type onlyUser struct{}

func (onlyUser) Len() int             { return 1 }
func (onlyUser) Spec(int) int         { return 0 }
func (onlyUser) User(int) *facts.User { return &facts.User{} }
