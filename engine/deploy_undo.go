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

	"mtlsplan/internal/deploy"
	"mtlsplan/internal/input"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/outdir"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/policy"
)

// remember makes durable what is put back if the deployment fails, in whichever run it
// does, and keeps what is replaced and was not written by mtlsplan.
func (c *carryOut) remember(d *deployment, copies []copied) error {
	owed := c.owes(d.Step.Owner)
	if owed == nil { // it is settled, and the site has changed again
		c.owed.Deployments = append(c.owed.Deployments, ledger.Deployment{Owner: string(d.Step.Owner)})
		owed = c.owes(d.Step.Owner)
	}
	former := owed.Before
	owed.Before = nil
	c.commits.Lock()
	defer c.commits.Unlock()
	batch := c.dir.Begin()
	for _, f := range copies {
		r, known := c.before(former, f)
		if !known && c.strange(f) {
			batch.Put(c.freeName(policy.ReplacedDir+"/"+filepath.Base(f.Path)), f.now.Data, outdir.ModeSecret)
		}
		if put := hexSum(f.want.Data); !slices.Contains(r.Put, put) {
			r.Put = append(slices.Clip(r.Put), put)
		}
		owed.Before = append(owed.Before, r)
	}
	c.putOwed(batch)
	// A crash before it: nothing was touched. Behind it: the next run goes on.
	return batch.Commit()
}

// before is what has to be put back in the place of a copy. It is known where an earlier
// attempt has remembered it, and what lies there now is that, or what an attempt has put
// there, and no deployment has stood with it.
func (c *carryOut) before(former []ledger.Replaced, f copied) (r ledger.Replaced, known bool) {
	i := slices.IndexFunc(former, func(r ledger.Replaced) bool { return r.Path == f.Path })
	if known = i >= 0; known {
		r = former[i]
		same := f.now.Missing == r.Missing && bytes.Equal(f.now.Data, r.Data)
		known = same || !f.now.Missing && slices.Contains(r.Put, hexSum(f.now.Data)) && !c.wrote(f)
	}
	if !known {
		r = replaced(f.now)
	}
	if c.trustsCompromised(r.Data) { // whoever has that CA's key gets it never back
		r, known = replaced(f.want), true
		r.Kept = true
	}
	return r, known
}

func replaced(f deploy.File) ledger.Replaced {
	return ledger.Replaced{Path: f.Path, Missing: f.Missing, Data: f.Data, Mode: uint32(f.Mode), UID: f.UID, GID: f.GID}
}

// wrote reports whether what lies in a copy's place is of a deployment that has stood.
func (c *carryOut) wrote(f copied) bool {
	written, ok := c.writer.Ledger().Rendered(f.Path)
	return ok && written == sha256.Sum256(f.now.Data)
}

// strange reports whether somebody else has written what is to be replaced.
func (c *carryOut) strange(f copied) bool {
	return !f.now.Missing && !f.now.Same(f.want) && !c.wrote(f)
}

// trustsCompromised reports whether a file has a certificate or a CRL of a CA that is
// compromised and no longer trusted.
func (c *carryOut) trustsCompromised(data []byte) bool {
	certs, _ := pki.ParseCertificates(data)
	lists, _ := pki.ParseCRLs(data)
	for _, g := range c.dropped() {
		for _, cert := range certs {
			if pki.PublicID(cert.PublicKey) == g.SPKI {
				return true
			}
		}
		for _, list := range lists {
			if list.CheckSignatureFrom(g.Cert) == nil {
				return true
			}
		}
	}
	return false
}

// dropped are the generations that are compromised and no longer trusted.
func (c *carryOut) dropped() []ledger.Generation {
	var out []ledger.Generation
	for _, g := range c.writer.Ledger().Generations(string(c.have.CA.Owner), c.opt.Now) {
		if c.verdict.Trust.Compromised(&g) && !slices.ContainsFunc(c.trusted, g.Cert.Equal) {
			out = append(out, g)
		}
	}
	return out
}

// putBack has the proxy's host as it was before the deployment, and says what has become
// of it. The deployment stays owed.
func (c *carryOut) putBack(d *deployment, why error) {
	before := c.owes(d.Step.Owner).Before
	var stuck error
	changed, kept, all := false, false, true // of what was put there; all of it is gone again
	for _, r := range slices.Backward(before) {
		f := deploy.File{Path: r.Path, Missing: r.Missing, Data: r.Data, Mode: fs.FileMode(r.Mode), UID: r.UID, GID: r.GID}
		kept, all = kept || r.Kept, all && r.Missing
		if now, err := deploy.Read(context.WithoutCancel(c.ctx), r.Path); err == nil && now.Identical(f) {
			continue
		}
		changed = true
		stuck = cmp.Or(stuck, deploy.Put(f))
	}
	says := "What was there before is back in its place"
	switch {
	case stuck != nil:
		says = fmt.Sprintf("What was there before cannot all be put back: %s", stuck)
	case kept:
		says += ", except for the files of a CA that is compromised"
	case all:
		says = "The copies were removed again, because nothing was there before; an include or a link that names them has to go, too"
	case !changed:
		says = "Nothing has changed there"
	}
	read := d.read // before what follows
	loaded := stuck == nil
	if loaded {
		err := c.tellProxy(d)
		switch loaded = err == nil; {
		case loaded && changed:
			says += ", and the proxy was told to load it"
		case loaded:
		case !read:
			says += "; the proxy goes on with what it had loaded"
		case err.Error() == why.Error():
			says += ", but the proxy may not have loaded it"
		default:
			says += ", but the proxy may not have loaded it: " + err.Error()
		}
	}
	c.undeployed(d, fmt.Sprintf("%s. %s", why, says), loaded)
}

// undeployed is a deployment that has failed: the run goes on, and says who gets in until
// one succeeds. loaded says that the proxy goes by what is on its host now.
func (c *carryOut) undeployed(d *deployment, why string, loaded bool) {
	d.state = failed
	text := "not deployed: " + why + ". "
	if in := c.stillIn(d, loaded); len(in) > 0 {
		text += "Until a deployment succeeds, the proxy may still let in, although they are revoked: " + strings.Join(in, ", ") + ". "
	}
	if policy.Follows(c.cfg, d.site, c.writer.Ledger(), c.trusted) {
		text += "Until then a new certificate does not get in, or comes without a name. "
	}
	c.fail(plan.Failure{Owner: d.Step.Owner, Code: plan.DeployFailed, Message: text + "Mend the cause and run apply again"})
}

// mostNamed is how many users a message names.
const mostNamed = 10

// stillIn is who is revoked and whom the site on the proxy's host does not refuse, as far
// as it can be told.
func (c *carryOut) stillIn(d *deployment, loaded bool) []string {
	refused, trusting := map[string]bool{}, !loaded
	for _, f := range d.have.Copies {
		// Links are followed: what they lead to is what the proxy reads.
		data, _, err := input.Read(context.WithoutCancel(c.ctx), f.Path, deploy.Most)
		if err != nil {
			continue
		}
		switch f.Kind {
		case plan.KindSite:
			if d.site.Settings.Revocation != "crl" {
				for _, serial := range d.site.Proxy.Refused(data) {
					refused[serial] = true
				}
			}
		case plan.KindCRL:
			lists, _ := pki.ParseCRLs(data)
			for _, list := range lists {
				for _, entry := range list.RevokedCertificateEntries {
					if d.site.Settings.Revocation != "map" {
						refused[pki.SerialHex(entry.SerialNumber)] = true
					}
				}
			}
		case plan.KindCrt:
			trusting = trusting || c.trustsCompromised(data)
		}
	}
	var who []string
	if trusting {
		for _, g := range c.dropped() {
			who = append(who, fmt.Sprintf("everybody with a certificate of the compromised generation %d", g.Number))
		}
	}
	var owners []string
	for _, row := range c.revoked() {
		if refused[row.Serial] || !c.opt.Now.Before(row.NotAfter) {
			continue
		}
		for _, owner := range row.Owners() {
			if len(c.writer.Ledger().Valid(owner, c.opt.Now)) > 0 {
				owner += " (an earlier certificate)"
			}
			if !slices.Contains(owners, owner) {
				owners = append(owners, owner)
			}
		}
	}
	slices.Sort(owners)
	if more := len(owners) - mostNamed; more > 0 {
		owners = append(owners[:mostNamed], fmt.Sprintf("and %d more", more))
	}
	return append(who, owners...)
}

func hexSum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
