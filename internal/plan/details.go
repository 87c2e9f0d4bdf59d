package plan

import (
	"crypto/x509"
	"time"
)

// Details is one owner in full, for show.
type Details struct {
	Owner        Owner
	Certificates []*x509.Certificate // newest first; of a CA in rollover two
	Files        []FileDetail        // every artefact of the owner, in the order key, csr, crt, p12, ...
	Issued       []IssuedDetail      // every certificate that the ledger holds for the owner, oldest first
	Step         *Step               // what apply would do, nil for nothing
	Failures     []Failure
}

// FileDetail is one artefact: where it is and what it holds.
type FileDetail struct {
	Kind    Kind       `json:"kind" yaml:"kind"`
	Path    string     `json:"path" yaml:"path"`
	Mode    string     `json:"mode,omitempty" yaml:"mode,omitempty"`       // "0600"; empty when missing
	State   string     `json:"state" yaml:"state"`                         // "ok", "missing", "damaged", "locked" or "previous-passphrase"
	Message string     `json:"message,omitempty" yaml:"message,omitempty"` // what is wrong, for people
	Facts   []FileFact `json:"facts,omitempty" yaml:"facts,omitempty"`     // in the order in which they are shown
}

// FileFact is one thing that a file shows, such as {"iterations", "2048"}.
type FileFact struct {
	Name  string `json:"name" yaml:"name"` // lower_snake_case
	Value string `json:"value" yaml:"value"`
}

// IssuedDetail is one row of the CA database.
type IssuedDetail struct {
	Serial    string     `json:"serial" yaml:"serial"` // upper-case hex
	State     string     `json:"state" yaml:"state"`   // "valid", "revoked", "expired"
	NotAfter  time.Time  `json:"not_after" yaml:"not_after"`
	RevokedAt *time.Time `json:"revoked_at,omitempty" yaml:"revoked_at,omitempty"`
	Reason    string     `json:"reason,omitempty" yaml:"reason,omitempty"` // RFC 5280 name
	Subject   string     `json:"subject" yaml:"subject"`
}
