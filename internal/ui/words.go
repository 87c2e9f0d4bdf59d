package ui

import (
	"cmp"
	"fmt"
	"strings"

	"mtlsplan/engine"
	"mtlsplan/internal/plan"
)

// word is how an action is shown.
type word struct {
	action  plan.Action
	symbol  string
	color   string // SGR parameter
	pending string // in the totals of a plan: "3 to create"
	done    string // in the totals of an apply: "3 created"
	doc     string // for the reference
}

// words are all actions in the order in which totals name them.
var words = []word{
	{plan.Refuse, "!", red, "refused", "refused",
		"The plan must not be applied, and no step of it is done."},
	{plan.Create, "+", green, "to create", "created",
		"Everything of the owner is made for the first time."},
	{plan.Adopt, "=", green, "to adopt", "adopted",
		"Files made by hand are taken over, and recorded in the CA database."},
	{plan.Rekey, "±", yellow, "to rekey", "rekeyed",
		"A new key with all that follows from it. The user must import a new .p12."},
	{plan.Reissue, "~", yellow, "to reissue", "reissued",
		"A new certificate for the same key."},
	{plan.Rebuild, "~", yellow, "to rebuild", "rebuilt",
		"The same key and certificate in new containers; a CRL signed anew; a site with new text."},
	{plan.Repair, "~", yellow, "to repair", "repaired",
		"A mode is corrected, or a damaged or lost file is made again from the key and the CA database."},
	{plan.Revoke, "-", red, "to revoke", "revoked",
		"Certificates are put on the CRL."},
	{plan.Retire, "-", red, "to retire", "retired",
		"Every unexpired certificate of the user is revoked, and the files are moved to db/retired/."},
}

func wordOf(a plan.Action) word {
	for _, w := range words {
		if w.action == a {
			return w
		}
	}
	return word{a, "?", "", string(a), string(a), ""}
}

// ActionDoc is an action as the reference has it.
type ActionDoc struct {
	Action      plan.Action
	Symbol, Doc string
}

// Actions are all actions, in the order in which totals name them.
func Actions() []ActionDoc {
	var docs []ActionDoc
	for _, w := range words {
		docs = append(docs, ActionDoc{w.action, w.symbol, w.doc})
	}
	return docs
}

// Legend explains the symbols: "! refuse, + create, …".
func Legend() string {
	var parts []string
	at := map[string]int{}
	for _, w := range words {
		if i, ok := at[w.symbol]; ok {
			parts[i] += "/" + string(w.action)
			continue
		}
		at[w.symbol] = len(parts)
		parts = append(parts, w.symbol+" "+string(w.action))
	}
	return strings.Join(parts, ", ")
}

// labels are the names of facts for people; a name without one is its own label.
var labels = map[string]string{
	plan.FactSPKISHA256:        "SPKI SHA-256",
	plan.FactEmail:             "e-mail",
	plan.FactChallengePassword: "challenge password",
	plan.FactNotAfter:          "valid until",
	plan.FactThisUpdate:        "this update",
	plan.FactNextUpdate:        "next update",
	plan.FactHolds:             "holds key and certificate above",
}

func label(name string) string { return cmp.Or(labels[name], Clean(name)) }

// tally counts actions and is written as "3 created, 1 rekeyed".
func tally(counts map[plan.Action]int, text func(word) string) []string {
	var parts []string
	for _, w := range words {
		if n := counts[w.action]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, text(w)))
		}
	}
	return parts
}

// agree is the form of a word that goes with a number.
func agree(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// PlanTotals is the last line of a plan: its steps and what they cost people.
func PlanTotals(p *plan.Plan) string {
	if p.Refused() {
		return refused(p) + ", so apply would change nothing."
	}
	if p.Empty() && len(p.Failures) == 0 {
		return nothingToDo(p)
	}
	parts := tally(p.Summary(), func(w word) string { return w.pending })
	if n := len(p.Failures); n > 0 {
		parts = append(parts, fmt.Sprintf("%d not judged", n))
	}
	parts = append(parts, fmt.Sprintf("%d unchanged", p.Unchanged))
	return "Plan: " + strings.Join(parts, ", ") + "." + reimports(p.Reimports())
}

// ApplyTotals is the last line of an apply.
func ApplyTotals(r *engine.Report) string {
	if r.Plan.Refused() {
		return refused(r.Plan) + ", so nothing was changed."
	}
	if r.Plan.Empty() && len(r.Failures) == 0 {
		return nothingToDo(r.Plan)
	}
	settled := map[plan.Owner]bool{}
	for _, f := range r.Failures {
		settled[f.Owner] = true
	}
	done := &plan.Plan{Steps: r.Done}
	for _, s := range r.Done {
		settled[s.Owner] = true
	}
	left := 0
	for _, s := range r.Plan.Steps {
		if !settled[s.Owner] {
			left++
		}
	}
	parts := tally(done.Summary(), func(w word) string { return w.done })
	if n := len(r.Failures); n > 0 {
		parts = append(parts, fmt.Sprintf("%d failed", n))
	}
	if left > 0 {
		parts = append(parts, fmt.Sprintf("%d not done", left))
	}
	parts = append(parts, fmt.Sprintf("%d unchanged", r.Plan.Unchanged))
	return "Applied: " + strings.Join(parts, ", ") + "." + reimports(done.Reimports())
}

func refused(p *plan.Plan) string {
	return "Refused: " + count(p.Summary()[plan.Refuse], "step", "steps") + " must not be applied"
}

func nothingToDo(p *plan.Plan) string {
	return "Nothing to do: " + count(p.Unchanged, "owner matches", "owners match") + " the spec."
}

func reimports(n int) string {
	if n == 0 {
		return ""
	}
	return " " + count(n, "user", "users") + " must import a new .p12."
}
