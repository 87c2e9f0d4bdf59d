package pki

import (
	"crypto"
	"crypto/md5"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
)

// parseCRL reads a CRL, also one of version 1, which crypto/x509 does not: it is what
// "openssl ca -gencrl" makes with the configuration that OpenSSL comes with.
func parseCRL(der []byte) (*x509.RevocationList, error) {
	list, err := x509.ParseRevocationList(der)
	if err == nil {
		return list, nil
	}
	// Deprecated for what crypto/x509 reads itself, and it reads no CRL of version 1.
	var old pkix.CertificateList
	rest, e := asn1.Unmarshal(der, &old)
	tbs := &old.TBSCertList
	if e != nil || len(rest) > 0 || tbs.Version != 0 || len(tbs.Extensions) > 0 {
		return nil, err
	}
	issuer, e := asn1.Marshal(tbs.Issuer)
	if e != nil {
		return nil, err
	}
	list = &x509.RevocationList{
		Raw: der, RawTBSRevocationList: tbs.Raw, RawIssuer: issuer,
		SignatureAlgorithm: algorithmOf(old.SignatureAlgorithm.Algorithm), Signature: old.SignatureValue.RightAlign(),
		ThisUpdate: tbs.ThisUpdate, NextUpdate: tbs.NextUpdate,
	}
	list.Issuer.FillFromRDNSequence(&tbs.Issuer)
	for _, r := range tbs.RevokedCertificates {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: r.SerialNumber, RevocationTime: r.RevocationTime})
	}
	return list, nil
}

// algorithmOf is the algorithm of a signature by its OID (RFC 3279, RFC 4055, RFC
// 5758), unknown for those that were never usual in CRLs of version 1.
func algorithmOf(oid asn1.ObjectIdentifier) x509.SignatureAlgorithm {
	return map[string]x509.SignatureAlgorithm{
		"1.2.840.113549.1.1.4":  x509.MD5WithRSA,
		"1.2.840.113549.1.1.5":  x509.SHA1WithRSA,
		"1.2.840.113549.1.1.11": x509.SHA256WithRSA,
		"1.2.840.113549.1.1.12": x509.SHA384WithRSA,
		"1.2.840.113549.1.1.13": x509.SHA512WithRSA,
		"1.2.840.10045.4.1":     x509.ECDSAWithSHA1,
		"1.2.840.10045.4.3.2":   x509.ECDSAWithSHA256,
		"1.2.840.10045.4.3.3":   x509.ECDSAWithSHA384,
		"1.2.840.10045.4.3.4":   x509.ECDSAWithSHA512,
		"1.3.101.112":           x509.PureEd25519,
	}[oid.String()]
}

// SignedCRL reports whether a CA has signed a CRL, with whatever hash, and whatever its
// certificate allows it: who was revoked by a CA that was made by hand is revoked.
func SignedCRL(list *x509.RevocationList, ca *x509.Certificate) bool {
	return signed(ca, list.SignatureAlgorithm, list.RawTBSRevocationList, list.Signature)
}

// signed also accepts MD5, which crypto/x509 refuses to compare.
func signed(ca *x509.Certificate, algorithm x509.SignatureAlgorithm, tbs, signature []byte) bool {
	err := ca.CheckSignature(algorithm, tbs, signature)
	if _, insecure := errors.AsType[x509.InsecureAlgorithmError](err); insecure && algorithm == x509.MD5WithRSA {
		key, ok := ca.PublicKey.(*rsa.PublicKey)
		sum := md5.Sum(tbs)
		return ok && rsa.VerifyPKCS1v15(key, crypto.MD5, sum[:], signature) == nil
	}
	return err == nil
}
