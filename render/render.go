// Package render turns the settings of one site into the configuration text of
// a proxy that lets only the users of a CA in.
//
// A proxy is one file with one [Proxy] value and one row in [Proxies]. The
// spec's block of that name, its attributes, their defaults and checks, the
// documentation and the suggestions all follow from the row. Nothing here
// reads a disk or a clock.
package render

// Proxies are the proxies that sites can be rendered for.
var Proxies = []*Proxy{nginx}

// Type is what a setting holds.
type Type uint8

const (
	String Type = iota
	Strings
	Bool
)

// Proxy describes one proxy and the block that the spec has for it.
type Proxy struct {
	Name     string // the block's type, and the kind of its owner: "nginx"
	Doc      string // one sentence
	Settings []Setting
	Blocks   []Block

	// Check finds what no single value shows: settings that contradict each
	// other. It is called with defaults in place.
	Check func(Values) []Problem

	// CheckAll finds what no single site shows: sites that would be in each
	// other's way on one host. It is called with those that are right in
	// themselves.
	CheckAll func([]Named) []SiteProblem

	// Render writes the complete site. It is pure: the same site gives the
	// same bytes.
	Render func(Site) []byte

	// ReadBack parses the text of a site, as the proxy would, and finds what
	// in it is not what the settings ask for.
	ReadBack func(site Site, text []byte) error
}

// Block is a nested block without a label, such as deploy.
type Block struct {
	Name     string
	Doc      string
	Settings []Setting
}

// Setting is one attribute of a proxy's block.
type Setting struct {
	Name     string
	Type     Type
	Doc      string // one sentence, for the reference
	Required bool
	Default  any // string, []string or bool; nil for none

	// Check refuses a value that the proxy's directive does not take, also
	// each element of a list. The error says what is allowed, and never
	// quotes more than the value.
	Check func(string) error

	// Words are the only values allowed, for suggestions; empty for any.
	Words []string
}

// Values are the settings of one site with defaults in place. A setting of a
// nested block has the key "block.name". A setting without value is absent.
type Values map[string]any

// String returns a setting's text, "" where it is absent.
func (v Values) String(name string) string { s, _ := v[name].(string); return s }

// Strings returns a list, nil where it is absent.
func (v Values) Strings(name string) []string { s, _ := v[name].([]string); return s }

// Bool returns a truth value, false where it is absent.
func (v Values) Bool(name string) bool { b, _ := v[name].(bool); return b }

// Problem is a contradiction between settings.
type Problem struct {
	Setting string // the setting to point at
	Summary string // terse, without user-chosen names
	Detail  string // what, why and what to do, in full sentences
	Warning bool   // true: the site can be rendered all the same
}

// Named are the settings of a site and its label.
type Named struct {
	Name   string
	Values Values
}

// SiteProblem is a contradiction between sites.
type SiteProblem struct {
	Site    int // whose setting to point at, by its place among those that were checked
	Problem     // without Setting it is about the site as such
}

// Site is everything that decides a rendered file.
type Site struct {
	Name     string // the block's label
	Values   Values
	ClientCA string   // path of the CA certificates as the proxy's host sees it
	CRL      string   // path of the CRLs there
	CA       string   // the CA's name
	Contact  string   // whom a refused person can ask: the CA's e-mail, or "" when it has none
	Revoked  []string // serials that must not get in, upper-case hex in whole bytes, sorted

	// Generation is any text that differs whenever the CA certificates or the
	// CRLs do, such as a digest of them. It names the session cache where
	// sessions are resumed.
	Generation string
}
