package policy

import (
	"cmp"
	"slices"

	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/plan"
)

// Part is what a task is about.
type Part uint8

const (
	OfCA Part = iota
	OfUser
	OfDeparted
	OfCRL
	OfSite
	OfDeploy
)

// Stage is the place of a task in a plan: what takes access away comes before what
// gives it.
type Stage uint8

const (
	First   Stage = iota // the CA, on which all others depend
	Take                 // those who lose a certificate and are given nothing
	Publish              // CRL and sites, which make it so
	Deploy               // to the proxy, which goes by them
	Give                 // certificates and all other files
	Follow               // sites that nothing but new certificates makes others
)

// Task is a step with what it takes to carry it out. It is a value and holds no
// facts that change.
type Task struct {
	Step    plan.Step
	Part    Part
	Index   int  // of the user in [facts.Inventory].Users, of the departed in Departed, of the site in Sites, also of OfDeploy
	NewKey  bool // what is made is for a new key; of a csr user: for the key of another request
	NewCert bool
	NewPass bool         // a passphrase is generated, by the next run where this one makes no key; else one that is made is that which there is, stored in another way
	Reload  bool         // of a deployment: the proxy has to read files of the directory anew
	Follows bool         // of a site: it names users, and all that changes it is issued in this run
	Makes   []plan.Kind  // may name a kind more than once
	Fixes   []facts.File // whose mode is to be narrowed
	Removes []facts.File
	Revokes []ledger.Row // each with the reason for which it is revoked, a name from RFC 5280 section 5.3.1
	Key     string       // SPKI of the key that was judged; "" where one is generated
	Keep    ledger.Sum   // the user's certificate that stays, unless NewCert; zero for none
}

// Stage is when the task is done.
func (t *Task) Stage() Stage {
	switch {
	case t.Part == OfCA:
		return First
	case t.Follows:
		return Follow
	case t.Part == OfDeploy:
		return Deploy
	case t.Part == OfCRL || t.Part == OfSite:
		return Publish
	case t.Part == OfDeparted || len(t.Makes) == 0 && len(t.Revokes) > 0:
		return Take
	}
	return Give
}

// makesKey reports whether there is a task that makes a new key.
func (t *Task) makesKey() bool { return t != nil && t.NewKey }

// MustMake reports whether an artefact is to be made.
func (t *Task) MustMake(kind plan.Kind) bool { return slices.Contains(t.Makes, kind) }

// finding is one disagreement and what follows from it.
type finding struct {
	plan.Reason
	action  plan.Action
	makes   []plan.Kind
	fixes   []facts.File
	removes []facts.File
	renames []plan.Kind // of files that get another name
	revokes []ledger.Row

	generates bool   // a passphrase that is made is a new one
	reason    string // of the revocations; "" for superseded
}

// one is a single finding, that something is to be made.
func one(action plan.Action, r plan.Reason, makes ...plan.Kind) []finding {
	return []finding{{Reason: r, action: action, makes: makes}}
}

// refuse is a single finding, that the plan must not be applied.
func refuse(code plan.Code, message string) []finding {
	return []finding{{Reason: plan.Reason{Code: code, Message: message}, action: plan.Refuse}}
}

func isRefusal(findings []finding) bool {
	return slices.ContainsFunc(findings, func(f finding) bool { return f.action == plan.Refuse })
}

// policy is one question that is asked of an owner. All of them are asked, so
// that a plan shows every reason.
type policy[V any] struct {
	code  plan.Code
	check plan.CheckName // what verify calls the question
	ask   func(V) []finding
	holds string // what is so where it finds nothing
}

func ask[V hearer](view V, policies []policy[V]) []finding {
	var out []finding
	for i := range policies {
		p := &policies[i]
		found := checked(p.check, coded(p.code, p.ask(view)))
		view.hear(p.code, p.check, p.holds, found)
		out = append(out, found...)
	}
	return out
}

func coded(code plan.Code, findings []finding) []finding {
	for i := range findings {
		findings[i].Code = code
	}
	return findings
}

func checked(check plan.CheckName, findings []finding) []finding {
	for i := range findings {
		findings[i].Check = check
	}
	return findings
}

// newTask makes a task of findings, nil of none: the strongest action, all
// reasons, first of all those for which it is refused.
func newTask(part Part, index int, owner plan.Owner, findings []finding) *Task {
	if len(findings) == 0 {
		return nil
	}
	slices.SortStableFunc(findings, func(a, b finding) int {
		return cmp.Or(place(a)-place(b), plan.Strength(a.Code)-plan.Strength(b.Code))
	})
	t := &Task{Part: part, Index: index, Step: plan.Step{Owner: owner}}
	revoked := map[string]int{} // places in t.Revokes by serial
	for _, f := range findings {
		t.Step.Reasons = append(t.Step.Reasons, f.Reason)
		if slices.Index(plan.Actions, f.action) > slices.Index(plan.Actions, t.Step.Action) {
			t.Step.Action = f.action
		}
		t.NewKey = t.NewKey || f.action == plan.Create || f.action == plan.Rekey
		t.NewPass = t.NewPass || f.generates
		t.NewCert = t.NewCert || t.NewKey || f.action == plan.Reissue
		t.Makes = append(slices.Clip(t.Makes), f.makes...)
		t.Fixes = append(t.Fixes, f.fixes...)
		t.Removes = append(t.Removes, f.removes...)
		t.Step.Artefacts = append(t.Step.Artefacts, f.renames...)
		for _, r := range f.revokes {
			r.Reason = cmp.Or(f.reason, ledger.Superseded)
			if i, twice := revoked[r.Serial]; twice {
				t.Revokes[i].Reason = ledger.Graver(t.Revokes[i].Reason, r.Reason)
				continue
			}
			revoked[r.Serial] = len(t.Revokes)
			t.Revokes = append(t.Revokes, r)
		}
	}
	t.Step.Artefacts = append(append(make([]plan.Kind, 0, len(t.Step.Artefacts)+len(t.Makes)+len(t.Fixes)+len(t.Removes)), t.Step.Artefacts...), t.Makes...)
	for _, files := range [][]facts.File{t.Fixes, t.Removes} {
		for i := range files {
			t.Step.Artefacts = append(t.Step.Artefacts, files[i].Kind)
		}
	}
	t.Step.Artefacts = plan.SortKinds(t.Step.Artefacts)
	t.Step.Generated, t.Step.Revokes = t.NewPass, len(t.Revokes)
	return t
}

func place(f finding) int {
	if f.action == plan.Refuse {
		return 0
	}
	return 1
}
