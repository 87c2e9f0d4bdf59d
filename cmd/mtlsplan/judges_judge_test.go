package main

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/zmap/zlint/v3/lint"
	"software.sslmate.com/src/go-pkcs12"

	"mtlsplan/internal/ledger"
	"mtlsplan/internal/testing/profile"
)

// bench judges one output directory in process and puts its artefacts on the docket for the
// other judges.
type bench struct {
	*holding
	docket *docket
	lints  lint.Registry
	faults []string
}

func (b *bench) fault(what string, args ...any) {
	b.faults = append(b.faults, fmt.Sprintf(what, args...))
}

func (b *bench) findings(what string, found []profile.Finding) {
	for _, f := range found {
		b.fault("%s: %s", what, f)
	}
}

func (b *bench) zlint(what, kind string, der []byte) {
	results, err := lintBlock(&pem.Block{Type: kind, Bytes: der}, b.lints)
	if err != nil {
		b.fault("%s: zlint: %v", what, err)
		return
	}
	applied, found := weigh(results)
	if applied == 0 {
		b.fault("%s: no lint of zlint applies", what)
	}
	for _, f := range found {
		b.fault("%s: zlint: %s", what, f)
	}
}

// judgeOutput judges an output directory.
func (d *docket) judgeOutput(dir, where string) (faults []string) {
	h, err := readHolding(dir, where)
	if err != nil {
		return []string{err.Error()}
	}
	registry, err := lints()
	if err != nil {
		return []string{err.Error()}
	}
	b := &bench{holding: h, docket: d, lints: registry}
	d.count("directories", 1)
	b.judgeCertificates()
	b.judgeCRLs()
	for _, name := range b.files("*-*.crt") {
		b.judgeUserFiles(name)
	}
	return b.faults
}

func (b *bench) judgeCertificates() {
	var all []*x509.Certificate
	var hearings []hearing
	for i, cert := range b.certs {
		if !b.ours(i) {
			b.docket.count("certificates of others", 1)
			continue
		}
		what := fmt.Sprintf("%s, certificate %X", b.issued[i].Owner, cert.SerialNumber)
		if slices.ContainsFunc(all, cert.Equal) {
			continue // its owner was renamed: it stands there behind the former name, too
		}
		all = append(all, cert)
		b.zlint(what, "CERTIFICATE", cert.Raw)
		cas := b.signersOfCert(cert)
		switch {
		case len(cas) == 0:
			b.fault("%s: no CA of the record signed it", what)
		case b.isCA(i) && !ownKeyID(cert.Raw):
			b.docket.count("CA certificates reissued after adoption", 1)
			b.findings(what, profile.Certificate(profile.Reissued, cert, cert))
		case b.isCA(i):
			b.docket.count("CA certificates", 1)
			b.findings(what, profile.Certificate(profile.CA, cert, cert))
		default:
			b.docket.count("user certificates", 1)
			b.findings(what, profile.Certificate(profile.User, cert, currentAt(cas, cert.NotBefore)))
			hearings = append(hearings, b.hear(what, cert, cas))
		}
	}
	b.findings("the record", profile.Serials(all))
	schedule(hearings)
	for _, h := range hearings {
		b.docket.add(b.where, h.exhibit)
	}
}

// hear chooses a CA certificate and a CRL that are valid at one time together with a
// certificate, and takes the expected verdict from the record.
func (b *bench) hear(what string, cert *x509.Certificate, cas []*x509.Certificate) hearing {
	e := exhibit{kind: "chain", want: "good", algorithms: cert.PublicKeyAlgorithm.String() + " " + cas[0].PublicKeyAlgorithm.String()}
	e.file = b.docket.keep(pemOf("CERTIFICATE", cert.Raw))
	span := window{cert.NotBefore, cert.NotAfter}
	for _, list := range b.crls {
		for _, ca := range cas {
			w := span.and(ca.NotBefore, ca.NotAfter).and(list.ThisUpdate, list.NextUpdate)
			if list.CheckSignatureFrom(ca) != nil || !w.open() {
				continue
			}
			e.adopted = b.adopted(ca)
			e.ca, e.crl = b.docket.keep(pemOf("CERTIFICATE", ca.Raw)), b.docket.keep(pemOf("X509 CRL", list.Raw))
			if lists(list, cert) {
				e.want = "revoked"
			}
			if row := b.rows[fmt.Sprintf("%X", cert.SerialNumber.Bytes())]; (row.State == ledger.Revoked) != lists(list, cert) {
				b.fault("%s: index.txt says %c, and the CRL does not agree", what, row.State)
			}
			return hearing{e, w}
		}
	}
	ca := currentAt(cas, cert.NotBefore)
	e.ca, e.adopted = b.docket.keep(pemOf("CERTIFICATE", ca.Raw)), b.adopted(ca)
	b.docket.count("chains without a CRL of their time", 1)
	return hearing{e, span.and(ca.NotBefore, ca.NotAfter)}
}

func lists(list *x509.RevocationList, cert *x509.Certificate) bool {
	for _, entry := range list.RevokedCertificateEntries {
		if entry.SerialNumber.Cmp(cert.SerialNumber) == 0 {
			return true
		}
	}
	return false
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func (b *bench) judgeCRLs() {
	for _, list := range b.crls {
		what := fmt.Sprintf("CRL %X", list.Number)
		cas := b.signersOfCRL(list)
		if len(cas) == 0 {
			b.fault("%s: no CA of the record signed it", what)
			continue
		}
		ca := currentAt(cas, list.ThisUpdate)
		b.docket.count("CRLs", 1)
		b.zlint(what, "X509 CRL", list.Raw)
		b.findings(what, profile.CRL(list, ca))
		b.docket.add(b.where, exhibit{kind: "crl", want: "good",
			file: b.docket.keep(pemOf("X509 CRL", list.Raw)), ca: b.docket.keep(pemOf("CERTIFICATE", ca.Raw)), at: list.NextUpdate.Add(-time.Second)})
	}
}

// judgeUserFiles judges the files beside a user's certificate, if mtlsplan issued that.
func (b *bench) judgeUserFiles(name string) {
	base := strings.TrimSuffix(name, ".crt")
	what := filepath.Base(base)
	ders := b.blocks(name, "CERTIFICATE")
	if len(ders) != 1 || !ownKeyID(ders[0]) {
		b.docket.count("users with a certificate of others", 1)
		return
	}
	cert, err := x509.ParseCertificate(ders[0])
	if err != nil {
		b.fault("%s: %v", what, err)
		return
	}
	e := exhibit{want: "good", cert: b.docket.keep(pemOf("CERTIFICATE", cert.Raw)), algorithms: cert.PublicKeyAlgorithm.String()}
	own := len(b.files(what+".key")) == 1
	for _, der := range b.blocks(base+".csr", "CERTIFICATE REQUEST") {
		b.docket.count("requests", 1)
		if made, err := x509.ParseCertificateRequest(der); err != nil {
			b.fault("%s.csr: %v", what, err)
		} else if own {
			b.findings(what+".csr", profile.Request(made, cert))
		}
		request := e
		request.kind, request.file = "csr", b.docket.keep(pemOf("CERTIFICATE REQUEST", der))
		b.docket.add(b.where, request)
	}
	containers := append(b.files(what+".p12"), b.files(what+".*.p12")...)
	secret, err := os.ReadFile(filepath.Join(b.dir, "secrets", what+".pass"))
	if err != nil {
		b.docket.count("containers whose passphrase lies elsewhere", len(containers))
		return
	}
	e.pass = b.docket.keep(secret)
	for _, key := range b.files(what + ".key") {
		data, _ := os.ReadFile(key)
		e.kind, e.file = "key", b.docket.keep(data)
		b.docket.add(b.where, e)
	}
	for _, container := range containers {
		data, _ := os.ReadFile(container)
		b.docket.count("PKCS #12 files", 1)
		b.judgeP12(filepath.Base(container), data, strings.TrimSpace(string(secret)), cert)
		e.kind, e.file = "p12", b.docket.keep(data)
		b.docket.add(b.where, e)
	}
}

func (b *bench) judgeP12(what string, data []byte, passphrase string, cert *x509.Certificate) {
	_, have, chain, err := pkcs12.DecodeChain(data, passphrase)
	switch {
	case err != nil:
		b.fault("%s: %v", what, err)
	case !have.Equal(cert):
		b.fault("%s: it holds another certificate than the one beside it", what)
	case len(chain) != 1 || cert.CheckSignatureFrom(chain[0]) != nil:
		b.fault("%s: it does not hold the certificate of its CA, and that alone", what)
	}
}
