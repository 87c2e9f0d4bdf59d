package main

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/secret"
)

// trialWorld is a CA with two users, one of them revoked, and another CA of the same name.
type trialWorld struct {
	t                   *testing.T
	d                   *docket
	now                 time.Time
	ca, other           *x509.Certificate
	caKey, userKey      crypto.Signer
	good, bad           *x509.Certificate
	crl, request, p12   []byte
	key                 []byte
	passphrase, mistake string // files
}

func newTrialWorld(t *testing.T) *trialWorld {
	w := &trialWorld{t: t, d: newDocket(t), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	w.caKey, w.userKey = w.generate(), w.generate()
	w.ca, w.other = w.authority(w.caKey), w.authority(w.generate())
	w.good, w.bad = w.user("ada"), w.user("bob")
	w.crl = w.must(pki.SignCRL(pki.CRLRequest{Number: big.NewInt(1), ThisUpdate: w.now, NextUpdate: w.now.AddDate(0, 1, 0),
		Entries: []x509.RevocationListEntry{{SerialNumber: w.bad.SerialNumber, RevocationTime: w.now, ReasonCode: 1}}}, w.ca, w.caKey))
	w.request = w.must(pki.MakeCSR(w.good.RawSubject, pki.SANs(w.good), secret.Value{}, w.userKey))
	pass := secret.New([]byte("horse battery"))
	w.p12 = w.must(pki.Compat.Encode(w.userKey, w.good, []*x509.Certificate{w.ca}, pki.NewKeys(pass), 2048))
	w.key = w.must(pki.EncryptKey(w.userKey, pki.NewKeys(pass), 2048))
	w.passphrase, w.mistake = w.d.keep([]byte("horse battery\n")), w.d.keep([]byte("horse buttery\n"))
	return w
}

func (w *trialWorld) must(der []byte, err error) []byte {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	return der
}

func (w *trialWorld) parse(der []byte, err error) *x509.Certificate {
	w.t.Helper()
	cert, err := x509.ParseCertificate(w.must(der, err))
	if err != nil {
		w.t.Fatal(err)
	}
	return cert
}

func (w *trialWorld) generate() crypto.Signer {
	key, err := pki.ECDSAP256.Generate()
	if err != nil {
		w.t.Fatal(err)
	}
	return key
}

func (w *trialWorld) subject(name, email string) []byte {
	return w.must(pki.Subject{Organization: "Example", CommonName: name, Email: email}.DER())
}

func (w *trialWorld) authority(key crypto.Signer) *x509.Certificate {
	return w.parse(pki.SignCA(pki.CARequest{Subject: w.subject("Example CA", ""), Serial: pki.NewSerial(), NotBefore: w.now, NotAfter: w.now.AddDate(10, 0, 0)}, key))
}

func (w *trialWorld) user(name string) *x509.Certificate {
	email := name + "@example.com"
	return w.parse(pki.SignUser(pki.UserRequest{Subject: w.subject(name, email), SANs: []pki.SAN{{Type: pki.SANEmail, Value: email}}, Public: w.userKey.Public(),
		Serial: pki.NewSerial(), NotBefore: w.now, NotAfter: w.now.AddDate(1, 0, 0)}, w.ca, w.caKey))
}

// server is a certificate for a server, which no client may have.
func (w *trialWorld) server() *x509.Certificate {
	template := *w.good
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	return w.parse(x509.CreateCertificate(rand.Reader, &template, w.ca, w.userKey.Public(), w.caKey))
}

func altered(der []byte) []byte {
	der = bytes.Clone(der)
	der[len(der)-5] ^= 1
	return der
}

// TestJudgesRefuse shows that no judge accepts everything: a faulty exhibit gets another
// verdict, and a good one does not.
func TestJudgesRefuse(t *testing.T) {
	if testing.Short() {
		t.Skip("make test runs it")
	}
	w := newTrialWorld(t)
	kept := func(kind string, der []byte) string { return w.d.keep(pemOf(kind, der)) }
	ca, other, crl := kept("CERTIFICATE", w.ca.Raw), kept("CERTIFICATE", w.other.Raw), kept("X509 CRL", w.crl)
	good, bad := kept("CERTIFICATE", w.good.Raw), kept("CERTIFICATE", w.bad.Raw)
	at, after := w.now.AddDate(0, 0, 9), w.good.NotAfter.Add(time.Hour)
	const refused = "refused"
	// NSS tolerates a day before it finds a certificate not yet valid.
	trials := []struct {
		name string
		exhibit
	}{
		{"a good one", exhibit{kind: "chain", file: good, ca: ca, crl: crl, at: at, want: "good"}},
		{"a good one without a CRL", exhibit{kind: "chain", file: good, ca: ca, at: at, want: "good"}},
		{"a revoked one", exhibit{kind: "chain", file: bad, ca: ca, crl: crl, at: at, want: "revoked"}},
		{"another CA of the same name", exhibit{kind: "chain", file: good, ca: other, at: at, want: refused}},
		{"an expired one", exhibit{kind: "chain", file: good, ca: ca, at: after, want: refused}},
		{"one that is not valid yet", exhibit{kind: "chain", file: good, ca: ca, at: w.now.AddDate(0, 0, -2), want: refused}},
		{"a server's", exhibit{kind: "chain", file: kept("CERTIFICATE", w.server().Raw), ca: ca, at: at, want: refused}},
		{"an altered one", exhibit{kind: "chain", file: kept("CERTIFICATE", altered(w.good.Raw)), ca: ca, at: at, want: refused}},
		{"a good CRL", exhibit{kind: "crl", file: crl, ca: ca, at: at, want: "good"}},
		{"a CRL of another CA", exhibit{kind: "crl", file: crl, ca: other, at: at, want: refused}},
		{"an altered CRL", exhibit{kind: "crl", file: kept("X509 CRL", altered(w.crl)), ca: ca, at: at, want: refused}},
		{"a good .p12", exhibit{kind: "p12", file: w.d.keep(w.p12), pass: w.passphrase, cert: good, want: "good"}},
		{"a wrong passphrase", exhibit{kind: "p12", file: w.d.keep(w.p12), pass: w.mistake, cert: good, want: refused}},
		{"a .p12 that was cut", exhibit{kind: "p12", file: w.d.keep(w.p12[:len(w.p12)/2]), pass: w.passphrase, cert: good, want: refused}},
		{"a good key", exhibit{kind: "key", file: w.d.keep(w.key), pass: w.passphrase, cert: good, want: "good"}},
		{"a key's wrong passphrase", exhibit{kind: "key", file: w.d.keep(w.key), pass: w.mistake, cert: good, want: refused}},
		{"a good request", exhibit{kind: "csr", file: kept("CERTIFICATE REQUEST", w.request), cert: good, want: "good"}},
		{"an altered request", exhibit{kind: "csr", file: kept("CERTIFICATE REQUEST", altered(w.request)), cert: good, want: refused}},
	}
	for _, j := range panel {
		t.Run(j.name, func(t *testing.T) {
			var asked []exhibit
			var names []string
			for _, trial := range trials {
				if has(j.kinds, trial.kind) {
					asked, names = append(asked, trial.exhibit), append(names, trial.name)
				}
			}
			verdicts, err := j.ask(t.TempDir(), asked)
			if err != nil {
				t.Fatal(err)
			}
			for i, verdict := range verdicts {
				saidSo := verdict == asked[i].want || asked[i].want == refused && verdict != "" && verdict != "good"
				if !saidSo {
					t.Errorf("%s: the verdict is %q, not %s", names[i], verdict, asked[i].want)
				}
			}
		})
	}
}

// TestJudgesOfDirectories spoils one thing in a directory at a time, and expects the judges
// in process to find it.
func TestJudgesOfDirectories(t *testing.T) {
	w := newTrialWorld(t)
	record := func(certs ...*x509.Certificate) []byte {
		out := ledger.FormatRecord(ledger.Record{Owner: "ca.m", DER: w.ca.Raw})
		for _, c := range certs {
			out = append(out, ledger.FormatRecord(ledger.Record{Owner: "user.x", DER: c.Raw})...)
		}
		return out
	}
	row := func(c *x509.Certificate, state ledger.State) ledger.Row {
		return ledger.Row{State: state, NotAfter: c.NotAfter, Revoked: w.now, Serial: pki.SerialHex(c.SerialNumber), Owner: "user.x", Subject: "/CN=x"}
	}
	files := func() map[string][]byte {
		return map[string][]byte{
			"ca.m.crt":           pemOf("CERTIFICATE", w.ca.Raw),
			"ca.m.crl":           pemOf("X509 CRL", w.crl),
			"ada-m.crt":          pemOf("CERTIFICATE", w.good.Raw),
			"ada-m.csr":          pemOf("CERTIFICATE REQUEST", w.request),
			"ada-m.key":          w.key,
			"ada-m.p12":          w.p12,
			"secrets/ada-m.pass": []byte("horse battery\n"),
			"db/issued.pem":      record(w.good, w.bad),
			"db/index.txt":       ledger.FormatIndex([]ledger.Row{row(w.good, ledger.Valid), row(w.bad, ledger.Revoked)}),
		}
	}
	for _, trial := range []struct {
		name, want string
		spoil      func(map[string][]byte)
	}{
		{"all is well", "", func(map[string][]byte) {}},
		{"a certificate for a server", "2.5.29.37 is ", func(f map[string][]byte) { f["db/issued.pem"] = record(w.server(), w.bad) }},
		{"a certificate that no CA signed", "no CA of the record signed it", func(f map[string][]byte) { f["db/issued.pem"] = record(w.other) }},
		{"a serial twice", "RFC 5280 4.1.2.2: two certificates", func(f map[string][]byte) {
			f["db/issued.pem"] = append(record(w.good, w.bad), ledger.FormatRecord(ledger.Record{Owner: "user.x", DER: altered(w.good.Raw)})...)
		}},
		{"a revocation that the CRL has and the index has not", "the CRL does not agree", func(f map[string][]byte) {
			f["db/index.txt"] = ledger.FormatIndex([]ledger.Row{row(w.good, ledger.Valid), row(w.bad, ledger.Valid)})
		}},
		{"a damaged record", "is not an owner's line", func(f map[string][]byte) { f["db/issued.pem"] = append([]byte("\x00\n"), f["db/issued.pem"]...) }},
		{"another's request", "ada-m.csr: profile: the subject", func(f map[string][]byte) { f["ada-m.crt"] = pemOf("CERTIFICATE", w.bad.Raw) }},
		{"another's container", "it holds another certificate", func(f map[string][]byte) { f["ada-m.crt"] = pemOf("CERTIFICATE", w.bad.Raw) }},
		{"a damaged container", "ada-m.p12: ", func(f map[string][]byte) { f["ada-m.p12"] = w.p12[:99] }},
		{"a damaged CRL", "ca.m.crl: ", func(f map[string][]byte) { f["ca.m.crl"] = pemOf("X509 CRL", w.crl[:99]) }},
		{"a CRL of another CA", "no CA of the record signed it", func(f map[string][]byte) { f["ca.m.crl"] = pemOf("X509 CRL", altered(w.crl)) }},
	} {
		t.Run(trial.name, func(t *testing.T) {
			work := t.TempDir()
			content := files()
			trial.spoil(content)
			for name, data := range content {
				path := filepath.Join(work, "out", name)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			dirs, err := outputsIn(work)
			if err != nil || len(dirs) != 1 {
				t.Fatal(dirs, err)
			}
			faults := strings.Join(newDocket(t).judgeOutput(dirs[0], "x"), "\n")
			if trial.want == "" && faults != "" || !strings.Contains(faults, trial.want) {
				t.Errorf("the faults are %q, want %q", faults, trial.want)
			}
		})
	}
}

func TestExemptDirectories(t *testing.T) {
	script := "# it works\nexec true\n# judges: not out, because its key is junk\n# judges: not other\n-- f --\n"
	if dirs := exemptIn(script); len(dirs) != 1 || dirs[0] != "out" {
		t.Errorf("have %q", dirs)
	}
}
