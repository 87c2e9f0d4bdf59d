// Package pki makes and reads the cryptographic artefacts: keys, certificate
// signing requests, certificates, CRLs and PKCS #12 files. Values go in, bytes
// come out; it reads no clock and touches no disk.
//
// Its certificates follow RFC 5280, where crypto/x509 would sign nearly
// anything: the DN's order, string types and upper bounds, basicConstraints,
// key usages and key identifiers are all set here. The cryptography is that of
// the standard library and go-pkcs12, which reads every PKCS #12 file. Package p12
// writes them and the encrypted keys; the opening of encrypted keys is written
// here, on the standard library's ciphers (see [encrypted.open]).
package pki

import (
	"crypto"
	"crypto/x509"
	"math/big"
	"strings"
	"time"
)

// KeyType is a type of key pair, by its name in the spec.
type KeyType string

const (
	RSA2048   KeyType = "rsa-2048"
	RSA3072   KeyType = "rsa-3072"
	RSA4096   KeyType = "rsa-4096"
	ECDSAP256 KeyType = "ecdsa-p256"
	ECDSAP384 KeyType = "ecdsa-p384"
	Ed25519   KeyType = "ed25519"
)

// KeyTypes are all that may be asked for, in the order in which they are shown.
var KeyTypes = []KeyType{RSA2048, RSA3072, RSA4096, ECDSAP256, ECDSAP384, Ed25519}

// Profile is a PKCS #12 encoding, named after the readers that it is for.
type Profile string

const (
	Compat Profile = "compat" // pbeWithSHAAnd3-KeyTripleDES-CBC, HMAC-SHA-1: opens everywhere
	Modern Profile = "modern" // PBES2 AES-256-CBC, HMAC-SHA-256
)

// Subject is a distinguished name as the spec writes it. The certificate holds
// the fields that are not empty, in this order, one attribute per RDN.
type Subject struct {
	Country            string // C, PrintableString, exactly two letters
	Province           string // ST
	Locality           string // L
	Organization       string // O
	OrganizationalUnit string // OU
	CommonName         string // CN
	Email              string // emailAddress (PKCS #9), IA5String
}

// CARequest is all that determines a CA certificate but its key.
type CARequest struct {
	Subject             []byte // DER of the Name, from [Subject.DER] or from an earlier certificate
	KeyID               []byte // subject key identifier of an earlier certificate for the key; nil for the usual one
	Serial              *big.Int
	NotBefore, NotAfter time.Time // cut to whole seconds
}

// UserRequest is all that determines a user's certificate but the CA.
type UserRequest struct {
	Subject             []byte // DER of the Name
	SANs                []SAN  // of type [SANEmail]
	Public              crypto.PublicKey
	Serial              *big.Int
	NotBefore, NotAfter time.Time
}

// CRLRequest is all that determines a CRL but the CA.
type CRLRequest struct {
	Number                 *big.Int
	ThisUpdate, NextUpdate time.Time
	Entries                []x509.RevocationListEntry
}

// Backdate is how far notBefore, thisUpdate and a revocation date lie before
// now: a proxy whose clock is behind would refuse everybody otherwise.
const Backdate = 5 * time.Minute

// KeyInfo is what an encrypted key file shows without its passphrase.
type KeyInfo struct {
	Encoding   string // "PBES2 AES-256-CBC PBKDF2-HMAC-SHA256", "PEM DES-EDE3-CBC", "plain", "plain, DER", ...
	Iterations int    // of the key derivation, 0 where there is none
}

// Plain reports whether a key is not encrypted: every passphrase opens it.
func (i KeyInfo) Plain() bool { return strings.HasPrefix(i.Encoding, PlainKey) }

// Passphrase protects a key. Its text is asked for only where a library needs
// it. Package secret has the type.
type Passphrase interface {
	Reveal() string
	IsZero() bool
}

// P12Info is what a PKCS #12 file shows without its passphrase.
type P12Info struct {
	Profile    Profile // "" when the file fits none
	Encoding   string  // for people: "3DES + SHA-1", ...
	Iterations int     // 0 where the format has none; the lowest of key bag, certificate bag and MAC; in Modern and Compat all are equal
}

// P12 is an opened PKCS #12 file.
type P12 struct {
	Name  string // friendlyName; only [Profile.Reopen] tells it
	Key   crypto.Signer
	Cert  *x509.Certificate
	Chain []*x509.Certificate
}
