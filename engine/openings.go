package engine

import (
	"crypto"
	"crypto/sha256"
	"sync"

	"mtlsplan/internal/pki"
	"mtlsplan/internal/secret"
)

// openings remembers which container opened under which passphrase, so that a
// file which this run has made or opened is not put through its key derivation
// again. It lives as long as the process and holds no passphrase.
type openings struct {
	m sync.Map // digest of container and passphrase → what was found
}

func (o *openings) id(data []byte, pass secret.Value) [32]byte {
	h := sha256.New()
	inner := sha256.Sum256([]byte(pass.Reveal()))
	h.Write(inner[:])
	h.Write(data)
	return [32]byte(h.Sum(nil))
}

// opened is one of them.
type opened struct {
	id    [32]byte
	found any // openedKey or openedP12
}

func (o *openings) keep(list []opened) {
	for _, one := range list {
		o.m.Store(one.id, one.found)
	}
}

type openedKey struct {
	typ    pki.KeyType
	public string
}

func openedKeyOf(key crypto.PublicKey) openedKey {
	return openedKey{pki.KeyTypeOf(key), pki.PublicID(key)}
}

type openedP12 struct {
	cert   [sha256.Size]byte // digest of the DER
	public string
}
