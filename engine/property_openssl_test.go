package engine

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
)

// checkWithOpenSSL lets another program judge the directory as it is.
func (w *world) checkWithOpenSSL() {
	w.t.Helper()
	is := w.records()
	var good, revoked []string
	trusted := map[string]bool{}
	for _, ca := range w.certificates("ca.m.crt") {
		trusted[id(ca.SubjectKeyId)] = true
	}
	for i, e := range is.issued {
		cert, _ := x509.ParseCertificate(e.DER)
		row := is.row(pki.SerialHex(cert.SerialNumber))
		if !trusted[id(cert.AuthorityKeyId)] || !strings.HasPrefix(e.Owner, "user.") || !w.now.Before(row.NotAfter) {
			continue
		}
		name := filepath.Join(w.dir, fmt.Sprintf("%d.crt", i))
		w.write(name, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: e.DER}), 0o600)
		if row.State == ledger.Revoked {
			revoked = append(revoked, name)
		} else {
			good = append(good, name)
		}
	}
	verify := func(files []string) string {
		args := []string{"verify", "-x509_strict", "-crl_check", "-purpose", "sslclient", "-attime", fmt.Sprint(w.now.Unix()),
			"-CAfile", w.out("ca.m.crt"), "-CRLfile", w.out("ca.m.crl")}
		text, _ := exec.Command("openssl", append(args, files...)...).CombinedOutput()
		return string(text)
	}
	if len(good) > 0 {
		if text := verify(good); strings.Count(text, ": OK\n") != len(good) {
			w.t.Fatalf("openssl refuses: %s", text)
		}
	}
	if len(revoked) > 0 {
		if text := verify(revoked); strings.Count(text, "certificate revoked\n") != len(revoked) {
			w.t.Fatalf("openssl lets in: %s", text)
		}
	}
}
