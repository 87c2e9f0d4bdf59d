// Package doctor judges an NGINX site that was made by hand: does it let in those who
// have a good client certificate, and nobody else? The rules are pure functions of the
// parsed directives and of the files that these name, which the caller has read.
//
// The source of the rules is NGINX's own code and documentation
// (ngx_http_ssl_module, ngx_http_rewrite_module, ngx_http_proxy_module), tried on NGINX.
// A rule speaks where the directives that are given are wrong, or lack what must stand
// somewhere. What cannot be seen in them, a program or an application that looks at the
// certificate, is taken to be right.
package doctor

import (
	"cmp"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mtlsplan/internal/nginxconf"
	"mtlsplan/internal/plan"
)

// Finding is one thing that is wrong.
type Finding struct {
	nginxconf.Place
	Check   string    // the name of a rule
	Code    plan.Code // one of [Codes]
	Message string    // what is wrong and why that matters, in sentences
	Write   []string  // lines to write in its place or beside it, or none
}

// File is a file that a site names.
type File struct {
	Text []byte
	Mode fs.FileMode
	Err  error // why it could not be read, without its path
}

// Site is what is judged.
type Site struct {
	File       string // its path
	Directives []*nginxconf.Directive
	Errors     []*nginxconf.Error
	Prefix     string          // directory of nginx.conf, which relative paths begin at
	Version    Version         // of NGINX; zero where it is not known
	Files      map[string]File // by the paths of [Paths]
	Now        time.Time
}

// rules are all rules, in the order of the reference.
var rules = []struct {
	name, doc string
	find      func(*ward)
}{
	{"syntax", "NGINX can read the site and what it includes.", (*ward).syntax},
	{"tls", "The server speaks TLS in a form that NGINX still takes, and in no old version.", (*ward).tls},
	{"verify", "Whoever comes in has a certificate that was verified.", (*ward).verify},
	{"ca", "The file of ssl_client_certificate holds good CA certificates and nothing else.", (*ward).ca},
	{"revocation", "Revoked certificates are refused, and good ones are not.", (*ward).revocation},
	{"sessions", "Nobody comes in by a session from before the revocation.", (*ward).sessions},
	{"headers", "The application hears of the certificate from NGINX and from nobody else.", (*ward).headers},
}

// Rule is the name of a rule and what holds where it finds nothing.
type Rule struct{ Name, Doc string }

// Rules are all rules, for the reference.
func Rules() (out []Rule) {
	for _, r := range rules {
		out = append(out, Rule{r.name, r.doc})
	}
	return out
}

// ward is one site under examination.
type ward struct {
	Site
	root    *scope
	servers []*server
	maps    map[string]*nginxconf.Directive // by the variable that they give
	set     map[string]bool                 // variables of set

	// whether a text depends on a variable: on $ssl_client_verify, on one by which a
	// certificate is known, on any of the certificate
	onVerify, onIdentity, onCert func(text string) bool

	check    string
	findings []Finding
	seen     map[string]bool
}

// Examine gives what is wrong with a site, by file and line: the site's own first.
func Examine(s Site) []Finding {
	w := newWard(s)
	for _, r := range rules {
		w.check = r.name
		r.find(w)
	}
	slices.SortStableFunc(w.findings, func(a, b Finding) int {
		return cmp.Or(-boolCompare(a.File == s.File, b.File == s.File), cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return w.findings
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// HasServer reports whether there is anything to judge: a server, or the lines of one.
func HasServer(list []*nginxconf.Directive) bool {
	return len(newWard(Site{Directives: list}).servers) > 0
}

// Paths are the files that a site names and that [Examine] wants to see.
func Paths(list []*nginxconf.Directive, prefix string) (out []string) {
	w := newWard(Site{Directives: list, Prefix: prefix})
	for _, s := range w.servers {
		for _, name := range []string{"ssl_client_certificate", "ssl_trusted_certificate", "ssl_crl"} {
			if d := s.nearest(name); d != nil && w.names(d) {
				out = append(out, w.path(d))
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// names reports whether a directive names a file: "" is none.
func (w *ward) names(d *nginxconf.Directive) bool {
	return d.Arg(0) != "" && !strings.Contains(d.Arg(0), "$")
}

func (w *ward) path(d *nginxconf.Directive) string {
	if filepath.IsAbs(d.Arg(0)) {
		return filepath.Clean(d.Arg(0))
	}
	return filepath.Join(w.Prefix, d.Arg(0))
}

// report adds a finding, once: servers may share a line.
func (w *ward) report(at nginxconf.Place, code plan.Code, message string, write ...string) {
	key := fmt.Sprint(at, code, message)
	if w.seen[key] {
		return
	}
	w.seen[key] = true
	w.findings = append(w.findings, Finding{at, w.check, code, message, write})
}

func (w *ward) syntax() {
	for _, e := range w.Errors {
		w.report(e.Place, plan.SiteSyntax, sentence(e.Text))
	}
}

// sentence makes a sentence of the text of an error.
func sentence(text string) string {
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:] + "."
}
