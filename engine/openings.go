package engine

import (
	"crypto/sha256"
	"sync"

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

type openedKey struct{ key any }
