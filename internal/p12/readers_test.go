package p12

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"mtlsplan/internal/testing/tools"
)

// written is a file and all that went into it.
type written struct {
	Content
	scheme     Scheme
	pass       string
	iterations int
	der        []byte
	file       string // its path; that of the passphrase ends in .pass
}

func (w written) String() string {
	return fmt.Sprintf("%s: scheme %d, %d iterations, name %q, passphrase %q", w.file, w.scheme, w.iterations, w.Name, w.pass)
}

// someFiles writes files of random passphrases, names, keys and iterations.
func someFiles(t *testing.T, n int) []written {
	t.Helper()
	rnd, dir, keys := rand.New(rand.NewPCG(rand.Uint64(), 0)), t.TempDir(), someKeys(t)
	most := 40_000.0
	if testing.Short() {
		most = 5_000
	}
	var contents []Content
	for _, key := range keys {
		contents = append(contents, content(t, key, ""))
	}
	files := make([]written, n)
	for i := range files {
		w := written{Content: contents[rnd.IntN(len(contents))], scheme: schemes[i%len(schemes)], file: filepath.Join(dir, fmt.Sprint(i, ".p12"))}
		w.Name, w.pass = someName(rnd), somePass(rnd)
		// As many in each decade would take hours.
		w.iterations = int(math.Pow(most, math.Pow(rnd.Float64(), 3)))
		k := NewKeys(w.pass)
		var err error
		if w.der, err = k.Write(w.scheme, w.Content, w.iterations); err != nil {
			t.Fatal(err)
		}
		if got, err := k.Read(w.scheme, w.der); err != nil || !same(got, w.Content) {
			t.Errorf("%s: the check: %v", w, err)
		}
		if os.WriteFile(w.file, w.der, 0o600) != nil || os.WriteFile(w.file+".pass", []byte(w.pass), 0o600) != nil {
			t.Fatal("the files cannot be written")
		}
		files[i] = w
	}
	return files
}

// somePass has 1 to 1023 printable octets, more often a few.
func somePass(rnd *rand.Rand) string {
	b := make([]byte, int(math.Pow(1023, rnd.Float64())))
	for i := range b {
		b[i] = byte(0x20 + rnd.IntN(0x7f-0x20))
	}
	return string(b)
}

// someName has 1 to 64 characters of one script.
func someName(rnd *rand.Rand) string {
	scripts := []*unicode.RangeTable{unicode.Latin, unicode.Cyrillic, unicode.Greek, unicode.Han, unicode.Arabic, unicode.Hebrew,
		unicode.Devanagari, unicode.Thai, unicode.Hangul, unicode.Hiragana, unicode.Georgian, unicode.Gothic}
	table := scripts[rnd.IntN(len(scripts))]
	var letters []rune
	for _, r := range table.R16 {
		for c := rune(r.Lo); c <= rune(r.Hi); c += rune(r.Stride) {
			letters = append(letters, c)
		}
	}
	for _, r := range table.R32 {
		for c := rune(r.Lo); c <= rune(r.Hi) && len(letters) < 50_000; c += rune(r.Stride) {
			letters = append(letters, c)
		}
	}
	name := make([]rune, 1+rnd.IntN(64))
	for i := range name {
		name[i] = letters[rnd.IntN(len(letters))]
	}
	return string(name)
}

// many is how many files a reader is given.
func many(short, all int) int {
	if testing.Short() {
		return short
	}
	return all
}

func ask(t *testing.T, program string, args ...string) (string, error) {
	t.Helper()
	tools.Need(t, program)
	out, err := exec.Command(program, args...).CombinedOutput()
	return string(out), err
}

func TestGoPKCS12Reads(t *testing.T) {
	for _, w := range someFiles(t, many(60, 400)) {
		if err := opens(w.der, w.pass, w.Content); err != nil {
			t.Errorf("%s: %v", w, err)
		}
	}
}

// python3-cryptography tells everything that is in a file, but no name that has
// characters beyond U+FFFF.
const pythonReader = `
import json, sys
from cryptography.hazmat.primitives.serialization import pkcs12, Encoding, PrivateFormat, NoEncryption
for line in sys.stdin:
    file = line.rstrip("\n")
    try:
        p = pkcs12.load_pkcs12(open(file, "rb").read(), open(file + ".pass", "rb").read())
        der = lambda c: c.certificate.public_bytes(Encoding.DER).hex()
        print(json.dumps({
            "key": p.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()).hex(),
            "certs": [der(p.cert)] + [der(c) for c in p.additional_certs],
            "name": (p.cert.friendly_name or b"").decode("utf-8"),
        }))
    except Exception as e:
        print(json.dumps({"error": repr(e)}))
    sys.stdout.flush()
`

type pythonAnswer struct {
	Key, Name, Error string
	Certs            []string
}

// startPython starts one Python for all files of a test.
func startPython(t *testing.T) func(file string) pythonAnswer {
	cmd := exec.Command(python(t), "-c", pythonReader)
	cmd.Stderr = os.Stderr
	files, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		files.Close()
		_ = cmd.Wait()
	})
	answers := json.NewDecoder(out)
	return func(file string) (got pythonAnswer) {
		if _, err := fmt.Fprintln(files, file); err != nil {
			t.Fatal(err)
		}
		if err := answers.Decode(&got); err != nil {
			t.Fatal(err)
		}
		return got
	}
}

func TestPythonReads(t *testing.T) {
	answerTo := startPython(t)
	for _, w := range someFiles(t, many(60, 1000)) {
		got := answerTo(w.file)
		key, err := hex.DecodeString(got.Key)
		if err != nil || got.Error != "" || got.Name != w.Name && narrow(w.Name) || !samePublic(key, w.Key) || len(got.Certs) != len(w.Certs) || got.Certs[0] != hex.EncodeToString(w.Certs[0]) {
			t.Errorf("%s: %.300s", w, fmt.Sprint(got))
		}
	}
}

// python is an interpreter that has the module. Debian's modules are for Debian's
// interpreter, which may not be the first on the path.
func python(t *testing.T) string {
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(python, "-c", "import cryptography").Run() == nil {
			return python
		}
	}
	tools.Missing(t, "there is no python3-cryptography")
	return ""
}

func narrow(s string) bool { return !strings.ContainsFunc(s, func(r rune) bool { return r > 0xffff }) }

// samePublic compares keys: each program encodes them its own way.
func samePublic(a, b []byte) bool {
	x, err1 := x509.ParsePKCS8PrivateKey(a)
	y, err2 := x509.ParsePKCS8PrivateKey(b)
	if err1 != nil || err2 != nil {
		return false
	}
	p, err1 := x509.MarshalPKIXPublicKey(x.(crypto.Signer).Public())
	q, err2 := x509.MarshalPKIXPublicKey(y.(crypto.Signer).Public())
	return err1 == nil && err2 == nil && bytes.Equal(p, q)
}

func TestOpenSSLReads(t *testing.T) {
	for _, w := range someFiles(t, many(20, 100)) {
		out, err := ask(t, "openssl", "pkcs12", "-in", w.file, "-passin", "file:"+w.file+".pass", "-nodes")
		if err != nil {
			t.Errorf("%s: %v\n%s", w, err, out)
			continue
		}
		certs, keys := 0, 0
		for block, rest := pem.Decode([]byte(out)); block != nil; block, rest = pem.Decode(rest) {
			switch {
			case block.Type == "CERTIFICATE" && bytes.Equal(block.Bytes, w.Certs[certs]):
				certs++
			case block.Type == "PRIVATE KEY" && samePublic(block.Bytes, w.Key):
				keys++
			default:
				t.Errorf("%s: another %s", w, block.Type)
			}
		}
		if certs != 2 || keys != 1 || strings.Count(out, "friendlyName: ") != 2 || strings.Count(out, "localKeyID: ") != 2 {
			t.Errorf("%s: it reads\n%s", w, out)
		}
	}
}

func TestOpenSSLReadsKeys(t *testing.T) {
	for _, w := range someFiles(t, many(10, 100)) {
		der, err := NewKeys(w.pass).WriteKey(w.Key, w.iterations)
		if err != nil || os.WriteFile(w.file, pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: der}), 0o600) != nil {
			t.Fatal(err)
		}
		out, err := ask(t, "openssl", "pkey", "-in", w.file, "-passin", "file:"+w.file+".pass")
		if block, _ := pem.Decode([]byte(out)); err != nil || block == nil || !samePublic(block.Bytes, w.Key) {
			t.Errorf("%s: %v\n%s", w, err, out)
		}
	}
}

func TestGnuTLSReads(t *testing.T) {
	for _, w := range someFiles(t, many(60, 400)) {
		out, err := ask(t, "certtool", "--p12-info", "--inder", "--infile", w.file, "--password", w.pass)
		if err != nil || strings.Count(out, "Friendly name: "+w.Name) != 2 || strings.Count(out, "BEGIN CERTIFICATE") != 2 {
			t.Errorf("%s: %v\n%s", w, err, out)
		}
	}
}

func TestNSSReads(t *testing.T) {
	tools.Need(t, "certutil")
	db := "sql:" + t.TempDir()
	if out, err := ask(t, "certutil", "-N", "-d", db, "--empty-password"); err != nil {
		t.Fatal(out)
	}
	for _, w := range someFiles(t, many(60, 400)) {
		out, err := ask(t, "pk12util", "-l", w.file, "-d", db, "-w", w.file+".pass")
		if err != nil || !strings.Contains(out, "Friendly Name: "+w.Name) {
			t.Errorf("%s: %v\n%s", w, err, out)
		}
	}
}

// Java takes the friendlyName for its alias, in what is lower case to it. İ is the one
// letter whose lower case is two characters in all languages (Unicode, SpecialCasing.txt),
// which strings.EqualFold does not know.
func TestJavaReads(t *testing.T) {
	lower := strings.NewReplacer("İ", "i\u0307")
	for _, w := range someFiles(t, many(1, 12)) {
		out, err := ask(t, "keytool", "-J-Duser.language=en", "-J-Dstdout.encoding=UTF-8", "-J-Dfile.encoding=UTF-8", "-list", "-v", "-storetype", "PKCS12", "-keystore", w.file, "-storepass:file", w.file+".pass")
		_, alias, _ := strings.Cut(out, "Alias name: ")
		alias, _, _ = strings.Cut(alias, "\n")
		if err != nil || !strings.EqualFold(alias, lower.Replace(w.Name)) ||
			!strings.Contains(out, "Entry type: PrivateKeyEntry") || !strings.Contains(out, "Certificate chain length: 2") {
			t.Errorf("%s: %v\n%s", w, err, out)
		}
	}
}

// readers open a file as their users do, key and all, and give no error if what comes
// out is what went in.
func readers(t *testing.T) map[string]func(*testing.T, written) error {
	save := func(t *testing.T, w written) string {
		file := filepath.Join(t.TempDir(), "it.p12")
		if os.WriteFile(file, w.der, 0o600) != nil || os.WriteFile(file+".pass", []byte(w.pass), 0o600) != nil {
			t.Fatal("the file cannot be written")
		}
		return file
	}
	// holds looks for the key and its certificate among PEM blocks.
	holds := func(out string, err error, w written) error {
		if err != nil {
			return err
		}
		cert, key := false, false
		for block, rest := pem.Decode([]byte(out)); block != nil; block, rest = pem.Decode(rest) {
			cert = cert || bytes.Equal(block.Bytes, w.Certs[0])
			key = key || samePublic(block.Bytes, w.Key)
		}
		if !cert || !key {
			return errors.New("something else comes back")
		}
		return nil
	}
	var answerTo func(file string) pythonAnswer // of the one test that asks Python
	all := map[string]func(*testing.T, written) error{
		"go-pkcs12": func(_ *testing.T, w written) error { return opens(w.der, w.pass, w.Content) },
		"OpenSSL": func(t *testing.T, w written) error {
			file := save(t, w)
			out, err := ask(t, "openssl", "pkcs12", "-in", file, "-passin", "file:"+file+".pass", "-nodes")
			return holds(out, err, w)
		},
		"GnuTLS": func(t *testing.T, w written) error {
			// It shows the key as it is encrypted, and opens that on its own.
			file := save(t, w)
			out, err := ask(t, "certtool", "--p12-info", "--inder", "--infile", file, "--password", w.pass)
			if err != nil {
				return err
			}
			if _, out, _ = strings.Cut(out, "-----BEGIN ENCRYPTED"); os.WriteFile(file, []byte("-----BEGIN ENCRYPTED"+out), 0o600) != nil {
				t.Fatal("the key cannot be written")
			}
			if out, err = ask(t, "certtool", "--key-info", "--pkcs8", "--infile", file, "--password", w.pass); err == nil && !strings.Contains(out, "Public Key ID:") {
				err = errors.New("it shows no key")
			}
			return err
		},
		"NSS": func(t *testing.T, w written) error {
			file, db := save(t, w), "sql:"+t.TempDir()
			if out, err := ask(t, "certutil", "-N", "-d", db, "--empty-password"); err != nil {
				t.Fatal(out)
			}
			if _, err := ask(t, "pk12util", "-i", file, "-d", db, "-K", "", "-w", file+".pass"); err != nil {
				return err
			}
			out, err := ask(t, "certutil", "-K", "-d", db)
			if err == nil && !strings.Contains(out, w.Name) {
				err = errors.New("there is no such key")
			}
			return err
		},
		"python3-cryptography": func(t *testing.T, w written) error {
			if answerTo == nil {
				answerTo = startPython(t)
			}
			got := answerTo(save(t, w))
			if key, err := hex.DecodeString(got.Key); err != nil || got.Error != "" || !samePublic(key, w.Key) || got.Certs[0] != hex.EncodeToString(w.Certs[0]) {
				return errors.New("it does not open: " + got.Error)
			}
			return nil
		},
	}
	if !testing.Short() { // a second for each file
		all["Java"] = func(t *testing.T, w written) error {
			file := save(t, w)
			if out, err := ask(t, "keytool", "-importkeystore", "-srckeystore", file, "-srcstoretype", "PKCS12", "-srcstorepass:file", file+".pass",
				"-destkeystore", file+".new", "-deststorepass", "changeit", "-noprompt"); err != nil || strings.Contains(out, "not imported") {
				return errors.New(out)
			}
			return nil
		}
	}
	return all
}
