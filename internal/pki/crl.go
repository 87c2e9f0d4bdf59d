package pki

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
)

// SignCRL issues a complete CRL: v2, cRLNumber, authority key identifier,
// reason codes (unspecified is left out, RFC 5280 section 5.3.1), the entries
// sorted by serial number. Entries with the same serial number are an error,
// and so is a revocation date after thisUpdate.
func SignCRL(r CRLRequest, ca *x509.Certificate, caKey crypto.Signer) ([]byte, error) {
	if err := checkIssuer(ca, caKey, x509.KeyUsageCRLSign); err != nil {
		return nil, err
	}
	entries, err := checkCRL(r)
	if err != nil {
		return nil, fmt.Errorf("CRL: %w", err)
	}
	alg, _, err := signature(caKey.Public())
	if err != nil {
		return nil, fmt.Errorf("CRL: %w", err)
	}
	issuer := *ca
	if issuer.KeyUsage == 0 { // of a CA that was made by hand: it may be used for everything
		issuer.KeyUsage = caKeyUsage
	}
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		SignatureAlgorithm:        alg,
		RevokedCertificateEntries: entries,
		Number:                    r.Number,
		ThisUpdate:                seconds(r.ThisUpdate),
		NextUpdate:                seconds(r.NextUpdate),
	}, &issuer, caKey)
	if err != nil {
		return nil, fmt.Errorf("CRL: signing: %w", err)
	}
	return der, nil
}

// checkCRL returns the entries as they are to be signed.
func checkCRL(r CRLRequest) ([]x509.RevocationListEntry, error) {
	if r.Number == nil || r.Number.Sign() < 0 || r.Number.Cmp(maxSerial) >= 0 {
		return nil, errors.New("its number is not between 0 and 2^159 - 1")
	}
	if err := checkTimes(r.ThisUpdate, r.NextUpdate); err != nil {
		return nil, err
	}
	entries := make([]x509.RevocationListEntry, len(r.Entries))
	for i, e := range r.Entries {
		if e.SerialNumber == nil || e.SerialNumber.Sign() < 0 {
			return nil, errors.New("an entry has no serial number that can be revoked")
		}
		serial := SerialHex(e.SerialNumber)
		if ReasonName(e.ReasonCode) == "" {
			return nil, fmt.Errorf("entry %s: the reason code %d does not exist", serial, e.ReasonCode)
		}
		if seconds(e.RevocationTime).After(seconds(r.ThisUpdate)) {
			return nil, fmt.Errorf("entry %s: it was revoked on %s, after thisUpdate on %s", serial, stamp(e.RevocationTime), stamp(r.ThisUpdate))
		}
		entries[i] = x509.RevocationListEntry{
			SerialNumber:    e.SerialNumber,
			RevocationTime:  seconds(e.RevocationTime),
			ReasonCode:      e.ReasonCode,
			ExtraExtensions: e.ExtraExtensions,
		}
	}
	slices.SortFunc(entries, func(a, b x509.RevocationListEntry) int { return a.SerialNumber.Cmp(b.SerialNumber) })
	for i := 1; i < len(entries); i++ {
		if entries[i].SerialNumber.Cmp(entries[i-1].SerialNumber) == 0 {
			return nil, fmt.Errorf("entry %s: it is listed twice", SerialHex(entries[i].SerialNumber))
		}
	}
	return entries, nil
}
