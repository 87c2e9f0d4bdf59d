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
	"encoding/asn1"
	"errors"
	"slices"
	"unicode/utf16"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
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

var (
	explicit = cbasn1.Tag(0).ContextSpecific().Constructed()
	implicit = cbasn1.Tag(0).ContextSpecific()
	bmpTag   = cbasn1.Tag(30)
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

// Write makes a PKCS #12 file in DER. The iterations, at least 1, are those of
// both encryptions and of the MAC. It draws salts and IVs itself.
func (k *Keys) Write(s Scheme, c Content, iterations int) ([]byte, error) {
	if len(c.Key) == 0 || len(c.Certs) == 0 || iterations < 1 {
		return nil, errors.New("a PKCS #12 file takes a key, its certificate and at least one iteration")
	}
	if len(encodeName(c.Name)) > 2*MaxName {
		return nil, errors.New("the friendlyName of a PKCS #12 file is too long")
	}
	bags, err := certBags(c)
	if err != nil {
		return nil, err
	}
	certs, err := k.encrypt(s, pad(bags, s.size()), iterations)
	if err != nil {
		return nil, err
	}
	key, err := k.encrypt(s, pad(c.Key, s.size()), iterations)
	if err != nil {
		return nil, err
	}
	safe, err := authenticatedSafe(s, certs, key, c)
	if err != nil {
		return nil, err
	}
	mac := part{params: params{salt: random(saltSize), iterations: iterations}}
	if mac.data, err = s.mac(safe, mac.params, k.derive); err != nil {
		return nil, err
	}
	return pfx(s, safe, mac)
}

// WriteKey makes an EncryptedPrivateKeyInfo (RFC 5958 section 3) in DER of a
// PKCS #8 key, encrypted as [AES256] says.
func (k *Keys) WriteKey(key []byte, iterations int) ([]byte, error) {
	p, err := k.encrypt(AES256, pad(key, aes.BlockSize), iterations)
	if err != nil {
		return nil, err
	}
	var b cryptobyte.Builder
	AES256.addEncryptedKey(&b, p)
	return b.Bytes()
}

// encrypt encrypts whole blocks under a fresh salt.
func (k *Keys) encrypt(s Scheme, padded []byte, iterations int) (part, error) {
	p := part{params: params{salt: random(saltSize), iterations: iterations}}
	if s == AES256 {
		p.iv = random(aes.BlockSize)
	}
	block, iv, err := s.cipher(p.params, k.derive)
	if err != nil {
		return p, err
	}
	p.data = make([]byte, len(padded))
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(p.data, padded)
	return p, nil
}

func (s Scheme) size() int {
	if s == AES256 {
		return aes.BlockSize
	}
	return des.BlockSize
}

// cipher sets up the block cipher and its IV with keys from a source.
func (s Scheme) cipher(p params, source func(derivation) ([]byte, error)) (cipher.Block, []byte, error) {
	if s == AES256 {
		key, err := source(derivation{forPBKDF2, crypto.SHA256, string(p.salt), p.iterations, 32})
		if err != nil {
			return nil, nil, err
		}
		block, err := aes.NewCipher(key)
		return block, p.iv, err
	}
	key, err := source(derivation{forCipher, crypto.SHA1, string(p.salt), p.iterations, 24})
	if err != nil {
		return nil, nil, err
	}
	iv, err := source(derivation{forIV, crypto.SHA1, string(p.salt), p.iterations, des.BlockSize})
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

func (s Scheme) mac(safe []byte, p params, source func(derivation) ([]byte, error)) ([]byte, error) {
	hash, _ := s.hash()
	key, err := source(derivation{forMAC, hash, string(p.salt), p.iterations, hash.Size()})
	if err != nil {
		return nil, err
	}
	m := hmac.New(hash.New, key)
	m.Write(safe)
	return m.Sum(nil), nil
}

// pad is the padding of RFC 8018 section 6.1.1, step 4.
func pad(plain []byte, size int) []byte {
	n := size - len(plain)%size
	return slices.Concat(plain, bytes.Repeat([]byte{byte(n)}, n))
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// certBags are the SafeContents with the certificates (RFC 7292 section 4.2.3).
func certBags(c Content) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for i, cert := range c.Certs {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidCertBag)
				b.AddASN1(explicit, func(b *cryptobyte.Builder) {
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1ObjectIdentifier(oidX509)
						b.AddASN1(explicit, func(b *cryptobyte.Builder) { b.AddASN1OctetString(cert) })
					})
				})
				if i == 0 {
					addAttributes(b, c)
				}
			})
		}
	})
	return b.Bytes()
}

// addAttributes names the key's bag and its certificate's bag alike. The
// localKeyId is the SHA-1 of the certificate, as everybody else has it.
func addAttributes(b *cryptobyte.Builder, c Content) {
	id := sha1.Sum(c.Certs[0])
	list := [][]byte{attribute(oidLocalKeyID, cbasn1.OCTET_STRING, id[:])}
	if name := encodeName(c.Name); len(name) > 0 {
		list = append(list, attribute(oidFriendlyName, bmpTag, name))
	}
	slices.SortFunc(list, bytes.Compare) // a SET OF in DER
	b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(slices.Concat(list...)) })
}

func attribute(oid asn1.ObjectIdentifier, tag cbasn1.Tag, value []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid)
		b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
			b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes(value) })
		})
	})
	return b.BytesOrPanic()
}

// encodeName is a name in UTF-16. Readers take surrogates in it, unlike in a
// passphrase.
func encodeName(name string) []byte {
	var out []byte
	for _, unit := range utf16.Encode([]rune(name)) {
		out = append(out, byte(unit>>8), byte(unit))
	}
	return out
}

// authenticatedSafe is what the MAC covers (RFC 7292 section 4.1): the
// certificates, encrypted as a whole, and the key in a bag of its own.
func authenticatedSafe(s Scheme, certs, key part, c Content) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addContentInfo(b, oidEncryptedData, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(0)
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(oidData)
					s.addAlgorithm(b, certs.params)
					b.AddASN1(implicit, func(b *cryptobyte.Builder) { b.AddBytes(certs.data) })
				})
			})
		})
		addContentInfo(b, oidData, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.OCTET_STRING, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1ObjectIdentifier(oidShroudedKey)
						b.AddASN1(explicit, func(b *cryptobyte.Builder) { s.addEncryptedKey(b, key) })
						addAttributes(b, c)
					})
				})
			})
		})
	})
	return b.Bytes()
}

// addContentInfo is of RFC 5652 section 3.
func addContentInfo(b *cryptobyte.Builder, oid asn1.ObjectIdentifier, content func(*cryptobyte.Builder)) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid)
		b.AddASN1(explicit, content)
	})
}

func (s Scheme) addEncryptedKey(b *cryptobyte.Builder, key part) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		s.addAlgorithm(b, key.params)
		b.AddASN1OctetString(key.data)
	})
}

// addAlgorithm is of RFC 7292 appendix C or of RFC 8018 appendix A.4.
func (s Scheme) addAlgorithm(b *cryptobyte.Builder, p params) {
	salted := func(b *cryptobyte.Builder) {
		b.AddASN1OctetString(p.salt)
		b.AddASN1Int64(int64(p.iterations))
	}
	if s == TripleDES {
		addIdentifier(b, oidPBE3DES, func(b *cryptobyte.Builder) { b.AddASN1(cbasn1.SEQUENCE, salted) })
		return
	}
	addIdentifier(b, oidPBES2, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addIdentifier(b, oidPBKDF2, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					salted(b)
					addIdentifier(b, oidHMACSHA256, addNull)
				})
			})
			addIdentifier(b, oidAES256CBC, func(b *cryptobyte.Builder) { b.AddASN1OctetString(p.iv) })
		})
	})
}

func addIdentifier(b *cryptobyte.Builder, oid asn1.ObjectIdentifier, parameters func(*cryptobyte.Builder)) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid)
		parameters(b)
	})
}

func addNull(b *cryptobyte.Builder) { b.AddASN1NULL() }

// pfx puts safe and MAC together (RFC 7292 section 4).
func pfx(s Scheme, safe []byte, mac part) ([]byte, error) {
	_, oid := s.hash()
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(3)
		addContentInfo(b, oidData, func(b *cryptobyte.Builder) { b.AddASN1OctetString(safe) })
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				addIdentifier(b, oid, addNull)
				b.AddASN1OctetString(mac.data)
			})
			b.AddASN1OctetString(mac.salt)
			if mac.iterations != 1 { // DEFAULT 1
				b.AddASN1Int64(int64(mac.iterations))
			}
		})
	})
	return b.Bytes()
}
