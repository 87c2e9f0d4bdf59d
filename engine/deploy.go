package engine

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"mtlsplan/internal/config"
	"mtlsplan/internal/deploy"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/outdir"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/policy"
)

// deployment is what a run does to put one site into place.
type deployment struct {
	*policy.Task
	site   config.Site
	have   *facts.Site
	tried  bool // copies were put there, or it has failed
	failed bool
	proven bool        // the proxy has answered as it should to everybody who can be asked for
	told   bool        // that it is done
	notes  []plan.Note // of the last probe
}

// copied is a file on the proxy's host, and what is to be there.
type copied struct {
	facts.Copy
	now  deploy.File
	want deploy.File
}

// oweDeployments takes the deployments of the plan into what is owed; the first batch
// makes it durable. A proxy may read files of the directory where they are, so that
// nothing on its host would tell that it has to.
func (c *carryOut) oweDeployments() {
	c.owed.Deployments = slices.Clone(c.in.Deployments())
	for _, t := range c.verdict.Tasks {
		if t.Part != policy.OfDeploy {
			continue
		}
		c.deployments = append(c.deployments, &deployment{Task: t, site: c.cfg.Sites[t.Index], have: &c.have.Sites[t.Index]})
		if c.owes(t.Step.Owner) == nil {
			c.owed.Deployments = append(c.owed.Deployments, ledger.Deployment{Owner: string(t.Step.Owner)})
			c.restate = true
		}
	}
	before := len(c.owed.Deployments)
	c.owed.Deployments = slices.DeleteFunc(c.owed.Deployments, func(o ledger.Deployment) bool {
		return !slices.ContainsFunc(c.have.Sites, func(s facts.Site) bool { return string(s.Owner) == o.Owner && len(s.Copies) > 0 })
	})
	c.restate = c.restate || len(c.owed.Deployments) < before
}

// owes is what is owed of a site's deployment, nil for nothing.
func (c *carryOut) owes(owner plan.Owner) *ledger.Deployment {
	for i := range c.owed.Deployments {
		if d := &c.owed.Deployments[i]; d.Owner == string(owner) {
			return d
		}
	}
	return nil
}

// deploy puts sites into place, as soon as whoever must not get in is refused by them. An
// error stops the run; a deployment that fails does not.
func (c *carryOut) deploy() error {
	for _, d := range c.deployments {
		copies, ok := c.copies(d)
		// Else it is for a site that this run has not written yet.
		if ok && (d.have.Owed || d.Reload || differ(copies)) {
			if err := c.putIntoPlace(d, copies); err != nil {
				return err
			}
		}
	}
	return nil
}

// deployAgain puts those sites into place that have changed since, and asks the proxy for
// whoever could not be asked for before.
func (c *carryOut) deployAgain() error {
	for _, d := range c.deployments {
		if d.failed {
			continue
		}
		copies, ok := c.copies(d)
		if !ok {
			continue
		}
		var err error
		switch {
		case differ(copies):
			err = c.putIntoPlace(d, copies)
		case d.tried && !d.proven:
			err = c.prove(d, copies)
		case !d.tried: // the site is as it was
			err = c.settleDeployment(d, nil)
		}
		if err == nil && d.tried && !d.failed && !d.proven {
			err = c.settleDeployment(d, copies)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// copies reads what is to be on the proxy's host, and what is there. Where it cannot, the
// deployment has failed.
func (c *carryOut) copies(d *deployment) (list []copied, ok bool) {
	for _, f := range d.have.Copies {
		data, err := c.dir.Read(f.From.String())
		if err == nil && data.Missing {
			err = fmt.Errorf("%s is not there", filepath.Join(c.cfg.Output, f.From.String()))
		}
		var now deploy.File
		if err == nil {
			now, err = deploy.Read(context.WithoutCancel(c.ctx), f.Path)
		}
		if err != nil {
			c.undeployed(d, err.Error())
			return nil, false
		}
		list = append(list, copied{f, now, now.With(data.Data)})
	}
	return list, true
}

func differ(copies []copied) bool {
	return slices.ContainsFunc(copies, func(f copied) bool { return !f.now.Same(f.want) })
}

// putIntoPlace puts the copies of a site on the proxy's host, has the proxy read them, and
// asks it whether it does as they say. When anything goes wrong, what was there before is
// put back.
func (c *carryOut) putIntoPlace(d *deployment, copies []copied) error {
	d.tried = true
	if err := c.remember(d, copies); err != nil {
		return err
	}
	for _, f := range copies {
		// A crash between two of them: the deployment is owed, and the next run does it.
		if f.now.Same(f.want) {
			continue
		}
		if err := deploy.Put(f.want); err != nil {
			c.putBack(d, err)
			return nil
		}
	}
	if err := c.tellProxy(d); err != nil {
		c.putBack(d, err)
		return nil
	}
	return c.prove(d, copies)
}

// tellProxy tests the configuration and has the proxy read it. An interrupt does not end
// the programs: they have a time limit, and a proxy that has read half of its files is
// worse than one more second.
func (c *carryOut) tellProxy(d *deployment) error {
	ctx, to := context.WithoutCancel(c.ctx), d.site.Settings.Deploy
	ended := c.opt.Trace("run", strings.Join(to.Test, " "))
	err := deploy.Run(ctx, to.Test, to.Limit())
	ended()
	if err != nil {
		return err
	}
	defer c.opt.Trace("run", strings.Join(to.Reload, " "))()
	return deploy.Run(ctx, to.Reload, to.Limit())
}

// prove asks the proxy who gets in. A deployment that stands is settled.
func (c *carryOut) prove(d *deployment, copies []copied) error {
	everybody, err := c.probe(d)
	if c.ctx.Err() != nil {
		return c.ctx.Err() // it stays owed, and the next run asks
	}
	if err != nil {
		c.putBack(d, err)
		return nil
	}
	if d.proven = everybody; everybody {
		return c.settleDeployment(d, copies)
	}
	return nil
}

// remember makes durable what is put back if the deployment fails, in whichever run it
// does, and keeps what is replaced and was not written by mtlsplan.
func (c *carryOut) remember(d *deployment, copies []copied) error {
	owed := c.owes(d.Step.Owner)
	if owed == nil { // it is settled, and the site has changed again
		c.owed.Deployments = append(c.owed.Deployments, ledger.Deployment{Owner: string(d.Step.Owner)})
		owed = c.owes(d.Step.Owner)
	}
	first := len(owed.Before) == 0
	before := owed.Before
	owed.Before = nil
	c.commits.Lock()
	defer c.commits.Unlock()
	batch := c.dir.Begin()
	for _, f := range copies {
		there, put := f.now, hexSum(f.want.Data)
		i := slices.IndexFunc(before, func(r ledger.Replaced) bool { return r.Path == f.Path })
		if i >= 0 && (there.Missing == before[i].Missing && bytes.Equal(there.Data, before[i].Data) || hexSum(there.Data) == before[i].Put) {
			before[i].Put = put
			owed.Before = append(owed.Before, before[i])
			continue
		}
		if c.verdict.Dropped && f.Kind != plan.KindSite {
			there = f.want // whom a CA is taken from that somebody else has, gets it never back
		}
		owed.Before = append(owed.Before, ledger.Replaced{Path: f.Path, Put: put, Missing: there.Missing, Data: there.Data, Mode: uint32(there.Mode), UID: there.UID, GID: there.GID})
		if written, _ := c.writer.Ledger().Rendered(f.Path); first && !f.now.Missing && !f.now.Same(f.want) && sha256.Sum256(f.now.Data) != written {
			batch.Put(c.freeName(policy.ReplacedDir+"/"+filepath.Base(f.Path)), f.now.Data, outdir.ModeSecret)
		}
	}
	c.putOwed(batch)
	// A crash before it: nothing was touched. Behind it: the next run goes on.
	return batch.Commit()
}

// settleDeployment takes a deployment that stands off what is owed, and tells of it.
func (c *carryOut) settleDeployment(d *deployment, copies []copied) error {
	c.commits.Lock()
	defer c.commits.Unlock()
	d.proven = true
	batch := c.dir.Begin()
	for _, f := range copies {
		c.writer.Record(ledger.Render{Path: f.Path, Sum: sha256.Sum256(f.want.Data)})
	}
	c.record(nil, batch)
	c.owed.Deployments = slices.DeleteFunc(c.owed.Deployments, func(o ledger.Deployment) bool { return o.Owner == string(d.Step.Owner) })
	c.putOwed(batch)
	// A crash before it: the next run asks the proxy once more.
	if err := batch.Commit(); err != nil {
		return err
	}
	c.writer.Settle()
	if !d.told {
		d.told = true
		c.report.Plan.Notes = append(c.report.Plan.Notes, d.notes...)
		c.done(d.Step)
	}
	return nil
}

// putBack has the proxy's host as it was before the deployment, and says what has become
// of it. The deployment stays owed.
func (c *carryOut) putBack(d *deployment, why error) {
	before := c.owes(d.Step.Owner).Before
	var failed error
	for _, r := range slices.Backward(before) {
		f := deploy.File{Path: r.Path, Missing: r.Missing, Data: r.Data, Mode: fs.FileMode(r.Mode), UID: r.UID, GID: r.GID}
		if now, err := deploy.Read(context.WithoutCancel(c.ctx), r.Path); err == nil && now.Same(f) {
			continue
		}
		failed = cmp.Or(failed, deploy.Put(f))
	}
	says := "is back in its place, and the proxy has loaded it"
	if failed != nil {
		says = fmt.Sprintf("cannot be put back: %s", failed)
	} else if err := c.tellProxy(d); err != nil {
		says = "is back in its place, but the proxy has not loaded it"
		if err.Error() != why.Error() {
			says += ": " + err.Error()
		}
	}
	c.undeployed(d, fmt.Sprintf("%s. What was there before %s", why, says))
}

// undeployed is a deployment that has failed: the run goes on, and says who gets in until
// one succeeds.
func (c *carryOut) undeployed(d *deployment, why string) {
	d.tried, d.failed = true, true
	text := "not deployed: " + why + ". "
	if in := c.stillIn(d); len(in) > 0 {
		text += "Until a deployment succeeds, the proxy may still let in, although they are revoked: " + strings.Join(in, ", ") + ". "
	}
	c.fail(plan.Failure{Owner: d.Step.Owner, Code: plan.DeployFailed, Message: text + "Mend the cause and run apply again"})
}

// mostNamed is how many users a message names.
const mostNamed = 10

// stillIn are the users who are revoked, and whom the site on the proxy's host does not
// refuse, as far as it can be told.
func (c *carryOut) stillIn(d *deployment) []string {
	refused := map[string]bool{}
	for _, f := range d.have.Copies {
		there, err := deploy.Read(context.WithoutCancel(c.ctx), f.Path)
		if err != nil || there.Missing {
			continue
		}
		switch {
		case f.Kind == plan.KindSite && d.site.Settings.Revocation != "crl":
			for _, serial := range d.site.Proxy.Refused(there.Data) {
				refused[serial] = true
			}
		case f.Kind == plan.KindCRL && d.site.Settings.Revocation != "map":
			lists, _ := pki.ParseCRLs(there.Data)
			for _, list := range lists {
				for _, entry := range list.RevokedCertificateEntries {
					refused[pki.SerialHex(entry.SerialNumber)] = true
				}
			}
		}
	}
	var owners []string
	for _, row := range c.revoked() {
		if refused[row.Serial] || !c.opt.Now.Before(row.NotAfter) {
			continue
		}
		for _, owner := range row.Owners() {
			if !slices.Contains(owners, owner) {
				owners = append(owners, owner)
			}
		}
	}
	slices.Sort(owners)
	if more := len(owners) - mostNamed; more > 0 {
		owners = append(owners[:mostNamed], fmt.Sprintf("and %d more", more))
	}
	return owners
}

func hexSum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
