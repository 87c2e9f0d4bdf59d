package engine

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/secret"
	"mtlsplan/spec"
)

// checkRepeat plans and applies the same spec again.
func (w *world) checkRepeat(r ran) {
	w.t.Helper()
	opt := r.opt
	opt.Replace = nil
	failed := map[plan.Owner]bool{}
	for _, f := range r.report.Failures {
		failed[f.Owner] = true
	}
	again, err := Apply(context.Background(), r.cfg, opt, quiet{})
	w.check(err)
	for _, s := range again.Plan.Steps {
		if !failed[s.Owner] {
			w.t.Fatalf("after the run %s is to %s again: %+v", s.Owner, s.Action, s.Reasons)
		}
	}
	for _, name := range changes(r.after, w.snapshot()) {
		if owner, _ := w.ownerOf(r.cfg, name); len(failed) == 0 || owner != "" && !failed[owner] {
			w.t.Fatalf("the second run has changed %s: %s", name, summary(again))
		}
	}
}

// checkAll checks a directory after a run of the whole spec without a failure.
func (w *world) checkAll(r ran) {
	w.t.Helper()
	is := w.records()
	trusted := w.certificates("ca.m.crt")
	if have := w.generations(); have != w.spec.ca.generation {
		w.t.Fatalf("the CA is of generation %d, not %d", have, w.spec.ca.generation)
	}
	w.checkCA(r.cfg, is, trusted)
	listed := map[string]bool{}
	for _, u := range r.cfg.Users {
		if u.Revoked == "" {
			listed["user."+u.Name] = true
			w.checkUser(u, is, trusted)
		}
	}
	for _, row := range is.rows {
		if strings.HasPrefix(row.Owner, "user.") && !listed[row.Owner] && w.lives(row) {
			w.t.Fatalf("%s is not in the spec, but has a valid certificate: %s", row.Owner, row.Serial)
		}
	}
	for name, f := range r.after {
		owner, kind := w.ownerOf(r.cfg, name)
		if strings.HasPrefix(string(owner), "user.") && !listed[string(owner)] && f.mode.IsRegular() {
			w.t.Fatalf("%s is not in the spec, but %s exists", owner, name)
		}
		if owner != "" && f.mode.IsRegular() {
			w.remind(name)
		}
		if kind != "" && f.mode.IsRegular() && f.mode.Perm()&^facts.ModeOf(kind) != 0 || strings.HasPrefix(name, "db/") && f.mode.IsRegular() && f.mode.Perm() != 0o600 {
			w.t.Fatalf("%s has mode %o", name, f.mode.Perm())
		}
	}
}

// remind keeps the content of a file, to be put back later.
func (w *world) remind(name string) {
	data, err := os.ReadFile(w.out(name))
	w.check(err)
	if copies := w.old[name]; len(copies) == 0 || !bytes.Equal(copies[len(copies)-1], data) {
		w.old[name] = append(copies[max(0, len(copies)-3):], data)
	}
}

func (w *world) certificates(name string) []*x509.Certificate {
	w.t.Helper()
	data, err := os.ReadFile(w.out(name))
	w.check(err)
	certs, err := pki.ParseCertificates(data)
	w.check(err)
	return certs
}

// generations counts the keys of the CA so far.
func (w *world) generations() int {
	keys := map[string]bool{}
	for _, e := range w.records().issued {
		if cert, err := x509.ParseCertificate(e.DER); err == nil && e.Owner == "ca.m" {
			keys[string(cert.RawSubjectPublicKeyInfo)] = true
		}
	}
	return len(keys)
}

func id(b []byte) string { return hex.EncodeToString(b) }

func (w *world) checkCA(cfg *spec.Config, is records, trusted []*x509.Certificate) {
	w.t.Helper()
	current := trusted[0]
	if newest := is.newest("ca.m"); !newest.Equal(current) {
		w.t.Fatalf("ca.m.crt begins with %s, and the newest is %s", pki.SerialHex(current.SerialNumber), pki.SerialHex(newest.SerialNumber))
	}
	if w.now.After(current.NotAfter) {
		w.t.Fatalf("the CA expired on %s", current.NotAfter)
	}
	key := w.key("ca.m.key", cfg.CA.Passphrase, "secrets/ca.m.pass", cfg.CA.KDFIterations)
	if pki.PublicID(current.PublicKey) != key {
		w.t.Fatal("ca.m.key is not the key of ca.m.crt")
	}
	// Those above the CA are trusted, too, and have given the serials of what they signed.
	above := func(c *x509.Certificate) bool {
		return slices.ContainsFunc(is.issued, func(e ledger.Record) bool { return e.Owner == ledger.ParentOwner("ca.m") && bytes.Equal(e.DER, c.Raw) })
	}
	trusted = slices.DeleteFunc(slices.Clone(trusted), above)
	ours := slices.DeleteFunc(slices.Clone(is.issued), func(e ledger.Record) bool {
		cert, err := x509.ParseCertificate(e.DER)
		return err == nil && !strings.HasPrefix(e.Owner, "user.") && (above(cert) || !pki.SelfIssued(cert))
	})
	needed := map[string]bool{id(current.SubjectKeyId): true}
	for _, e := range ours {
		cert, err := x509.ParseCertificate(e.DER)
		w.check(err)
		row := is.row(pki.SerialHex(cert.SerialNumber))
		justNow := row.State == ledger.Revoked && !row.Revoked.Before(w.now.Add(-pki.Backdate).Truncate(time.Second))
		if strings.HasPrefix(e.Owner, "user.") && w.now.Before(row.NotAfter) && (row.State != ledger.Revoked || justNow) {
			needed[id(cert.AuthorityKeyId)] = true
		}
	}
	if len(trusted) != len(needed) || len(is.crls) != len(needed) {
		w.t.Fatalf("%d CAs are trusted and %d have a CRL, expected %d", len(trusted), len(is.crls), len(needed))
	}
	site, err := os.ReadFile(w.out(cfg.Sites[0].Settings.File))
	w.check(err)
	for _, ca := range trusted {
		list := is.crls[id(ca.SubjectKeyId)]
		if list == nil || !needed[id(ca.SubjectKeyId)] || list.CheckSignatureFrom(ca) != nil || !w.now.Before(list.NextUpdate.Add(-cfg.CA.CRLRenewBefore)) {
			w.t.Fatalf("%s: CRL %v, needed %v", pki.NameString(ca.RawSubject), list, needed[id(ca.SubjectKeyId)])
		}
	}
	for _, e := range ours {
		cert, _ := x509.ParseCertificate(e.DER)
		row := is.row(pki.SerialHex(cert.SerialNumber))
		list := is.crls[id(cert.AuthorityKeyId)]
		if row.State != ledger.Revoked || !w.now.Before(row.NotAfter) || list == nil {
			continue
		}
		if !lists(list, cert.SerialNumber) {
			w.t.Fatalf("%s %s is revoked, but not on the CRL", e.Owner, row.Serial)
		}
		if cfg.Sites[0].Settings.Revocation != "crl" && !bytes.Contains(site, []byte(row.Serial)) {
			w.t.Fatalf("%s %s is revoked, but not in the site", e.Owner, row.Serial)
		}
	}
}

// key opens a key and returns its SPKI.
func (w *world) key(name string, ref config.Source, generated string, iterations int) string {
	w.t.Helper()
	data, err := os.ReadFile(w.out(name))
	w.check(err)
	info, err := pki.InspectKey(data)
	w.check(err)
	if info.Iterations != iterations || info.Encoding != pki.KeyEncoding {
		w.t.Fatalf("%s is %v, expected %d iterations", name, info, iterations)
	}
	key, err := pki.OpenKey(data, secret.New([]byte(w.passphrase(ref, generated))))
	w.check(err)
	return pki.PublicID(key.Public())
}

func (w *world) passphrase(ref config.Source, generated string) string {
	if ref.Kind == config.FromEnv {
		return w.env[ref.Env]
	}
	data, err := os.ReadFile(w.out(generated))
	if err != nil {
		if data, err = os.ReadFile(w.out(generated + ".age")); err == nil {
			return unsealed(string(data))
		}
	}
	w.check(err)
	return strings.TrimSuffix(string(data), "\n")
}

// checkUser checks a user who should get in.
func (w *world) checkUser(u spec.User, is records, trusted []*x509.Certificate) {
	w.t.Helper()
	owner, base := "user."+u.Name, facts.Base(u.Name, "m")
	bad := func(format string, args ...any) {
		w.t.Helper()
		w.t.Fatalf("%s: %s", owner, fmt.Sprintf(format, args...))
	}
	cert := w.certificates(base + ".crt")[0]
	serial := pki.SerialHex(cert.SerialNumber)
	roots := x509.NewCertPool()
	for _, ca := range trusted {
		roots.AddCert(ca)
	}
	chains, err := cert.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: w.now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		bad("%v", err)
	}
	ca := chains[0][1]
	if lists(is.crls[id(ca.SubjectKeyId)], cert.SerialNumber) {
		bad("%s is on the CRL", serial)
	}
	if cert.NotAfter.After(ca.NotAfter) {
		bad("ends on %s, after its CA on %s", cert.NotAfter, ca.NotAfter)
	}
	if due := u.Due(cert.NotAfter); !w.now.Before(due) && cert.NotAfter.Before(trusted[0].NotAfter) {
		bad("is due since %s", due)
	}
	row := is.row(serial)
	recorded := slices.ContainsFunc(is.issued, func(e ledger.Record) bool { return e.Owner == owner && bytes.Equal(e.DER, cert.Raw) })
	if row == nil || row.State == ledger.Revoked || row.Owner != owner || !recorded {
		bad("%s is %+v in index.txt, in issued.pem: %v", serial, row, recorded)
	}
	subject, rest, err := pki.ParseSubject(cert.RawSubject)
	if err != nil || len(rest) > 0 || subject != u.Subject || strings.Join(cert.EmailAddresses, " ") != u.Subject.Email {
		bad("subject %v %v, not %v", subject, cert.EmailAddresses, u.Subject)
	}
	csr := w.request(base+".csr", nil)
	if pki.PublicID(csr.Public) != pki.PublicID(cert.PublicKey) {
		bad("the CSR holds another key")
	}
	w.checkOverlap(u, cert, is)
	if u.CSR != "" {
		if theirs := w.request("", requests()[strings.ReplaceAll(strings.TrimSuffix(filepath.Base(u.CSR), ".csr"), ".", "")]); !bytes.Equal(theirs.Raw, csr.Raw) {
			bad("the CSR is not the user's")
		}
		return
	}
	if !bytes.Equal(csr.Subject, cert.RawSubject) || string(csr.Challenge()) != w.env[u.ChallengePassword.Env] && (csr.Challenge() == nil) == !u.ChallengePassword.IsZero() {
		bad("the CSR asks for something else")
	}
	if pki.KeyTypeOf(cert.PublicKey) != u.Key {
		bad("key %s, not %s", pki.KeyTypeOf(cert.PublicKey), u.Key)
	}
	if w.key(base+".key", u.Passphrase, "secrets/"+base+".pass", u.KDFIterations) != pki.PublicID(cert.PublicKey) {
		bad("key and certificate do not belong together")
	}
	w.checkP12(u, base, cert)
}

func (w *world) request(name string, data []byte) *pki.CSR {
	w.t.Helper()
	if data == nil {
		var err error
		data, err = os.ReadFile(w.out(name))
		w.check(err)
	}
	csr, err := pki.ParseCSR(data)
	w.check(err)
	return csr
}

func (w *world) checkP12(u spec.User, base string, cert *x509.Certificate) {
	w.t.Helper()
	want := map[string]bool{}
	for i, profile := range u.P12 {
		name := base + "." + facts.P12Kind(i, profile)
		want[name] = true
		data, err := os.ReadFile(w.out(name))
		w.check(err)
		info, err := pki.InspectP12(data)
		w.check(err)
		if info.Profile != profile || info.Iterations != u.KDFIterations {
			w.t.Fatalf("%s: %+v, not %s with %d iterations", name, info, profile, u.KDFIterations)
		}
		key, inside, chain, err := pkcs12.DecodeChain(data, w.passphrase(u.Passphrase, "secrets/"+base+".pass"))
		if err != nil || !inside.Equal(cert) || len(chain) != 1 || inside.CheckSignatureFrom(chain[0]) != nil {
			w.t.Fatalf("%s: %v, its certificate and chain differ from the files beside it", name, err)
		}
		if public, ok := key.(interface{ Public() any }); ok && pki.PublicID(public.Public()) != pki.PublicID(cert.PublicKey) {
			w.t.Fatalf("%s holds another key", name)
		}
	}
	found, _ := filepath.Glob(w.out(base + ".*p12"))
	for _, path := range found {
		if !want[filepath.Base(path)] {
			w.t.Fatalf("%s was not removed", path)
		}
	}
}

// checkOverlap: a superseded certificate ends overlap after the issue of its successor.
func (w *world) checkOverlap(u spec.User, cert *x509.Certificate, is records) {
	w.t.Helper()
	if u.Overlap == nil || w.now.Before(cert.NotBefore.Add(pki.Backdate+*u.Overlap)) {
		return
	}
	for _, row := range is.rows {
		if row.Serial == pki.SerialHex(cert.SerialNumber) {
			return
		}
		if row.Owner == "user."+u.Name && w.lives(row) {
			w.t.Fatalf("%s: %s was superseded on %s, but is still valid", row.Owner, row.Serial, cert.NotBefore)
		}
	}
}

// burnt reports whether a certificate for the key was revoked for a reason other than
// superseded.
func (w *world) burnt(public string) bool {
	is := w.records()
	return slices.ContainsFunc(is.issued, func(e ledger.Record) bool {
		cert, _ := x509.ParseCertificate(e.DER)
		row := is.row(pki.SerialHex(cert.SerialNumber))
		return pki.PublicID(cert.PublicKey) == public && row.State == ledger.Revoked && row.Reason != "superseded"
	})
}

// requestKey is the key of the request in the attribute csr.
func requestKey(attribute string) string {
	user, n, _ := strings.Cut(strings.Trim(attribute, `"`), ".")
	csr, err := pki.ParseCSR(requests()[user+strings.TrimSuffix(n, ".csr")])
	if err != nil {
		panic(err)
	}
	return pki.PublicID(csr.Public)
}
