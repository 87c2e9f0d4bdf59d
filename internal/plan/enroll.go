package plan

import "time"

// RequestDocument is the answer of request: the key and the request that a user has made.
type RequestDocument struct {
	FormatVersion int `json:"format_version"`
	// Path of the encrypted key, which stays with the user.
	Key string `json:"key"`
	// Whether the key was there before, and was kept.
	KeyKept bool `json:"key_kept"`
	// Path of the request, which goes to the administrator.
	CSR string `json:"csr"`
	// Path of the generated passphrase; absent where it was chosen.
	PassphraseFile string `json:"passphrase_file,omitempty"`
	// SHA-256 of the public key (SubjectPublicKeyInfo) in lower-case hex, to be compared with what the administrator has.
	SPKISHA256 string `json:"spki_sha256"`
}

// BundleDocument is the answer of bundle: the .p12 that a user has made of the key and the certificate.
type BundleDocument struct {
	FormatVersion int `json:"format_version"`
	// Path of the .p12.
	P12 string `json:"p12"`
	// Serial of the certificate in upper-case hex, whole bytes.
	Serial string `json:"serial"`
	// SHA-256 of the certificate in lower-case hex.
	SHA256 string `json:"sha256"`
	// When the certificate ends.
	NotAfter time.Time `json:"not_after"`
}
