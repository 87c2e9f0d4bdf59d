package inventory

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/outdir"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/statcache"
)

// readLedger reads the ledger. A reader may meet an append that is under way,
// which is over after a moment; for a writer, who has carried out every journal,
// a tail is somebody else's work.
func (r *Reader) readLedger() error {
	f, err := r.ledgerFiles()
	if err != nil {
		return err
	}
	for looks := 1; ; looks++ {
		l, err := ledger.Parse(f)
		if err == nil && l.Above() && !f.Hold {
			f.Recalled = nil
			if err := r.readIssued(&f); err != nil {
				return err
			}
			f.Hold = true
			continue
		}
		if err == nil {
			lost := l.Lost() // which take a certificate to be recorded again
			if r.opt.Config.VersionControl {
				lost = append(lost, l.Unlisted()...)
			}
			for _, e := range lost {
				if e.DER, err = r.der(e); err != nil {
					return err
				}
			}
			r.ledger = l
			return nil
		}
		if !errors.Is(err, ledger.ErrTorn) || r.dir.Writable() || looks == 5 {
			return r.damaged(err)
		}
		time.Sleep(20 * time.Millisecond)
		if err := r.readIssued(&f); err != nil {
			return err
		}
	}
}

// ledgerFiles reads the files of the ledger: the index before what it tells of, so
// that beside a writer nothing is missing from issued.pem.
func (r *Reader) ledgerFiles() (f ledger.Files, err error) {
	read := func(name string) (t ledger.Text) {
		if err == nil {
			var file outdir.File
			file, err = r.read(name)
			t = ledger.Text{Data: file.Data, Missing: file.Missing}
		}
		return t
	}
	// Between two renames of `openssl ca` the index is missing, which may also be just when
	// it is opened; before anything was issued it is not there yet.
	_, issued := r.dir.FileMode(ledger.IssuedName)
	for {
		there := issued && r.dir.AwaitFile(ledger.IndexName)
		f.Index = read(ledger.IndexName)
		if !there || !f.Index.Missing || err != nil {
			break
		}
	}
	if err == nil && !r.recall(&f) {
		err = r.readIssued(&f)
	}
	f.Attr = read(ledger.AttrName)
	f.Number, f.Rendered = read(ledger.NumberName), read(ledger.RenderedName)
	return f, err
}

func (r *Reader) readIssued(f *ledger.Files) error {
	file, err := r.read(ledger.IssuedName)
	f.Issued, f.Hold, r.issued = file.Data, r.opt.Prove || r.opt.Adopt || r.dir.Interrupted(), file.Stat
	return err
}

// recall takes what the cache knows of issued.pem, if the file is still the same.
func (r *Reader) recall(f *ledger.Files) bool {
	if r.opt.Thorough || r.opt.Adopt {
		return false
	}
	rec := r.cache.Known(ledger.IssuedName, ledger.IssuedName)
	if rec == nil {
		return false
	}
	stat, entries := rec.Stats.At(0), unpackEntries(rec.Facts)
	for i := range entries {
		if e := &entries[i]; e.Held() {
			var err error
			if e.DER, err = r.der(e); err != nil {
				return false
			}
		}
	}
	last, err := r.dir.Part(ledger.IssuedName, stat.Size-1, 1)
	if entries == nil || err != nil {
		return false
	}
	f.Recalled, f.Size, f.Unended = entries, stat.Size, last[0] != '\n'
	r.issued = stat
	return true
}

// readOwed reads what earlier runs have begun with others.
func (r *Reader) readOwed() error {
	r.owed = ledger.Owed{}
	file, err := r.read(ledger.OwedName)
	if err != nil || file.Missing {
		return err
	}
	owed, ok := ledger.ParseOwed(file.Data)
	if !ok {
		return r.damaged(&ledger.DamagedError{File: ledger.OwedName, Err: errors.New("it lists the open requests and deployments of an interrupted run, and cannot be read")})
	}
	r.owed = owed
	return nil
}

// requests are those among what is owed.
func (r *Reader) requests() []facts.Owed {
	var out []facts.Owed
	for _, q := range r.owed.Requests {
		out = append(out, facts.Owed{ID: q.ID, Owner: plan.Owner(q.Owner)})
	}
	return out
}

// Deployments are those that earlier runs have begun and not ended well.
func (r *Reader) Deployments() []ledger.Deployment { return r.owed.Deployments }

// keepLedger has the cache remember what issued.pem holds.
func (r *Reader) keepLedger() {
	if r.ledger == nil || len(r.ledger.Entries()) == 0 || !r.issued.Before(r.cache.Clock()) || r.cache.Known(ledger.IssuedName, ledger.IssuedName) != nil {
		return
	}
	rec := statcache.Record{Stats: statcache.StatsOf(r.issued), Facts: packEntries(r.ledger.All())}
	r.cache.Put(ledger.IssuedName, &rec, ledger.IssuedName)
}

// der is the certificate of an entry, from the file where the ledger does not hold
// it.
func (r *Reader) der(e *ledger.Entry) ([]byte, error) {
	if e.DER != nil {
		return e.DER, nil
	}
	text, err := r.dir.Part(ledger.IssuedName, e.At, e.Size)
	if err != nil {
		return nil, err
	}
	list, _, err := ledger.ParseRecords(text)
	if err != nil || len(list) != 1 || sha256.Sum256(list[0].DER) != e.Sum {
		return nil, fmt.Errorf("%s was changed while it was read: run again", ledger.IssuedName)
	}
	return list[0].DER, nil
}

func (r *Reader) certificate(e *ledger.Entry) (*x509.Certificate, error) {
	der, err := r.der(e)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// database reads the files of the ledger back for [ledger.Writer.Written].
type database struct{ r *Reader }

// Size is that of a file.
func (d database) Size(name string) (int64, bool) {
	stat, ok := d.r.cache.Stat(name)
	return stat.Size, ok
}

// Part is a part of a file.
func (d database) Part(name string, at, size int64) ([]byte, error) {
	return d.r.dir.Part(name, at, size)
}
