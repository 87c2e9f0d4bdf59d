package policy

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
)

// judgeDeployments decides which sites have to be put into place on the proxy's host.
// The sites refuse some serials when the plan is done.
func (j *judgement) judgeDeployments(revoked []string) {
	if j.Ask.Rehearsal {
		return
	}
	for i := range j.Have.Sites {
		have, site := &j.Have.Sites[i], j.Config.Sites[i]
		if len(have.Copies) == 0 {
			continue
		}
		made := j.remade(i)
		covered := j.Ask.Covers(have.Owner)
		if !covered && len(made) == 0 {
			continue
		}
		t := newTask(OfDeploy, i, have.Owner, j.examineCopies(have, made))
		if t == nil {
			continue
		}
		// A site that follows is made behind the first deployment, which has nothing else to do.
		follows := slices.ContainsFunc(j.verdict.Tasks, func(t *Task) bool { return t.Part == OfSite && t.Index == i && t.Follows })
		t.Reload = !follows || len(t.Step.Reasons) > 1
		t.Step.Site = j.siteChange(site, have, revoked)
		judged := slices.ContainsFunc(j.verdict.Tasks, func(t *Task) bool { return t.Step.Owner == have.Owner }) ||
			slices.ContainsFunc(j.verdict.Plan.Failures, func(f plan.Failure) bool { return f.Owner == have.Owner })
		if covered && !judged {
			j.verdict.Plan.Unchanged-- // of this owner, whose site itself is as it should be
		}
		j.add(t)
	}
}

// remade are the kinds of files that this plan makes anew and that the proxy reads for a
// site, or has a copy of.
func (j *judgement) remade(i int) (kinds []plan.Kind) {
	have, site := &j.Have.Sites[i], &j.Config.Sites[i]
	for _, t := range j.verdict.Tasks {
		for _, kind := range t.Makes {
			switch {
			case kind == plan.KindCrt && t.Part == OfCA,
				kind == plan.KindCRL && t.Part == OfCRL && (site.Settings.Revocation != "map" || isCopied(have, kind)),
				kind == plan.KindSite && t.Part == OfSite && t.Index == i:
				kinds = append(kinds, kind)
			}
		}
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

func (j *judgement) examineCopies(have *facts.Site, made []plan.Kind) (out []finding) {
	found := func(format string, args ...any) {
		out = append(out, one(plan.Rebuild, plan.Reason{Code: plan.Upstream, Message: fmt.Sprintf(format, args...)}, plan.KindDeploy)...)
	}
	if have.Owed {
		found("the last deployment was interrupted, or has failed: it is done again")
	}
	for _, c := range have.Copies {
		written, recorded := j.Ledger.Rendered(c.Path)
		isMade := slices.Contains(made, c.Kind)
		switch {
		case c.Err != nil:
			found("%s", c.Err)
		case c.Missing:
			found("%s is not there", c.Path)
		case !recorded && c.Sum != c.Source:
			found("%s was not written by mtlsplan: it is replaced, and kept in %s%s", c.Path, ReplacedDir, j.others(c.CAs))
		case recorded && c.Sum != written && c.Sum != c.Source:
			found("%s was edited by somebody else: it is replaced, and kept in %s", c.Path, ReplacedDir)
		case isMade:
			found("%s is a copy of %s, which this run makes anew", c.Path, c.From)
		case c.Sum != c.Source:
			found("%s is not as %s is now", c.Path, c.From)
		}
	}
	for _, kind := range made {
		if !isCopied(have, kind) {
			found("the proxy has to read %s, which this run makes anew", facts.CAPath(j.Config.CA.Name, kind))
		}
	}
	return out
}

// Deployments are how the sites stand that are deployed, none of a rehearsal.
func (o *Outlook) Deployments() []plan.DeploymentStatus {
	var out []plan.DeploymentStatus
	for _, s := range o.Have.Sites {
		if len(s.Copies) == 0 || o.Ask.Rehearsal {
			continue
		}
		state := plan.DeploymentCurrent
		switch {
		case s.Owed:
			state = plan.DeploymentOwed
		case slices.ContainsFunc(s.Copies, func(c facts.Copy) bool { return c.Err != nil || c.Missing || c.Sum != c.Source }):
			state = plan.DeploymentBehind
		}
		out = append(out, plan.DeploymentStatus{Owner: s.Owner, State: state})
	}
	return out
}

// others tells of CAs whose users get in now, and will not.
func (j *judgement) others(cas []*x509.Certificate) string {
	var names []string
	for _, ca := range cas {
		known := slices.ContainsFunc(j.trust.Generations, func(g ledger.Generation) bool { return g.SPKI == pki.PublicID(ca.PublicKey) })
		if !known {
			names = append(names, pki.NameString(ca.RawSubject))
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "; whoever has a certificate of another CA that it holds (" + strings.Join(names, "; ") + ") does not get in any more"
}

func isCopied(site *facts.Site, kind plan.Kind) bool {
	return slices.ContainsFunc(site.Copies, func(c facts.Copy) bool { return c.Kind == kind })
}

// ReplacedDir keeps files of the proxy's host that mtlsplan has replaced and had not
// written.
const ReplacedDir = "db/replaced"

// siteChange is what becomes of a site on the proxy's host, or in the output directory
// where nothing takes it from there; nil where it stays.
func (j *judgement) siteChange(site config.Site, have *facts.Site, revoked []string) *plan.Change {
	if len(j.issuer.after) == 0 {
		return nil
	}
	before := func(name string) (path string, sum [sha256.Size]byte, data []byte, found bool) {
		for _, c := range have.Copies {
			if c.Kind == plan.KindSite && c.Err == nil && c.From.String() == name {
				return c.Path, c.Sum, c.Data, true
			}
		}
		for _, f := range have.Files {
			if len(have.Copies) == 0 && f.Name() == name {
				return name, f.Sum, f.Data, true
			}
		}
		return
	}
	for _, f := range RenderSite(j.Config, site, Public{j.Ledger, j.issuer.after, revoked, j.verdict.Since}) {
		if path, sum, data, found := before(f.Name); found && sha256.Sum256(f.Data) != sum {
			return &plan.Change{Path: path, Before: data, After: f.Data}
		}
	}
	return nil
}
