package main

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	zx509 "github.com/zmap/zcrypto/x509"

	"mtlsplan/internal/ledger"
	"mtlsplan/internal/testing/profile"
)

// outputsIn finds the output directories below a script's: those with
// db/index.txt beside a ca.*.crt.
func outputsIn(work string) (dirs []string, err error) {
	err = filepath.WalkDir(work, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "index.txt" || !d.Type().IsRegular() || filepath.Base(filepath.Dir(path)) != "db" {
			return err
		}
		dir := filepath.Dir(filepath.Dir(path))
		if cas, _ := filepath.Glob(filepath.Join(dir, "ca.*.crt")); len(cas) > 0 {
			dirs = append(dirs, dir)
		}
		return nil
	})
	return dirs, err
}

var notJudged = regexp.MustCompile(`(?m)^# judges: not (\S+), because \S.*$`)

// exemptIn are the directories that a script exempts from judgement:
// "# judges: not DIR, because WHY".
func exemptIn(script string) (dirs []string) {
	for _, m := range notJudged.FindAllStringSubmatch(script, -1) {
		dirs = append(dirs, m[1])
	}
	return dirs
}

// holding is the content of an output directory.
type holding struct {
	dir, where string // where names it to a person: "SCRIPT/DIR"
	issued     []ledger.Record
	certs      []*x509.Certificate // those of issued
	rows       map[string]ledger.Row
	crls       []*x509.RevocationList
}

func readHolding(dir, where string) (*holding, error) {
	h := &holding{dir: dir, where: where, rows: map[string]ledger.Row{}}
	record, err := os.ReadFile(filepath.Join(dir, "db", "issued.pem"))
	if err != nil {
		return nil, err
	}
	if h.issued, _, err = ledger.ParseRecords(record); err != nil {
		return nil, err
	}
	for _, i := range h.issued {
		cert, err := x509.ParseCertificate(i.DER)
		if err != nil && ownKeyID(i.DER) {
			return nil, fmt.Errorf("%s: %w", i.Owner, err)
		}
		h.certs = append(h.certs, cert) // nil for one that Go cannot read and that is not ours
	}
	index, err := os.ReadFile(filepath.Join(dir, "db", "index.txt"))
	if err != nil {
		return nil, err
	}
	rows, err := ledger.ParseIndex(index)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		h.rows[row.Serial] = row
	}
	for _, name := range h.files("ca.*.crl") {
		for _, der := range h.blocks(name, "X509 CRL") {
			list, err := x509.ParseRevocationList(der)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			h.crls = append(h.crls, list)
		}
	}
	return h, nil
}

// files are the regular files of a pattern: a script may have replaced one by a link or a
// device.
func (h *holding) files(pattern string) (names []string) {
	all, _ := filepath.Glob(filepath.Join(h.dir, pattern))
	for _, name := range all {
		if info, err := os.Lstat(name); err == nil && info.Mode().IsRegular() {
			names = append(names, name)
		}
	}
	return names
}

func (h *holding) blocks(name, kind string) (found [][]byte) {
	data, _ := os.ReadFile(name)
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if strings.HasSuffix(block.Type, kind) {
			found = append(found, block.Bytes)
		}
	}
	return found
}

func (h *holding) isCA(i int) bool { return strings.HasPrefix(h.issued[i].Owner, "ca.") }

// ours reports whether mtlsplan issued a recorded certificate. It is recognised by the way
// in which it names its key. A CA that was adopted is an exception: its later certificates
// keep the key identifier of the first. Adopted certificates and those of `openssl ca` are
// not ours.
func (h *holding) ours(i int) bool {
	if h.certs[i] == nil {
		return false
	}
	if ownKeyID(h.issued[i].DER) {
		return true
	}
	return h.isCA(i) && slices.ContainsFunc(h.certs[:i], func(earlier *x509.Certificate) bool {
		return earlier != nil && string(earlier.RawSubjectPublicKeyInfo) == string(h.certs[i].RawSubjectPublicKeyInfo)
	})
}

// ownKeyID reports whether a certificate names its key in mtlsplan's way. zlint's parser
// accepts more than Go's, so that a spoiled certificate of our own is found, too.
func ownKeyID(der []byte) bool {
	cert, err := zx509.ParseCertificate(der)
	return err == nil && profile.OwnKeyID(cert.RawSubjectPublicKeyInfo, cert.SubjectKeyId)
}

// adopted reports whether a CA's certificate was made by hand.
func (h *holding) adopted(ca *x509.Certificate) bool {
	return !h.ours(slices.Index(h.certs, ca))
}

// signersOf are the CA certificates with the key of a signature, in the order in which they
// were issued.
func (h *holding) signersOf(issuer []byte, signed func(ca *x509.Certificate) error) (found []*x509.Certificate) {
	for i, ca := range h.certs {
		if ca != nil && h.isCA(i) && string(ca.RawSubject) == string(issuer) && signed(ca) == nil {
			found = append(found, ca)
		}
	}
	return found
}

func (h *holding) signersOfCert(cert *x509.Certificate) []*x509.Certificate {
	return h.signersOf(cert.RawIssuer, func(ca *x509.Certificate) error {
		return ca.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature)
	})
}

func (h *holding) signersOfCRL(list *x509.RevocationList) []*x509.Certificate {
	return h.signersOf(list.RawIssuer, list.CheckSignatureFrom)
}

// currentAt is the newest CA certificate at the time at which something began.
func currentAt(cas []*x509.Certificate, begin time.Time) *x509.Certificate {
	current := cas[0]
	for _, ca := range cas {
		if !ca.NotBefore.After(begin) {
			current = ca
		}
	}
	return current
}

// window is a span of time in which everything of a chain is valid.
type window struct{ from, to time.Time }

func (w window) and(from, to time.Time) window {
	if from.After(w.from) {
		w.from = from
	}
	if to.Before(w.to) {
		w.to = to
	}
	return w
}

func (w window) open() bool { return w.from.Add(2 * time.Second).Before(w.to) }

// hearing is a certificate with the window of time for its judgement.
type hearing struct {
	exhibit
	window
}

// schedule chooses the times: as few as possible, each a second before the end of a window.
func schedule(all []hearing) {
	slices.SortFunc(all, func(a, b hearing) int { return a.to.Compare(b.to) })
	at := map[[2]string]time.Time{}
	for i, h := range all {
		court := [2]string{h.ca, h.crl}
		if !at[court].After(h.from) {
			at[court] = h.to.Add(-time.Second)
		}
		all[i].at = at[court]
	}
}
