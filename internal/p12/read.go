package p12

import (
	"bytes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/asn1"
	"errors"
	"unicode/utf16"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Errors of reading what was written.
var (
	errForm    = errors.New("it is not encoded as it should be")
	errMAC     = errors.New("its MAC is wrong")
	errPadding = errors.New("its padding is wrong")
	errIDs     = errors.New("its key and its certificate are not named alike")
)

// Read reads a file that these Keys have written, and derives no key: the check
// of what was written. Any other file is an error, also one that only differs in
// how it is encoded.
func (k *Keys) Read(s Scheme, der []byte) (Content, error) {
	safe, mac, err := s.readPFX(der)
	if err != nil {
		return Content{}, err
	}
	sum, err := s.mac(safe, mac.params, k.recall)
	if err != nil {
		return Content{}, err
	}
	if !hmac.Equal(sum, mac.data) {
		return Content{}, errMAC
	}
	certs, key, keyAttributes, err := s.readSafe(safe)
	if err != nil {
		return Content{}, err
	}
	bags, err := k.decrypt(s, certs)
	if err != nil {
		return Content{}, err
	}
	var c Content
	var certAttributes attributes
	if c.Certs, certAttributes, err = readCertBags(bags); err != nil {
		return Content{}, err
	}
	if c.Key, err = k.decrypt(s, key); err != nil {
		return Content{}, err
	}
	id := sha1.Sum(c.Certs[0])
	if keyAttributes != certAttributes || keyAttributes.id != string(id[:]) {
		return Content{}, errIDs
	}
	c.Name = keyAttributes.name
	return c, nil
}

// ReadKey is Read for what [Keys.WriteKey] has written. Nothing authenticates the
// IV, so that the caller must compare the key to the last octet.
func (k *Keys) ReadKey(der []byte) ([]byte, error) {
	var seq cryptobyte.String
	var p part
	in := cryptobyte.String(der)
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() || !AES256.readAlgorithm(&seq, &p.params) ||
		!seq.ReadASN1Bytes(&p.data, cbasn1.OCTET_STRING) || !seq.Empty() {
		return nil, errForm
	}
	return k.decrypt(AES256, p)
}

func (k *Keys) decrypt(s Scheme, p part) ([]byte, error) {
	block, iv, err := s.cipher(p.params, k.recall)
	if err != nil {
		return nil, err
	}
	size := block.BlockSize()
	if len(p.data) == 0 || len(p.data)%size != 0 || len(iv) != size {
		return nil, errForm
	}
	plain := make([]byte, len(p.data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, p.data)
	n := int(plain[len(plain)-1])
	if n < 1 || n > size || !bytes.Equal(pad(plain[:len(plain)-n], size), plain) {
		return nil, errPadding
	}
	return plain[:len(plain)-n], nil
}

// readPFX gives what the MAC covers, and the MAC.
func (s Scheme) readPFX(der []byte) (safe []byte, mac part, err error) {
	var seq, content, data, info cryptobyte.String
	var version int
	file := cryptobyte.String(der)
	_, hash := s.hash()
	mac.iterations = 1
	ok := file.ReadASN1(&seq, cbasn1.SEQUENCE) && file.Empty() && seq.ReadASN1Integer(&version) && version == 3 &&
		readContentInfo(&seq, oidData, &content) && content.ReadASN1Bytes(&safe, cbasn1.OCTET_STRING) && content.Empty() &&
		seq.ReadASN1(&data, cbasn1.SEQUENCE) && seq.Empty() &&
		data.ReadASN1(&info, cbasn1.SEQUENCE) && readIdentifier(&info, hash, readNull) &&
		info.ReadASN1Bytes(&mac.data, cbasn1.OCTET_STRING) && info.Empty() &&
		data.ReadASN1Bytes(&mac.salt, cbasn1.OCTET_STRING) &&
		(data.Empty() || data.ReadASN1Integer(&mac.iterations) && mac.iterations != 1 && data.Empty())
	if !ok {
		return nil, part{}, errForm
	}
	return safe, mac, nil
}

// readSafe gives the two encrypted parts, and how the key is named.
func (s Scheme) readSafe(safe []byte) (certs, key part, named attributes, err error) {
	var infos, content, data, enc, bags, bag, value, shrouded cryptobyte.String
	var version int
	var oid asn1.ObjectIdentifier
	in := cryptobyte.String(safe)
	ok := in.ReadASN1(&infos, cbasn1.SEQUENCE) && in.Empty() &&
		readContentInfo(&infos, oidEncryptedData, &content) && content.ReadASN1(&data, cbasn1.SEQUENCE) && content.Empty() &&
		data.ReadASN1Integer(&version) && version == 0 && data.ReadASN1(&enc, cbasn1.SEQUENCE) && data.Empty() &&
		enc.ReadASN1ObjectIdentifier(&oid) && oid.Equal(oidData) && s.readAlgorithm(&enc, &certs.params) &&
		enc.ReadASN1Bytes(&certs.data, implicit) && enc.Empty() &&
		readContentInfo(&infos, oidData, &content) && infos.Empty() &&
		content.ReadASN1(&data, cbasn1.OCTET_STRING) && content.Empty() &&
		data.ReadASN1(&bags, cbasn1.SEQUENCE) && data.Empty() && bags.ReadASN1(&bag, cbasn1.SEQUENCE) && bags.Empty() &&
		bag.ReadASN1ObjectIdentifier(&oid) && oid.Equal(oidShroudedKey) &&
		bag.ReadASN1(&value, explicit) && value.ReadASN1(&shrouded, cbasn1.SEQUENCE) && value.Empty() &&
		s.readAlgorithm(&shrouded, &key.params) && shrouded.ReadASN1Bytes(&key.data, cbasn1.OCTET_STRING) && shrouded.Empty() &&
		readAttributes(&bag, &named) && bag.Empty()
	if !ok {
		return part{}, part{}, attributes{}, errForm
	}
	return certs, key, named, nil
}

// readCertBags gives the certificates, and how the first is named; the others
// have no name.
func readCertBags(der []byte) (certs [][]byte, named attributes, err error) {
	var bags cryptobyte.String
	in := cryptobyte.String(der)
	if !in.ReadASN1(&bags, cbasn1.SEQUENCE) || !in.Empty() || bags.Empty() {
		return nil, named, errForm
	}
	for !bags.Empty() {
		var bag, value, cert, wrapped cryptobyte.String
		var oid asn1.ObjectIdentifier
		var octets []byte
		if !bags.ReadASN1(&bag, cbasn1.SEQUENCE) || !bag.ReadASN1ObjectIdentifier(&oid) || !oid.Equal(oidCertBag) ||
			!bag.ReadASN1(&value, explicit) || !value.ReadASN1(&cert, cbasn1.SEQUENCE) || !value.Empty() ||
			!cert.ReadASN1ObjectIdentifier(&oid) || !oid.Equal(oidX509) || !cert.ReadASN1(&wrapped, explicit) || !cert.Empty() ||
			!wrapped.ReadASN1Bytes(&octets, cbasn1.OCTET_STRING) || !wrapped.Empty() ||
			len(certs) == 0 && !readAttributes(&bag, &named) || !bag.Empty() {
			return nil, named, errForm
		}
		certs = append(certs, octets)
	}
	return certs, named, nil
}

// attributes are those of a bag.
type attributes struct{ id, name string }

func readAttributes(bag *cryptobyte.String, to *attributes) bool {
	var set cryptobyte.String
	if !bag.ReadASN1(&set, cbasn1.SET) {
		return false
	}
	for !set.Empty() {
		var one, values, value cryptobyte.String
		var oid asn1.ObjectIdentifier
		var tag cbasn1.Tag
		if !set.ReadASN1(&one, cbasn1.SEQUENCE) || !one.ReadASN1ObjectIdentifier(&oid) ||
			!one.ReadASN1(&values, cbasn1.SET) || !one.Empty() || !values.ReadAnyASN1(&value, &tag) || !values.Empty() {
			return false
		}
		switch {
		case oid.Equal(oidLocalKeyID) && tag == cbasn1.OCTET_STRING && to.id == "":
			to.id = string(value)
		case oid.Equal(oidFriendlyName) && tag == bmpTag && to.name == "" && len(value)%2 == 0:
			units := make([]uint16, len(value)/2)
			for i := range units {
				units[i] = uint16(value[2*i])<<8 | uint16(value[2*i+1])
			}
			to.name = string(utf16.Decode(units))
		default:
			return false
		}
	}
	return true
}

func readContentInfo(in *cryptobyte.String, want asn1.ObjectIdentifier, content *cryptobyte.String) bool {
	var seq cryptobyte.String
	var oid asn1.ObjectIdentifier
	return in.ReadASN1(&seq, cbasn1.SEQUENCE) && seq.ReadASN1ObjectIdentifier(&oid) && oid.Equal(want) &&
		seq.ReadASN1(content, explicit) && seq.Empty()
}

// readIdentifier reads an AlgorithmIdentifier of the one algorithm that it may be.
func readIdentifier(in *cryptobyte.String, want asn1.ObjectIdentifier, parameters func(*cryptobyte.String) bool) bool {
	var seq cryptobyte.String
	var oid asn1.ObjectIdentifier
	return in.ReadASN1(&seq, cbasn1.SEQUENCE) && seq.ReadASN1ObjectIdentifier(&oid) && oid.Equal(want) &&
		parameters(&seq) && seq.Empty()
}

func readNull(in *cryptobyte.String) bool {
	var null cryptobyte.String
	return in.ReadASN1(&null, cbasn1.NULL) && null.Empty()
}

func (s Scheme) readAlgorithm(in *cryptobyte.String, p *params) bool {
	salted := func(in *cryptobyte.String) bool {
		return in.ReadASN1Bytes(&p.salt, cbasn1.OCTET_STRING) && in.ReadASN1Integer(&p.iterations)
	}
	if s == TripleDES {
		return readIdentifier(in, oidPBE3DES, func(in *cryptobyte.String) bool {
			var seq cryptobyte.String
			return in.ReadASN1(&seq, cbasn1.SEQUENCE) && salted(&seq) && seq.Empty()
		})
	}
	return readIdentifier(in, oidPBES2, func(in *cryptobyte.String) bool {
		var seq, kdf cryptobyte.String
		return in.ReadASN1(&seq, cbasn1.SEQUENCE) &&
			readIdentifier(&seq, oidPBKDF2, func(in *cryptobyte.String) bool {
				return in.ReadASN1(&kdf, cbasn1.SEQUENCE) && salted(&kdf) && readIdentifier(&kdf, oidHMACSHA256, readNull) && kdf.Empty()
			}) &&
			readIdentifier(&seq, oidAES256CBC, func(in *cryptobyte.String) bool {
				return in.ReadASN1Bytes(&p.iv, cbasn1.OCTET_STRING)
			}) && seq.Empty()
	})
}
