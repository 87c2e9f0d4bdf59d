package engine

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"mtlsplan/internal/authority"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/outdir"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
)

// owedName is what a run that was killed leaves to the next one: requests to an
// authority that outlives the process. What such an authority has issued exists,
// and must be in the ledger, although nobody has put it into place.
const owedName = outdir.DB + "/owed.json"

type owed struct {
	FormatVersion int           `json:"format_version"`
	Requests      []owedRequest `json:"requests"`
}

type owedRequest struct {
	ID    string     `json:"id"`
	Owner plan.Owner `json:"owner"`
}

func (o owed) put(b *outdir.Batch) {
	if len(o.Requests) == 0 {
		b.Remove(owedName)
		return
	}
	o.FormatVersion = 1
	text, _ := json.Marshal(o) // strings only
	b.Put(owedName, append(text, '\n'), outdir.ModeSecret)
}

// owe records a request before it is asked. A crash before it: nothing was asked.
// Behind it: the next run asks what became of it.
func (c *carryOut) owe(r authority.Request) error {
	c.commits.Lock()
	defer c.commits.Unlock()
	c.owed.Requests = append(c.owed.Requests, owedRequest{r.ID, r.Owner})
	batch := c.dir.Begin()
	c.owed.put(batch)
	return batch.Commit()
}

// paid takes the requests of certificates that a batch records off the list, in
// the same batch.
func (c *carryOut) paid(ok []*result, batch *outdir.Batch) {
	before := len(c.owed.Requests)
	for _, r := range ok {
		for _, cert := range r.issued {
			id := pki.SerialHex(cert.SerialNumber)
			c.owed.Requests = slices.DeleteFunc(c.owed.Requests, func(q owedRequest) bool { return q.ID == id })
		}
	}
	if len(c.owed.Requests) < before {
		c.owed.put(batch)
	}
}

// settleOwed asks what became of the requests of a run that was killed, and
// records it. The key of a user was lost with that run, unless the user has made
// it: such a certificate is revoked at once.
func (r *run) settleOwed() error {
	file, err := r.dir.Read(owedName)
	if err != nil || file.Missing {
		return err
	}
	var o owed
	if err := json.Unmarshal(file.Data, &o); err != nil || o.FormatVersion != 1 {
		return fmt.Errorf("%s/%s cannot be read, which tells what an interrupted run has asked to be issued: restore it from a backup", r.dir.Path(), owedName)
	}
	led, err := r.in.Ledger()
	if err != nil {
		return err
	}
	var signer authority.Rememberer
	if gens := led.Generations(string(plan.CA(r.cfg.CA.Name)), r.opt.Now); len(gens) > 0 {
		signer, _ = r.service(gens[len(gens)-1].Cert).(authority.Rememberer)
	}
	w := ledger.NewWriter(led)
	when := r.opt.Now.Add(-pki.Backdate).Truncate(time.Second).UTC()
	for _, q := range o.Requests {
		if signer == nil {
			return fmt.Errorf("%s/%s: an interrupted run has asked another signer than the CA's key file to issue: run with that signer again", r.dir.Path(), owedName)
		}
		cert, err := signer.Issued(r.ctx, q.ID)
		if err != nil {
			return fmt.Errorf("%s: %w", q.Owner, err)
		}
		if cert == nil || led.Row(pki.SerialHex(cert.SerialNumber)) != nil {
			continue
		}
		w.Record(ledger.Issue{Owner: string(q.Owner), Cert: cert})
		if !r.hasOwnKey(q.Owner) {
			w.Record(ledger.Revoke{Serial: pki.SerialHex(cert.SerialNumber), When: when, Reason: ledger.Superseded})
		}
	}
	batch := r.dir.Begin()
	w.Flush(batch)
	owed{}.put(batch)
	return batch.Commit()
}

// hasOwnKey reports whether a user has made the key.
func (r *run) hasOwnKey(owner plan.Owner) bool {
	name, _ := owner.UserName()
	for i := range r.cfg.Users {
		if u := &r.cfg.Users[i]; u.Name == name {
			return u.CSR != ""
		}
	}
	return false
}
