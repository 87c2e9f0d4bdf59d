package verify

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"path"
	"slices"
	"strings"

	"mtlsplan/internal/config"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/probe"
)

// Running is a proxy that runs, with what visitors were answered.
type Running struct {
	Config  *config.Config
	Site    *config.Site
	Target  probe.Target
	Trusted []*x509.Certificate // of the trust file
	Callers []Caller            // who was sent; of a kind that is not among them nothing is said

	// Unsent says why nobody was sent whom the site lets in, nil if somebody was; User is
	// who should have been, "" for anybody.
	Unsent error
	User   plan.Owner

	Echo *Echo // nil where no page is named that shows the headers of a request
}

// Echo is what the application was shown of headers that a client must not send.
type Echo struct {
	Path   string
	Names  []string // of those headers; with hyphens, and with underscores, which some applications take for the same
	Answer probe.Answer
	Err    error
}

// Values of headers in a request for a page that shows them: what a client must not be
// able to say, and what shows that the page does show headers.
const (
	ForgedValue = "forged-by-mtlsplan-verify"
	EchoHeader  = "X-Mtlsplan-Echo"
	EchoValue   = "echo-of-mtlsplan-verify"
)

// Lines are the headers of that request.
func (e *Echo) Lines() []string {
	lines := []string{EchoHeader + ": " + EchoValue}
	for _, name := range e.Names {
		lines = append(lines, name+": "+ForgedValue)
		if other := strings.ReplaceAll(name, "-", "_"); other != name {
			lines = append(lines, other+": "+ForgedValue)
		}
	}
	return lines
}

// Caller is a visitor of one kind.
type Caller struct {
	Check   plan.CheckName // the check that the answers decide
	Visitor probe.Visitor
	Legs    []Leg
}

// Leg is a version of TLS, over which a visitor has come twice: the second time with the
// session of the first, if there was one.
type Leg struct {
	Version       uint16
	First, Second probe.Answer
	Err           error
}

// Connected answers the checks of a proxy that runs, in the order of a checklist: what it
// asks for, what it serves, and what becomes of each visitor.
func Connected(r Running) []plan.Check {
	c := &connected{Running: r, owner: plan.Site(r.Site.Proxy.Name, r.Site.Name)}
	c.asks()
	c.serves()
	for i := range c.Callers {
		c.caller(&c.Callers[i])
	}
	if c.Unsent != nil {
		c.unsent()
	}
	c.sessions()
	if c.Echo != nil {
		c.headers()
	}
	return c.checks
}

type connected struct {
	Running
	owner  plan.Owner
	checks []plan.Check
}

func (c *connected) holds(check plan.CheckName, format string, args ...any) {
	c.checks = append(c.checks, plan.Check{Owner: c.owner, Check: check, OK: true, Message: fmt.Sprintf(format, args...)})
}

func (c *connected) fails(check plan.CheckName, code plan.Code, format string, args ...any) {
	c.checks = append(c.checks, plan.Check{Owner: c.owner, Check: check, Code: code, Message: fmt.Sprintf(format, args...)})
}

// answers are all answers that there were, the first of each leg.
func (c *connected) answers(yield func(*probe.Answer) bool) {
	for i := range c.Callers {
		for k := range c.Callers[i].Legs {
			if l := &c.Callers[i].Legs[k]; l.Err == nil && !l.First.Unspoken() && !yield(&l.First) {
				return
			}
		}
	}
}

// site, trust and crl name the files that NGINX must have.
func (c *connected) site() string {
	return path.Join(c.Config.Output, c.Site.Proxy.Files(c.Site.Settings)[0])
}
func (c *connected) trust() string { return path.Join(c.Config.Output, "ca."+c.Config.CA.Name+".crt") }
func (c *connected) crl() string   { return path.Join(c.Config.Output, "ca."+c.Config.CA.Name+".crl") }

// reload is what makes NGINX read a file.
func (c *connected) reload(file string) string {
	deploy := &c.Site.Settings.Deploy
	if to := map[string]string{c.site(): deploy.Site, c.trust(): deploy.ClientCA, c.crl(): deploy.CRL}[file]; to != "" {
		return fmt.Sprintf("reload NGINX; mtlsplan apply does so too, where %s is not as %s yet", to, file)
	}
	return fmt.Sprintf("copy %s to where NGINX reads it, try it with nginx -t, and reload NGINX", file)
}

func (c *connected) asks() {
	asked, names := false, map[string]bool{}
	for a := range c.answers {
		asked = asked || a.Asked
		for _, n := range a.Authorities {
			names[string(n)] = true
		}
	}
	if !asked {
		c.fails(plan.ProxyAsks, plan.NotAsked, "%s at %s asks for no certificate, so no browser shows one: another server block of NGINX answers, or ssl_verify_client is off there; %s", c.Target.ServerName, c.Target.Address, c.reload(c.site()))
		return
	}
	want := map[string]bool{}
	for _, ca := range c.Trusted {
		want[string(ca.RawSubject)] = true
	}
	lacks, other := without(want, names), without(names, want)
	switch {
	case len(lacks) > 0:
		c.fails(plan.ProxyAsks, plan.OtherCAs, "the proxy announces %s and not %s, which is in %s: browsers offer no certificate of a CA that is not announced, and whoever has one reads \"No required SSL certificate was sent\"; %s (ssl_client_certificate)",
			cmp.Or(strings.Join(other, " and "), "no other CA"), strings.Join(lacks, " and "), c.trust(), c.reload(c.trust()))
	case len(other) > 0:
		c.fails(plan.ProxyAsks, plan.OtherCAs, "the proxy announces %s beside those in %s: whoever has a certificate of it is taken for a user; %s (ssl_client_certificate)", strings.Join(other, " and "), c.trust(), c.reload(c.trust()))
	default:
		c.holds(plan.ProxyAsks, "the proxy asks for a certificate of %s", strings.Join(without(want, nil), " or of "))
	}
}

// without are the names, as people read them, that other lacks, sorted.
func without(names, other map[string]bool) []string {
	var out []string
	for n := range names {
		if !other[n] {
			out = append(out, pki.NameString([]byte(n)))
		}
	}
	slices.Sort(out)
	return out
}

// marks are the checksums of the sites that have answered.
func (c *connected) marks() (marks []string, refusals int) {
	for a := range c.answers {
		if !a.In || a.Unmarked() {
			refusals++
		}
		if a.Gate != "" && !slices.Contains(marks, a.Gate) {
			marks = append(marks, a.Gate)
		}
	}
	slices.Sort(marks)
	return marks, refusals
}

func (c *connected) ours() bool {
	marks, _ := c.marks()
	return len(marks) == 1 && marks[0] == c.Target.Gate
}

func (c *connected) serves() {
	marks, refusals := c.marks()
	switch {
	case c.Target.Gate == "":
		c.fails(plan.ProxyServes, plan.Missing, "%s is not there, or has no checksum, so nothing tells whether the proxy serves it: mtlsplan apply writes it", c.site())
	case c.ours():
		c.holds(plan.ProxyServes, "the proxy serves %s (checksum %s)", c.site(), c.Target.Gate)
	case len(marks) > 1:
		c.fails(plan.ProxyServes, plan.OtherSite, "the proxy serves several texts of the site (checksums %s): a reload is under way, or several hosts answer at %s and not all have the same; try again", strings.Join(marks, ", "), c.Target.Address)
	case len(marks) == 1:
		c.fails(plan.ProxyServes, plan.OtherSite, "the proxy serves another text of the site (checksum %s) than %s (%s): whatever has changed since, revocations above all, does not count there; %s", marks[0], c.site(), c.Target.Gate, c.reload(c.site()))
	case refusals > 0:
		c.fails(plan.ProxyServes, plan.OtherSite, "the proxy refuses in words of its own, so it serves a site that mtlsplan has not written, or one from before its refusals had a checksum: nothing tells how old it is; %s", c.reload(c.site()))
	default:
		c.fails(plan.ProxyServes, plan.OtherSite, "nobody is refused, so %s at %s is not the site that mtlsplan has written: another server block of NGINX answers, or a server before NGINX that ends TLS; %s", c.Target.ServerName, c.Target.Address, c.reload(c.site()))
	}
}

// caller judges one kind of visitor. What is the same over both versions of TLS is said
// once.
func (c *connected) caller(v *Caller) {
	spoken := slices.DeleteFunc(slices.Clone(v.Legs), func(l Leg) bool { return l.Err == nil && l.First.Unspoken() })
	if len(spoken) == 0 {
		spoken = v.Legs
	}
	type fault struct{ code, text string }
	var faults []fault
	over := map[fault][]string{}
	for i := range spoken {
		f := fault{}
		f.code, f.text = c.fault(v, &spoken[i])
		if f.code == "" {
			continue
		}
		if len(over[f]) == 0 {
			faults = append(faults, f)
		}
		over[f] = append(over[f], tls.VersionName(spoken[i].Version))
	}
	for _, f := range faults {
		c.fails(v.Check, plan.Code(f.code), "%s, over %s, %s", v.Visitor.Who, strings.Join(over[f], " and "), f.text)
	}
	if len(faults) > 0 {
		return
	}
	what := "is let in"
	if !v.Visitor.In {
		what = "is refused"
	}
	text := fmt.Sprintf("%s %s (%s)", v.Visitor.Who, what, spoken[0].First.Words())
	if len(spoken) < len(v.Legs) {
		text += ", over " + tls.VersionName(spoken[0].Version) + " alone, because the proxy does not speak the other"
	}
	c.holds(v.Check, "%s", text)
}

// fault says what is wrong with a leg, as the end of a sentence, and what mends it; ""
// where nothing is.
func (c *connected) fault(v *Caller, l *Leg) (code, text string) {
	a := &l.First
	refused := !a.In || a.Unmarked()
	switch {
	case l.Err != nil:
		return string(plan.NoAnswer), fmt.Sprintf("has no answer: %v; see NGINX's error log", l.Err)
	case refused == !v.Visitor.In:
		return "", ""
	case !refused:
		return string(plan.GateOpen), fmt.Sprintf("is let in (%s) and must be refused: the gate is open; %s", a.Words(), c.shut(v.Check))
	}
	return string(plan.ShutOut), fmt.Sprintf("is refused (%s) and must be let in: %s", a.Words(), c.wayIn(v, a))
}

// shut is how a gate is shut for a kind of visitor.
func (c *connected) shut(check plan.CheckName) string {
	switch check {
	case plan.ProxyNobody:
		return "ssl_verify_client must be on in the server block that answers for " + c.Target.ServerName + ", and no other block may answer for it; " + c.reload(c.site())
	case plan.ProxyForeign:
		return "ssl_verify_client is off there, or optional_no_ca, which verifies nothing; " + c.reload(c.site())
	case plan.ProxyExpired:
		return "the clock of the proxy's host is behind, or it verifies nothing; compare date there, and " + c.reload(c.site())
	case plan.ProxyRevoked:
		if c.Site.Settings.Revocation == "crl" {
			return "NGINX has not read the CRL that lists it; " + c.reload(c.crl())
		}
		return "NGINX has not read the site that lists it; " + c.reload(c.site())
	}
	return "the groups of the user are none of allow_groups; " + c.reload(c.site())
}

// noneSent are the words with which a gate says that no certificate came.
var noneSent = []string{"No required SSL certificate was sent", "Your certificate is missing"}

// wayIn says what a refusal of somebody means who must be let in, and what mends it.
func (c *connected) wayIn(v *Caller, a *probe.Answer) string {
	title := a.Title()
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(title, w) })
	}
	switch {
	case v.Visitor.Certificate == nil:
		return "the spec has verify = \"optional\", and the proxy insists on a certificate; " + c.reload(c.site())
	case has(noneSent...):
		return "a certificate was sent and did not arrive, so something before NGINX ends TLS, such as a load balancer or a CDN: it must pass TLS through, and a site behind it may need proxy_protocol. A person with a browser or curl who reads this has sent none: import the .p12 and choose it when asked, or give curl --cert and --key"
	case has("revoked"):
		return "the CA database does not say so; somebody has revoked the certificate in what NGINX reads, or it serves another site; " + c.reload(c.site())
	case has("expired", "not valid yet"):
		return "the certificate is valid here, so the clock of the proxy's host is wrong; compare date there"
	case has("cannot be checked"):
		return "the CRL that NGINX has read has ended, or lacks that of a CA, and everybody is refused; " + c.reload(c.crl())
	case has("another issuer"):
		return "NGINX does not trust the CA that has signed it; " + c.reload(c.trust()) + " (ssl_client_certificate)"
	case has("too weak"):
		return "OpenSSL on the proxy's host does not take a key of this size; have a larger one made with mtlsplan apply --replace " + string(c.User)
	case has("may not come in"):
		return "the site that NGINX serves is for other groups; " + c.reload(c.site())
	case a.Alert != "":
		return "the server ends the handshake, which NGINX does not do about a certificate: another program answers at " + c.Target.Address
	}
	return "NGINX's error log says why, with error_log at level info; " + c.reload(c.site()) + ", and " + c.trust() + " with it"
}

// unsent is the check that could not be made: a secret cannot be had.
func (c *connected) unsent() {
	text := fmt.Sprintf("nobody could be sent whom the site lets in: %v", c.Unsent)
	if c.User != "" {
		text = fmt.Sprintf("%s could not be sent: %v", c.User, c.Unsent)
	}
	c.checks = append(c.checks, plan.Check{Owner: c.owner, Check: plan.ProxyLetsIn, Code: plan.PassphraseUnavailable, Unproven: true,
		Message: text + ". curl says of a key that it cannot open \"Error reading X.509 key or certificate file: Decryption has failed.\", or \"could not load PEM client certificate\": the passphrase goes with the certificate, as in --cert FILE.crt:PASSPHRASE --key FILE.key"})
}

// sessions finds out whether a session that is resumed gives more than a new one.
func (c *connected) sessions() {
	resumed := false
	for i := range c.Callers {
		v := &c.Callers[i]
		for k := range v.Legs {
			l := &v.Legs[k]
			if l.Err != nil || !l.Second.Resumed {
				continue
			}
			resumed = true
			over := fmt.Sprintf("%s, over %s,", v.Visitor.Who, tls.VersionName(l.Version))
			switch {
			case !v.Visitor.In && !l.First.In && l.Second.In && !l.Second.Unmarked():
				c.fails(plan.ProxySessions, plan.SessionResumption, "%s is let in by resuming a TLS session, and must be refused; %s", over, c.unresumed())
				return
			case v.Visitor.In && l.Second.In && v.Visitor.Certificate != nil && !c.ours():
				c.fails(plan.ProxySessions, plan.SessionResumption, "%s resumes a TLS session, and NGINX does not verify the certificate again: whoever is revoked, or whose certificate expires, stays in until the session ends; %s", over, c.unresumed())
				return
			}
		}
	}
	switch {
	case !resumed:
		c.holds(plan.ProxySessions, "no TLS session is resumed, so each connection is verified anew")
	case c.Site.Settings.SessionResumption:
		c.holds(plan.ProxySessions, "TLS sessions are resumed, as the spec has it, until a revocation ends them")
	default:
		c.holds(plan.ProxySessions, "TLS sessions are resumed, and the site judges each request anew")
	}
}

func (c *connected) unresumed() string {
	return "write ssl_session_cache off; and ssl_session_tickets off; into the first server block of that address, whose cache serves all, or " + c.reload(c.site())
}

// headers finds out whether the application believes what a client says of itself.
func (c *connected) headers() {
	e, names := c.Echo, strings.Join(c.Echo.Names, ", ")
	switch {
	case e.Err != nil:
		c.fails(plan.ProxyHeaders, plan.NoAnswer, "%s has no answer: %v; see NGINX's error log", e.Path, e.Err)
	case strings.Contains(e.Answer.Page, ForgedValue):
		c.fails(plan.ProxyHeaders, plan.Forged, "a client can say who it is: of %s, one at least reaches the application at %s as it was sent; %s", names, e.Path, c.reload(c.site()))
	case !strings.Contains(e.Answer.Page, EchoValue):
		c.fails(plan.ProxyHeaders, plan.NoEcho, "%s (%s) does not show the headers of a request, so nothing tells what reaches the application: name a page of the application that does", e.Path, e.Answer.Words())
	default:
		c.holds(plan.ProxyHeaders, "what a client sends as %s does not reach the application", names)
	}
}
