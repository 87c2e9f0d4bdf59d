// Package render says what a site is, whichever proxy serves it, and what a
// proxy is to the rest of the program.
//
// A [Site] is typed with everything that is true of every proxy: names,
// addresses, certificates, the CA and its CRL. A [Proxy] turns it into
// [File]s, and describes the block that the spec has for such a site, one row
// an attribute. The block itself, defaults and checks, the suggestions after a
// slip of the pen and the reference all follow from these rows.
//
// Each proxy is a package below this one that holds all that is its own. It
// imports this package for the types, so the table of proxies cannot stand
// here; it is mtlsplan/render/proxies. Nothing here or below reads a disk, an
// environment or a clock.
package render

import (
	"cmp"
	"path"
	"slices"
	"time"
)

// File is one rendered file.
type File struct {
	Name string // relative to the output directory, with slashes
	Data []byte

	// Gate is what the header X-Mtlsplan-Gate of the site's own refusals says while
	// the proxy serves this text: a checksum of it, 16 lower-case hex digits; "" for a
	// file that is no site.
	Gate string
}

// Site is everything that decides the files of one site.
type Site struct {
	Name     string // the block's label
	Settings        // complete: ClientCA and CRL are set

	// Facts of the run, beside the spec's block.

	CA      string   // the CA's name
	CAKey   []byte   // public key of the current CA, DER of its SubjectPublicKeyInfo; nil before there is one
	Contact string   // whom a refused person can ask: the CA's e-mail, or "" when it has none
	Users   []User   // whose a serial is, sorted by it; nil where the site does not name users
	Revoked []string // serials that must not get in, upper-case hex in whole bytes, sorted

	// Parents is how many CAs above the CA's own are trusted, and with each of them every
	// other CA below it. Where there are any, nobody gets in but with a certificate of
	// Admitted, sorted by serial.
	Parents  int
	Admitted []Admitted

	// Generation is any text that differs whenever the CA certificates or the
	// CRLs do, such as a digest of them. It names the session cache where
	// sessions are resumed.
	Generation string
}

// Admitted is the certificates of one serial that get in: one, unless an adopted CA
// has given the serial twice.
type Admitted struct {
	Serial       string   // as in Revoked
	Fingerprints []string // SHA-1 of the DER, lower-case hex
}

// GroupPattern is the form of a group's name, a regular expression.
const GroupPattern = `[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}`

// User is what a site knows of one certificate.
type User struct {
	Serial     string // as in Revoked
	Name       string // in the spec
	Device     string // of several that the user has, "" for none
	CommonName string
	Email      string // "" for none
	Groups     []string
}

// Settings are what the spec's block says of a site, with defaults in place. A
// list is nil where the block says nothing and there is no default, and not
// nil where it says [].
type Settings struct {
	File           string   // relative to the output directory
	ServerNames    []string // host names, "*.example.com" among them, and IPv4 addresses
	Listen         []string // for TLS: ports, or IP addresses with ports
	RedirectFrom   []string // the same for plain HTTP that is sent on to HTTPS
	ProxyProtocol  bool     // whether a load balancer puts the PROXY protocol's header before each connection
	RealIPFrom     []string // addresses and networks of load balancers whose header is believed
	ACMEChallenge  string   // absolute path of the webroot on the proxy's host from which HTTP-01 challenges are answered; "" for none
	Upstream       []string // the application's servers: host:port, https://host:port or unix:/path
	UpstreamCA     string   // absolute path of the CA certificates on the proxy's host that an https server is verified against
	UpstreamVerify bool     // whether an https server must show a certificate of UpstreamCA
	Application    string   // a name from the proxy's table of applications
	MaxBodySize    string   // the largest request body, in the proxy's notation; "" for the application's
	Version        string   // of the proxy's program; "" for whatever version runs there
	Certificate    string   // absolute path of the server's certificate chain on the proxy's host; "" for the proxy's default
	CertificateKey string   // the same of its private key

	Verify          string   // "on" or "optional": whether a client must have a certificate
	Exempt          []string // paths that need none; one that ends in "/" stands for all below it
	CORSPreflight   bool     // whether a CORS preflight needs no certificate
	Revocation      string   // "map" of serials, "crl" or "both"
	IdentityHeaders bool     // whether the application is told who came
	AllowGroups     []string // only users of these groups come in; nil for everybody

	// Headers are the names of headers to the application, with what each carries;
	// nil for those of the application
	Headers           map[string]string
	SessionResumption bool   // whether TLS sessions may be resumed
	ClientCA          string // absolute path of the CA certificates on the proxy's host; "" for the output directory's
	CRL               string // the same of the CRL

	Deploy Deploy
}

// Deploy says where a site is put on this host, and how the proxy is told. It
// is the zero value where the spec has no such block; otherwise Site is set.
type Deploy struct {
	Site     string   // absolute path of the site
	ClientCA string   // absolute path of the copy of the CA certificates; "" for none
	CRL      string   // the same of the CRL
	Test     []string // program and arguments that test the configuration
	Reload   []string // program and arguments that make the proxy read it
	Probe    string   // host:port where the running site can be asked; "" for nowhere
	Timeout  string   // how long each program and the probe may take, as [time.ParseDuration] reads it
}

// Target is a file that a deployment puts on the proxy's host.
type Target struct {
	Attribute string // crl, client_ca or site
	Path      string // absolute
}

// Targets are the files of a deployment, in the order in which they are put into place.
// Somebody else may reload the proxy in between: a CRL for a CA that is not trusted yet
// harms nobody, a CA without its CRL shuts everybody out, and the site needs both.
func (d Deploy) Targets() []Target {
	all := []Target{{"crl", d.CRL}, {"client_ca", d.ClientCA}, {"site", d.Site}}
	return slices.DeleteFunc(all, func(t Target) bool { return t.Path == "" })
}

// Limit is Timeout.
func (d Deploy) Limit() time.Duration {
	limit, _ := time.ParseDuration(d.Timeout) // which the row has checked
	return limit
}

// Proxy describes one proxy and the block that the spec has for it.
type Proxy struct {
	Name       string // the block's type, and the kind of its owner: "nginx"
	Doc        string // one sentence
	Attributes []Attribute
	Blocks     []Block

	// Check finds attributes that contradict each other, which no single
	// value shows. It is called with the rows' defaults in place.
	Check func(Settings) []Problem

	// CheckAll finds sites that would be in each other's way on one host,
	// which no single site shows. It is called with the sites that are right
	// in themselves, and reads nothing but their names and settings.
	CheckAll func([]Site) []SiteProblem

	// Files names the files that Render gives for complete settings.
	Files func(Settings) []string

	// NamesUsers reports whether a site depends on who has which certificate, so
	// that it is another with each certificate that is issued.
	NamesUsers func(Settings) bool

	// OpenToAll reports whether the page "/" needs no certificate. Somebody who
	// shows one that is no good is refused all the same.
	OpenToAll func(Settings) bool

	// Identity names the headers that tell the application who came: what a client sends
	// under such a name must not reach it.
	Identity func(Settings) []string

	// TellsDN reports whether the application is told the subject of a
	// certificate as a text, which it can only read if no value in it has the
	// characters "/" and "=".
	TellsDN func(Settings) bool

	// Gate reads [File.Gate] back from a rendered file, "" where there is none.
	Gate func(data []byte) string

	// Refused reads the serials that a rendered file refuses back from it, also
	// where somebody has altered it since; upper-case hex.
	Refused func(data []byte) []string

	// Render writes the files of a site. It is pure: the same site gives the
	// same bytes.
	Render func(Site) []File
}

// Complete fills in what follows from the label and from other settings once
// the block was read and checked. Afterwards ClientCA and CRL are empty only
// where the files of the output directory are meant.
func (p *Proxy) Complete(label string, s Settings) Settings {
	s.File = cmp.Or(s.File, p.Name+"/"+label)
	s.ClientCA = cmp.Or(s.ClientCA, s.Deploy.ClientCA)
	s.CRL = cmp.Or(s.CRL, s.Deploy.CRL)
	return s
}

// CheckOutput refuses an output directory whose path a site cannot name. A site
// names it where its settings, which are complete, do not say under which paths
// the proxy's host sees the CA certificates and the CRL. The attributes that would
// say so are returned with the error, which is the one of their checks.
func (p *Proxy) CheckOutput(s Settings, dir string) (unset []string, err error) {
	for _, a := range p.unnamed(s) {
		if bad := a.Check(path.Join(dir, "ca")); bad != nil {
			unset, err = append(unset, a.Name), bad
		}
	}
	return unset, err
}

// Unnamed are the attributes that would say under which paths the proxy's host sees the
// CA certificates and the CRL, where the settings, which are complete, do not: the site
// then names files of the output directory.
func (p *Proxy) Unnamed(s Settings) []string {
	var names []string
	for _, a := range p.unnamed(s) {
		names = append(names, a.Name)
	}
	return names
}

func (p *Proxy) unnamed(s Settings) []Attribute {
	var out []Attribute
	for _, a := range p.Attributes {
		field := a.Field(&s)
		if field == any(&s.ClientCA) && s.ClientCA == "" || field == any(&s.CRL) && s.CRL == "" && s.Revocation != "map" {
			out = append(out, a)
		}
	}
	return out
}

// Block is a nested block without a label, such as deploy.
type Block struct {
	Name       string
	Doc        string
	Attributes []Attribute
}

// Attribute is one attribute of a proxy's block.
type Attribute struct {
	Name     string
	Doc      string // one sentence, for the reference
	Required bool
	Default  any // of the type that Field points to; nil for none

	// Field points to the setting that the attribute fills: a *string, a
	// *[]string, a *bool or a *map[string]string. The type of the attribute
	// follows from it.
	Field func(*Settings) any

	// Check refuses a value that the proxy's directive does not take; in a
	// list it is asked of each element, in an object of each name. The error says what is allowed, and
	// quotes nothing but the value. Nil takes every value.
	Check func(string) error

	// Words are the only values allowed, in an object of each member, for
	// suggestions; empty for any.
	Words []string
}

// SetDefault puts the default where the attribute's value belongs, if it has
// one.
func (a Attribute) SetDefault(s *Settings) {
	if a.Default == nil {
		return
	}
	switch field := a.Field(s).(type) {
	case *string:
		*field = a.Default.(string)
	case *[]string:
		*field = a.Default.([]string)
	case *bool:
		*field = a.Default.(bool)
	case *map[string]string:
		*field = a.Default.(map[string]string)
	}
}

// Problem is a contradiction between attributes.
type Problem struct {
	Attribute string // where to point: an attribute's name, behind "deploy." for one of that block
	Summary   string // terse, without user-chosen names
	Detail    string // the problem, its cause and the remedy, in full sentences
	Warning   bool   // true: the site can be rendered all the same
}

// SiteProblem is a contradiction between sites.
type SiteProblem struct {
	Site    int // whose attribute to point at, by its place among those that were checked
	Problem     // without Attribute it is about the site as such
}
