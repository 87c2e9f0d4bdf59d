package pki

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"io"
	"math/big"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// WriteText prints a certificate in the form of "openssl x509 -text -noout"
// (OpenSSL 3.0): byte for byte for certificates that mtlsplan issues, and for
// those that people usually make by hand. An extension that it cannot take apart
// is shown as OpenSSL shows one that it does not know: printable bytes as they
// are, others as dots. Nothing that is printed can steer a terminal.
func WriteText(w io.Writer, cert *x509.Certificate) error {
	p := &printer{w: bufio.NewWriter(w)}
	algorithm := algorithmName(cert.Raw)
	p.line(0, "Certificate:")
	p.line(4, "Data:")
	p.line(8, "Version: %d (0x%x)", cert.Version, cert.Version-1)
	p.serial(cert.SerialNumber)
	p.line(8, "Signature Algorithm: %s", algorithm)
	p.line(8, "Issuer: %s", opensslName(cert.RawIssuer))
	p.line(8, "Validity")
	p.line(12, "Not Before: %s", cert.NotBefore.UTC().Format(opensslTime))
	p.line(12, "Not After : %s", cert.NotAfter.UTC().Format(opensslTime))
	p.line(8, "Subject: %s", opensslName(cert.RawSubject))
	p.publicKey(cert)
	if len(cert.Extensions) > 0 {
		p.line(8, "X509v3 extensions:")
		for _, e := range cert.Extensions {
			critical := ""
			if e.Critical {
				critical = "critical"
			}
			p.line(12, "%s: %s", nameOf(e.Id, extensionNames), critical)
			for _, l := range extensionText(e.Id, e.Value) {
				p.line(16, "%s", l)
			}
		}
	}
	p.line(4, "Signature Algorithm: %s", algorithm)
	p.line(4, "Signature Value:")
	p.bytes(8, 18, cert.Signature)
	return p.w.Flush()
}

const opensslTime = "Jan _2 15:04:05 2006 GMT"

// printer writes lines; the error of the first that fails is kept by its
// writer.
type printer struct{ w *bufio.Writer }

func (p *printer) line(indent int, format string, args ...any) {
	fmt.Fprintf(p.w, "%*s"+format+"\n", append([]any{indent, ""}, args...)...)
}

// bytes prints hex in lines of n bytes.
func (p *printer) bytes(indent, n int, b []byte) {
	for len(b) > n {
		p.line(indent, "%s:", colons(b[:n]))
		b = b[n:]
	}
	p.line(indent, "%s", colons(b))
}

func colons(b []byte) string {
	parts := make([]string, len(b))
	for i := range b {
		parts[i] = hex.EncodeToString(b[i : i+1])
	}
	return strings.Join(parts, ":")
}

func (p *printer) serial(n *big.Int) {
	if n.IsInt64() && n.Sign() >= 0 {
		p.line(8, "Serial Number: %d (0x%x)", n, n)
		return
	}
	p.line(8, "Serial Number:")
	p.line(12, "%s", colons(n.Bytes()))
}

func (p *printer) publicKey(cert *x509.Certificate) {
	p.line(8, "Subject Public Key Info:")
	p.line(12, "Public Key Algorithm: %s", publicKeyAlgorithm(cert))
	switch k := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		p.line(16, "Public-Key: (%d bit)", k.N.BitLen())
		p.line(16, "Modulus:")
		modulus := k.N.Bytes()
		if modulus[0] >= 0x80 {
			modulus = append([]byte{0}, modulus...)
		}
		p.bytes(20, 15, modulus)
		p.line(16, "Exponent: %d (0x%x)", k.E, k.E)
	case *ecdsa.PublicKey:
		point, err := k.Bytes()
		if err != nil {
			return
		}
		p.line(16, "Public-Key: (%d bit)", k.Curve.Params().BitSize)
		p.line(16, "pub:")
		p.bytes(20, 15, point)
		p.line(16, "ASN1 OID: %s", curveNames[k.Curve])
		p.line(16, "NIST CURVE: %s", k.Curve.Params().Name)
	case ed25519.PublicKey:
		p.line(16, "ED25519 Public-Key:")
		p.line(16, "pub:")
		p.bytes(20, 15, k)
	default:
		p.line(12, "Unable to load Public Key")
	}
}

var curveNames = map[elliptic.Curve]string{
	elliptic.P224(): "secp224r1", elliptic.P256(): "prime256v1", elliptic.P384(): "secp384r1", elliptic.P521(): "secp521r1",
}

// algorithmNames are OpenSSL's long names of keys and signatures.
var algorithmNames = map[string]string{
	"1.2.840.113549.1.1.1":   "rsaEncryption",
	"1.2.840.113549.1.1.4":   "md5WithRSAEncryption",
	"1.2.840.113549.1.1.5":   "sha1WithRSAEncryption",
	"1.2.840.113549.1.1.10":  "rsassaPss",
	"1.2.840.113549.1.1.11":  "sha256WithRSAEncryption",
	"1.2.840.113549.1.1.12":  "sha384WithRSAEncryption",
	"1.2.840.113549.1.1.13":  "sha512WithRSAEncryption",
	"1.2.840.113549.1.1.14":  "sha224WithRSAEncryption",
	"1.2.840.10045.2.1":      "id-ecPublicKey",
	"1.2.840.10045.4.1":      "ecdsa-with-SHA1",
	"1.2.840.10045.4.3.1":    "ecdsa-with-SHA224",
	"1.2.840.10045.4.3.2":    "ecdsa-with-SHA256",
	"1.2.840.10045.4.3.3":    "ecdsa-with-SHA384",
	"1.2.840.10045.4.3.4":    "ecdsa-with-SHA512",
	"1.2.840.10040.4.1":      "dsaEncryption",
	"2.16.840.1.101.3.4.3.2": "dsa_with_SHA256",
	"1.3.101.110":            "X25519",
	"1.3.101.112":            "ED25519",
	"1.3.101.113":            "ED448",
}

// algorithmName reads the signature algorithm of a signed DER structure.
func algorithmName(der []byte) string {
	in := cryptobyte.String(der)
	var seq, alg cryptobyte.String
	var oid asn1.ObjectIdentifier
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.SkipASN1(cbasn1.SEQUENCE) ||
		!seq.ReadASN1(&alg, cbasn1.SEQUENCE) || !alg.ReadASN1ObjectIdentifier(&oid) {
		return "unknown"
	}
	return nameOf(oid, algorithmNames)
}

func publicKeyAlgorithm(cert *x509.Certificate) string {
	in := cryptobyte.String(cert.RawSubjectPublicKeyInfo)
	var seq, alg cryptobyte.String
	var oid asn1.ObjectIdentifier
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.ReadASN1(&alg, cbasn1.SEQUENCE) || !alg.ReadASN1ObjectIdentifier(&oid) {
		return "unknown"
	}
	return nameOf(oid, algorithmNames)
}
