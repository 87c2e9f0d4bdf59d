// Package config holds the values of a spec, and nothing that reads a file, a
// secret or a clock, so that a decision can be a function of them. Package spec
// fills them.
package config

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
	"mtlsplan/render"
)

// IterationsChosen is how many iterations of PBKDF2-HMAC-SHA-256 protect what a
// person has chosen the passphrase of: OWASP's figure.
const IterationsChosen = 600_000

// Config is a spec that was parsed, resolved and validated: every default is
// in place, every path is absolute, every value is one that can be issued.
type Config struct {
	File   string // the spec as the user named it
	Dir    string // its directory, absolute; what a relative path in it is relative to
	Output string // the output directory, absolute

	// VersionControl says that the output directory lies in a git repository.
	VersionControl bool

	CA    CA
	Users []User // in the order of the spec, then of its rosters
	Moved []Moved
	Sites []Site
	Guard Guard
	Seal  Seal
}

// Seal is how generated passphrases are sealed. To whom, the CA and each user tell.
type Seal struct {
	Identity Source // of the private key that opens them, in text as age and ssh-keygen write it; may be none
}

// CA is the one certificate authority of a spec.
type CA struct {
	Name               string
	Origin             hcl.Range // of the block's header
	Subject            pki.Subject
	Key                pki.KeyType
	Validity           time.Duration
	RenewBefore        time.Duration
	Passphrase         Source
	PreviousPassphrase Source
	Seal               []string // recipients of a generated passphrase, see [User]
	KDFIterations      int
	Generation         int
	Compromised        []int // earlier generations that are no longer trusted
	CRLValidity        time.Duration
	CRLRenewBefore     time.Duration
}

// User is who has a certificate: a person or a program, or one of the devices of such,
// with what it inherits from the defaults and the CA.
type User struct {
	Name               string      // of a device, that of the user too: "ada:laptop"
	Device             string      // the device's alone; "" for a user without devices
	Origin             hcl.Range   // of the block's header, in a roster of the name; of a device where it is listed
	Subject            pki.Subject // complete: CN, e-mail and what is inherited
	Key                pki.KeyType
	Validity           time.Duration
	RenewBefore        time.Duration
	RenewSpread        time.Duration // users fall due over this long before RenewBefore, see [User.Due]
	ReuseKey           bool
	Passphrase         Source
	PreviousPassphrase Source
	Seal               []string // recipients of a generated passphrase, each once: of age, or an SSH key without its comment; none: it lies in clear
	OwnSeal            []string // those among them that the user's own block names
	ChallengePassword  Source
	P12                []pki.Profile // the first gives X.p12, the second X.PROFILE.p12
	KDFIterations      int
	CSR                string // absolute path, "" for none
	Revoked            string // RFC 5280 reason, "" when not revoked
	Overlap            *time.Duration
	Groups             []string // what sites let in by, and tell the application
}

// Moved is a user who had another name before. One who was renamed more than once has one for
// each former name, the oldest first.
type Moved struct {
	From, To plan.Owner // users, or devices of users; From is not in the spec
	Listed   bool       // To is
}

// Due is when a certificate of the user that ends at notAfter is to be renewed: never
// later than RenewBefore before that, and earlier by the user's share of RenewSpread.
// The share is a fixed one, a hash of the name, with the device where there is one, so that users who were made on one day do
// not all have to import on one day.
func (u *User) Due(notAfter time.Time) time.Time {
	const whole = 1 << 32 // shares are multiples of 1/whole, in [0, 1)
	sum := sha256.Sum256([]byte(u.Name))
	share := float64(binary.BigEndian.Uint32(sum[:])) / whole
	early := time.Duration(share * float64(u.RenewSpread)).Truncate(time.Second)
	return notAfter.Add(-u.RenewBefore - early)
}

// Person is the name of the user in the spec, whichever device it is.
func (u *User) Person() string {
	if u.Device == "" {
		return u.Name
	}
	return strings.TrimSuffix(u.Name, plan.DeviceSign+u.Device)
}

// SANs are the subject alternative names of the user's certificate.
func (u *User) SANs() []pki.SAN {
	if u.Subject.Email == "" {
		return nil
	}
	return []pki.SAN{{Type: pki.SANEmail, Value: u.Subject.Email}}
}

// Guard bounds what one run may revoke.
type Guard struct {
	MaxRevocations *int // nil: 10 % of the active users, at least 1
}

// Site is one block of a proxy.
type Site struct {
	Name     string
	Origin   hcl.Range // of the block's header
	Proxy    *render.Proxy
	Settings render.Settings
}
