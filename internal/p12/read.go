package p12

import (
	"bytes"
	"crypto/cipher"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"unicode/utf16"
)

var errOther = errors.New("it is not as it was written")

// Read reads a file that these Keys have written, and derives no key: the check
// of what was written. What was read is written again with the same salts and IVs,
// and must come to the same octets.
func (k *Keys) Read(s Scheme, der []byte) (Content, error) {
	var file pfx
	var safe authenticatedSafe
	var of keyBags
	if !parse(der, &file) || !parse(file.Safe.Data, &safe) || !parse(safe.Key.Data, &of) {
		return Content{}, errOther
	}
	info := safe.Certs.Content.Info
	certs, sound := s.part(info.Algorithm, info.Data)
	key, soundKey := s.part(of.Bag.Key.Algorithm, of.Bag.Key.Data)
	if !sound || !soundKey {
		return Content{}, errOther
	}
	plain, err := k.decrypt(s, certs)
	if err != nil {
		return Content{}, err
	}
	var bags []certBag
	if !parse(plain, &bags) || len(bags) == 0 {
		return Content{}, errOther
	}
	c := Content{Name: nameOf(of.Bag.Attributes)}
	for i := range bags {
		c.Certs = append(c.Certs, bags[i].Cert.DER)
	}
	if c.Key, err = k.decrypt(s, key); err != nil {
		return Content{}, err
	}
	mac := params{salt: file.MAC.Salt, iterations: file.MAC.Iterations}
	again, err := s.file(c, certs.params, key.params, mac, k.recall)
	if err == nil && !bytes.Equal(again, der) {
		err = errOther
	}
	if err != nil {
		return Content{}, err
	}
	return c, nil
}

// ReadKey is Read for what [Keys.WriteKey] has written. Nothing authenticates the
// IV, so that the caller must compare the key to the last octet.
func (k *Keys) ReadKey(der []byte) ([]byte, error) {
	var enc encryptedKey
	if !parse(der, &enc) {
		return nil, errOther
	}
	p, sound := AES256.part(enc.Algorithm, enc.Data)
	if !sound {
		return nil, errOther
	}
	key, err := k.decrypt(AES256, p)
	if err != nil {
		return nil, err
	}
	again, err := keyFile(key, p.params, k.recall)
	if err == nil && !bytes.Equal(again, der) {
		err = errOther
	}
	if err != nil {
		return nil, err
	}
	return key, nil
}

func parse(der []byte, to any) bool {
	rest, err := asn1.Unmarshal(der, to)
	return err == nil && len(rest) == 0
}

// part is what was encrypted, with the parameters of its algorithm.
func (s Scheme) part(alg pkix.AlgorithmIdentifier, data []byte) (part, bool) {
	if s == TripleDES {
		var p pbeParams
		sound := parse(alg.Parameters.FullBytes, &p)
		return part{params{salt: p.Salt, iterations: p.Iterations}, data}, sound
	}
	var p pbes2Params
	sound := parse(alg.Parameters.FullBytes, &p)
	return part{params{p.KDF.Params.Salt, p.KDF.Params.Iterations, p.Cipher.IV}, data}, sound
}

// decrypt takes the padding for what its last octet says: whether it is that, the
// writing of it again tells.
func (k *Keys) decrypt(s Scheme, p part) ([]byte, error) {
	block, iv, err := s.cipher(p.params, k.recall)
	if err != nil {
		return nil, err
	}
	if len(p.data) == 0 || len(p.data)%s.size() != 0 || len(iv) != s.size() {
		return nil, errOther
	}
	plain := make([]byte, len(p.data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, p.data)
	rest := len(plain) - int(plain[len(plain)-1])
	if rest < 0 {
		return nil, errOther
	}
	return plain[:rest], nil
}

func nameOf(list []attribute) string {
	for _, a := range list {
		if a.Type.Equal(oidFriendlyName) && len(a.Values) == 1 {
			octets := a.Values[0].Bytes
			units := make([]uint16, len(octets)/2)
			for i := range units {
				units[i] = binary.BigEndian.Uint16(octets[2*i:])
			}
			return string(utf16.Decode(units))
		}
	}
	return ""
}
