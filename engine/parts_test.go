package engine

import (
	"crypto/x509"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mtlsplan/internal/pki"
	"mtlsplan/internal/secret"
	"mtlsplan/spec"
)

// BenchmarkParts measures the parts of one user's work, one at a time and on one core. Their
// sum is the least cost of an apply.
func BenchmarkParts(b *testing.B) {
	must := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	cfg := team(b, 1)
	u, pass, now := cfg.Users[0], secret.Random(), time.Now()
	subject, err := cfg.CA.Subject.DER()
	must(err)
	dn, err := u.Subject.DER()
	must(err)
	caKey, err := cfg.CA.Key.Generate()
	must(err)
	caDER, err := pki.SignCA(pki.CARequest{Subject: subject, Serial: pki.NewSerial(), NotBefore: now, NotAfter: now.AddDate(10, 0, 0)}, caKey)
	must(err)
	ca, err := x509.ParseCertificate(caDER)
	must(err)
	key, err := u.Key.Generate()
	must(err)
	sign := func() ([]byte, error) {
		return pki.SignUser(pki.UserRequest{Subject: dn, SANs: u.SANs(), Public: key.Public(), Serial: pki.NewSerial(),
			NotBefore: now, NotAfter: now.AddDate(1, 0, 0)}, ca, caKey)
	}
	der, err := sign()
	must(err)
	cert, err := x509.ParseCertificate(der)
	must(err)
	encrypted, err := pki.EncryptKey(key, pki.NewKeys(pass), u.KDFIterations)
	must(err)
	p12 := func(profile pki.Profile) ([]byte, error) {
		return profile.Encode(key, cert, []*x509.Certificate{ca}, pki.NewKeys(pass), u.KDFIterations)
	}
	compat, err := p12(pki.Compat)
	must(err)
	certPEM := pki.EncodeCertificate(der)

	for _, part := range []struct {
		name string
		do   func() error
	}{
		{"key", func() error { _, err := u.Key.Generate(); return err }},
		{"csr", func() error { _, err := pki.MakeCSR(dn, u.SANs(), secret.Value{}, key); return err }},
		{"certificate", func() error { _, err := sign(); return err }},
		{"encrypt the key", func() error { _, err := pki.EncryptKey(key, pki.NewKeys(pass), u.KDFIterations); return err }},
		{"compat p12", func() error { _, err := p12(pki.Compat); return err }},
		{"modern p12", func() error { _, err := p12(pki.Modern); return err }},
		{"read the certificate", func() error { _, err := pki.ParseCertificates(certPEM); return err }},
		{"open the key", func() error { _, err := pki.OpenKey(encrypted, pass); return err }},
		{"open the p12", func() error { _, err := pki.OpenP12(compat, pass); return err }},
	} {
		b.Run(part.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				must(part.do())
			}
		})
	}
}

// BenchmarkCRL signs and reads revocation lists.
func BenchmarkCRL(b *testing.B) {
	cfg, now := team(b, 1), time.Now()
	subject, err := cfg.CA.Subject.DER()
	if err != nil {
		b.Fatal(err)
	}
	key, err := cfg.CA.Key.Generate()
	if err != nil {
		b.Fatal(err)
	}
	caDER, err := pki.SignCA(pki.CARequest{Subject: subject, Serial: pki.NewSerial(), NotBefore: now, NotAfter: now.AddDate(10, 0, 0)}, key)
	if err != nil {
		b.Fatal(err)
	}
	ca, err := x509.ParseCertificate(caDER)
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{0, 1000, 10_000} {
		entries := make([]x509.RevocationListEntry, n)
		for i := range entries {
			entries[i] = x509.RevocationListEntry{SerialNumber: pki.NewSerial(), RevocationTime: now}
		}
		request := pki.CRLRequest{Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now.AddDate(0, 1, 0), Entries: entries}
		var der []byte
		b.Run(fmt.Sprintf("sign %d", n), func(b *testing.B) {
			for b.Loop() {
				if der, err = pki.SignCRL(request, ca, key); err != nil {
					b.Fatal(err)
				}
			}
		})
		text := pki.EncodeCRL(der)
		b.Run(fmt.Sprintf("read %d", n), func(b *testing.B) {
			for b.Loop() {
				if _, err := pki.ParseCRLs(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSpec loads a spec with 10,000 users, as blocks and as a roster.
func BenchmarkSpec(b *testing.B) {
	const users = 10_000
	head, _, _ := strings.Cut(small, "user ")
	var blocks, rows strings.Builder
	rows.WriteString("name,email\n")
	for i := range users {
		fmt.Fprintf(&blocks, "user \"u%06d\" {\n  email = \"u%06d@mattermost.com\"\n}\n", i, i)
		fmt.Fprintf(&rows, "u%06d,u%06d@mattermost.com\n", i, i)
	}
	dir := b.TempDir()
	for name, text := range map[string]string{
		"blocks.hcl": head + blocks.String(),
		"roster.hcl": head + "roster \"all\" { file = \"users.csv\" }\n",
		"users.csv":  rows.String(),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	for _, name := range []string{"blocks", "roster"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				cfg, _, diags := spec.Load(b.Context(), filepath.Join(dir, name+".hcl"), "")
				if diags.HasErrors() || len(cfg.Users) != users {
					b.Fatal(diags)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*users), "µs/user")
		})
	}
}
