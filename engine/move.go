package engine

import (
	"errors"
	"fmt"
	"slices"

	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/outdir"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/policy"
)

// rename gives users their new names, before anything else is done for them, and judges
// the directory anew as it is then: all that the plan says of them stands under the new
// names. The error is an [outdir.ErrForeign] where another program has changed the CA
// database meanwhile.
func (r *run) rename(st stock, w Watcher, report *Report) (stock, error) {
	moved := st.verdict.Renamed
	if len(moved) == 0 {
		return st, nil
	}
	// A crash between two batches: the users before it have their new names, and the next
	// plan has those behind it.
	writer := ledger.NewWriter(st.ledger)
	for part := range slices.Chunk(moved, 16*batchSize) {
		if err := r.ctx.Err(); err != nil {
			return stock{}, err
		}
		if err := r.renameAll(part, writer); err != nil {
			return stock{}, err
		}
	}
	renamed := map[plan.Owner]bool{}
	for _, m := range moved {
		renamed[m.To] = true
	}
	before := st.verdict.Plan.Steps
	st, err := r.takeStockAgain()
	if err != nil {
		return stock{}, err
	}
	if st.verdict.Plan.Refused() || len(st.verdict.Renamed) > 0 {
		return stock{}, errors.New("users have their new names, and the plan is another one now: see what mtlsplan plan says")
	}
	// A step that has more to do is told of once all of it is done.
	more := map[plan.Owner]int{}
	for i, t := range st.verdict.Tasks {
		if renamed[t.Step.Owner] {
			more[t.Step.Owner] = i
		}
	}
	var done []plan.Step
	for _, s := range before {
		i, left := more[s.Owner]
		why := slices.DeleteFunc(slices.Clone(s.Reasons), func(r plan.Reason) bool { return r.Code != plan.Moved })
		switch {
		case !renamed[s.Owner] || len(why) == 0:
		case !left:
			done = append(done, s)
		default:
			t := st.verdict.Tasks[i]
			t.Step.Reasons = append(why, t.Step.Reasons...)
			t.Step.Artefacts = plan.SortKinds(slices.Concat(s.Artefacts, t.Step.Artefacts))
			st.verdict.Plan.Steps[i] = t.Step
		}
	}
	if len(done) > 0 {
		report.Done = append(report.Done, done...)
		w.Done(done)
	}
	return st, nil
}

// renameAll renames the files and records of users in one batch. A passphrase is in place
// before its key and leaves after it.
func (r *run) renameAll(moved []*facts.Moved, writer *ledger.Writer) error {
	batch := r.dir.Begin()
	for _, m := range moved {
		writer.Record(policy.Renaming(m))
	}
	writer.Flush(batch)
	sealed, again := r.in.Sealed().Clone(), false
	for _, m := range moved {
		var last []string
		for _, key := range []bool{false, true} {
			for i, f := range m.Files {
				switch {
				case facts.IsPass(f.Kind) && !key:
					pass, err := r.dir.Read(m.Names[i])
					if err != nil {
						return err
					}
					if pass.Missing {
						return errChanged(m.Names[i])
					}
					batch.Put(f.Name(), pass.Data, f.Mode&f.Widest())
					last = append(last, m.Names[i])
					if rec, ok := sealed.Of(m.Names[i]); ok {
						sealed.Drop(m.Names[i])
						sealed.Put(f.Name(), rec)
						again = true
					}
				case !facts.IsPass(f.Kind) && (f.Kind == plan.KindKey) == key:
					batch.Move(m.Names[i], f.Name(), f.Mode&f.Widest())
				}
			}
		}
		for _, name := range last {
			batch.Remove(name)
		}
	}
	if again {
		putSealed(batch, sealed)
	}
	// A crash within: none of the batch, or all of it once the next run has its lock.
	if err := batch.Commit(); err != nil {
		if _, foreign := errors.AsType[*outdir.ErrForeign](err); foreign {
			return err
		}
		return fmt.Errorf("users cannot be given their new names: %w", err)
	}
	writer.Settle()
	return nil
}
