package pki

// SANType is the type of a subject alternative name, by the name that OpenSSL has
// for it.
type SANType string

// SANEmail is an rfc822Name (RFC 5280 section 4.2.1.6).
const SANEmail SANType = "email"

// SAN is one subject alternative name.
type SAN struct {
	Type  SANType
	Value string
}
