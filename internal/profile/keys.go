package profile

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha256" // the hashes of algorithms
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// algorithm is a way to sign that mtlsplan uses.
type algorithm struct {
	parameters []byte // DER, nil where there must be none
	hash       crypto.Hash
	source     string // of the rule about the parameters
}

var null = []byte{5, 0}

var algorithms = map[string]algorithm{
	"1.2.840.113549.1.1.11": {null, crypto.SHA256, "RFC 4055 5"},
	"1.2.840.113549.1.1.12": {null, crypto.SHA384, "RFC 4055 5"},
	"1.2.840.113549.1.1.13": {null, crypto.SHA512, "RFC 4055 5"},
	"1.2.840.10045.4.3.2":   {nil, crypto.SHA256, "RFC 5758 3.2"},
	"1.2.840.10045.4.3.3":   {nil, crypto.SHA384, "RFC 5758 3.2"},
	"1.2.840.10045.4.3.4":   {nil, crypto.SHA512, "RFC 5758 3.2"},
	"1.3.101.112":           {nil, 0, "RFC 8410 3"},
}

// splitAlgorithm reads an AlgorithmIdentifier with its header.
func splitAlgorithm(der []byte) (oid string, parameters []byte) {
	in := cryptobyte.String(der)
	var seq cryptobyte.String
	var id asn1.ObjectIdentifier
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.ReadASN1ObjectIdentifier(&id) {
		return "", nil
	}
	return id.String(), seq
}

func (s signed) algorithmFault() string {
	oid, _ := splitAlgorithm(s.outer)
	if _, ok := algorithms[oid]; !ok {
		return "it is signed by " + oid
	}
	return ""
}

func (s signed) parametersFault() string {
	oid, parameters := splitAlgorithm(s.outer)
	if a, ok := algorithms[oid]; ok && !bytes.Equal(a.parameters, parameters) {
		return fmt.Sprintf("%s does not allow % X beside %s", a.source, parameters, oid)
	}
	return ""
}

// signatureFault verifies what is signed by the key in a
// SubjectPublicKeyInfo.
func (s signed) signatureFault(spki []byte) string {
	oid, _ := splitAlgorithm(s.outer)
	a, ok := algorithms[oid]
	pub, err := x509.ParsePKIXPublicKey(spki)
	if !ok || err != nil {
		return "" // other rules say that
	}
	digest := s.tbs
	if a.hash != 0 {
		h := a.hash.New()
		h.Write(s.tbs)
		digest = h.Sum(nil)
	}
	valid := false
	switch k := pub.(type) {
	case *rsa.PublicKey:
		valid = rsa.VerifyPKCS1v15(k, a.hash, digest, s.signature) == nil
	case *ecdsa.PublicKey:
		valid = ecdsa.VerifyASN1(k, digest, s.signature)
	case ed25519.PublicKey:
		valid = ed25519.Verify(k, digest, s.signature)
	}
	if !valid {
		return "the key did not make the signature"
	}
	return ""
}

const (
	oidRSA     = "1.2.840.113549.1.1.1"
	oidEC      = "1.2.840.10045.2.1"
	oidEd25519 = "1.3.101.112"
)

// splitKey reads a SubjectPublicKeyInfo.
func splitKey(spki []byte) (oid string, parameters, key []byte) {
	in := cryptobyte.String(spki)
	var seq, alg, bits cryptobyte.String
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.ReadASN1Element(&alg, cbasn1.SEQUENCE) ||
		!seq.ReadASN1(&bits, cbasn1.BIT_STRING) || !seq.Empty() || len(bits) < 1 || bits[0] != 0 {
		return "", nil, nil
	}
	oid, parameters = splitAlgorithm(alg)
	return oid, parameters, bits[1:]
}

// keyFault asks for a key that can be used: its form, and for a curve that the
// point is on it.
func keyFault(spki []byte) string {
	if oid, _, _ := splitKey(spki); oid == oidRSA || oid == oidEC || oid == oidEd25519 {
		if _, err := x509.ParsePKIXPublicKey(spki); err != nil && keyParametersFault(spki) == "" {
			return "it cannot be read"
		}
		return ""
	}
	return "it is no RSA, ECDSA or Ed25519 key"
}

// keyParametersFault judges the parameters beside the key's algorithm: NULL
// for RSA (RFC 3279 section 2.3.1), a named curve (RFC 5480 section 2.1.1),
// none for Ed25519 (RFC 8410 section 3).
func keyParametersFault(spki []byte) string {
	oid, parameters, _ := splitKey(spki)
	var curve asn1.ObjectIdentifier
	in := cryptobyte.String(parameters)
	switch {
	case oid == oidRSA && !bytes.Equal(parameters, null):
		return "RFC 3279 2.3.1 wants NULL beside rsaEncryption"
	case oid == oidEC && (!in.ReadASN1ObjectIdentifier(&curve) || !in.Empty()):
		return "RFC 5480 2.1.1 wants a named curve"
	case oid == oidEd25519 && len(parameters) > 0:
		return "RFC 8410 3 wants nothing beside id-Ed25519"
	}
	return ""
}

func strengthFault(spki []byte) string {
	pub, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return "" // other rules say that
	}
	switch k := pub.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() < 2048 {
			return fmt.Sprintf("RSA with %d bits", k.N.BitLen())
		}
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P224() {
			return "the curve P-224"
		}
	}
	return ""
}
