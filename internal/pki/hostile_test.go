package pki

import (
	"bytes"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// hostileP12 is a PKCS #12 file (RFC 7292) whose parts ask for what they like.
type hostileP12 struct {
	keys, keyRounds, mac int64 // bags with an encrypted key, and rounds
	salt                 int   // octets
	encrypted            int64 // rounds of an encrypted part, 0 for none
}

func (h hostileP12) der() []byte {
	seq := func(b *cryptobyte.Builder, f func(*cryptobyte.Builder)) { b.AddASN1(cbasn1.SEQUENCE, f) }
	explicit := func(b *cryptobyte.Builder, f func(*cryptobyte.Builder)) { b.AddASN1(contextZero, f) }
	pbe := func(b *cryptobyte.Builder, rounds int64) {
		seq(b, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 3})
			seq(b, func(b *cryptobyte.Builder) {
				b.AddASN1OctetString(make([]byte, h.salt))
				b.AddASN1Int64(rounds)
			})
		})
	}
	octets := func(b *cryptobyte.Builder, f func(*cryptobyte.Builder)) { b.AddASN1(cbasn1.OCTET_STRING, f) }
	var b cryptobyte.Builder
	seq(&b, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(3)
		seq(b, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidData)
			explicit(b, func(b *cryptobyte.Builder) {
				octets(b, func(b *cryptobyte.Builder) {
					seq(b, func(b *cryptobyte.Builder) {
						if h.encrypted != 0 {
							seq(b, func(b *cryptobyte.Builder) {
								b.AddASN1ObjectIdentifier(oidEncryptedData)
								explicit(b, func(b *cryptobyte.Builder) {
									seq(b, func(b *cryptobyte.Builder) {
										b.AddASN1Int64(0)
										seq(b, func(b *cryptobyte.Builder) {
											b.AddASN1ObjectIdentifier(oidData)
											pbe(b, h.encrypted)
											b.AddASN1(cbasn1.Tag(0).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(make([]byte, 64)) })
										})
									})
								})
							})
						}
						seq(b, func(b *cryptobyte.Builder) {
							b.AddASN1ObjectIdentifier(oidData)
							explicit(b, func(b *cryptobyte.Builder) {
								octets(b, func(b *cryptobyte.Builder) {
									seq(b, func(b *cryptobyte.Builder) {
										for range h.keys {
											seq(b, func(b *cryptobyte.Builder) {
												b.AddASN1ObjectIdentifier(oidShroudedKey)
												explicit(b, func(b *cryptobyte.Builder) {
													seq(b, func(b *cryptobyte.Builder) {
														pbe(b, h.keyRounds)
														b.AddASN1OctetString(make([]byte, 64))
													})
												})
											})
										}
									})
								})
							})
						})
					})
				})
			})
		})
		seq(b, func(b *cryptobyte.Builder) {
			seq(b, func(b *cryptobyte.Builder) {
				seq(b, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26})
				})
				b.AddASN1OctetString(make([]byte, 20))
			})
			b.AddASN1OctetString(make([]byte, h.salt))
			b.AddASN1Int64(h.mac)
		})
	})
	return b.BytesOrPanic()
}

// TestHostileContainersAreAnsweredSoon asks for years of work, for a lot of
// memory, and for a deep stack.
func TestHostileContainersAreAnsweredSoon(t *testing.T) {
	containers := map[string][]byte{
		"sound":                hostileP12{1, 2048, 2048, 8, 2048}.der(),
		"a salt of 256 KiB":    hostileP12{1, 2048, 2048, 256 << 10, 2048}.der(),
		"20000 keys":           hostileP12{20_000, 2048, 2048, 8, 0}.der(),
		"nested, indefinite":   bytes.Repeat([]byte{0x30, 0x80}, 1<<17),
		"nested, definite":     nested(3_000),
		"a length of 4 GiB":    {0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 2, 1, 3},
		"a length of 2^63":     {0x30, 0x88, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"nothing":              {},
		"an object identifier": {0x30, 0x0d, 2, 1, 3, 0x30, 8, 6, 6, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
	}
	for _, n := range []int64{0, -1, maxIterations + 1, math.MaxInt32, math.MaxInt32 + 1, math.MaxInt64, math.MinInt64} {
		containers[fmt.Sprintf("%d rounds of the MAC", n)] = hostileP12{1, 2048, n, 8, 0}.der()
		containers[fmt.Sprintf("%d rounds of a key", n)] = hostileP12{1, n, 2048, 8, 0}.der()
		if n != 0 {
			containers[fmt.Sprintf("%d rounds of a part", n)] = hostileP12{1, 2048, 2048, 8, n}.der()
		}
	}
	for name, der := range containers {
		within(t, 20*time.Second, func() {
			_, err := InspectP12(der)
			known(t, err)
			if sound := name == "sound" || name == "a salt of 256 KiB" || name == "20000 keys"; sound != (err == nil) {
				t.Errorf("%s: %v", name, err)
			}
			if _, err = OpenP12(der, pass("pw")); err == nil {
				t.Errorf("%s: opened", name)
			}
			known(t, err)
			// The same bytes as a key, and as all that is public.
			for _, kind := range []string{pemEncryptedKey, "PRIVATE KEY", "EC PRIVATE KEY", pemCSR, pemCRL, pemCertificate} {
				data := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
				_, err := OpenKey(data, pass("pw"))
				known(t, err)
				_, csr := ParseCSR(data)
				_, crl := ParseCRLs(data)
				_, crt := ParseCertificates(data)
				for _, err := range []error{csr, crl, crt} {
					known(t, err)
				}
				if err == nil || csr == nil || crl == nil || crt == nil {
					t.Errorf("%s, as %s: taken", name, kind)
				}
			}
		})
		if t.Failed() {
			t.Fatalf("that was %s", name)
		}
	}
}

func nested(depth int) []byte {
	der := []byte{5, 0}
	for range depth {
		var b cryptobyte.Builder
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(der) })
		der = b.BytesOrPanic()
	}
	return der
}
