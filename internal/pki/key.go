package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Errors of reading keys and PKCS #12 files.
var (
	// ErrPassphrase: the passphrase is not the one that the file was encrypted
	// with.
	ErrPassphrase = errors.New("the passphrase does not open it")

	// ErrDamaged: the bytes are not what they should be, whatever the passphrase.
	ErrDamaged = errors.New("damaged")

	// ErrUnsupported: the file may be sound, but is encrypted in a way that
	// mtlsplan does not read.
	ErrUnsupported = errors.New("not supported")

	// ErrBase64: it is a PKCS #12 file, in base64 instead of DER.
	ErrBase64 = fmt.Errorf("%w: it is base64", ErrDamaged)
)

// KeyEncoding is the [KeyInfo] encoding that [EncryptKey] writes.
const KeyEncoding = "PBES2 AES-256-CBC PBKDF2-HMAC-SHA256"

// PlainKey is the [KeyInfo] encoding of a key that is not encrypted.
const PlainKey = "plain"

// Generate makes a new key pair.
func (t KeyType) Generate() (crypto.Signer, error) {
	switch t {
	case RSA2048:
		return rsa.GenerateKey(rand.Reader, 2048)
	case RSA3072:
		return rsa.GenerateKey(rand.Reader, 3072)
	case RSA4096:
		return rsa.GenerateKey(rand.Reader, 4096)
	case ECDSAP256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case ECDSAP384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, fmt.Errorf("a key of type %q cannot be made", string(t))
}

// KeyTypeOf names the type of a public key. Beside the [KeyTypes] it knows those
// that files made elsewhere may hold, such as "rsa-1024" and "ecdsa-p521"; any
// other is "unknown".
func KeyTypeOf(pub crypto.PublicKey) KeyType {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		return KeyType(fmt.Sprintf("rsa-%d", k.N.BitLen()))
	case *ecdsa.PublicKey:
		name := k.Curve.Params().Name
		return KeyType("ecdsa-" + strings.ReplaceAll(strings.ToLower(name), "-", ""))
	case ed25519.PublicKey:
		return Ed25519
	}
	return "unknown"
}

// Bits is the length of an RSA key of the type, 0 for every other type.
func (t KeyType) Bits() int {
	digits, ok := strings.CutPrefix(string(t), "rsa-")
	bits, err := strconv.Atoi(digits)
	if !ok || err != nil {
		return 0
	}
	return bits
}

// Short reports whether a key is so short that OpenSSL refuses it at its security level
// 2, which Debian's and Ubuntu's NGINX have: RSA of less than 2,048 bits.
func (t KeyType) Short() bool { return t.Bits() > 0 && t.Bits() < 2048 }

// PublicID is the SPKI hash of a public key: the SHA-256 of its
// SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7) in lower-case hex, "" for a key
// that cannot be encoded as one.
func PublicID(pub crypto.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// EncryptKey encodes a private key as PEM "ENCRYPTED PRIVATE KEY" (RFC 5958)
// with PBES2, PBKDF2-HMAC-SHA256 and AES-256-CBC (RFC 8018).
func EncryptKey(key crypto.Signer, keys *Keys, iterations int) ([]byte, error) {
	if keys.pass.IsZero() {
		return nil, errors.New("a private key is never written without a passphrase")
	}
	if iterations < 1 || iterations > maxIterations {
		return nil, fmt.Errorf("%d iterations of the key derivation: not between 1 and %d", iterations, maxIterations)
	}
	plain, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, errors.New("a private key of this type cannot be encoded")
	}
	der, err := keys.derived.WriteKey(plain, iterations)
	if err != nil {
		return nil, fmt.Errorf("encrypting a private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemEncryptedKey, Bytes: der}), nil
}

// InspectKey tells how a private key is encrypted, without opening it. PKCS #8,
// PKCS #1 and SEC 1 are read, in PEM, in every [Form] of it and in DER, the last two
// also in the traditional encryption of OpenSSL ("Proc-Type: 4,ENCRYPTED"). Where the
// form is not PEM as OpenSSL reads it, the encoding names it. The error is [ErrDamaged]
// or [ErrUnsupported].
func InspectKey(data []byte) (KeyInfo, error) {
	block, err := keyBlock(data)
	if err != nil {
		return KeyInfo{}, err
	}
	if isTraditional(block) {
		name, err := traditionalCipher(block)
		if err != nil {
			return KeyInfo{}, err
		}
		return KeyInfo{Encoding: withForm("PEM "+name, data), Iterations: 1}, nil
	}
	if block.Type == pemEncryptedKey {
		enc, err := parseEncrypted(block.Bytes)
		if err != nil {
			return KeyInfo{}, err
		}
		return KeyInfo{Encoding: withForm(enc.scheme.String(), data), Iterations: enc.scheme.iterations}, nil
	}
	if _, err := parsePlainKey(block.Bytes); err != nil {
		return KeyInfo{}, err
	}
	return KeyInfo{Encoding: withForm(PlainKey, data)}, nil
}

// OpenKey decrypts a PEM private key of any kind that [InspectKey] reads. A
// key that is not encrypted opens with every passphrase. The error is
// [ErrPassphrase], [ErrDamaged] or [ErrUnsupported].
func OpenKey(data []byte, pass Passphrase) (crypto.Signer, error) {
	block, err := keyBlock(data)
	if err != nil {
		return nil, err
	}
	plain := block.Bytes
	switch {
	case isTraditional(block):
		name, err := traditionalCipher(block)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(traditionalCiphers, name) {
			return nil, &CipherError{name}
		}
		//lint:ignore SA1019 deprecated for what it protects; keys made by "openssl genrsa -des3" must be readable
		plain, err = x509.DecryptPEMBlock(block, []byte(pass.Reveal()))
		if errors.Is(err, x509.IncorrectPasswordError) {
			return nil, ErrPassphrase
		}
		if err != nil {
			return nil, damaged(strings.TrimPrefix(err.Error(), "x509: "))
		}
		if err := judge(plain); err != nil {
			return nil, err
		}
	case block.Type == pemEncryptedKey:
		enc, err := parseEncrypted(block.Bytes)
		if err != nil {
			return nil, err
		}
		if plain, err = enc.open([]byte(pass.Reveal())); err != nil {
			return nil, err
		}
	}
	return parsePlainKey(plain)
}

// ReopenKey reads what [EncryptKey] has written with the same keys, and derives
// none anew. A key in another encoding is an error, even if it is the same key:
// whoever alters the IV alters the beginning of the key, which says little of it.
func ReopenKey(data []byte, keys *Keys) (crypto.Signer, error) {
	block, err := keyBlock(data)
	if err != nil {
		return nil, err
	}
	plain, err := keys.derived.ReadKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, err := parsePlainKey(plain)
	if err != nil {
		return nil, err
	}
	if again, err := x509.MarshalPKCS8PrivateKey(key); err != nil || !bytes.Equal(again, plain) {
		return nil, damaged("its key is not encoded as it was written")
	}
	return key, nil
}

// keyBlock finds the one private key of a file. It skips text, and the EC
// PARAMETERS that OpenSSL writes before a SEC 1 key.
func keyBlock(data []byte) (*pem.Block, error) {
	var found *pem.Block
	beside := ""
	text := asPEM(data, derPlainKey, derEncryptedKey)
	for rest := text; ; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			break
		}
		switch {
		case block.Type == "EC PARAMETERS":
		case !strings.HasSuffix(block.Type, "PRIVATE KEY"):
			if beside = "a PEM block other than a private key in it"; block.Type == pemCertificate {
				beside += ", a certificate"
			}
		case block.Type == "OPENSSH PRIVATE KEY":
			return nil, unsupported("it is in OpenSSH's own format: ssh-keygen -p -m PEM -f FILE rewrites a copy of it")
		case found != nil:
			return nil, damaged("there is more than one private key in it")
		default:
			found = block
		}
	}
	switch {
	case found != nil && beside == "":
	case found != nil:
		return nil, damaged("there is " + beside + ", beside the key: take that out, and leave the key alone in the file")
	case beside != "":
		return nil, damaged("there is " + beside)
	case otherContent(data) != "":
		return nil, damaged(otherContent(data))
	default:
		return nil, damaged("there is no PEM private key in it")
	}
	return found, nil
}

func isTraditional(b *pem.Block) bool {
	return strings.HasPrefix(b.Headers["Proc-Type"], "4,ENCRYPTED")
}

// traditionalCiphers are those that [x509.DecryptPEMBlock] knows.
var traditionalCiphers = []string{"DES-CBC", "DES-EDE3-CBC", "AES-128-CBC", "AES-192-CBC", "AES-256-CBC"}

func traditionalCipher(b *pem.Block) (string, error) {
	name, _, ok := strings.Cut(b.Headers["DEK-Info"], ",")
	if !ok || !printable(name) {
		return "", damaged("the PEM header DEK-Info names no cipher")
	}
	return name, nil
}

// parsePlainKey reads PKCS #8, PKCS #1 or SEC 1, told apart by their content and
// not by the PEM type.
func parsePlainKey(der []byte) (crypto.Signer, error) {
	var key any
	var err error
	if key, err = x509.ParsePKCS8PrivateKey(der); err != nil {
		if rsaKey, e := x509.ParsePKCS1PrivateKey(der); e == nil {
			key, err = rsaKey, nil
		} else if ecKey, e := x509.ParseECPrivateKey(der); e == nil {
			key, err = ecKey, nil
		}
	}
	if err != nil {
		if kind := strangeKey(der); kind != "" {
			return nil, unsupported("it is " + kind + ", which browsers and TLS libraries refuse")
		}
		return nil, damaged("it holds no private key that can be read")
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, damaged("its key cannot sign")
	}
	if err := checkParts(der, signer); err != nil {
		return nil, err
	}
	return signer, nil
}

func damaged(what string) error     { return fmt.Errorf("%w: %s", ErrDamaged, what) }
func unsupported(what string) error { return fmt.Errorf("%w: %s", ErrUnsupported, what) }

func printable(s string) bool {
	for _, r := range s {
		if r < 0x20 || r > 0x7e {
			return false
		}
	}
	return s != ""
}
