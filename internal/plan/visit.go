package plan

import "time"

// Codes of what the gate of try answers.
const (
	Admitted      Code = "admitted"
	NoCertificate Code = "no-certificate"
	UnknownCA     Code = "unknown-ca"
	CALeft        Code = "ca-left"
	CAEnded       Code = "ca-ended"
	NotYetValid   Code = "not-yet-valid"
	NotRecorded   Code = "not-recorded"
	Unsuitable    Code = "unsuitable"
	Unavailable   Code = "unavailable"
)

// VisitCodes are the codes of the gate's answers, for the reference. [Revoked] and
// [Expired] are among them.
func VisitCodes() []CodeDoc { return visitCodes }

var visitCodes = []CodeDoc{
	{Admitted, "", "The visitor gets in (status 200; every other code has 403)."},
	{NoCertificate, "", "The browser has shown no certificate."},
	{UnknownCA, "", "No CA of the trust file has signed the certificate."},
	{CALeft, "", "The certificate was issued here, by a CA generation that is no longer trusted."},
	{CAEnded, "", "The certificate of the CA has expired, or is not valid yet."},
	{Revoked, "", "The certificate is revoked."},
	{Expired, "", "The certificate has expired."},
	{NotYetValid, "", "The certificate is not valid yet."},
	{NotRecorded, "", "The CA has signed the certificate, and the CA database does not know it."},
	{Unsuitable, "", "The certificate is not for clients, or too weak."},
	{Unavailable, "", "The output directory cannot be read, so nobody gets in (status 503)."},
}

// VisitDocument is the answer of the gate of try to one request, where the client asks for JSON.
type VisitDocument struct {
	FormatVersion int `json:"format_version"`
	// Whether the visitor gets in.
	Admitted bool `json:"admitted"`
	// Why, or why not; codes are stable.
	Code Code `json:"code"`
	// The answer and what to do, for people.
	Message string `json:"message"`
	// The CA's e-mail: whom to ask.
	Contact string `json:"contact,omitempty"`
	// The certificate that was shown; null for none.
	Certificate *VisitCertificate `json:"certificate" jsonschema:"nullable"`
}

// VisitCertificate is the certificate that a visitor has shown, and what the output directory knows of it.
type VisitCertificate struct {
	// The user whom it was issued to; absent where the CA database does not know one.
	Owner Owner `json:"owner,omitempty"`
	// Common name.
	CommonName string `json:"common_name"`
	// E-mail; absent for none.
	Email string `json:"email,omitempty"`
	// Serial in upper-case hex, whole bytes.
	Serial string `json:"serial"`
	// Distinguished name of the issuer.
	Issuer string `json:"issuer"`
	// When it begins.
	NotBefore time.Time `json:"not_before"`
	// When it ends.
	NotAfter time.Time `json:"not_after"`
	// Whole days until it ends; negative when it has ended.
	DaysLeft int `json:"days_left"`
	// Generation of the CA that has signed it; absent where no CA of the trust file has.
	Generation int `json:"generation,omitempty"`
	// When it was revoked.
	RevokedAt *time.Time `json:"revoked_at,omitempty"`
	// Why it was revoked: a name from RFC 5280 section 5.3.1.
	RevokedFor string `json:"revoked_for,omitempty"`
}

// TryDocument is the answer of try when the gate is open.
type TryDocument struct {
	FormatVersion int `json:"format_version"`
	// The time that certificates are judged at; absent where that is the time of each visit.
	At *time.Time `json:"at,omitempty"`
	// The address to open in a browser.
	URL string `json:"url"`
	// The address that the gate listens on.
	Listen string `json:"listen"`
	// Whether only this computer can reach it.
	Loopback bool `json:"loopback"`
	// SHA-256 of the server's certificate, in lower-case hex.
	ServerSHA256 string `json:"server_sha256"`
	// What to import into the browser; null where no user has a .p12.
	Import *ImportDetail `json:"import" jsonschema:"nullable"`
}

// ImportDetail is the files of a user to try the gate with.
type ImportDetail struct {
	// The user: the first of the spec who has a .p12.
	Owner Owner `json:"owner"`
	// Path of the .p12.
	P12 string `json:"p12"`
	// Path of the key, for curl.
	Key string `json:"key"`
	// Path of the certificate, for curl.
	Crt string `json:"crt"`
	// Path of the generated passphrase, in clear or sealed; absent where the passphrase comes from another source.
	PassphraseFile string `json:"passphrase_file,omitempty"`
	// Where the passphrase comes from otherwise.
	PassphraseSource string `json:"passphrase_source,omitempty"`
	// Number of users of the spec.
	Users int `json:"users"`
}
