package engine

import (
	"crypto/sha256"
	"crypto/x509"
	"io/fs"
	"time"

	"mtlsplan/internal/cadb"
	"mtlsplan/internal/outdir"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/secret"
	"mtlsplan/spec"
)

// The facts are what the output directory holds, parsed once. Policies judge
// them and nothing else.

// fileFacts is what is known of a file without understanding it.
type fileFacts struct {
	kind    string
	name    string // relative to the output directory
	missing bool
	mode    fs.FileMode
	data    []byte
	stat    outdir.Stat // of before data was read
}

// opening is how far an encrypted file could be opened.
type opening uint8

const (
	notTried       opening = iota
	opensNow               // with the passphrase of the spec
	opensPrevious          // with previous_passphrase
	opensNeither           // with none that is at hand
	cannotBeOpened         // damaged: no passphrase would help
)

type keyFacts struct {
	fileFacts
	info   pki.KeyInfo
	opened opening
	typ    pki.KeyType // "" unless opened
	public string      // its identity
}

type csrFacts struct {
	fileFacts
	csr *csrContent // nil when missing or damaged
}

type crtFacts struct {
	fileFacts
	cert  *certFacts          // nil when missing or damaged; of a CA the newest
	alone bool                // the file holds cert and nothing else
	all   []*x509.Certificate // what the file holds, cert first
}

type p12Facts struct {
	fileFacts
	profile pki.Profile // what the spec asks for at this path
	info    pki.P12Info
	opened  opening
	cert    [sha256.Size]byte // digest of the DER, when opened
	public  string            // identity of the key in it, when opened
}

// crlFacts are the CRLs of one file, one for every CA that is trusted.
type crlFacts struct {
	fileFacts
	damaged bool                            // something in it is no CRL of a CA that the database knows
	lists   map[string]*x509.RevocationList // by the identity of the CA's key
}

// passphrases are an owner's secrets, as far as they could be read.
type passphrases struct {
	now         secret.Value // empty: generated, and not made yet
	previous    secret.Value
	err         error // why now could not be read
	previousErr error
	file        fileFacts
	source      outdir.Stat // of the file that now was read from, when that is the source
}

// generation is one CA key that the database knows, the first being 1.
type generation struct {
	number int
	cert   *x509.Certificate // the newest for the key
	public string            // the key's identity
	key    keyFacts          // of an earlier generation, from db/retired, while it is needed
	valid  int               // users' certificates of it that are neither revoked nor past their end
}

type caFacts struct {
	spec  spec.CA
	gens  []generation // oldest first; the last is the current one
	owner Owner
	pass  passphrases
	key   keyFacts
	crt   crtFacts
	wide  []fileFacts // directories and database files that are wider than they may be
	odd   []string    // names under which what a run remembers can be neither read nor written
	taken bool        // this run adopts it
	// interrupted: a batch was committed that nobody has finished yet.
	interrupted bool
	err         error // a file that cannot be read: nothing can be said of the CA
}

type userFacts struct {
	spec      *spec.User
	owner     Owner
	brief     bool // it was not read but remembered: see lookCloser
	pass      passphrases
	challenge secret.Value
	key       keyFacts
	csr       csrFacts
	crt       crtFacts
	p12       []p12Facts
	stray     []fileFacts // files that the spec has no use for: a .p12 of a profile that is asked for no more
	spent     bool        // a certificate for the key was revoked for more than having been renewed
	asked     *csrContent // the request that the user has made, of a csr user
	taken     bool        // this run adopts what lies there
	digest    digest
	lost      bool // what is adopted was issued by the CA, and is gone from its database
	err       error
}

// leftFacts are what is left of a user who must have no valid certificate:
// one that the spec lists no more, or lists as revoked.
type leftFacts struct {
	owner  Owner
	code   Code       // Removed or Revoked
	reason string     // for the CRL, by its RFC 5280 name
	rows   []cadb.Row // valid and unexpired
	files  []fileFacts
	// unrecorded: the files are of somebody of whom the database knows nothing.
	unrecorded bool
	lost       string // a certificate of the CA's among the files that the database does not know
	err        error
}

// slot is a user whom the run is about: one who was read, or one who is known
// by a memo.
type slot struct {
	spec   *spec.User
	memo   string     // "" for a user who has none
	full   *userFacts // nil for one who was not read, or is judged by the memo alone
	kept   bool       // the cache holds the memo
	absent bool       // nothing of the user is there yet: absentFacts says it all, and need not be held
	stable bool       // the memo can be kept: no file of it can change without a trace
}

type siteFacts struct {
	fileFacts
	spec  spec.Site
	owner Owner
	err   error
}

// Observed is everything that the output directory holds, as far as the spec
// and the CA database are concerned with it.
type Observed struct {
	now      time.Time
	cfg      *spec.Config
	db       *database
	ca       caFacts
	issuers  map[string]string // of serials, when there are several generations
	users    []slot
	memo     userMemo   // of the user who was asked for last
	brief    userFacts  // of the same
	rows     []cadb.Row // of the same
	left     []leftFacts
	leaving  map[Owner]bool     // the owners of left
	keys     map[string][]Owner // who has which key, when it was asked
	crl      crlFacts
	crlErr   error
	learnt   int  // revocations that the CRL lists and index.txt does not say
	behind   bool // the next CRL would have had the number of one in place, or a lower one
	sites    []siteFacts
	orphans  []string // sites of ours that the spec names no more
	adopting bool
}

func factsOf(kind string, f outdir.File) fileFacts {
	return fileFacts{kind: kind, name: f.Name, missing: f.Missing, mode: f.Mode, data: f.Data, stat: f.Stat}
}
