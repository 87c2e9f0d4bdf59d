package policy

import (
	"fmt"
	"slices"

	"mtlsplan/internal/facts"
	"mtlsplan/internal/plan"
)

// What git is told of a directory that it keeps.

// gitPolicies are asked with those of the CA, and by [withGit].
var gitPolicies = []policy[*caView]{
	{plan.Missing, plan.FilesPresent, caGitMissing, "git is told what to keep, where it keeps the directory"},
	{plan.Damaged, plan.FilesPresent, caGitLacks, "what git is told is what the directory needs"},
}

// withGit adds to what is found of a CA what git is not told. That hangs neither on the CA's
// key nor on what a run is asked for: the next commit would hold what is of one host alone.
func withGit(ca *facts.CA, findings []finding) []finding {
	if slices.ContainsFunc(findings, func(f finding) bool { return slices.Contains(f.makes, plan.KindGit) }) {
		return findings
	}
	return append(findings, ask(&caView{CA: ca}, gitPolicies)...)
}

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
		if g.Missing || g.Whole() {
			continue
		}
		message := g.Name() + " has a mark that a merge has left"
		if lacks := g.Lacks(); len(lacks) > 0 && !g.Unmerged() {
			message = fmt.Sprintf("%s lacks the line %q, which the directory needs", g.Name(), lacks[0])
		}
		out = append(out, one(plan.Repair, plan.Reason{Message: message, Field: "version_control"}, plan.KindGit)...)
	}
	return out
}
