package inventory

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"

	"mtlsplan/internal/secret"
)

func sprint(v any) string { return fmt.Sprintf("%+v", v) }

func line(data []byte) secret.Value { return secret.Line(data) }

func digestsOf(secret []byte) map[string][]byte {
	sum1, sum256, sum512, md := sha1.Sum(secret), sha256.Sum256(secret), sha512.Sum512(secret), md5.Sum(secret)
	return map[string][]byte{"a passphrase": secret, "its SHA-1": sum1[:], "its SHA-256": sum256[:], "its SHA-512": sum512[:], "its MD5": md[:]}
}
