package pki

import (
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mtlsplan/internal/testing/tools"
)

// TestOldCRLs: what OpenSSL makes with the configuration that it comes with, a CRL of
// version 1, is read, and belongs to the CA that has signed it alone.
func TestOldCRLs(t *testing.T) {
	tools.Need(t, "openssl")
	for _, hash := range []string{"md5", "sha1", "sha256"} {
		for _, key := range []string{"rsa:2048", "ec"} {
			if hash == "md5" && key == "ec" {
				continue // there is no such algorithm
			}
			t.Run(hash+" "+key, func(t *testing.T) {
				dir := t.TempDir()
				run := func(args ...string) {
					t.Helper()
					cmd := exec.Command("openssl", args...)
					cmd.Dir = dir
					if out, err := cmd.CombinedOutput(); err != nil {
						t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
					}
				}
				write := func(name, text string) {
					if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				write("c", "[ca]\ndefault_ca=d\n[d]\ndatabase=index\ncertificate=ca.crt\nprivate_key=ca.key\ndefault_crl_days=30\n")
				write("index", "R\t360101000000Z\t260101000000Z\t1000\tunknown\t/CN=a\nR\t360101000000Z\t260101000000Z\tFFEE\tunknown\t/CN=b\n")
				for _, ca := range []string{"other", "ca"} {
					run("req", "-x509", "-newkey", key, "-pkeyopt", map[string]string{"ec": "ec_paramgen_curve:P-256", "rsa:2048": "rsa_keygen_bits:2048"}[key],
						"-nodes", "-subj", "/CN=CA", "-keyout", ca+".key", "-out", ca+".crt", "-days", "30")
				}
				run("ca", "-config", "c", "-gencrl", "-md", hash, "-out", "crl")
				read := func(name string) []byte {
					data, err := os.ReadFile(filepath.Join(dir, name))
					if err != nil {
						t.Fatal(err)
					}
					return data
				}
				lists, err := ParseCRLs(read("crl"))
				if err != nil || len(lists) != 1 || lists[0].Number != nil {
					t.Fatalf("%v %v", lists, err)
				}
				var serials []string
				for _, e := range lists[0].RevokedCertificateEntries {
					serials = append(serials, SerialHex(e.SerialNumber))
				}
				if strings.Join(serials, " ") != "1000 FFEE" {
					t.Errorf("it lists %s", serials)
				}
				cert := func(name string) *x509.Certificate {
					certs, err := ParseCertificates(read(name))
					if err != nil {
						t.Fatal(err)
					}
					return certs[0]
				}
				if !SignedCRL(lists[0], cert("ca.crt")) {
					t.Error("the CA has signed it, and that is not seen")
				}
				if SignedCRL(lists[0], cert("other.crt")) {
					t.Error("it is taken for that of another CA")
				}
				if NameString(lists[0].RawIssuer) != NameString(cert("ca.crt").RawSubject) {
					t.Errorf("its issuer is %s", NameString(lists[0].RawIssuer))
				}
			})
		}
	}
}
