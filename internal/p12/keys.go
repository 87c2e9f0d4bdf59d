package p12

import (
	"bytes"
	"crypto"
	"crypto/des"
	"crypto/pbkdf2"
	"encoding"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Keys derives keys from one passphrase and remembers them, so that what they
// have encrypted can be opened again at no cost. Nobody may use them from two
// goroutines at a time, and they cannot be printed.
type Keys struct {
	pass  string
	known map[derivation][]byte
}

// derivation is all that a key depends on but the passphrase.
type derivation struct {
	purpose    byte // of appendix B.3 of RFC 7292; 0 for PBKDF2
	hash       crypto.Hash
	salt       string
	iterations int
	size       int // octets
}

// The purposes of a key, and the one of PBKDF2, which knows none.
const (
	forPBKDF2 byte = iota
	forCipher
	forIV
	forMAC
)

var errPassphrase = errors.New("the passphrase cannot be encoded in a PKCS #12 file: it has characters beyond U+FFFF, emoji for example")

// NewKeys begins with no key.
func NewKeys(pass string) *Keys { return &Keys{pass, map[derivation][]byte{}} }

// Format keeps passphrase and keys out of whatever is printed.
func (k *Keys) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[secret]") }

func (k *Keys) derive(d derivation) ([]byte, error) {
	if key, ok := k.known[d]; ok {
		return key, nil
	}
	var key []byte
	var err error
	if d.purpose == forPBKDF2 {
		key, err = pbkdf2.Key(d.hash.New, k.pass, []byte(d.salt), d.iterations, d.size)
	} else {
		var wide []byte
		if wide, err = bmp(k.pass); err == nil {
			key = pkcs12KDF(d, append(wide, 0, 0)) // appendix B.1: with its terminator
		}
	}
	if err == nil {
		k.known[d] = key
	}
	return key, err
}

// ForTripleDES derives key and IV of pbeWithSHAAnd3-KeyTripleDES-CBC (RFC 7292 appendix
// C), with which others have encrypted PKCS #8 keys.
func (k *Keys) ForTripleDES(salt []byte, iterations int) (key, iv []byte, err error) {
	if key, err = k.derive(derivation{forCipher, crypto.SHA1, string(salt), iterations, 24}); err != nil {
		return nil, nil, err
	}
	iv, err = k.derive(derivation{forIV, crypto.SHA1, string(salt), iterations, des.BlockSize})
	return key, iv, err
}

// recall gives only keys that were derived already: for any other, what a file
// says of its derivation is not what was done.
func (k *Keys) recall(d derivation) ([]byte, error) {
	if key, ok := k.known[d]; ok {
		return key, nil
	}
	return nil, errors.New("its salt or its iterations are not those that it was encrypted with")
}

// bmp is a BMPString in the narrow sense, with no surrogates: readers do not
// agree on those in passphrases.
func bmp(s string) ([]byte, error) {
	out := make([]byte, 0, 2*len(s)+2)
	for _, r := range s {
		if r > 0xffff {
			return nil, errPassphrase
		}
		out = binary.BigEndian.AppendUint16(out, uint16(r))
	}
	return out, nil
}

// blockSize is v/8 of RFC 7292 appendix B.2 for SHA-1 and SHA-256.
const blockSize = 64

// pkcs12KDF is the derivation of RFC 7292 appendix B.2; the names are those of
// its steps.
func pkcs12KDF(d derivation, password []byte) []byte {
	di := bytes.Repeat([]byte{d.purpose}, blockSize)
	di = append(di, fill([]byte(d.salt))...)
	di = append(di, fill(password)...)
	var out []byte
	for {
		a := rehash(d.hash, di, d.iterations)
		if out = append(out, a...); len(out) >= d.size {
			return out[:d.size]
		}
		b := fill(a)
		for i := di[blockSize:]; len(i) > 0; i = i[blockSize:] {
			carry := 1
			for j := blockSize - 1; j >= 0; j-- {
				carry += int(i[j]) + int(b[j])
				i[j], carry = byte(carry), carry>>8
			}
		}
	}
}

// rehash hashes n times in all. What is hashed from the second time on is one block
// that always ends in the same padding (FIPS 180-4, 5.1.1): it is padded once, and
// the state after it is the sum. Sum would pad anew, which is a third of the time of
// a .p12. The state is read as crypto/sha1 and crypto/sha256 encode it, behind a
// magic number of four octets; a Go that encodes it otherwise fails the known
// answers, and no file passes the check that opens the first of each run.
func rehash(kind crypto.Hash, in []byte, n int) []byte {
	h := kind.New()
	h.Write(in)
	a := h.Sum(nil)
	block := make([]byte, blockSize)
	block[len(a)] = 0x80
	binary.BigEndian.PutUint16(block[blockSize-2:], uint16(8*len(a)))
	state := make([]byte, 0, 2*blockSize)
	for range n - 1 {
		copy(block, a)
		h.Reset()
		h.Write(block)
		state, _ = h.(encoding.BinaryAppender).AppendBinary(state[:0])
		a = state[4 : 4+len(a)]
	}
	return a
}

// fill repeats a string until it fills whole blocks; an empty one stays empty.
func fill(s []byte) []byte {
	if len(s) == 0 {
		return nil
	}
	size := (len(s) + blockSize - 1) / blockSize * blockSize
	return bytes.Repeat(s, size/len(s)+1)[:size]
}
