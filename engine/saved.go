package engine

import (
	"encoding/hex"
	"fmt"

	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/plan"
)

// basis is what a plan goes by in the directory, by content: the CA database, the CA's
// certificates and CRL, and the sites where a proxy reads them. What users' files hold
// shows in the steps.
func (r *run) basis(st stock) (plan.Basis, error) {
	var out plan.Basis
	ca := r.cfg.CA.Name
	for _, name := range []string{ledger.IndexName, ledger.NumberName, ledger.IssuedName, ledger.RenderedName, ledger.OwedName,
		facts.CAPath(ca, plan.KindCrt).String(), facts.CAPath(ca, plan.KindCRL).String()} {
		f, err := r.dir.Read(name)
		if err != nil {
			return out, err
		}
		content := plan.Content{File: name}
		if !f.Missing {
			content = plan.ContentOf(name, f.Data)
		}
		out.Directory = append(out.Directory, content)
	}
	add := func(name string, missing bool, sum ledger.Sum) {
		content := plan.Content{File: name}
		if !missing {
			content.SHA256 = hex.EncodeToString(sum[:])
		}
		out.Directory = append(out.Directory, content)
	}
	for _, site := range st.have.Sites {
		for _, f := range site.Files {
			add(f.Name(), f.Missing, f.Sum)
		}
		for _, c := range site.Copies {
			add(c.Path, c.Missing, c.Sum)
		}
	}
	for _, t := range st.verdict.Tasks {
		g := plan.Ground{Revokes: []plan.Revocation{}, Key: t.Key}
		for i := range t.Revokes {
			g.Revokes = append(g.Revokes, plan.Revocation{Serial: t.Revokes[i].Serial, Reason: t.Revokes[i].Reason})
		}
		out.Grounds = append(out.Grounds, g)
	}
	return out, nil
}

// isAsSaved refuses a run whose plan is not the one that was saved. Of a run that has
// revoked early, the directory was compared before that, and its steps are those that
// are left.
func (r *run) isAsSaved(st stock, early *Report) error {
	if r.opt.Saved == nil {
		return nil
	}
	basis, err := r.basis(st)
	if err != nil {
		return err
	}
	if early == nil {
		return r.outdated(append(r.opt.Saved.DifferentDirectory(&basis), r.opt.Saved.DifferentSteps(st.verdict.Plan, &basis, notDone, false)...))
	}
	done := map[string]bool{}
	for _, s := range early.Done {
		done[s.Key()] = true
	}
	moved := r.opt.Saved.DifferentSteps(st.verdict.Plan, &basis, func(s plan.Step) bool { return done[s.Key()] }, true)
	if len(moved) == 0 {
		return nil
	}
	return fmt.Errorf("%w; what the plan revokes was revoked before", r.outdated(moved))
}

// isAsSavedSoFar is isAsSaved before programs are asked for passphrases: users who need
// theirs cannot be judged yet.
func (r *run) isAsSavedSoFar(st stock) error {
	if r.opt.Saved == nil {
		return nil
	}
	basis, err := r.basis(st)
	if err != nil {
		return err
	}
	return r.outdated(append(r.opt.Saved.DifferentDirectory(&basis), r.opt.Saved.DifferentSteps(st.verdict.Plan, &basis, notDone, true)...))
}

func notDone(plan.Step) bool { return false }

func (r *run) outdated(moved []string) error {
	if len(moved) == 0 {
		return nil
	}
	return plan.OutOfDate(r.opt.SavedIn, moved)
}

// savedOvertaken is the error of a saved plan that another program overtook. What was
// done until then is a part of it.
func (r *run) savedOvertaken(foreign error, report *Report) error {
	if len(report.Done) == 0 {
		return r.outdated([]string{fmt.Sprintf("%s/%s", r.cfg.Output, foreign)})
	}
	return fmt.Errorf("%s/%w while %s was applied: what was finished is in place; look at what mtlsplan plan says by now", r.cfg.Output, foreign, r.opt.SavedIn)
}
