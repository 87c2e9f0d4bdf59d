package plan

import "time"

// Explanation is why apply would or would not touch an owner, and what happens next.
type Explanation struct {
	Owner    Owner
	At       time.Time
	Status   *OwnerStatus // nil of a site, which has no certificate
	Departed bool         // a user whom the CA database knows and the spec does not list
	Steps    []Step       // what apply would do; where the plan is refused, the refusals too
	Failures []Failure
	Notes    []Note // about the owner
	Answers  []Answer
	Next     []Event

	Out         bool                 // a user who is not to have a certificate: departed, or revoked in the spec
	Revocations []RevokedCertificate // of that user, by time
	Retired     []string             // the files of that user in db/retired
}

// RevokedCertificate is a certificate that is revoked.
type RevokedCertificate struct {
	// Serial of the certificate in upper-case hex, whole bytes.
	Serial string `json:"serial"`
	// When it was revoked.
	At time.Time `json:"at"`
	// The reason, as RFC 5280 calls it.
	Reason string `json:"reason"`
}

// Answer is what a policy says of an owner.
type Answer struct {
	// The code of the reasons that the policy gives; absent where it gives several.
	Code Code `json:"code,omitempty"`
	// What verify calls the question; absent where it has several names for it.
	Check string `json:"check,omitempty"`
	// What is so where there are no reasons, for people; absent of a reason for which nothing else is asked.
	Holds string `json:"holds,omitempty"`
	// What disagrees; empty where the policy has nothing to say.
	Reasons []Reason `json:"reasons"`
	// The files that would be written or removed for it, relative to the output directory.
	Files []string `json:"files"`
}

// ExplainDocument is the answer of explain: every policy that was asked of an owner, its answer, and what happens next.
type ExplainDocument struct {
	FormatVersion int `json:"format_version"`
	// The time that it is explained for.
	At time.Time `json:"at"`
	// The user, CA, CRL or site.
	Owner Owner `json:"owner"`
	// True for a user who is no longer in the spec.
	Departed bool `json:"departed,omitempty"`
	// The state in one word, as in status; absent of a site.
	State string `json:"state,omitempty"`
	// What apply would do: of a site also its deployment. Where the plan is refused, what is refused too.
	Steps []Step `json:"steps"`
	// Why the owner cannot be judged.
	Failures []Failure `json:"failures"`
	// What is to be known of the owner and changes nothing.
	Notes []Note `json:"notes"`
	// Every policy that was asked; none of an owner who cannot be judged.
	Answers []Answer `json:"answers"`
	// What happens next, if apply runs whenever something is due: as far as the next renewal.
	Next []Event `json:"next"`
	// What was revoked, by time; absent of a user who is to have a certificate.
	Revocations []RevokedCertificate `json:"revocations,omitempty"`
	// The files that db/retired keeps, relative to the output directory; absent of a user who is to have a certificate.
	Retired []string `json:"retired,omitempty"`
}

// NewExplainDocument is the document of an explanation.
func NewExplainDocument(e *Explanation) ExplainDocument {
	doc := ExplainDocument{FormatVersion: FormatVersion, At: Seconds(e.At), Owner: e.Owner, Departed: e.Departed,
		Steps: []Step{}, Failures: List(e.Failures), Notes: List(e.Notes), Answers: []Answer{}, Next: List(e.Next),
		Revocations: e.Revocations, Retired: e.Retired}
	if e.Status != nil {
		doc.State = e.Status.State
	}
	for _, s := range e.Steps {
		doc.Steps = append(doc.Steps, stepDocument(s))
	}
	for _, a := range e.Answers {
		a.Reasons, a.Files = List(a.Reasons), List(a.Files)
		doc.Answers = append(doc.Answers, a)
	}
	return doc
}
