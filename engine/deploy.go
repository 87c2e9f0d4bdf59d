package engine

import (
	"context"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mtlsplan/internal/config"
	"mtlsplan/internal/deploy"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/input"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/policy"
)

// deployment is what a run does to put one site into place.
type deployment struct {
	*policy.Task
	site  config.Site
	have  *facts.Site
	state standing
	told  bool        // that it is done
	read  bool        // the proxy was told to read what was put there
	notes []plan.Note // of the last probe
}

// standing is how far a deployment has come in this run.
type standing uint8

const (
	waiting  standing = iota // nothing was done yet
	unproven                 // the proxy goes by it, and somebody could not be asked for yet
	stands                   // the proxy has answered as it should
	failed                   // what was there before is back, as far as that was possible
)

// copied is a file on the proxy's host, and what is to be there.
type copied struct {
	facts.Copy
	now  deploy.File
	want deploy.File
}

func differ(copies []copied) bool {
	return slices.ContainsFunc(copies, func(f copied) bool { return !f.now.Same(f.want) })
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

// deploy puts sites into place as soon as the CRL and the sites are published. An error
// stops the run; a deployment that fails does not.
func (c *carryOut) deploy() error {
	for _, d := range c.deployments {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		copies, ok := c.copies(d)
		// Without Reload it is about certificates that this run has not issued yet.
		if ok && (d.Reload || differ(copies)) {
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
		if d.state == failed {
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
		case d.state == unproven:
			err = c.prove(d, copies)
		}
		if err == nil && d.state < stands { // it needed nothing; or nobody can be asked for
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
			now, err = deploy.Read(c.ctx, f.Path)
		}
		switch {
		case c.ctx.Err() != nil:
			return nil, false // it stays owed
		case err != nil:
			c.undeployed(d, err.Error()+". Nothing was changed", false)
			return nil, false
		}
		list = append(list, copied{f, now, now.With(data.Data)})
	}
	return list, true
}

// putIntoPlace puts the copies of a site on the proxy's host, has the proxy read them, and
// asks it whether it does as they say. When anything goes wrong, what was there before is
// put back.
func (c *carryOut) putIntoPlace(d *deployment, copies []copied) error {
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
	d.state = unproven
	return c.prove(d, copies)
}

// tellProxy tests the configuration and has the proxy read it. An interrupt does not end
// the programs: they have a time limit, and a proxy that has read half of its files is
// worse than one more second. Whoever does not want to wait interrupts again.
func (c *carryOut) tellProxy(d *deployment) error {
	to := d.site.Settings.Deploy
	if err := c.hostProgram(to.Test, to.Limit()); err != nil {
		return err
	}
	d.read = true
	return c.hostProgram(to.Reload, to.Limit())
}

// hostProgram runs a program that an interrupt does not end, and says so when one comes.
func (c *carryOut) hostProgram(command []string, limit time.Duration) error {
	name := strings.Join(command, " ")
	defer c.opt.Trace("run", name)()
	if c.opt.Waits != nil && len(command) > 0 && input.Urgent(c.ctx).Err() == nil {
		told := make(chan struct{})
		silent := context.AfterFunc(c.ctx, func() {
			defer close(told)
			c.opt.Waits(name, limit)
		})
		defer func() {
			if !silent() {
				<-told
			}
		}()
	}
	return deploy.Run(context.WithoutCancel(c.ctx), c.cfg.Dir, command, limit)
}

// prove asks the proxy who gets in. A deployment about which everybody was asked is
// settled.
func (c *carryOut) prove(d *deployment, copies []copied) error {
	everybody, err := c.probe(d, copies)
	if c.ctx.Err() != nil {
		return c.ctx.Err() // it stays owed, and the next run asks
	}
	if err != nil {
		c.putBack(d, err)
		return nil
	}
	if everybody {
		return c.settleDeployment(d, copies)
	}
	return nil
}

// settleDeployment takes a deployment that stands off what is owed, and tells of it.
func (c *carryOut) settleDeployment(d *deployment, copies []copied) error {
	c.commits.Lock()
	defer c.commits.Unlock()
	batch := c.dir.Begin()
	for _, f := range copies {
		c.writer.Record(ledger.Render{Path: f.Path, Sum: sha256.Sum256(f.want.Data)})
	}
	c.record(nil, batch)
	c.owed.Deployments = slices.DeleteFunc(c.owed.Deployments, func(o ledger.Deployment) bool { return o.Owner == string(d.Step.Owner) })
	c.putOwed(batch)
	// A crash before it: the next run tells and asks the proxy once more.
	if err := batch.Commit(); err != nil {
		return err
	}
	c.writer.Settle()
	if d.state = stands; !d.told {
		d.told = true
		c.report.Plan.Notes = append(c.report.Plan.Notes, d.notes...)
		c.done(d.Step)
	}
	return nil
}
