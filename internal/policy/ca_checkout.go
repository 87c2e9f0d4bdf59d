package policy

import (
	"fmt"
	"slices"

	"mtlsplan/internal/facts"
	"mtlsplan/internal/plan"
)

// What is asked of a directory that version control keeps.

// caGitMissing finds no file that tells git what to keep.
func caGitMissing(v *caView) []finding {
	var out []finding
	for i := range v.Git {
		if g := &v.Git[i]; g.Missing {
			out = append(out, one(plan.Repair, plan.Reason{Message: g.Name() + " is not there", Field: "version_control"}, plan.KindGit)...)
		}
	}
	return out
}

// caGitLacks finds one that lacks a line of ours. Lines of others are theirs.
func caGitLacks(v *caView) []finding {
	var out []finding
	for i := range v.Git {
		g := &v.Git[i]
		lacks := g.Lacks()
		if g.Missing || g.Whole() {
			continue
		}
		message := fmt.Sprintf("%s lacks the line %q, which the directory needs", g.Name(), lacks[0])
		if g.Unmerged() {
			message = g.Name() + " has a mark that a merge has left"
		}
		out = append(out, one(plan.Repair, plan.Reason{Message: message, Field: "version_control"}, plan.KindGit)...)
	}
	return out
}

// judgeInClear refuses to go on beside a passphrase in clear that the next commit would
// give to everybody who may read the repository. One that this plan removes is none.
func (j *judgement) judgeInClear() {
	var left []string
	for _, f := range j.Have.CA.InClear {
		name := f.Name()
		gone := slices.ContainsFunc(j.verdict.Tasks, func(t *Task) bool {
			return !j.retires(t) && slices.ContainsFunc(t.Removes, func(r facts.File) bool { return r.Name() == name })
		})
		if !gone {
			left = append(left, name)
		}
	}
	if len(left) == 0 {
		return
	}
	j.add(newTask(OfCA, 0, j.Have.CA.Owner, refuse(plan.InClear, fmt.Sprintf(
		"version_control = true, and %s %s a passphrase in clear: take the line out, name another source in passphrase and { generate = true } as previous_passphrase, apply, delete what is left in db/retired, and put the line back; what was committed before stays in the history of the repository, so give whoever it belonged to a new key (--replace)",
		joined(left), agree(len(left), "holds", "hold")))))
}

// retires reports whether what a task takes away goes to db/retired.
func (j *judgement) retires(t *Task) bool {
	return t.Part == OfDeparted || t.Part == OfUser && j.Config.Users[j.Have.Users.Spec(t.Index)].CSR != ""
}
