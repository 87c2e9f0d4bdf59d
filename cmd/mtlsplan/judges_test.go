package main

import (
	"encoding/pem"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
	zx509 "github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"
)

func init() {
	scriptCommands["exits"] = cmdExits
	scriptCommands["zlint"] = cmdZlint
	scriptCommands["filevar"] = cmdFilevar
	scriptCommands["noise"] = cmdNoise
	scriptCommands["unprivileged"] = cmdUnprivileged
}

// lints are zlint's lints for a private authority for clients. The rules of browsers and mail
// programs for public authorities are left out; they demand a CRL of ten days, for instance.
// One lint is left out by name: it looks for a public CA that was broken into, and takes
// longer than all others together.
var lints = sync.OnceValues(func() (lint.Registry, error) {
	return lint.GlobalRegistry().Filter(lint.FilterOptions{IncludeSources: lint.SourceList{
		lint.RFC3279, lint.RFC5280, lint.RFC5480, lint.RFC5891, lint.RFC8813, lint.Community,
	}, ExcludeNames: []string{"e_cert_issued_by_compromised_emudhra_ca"}})
})

// cmdZlint implements "zlint FILE...": no certificate and no CRL in the PEM
// files may have a finding. "! zlint" expects one in each of them.
func cmdZlint(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: [!] zlint FILE...")
	}
	registry, err := lints()
	ts.Check(err)
	for _, name := range args {
		blocks := 0
		for block, rest := pem.Decode([]byte(ts.ReadFile(name))); block != nil; block, rest = pem.Decode(rest) {
			blocks++
			results, err := lintBlock(block, registry)
			if err != nil {
				ts.Fatalf("%s: %v", name, err)
			}
			applied, findings := weigh(results)
			ts.Logf("%s: %s: %d lints apply, %d findings", name, block.Type, applied, len(findings))
			switch {
			case applied == 0:
				ts.Fatalf("%s: no lint applies", name)
			case !neg && len(findings) > 0:
				ts.Fatalf("%s: %s", name, strings.Join(findings, ", "))
			case neg && len(findings) == 0:
				ts.Fatalf("%s: zlint finds nothing wrong with it", name)
			}
		}
		if blocks == 0 {
			ts.Fatalf("%s: no PEM block in it", name)
		}
	}
}

func lintBlock(block *pem.Block, registry lint.Registry) (*zlint.ResultSet, error) {
	switch block.Type {
	case "CERTIFICATE":
		cert, err := zx509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return zlint.LintCertificateEx(cert, registry), nil
	case "X509 CRL":
		list, err := zx509.ParseRevocationList(block.Bytes)
		if err != nil {
			return nil, err
		}
		return zlint.LintRevocationListEx(list, registry), nil
	}
	return nil, fmt.Errorf("zlint cannot judge a PEM block of type %q", block.Type)
}

// weigh counts the lints that apply, and lists those with findings.
func weigh(results *zlint.ResultSet) (applied int, findings []string) {
	for name, result := range results.Results {
		switch result.Status {
		case lint.NA, lint.NE, lint.Reserved:
			continue
		case lint.Pass:
		default:
			findings = append(findings, fmt.Sprintf("%s (%s) %s", name, result.Status, result.Details))
		}
		applied++
	}
	slices.Sort(findings)
	return applied, findings
}

// cmdFilevar implements "filevar NAME FILE": sets an environment variable to
// the first line of a file, a generated passphrase for instance.
func cmdFilevar(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: filevar NAME FILE")
	}
	line, _, _ := strings.Cut(ts.ReadFile(args[1]), "\n")
	ts.Setenv(args[0], line)
}

// cmdNoise implements "noise FILE BYTES KIND": writes noise that is not a spec, the same in
// every run. KIND is bytes, text (printable characters) or blocks (HCL that parses, of
// unknown blocks).
func cmdNoise(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: noise FILE BYTES bytes|text|blocks")
	}
	size, err := strconv.Atoi(args[1])
	ts.Check(err)
	source := rand.New(rand.NewPCG(1, 2))
	var out strings.Builder
	for out.Len() < size {
		switch args[2] {
		case "bytes":
			out.WriteByte(byte(source.UintN(256)))
		case "text":
			out.WriteByte(" \n\"{}[]=$#%,.abcxyz0123"[source.IntN(23)])
		case "blocks":
			fmt.Fprintf(&out, "block%d \"x\" {\n  a%d = [%d, { b = \"${c.%d}\" }]\n}\n", out.Len(), source.IntN(9), source.Int(), source.IntN(9))
		default:
			ts.Fatalf("noise: no kind %q", args[2])
		}
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(out.String()), 0o644))
}

// cmdExits implements "exits CODE PROGRAM ARG...": exec that expects this exit code.
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG...")
	}
	code := 0
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// cmdUnprivileged implements "unprivileged PROGRAM ARG...": exec without root's privileges, so
// that the modes of files count.
func cmdUnprivileged(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: [!] unprivileged PROGRAM ARG...")
	}
	if os.Getuid() == 0 {
		args = append([]string{"setpriv", "--bounding-set=-dac_override,-dac_read_search"}, args...)
	}
	err := ts.Exec(args[0], args[1:]...)
	if err == nil && neg {
		ts.Fatalf("unexpected command success")
	}
	if err != nil && !neg {
		ts.Fatalf("%v", err)
	}
}
