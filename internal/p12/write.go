// Package p12 writes PKCS #12 files (RFC 7292) and encrypted PKCS #8 keys (RFC
// 5958), and checks what it has written with the keys that it derived for it. The
// libraries write no friendlyName and keep their keys to themselves, and deriving
// keys is most of the work of a run.
//
// It reads nothing that others have written. The primitives are those of the
// standard library; what is its own is the key derivation of RFC 7292 appendix B.
package p12

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"slices"
	"unicode/utf16"
)

// Scheme is how a file is protected: the encryption of the key and of the
// certificates, and the MAC.
type Scheme int

const (
	// TripleDES is pbeWithSHAAnd3-KeyTripleDES-CBC with HMAC-SHA-1.
	TripleDES Scheme = iota
	// AES256 is PBES2 with PBKDF2-HMAC-SHA-256 and AES-256-CBC, and HMAC-SHA-256
	// under a key of the PKCS #12 derivation.
	AES256
)

// Content is what a file holds.
type Content struct {
	Key   []byte   // PKCS #8, not encrypted
	Certs [][]byte // DER; the key's own first, then its CAs
	Name  string   // friendlyName of the key and of its certificate; "" for none
}

// MaxName is the upper bound of a friendlyName in UTF-16 code units (RFC 2985
// appendix A, pkcs-9-ub-friendlyName).
const MaxName = 255

const saltSize = 16 // octets

var (
	oidData          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidEncryptedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 6}
	oidShroudedKey   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 2}
	oidCertBag       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 3}
	oidX509          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 22, 1}
	oidFriendlyName  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 20}
	oidLocalKeyID    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 21}
	oidPBE3DES       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 3}
	oidPBES2         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidHMACSHA256    = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}
	oidAES256CBC     = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
	oidSHA1          = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
	oidSHA256        = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
)

// The structures of RFC 7292 section 4, of RFC 5652, RFC 5958 and RFC 8018 that a file is
// made of. A SEQUENCE OF that always has the same elements is a struct here.
type (
	pfx struct {
		Version int
		Safe    dataInfo
		MAC     macData
	}
	macData struct {
		Digest struct {
			Algorithm pkix.AlgorithmIdentifier
			Digest    []byte
		}
		Salt       []byte
		Iterations int `asn1:"optional,default:1"`
	}
	dataInfo struct {
		Type asn1.ObjectIdentifier
		Data []byte `asn1:"explicit,tag:0"`
	}

	authenticatedSafe struct {
		Certs struct {
			Type    asn1.ObjectIdentifier
			Content struct {
				Version int
				Info    struct {
					Type      asn1.ObjectIdentifier
					Algorithm pkix.AlgorithmIdentifier
					Data      []byte `asn1:"tag:0"`
				}
			} `asn1:"explicit,tag:0"`
		}
		Key dataInfo
	}
	certBag struct {
		Type asn1.ObjectIdentifier
		Cert struct {
			Type asn1.ObjectIdentifier
			DER  []byte `asn1:"explicit,tag:0"`
		} `asn1:"explicit,tag:0"`
		Attributes []attribute `asn1:"set,optional,omitempty"`
	}
	keyBags struct{ Bag keyBag }
	keyBag  struct {
		Type       asn1.ObjectIdentifier
		Key        encryptedKey `asn1:"explicit,tag:0"`
		Attributes []attribute  `asn1:"set"`
	}
	attribute struct {
		Type   asn1.ObjectIdentifier
		Values []asn1.RawValue `asn1:"set"`
	}

	encryptedKey struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}
	pbeParams struct {
		Salt       []byte
		Iterations int
	}
	pbes2Params struct {
		KDF struct {
			Type   asn1.ObjectIdentifier
			Params struct {
				Salt       []byte
				Iterations int
				PRF        pkix.AlgorithmIdentifier
			}
		}
		Cipher struct {
			Type asn1.ObjectIdentifier
			IV   []byte
		}
	}
)

// params are those of one derivation, and what goes with it.
type params struct {
	salt       []byte
	iterations int
	iv         []byte // of AES256; TripleDES derives it
}

// part is something encrypted, or a MAC.
type part struct {
	params
	data []byte
}

// source gives the key of a derivation.
type source func(derivation) ([]byte, error)

// Write makes a PKCS #12 file in DER. The iterations, at least 1, are those of
// both encryptions and of the MAC. It draws salts and IVs itself.
func (k *Keys) Write(s Scheme, c Content, iterations int) ([]byte, error) {
	if len(c.Key) == 0 || len(c.Certs) == 0 || iterations < 1 {
		return nil, errors.New("a PKCS #12 file takes a key, its certificate and at least one iteration")
	}
	if len(encodeName(c.Name)) > 2*MaxName {
		return nil, errors.New("the friendlyName of a PKCS #12 file is too long")
	}
	return s.file(c, s.draw(iterations), s.draw(iterations), s.draw(iterations), k.derive)
}

// WriteKey makes an EncryptedPrivateKeyInfo (RFC 5958 section 3) in DER of a
// PKCS #8 key, encrypted as [AES256] says.
func (k *Keys) WriteKey(key []byte, iterations int) ([]byte, error) {
	return keyFile(key, AES256.draw(iterations), k.derive)
}

// draw draws a salt and an IV.
func (s Scheme) draw(iterations int) params {
	p := params{salt: random(saltSize), iterations: iterations}
	if s == AES256 {
		p.iv = random(aes.BlockSize)
	}
	return p
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// file is a file as it follows from what was drawn for its parts.
func (s Scheme) file(c Content, ofCerts, ofKey, ofMAC params, keys source) ([]byte, error) {
	bags, err := certBags(c)
	if err != nil {
		return nil, err
	}
	certs, err := s.encrypt(s.pad(bags), ofCerts, keys)
	if err != nil {
		return nil, err
	}
	key, err := s.encrypt(s.pad(c.Key), ofKey, keys)
	if err != nil {
		return nil, err
	}
	safe, err := s.safe(c, certs, key)
	if err != nil {
		return nil, err
	}
	sum, err := s.mac(safe, ofMAC, keys)
	if err != nil {
		return nil, err
	}
	return s.pfx(safe, part{ofMAC, sum})
}

func keyFile(key []byte, p params, keys source) ([]byte, error) {
	enc, err := AES256.encrypt(AES256.pad(key), p, keys)
	if err != nil {
		return nil, err
	}
	info, err := AES256.encryptedKey(enc)
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(info)
}

// encrypt encrypts whole blocks.
func (s Scheme) encrypt(padded []byte, p params, keys source) (part, error) {
	block, iv, err := s.cipher(p, keys)
	if err != nil {
		return part{}, err
	}
	data := make([]byte, len(padded))
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(data, padded)
	return part{p, data}, nil
}

func (s Scheme) size() int {
	if s == AES256 {
		return aes.BlockSize
	}
	return des.BlockSize
}

// cipher sets up the block cipher and its IV.
func (s Scheme) cipher(p params, keys source) (cipher.Block, []byte, error) {
	if s == AES256 {
		key, err := keys(derivation{forPBKDF2, crypto.SHA256, string(p.salt), p.iterations, 32})
		if err != nil {
			return nil, nil, err
		}
		block, err := aes.NewCipher(key)
		return block, p.iv, err
	}
	key, err := keys(derivation{forCipher, crypto.SHA1, string(p.salt), p.iterations, 24})
	if err != nil {
		return nil, nil, err
	}
	iv, err := keys(derivation{forIV, crypto.SHA1, string(p.salt), p.iterations, des.BlockSize})
	if err != nil {
		return nil, nil, err
	}
	block, err := des.NewTripleDESCipher(key)
	return block, iv, err
}

// hash is that of the MAC.
func (s Scheme) hash() (crypto.Hash, asn1.ObjectIdentifier) {
	if s == AES256 {
		return crypto.SHA256, oidSHA256
	}
	return crypto.SHA1, oidSHA1
}

func (s Scheme) mac(safe []byte, p params, keys source) ([]byte, error) {
	hash, _ := s.hash()
	key, err := keys(derivation{forMAC, hash, string(p.salt), p.iterations, hash.Size()})
	if err != nil {
		return nil, err
	}
	m := hmac.New(hash.New, key)
	m.Write(safe)
	return m.Sum(nil), nil
}

// pad is the padding of RFC 8018 section 6.1.1, step 4.
func (s Scheme) pad(plain []byte) []byte {
	n := s.size() - len(plain)%s.size()
	return slices.Concat(plain, bytes.Repeat([]byte{byte(n)}, n))
}

// certBags are the SafeContents with the certificates (RFC 7292 section 4.2.3).
func certBags(c Content) ([]byte, error) {
	bags := make([]certBag, len(c.Certs))
	for i, der := range c.Certs {
		bags[i].Type, bags[i].Cert.Type, bags[i].Cert.DER = oidCertBag, oidX509, der
	}
	bags[0].Attributes = attributes(c)
	return asn1.Marshal(bags)
}

// attributes name the key's bag and its certificate's bag alike. The localKeyId is
// the SHA-1 of the certificate, as everybody else has it.
func attributes(c Content) []attribute {
	id := sha1.Sum(c.Certs[0])
	list := []attribute{{oidLocalKeyID, []asn1.RawValue{{Tag: asn1.TagOctetString, Bytes: id[:]}}}}
	if c.Name != "" {
		list = append(list, attribute{oidFriendlyName, []asn1.RawValue{{Tag: asn1.TagBMPString, Bytes: encodeName(c.Name)}}})
	}
	return list
}

// encodeName is a name in UTF-16. Readers take surrogates in it, unlike in a
// passphrase.
func encodeName(name string) []byte {
	var out []byte
	for _, unit := range utf16.Encode([]rune(name)) {
		out = binary.BigEndian.AppendUint16(out, unit)
	}
	return out
}

// safe is what the MAC covers (RFC 7292 section 4.1): the certificates, encrypted
// as a whole, and the key in a bag of its own.
func (s Scheme) safe(c Content, certs, key part) ([]byte, error) {
	var safe authenticatedSafe
	info := &safe.Certs.Content.Info
	safe.Certs.Type, info.Type, info.Data = oidEncryptedData, oidData, certs.data
	var err error
	if info.Algorithm, err = s.algorithm(certs.params); err != nil {
		return nil, err
	}
	enc, err := s.encryptedKey(key)
	if err != nil {
		return nil, err
	}
	safe.Key.Type = oidData
	if safe.Key.Data, err = asn1.Marshal(keyBags{keyBag{oidShroudedKey, enc, attributes(c)}}); err != nil {
		return nil, err
	}
	return asn1.Marshal(safe)
}

func (s Scheme) encryptedKey(key part) (encryptedKey, error) {
	alg, err := s.algorithm(key.params)
	return encryptedKey{alg, key.data}, err
}

// algorithm is of RFC 7292 appendix C or of RFC 8018 appendix A.4.
func (s Scheme) algorithm(p params) (pkix.AlgorithmIdentifier, error) {
	if s == TripleDES {
		return identifier(oidPBE3DES, pbeParams{p.salt, p.iterations})
	}
	var q pbes2Params
	q.KDF.Type, q.KDF.Params.Salt, q.KDF.Params.Iterations = oidPBKDF2, p.salt, p.iterations
	q.KDF.Params.PRF = pkix.AlgorithmIdentifier{Algorithm: oidHMACSHA256, Parameters: asn1.NullRawValue}
	q.Cipher.Type, q.Cipher.IV = oidAES256CBC, p.iv
	return identifier(oidPBES2, q)
}

func identifier(oid asn1.ObjectIdentifier, params any) (pkix.AlgorithmIdentifier, error) {
	der, err := asn1.Marshal(params)
	return pkix.AlgorithmIdentifier{Algorithm: oid, Parameters: asn1.RawValue{FullBytes: der}}, err
}

// pfx puts safe and MAC together (RFC 7292 section 4).
func (s Scheme) pfx(safe []byte, mac part) ([]byte, error) {
	_, oid := s.hash()
	file := pfx{Version: 3, Safe: dataInfo{oidData, safe}, MAC: macData{Salt: mac.salt, Iterations: mac.iterations}}
	file.MAC.Digest.Algorithm = pkix.AlgorithmIdentifier{Algorithm: oid, Parameters: asn1.NullRawValue}
	file.MAC.Digest.Digest = mac.data
	return asn1.Marshal(file)
}
