package pki

import (
	"crypto/x509"
	"math/big"
	"strings"
	"testing"
	"time"
)

func TestCRL(t *testing.T) {
	key := keyFor(t, ECDSAP256)
	ca, _ := issue(t, key, keyFor(t, Ed25519))
	r := CRLRequest{Number: big.NewInt(0x1000), ThisUpdate: from.Add(time.Millisecond), NextUpdate: to}
	for i, reason := range []int{10, 5, 0, 1} {
		r.Entries = append(r.Entries, x509.RevocationListEntry{
			SerialNumber: big.NewInt(int64(900 - i)), RevocationTime: from.Add(time.Duration(i-10) * time.Hour), ReasonCode: reason,
		})
	}
	der, err := SignCRL(r, ca, key)
	if err != nil {
		t.Fatal(err)
	}
	crls, err := ParseCRLs(EncodeCRL(der))
	if err != nil || len(crls) != 1 {
		t.Fatal(err)
	}
	list := crls[0]
	if list.Number.Int64() != 0x1000 || !list.ThisUpdate.Equal(from) || !list.NextUpdate.Equal(to) || string(list.AuthorityKeyId) != string(ca.SubjectKeyId) {
		t.Errorf("%+v", list)
	}
	if err := list.CheckSignatureFrom(ca); err != nil {
		t.Error(err)
	}
	for i, e := range list.RevokedCertificateEntries {
		if e.SerialNumber.Int64() != int64(897+i) {
			t.Errorf("entry %d is %d: not sorted", i, e.SerialNumber)
		}
	}
	d := dir(t.TempDir())
	said := string(openssl(t, "crl", "-text", "-noout", "-in", d.put(t, "crl", EncodeCRL(der))))
	for _, want := range []string{"Version 2", "X509v3 CRL Number: \n                4096", "Key Compromise", "Cessation Of Operation", "Revocation Date: Mar  1 02:00:00 2026 GMT"} {
		if !strings.Contains(said, want) {
			t.Errorf("openssl does not say %q", want)
		}
	}
	// Of the four reasons "unspecified" is left out.
	if n := strings.Count(said, "X509v3 CRL Reason Code"); n != 3 {
		t.Errorf("%d reason codes, want 3:\n%s", n, said)
	}
	if r.Entries[0].SerialNumber.Int64() != 900 {
		t.Error("the caller's entries were sorted")
	}
}

func TestCRLRefuses(t *testing.T) {
	key := keyFor(t, ECDSAP256)
	ca, _ := issue(t, key, keyFor(t, Ed25519))
	entry := func(serial int64, at time.Time, reason int) x509.RevocationListEntry {
		return x509.RevocationListEntry{SerialNumber: big.NewInt(serial), RevocationTime: at, ReasonCode: reason}
	}
	for _, c := range []struct {
		want   string
		change func(*CRLRequest, *x509.Certificate)
	}{
		{"number", func(r *CRLRequest, _ *x509.Certificate) { r.Number = nil }},
		{"number", func(r *CRLRequest, _ *x509.Certificate) { r.Number = maxSerial }},
		{"is empty", func(r *CRLRequest, _ *x509.Certificate) { r.NextUpdate = r.ThisUpdate }},
		{"reason code 7 does not exist", func(r *CRLRequest, _ *x509.Certificate) { r.Entries[0].ReasonCode = 7 }},
		{"entry 01: it was revoked on 2026-03-01T12:00:01Z, after", func(r *CRLRequest, _ *x509.Certificate) { r.Entries[0].RevocationTime = from.Add(time.Second) }},
		{"entry 01: it is listed twice", func(r *CRLRequest, _ *x509.Certificate) {
			r.Entries = append(r.Entries, entry(2, from, 0), entry(1, from, 1))
		}},
		{"no serial number", func(r *CRLRequest, _ *x509.Certificate) { r.Entries[0].SerialNumber = nil }},
		{"keyUsage", func(_ *CRLRequest, ca *x509.Certificate) { ca.KeyUsage = x509.KeyUsageCertSign }},
		{"subject key identifier", func(_ *CRLRequest, ca *x509.Certificate) { ca.SubjectKeyId = nil }},
	} {
		r := CRLRequest{big.NewInt(1), from, to, []x509.RevocationListEntry{entry(1, from, 0)}}
		issuer := *ca
		c.change(&r, &issuer)
		if der, err := SignCRL(r, &issuer, key); err == nil || der != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

func TestReasons(t *testing.T) {
	for _, r := range Reasons {
		if code, ok := ReasonCode(r.Name); !ok || code != r.Code || ReasonName(code) != r.Name {
			t.Errorf("%+v: %d, %q", r, code, ReasonName(code))
		}
	}
	if _, ok := ReasonCode("keycompromise"); ok || ReasonName(7) != "" || ReasonName(-1) != "" {
		t.Error("a reason that does not exist is known")
	}
}
