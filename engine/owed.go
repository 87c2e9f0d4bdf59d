package engine

import (
	"slices"

	"mtlsplan/internal/authority"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/outdir"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/policy"
)

// settle asks what became of the requests of a run that was killed.
func (r *run) settle(have *facts.Inventory) {
	var signer authority.Rememberer
	if ca := have.CA.Crt.Cert; ca != nil && ca.X509 != nil {
		signer, _ = r.service(ca.X509).(authority.Rememberer)
	}
	for i := range have.Owed {
		o := &have.Owed[i]
		if signer == nil {
			o.Err = plan.Errorf(plan.CAUnavailable, "an interrupted run left requests open with another signer: run again with that signer")
			continue
		}
		if o.Cert, o.Err = signer.Issued(r.ctx, o.ID); o.Err != nil {
			o.Err = plan.Errorf(plan.CAUnavailable, "what became of request %s cannot be told: %w", o.ID, o.Err)
		}
	}
}

// stillOwed are the requests of which nothing could be told.
func stillOwed(have *facts.Inventory) []ledger.Request {
	var list []ledger.Request
	for _, o := range have.Owed {
		if o.Err != nil {
			list = append(list, ledger.Request{ID: o.ID, Owner: string(o.Owner)})
		}
	}
	return list
}

// prepare gives the results of tasks, of which nothing is made yet. An authority
// that outlives this process is asked only once the requests are recorded. An error
// stops the run.
func (c *carryOut) prepare(tasks []*policy.Task) ([]*result, error) {
	out := make([]*result, len(tasks))
	c.mu.Lock()
	for i, t := range tasks {
		out[i] = &result{task: t}
		if t.Part == policy.OfUser && t.NewCert {
			out[i].serial = c.writer.FreshSerial()
		}
	}
	c.mu.Unlock()
	if len(c.trusted) == 0 {
		return out, nil
	}
	if _, outlives := c.authority(c.trusted[0]).(authority.Rememberer); !outlives {
		return out, nil
	}
	var asked []ledger.Request
	for _, r := range out {
		if r.serial != nil {
			asked = append(asked, ledger.Request{ID: pki.SerialHex(r.serial), Owner: string(r.task.Step.Owner)})
		}
	}
	if len(asked) == 0 {
		return out, nil
	}
	c.commits.Lock()
	defer c.commits.Unlock()
	c.owed.Requests = append(c.owed.Requests, asked...)
	batch := c.dir.Begin()
	c.putOwed(batch)
	// A crash before it: nothing was asked. Behind it: the next run asks what became
	// of the requests.
	return out, batch.Commit()
}

// paid takes the requests of certificates that a batch records off the list, in
// the same batch.
func (c *carryOut) paid(ok []*result, batch *outdir.Batch) {
	issued := map[string]bool{}
	if len(c.owed.Requests) > 0 {
		for _, r := range ok {
			for _, cert := range r.issued {
				issued[pki.SerialHex(cert.SerialNumber)] = true
			}
		}
	}
	before := len(c.owed.Requests)
	c.owed.Requests = slices.DeleteFunc(c.owed.Requests, func(q ledger.Request) bool { return issued[q.ID] })
	if len(c.owed.Requests) < before || c.restate {
		c.putOwed(batch)
	}
}

func (c *carryOut) putOwed(batch *outdir.Batch) {
	c.restate = false
	text := ledger.FormatOwed(c.owed)
	if text == nil {
		batch.Remove(ledger.OwedName)
		return
	}
	batch.Put(ledger.OwedName, text, outdir.ModeSecret)
}
