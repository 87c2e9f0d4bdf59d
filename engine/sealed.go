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

// noteSealed remembers to whom new files are sealed, and forgets those that are gone.
func (c *carryOut) noteSealed(batch *outdir.Batch, news map[string]ledger.SealedFile, gone []string) {
	changed := len(news) > 0
	for _, name := range gone {
		changed = c.sealed.Drop(name) || changed
	}
	for name, f := range news {
		c.sealed.Put(name, f)
	}
	if changed {
		putSealed(batch, c.sealed)
	}
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
