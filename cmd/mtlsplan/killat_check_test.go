package main

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/secret"
)

// checkState checks an output directory, at any instant of a run, against the invariants:
// every visible certificate is recorded (I1), every recorded one can be restored (I2), every
// file is whole (I3), and the files of a user belong together (I5). Nobody else can read a
// secret.
func checkState(dir string) error {
	db, err := readRecord(dir)
	if err != nil {
		return err
	}
	var errs []error
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		errs = append(errs, checkMode(name, info.Mode()))
		if !d.IsDir() && !strings.Contains(name, "/") {
			errs = append(errs, db.checkFile(dir, name))
		}
		return nil
	})
	errs = append(errs, err)
	certs, err := filepath.Glob(filepath.Join(dir, "*.key"))
	errs = append(errs, err)
	for _, key := range certs {
		if base := strings.TrimSuffix(filepath.Base(key), ".key"); !strings.HasPrefix(base, "ca.") {
			if err := checkTogether(dir, base); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", base, err))
			}
		}
	}
	return errors.Join(errs...)
}

func checkMode(name string, mode fs.FileMode) error {
	var widest fs.FileMode
	switch ext := filepath.Ext(name); {
	case mode.IsDir() && (name == "." || name == "nginx"):
		widest = 0o755
	case mode.IsDir():
		widest = 0o700
	case !mode.IsRegular():
		return fmt.Errorf("%s is a %s", name, mode.Type())
	case strings.HasPrefix(name, "db/retired/") && (ext == ".csr" || ext == ".crt"):
		widest = 0o644 // they were public before they were moved
	case strings.Contains(name, "/") && !strings.HasPrefix(name, "nginx/"), ext == ".key", ext == ".p12":
		widest = 0o600
	default:
		widest = 0o644
	}
	if name == "db/stage" || strings.HasPrefix(name, "db/stage/") {
		widest |= 0o044 // db admits nobody else
	}
	if wider := mode.Perm() &^ widest; wider != 0 {
		return fmt.Errorf("%s has mode %04o", name, mode.Perm())
	}
	return nil
}

// record is the CA database of a directory.
type record struct {
	rows   map[string]ledger.Row // by serial
	issued map[string][]byte     // DER by serial
}

func readRecord(dir string) (*record, error) {
	db := &record{map[string]ledger.Row{}, map[string][]byte{}}
	journals, err := filepath.Glob(filepath.Join(dir, "db/stage/*/journal"))
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(dir, "db/issued.pem"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	entries, whole, err := ledger.ParseRecords(data)
	if err == nil && int(whole) < len(data) && journals == nil {
		err = errors.New("the last entry is torn, and no journal knows of it")
	}
	if err != nil {
		return nil, fmt.Errorf("issued.pem: %w", err)
	}
	for _, e := range entries {
		cert, err := x509.ParseCertificate(e.DER)
		if err != nil {
			return nil, fmt.Errorf("issued.pem: %w", err)
		}
		serial := pki.SerialHex(cert.SerialNumber)
		if first := db.issued[serial]; first != nil && !bytes.Equal(first, e.DER) { // whose owner was renamed stands there again
			return nil, fmt.Errorf("issued.pem: serial %s occurs twice", serial)
		}
		db.issued[serial] = e.DER
	}
	index, err := os.ReadFile(filepath.Join(dir, "db/index.txt"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if journals != nil {
		index = index[:bytes.LastIndexByte(index, '\n')+1]
	}
	rows, err := ledger.ParseIndex(index)
	if err != nil {
		return nil, fmt.Errorf("index.txt: %w", err)
	}
	for _, r := range rows {
		if _, twice := db.rows[r.Serial]; twice {
			return nil, fmt.Errorf("index.txt: serial %s occurs twice", r.Serial)
		}
		if db.issued[r.Serial] == nil {
			return nil, fmt.Errorf("I2: serial %s of %s is in index.txt and not in issued.pem", r.Serial, r.Owner)
		}
		db.rows[r.Serial] = r
	}
	return db, nil
}

// checkFile checks one visible file alone (I1, I3).
func (db *record) checkFile(dir, name string) error {
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	base := strings.TrimSuffix(name, filepath.Ext(name))
	switch filepath.Ext(name) {
	case ".crt":
		certs, err := pki.ParseCertificates(data)
		if err != nil || len(certs) != 1 {
			return fmt.Errorf("I3: %s holds %d certificates: %w", name, len(certs), err)
		}
		serial := pki.SerialHex(certs[0].SerialNumber)
		owner := "user." + strings.TrimSuffix(base, "-m")
		if strings.HasPrefix(base, "ca.") {
			owner = base
		}
		if db.rows[serial].Owner != owner || !bytes.Equal(db.issued[serial], certs[0].Raw) {
			return fmt.Errorf("I1: %s has serial %s, which is not recorded for %s", name, serial, owner)
		}
	case ".key":
		if _, err := openKey(dir, base); err != nil {
			return fmt.Errorf("I3: %s: %w", name, err)
		}
	case ".p12":
		if _, err := openP12(dir, base); err != nil {
			return fmt.Errorf("I3: %s: %w", name, err)
		}
	case ".csr":
		if _, err := pki.ParseCSR(data); err != nil {
			return fmt.Errorf("I3: %s: %w", name, err)
		}
	case ".crl":
		lists, err := pki.ParseCRLs(data)
		if err != nil || len(lists) == 0 {
			return fmt.Errorf("I3: %s holds %d lists: %w", name, len(lists), err)
		}
		pem, err := os.ReadFile(filepath.Join(dir, base+".crt"))
		if err != nil {
			return err
		}
		ca, err := pki.ParseCertificates(pem)
		if err != nil {
			return err
		}
		return lists[0].CheckSignatureFrom(ca[0])
	default:
		return fmt.Errorf("mtlsplan writes no file %s", name)
	}
	return nil
}

// checkTogether compares the other files of a user with the key, if there is one (I5).
func checkTogether(dir, base string) error {
	key, err := openKey(dir, base)
	if err != nil {
		return err
	}
	id := pki.PublicID(key.Public())
	var cert *x509.Certificate
	if data, err := os.ReadFile(filepath.Join(dir, base+".crt")); err == nil {
		certs, err := pki.ParseCertificates(data)
		if err != nil {
			return err
		}
		if cert = certs[0]; pki.PublicID(cert.PublicKey) != id {
			return errors.New("I5: the certificate is of another key")
		}
	}
	if _, err := os.Stat(filepath.Join(dir, base+".p12")); err == nil {
		p12, err := openP12(dir, base)
		if err != nil {
			return err
		}
		if pki.PublicID(p12.Key.Public()) != id {
			return errors.New("I5: the .p12 is of another key")
		}
		if cert != nil && !bytes.Equal(p12.Cert.Raw, cert.Raw) {
			return errors.New("I5: the .p12 holds another certificate")
		}
	}
	return nil
}

// opened remembers the contents of files: most files are the same at every point of a
// sweep, and key derivation is slow by design.
var opened sync.Map

func openOnce[T any](dir, base, ext string, open func([]byte, pki.Passphrase) (T, error)) (value T, err error) {
	pass, err := os.ReadFile(filepath.Join(dir, "secrets", base+".pass"))
	if err != nil {
		return value, err
	}
	data, err := os.ReadFile(filepath.Join(dir, base+ext))
	if err != nil {
		return value, err
	}
	id := sha256.Sum256(append(append(pass, 0), data...))
	if known, ok := opened.Load(id); ok {
		return known.(T), nil
	}
	if value, err = open(data, secret.Line(pass)); err == nil {
		opened.Store(id, value)
	}
	return value, err
}

func openKey(dir, base string) (crypto.Signer, error) {
	return openOnce(dir, base, ".key", pki.OpenKey)
}
func openP12(dir, base string) (*pki.P12, error) { return openOnce(dir, base, ".p12", pki.OpenP12) }

// shape is equal for two directories that differ only in keys, serials and the instants of a
// run: files and modes, the rows of the database, and the users whom the CRL excludes.
func shape(dir string) (string, error) {
	var lines []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		lines = append(lines, fmt.Sprintf("%s %s", info.Mode(), name))
		return err
	})
	if err != nil {
		return "", err
	}
	db, err := readRecord(dir)
	if err != nil {
		return "", err
	}
	var rows []string
	for _, r := range db.rows {
		rows = append(rows, fmt.Sprintf("%c %s %s %s", r.State, r.Owner, r.NotAfter.Format("2006-01-02"), r.Reason))
	}
	slices.Sort(rows)
	lines = append(lines, rows...)
	data, err := os.ReadFile(filepath.Join(dir, "ca.m.crl"))
	if err != nil {
		return "", err
	}
	lists, err := pki.ParseCRLs(data)
	if err != nil {
		return "", err
	}
	site, err := os.ReadFile(filepath.Join(dir, "nginx/m"))
	if err != nil {
		return "", err
	}
	var shut []string
	for _, e := range lists[0].RevokedCertificateEntries {
		serial := pki.SerialHex(e.SerialNumber)
		shut = append(shut, fmt.Sprintf("shut out %s, in the site %v", db.rows[serial].Owner, bytes.Contains(site, []byte(serial))))
	}
	slices.Sort(shut)
	return strings.Join(append(lines, shut...), "\n"), nil
}

// timeSavers are the files that may be lost at any moment.
var timeSavers = []string{"db/cache"}

// snapshot is name, mode, size, mtime and digest of every file except the lock and
// timeSavers.
func snapshot(dir string) (string, error) {
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil || name == "db/lock" || slices.Contains(timeSavers, name) {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %s", name, info.Mode())
		if !d.IsDir() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " %d %x", info.ModTime().UnixNano(), sha256.Sum256(data))
		}
		b.WriteByte('\n')
		return nil
	})
	return b.String(), err
}
