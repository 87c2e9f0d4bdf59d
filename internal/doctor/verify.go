package doctor

import (
	"fmt"
	"slices"
	"strings"

	"mtlsplan/internal/nginxconf"
	"mtlsplan/internal/plan"
)

var (
	http2Alone = [3]int{1, 25, 1} // the directive http2, and the end of ssl
	caOptional = [3]int{1, 27, 2} // ssl_trusted_certificate is enough
)

func (w *ward) tls() {
	encrypted := false
	for _, s := range w.servers {
		encrypted = encrypted || s.tls
		for _, d := range s.nearestAll("ssl") {
			const gone = `NGINX 1.25.1 and newer do not know "ssl" and refuse to start. Remove this line`
			switch {
			case !d.Is("on"):
			case s.listensWith("ssl"):
				w.report(d.Place, plan.SSLOn, gone+`; "listen ... ssl" says the same.`)
			default:
				w.report(d.Place, plan.SSLOn, gone+", and say so in listen, which every version takes.", s.listen("ssl")...)
			}
		}
		w.http2(s)
		if d := s.nearest("ssl_protocols"); d != nil && s.tls {
			if old := slices.DeleteFunc(slices.Clone(d.Args), func(p string) bool { return strings.EqualFold(p, "TLSv1.2") || strings.EqualFold(p, "TLSv1.3") }); len(old) > 0 {
				w.report(d.Place, plan.OldProtocol, strings.Join(old, " and ")+" can be broken; every browser of the last ten years speaks TLS 1.2.", "ssl_protocols TLSv1.2 TLSv1.3;")
			}
		}
	}
	if !encrypted && len(w.servers) > 0 {
		s := w.servers[0]
		w.report(s.at, plan.NoTLS, "No server here speaks TLS, and without TLS no client can show a certificate. Let one listen with ssl, and give it ssl_certificate and ssl_certificate_key.", s.listen("ssl")...)
	}
}

// listensWith reports whether a listen of the server has a parameter.
func (s *server) listensWith(parameter string) bool {
	return slices.ContainsFunc(s.own("listen"), func(l *nginxconf.Directive) bool { return slices.Contains(l.Args, parameter) })
}

// listen are the server's lines for TLS with one more parameter.
func (s *server) listen(with string) (out []string) {
	for _, l := range s.own("listen") {
		args := slices.Clone(l.Args)
		if len(args) == 0 || plain(args) && len(s.own("listen")) > 1 {
			continue
		}
		if !slices.Contains(args, with) {
			args = slices.Insert(args, 1+slices.Index(args[1:], "ssl")+1, with)
		}
		out = append(out, "listen "+strings.Join(args, " ")+";")
	}
	if len(out) == 0 {
		return []string{"listen 443 ssl;"}
	}
	return out
}

// plain reports whether a listen is on the port of plain HTTP.
func plain(args []string) bool {
	return len(args) > 0 && (args[0] == "80" || strings.HasSuffix(args[0], ":80"))
}

func (w *ward) http2(s *server) {
	for _, l := range s.own("listen") {
		if slices.Contains(l.Args, "http2") && w.Version.since(http2Alone) {
			line := "listen " + strings.Join(slices.DeleteFunc(slices.Clone(l.Args), func(a string) bool { return a == "http2" }), " ") + ";"
			w.report(l.Place, plan.HTTP2Form, "NGINX 1.25.1 and newer warn about http2 in listen: it is a directive of the server there.", line, "http2 on;")
		}
	}
	d := s.nearest("http2")
	if d == nil || !d.Is("on") || w.Version.since(http2Alone) {
		return
	}
	lines := s.listen("http2")
	if w.Version.before(http2Alone) {
		w.report(d.Place, plan.HTTP2Form, `NGINX before 1.25.1 does not know "http2" and refuses to start. Remove this line, and say so in listen.`, lines...)
		return
	}
	w.report(d.Place, plan.HTTP2Form, `NGINX before 1.25.1 does not know "http2" and refuses to start. Every version takes http2 in listen, though newer ones warn. If this NGINX is newer, say so: --nginx-version 1.26.`, lines...)
}

const verifyOn = "ssl_verify_client on;"

func (w *ward) verify() {
	asking := w.asking()
	for _, s := range w.servers {
		switch own := s.own("ssl_client_certificate"); {
		case !s.tls || s.asks():
		case s.verify != nil && s.nearest("ssl_client_certificate") != nil:
			w.report(s.verify.Place, plan.VerifyOff, "No client is asked for a certificate, so everybody comes in.", verifyOn)
		case len(own) > 0:
			w.report(own[0].Place, plan.VerifyMissing, "The CA of the clients is here, but without ssl_verify_client no client is asked for a certificate.", verifyOn)
		}
	}
	if len(asking) == 0 && !w.has(plan.VerifyOff) && !w.has(plan.VerifyMissing) {
		w.nobodyAsks()
	}
	for _, s := range asking {
		if s.mode != "on" {
			w.optional(s)
		}
		w.errorPages(s)
		w.bypass(s, asking)
	}
}

// nobodyAsks reports the servers with TLS, when none of them asks for certificates.
func (w *ward) nobodyAsks() {
	for _, s := range w.servers {
		if !s.tls || s.redirects() {
			continue
		}
		at := s.at
		if s.verify != nil {
			at = s.verify.Place
		}
		w.report(at, plan.VerifyMissing, "This server asks no client for a certificate, so everybody comes in.", "ssl_client_certificate /etc/nginx/client-ca.crt;", verifyOn)
	}
}

// redirects reports whether a server answers every request itself.
func (s *server) redirects() bool { return len(s.own("return")) > 0 }

// optional judges a server that lets clients without a certificate past the handshake:
// something after it must refuse them.
func (w *ward) optional(s *server) {
	before := w.newFlow(s.mode == "optional_no_ca")
	goesOn := before.run(s.list, true, true)
	closed, open := 0, 0
	for _, l := range s.serving() {
		f := before.into()
		if goesOn && l != s.scope {
			f.run(l.list, false, true)
		}
		switch {
		case f.refused && f.skipped:
			closed++
			w.report(f.skip.Place, plan.CheckSkipped, fmt.Sprintf("A request that this line rewrites leaves before the check of the certificate in %s. Write the check above it, or in the server.", from(f.skip.Place, f.checked[len(f.checked)-1].Place)))
		case f.refused, w.elsewhere(l, s.mode):
			closed++
		default:
			open++
			w.defeated(f, l)
		}
	}
	switch {
	case s.mode == "optional_no_ca" && open > 0:
		w.report(s.verify.Place, plan.VerifyNoCA, "optional_no_ca lets a certificate of any issuer in, also one that somebody has made for themselves.", verifyOn)
	case s.mode == "optional" && closed == 0 && !w.has(plan.CheckDefeated):
		w.report(s.verify.Place, plan.VerifyUnchecked, "A client without a certificate comes in as well: nothing in this server refuses it. Either of these lines does.",
			verifyOn, "if ($ssl_client_verify != SUCCESS) { return 403; }")
	}
}

func (w *ward) has(code plan.Code) bool {
	return slices.ContainsFunc(w.findings, func(f Finding) bool { return f.Code == code })
}

// defeated reports what was meant as a check and refuses nobody.
func (w *ward) defeated(f *flow, l *scope) {
	about := func(d *nginxconf.Directive) bool { return w.onVerify(strings.Join(d.Args, " ")) }
	if slices.ContainsFunc(f.checked, func(d *nginxconf.Directive) bool { return ends(d.Block) && about(d) }) {
		at := f.checked[slices.IndexFunc(f.checked, about)]
		w.report(at.Place, plan.CheckDefeated, "This condition refuses no client that has no good certificate. $ssl_client_verify is SUCCESS, NONE, or FAILED: and a reason.",
			"if ($ssl_client_verify != SUCCESS) { return 403; }")
		return
	}
	if l.up == nil || l.up.Directive == nil || l.up.Name != "location" {
		return
	}
	for _, d := range l.up.list {
		if d.Name == "if" && ends(d.Block) && w.onCert(strings.Join(d.Args, " ")) {
			w.report(l.Place, plan.CheckDefeated, fmt.Sprintf("The check of the certificate in %s does not hold here: a location inherits no if. Write it here too, or in the server.", from(l.Place, d.Place)),
				"if "+strings.Join(d.Args, " ")+" { return 403; }")
		}
	}
}

// serving are the locations that hand requests to an application; in a server without an
// application, all that answer with files.
func (s *server) serving() (out []*scope) {
	var files []*scope
	for _, l := range s.locations() {
		if strings.HasPrefix(l.pathOf(), "/.well-known/") {
			continue
		}
		if _, pass := l.pass(); pass != nil {
			out = append(out, l)
		} else if len(l.own("return")) == 0 && !strings.HasPrefix(l.Arg(0), "@") {
			files = append(files, l)
		}
	}
	named := slices.ContainsFunc(out, func(l *scope) bool { return internal(l) })
	out = slices.DeleteFunc(out, internal)
	switch {
	case named: // they are reached from the others
		return append(out, files...)
	case len(out) == 0 && len(files) == 0:
		return []*scope{s.scope}
	case len(out) == 0:
		return files
	}
	return out
}

// internal reports whether clients cannot ask for a location.
func internal(l *scope) bool {
	return strings.HasPrefix(l.Arg(0), "@") || len(l.own("internal")) > 0
}

// elsewhere reports whether something that is not an if may look at the certificate.
func (w *ward) elsewhere(l *scope, mode string) bool {
	for s := l; s != nil; s = s.up {
		for _, name := range programs {
			if slices.ContainsFunc(s.named(name), func(d *nginxconf.Directive) bool { return program(d, "ssl_client_") }) {
				return true
			}
		}
	}
	if d := l.nearest("auth_request"); d != nil && !d.Is("off") {
		return true
	}
	if d := l.nearest("auth_basic"); d != nil && w.onCert(d.Arg(0)) {
		return true
	}
	if mode != "optional" {
		return false
	}
	for _, name := range []string{"proxy_set_header", "grpc_set_header", "fastcgi_param", "uwsgi_param", "scgi_param"} {
		for _, d := range l.nearestAll(name) {
			if w.onVerify(d.Arg(1)) { // the application decides
				return true
			}
		}
	}
	return false
}

// programs are directives that may refuse a request.
var programs = []string{"access_by_lua_block", "access_by_lua_file", "access_by_lua", "rewrite_by_lua_block", "rewrite_by_lua_file", "rewrite_by_lua", "js_access"}

// program reports whether a directive is one of [programs] that looks at a variable. What
// stands in a file is not known.
func program(d *nginxconf.Directive, variable string) bool {
	return slices.Contains(programs, d.Name) && (!d.Opens || strings.Contains(d.Lua, variable))
}

// errorPages reports an error_page for clients without a good certificate that hands
// them to the application.
func (w *ward) errorPages(s *server) {
	targets, named := map[string]bool{}, map[string]*nginxconf.Directive{}
	for _, l := range s.locations() {
		if _, pass := l.pass(); pass == nil {
			continue
		} else if name := l.Arg(0); strings.HasPrefix(name, "@") {
			named[name] = pass
		} else {
			targets[target(pass)] = true
		}
	}
	for _, d := range s.nearestAll("error_page") {
		if !slices.Contains(d.Args, "495") && !slices.Contains(d.Args, "496") {
			continue
		}
		if pass := named[d.Arg(len(d.Args)-1)]; pass != nil && targets[target(pass)] {
			w.report(d.Place, plan.CheckDefeated, fmt.Sprintf("A client without a good certificate is refused with 495 or 496, and this line hands it to %s all the same (%s). Answer it there.", target(pass), from(d.Place, pass.Place)),
				"return 403;")
		}
	}
}

// from names a place as seen from another one: by its line alone in the same file.
func from(here, there nginxconf.Place) string {
	if here.File == there.File {
		return fmt.Sprintf("line %d", there.Line)
	}
	return fmt.Sprintf("%s:%d", there.File, there.Line)
}

// bypass reports other servers that lead to the application of s from "/".
func (w *ward) bypass(s *server, asking []*server) {
	targets := map[string]bool{}
	for _, l := range s.locations() {
		if _, pass := l.pass(); pass != nil {
			targets[target(pass)] = true
		}
	}
	for _, o := range w.servers {
		if slices.Contains(asking, o) || o.redirects() {
			continue
		}
		for _, l := range o.locations() {
			_, pass := l.pass()
			if pass == nil || l.pathOf() != "/" || !targets[target(pass)] || len(l.own("return")) > 0 {
				continue
			}
			w.report(pass.Place, plan.OpenServer, fmt.Sprintf("%s is behind client certificates in another server (%s), and open here. Send people there instead.", target(pass), from(pass.Place, s.at)),
				"return 301 https://$host$request_uri;")
		}
	}
}
