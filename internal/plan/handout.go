package plan

import (
	"slices"
	"time"
)

// HandoutDocument is the answer of handout: what was handed out to whom, and to whom it could not be.
type HandoutDocument struct {
	FormatVersion int `json:"format_version"`
	// What was handed out, in the order of the spec.
	HandedOut []HandoutDetail `json:"handed_out"`
	// To whom nothing could be handed out, and why.
	Failures []Failure `json:"failures"`
	// Why it ended before everybody had their turn; what is handed out lies there.
	Error *ErrorDetail `json:"error,omitempty"`
}

// HandoutDetail is what one user was handed out.
type HandoutDetail struct {
	// The user, or the device of one.
	Owner Owner `json:"owner"`
	// E-mail address, as the spec has it.
	Email string `json:"email,omitempty"`
	// Path of the directory that was written; absent with --given.
	Dir string `json:"dir,omitempty"`
	// Names of the files in it; empty with --given.
	Files []string `json:"files"`
	// Serial of the certificate in upper-case hex, whole bytes.
	Serial string `json:"serial"`
	// SHA-256 of the certificate in lower-case hex.
	SHA256 string `json:"sha256"`
	// When the certificate ends.
	NotAfter time.Time `json:"not_after"`
	// Path of the generated passphrase, in clear or sealed; absent where the passphrase comes from another source, and of a csr user, who has it.
	PassphraseFile string `json:"passphrase_file,omitempty"`
	// Where the passphrase comes from otherwise.
	PassphraseSource string `json:"passphrase_source,omitempty"`
}

// Handout is what was handed out.
type Handout struct {
	Done     []HandoutDetail
	Failures []Failure
	Notes    []Note
}

// NewHandoutDocument is the document of a handout; stopped is why it ended early, or nil.
func NewHandoutDocument(h *Handout, stopped *ErrorDetail) HandoutDocument {
	return HandoutDocument{FormatVersion: FormatVersion, HandedOut: List(h.Done), Failures: List(h.Failures), Error: stopped}
}

// HandoutPage is what the page for a user tells, and what templates of it may name. None
// of it is a secret.
type HandoutPage struct {
	Name         string    // of the user, as the spec has it
	Device       string    // of the user, "" for none
	CommonName   string    // in the certificate
	Email        string    // of the user, "" for none
	Service      string    // who gives it: the organization of the CA, else its common name
	Addresses    []string  // of the sites that let the user in, as in "https://chat.example.com/"
	Contact      string    // e-mail of the CA, "" for none
	Label        string    // what a list of certificates calls this one
	P12          string    // name of the .p12
	Mobileconfig string    // name of the profile for Apple's devices, "" for none
	Crt          string    // name of the certificate for a user who has made the key, "" for any other; P12 is what mtlsplan bundle makes of it
	Sealed       string    // name of the file with the passphrase, sealed to the user's own key; "" for none
	Open         []string  // commands that open it
	Modern       bool      // the .p12 is one that older systems do not open
	SHA256       string    // of the certificate, upper-case hex with colons
	SHA1         string    // the same, as Windows shows it
	Serial       string    // upper-case hex with colons
	NotBefore    time.Time // the certificate's beginning, in UTC
	NotAfter     time.Time // its end, in UTC
	Old          []OldCertificate
}

// OldCertificate is one that a user had before.
type OldCertificate struct {
	Name     string    // the common name in it, "" where that cannot be told
	Serial   string    // upper-case hex with colons
	NotAfter time.Time // in UTC
	Revoked  bool
}

// OldNames are the names of [HandoutPage.Old] that are not the new one's.
func (p HandoutPage) OldNames() []string {
	var out []string
	for _, o := range p.Old {
		if o.Name != "" && o.Name != p.CommonName && !slices.Contains(out, o.Name) {
			out = append(out, o.Name)
		}
	}
	return out
}
