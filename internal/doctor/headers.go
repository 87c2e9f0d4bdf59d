package doctor

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"mtlsplan/internal/nginxconf"
	"mtlsplan/internal/plan"
)

// A resumed session is as good as its certificate was when it began. Where a list is
// looked up with each request, a revoked certificate does not get in by it, and one that
// has expired only for as long as a session lives.
const longestSession = 3600 // seconds

func (w *ward) sessions() {
	off := []string{"ssl_session_cache off;", "ssl_session_tickets off;"}
	for _, s := range w.asking() {
		if d := s.nearest("ssl_early_data"); d != nil && d.Is("on") {
			w.report(d.Place, plan.EarlyData, "Early data can be sent again by whoever has seen it, and comes in by an old session, before a certificate is asked for.", "ssl_early_data off;")
		}
		lives := "5m"
		if d := s.nearest("ssl_session_timeout"); d != nil {
			lives = d.Arg(0)
		}
		harmless := w.listed(s) && seconds(lives) <= longestSession
		what := "A session that is resumed is not verified again: who is revoked, or whose certificate has expired, stays in for " + lives + " and longer, even after a reload."
		if d := s.nearest("ssl_session_cache"); d != nil && slices.ContainsFunc(d.Args, func(a string) bool { return strings.HasPrefix(a, "shared:") }) && !harmless {
			w.report(d.Place, plan.SessionResumption, what, off...)
			continue
		}
		if d := s.nearest("ssl_session_ticket_key"); d != nil && !harmless {
			w.report(d.Place, plan.SessionResumption, what+" Remove this line.", off...)
		} else if d := s.nearest("ssl_session_tickets"); d != nil && d.Is("on") && !harmless {
			w.report(d.Place, plan.SessionResumption, "A session that is resumed with a ticket is not verified again: whose certificate has expired stays in, and who is revoked, too, where the keys of tickets outlive a reload.", off...)
		}
	}
}

var duration = regexp.MustCompile(`(\d{1,9})(ms|[smhdwMy]?)`)

// seconds is a time as NGINX writes it: 10m, 1h30m, 300.
func seconds(s string) (total int) {
	units := map[string]int{"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "M": 30 * 86400, "y": 365 * 86400}
	for _, m := range duration.FindAllStringSubmatch(s, -1) {
		n, _ := strconv.Atoi(m[1])
		total += n * units[m[2]]
	}
	return total
}

// header is an identity header as some location sets it.
type header struct{ name, value string }

func (w *ward) headers() {
	for _, s := range w.asking() {
		identities := w.identities(s)
		for _, l := range s.locations() {
			if strings.HasPrefix(l.pathOf(), "/.well-known/") {
				continue
			}
			if d := l.nearest("proxy_pass_request_headers"); d != nil && d.Is("off") {
				continue
			}
			if in, pass := l.pass(); pass != nil && passes[pass.Name] != "" {
				w.location(l, in, passes[pass.Name], identities)
			}
		}
		if d := s.nearest("underscores_in_headers"); d != nil && d.Is("on") && len(identities) > 0 {
			name := strings.ReplaceAll(identities[0].name, "-", "_")
			w.report(d.Place, plan.Underscores, "A client can send "+name+", which many applications take for "+identities[0].name+".", "underscores_in_headers off;")
		}
	}
}

// clearing are names of headers that are set to "" because a proxy may set them.
var clearing = regexp.MustCompile(`(?i)ssl|cert|user|identity`)

// identities are the headers of a server that tell who a client is, or are kept from
// telling it. What is wrong with a value is reported on the way.
func (w *ward) identities(s *server) (out []header) {
	add := func(d *nginxconf.Directive) {
		name, value := d.Arg(0), d.Arg(1)
		if !w.onCert(value) && (value != "" || !clearing.MatchString(name)) {
			return
		}
		w.value(d)
		if !slices.ContainsFunc(out, func(h header) bool { return strings.EqualFold(h.name, name) }) {
			out = append(out, header{name, w.better(d)})
		}
	}
	scopes := []*scope{}
	for up := s.scope; up != nil; up = up.up {
		scopes = append(scopes, up)
	}
	for _, l := range s.locations() {
		scopes = append(scopes, l)
		for _, d := range l.list {
			if d.Name == "if" || d.Name == "limit_except" {
				scopes = append(scopes, l.inside(d))
			}
		}
	}
	for _, in := range scopes {
		for _, name := range []string{"proxy_set_header", "grpc_set_header"} {
			for _, d := range in.own(name) {
				add(d)
			}
		}
	}
	return out
}

var (
	multiline = regexp.MustCompile(`\$(ssl_client_(?:raw_)?cert\b|\{ssl_client_(?:raw_)?cert\})`)
	plainDN   = regexp.MustCompile(`\$(ssl_client_s_dn\b|\{ssl_client_s_dn\})`)
)

// guideDN is the header of Mattermost's guide, whose reader splits a DN at slashes.
const guideDN = "X-SSL-Client-Cert-Subject-DN"

// better is the value of a header as it should be.
func (w *ward) better(d *nginxconf.Directive) string {
	value := multiline.ReplaceAllLiteralString(d.Arg(1), "$ssl_client_escaped_cert")
	if strings.EqualFold(d.Arg(0), guideDN) {
		value = plainDN.ReplaceAllLiteralString(value, "$ssl_client_s_dn_legacy")
	}
	return value
}

func (w *ward) value(d *nginxconf.Directive) {
	line := setHeader(d.Name, d.Arg(0), w.better(d))
	if m := multiline.FindString(d.Arg(1)); m != "" {
		w.report(d.Place, plan.MultilineHeader, m+" has several lines, and a header of several lines is refused by many servers, NGINX among them. The escaped form has one; the application has to decode it as in a URL.", line)
	}
	if strings.EqualFold(d.Arg(0), guideDN) && plainDN.MatchString(d.Arg(1)) {
		w.report(d.Place, plan.DNForm, "Since NGINX 1.11.6 $ssl_client_s_dn has commas between its parts, and the reader of this header splits at slashes: it finds no e-mail address. The old form is in another variable.", line)
	}
}

func setHeader(directive, name, value string) string {
	if value == "" || strings.ContainsAny(value, " ;{}\"'\\") {
		value = strconv.Quote(value)
	}
	return directive + " " + name + " " + value + ";"
}

// location wants every identity header to be set where requests are passed on.
func (w *ward) location(l, in *scope, directive string, identities []header) {
	set := in.nearestAll(directive)
	var missing, lines []string
	var dropped *nginxconf.Directive
	for _, h := range identities {
		if slices.ContainsFunc(set, func(d *nginxconf.Directive) bool { return strings.EqualFold(d.Arg(0), h.name) }) {
			continue
		}
		if cleared(in, h.name) {
			continue
		}
		missing = append(missing, h.name)
		lines = append(lines, setHeader(directive, h.name, h.value))
		for up := l.up; up != nil; up = up.up {
			for _, d := range up.own(directive) {
				if strings.EqualFold(d.Arg(0), h.name) {
					dropped = d
				}
			}
		}
	}
	if len(missing) == 0 {
		return
	}
	names := strings.Join(missing, " and ")
	if dropped != nil {
		w.report(l.Place, plan.HeaderMissing, fmt.Sprintf("Here a client can send its own %s: this location has a %s, so it inherits none from outside, not that of %s either.", names, directive, from(l.Place, dropped.Place)), lines...)
		return
	}
	w.report(l.Place, plan.HeaderMissing, fmt.Sprintf("Here a client can send its own %s, and the application believes it. Set it here too, or to \"\".", names), lines...)
}

// cleared reports whether more_clear_input_headers, of a module that many builds have,
// removes a header of the client's. A name may end in "*".
func cleared(in *scope, name string) bool {
	for ; in != nil; in = in.up {
		for _, d := range in.own("more_clear_input_headers") {
			for _, pattern := range strings.Fields(strings.Join(d.Args, " ")) {
				start, open := strings.CutSuffix(pattern, "*")
				if strings.EqualFold(pattern, name) || open && len(name) >= len(start) && strings.EqualFold(name[:len(start)], start) {
					return true
				}
			}
		}
	}
	return false
}
