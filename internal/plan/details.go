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
	Issued       []IssuedDetail      // every certificate that the CA database holds for the owner, oldest first
	Step         *Step               // what apply would do, nil for nothing
	Failures     []Failure
	HandedOut    *time.Time // when the user was handed out the certificate in place, nil where that is not remembered
	Departed     bool       // a user whom the CA database knows and the spec does not list
}

// ShowDocument is the answer of show: one owner in full.
type ShowDocument struct {
	FormatVersion int `json:"format_version"`
	// The user or CA.
	Owner Owner `json:"owner"`
	// True for a user who is no longer in the spec.
	Departed bool `json:"departed,omitempty"`
	// The certificates in place, newest first; a CA in rollover has two. Of a user who is not to have one, the last that was issued.
	Certificates []CertificateDetail `json:"certificates"`
	// Every artefact of the owner.
	Files []FileDetail `json:"files"`
	// When the user was handed out the certificate in place, with handout; absent where that is not remembered.
	HandedOut *time.Time `json:"handed_out,omitempty"`
	// Every certificate that the CA database holds for the owner, oldest first.
	Issued []IssuedDetail `json:"issued"`
	// The step that apply would do; null for none. Where the plan is refused, the step for which it is.
	Step *Step `json:"step" jsonschema:"nullable"`
	// Why the owner cannot be judged.
	Failures []Failure `json:"failures"`
}

// NewShowDocument is the document of an owner; certificates are those of d.
func NewShowDocument(d *Details, certificates []CertificateDetail) ShowDocument {
	doc := ShowDocument{
		FormatVersion: FormatVersion,
		Owner:         d.Owner,
		Departed:      d.Departed,
		Certificates:  List(certificates),
		Files:         List(d.Files),
		HandedOut:     d.HandedOut,
		Issued:        List(d.Issued),
		Failures:      List(d.Failures),
	}
	if d.Step != nil {
		s := stepDocument(*d.Step)
		doc.Step = &s
	}
	return doc
}

// CertificateDetail is a certificate.
type CertificateDetail struct {
	// Serial in upper-case hex, whole bytes.
	Serial string `json:"serial"`
	// Distinguished name of the holder.
	Subject string `json:"subject"`
	// Distinguished name of the CA.
	Issuer string `json:"issuer"`
	// When it begins.
	NotBefore time.Time `json:"not_before"`
	// When it ends.
	NotAfter time.Time `json:"not_after"`
	// Subject alternative names.
	SANs []SANDetail `json:"sans"`
	// SHA-256 of the DER, in lower-case hex.
	SHA256 string `json:"sha256"`
	// The certificate itself.
	PEM string `json:"pem"`
}

// SANDetail is a subject alternative name.
type SANDetail struct {
	// Type of the name: email, dns, ip, uri, upn, dirname, rid, othername or unknown.
	Type string `json:"type"`
	// The name.
	Value string `json:"value"`
}

// FileDetail is one artefact of an owner.
type FileDetail struct {
	// Kind of artefact, as in a step.
	Kind string `json:"kind"`
	// Path of the file.
	Path string `json:"path"`
	// Permission bits in octal, as in 0600; absent when the file is missing.
	Mode string `json:"mode,omitempty"`
	// The state in one word.
	State string `json:"state"`
	// The state in words, for people; absent for ok and missing.
	Message string `json:"message,omitempty"`
	// Facts read from the file, in the order in which people see them.
	Facts []FileFact `json:"facts,omitempty"`
}

// FileFact is a fact read from a file.
type FileFact struct {
	// Name of the fact.
	Name string `json:"name"`
	// Its value; times are RFC 3339 in UTC.
	Value string `json:"value"`
}

// IssuedDetail is one row of the CA database.
type IssuedDetail struct {
	// Serial in upper-case hex, whole bytes.
	Serial string `json:"serial"`
	// Whether it is valid, revoked or expired.
	State string `json:"state" jsonschema:"enum=valid,enum=revoked,enum=expired"`
	// When it ends.
	NotAfter time.Time `json:"not_after"`
	// When it was revoked.
	RevokedAt *time.Time `json:"revoked_at,omitempty"`
	// Why it was revoked: an RFC 5280 reason.
	Reason string `json:"reason,omitempty"`
	// Distinguished name of the holder.
	Subject string `json:"subject"`
}

// Word is a word of a document that is neither an action nor a code.
type Word struct{ Name, Doc string }

// States of a [FileDetail].
const (
	FileOK                 = "ok"
	FileMissing            = "missing"
	FileDamaged            = "damaged"
	FileLocked             = "locked"
	FilePreviousPassphrase = "previous-passphrase"
	FileUnread             = "unread"
)

// FileStates are the states of files, for the reference.
func FileStates() []Word { return fileStates }

var fileStates = []Word{
	{FileOK, "The file is there and can be read."},
	{FileMissing, "The file is not there."},
	{FileDamaged, "The file cannot be read, whatever the passphrase."},
	{FileLocked, "The passphrase is wrong or cannot be had."},
	{FilePreviousPassphrase, "The file opens with `previous_passphrase` alone."},
	{FileUnread, "The file is there and was not read: it is of a user who is to have none."},
}

// Names of facts.
const (
	FactType              = "type"
	FactEncoding          = "encoding"
	FactIterations        = "iterations"
	FactSPKISHA256        = "spki_sha256"
	FactSubject           = "subject"
	FactEmail             = "email"
	FactChallengePassword = "challenge_password"
	FactSerial            = "serial"
	FactNotAfter          = "not_after"
	FactGeneration        = "generation"
	FactNumber            = "number"
	FactThisUpdate        = "this_update"
	FactNextUpdate        = "next_update"
	FactRevoked           = "revoked"
	FactProfile           = "profile"
	FactHolds             = "holds_key_and_certificate"
	FactRecipients        = "recipients"
)

// FactNames are the names of facts, for the reference.
func FactNames() []Word { return factNames }

var factNames = []Word{
	{FactType, "Of a key: its type, as in `ecdsa-p256`."},
	{FactEncoding, "Of a key or .p12: how it is encrypted."},
	{FactIterations, "Of a key or .p12: rounds of its key derivation."},
	{FactProfile, "Of a .p12: `compat` or `modern`."},
	{FactHolds, "Of a .p12: `yes` if it holds the key and the certificate in place."},
	{FactRecipients, "Of a sealed passphrase: who can open it; of an SSH key its type and the end of it."},
	{FactSPKISHA256, "Of a key, CSR or certificate: SHA-256 of its SubjectPublicKeyInfo, the same for all that belong together."},
	{FactSubject, "Of a CSR: its distinguished name."},
	{FactEmail, "Of a CSR: the subject alternative names that it asks for; those other than e-mail addresses follow their type and a colon."},
	{FactChallengePassword, "Of a CSR: `set` or `none`."},
	{FactSerial, "Of a certificate: its serial."},
	{FactNotAfter, "Of a certificate: when it ends."},
	{FactGeneration, "Of a CRL: the CA generation that signed it. The four facts after it belong to that CRL."},
	{FactNumber, "Of a CRL: its number."},
	{FactThisUpdate, "Of a CRL: when it begins."},
	{FactNextUpdate, "Of a CRL: when it ends."},
	{FactRevoked, "Of a CRL: how many serials it lists."},
}
