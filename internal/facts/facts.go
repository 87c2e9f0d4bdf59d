// Package facts holds what lies in an output directory, parsed once, as values:
// no secret is in them, and nothing in them reads a file. Package inventory
// makes them, package policy judges them.
package facts

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"io/fs"
	"time"

	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
)

// Opening tells how far an encrypted file could be opened.
type Opening uint8

const (
	NotTried      Opening = iota
	OpensNow              // with the passphrase of the spec
	OpensPrevious         // with previous_passphrase
	OpensNeither          // with none that is at hand
	Unreadable            // damaged: no passphrase would help
)

// File is the kind, the path and the mode of a file.
type File struct {
	Kind    plan.Kind
	Path    Path // relative to the output directory
	Missing bool
	Mode    fs.FileMode // permission bits, those that count
	Loose   fs.FileMode // further ones that do not count, because a checkout has given them
	Owner   string      // who it belongs to, if neither to the directory's owner nor to root; else ""
}

// Name is the file's path relative to the output directory.
func (f File) Name() string { return f.Path.String() }

// Key is a private key file.
type Key struct {
	File
	Info    pki.KeyInfo
	Opening Opening
	Type    pki.KeyType // "" unless opened
	SPKI    string      // [pki.PublicID] of the key, "" unless opened
	Why     error       // of Unreadable: what is there instead

	// InP12: there is no key file, and the key is in a .p12 that was made by hand. File
	// is that file.
	InP12 bool
}

// Proves reports whether the opening of the key proves the spec's passphrase: a key
// that is not encrypted opens with any.
func (k *Key) Proves() bool { return k.Opening == OpensNow && !k.Info.Plain() && !k.InP12 }

// Passphrase describes an owner's passphrase and does not hold it.
type Passphrase struct {
	File              // the generated one's: the sealed one, or the one in clear; where there is neither, the one that the spec asks for
	Other       *File // the other of the two, which is of no use; nil where it is not there, or nobody looked
	Made        bool  // false for a generated one that was never made
	Weak        bool  // of the CA: it was chosen, and is easy to guess
	Err         error // why it could not be read
	PreviousErr error // the same of previous_passphrase
	Unsealed    error // why the CA's, which is at hand in clear, cannot be sealed now
	Unusable    bool  // the identity that is there cannot be used, so that it is neither opened nor sealed, nor a new one

	// Closed is why a sealed one is not opened in this run, nil for one that was opened or
	// is not sealed. What it opens is taken for what it should be.
	Closed     error
	Wrong      bool     // and that is because the identity at hand is of none of its recipients
	Recorded   bool     // of a sealed one: it is known to whom
	Recipients []string // those
}

// Certificate is what policies use of a certificate, small enough to be kept
// for every user.
type Certificate struct {
	Sum       [sha256.Size]byte // of the DER: which certificate it is
	Serial    string            // upper-case hex
	SPKI      string            // identity of the key
	Subject   string            // DER of the name; "" where X509 is nil, and Name says all of it
	Name      pki.Subject       // what it says
	Plain     bool              // and that is all that it says
	Issuer    string            // DER of the name
	Authority string            // key identifier of the issuer's, "" for none
	SANs      []pki.SAN
	NotBefore time.Time
	NotAfter  time.Time
	Version   int

	// Unusual is how it differs from what would be issued today by a CA whose key
	// identifier is Authority: [pki.UserUsage].
	Unusual []pki.Mismatch

	// X509 is the certificate itself; nil for a user whose files were not read
	// anew, whose certificate has nothing unusual and an authority identifier.
	X509 *x509.Certificate
}

// CertificateFile is a file of certificates in PEM.
type CertificateFile struct {
	File
	Cert  *Certificate        // the first; nil when missing or damaged
	Alone bool                // the file holds Cert, as it would be written but for line ends, and nothing else
	All   []*x509.Certificate // what the file holds; nil where X509 of Cert is
	Form  string              // [pki.Form], where something was read
	Why   error               // why nothing can be read of a file that is there
}

// Of is the certificate for a key, by its [pki.PublicID], else the first.
func (f *CertificateFile) Of(spki string) *x509.Certificate {
	for _, c := range f.All {
		if pki.PublicID(c.PublicKey) == spki {
			return c
		}
	}
	return f.All[0]
}

// Request is what policies use of a certificate signing request. Of one that is
// known to answer to the certificate in place Subject is the certificate's, and
// Sum is zero.
type Request struct {
	Subject    string // DER of the name
	SANs       []pki.SAN
	SPKI       string
	Type       pki.KeyType
	Key        crypto.PublicKey  // of a request that the user has made, else nil
	Sum        [sha256.Size]byte // of the DER
	Challenged bool              // it has a challenge password
}

// RequestFile is a file with a certificate signing request.
type RequestFile struct {
	File
	Request *Request // nil when missing or damaged

	// ChallengeDiffers: its challenge password is not the spec's.
	ChallengeDiffers bool
}

// P12 is a PKCS #12 file.
type P12 struct {
	File
	Profile pki.Profile // what the spec asks for at this path
	Info    pki.P12Info
	Opening Opening           // OpensNow or OpensNeither when tried: previous_passphrase is not
	Cert    [sha256.Size]byte // of the certificate's DER, when opened
	SPKI    string            // of the key in it, when opened
	Why     error             // of Unreadable: what is there instead

	// All are the certificates in it, where somebody may have made it by hand and it opened,
	// also with a passphrase that was tried for it alone; always with --adopt.
	All []*x509.Certificate
}

// CRL is the CRLs of one file, one for every CA that is trusted.
type CRL struct {
	File
	Err     error                           // why it cannot be read
	Form    string                          // [pki.Form]
	Damaged bool                            // something in it is no CRL of a CA that the ledger knows
	Lists   map[string]*x509.RevocationList // by the SPKI of the CA
	More    []*x509.RevocationList          // older ones of the same CAs, which somebody has left in the file
}

// CA is the certificate authority.
type CA struct {
	Owner      plan.Owner
	Passphrase Passphrase
	Key        Key
	Crt        CertificateFile
	CSR        RequestFile // for a CA above it, where there is one
	Past       map[int]Key // keys of earlier generations, from db/retired, by number: those that may have to sign
	Wide       []File      // directories and database files that are wider than they may be
	SetAside   []string    // what another program has written in the place of a file of the database, and nobody can read
	Odd        []string    // names under which the cache can be neither read nor written
	Err        error       // a file that cannot be read: nothing can be said of the CA

	// EasyRSA: easy-rsa keeps a CA of its own in the directory.
	EasyRSA bool

	// RevokedIn is a file in which `openssl ca` or easy-rsa says who is revoked, where the CA
	// is taken over and no CRL is at our path; "" for none.
	RevokedIn string

	// Git is what git is told of the directory, where that is in version control.
	Git []GitFile

	// Unmerged are files of the CA and of the database that have marks of a merge which git
	// could not finish. Those that cannot be read then are not among them.
	Unmerged []string

	// InClear are passphrases in clear where the spec wants none: in version control, and
	// in db/retired of a directory whose passphrases are sealed.
	InClear []File

	// Interrupted: a batch was committed that nobody has finished yet.
	Interrupted bool
}

// User is one user of the spec who may come in.
type User struct {
	Owner      plan.Owner
	Passphrase Passphrase
	Key        Key // of a csr user: missing, with type and SPKI of the request
	CSR        RequestFile
	Crt        CertificateFile
	P12        []P12
	Stray      []File   // files that the spec has no use for: a .p12 of a profile that is no longer asked for
	Asked      *Request // the request that the user has made, of a csr user

	ChallengeErr    error // why the challenge password could not be read
	ChallengeReused bool  // it equals the passphrase

	// Recorded is the certificate that the ledger holds as the newest valid one for
	// the key; nil for none, and equal to Crt.Cert where that is the one.
	Recorded *Certificate
	Err      error
}

// Departed is what is left of a user who must have no valid certificate.
type Departed struct {
	Owner plan.Owner
	Twin  plan.Owner // a user of the spec whose files are called alike, but for case; "" for none
	Files []File
	Crt   CertificateFile
	Err   error
}

// Moved is a user whom the directory still knows by a former name.
type Moved struct {
	From, To plan.Owner
	Listed   bool     // To is in the spec
	Files    []File   // as they are to be called
	Names    []string // of the same files, as they are now
	Taken    string   // a file that has the new name already, "" for none
	Certs    [][]byte // DER of what the ledger has under the former name, oldest first
	Err      error    // a file that cannot be renamed
}

// Site is the files of one site of a proxy.
type Site struct {
	Owner plan.Owner
	Files []Rendered // in the order in which the proxy renders them
	Err   error

	Copies []Copy // on the proxy's host, in the order in which they are put there; nil where the site is not deployed
	Owed   bool   // a deployment was begun and has not ended well
}

// Copy is a file on the proxy's host that is to be as one of the output directory.
type Copy struct {
	Kind    plan.Kind // of what it is a copy of: KindCRL, KindCrt of the CA, KindSite
	From    Path      // of that
	Path    string    // absolute
	Missing bool
	Sum     [sha256.Size]byte   // of its content
	Source  [sha256.Size]byte   // of the file in the output directory, zero for none
	Data    []byte              // of the site's
	CAs     []*x509.Certificate // of the copy of the CA's certificates
	Err     error               // why it cannot be read or replaced
}

// Rendered is a file that was rendered.
type Rendered struct {
	File
	Data    []byte            // its content
	Sum     [sha256.Size]byte // of that
	Gate    string            // checksum that the site's refusals carry, as in [render.File]; "" for none
	Refused []string          // serials that it refuses, upper-case hex; only where the directory is read to be proven, or is in version control
}

// Users are the users of the spec who may come in and whom the run is about.
type Users interface {
	Len() int

	// Spec is the place of the i-th in the users of the spec.
	Spec(i int) int

	// User gives the facts of the i-th. They hold until the next call.
	User(i int) *User
}

// Inventory is everything that the output directory holds, as far as the spec
// and the ledger are concerned with it.
type Inventory struct {
	CA         CA
	CRL        CRL
	Users      Users
	Departed   []Departed
	Out        map[string]*Certificate // what users had who must have none, by serial, as far as it has not ended; only at a glance
	Moved      []Moved
	Bystanders []Bystander // with --adopt: users whom the run is not about

	// Strangers are certificates in files that are called like those of users, of nobody
	// whom spec or ledger knows; only with --adopt, and where the directory is proven or in
	// version control.
	Strangers []CertificateFile

	Sites   []Site   // in the order of the spec
	Orphans []string // files as they were rendered, that no site of the spec has
	Owed    []Owed   // what an interrupted run has asked an authority for
}

// Owed is a request of an interrupted run to an authority that outlives it.
type Owed struct {
	ID    string // serial in upper-case hex
	Owner plan.Owner

	// The authority's answer, once it has been asked.
	Cert *x509.Certificate // nil where none was issued
	Err  error             // why that cannot be told
}

// Bystander is a user whom the run is not about and of whom the ledger knows
// nothing.
type Bystander struct {
	Owner plan.Owner
	Crt   CertificateFile
}
