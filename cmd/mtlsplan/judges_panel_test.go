package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// judge is another program. Its verdict on an exhibit is "good", "revoked" or words of its
// own.
type judge struct {
	name string
	ask  func(dir string, exhibits []exhibit) (verdicts []string, err error)
	// not are exhibits that it cannot read by design, with the reason.
	not map[string]func(exhibit) bool
	// kinds are the kinds of exhibits that it can judge.
	kinds string
}

// panel are the judges. Keys and requests are left to pyca, which judges all of them in one
// process, and to the interop_ scripts.
var panel = []judge{
	{name: "OpenSSL", ask: askOpenSSL, kinds: "chain crl p12"},
	{name: "GnuTLS", ask: eachAlone(askGnuTLS), kinds: "chain crl p12"},
	{name: "NSS", ask: askNSS, kinds: "chain p12", not: map[string]func(exhibit) bool{
		"it knows no Ed25519":                func(e exhibit) bool { return strings.Contains(e.algorithms, "Ed25519") },
		"certutil takes years of two digits": func(e exhibit) bool { return e.at.Year() >= 2050 },
	}},
	{name: "Java", ask: askOnce("java", "-XX:TieredStopAtLevel=1", "../../testdata/judges/Judge.java"), kinds: "chain crl p12"},
	{name: "pyca", ask: askOnce("python3", "../../testdata/judges/judge.py"), kinds: "chain crl p12 key csr"},
}

// judge asks about every exhibit that the judge can judge; complaints are the unexpected
// verdicts.
func (j judge) judge(dir string, exhibits []exhibit) (heard map[string]int, complaints map[exhibit]string) {
	heard, complaints = map[string]int{}, map[exhibit]string{}
	var asked []exhibit
next:
	for _, e := range exhibits {
		if !has(j.kinds, e.kind) {
			continue
		}
		for why, not := range j.not {
			if not(e) {
				heard["not ("+why+"): "+e.kind]++
				continue next
			}
		}
		asked = append(asked, e)
		heard[e.kind]++
	}
	if len(asked) == 0 {
		return heard, complaints
	}
	verdicts, err := j.ask(dir, asked)
	for i, e := range asked {
		switch {
		case err != nil:
			complaints[e] = err.Error()
		case verdicts[i] != e.want:
			complaints[e] = verdicts[i]
		}
	}
	return heard, complaints
}

// consult runs a program and returns its output, whatever its exit code.
func consult(name string, args ...string) (words string, err error) {
	return consultAt(time.Time{}, name, args...)
}

// consultAt runs a program with its clock stopped at this time.
func consultAt(at time.Time, name string, args ...string) (words string, err error) {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "TZ=UTC", "LC_ALL=C", "NSS_DEFAULT_DB_TYPE=sql")
	if !at.IsZero() {
		library, err := clockLibrary()
		if err != nil {
			return "", err
		}
		cmd.Env = append(cmd.Env, "LD_PRELOAD="+library, "FAKETIME="+at.UTC().Format(time.DateTime))
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// clockLibrary is the path of faketime's library. The program faketime itself is called
// only once: each call makes a semaphore that is named after its process, and a leftover
// one makes a later call fail.
var clockLibrary = sync.OnceValues(func() (string, error) {
	var out []byte
	var err error
	for range 5 {
		if out, err = exec.Command("faketime", "-f", "2026-01-01 00:00:00", "printenv", "LD_PRELOAD").Output(); err == nil {
			return strings.TrimSpace(string(out)), nil
		}
	}
	return "", fmt.Errorf("faketime: %w", err)
})

// askOnce gives all exhibits to one process, as lines on its standard input.
func askOnce(name string, args ...string) func(string, []exhibit) ([]string, error) {
	return func(_ string, exhibits []exhibit) ([]string, error) {
		var questions, words bytes.Buffer
		for i, e := range exhibits {
			fmt.Fprintf(&questions, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%d\n", i, e.kind, e.file, e.ca, e.crl, e.pass, e.cert, e.at.Unix())
		}
		cmd := exec.Command(name, args...)
		cmd.Stdin, cmd.Stderr = &questions, &words
		answers, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("%w: %s", err, words.String())
		}
		verdicts := make([]string, len(exhibits))
		for line := range strings.Lines(string(answers)) {
			number, verdict, _ := strings.Cut(strings.TrimSpace(line), "\t")
			i, err := strconv.Atoi(number)
			if err != nil || i < 0 || i >= len(verdicts) {
				return nil, fmt.Errorf("it answers %q", line)
			}
			verdicts[i] = verdict
		}
		return verdicts, nil
	}
}

// eachAlone asks about the exhibits one by one.
func eachAlone(ask func(exhibit) string) func(string, []exhibit) ([]string, error) {
	return func(_ string, exhibits []exhibit) ([]string, error) {
		verdicts := make([]string, len(exhibits))
		for i, e := range exhibits {
			verdicts[i] = ask(e)
		}
		return verdicts, nil
	}
}

// good is the verdict if a program ends with 0 and prints certain words.
func good(words string, err error, needed ...string) string {
	for _, n := range needed {
		if !strings.Contains(words, n) {
			return strings.Join(strings.Fields(words), " ")
		}
	}
	if err != nil {
		return err.Error() + ": " + strings.Join(strings.Fields(words), " ")
	}
	return "good"
}

// askOpenSSL asks about all chains of one CA, CRL and time at once.
func askOpenSSL(_ string, exhibits []exhibit) ([]string, error) {
	verdicts := make([]string, len(exhibits))
	type court struct {
		ca, crl string
		at      time.Time
		adopted bool
	}
	sessions := map[court][]int{}
	for i, e := range exhibits {
		if e.kind == "chain" {
			c := court{e.ca, e.crl, e.at, e.adopted}
			sessions[c] = append(sessions[c], i)
			continue
		}
		verdicts[i] = askOpenSSLAlone(e)
	}
	for c, session := range sessions {
		args := []string{"verify", "-purpose", "sslclient", "-attime", fmt.Sprint(c.at.Unix()), "-CAfile", c.ca}
		if !c.adopted {
			args = append(args, "-x509_strict")
		}
		if c.crl != "" {
			args = append(args, "-crl_check", "-CRLfile", c.crl)
		}
		for _, i := range session {
			args = append(args, exhibits[i].file)
		}
		words, _ := consult("openssl", args...) // the output is about each file, the exit code about all
		for _, i := range session {
			verdicts[i] = opensslVerdict(words, exhibits[i].file)
		}
	}
	return verdicts, nil
}

// opensslVerdict finds the lines about one file: "FILE: OK", or an error before
// "error FILE: verification failed".
func opensslVerdict(words, file string) string {
	if strings.Contains("\n"+words, "\n"+file+": OK\n") {
		return "good"
	}
	before, _, found := strings.Cut(words, "error "+file+": verification failed")
	lines := strings.Split(strings.TrimSpace(before), "\n")
	last := lines[len(lines)-1]
	if found && strings.HasPrefix(last, "error 23 ") {
		return "revoked"
	}
	return last
}

func askOpenSSLAlone(e exhibit) string {
	if e.kind == "crl" {
		words, err := consult("openssl", "crl", "-in", e.file, "-CAfile", e.ca, "-noout")
		return good(words, err, "verify OK")
	}
	words, err := consult("openssl", "pkcs12", "-in", e.file, "-passin", "file:"+e.pass, "-info", "-noout")
	return good(words, err, "Shrouded Keybag", "MAC")
}

// askGnuTLS changes the clock, since certtool has no option for the time.
func askGnuTLS(e exhibit) string {
	args := []string{"--load-ca-certificate", e.ca, "--infile", e.file}
	switch e.kind {
	case "crl":
		words, err := consultAt(e.at, "certtool", append(args, "--verify-crl")...)
		return good(words, err, "Verified.")
	case "p12":
		pass, err := os.ReadFile(e.pass)
		if err != nil {
			return err.Error()
		}
		words, err := consult("certtool", "--p12-info", "--inder", "--infile", e.file, "--password", strings.TrimRight(string(pass), "\r\n"))
		return good(words, err, "PRIVATE KEY", "BEGIN CERTIFICATE")
	}
	args = append(args, "--verify", "--verify-purpose", "1.3.6.1.5.5.7.3.2")
	if e.crl != "" {
		args = append(args, "--load-crl", e.crl)
	}
	words, err := consultAt(e.at, "certtool", args...)
	if strings.Contains(words, "revoked") {
		return "revoked"
	}
	return good(words, err, "The certificate is trusted.")
}

// askNSS makes a database for each CA and CRL. The exit code of NSS's programs is always 0,
// so their output decides.
func askNSS(dir string, exhibits []exhibit) ([]string, error) {
	verdicts := make([]string, len(exhibits))
	sessions := map[[2]string][]int{}
	empty := filepath.Join(dir, "nss")
	if err := os.MkdirAll(empty, 0o755); err != nil {
		return nil, err
	}
	if words, err := consult("certutil", "-N", "-d", "sql:"+empty, "--empty-password"); err != nil {
		return nil, fmt.Errorf("%w: %s", err, words)
	}
	for i, e := range exhibits {
		if e.kind == "chain" {
			sessions[[2]string{e.ca, e.crl}] = append(sessions[[2]string{e.ca, e.crl}], i)
			continue
		}
		words, err := consult("pk12util", "-l", e.file, "-d", "sql:"+empty, "-w", e.pass)
		verdicts[i] = good(words, err, "Certificate(has private key)", "Key(shrouded)")
	}
	n := 0
	for files, session := range sessions {
		n++
		db := filepath.Join(dir, fmt.Sprint("nss", n))
		if err := os.CopyFS(db, os.DirFS(empty)); err != nil {
			return nil, err
		}
		if err := nssSession(db, files[0], files[1], session, exhibits, verdicts); err != nil {
			return nil, err
		}
	}
	return verdicts, nil
}

func nssSession(db, ca, crl string, session []int, exhibits []exhibit, verdicts []string) error {
	if words, err := consult("certutil", "-A", "-d", "sql:"+db, "-n", "authority", "-t", "CT,CT,CT", "-a", "-i", ca); err != nil {
		return fmt.Errorf("%w: %s", err, words)
	}
	if crl != "" {
		der := filepath.Join(db, "crl")
		if words, err := consult("openssl", "crl", "-in", crl, "-outform", "DER", "-out", der); err != nil {
			return fmt.Errorf("%w: %s", err, words)
		}
		// It checks whether the CA's certificate is valid now.
		if words, err := consultAt(exhibits[session[0]].at, "crlutil", "-I", "-d", "sql:"+db, "-i", der); err != nil {
			return fmt.Errorf("%w: %s", err, words)
		}
	}
	for len(session) > 0 {
		answered, err := nssBatch(db, session, exhibits, verdicts)
		if err != nil {
			return err
		}
		session = session[answered:]
	}
	return nil
}

// nssBatch asks up to the first certificate that is not valid, at which certutil ends its
// batch.
func nssBatch(db string, session []int, exhibits []exhibit, verdicts []string) (answered int, err error) {
	var ask strings.Builder
	for _, i := range session {
		fmt.Fprintf(&ask, "-V -u C -e -a -n %s -b %s\n", exhibits[i].file, exhibits[i].at.UTC().Format("060102150405Z"))
	}
	batch := filepath.Join(db, "ask")
	if err := os.WriteFile(batch, []byte(ask.String()), 0o644); err != nil {
		return 0, err
	}
	words, _ := consult("certutil", "-B", "-d", "sql:"+db, "-i", batch)
	lines := strings.Split(strings.TrimSpace(words), "\n")
	if len(lines) > len(session) || words == "" {
		return 0, fmt.Errorf("certutil says %q about %d certificates", words, len(session))
	}
	for k, line := range lines {
		switch {
		case strings.Contains(line, "certificate is valid"):
			verdicts[session[k]] = "good"
		case strings.Contains(line, "revoked"):
			verdicts[session[k]] = "revoked"
		default:
			verdicts[session[k]] = line
		}
	}
	return len(lines), nil
}
