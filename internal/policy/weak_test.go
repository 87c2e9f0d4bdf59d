package policy

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"strings"
	"testing"
)

func TestWeakKeys(t *testing.T) {
	good, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	// A power of 65537 has the fingerprint of the chips' moduli in every small prime.
	roca := &rsa.PublicKey{N: new(big.Int).Exp(big.NewInt(65537), big.NewInt(128), nil), E: 65537}
	short := &rsa.PublicKey{N: new(big.Int).Lsh(good.N, 0).Rsh(good.N, 1), E: 65537}
	for _, c := range []struct {
		name string
		key  crypto.PublicKey
		want string
	}{
		{"rsa-2048", &good.PublicKey, ""}, {"p256", &p256.PublicKey, ""}, {"ed25519", ed, ""},
		{"roca", roca, "ROCA"}, {"2047 bits", short, "2047 bits"}, {"p224", &p224.PublicKey, "P-224"}, {"nothing", nil, "type"},
	} {
		err := weak(c.key)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
