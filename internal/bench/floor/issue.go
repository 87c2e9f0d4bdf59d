package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/youmark/pkcs8"
	"software.sslmate.com/src/go-pkcs12"
)

// iterations is the PBKDF2 count of keys and .p12 files: openssl's, and mtlsplan's
// for a generated passphrase.
const iterations = 2048

// passphrase protects files that are measured and deleted.
const passphrase = "0123456789abcdef0123456789abcdef"

// authority is a CA that is ready to sign.
type authority struct {
	key  crypto.Signer
	cert *x509.Certificate
}

func newKey(withRSA bool, bits int) (crypto.Signer, error) {
	if withRSA {
		return rsa.GenerateKey(rand.Reader, bits)
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

func newAuthority(dir string, withRSA bool) (authority, error) {
	key, err := newKey(withRSA, 4096)
	if err != nil {
		return authority{}, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{Organization: []string{"Bench"}, CommonName: "bench CA"},
		NotBefore: now, NotAfter: now.AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return authority{}, err
	}
	encrypted, err := encryptKey(key)
	if err != nil {
		return authority{}, err
	}
	for name, content := range map[string][]byte{"ca.key": encrypted, "ca.crt": encode("CERTIFICATE", der)} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return authority{}, err
		}
		if err := syncFile(path); err != nil {
			return authority{}, err
		}
	}
	cert, err := x509.ParseCertificate(der)
	return authority{key, cert}, err
}

func openAuthority(dir string) (authority, error) {
	der, err := readPEM(filepath.Join(dir, "ca.key"))
	if err != nil {
		return authority{}, err
	}
	key, err := pkcs8.ParsePKCS8PrivateKey(der, []byte(passphrase))
	if err != nil {
		return authority{}, err
	}
	cert, err := readCertificate(filepath.Join(dir, "ca.crt"))
	return authority{key.(crypto.Signer), cert}, err
}

// issue makes the contents of a user's files, in the order of kinds.
func (a authority) issue(user string, withRSA bool) (files [len(kinds)][]byte, err error) {
	key, err := newKey(withRSA, 2048)
	if err != nil {
		return files, err
	}
	encrypted, err := encryptKey(key)
	if err != nil {
		return files, err
	}
	subject, emails := pkix.Name{Organization: []string{"Bench"}, CommonName: user}, []string{user + "@example.com"}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: subject, EmailAddresses: emails}, key)
	if err != nil {
		return files, err
	}
	serial := make([]byte, 16)
	rand.Read(serial)
	serial[0] &= 0x7f
	now := time.Now()
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial), Subject: subject, EmailAddresses: emails,
		NotBefore: now, NotAfter: now.AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, a.cert, key.Public(), a.key)
	if err != nil {
		return files, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return files, err
	}
	p12, err := pkcs12.Modern2023.WithIterations(iterations).Encode(key, cert, []*x509.Certificate{a.cert}, passphrase)
	return [...][]byte{encrypted, encode("CERTIFICATE REQUEST", csr), encode("CERTIFICATE", der), p12}, err
}

// prove opens the files that issue has made, with the same libraries.
func (a authority) prove(files [len(kinds)][]byte) error {
	var der [3][]byte
	for i := range der {
		block, _ := pem.Decode(files[i])
		der[i] = block.Bytes
	}
	key, err := pkcs8.ParsePKCS8PrivateKey(der[0], []byte(passphrase))
	if err != nil {
		return err
	}
	csr, err := x509.ParseCertificateRequest(der[1])
	if err != nil {
		return err
	}
	cert, err := x509.ParseCertificate(der[2])
	if err != nil {
		return err
	}
	inside, own, _, err := pkcs12.DecodeChain(files[3], passphrase)
	if err != nil {
		return err
	}
	public, ok := inside.(crypto.Signer).Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(key.(crypto.Signer).Public()) || !public.Equal(cert.PublicKey) || !public.Equal(csr.PublicKey) || !own.Equal(cert) {
		return errors.New("what was made does not belong together")
	}
	return errors.Join(csr.CheckSignature(), cert.CheckSignatureFrom(a.cert))
}

func encryptKey(key crypto.Signer) ([]byte, error) {
	der, err := pkcs8.MarshalPrivateKey(key, []byte(passphrase), &pkcs8.Opts{
		Cipher:  pkcs8.AES256CBC,
		KDFOpts: pkcs8.PBKDF2Opts{SaltSize: 16, IterationCount: iterations, HMACHash: crypto.SHA256},
	})
	return encode("ENCRYPTED PRIVATE KEY", der), err
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func readPEM(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s: this file has no PEM block", path)
	}
	return block.Bytes, nil
}

func readCertificate(path string) (*x509.Certificate, error) {
	der, err := readPEM(path)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}
