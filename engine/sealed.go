package engine

import (
	"crypto/sha256"
	"errors"

	"mtlsplan/internal/ledger"
	"mtlsplan/internal/outdir"
	"mtlsplan/internal/seal"
)

// noteAllSealed remembers to whom the passphrases of results are sealed, in the batch that
// puts them into place.
func (c *carryOut) noteAllSealed(batch *outdir.Batch, ok []*result) {
	news := map[string]ledger.SealedFile{}
	var gone []string
	for _, r := range ok {
		gone = append(append(gone, r.before...), r.after...)
		for _, m := range r.moves {
			gone = append(gone, m.from)
		}
		for _, p := range r.puts {
			if to, sealed := r.sealed[p.name]; sealed {
				news[p.name] = ledger.SealedFile{Sum: sha256.Sum256(p.data), Recipients: to}
			}
		}
	}
	c.noteSealed(batch, news, gone)
}

// manySealed is from how many sealed passphrases on db/sealed.json is not written in each
// batch. It has a line for each, and a run of all of them would write it hundreds of times.
const manySealed = 16 * batchSize

// noteSealed remembers to whom new files are sealed, and forgets those that are gone. What a
// crash loses of very many is sealed anew.
func (c *carryOut) noteSealed(batch *outdir.Batch, news map[string]ledger.SealedFile, gone []string) {
	for _, name := range gone {
		c.sealed.Drop(name)
	}
	for name, f := range news {
		c.sealed.Put(name, f)
	}
	if n := c.sealed.Unsaved(); n > 0 && (c.sealed.Len() < manySealed || 8*n >= c.sealed.Len()) {
		putSealed(batch, c.sealed)
	}
}

// saveSealed writes what the batches of this run have left of it.
func (c *carryOut) saveSealed() error {
	if c.sealed.Unsaved() == 0 {
		return nil
	}
	batch := c.dir.Begin()
	putSealed(batch, c.sealed)
	return batch.Commit()
}

func putSealed(batch *outdir.Batch, s *ledger.Sealed) {
	text := s.Text()
	if text == nil {
		batch.Remove(ledger.SealedName)
		return
	}
	batch.Put(ledger.SealedName, text, outdir.ModeSecret)
}

// provesSealed is of a passphrase that nobody here may be able to open: the file is whole,
// and sealed to somebody.
func provesSealed(recipients []string) proof {
	return func(data []byte) error {
		if len(recipients) == 0 {
			return errors.New("it is sealed to nobody")
		}
		return seal.Inspect(data)
	}
}
