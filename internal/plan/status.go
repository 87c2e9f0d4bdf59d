package plan

import (
	"crypto/sha256"
	"time"
)

// StatusDocument is the answer of status: how every owner of a certificate stands, and every CRL.
type StatusDocument struct {
	FormatVersion int `json:"format_version"`
	// The time that it is the state of.
	At time.Time `json:"at"`
	// The CA and its CRL, then the users: those who need attention first, and of each state those whose certificates end first.
	Owners []OwnerStatus `json:"owners"`
	// How the sites stand that apply deploys; empty where there are none.
	Deployments []DeploymentStatus `json:"deployments"`
	// How many of these owners have not been handed out their newest certificate.
	Pending int `json:"pending"`
	// Why owners cannot be judged.
	Failures []Failure `json:"failures"`
}

// OwnerStatus is how an owner stands.
type OwnerStatus struct {
	// The CA, the CRL or the user.
	Owner Owner `json:"owner"`
	// True for a user who is no longer in the spec and has certificates that have not ended.
	Departed bool `json:"departed,omitempty"`
	// The state in one word.
	State string `json:"state"`
	// True of state revoked where no apply has revoked the certificate yet, so that it still lets in.
	StillIn bool `json:"still_in,omitempty"`
	// E-mail address, as the spec has it; of a user who has departed, as the certificate has it.
	Email string `json:"email,omitempty"`
	// Serial of the certificate in upper-case hex, whole bytes.
	Serial string `json:"serial,omitempty"`
	// Type of the key, as in ecdsa-p256.
	Key string `json:"key,omitempty"`
	// When the certificate or the CRL ends.
	NotAfter *time.Time `json:"not_after,omitempty"`
	// Whole days until then; negative when it has ended.
	DaysLeft *int `json:"days_left,omitempty"`
	// The CA generation that has issued the certificate, the first being 1; of the CA, its own.
	Generation int `json:"generation,omitempty"`
	// Whether the user was handed out this certificate, with handout; absent where there is nothing to hand out.
	HandedOut *bool `json:"handed_out,omitempty"`
	// What happens next, if apply runs whenever something is due.
	Next *NextEvent `json:"next,omitempty"`

	CSR bool `json:"-"` // the user has made the key and a request

	Begin time.Time `json:"-"` // of the certificate or CRL, zero where that is not known

	Sum [sha256.Size]byte `json:"-"` // of the certificate of a user, zero where HandedOut is nil
}

// DeploymentStatus is how a site stands on the host of its proxy.
type DeploymentStatus struct {
	// The site.
	Owner Owner `json:"owner"`
	// The state in one word.
	State string `json:"state"`
}

// States of a deployment.
const (
	DeploymentCurrent = "current"
	DeploymentBehind  = "behind"
	DeploymentOwed    = "owed"
)

// DeploymentStates are the states of deployments, for the reference.
func DeploymentStates() []Word { return deploymentStates }

var deploymentStates = []Word{
	{DeploymentOwed, "The last deployment has failed or was interrupted. The proxy may go by an older state until an apply succeeds."},
	{DeploymentBehind, "A file on the host of the proxy is missing, or not as the output directory has it. The next apply puts it there."},
	{DeploymentCurrent, "The files on the host of the proxy are those of the output directory, and the last deployment has succeeded."},
}

// Waits reports whether the user has not been handed out the newest certificate.
func (o *OwnerStatus) Waits() bool { return o.HandedOut != nil && !*o.HandedOut }

// NextEvent is what happens to an owner next, and when.
type NextEvent struct {
	// What happens.
	Event string `json:"event"`
	// When; of what is due already, the time that the document is of.
	At time.Time `json:"at"`
}

// Status is how all owners stand, for status.
type Status struct {
	At       time.Time
	Owners   []OwnerStatus
	Plan     *Plan              // what apply would do, as far as that can be told without a secret
	Groups   map[Owner][]string // of users of the spec
	LastGood time.Time          // when an apply ended well last, zero where that is not known

	Deployments []DeploymentStatus // of the sites that apply deploys, in the order of the spec
}

// NewStatusDocument is the document of a status.
func NewStatusDocument(s *Status) StatusDocument {
	return StatusDocument{FormatVersion: FormatVersion, At: Seconds(s.At), Owners: List(s.Owners), Deployments: List(s.Deployments), Pending: Waiting(s.Owners), Failures: List(s.Plan.Failures)}
}

// Waiting is how many of the owners have not been handed out their newest certificate.
func Waiting(owners []OwnerStatus) (n int) {
	for i := range owners {
		if owners[i].Waits() {
			n++
		}
	}
	return n
}

// States of an owner.
const (
	StateValid    = "valid"
	StateExpiring = "expiring"
	StateExpired  = "expired"
	StateRevoked  = "revoked"
	StateMissing  = "missing"
	StateFailed   = "failed"
)

// States are the states of owners, those that need attention first.
func States() []Word { return states }

var states = []Word{
	{StateFailed, "The owner cannot be judged, or apply refuses to touch it; `failures` and `plan` say why."},
	{StateExpired, "The certificate or CRL has ended."},
	{StateMissing, "There is no certificate, or no CRL, that is valid and on record."},
	{StateExpiring, "The certificate or CRL is due to be renewed, or ends within the time that --expiring gives."},
	{StateValid, "The certificate or CRL is valid and not due."},
	{StateRevoked, "The certificate is revoked, or the user is not to have one: the spec says revoked, or does not list the user."},
}

// Events of an owner.
const (
	EventRevocation  = "revocation"
	EventRenewal     = "renewal"
	EventImport      = "import"
	EventExpiry      = "expiry"
	EventOverlapOver = "overlap-over"
	EventCRL         = "crl"
	EventReissue     = "reissue"
)

// Events are the events of owners, for the reference.
func Events() []Word { return events }

var events = []Word{
	{EventReissue, "The CA gets a new certificate for its key. No user is touched."},
	{EventRevocation, "The certificates of a user who is to have none are revoked, by the next run of apply: the user is no longer in the spec, or `revoked` there."},
	{EventRenewal, "The user gets a certificate, with a new key unless `reuse_key` or `csr` say otherwise."},
	{EventImport, "There is something new to give to the user: a .p12 to import, or for the key of a `csr` user a certificate. In forecast alone."},
	{EventOverlapOver, "A superseded certificate is revoked, because its overlap is over; of the CA, an earlier generation is no longer trusted, because nobody has a certificate of it."},
	{EventExpiry, "A certificate or CRL ends, and whoever has no newer one is out."},
	{EventCRL, "The CRL is signed anew."},
}

// ForecastDocument is the answer of forecast: what happens, if apply runs whenever something is due.
type ForecastDocument struct {
	FormatVersion int `json:"format_version"`
	// Every event, by time.
	Events []Event `json:"events"`
}

// Event is something that happens to an owner.
type Event struct {
	// When; of what is due already, the time that the forecast is made for.
	At time.Time `json:"at"`
	// Whom it happens to.
	Owner Owner `json:"owner"`
	// What happens.
	Event string `json:"event"`
	// What apply does then; absent where it does nothing.
	Action Action `json:"action,omitempty"`

	CSR bool `json:"-"` // the user has made the key and a request
}

// NewForecastDocument is the document of a forecast.
func NewForecastDocument(events []Event) ForecastDocument {
	return ForecastDocument{FormatVersion: FormatVersion, Events: List(events)}
}
