// Package plan holds the words of a plan: owner, action, reason, step, note,
// failure. It decides nothing and reads nothing; package policy makes plans,
// package engine carries them out, and package ui shows them.
package plan

import "time"

// Owner is what artefacts belong to: "ca.NAME", "user.NAME", "crl.NAME" or
// "nginx.NAME". Users type it and reports print it.
type Owner string

// Action is what a step does, weakest first; a step takes the strongest action
// among its reasons.
type Action string

const (
	Repair  Action = "repair"  // a mode, or a damaged or lost file made again from key and database
	Rebuild Action = "rebuild" // same key and certificate in a new container, a CRL signed anew, a site's text
	Reissue Action = "reissue" // a new certificate for the same key
	Rekey   Action = "rekey"   // a new key with all that follows from it
	Create  Action = "create"
	Adopt   Action = "adopt"
	Revoke  Action = "revoke"
	Retire  Action = "retire"
	Refuse  Action = "refuse" // the plan must not be applied
)

// Actions are all actions, weakest first.
var Actions = []Action{Repair, Rebuild, Reissue, Rekey, Create, Adopt, Revoke, Retire, Refuse}

// Code names a reason. Codes are stable: scripts match them.
type Code string

// Reason is one disagreement between spec and directory.
type Reason struct {
	Code    Code   `json:"code" yaml:"code"`
	Message string `json:"message" yaml:"message"`
	Field   string `json:"field,omitempty" yaml:"field,omitempty"`
	Have    string `json:"have,omitempty" yaml:"have,omitempty"` // never a secret
	Want    string `json:"want,omitempty" yaml:"want,omitempty"` // never a secret
}

// Step is what will be done for one owner, with every reason, strongest first.
type Step struct {
	Owner     Owner      `json:"owner" yaml:"owner"`
	Action    Action     `json:"action" yaml:"action"`
	Artefacts []string   `json:"artefacts" yaml:"artefacts,flow"` // kinds: key csr crt p12 modern.p12 crl site pass
	Reasons   []Reason   `json:"reasons" yaml:"reasons"`
	NotAfter  *time.Time `json:"not_after,omitempty" yaml:"not_after,omitempty"` // of the certificate or CRL that the step makes
	Generated bool       `json:"-" yaml:"-"`                                     // a passphrase is generated
	Reimport  bool       `json:"reimport,omitempty" yaml:"reimport,omitempty"`   // the user must import a new .p12
}

// Note is something that the user should know and that changes nothing.
type Note struct {
	Owner   Owner  `json:"owner,omitempty" yaml:"owner,omitempty"`
	Code    Code   `json:"code,omitempty" yaml:"code,omitempty"`
	Warning bool   `json:"warning,omitempty" yaml:"warning,omitempty"`
	Message string `json:"message" yaml:"message"`
}

// Failure is an owner that could not be judged, or whose step went wrong. The
// other owners are not concerned.
type Failure struct {
	Owner   Owner  `json:"owner" yaml:"owner"`
	Code    Code   `json:"code,omitempty" yaml:"code,omitempty"`
	Message string `json:"message" yaml:"message"`
}

// Plan is the ordered steps from what the directory holds to what the spec
// says. It is a value: applying it is somebody else's work.
type Plan struct {
	At       time.Time `json:"at" yaml:"at"`
	Steps    []Step    `json:"steps" yaml:"steps"`
	Notes    []Note    `json:"notes,omitempty" yaml:"notes,omitempty"`
	Failures []Failure `json:"failures,omitempty" yaml:"failures,omitempty"`

	// Unchanged counts the owners for which there is nothing to do.
	Unchanged int `json:"-" yaml:"-"`
}

// Refused reports whether the plan holds a step that must not be applied; then
// none is.
func (p *Plan) Refused() bool {
	for _, s := range p.Steps {
		if s.Action == Refuse {
			return true
		}
	}
	return false
}

// Empty is the only definition of "nothing to do".
func (p *Plan) Empty() bool { return len(p.Steps) == 0 }

// Reimports counts the users who must import a new .p12.
func (p *Plan) Reimports() int {
	n := 0
	for _, s := range p.Steps {
		if s.Reimport {
			n++
		}
	}
	return n
}

// Summary counts the steps by action; an action without a step is absent.
func (p *Plan) Summary() map[Action]int {
	m := map[Action]int{}
	for _, s := range p.Steps {
		m[s.Action]++
	}
	return m
}
