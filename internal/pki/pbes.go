package pki

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/ecdsa"
	"crypto/pbkdf2"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"hash"
	"slices"
	"strings"

	"mtlsplan/internal/p12"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/crypto/scrypt"
)

// maxIterations bounds the work that a file can ask for. It is some sixteen
// times the spec's default, and more than any reader accepts.
const maxIterations = 10_000_000

// maxScrypt bounds the memory that a file can ask for, in bytes.
const maxScrypt = 256 << 20

// A prf or a block cipher by its name and object identifier.
type (
	prf struct {
		oid  asn1.ObjectIdentifier
		name string
		hash func() hash.Hash
	}
	blockCipher struct {
		oid    asn1.ObjectIdentifier
		name   string
		keyLen int
		make   func([]byte) (cipher.Block, error)
	}
)

var (
	oidPBES2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidScrypt = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11}

	// RFC 8018 appendix B.1; the first is what an absent one means.
	prfs = []prf{
		{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 7}, "HMAC-SHA1", sha1.New},
		{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 8}, "HMAC-SHA224", sha256.New224},
		{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}, "HMAC-SHA256", sha256.New},
		{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 10}, "HMAC-SHA384", sha512.New384},
		{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 11}, "HMAC-SHA512", sha512.New},
	}

	// RFC 8018 appendix B.2.
	ciphers = []blockCipher{
		{asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 7}, "DES-EDE3-CBC", 24, des.NewTripleDESCipher},
		{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 2}, "AES-128-CBC", 16, aes.NewCipher},
		{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 22}, "AES-192-CBC", 24, aes.NewCipher},
		{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}, "AES-256-CBC", 32, aes.NewCipher},
	}

	// Password-based schemes of PKCS #5 version 1.5 and of PKCS #12. InspectKey
	// and InspectP12 name them; of keys, only the one with 3DES is opened here.
	otherSchemes = map[string]string{
		"1.2.840.113549.1.5.3":    "pbeWithMD5AndDES-CBC",
		"1.2.840.113549.1.5.10":   "pbeWithSHA1AndDES-CBC",
		"1.2.840.113549.1.12.1.1": "pbeWithSHAAnd128BitRC4",
		"1.2.840.113549.1.12.1.2": "pbeWithSHAAnd40BitRC4",
		"1.2.840.113549.1.12.1.3": pbe3DES,
		"1.2.840.113549.1.12.1.4": "pbeWithSHAAnd2-KeyTripleDES-CBC",
		"1.2.840.113549.1.12.1.5": "pbeWithSHAAnd128BitRC2-CBC",
		"1.2.840.113549.1.12.1.6": "pbeWithSHAAnd40BitRC2-CBC",
	}
)

const pbe3DES = "pbeWithSHAAnd3-KeyTripleDES-CBC"

// otherCiphers are those of PBES2 that OpenSSL offers and that are not read here, by their
// object identifiers.
var otherCiphers = map[string]string{
	"1.3.14.3.2.7":              "DES-CBC",
	"1.2.840.113549.3.2":        "RC2-CBC",
	"1.2.392.200011.61.1.1.1.2": "CAMELLIA-128-CBC",
	"1.2.392.200011.61.1.1.1.3": "CAMELLIA-192-CBC",
	"1.2.392.200011.61.1.1.1.4": "CAMELLIA-256-CBC",
	"1.2.410.200046.1.1.2":      "ARIA-128-CBC",
	"1.2.410.200046.1.1.7":      "ARIA-192-CBC",
	"1.2.410.200046.1.1.12":     "ARIA-256-CBC",
	"1.2.410.200004.1.4":        "SEED-CBC",
}

// CipherError is of a file that is encrypted in a way that OpenSSL reads, and that is not
// read here. It is an [ErrUnsupported].
type CipherError struct {
	Name string // of the algorithm, for people
}

func (e *CipherError) Error() string {
	return "it is encrypted with " + e.Name + ", which is not read here"
}

func (e *CipherError) Unwrap() error { return ErrUnsupported }

// Legacy reports whether OpenSSL 3 has an algorithm, as a [KeyInfo], a [P12Info] or a
// [CipherError] names it, only in its legacy provider.
func Legacy(name string) bool {
	name = strings.ToUpper(name)
	return !strings.Contains(name, "TRIPLEDES") && slices.ContainsFunc([]string{"DES-CBC", "RC2", "RC4", "SEED", "IDEA", "BF-", "CAST5"}, func(old string) bool {
		return strings.Contains(name, old)
	})
}

// scheme is a password-based encryption scheme with its parameters. Exactly
// one of other, prf and n is set.
type scheme struct {
	other      string // name of a scheme that is not PBES2
	prf        *prf   // PBKDF2
	n, r, p    int    // scrypt
	cipher     *blockCipher
	salt, iv   []byte
	iterations int // 0 for scrypt
}

func (s scheme) String() string {
	switch {
	case s.other != "":
		return s.other
	case s.prf != nil:
		return "PBES2 " + s.cipher.name + " PBKDF2-" + s.prf.name
	}
	return "PBES2 " + s.cipher.name + " scrypt"
}

// encrypted is an EncryptedPrivateKeyInfo (RFC 5958 section 3).
type encrypted struct {
	scheme scheme
	data   []byte
}

func parseEncrypted(der []byte) (encrypted, error) {
	var e encrypted
	in := cryptobyte.String(der)
	var seq, alg, data cryptobyte.String
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() ||
		!seq.ReadASN1(&alg, cbasn1.SEQUENCE) ||
		!seq.ReadASN1(&data, cbasn1.OCTET_STRING) || !seq.Empty() {
		return e, damaged("it is not an encrypted PKCS #8 key")
	}
	s, err := parseScheme(alg)
	if err != nil {
		return e, err
	}
	return encrypted{s, data}, nil
}

// parseScheme reads the content of an AlgorithmIdentifier: PBES2, or one with
// the parameters SEQUENCE { salt, iterations }.
func parseScheme(alg cryptobyte.String) (scheme, error) {
	var oid asn1.ObjectIdentifier
	var params cryptobyte.String
	bad := func() (scheme, error) { return scheme{}, damaged("its encryption parameters cannot be read") }
	if !alg.ReadASN1ObjectIdentifier(&oid) || !alg.ReadASN1(&params, cbasn1.SEQUENCE) || !alg.Empty() {
		return bad()
	}
	if oid.Equal(oidPBES2) {
		return parsePBES2(params)
	}
	s := scheme{other: otherSchemes[oid.String()]}
	if s.other == "" {
		s.other = "encryption " + oid.String()
	}
	if !params.ReadASN1Bytes(&s.salt, cbasn1.OCTET_STRING) || !params.ReadASN1Integer(&s.iterations) ||
		!params.Empty() || !saneIterations(s.iterations) {
		return bad()
	}
	return s, nil
}

func parsePBES2(params cryptobyte.String) (scheme, error) {
	bad := func(what string) (scheme, error) { return scheme{}, damaged(what) }
	var kdf, kdfParams, enc cryptobyte.String
	var kdfOID, encOID asn1.ObjectIdentifier
	var s scheme
	if !params.ReadASN1(&kdf, cbasn1.SEQUENCE) || !params.ReadASN1(&enc, cbasn1.SEQUENCE) || !params.Empty() ||
		!kdf.ReadASN1ObjectIdentifier(&kdfOID) || !kdf.ReadASN1(&kdfParams, cbasn1.SEQUENCE) || !kdf.Empty() ||
		!enc.ReadASN1ObjectIdentifier(&encOID) || !enc.ReadASN1Bytes(&s.iv, cbasn1.OCTET_STRING) || !enc.Empty() {
		return bad("its PBES2 parameters cannot be read")
	}
	for i := range ciphers {
		if ciphers[i].oid.Equal(encOID) {
			s.cipher = &ciphers[i]
		}
	}
	if s.cipher == nil {
		return scheme{}, &CipherError{cmp.Or(otherCiphers[encOID.String()], "the cipher "+encOID.String())}
	}
	var ok bool
	switch {
	case kdfOID.Equal(oidPBKDF2):
		ok = s.readPBKDF2(kdfParams)
	case kdfOID.Equal(oidScrypt):
		ok = s.readScrypt(kdfParams)
	default:
		return scheme{}, unsupported("its key is derived by " + kdfOID.String())
	}
	if !ok {
		return bad("the parameters of its key derivation cannot be read")
	}
	return s, nil
}

func (s *scheme) readPBKDF2(in cryptobyte.String) bool {
	keyLen := 0
	s.prf = &prfs[0]
	if !in.ReadASN1Bytes(&s.salt, cbasn1.OCTET_STRING) || !in.ReadASN1Integer(&s.iterations) || !saneIterations(s.iterations) {
		return false
	}
	if in.PeekASN1Tag(cbasn1.INTEGER) && (!in.ReadASN1Integer(&keyLen) || keyLen != s.cipher.keyLen) {
		return false
	}
	if in.Empty() {
		return true
	}
	var alg cryptobyte.String
	var oid asn1.ObjectIdentifier
	if !in.ReadASN1(&alg, cbasn1.SEQUENCE) || !in.Empty() || !alg.ReadASN1ObjectIdentifier(&oid) ||
		!alg.Empty() && !bytes.Equal(alg, []byte{5, 0}) { // NULL, as RFC 8018 has it
		return false
	}
	for i := range prfs {
		if prfs[i].oid.Equal(oid) {
			s.prf = &prfs[i]
			return true
		}
	}
	return false
}

// readScrypt reads scrypt-params (RFC 7914 section 7).
func (s *scheme) readScrypt(in cryptobyte.String) bool {
	if !in.ReadASN1Bytes(&s.salt, cbasn1.OCTET_STRING) ||
		!in.ReadASN1Integer(&s.n) || !in.ReadASN1Integer(&s.r) || !in.ReadASN1Integer(&s.p) {
		return false
	}
	return s.n > 1 && s.n <= maxScrypt && s.n&(s.n-1) == 0 && s.r > 0 && s.r <= 64 && s.p > 0 && s.p <= 16 &&
		128*s.n*s.r <= maxScrypt
}

func saneIterations(n int) bool { return n >= 1 && n <= maxIterations }

// open decrypts, and tells an altered key from a wrong passphrase. The error is
// [ErrPassphrase], [ErrDamaged] or [ErrUnsupported].
func (e encrypted) open(pass []byte) ([]byte, error) {
	s := e.scheme
	var key []byte
	var err error
	switch {
	case s.other == pbe3DES:
		s.cipher = &ciphers[0]
		key, s.iv, err = p12.NewKeys(string(pass)).ForTripleDES(s.salt, s.iterations)
		if err != nil {
			return nil, ErrPassphrase // it cannot be encoded as such a one
		}
	case s.other != "":
		return nil, &CipherError{s.other}
	case s.prf != nil:
		key, err = pbkdf2.Key(s.prf.hash, string(pass), s.salt, s.iterations, s.cipher.keyLen)
	default:
		key, err = scrypt.Key(pass, s.salt, s.n, s.r, s.p, s.cipher.keyLen)
	}
	if err != nil {
		return nil, damaged("its key derivation cannot be computed")
	}
	block, err := s.cipher.make(key)
	if err != nil {
		return nil, damaged("its cipher cannot be set up")
	}
	size := block.BlockSize()
	if len(s.iv) != size || len(e.data) == 0 || len(e.data)%size != 0 {
		return nil, damaged("its encrypted part was cut")
	}
	plain := make([]byte, len(e.data))
	cipher.NewCBCDecrypter(block, s.iv).CryptBlocks(plain, e.data)
	pad := int(plain[len(plain)-1])
	body, padded := bytes.CutSuffix(plain, bytes.Repeat([]byte{byte(pad)}, pad))
	if pad < 1 || pad > size || !padded {
		body = plain
	}
	return body, judge(body)
}

// judge tells a wrong passphrase from an altered file by the decrypted bytes:
// every private key is one SEQUENCE that begins with a small INTEGER (PKCS #8,
// PKCS #1, SEC 1), which no wrong passphrase gives. The padding alone proves
// nothing: it is right by accident once in 256 times.
func judge(plain []byte) error {
	in := cryptobyte.String(plain)
	var seq cryptobyte.String
	var version int
	if in.ReadASN1(&seq, cbasn1.SEQUENCE) && in.Empty() && seq.ReadASN1Integer(&version) && version >= 0 && version <= 1 {
		return nil
	}
	pkcs8 := []byte{2, 1, 0, 0x30} // version 0, then the algorithm
	for header := 2; header <= 4 && header < len(plain); header++ {
		if plain[0] == 0x30 && bytes.HasPrefix(plain[header:], pkcs8) {
			return damaged("its encrypted part was altered")
		}
	}
	return ErrPassphrase
}

// checkParts compares the parts of a private key, which say some things twice.
// crypto/x509 reads over it where they contradict each other.
func checkParts(der []byte, key crypto.Signer) error {
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		return checkPublic(der, k)
	case *rsa.PrivateKey:
		// The exponents and the coefficient of RFC 8017 appendix A.1.2 are computed
		// again from the primes. OpenSSL signs with those in the file.
		if !bytes.Contains(der, x509.MarshalPKCS1PrivateKey(k)) {
			return damaged("the parts of its private key do not belong together")
		}
	}
	return nil
}

// checkPublic compares the public key that an EC private key may carry (RFC
// 5915) with the one that follows from its scalar: an altered scalar would pass as
// somebody else's key.
func checkPublic(der []byte, ec *ecdsa.PrivateKey) error {
	in := cryptobyte.String(der)
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.SkipASN1(cbasn1.INTEGER) {
		return nil
	}
	if seq.PeekASN1Tag(cbasn1.SEQUENCE) { // PKCS #8 around it
		var inner cryptobyte.String
		if !seq.SkipASN1(cbasn1.SEQUENCE) || !seq.ReadASN1(&inner, cbasn1.OCTET_STRING) ||
			!inner.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.SkipASN1(cbasn1.INTEGER) {
			return nil
		}
	}
	var explicit cryptobyte.String
	var there bool
	params, public := cbasn1.Tag(0).ContextSpecific().Constructed(), cbasn1.Tag(1).ContextSpecific().Constructed()
	if !seq.SkipASN1(cbasn1.OCTET_STRING) || !seq.SkipOptionalASN1(params) ||
		!seq.ReadOptionalASN1(&explicit, &there, public) || !there {
		return nil
	}
	var bits []byte
	want, err := ec.PublicKey.Bytes()
	if err != nil || !explicit.ReadASN1BitStringAsBytes(&bits) {
		return damaged("its public key cannot be read")
	}
	// Some write the compressed point: its first octet is 2 or 3.
	if len(bits) > 0 && bits[0] == 4 && !bytes.Equal(bits, want) {
		return damaged("its private and its public key do not belong together")
	}
	return nil
}
