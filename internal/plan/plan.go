// Package plan holds the words of a plan (owner, action, reason, step, note,
// failure) and the documents that scripts read. It decides nothing and reads
// nothing; package policy makes plans, package engine carries them out, and
// package ui shows them.
//
// The comments of what appears in a document are its description in the JSON
// Schemas and in the reference.
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
	// The kind of reason; codes are stable.
	Code Code `json:"code"`
	// The reason in words, for people.
	Message string `json:"message"`
	// The attribute or field that differs.
	Field string `json:"field,omitempty"`
	// The value in the directory.
	Have string `json:"have,omitempty"`
	// The value that the spec asks for.
	Want string `json:"want,omitempty"`

	Check CheckName `json:"-"` // the check of verify that fails for it
}

// Step is one owner's part of a plan.
type Step struct {
	// The owner: ca.NAME, crl.NAME, user.NAME or nginx.NAME.
	Owner Owner `json:"owner"`
	// The strongest action among the reasons.
	Action Action `json:"action"`
	// The artefacts that the step writes or removes: key, csr, crt, p12, compat.p12 or modern.p12 (a second profile), crl, site, deploy, pass, pass.age, db.
	Artefacts []string `json:"artefacts"`
	// Every reason, strongest first.
	Reasons []Reason `json:"reasons"`
	// When the certificate or CRL that the step makes ends.
	NotAfter *time.Time `json:"not_after,omitempty"`
	// Whether the user must import a new .p12.
	Reimport bool `json:"reimport,omitempty"`
	// Earlier certificates of the user that the step leaves valid.
	Superseded []Superseded `json:"superseded,omitempty"`
	// With --diff: what the step changes in the site, on the proxy's host or in the output directory, as a unified diff.
	Diff string `json:"diff,omitempty"`

	Site      *Change `json:"-"` // of the site; nil where nothing changes
	Generated bool    `json:"-"` // a passphrase is generated
	Revokes   int     `json:"-"` // certificates that the step revokes
}

// Change is a file and what becomes of it.
type Change struct {
	Path          string
	Before, After []byte
}

// Superseded is a certificate that another one takes the place of, and that still gets in.
type Superseded struct {
	// Serial number in upper-case hex.
	Serial string `json:"serial"`
	// When it ends, or is revoked because its overlap is over.
	ValidUntil time.Time `json:"valid_until"`
	// Whether that is the end of the overlap.
	Overlap bool `json:"overlap,omitempty"`
}

// Note is a fact to know that changes nothing.
type Note struct {
	// The owner concerned; absent where it is the whole directory.
	Owner Owner `json:"owner,omitempty"`
	// The kind of note; codes are stable.
	Code Code `json:"code"`
	// Whether somebody should act on it.
	Warning bool `json:"warning,omitempty"`
	// The note in words, for people.
	Message string `json:"message"`
}

// Failure is an owner that cannot be judged, or whose step went wrong: it is left as it was, and the others go on.
type Failure struct {
	// The owner that is left as it was.
	Owner Owner `json:"owner"`
	// The kind of failure; codes are stable.
	Code Code `json:"code"`
	// The problem and its remedy, for people.
	Message string `json:"message"`
}

// Plan is the ordered steps from what the directory holds to what the spec
// says. It is a value: applying it is somebody else's work.
type Plan struct {
	At       time.Time
	Steps    []Step
	Notes    []Note
	Failures []Failure

	// Unchanged counts the owners for which there is nothing to do.
	Unchanged int
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
