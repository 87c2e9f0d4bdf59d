package ui

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"mtlsplan/internal/plan"
)

// TestMarkdownIsNotBroken: text that comes from elsewhere is no markup, wherever it
// stands.
func TestMarkdownIsNotBroken(t *testing.T) {
	const hostile = "a|b\n| x | <img src=x> </details> `c` ```` **d** [e](http://f) @team ~~g~~ \u202e"
	p := &plan.Plan{
		Steps: []plan.Step{{Owner: "user." + hostile, Action: plan.Retire, Artefacts: []string{hostile},
			Reasons: []plan.Reason{{Code: plan.Removed, Message: hostile, Field: hostile, Have: hostile, Want: hostile}},
			Site:    &plan.Change{Path: hostile}, Diff: "-" + hostile + "\n````````\n"}},
		Notes:    []plan.Note{{Owner: "user." + hostile, Message: hostile}, {Warning: true, Message: hostile}},
		Failures: []plan.Failure{{Owner: "user." + hostile, Message: hostile}},
	}
	fence := ""
	rows := 0
	for line := range strings.Lines(PlanMarkdown(p)) {
		line = strings.TrimSuffix(line, "\n")
		switch ticks := line[:len(line)-len(strings.TrimLeft(line, "`"))]; {
		case fence == "" && len(ticks) >= 3:
			fence = ticks
			continue
		case fence != "" && len(line) >= len(fence) && strings.Trim(line, "`") == "":
			fence = ""
			continue
		case fence != "":
			continue
		}
		bare := strings.NewReplacer("<details><summary>", "", "</summary>", "", "</details>", "", "<code>", "", "</code>", "").Replace(line)
		if strings.HasPrefix(bare, "| ") {
			if rows++; strings.Count(bare, "|") != 6 {
				t.Errorf("a row with other cells: %s", bare)
			}
			bare = strings.ReplaceAll(bare, "|", "")
		}
		bare = strings.TrimPrefix(strings.TrimSuffix(bare, "**"), "**")
		if strings.ContainsAny(bare, "|<>`*[]@~\u202e") {
			t.Errorf("markup: %s", bare)
		}
	}
	if rows != 3 || fence != "" {
		t.Errorf("%d rows, and the fence %q is open:\n%s", rows, fence, PlanMarkdown(p))
	}
}

// TestMarkdownFitsAComment: whatever is long, no comment is longer than one may be, and
// what is left out is counted.
func TestMarkdownFitsAComment(t *testing.T) {
	long := strings.Repeat("é`|", 200)
	var p plan.Plan
	for i := range 1000 {
		owner := plan.Owner(fmt.Sprintf("user.%d", i))
		p.Steps = append(p.Steps, plan.Step{Owner: owner, Action: plan.Rekey, Artefacts: []string{"key"}, Reasons: []plan.Reason{{Code: plan.Expired, Message: long}},
			Site: &plan.Change{Path: "/etc/site"}, Diff: strings.Repeat("-"+long+"\n", 100)})
		p.Notes = append(p.Notes, plan.Note{Owner: owner, Message: long}, plan.Note{Owner: owner, Warning: true, Message: long})
		p.Failures = append(p.Failures, plan.Failure{Owner: owner, Message: long})
	}
	s := PlanMarkdown(&p)
	if n := utf8.RuneCountInString(s); n > commentMax || n < commentMax/2 {
		t.Errorf("%d characters", n)
	}
	for _, what := range []string{"failures", "warnings", "steps", "notes", "lines"} {
		if !strings.Contains(s, " more "+what+" are left out") {
			t.Errorf("it does not say how many %s are left out", what)
		}
	}
}
