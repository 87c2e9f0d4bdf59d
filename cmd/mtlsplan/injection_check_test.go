package main

import (
	"context"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/spec"
)

// apply makes the output directory and examines everything in it.
func (tr *trial) apply(h hole, shape string) {
	tr.t.Helper()
	cfg, _, diags := spec.Load(context.Background(), filepath.Join(tr.dir, "m.hcl"), filepath.Join(tr.dir, "out"))
	if diags.HasErrors() {
		tr.t.Fatal(diags)
	}
	for _, format := range []string{"json", "yaml"} {
		tr.run("plan", "--format", format)
	}
	if !h.free { // the place takes only certain words, and no artefact holds the text
		tr.checkFiles()
		return
	}
	if code := tr.run("apply"); code != exitDone && code != exitIncomplete && code != exitRefused {
		tr.t.Errorf("exit %d: %s", code, &tr.said)
	}
	tr.run("render")
	tr.run("verify")
	for _, format := range []string{"text", "csv", "prometheus", "json"} {
		tr.run("status", "--format", format)
	}
	tr.run("forecast") // lines of a calendar end in CRLF, which nothing else may: its own test reads it
	for _, u := range cfg.Users {
		tr.run("show", "user."+u.Name)
		tr.run("explain", "user."+u.Name)
		if tr.run("show", "user."+u.Name, "--format", "json") == exitDone && !json.Valid(tr.out.Bytes()) {
			tr.t.Errorf("not JSON: %s", &tr.out)
		}
	}
	tr.checkFiles()
	tr.checkNames("ca."+cfg.CA.Name+".crt", cfg.CA.Subject)
	owners := []string{"ca." + cfg.CA.Name}
	for _, u := range cfg.Users {
		tr.checkNames(u.Name+"-"+cfg.CA.Name+".crt", u.Subject)
		owners = append(owners, "user."+u.Name)
	}
	tr.checkIndex(owners)
	got := tr.shape()
	if ofSite := strings.HasPrefix(h.name, "nginx"); got != "" && !ofSite && got != shape {
		tr.t.Errorf("the site has other directives:\n%s\nwant\n%s", got, shape)
	}
}

var injectedFile = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@+/-]*$|^_[A-Za-z0-9._@+-]*$`)

// checkFiles: outside the output directory only the files from before exist, and inside no
// name means more to a shell or another program than a name.
func (tr *trial) checkFiles() {
	tr.t.Helper()
	err := filepath.WalkDir(tr.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(tr.dir, path)
		if name, within := strings.CutPrefix(filepath.ToSlash(name), "out/"); within {
			if !injectedFile.MatchString(name) || strings.Contains(name, "..") || strings.Contains(name, inside) {
				tr.t.Errorf("unexpected file %q", name)
			}
		} else if _, ours := tr.files[name]; !ours && !slices.Contains([]string{".", "..", "../..", "out"}, name) {
			tr.t.Errorf("outside the output directory: %q", name)
		}
		return nil
	})
	if err != nil {
		tr.t.Error(err)
	}
}

// checkNames reads a DN with the standard library and expects one attribute for each
// field of the subject, with exactly that text.
func (tr *trial) checkNames(file string, subject pki.Subject) {
	tr.t.Helper()
	data, err := os.ReadFile(filepath.Join(tr.dir, "out", file))
	if os.IsNotExist(err) {
		return
	}
	if err != nil {
		tr.t.Fatal(err)
	}
	certs, err := pki.ParseCertificates(data)
	if err != nil {
		tr.t.Fatal(err)
	}
	var want []string
	for oid, text := range map[string]string{"2.5.4.6": subject.Country, "2.5.4.8": subject.Province, "2.5.4.7": subject.Locality, "2.5.4.10": subject.Organization,
		"2.5.4.11": subject.OrganizationalUnit, "2.5.4.3": subject.CommonName, "1.2.840.113549.1.9.1": subject.Email} {
		if text != "" {
			want = append(want, oid+"="+text)
		}
	}
	var rdns pkix.RDNSequence
	if rest, err := asn1.Unmarshal(certs[0].RawSubject, &rdns); err != nil || len(rest) > 0 {
		tr.t.Fatal(err)
	}
	var got []string
	for _, rdn := range rdns {
		if len(rdn) != 1 {
			tr.t.Errorf("an RDN of %d attributes", len(rdn))
		}
		for _, a := range rdn {
			text := fmt.Sprint(a.Value)
			if strings.ContainsFunc(text, func(r rune) bool {
				return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == utf8.RuneError
			}) {
				tr.t.Errorf("the DN holds %q, which some programs do not escape", text)
			}
			got = append(got, a.Type.String()+"="+text)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		tr.t.Errorf("the DN is %q, want %q", got, want)
	}
	for _, mail := range certs[0].EmailAddresses {
		if mail != subject.Email {
			tr.t.Errorf("the SAN has %q, want %q", mail, subject.Email)
		}
	}
}

// checkIndex: each row has six columns and an expected owner. The file is the only table
// that mtlsplan writes, and no cell of it is a spreadsheet's formula.
func (tr *trial) checkIndex(owners []string) {
	tr.t.Helper()
	data, err := os.ReadFile(filepath.Join(tr.dir, "out", "db", "index.txt"))
	if os.IsNotExist(err) {
		return
	}
	rows, parseErr := ledger.ParseIndex(data)
	if err != nil || parseErr != nil {
		tr.t.Fatal(err, parseErr)
	}
	for _, row := range rows {
		if !slices.Contains(owners, row.Owner) || !strings.HasPrefix(row.Subject, "/") {
			tr.t.Errorf("unexpected row of %q, %q", row.Owner, row.Subject)
		}
	}
	for line := range strings.Lines(string(data)) {
		cells := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		for _, cell := range cells {
			if strings.IndexAny(cell, "=+-@\t\r|") == 0 || strings.ContainsFunc(cell, unicode.IsControl) {
				tr.t.Errorf("dangerous cell %q in %q", cell, line)
			}
		}
		if len(cells) != 6 {
			tr.t.Errorf("%d columns in %q", len(cells), line)
		}
	}
}

// checkSaid: the output has no character that a terminal would interpret.
func (tr *trial) checkSaid() {
	tr.t.Helper()
	text := tr.said.String()
	if !utf8.ValidString(text) {
		tr.t.Error("the output is not UTF-8")
	}
	for _, r := range text {
		if r != '\n' && unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\ufeff' {
			tr.t.Errorf("the output holds %U: %.2000q", r, text)
			break
		}
	}
	if strings.Contains(text, "\n"+inside) {
		tr.t.Errorf("the text has added a line: %.2000s", text)
	}
}

// shape is a site's directives without their values: name, number of arguments, depth. It
// reads them by NGINX's rules for tokens: blanks separate them, quotes and backslashes
// bind, and a token that begins with "#" is a comment.
func (tr *trial) shape() string {
	tr.t.Helper()
	sites, _ := filepath.Glob(filepath.Join(tr.dir, "out", "nginx", "*"))
	if len(sites) != 1 {
		return ""
	}
	data, err := os.ReadFile(sites[0])
	if err != nil {
		tr.t.Fatal(err)
	}
	var out strings.Builder
	var words []string
	depth := 0
	end := func() {
		if len(words) > 0 {
			fmt.Fprintf(&out, "%s%s %d\n", strings.Repeat(" ", depth), regexp.MustCompile(`^[$"].*`).ReplaceAllString(words[0], "entry"), len(words))
		}
		words = nil
	}
	in := string(data)
	for i := 0; i < len(in); {
		switch c := in[i]; {
		case strings.IndexByte(" \t\r\n", c) >= 0:
			i++
		case c == '#':
			i += strings.IndexByte(in[i:]+"\n", '\n')
		case c == ';' || c == '{' || c == '}':
			end()
			switch c {
			case '{':
				depth++
			case '}':
				depth--
			}
			i++
		default:
			start, quoted := i, byte(0)
			if c == '"' || c == '\'' {
				quoted = c
				i++
			}
			for i < len(in) && (quoted != 0 && in[i] != quoted || quoted == 0 && strings.IndexByte(" \t\r\n;{", in[i]) < 0) {
				if in[i] == '\\' {
					i++
				}
				if strings.HasPrefix(in[i:], "${") {
					i += strings.IndexByte(in[i:], '}')
				}
				i++
			}
			if quoted != 0 {
				i++
			}
			words = append(words, in[start:min(i, len(in))])
		}
	}
	if depth != 0 || len(words) > 0 {
		tr.t.Errorf("the site ends within a directive: %q", words)
	}
	return out.String()
}
