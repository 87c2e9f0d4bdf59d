package doctor

import (
	"slices"
	"strings"

	"mtlsplan/internal/nginxconf"
)

// scope is a block with those around it; the outermost is the file.
type scope struct {
	*nginxconf.Directive // nil for the file
	list                 []*nginxconf.Directive
	up                   *scope
	byName               map[string][]*nginxconf.Directive // list, once it was asked for
}

func (s *scope) inside(d *nginxconf.Directive) *scope {
	return &scope{Directive: d, list: d.Block, up: s}
}

// named are the directives and blocks of a name.
func (s *scope) named(name string) []*nginxconf.Directive {
	if s.byName == nil {
		s.byName = map[string][]*nginxconf.Directive{}
		for _, d := range s.list {
			s.byName[d.Name] = append(s.byName[d.Name], d)
		}
	}
	return s.byName[name]
}

// nearest is the directive that counts in a block: its own, else that of the block
// around it; nil for none.
func (s *scope) nearest(name string) *nginxconf.Directive {
	if all := s.nearestAll(name); len(all) > 0 {
		return all[0]
	}
	return nil
}

// nearestAll is nearest for directives that may stand several times: a block with one
// of its own inherits none.
func (s *scope) nearestAll(name string) (out []*nginxconf.Directive) {
	for ; s != nil && len(out) == 0; s = s.up {
		out = s.own(name)
	}
	return out
}

func (s *scope) own(name string) (out []*nginxconf.Directive) {
	for _, d := range s.named(name) {
		if !d.Opens {
			out = append(out, d)
		}
	}
	return out
}

// server is a block server, or a whole file that holds the lines of one.
type server struct {
	*scope
	at     nginxconf.Place
	tls    bool
	mode   string               // of ssl_verify_client, "off" where there is none
	verify *nginxconf.Directive // that directive, or nil
}

// asks reports whether clients are asked for certificates.
func (s *server) asks() bool { return s.mode != "off" }

func newWard(of Site) *ward {
	w := &ward{Site: of, root: &scope{list: of.Directives}, maps: map[string]*nginxconf.Directive{}, set: map[string]bool{}, seen: map[string]bool{}}
	w.index(of.Directives)
	w.onVerify = w.dependent(func(name string) bool { return name == "ssl_client_verify" })
	w.onIdentity = w.dependent(identity)
	w.onCert = w.dependent(func(name string) bool { return strings.HasPrefix(name, "ssl_client_") })
	w.collect(w.root)
	if len(w.servers) == 0 && slices.ContainsFunc(of.Directives, partOfServer) {
		w.add(w.root, of.Directives[0].Place)
		w.servers[0].tls = true
	}
	return w
}

func partOfServer(d *nginxconf.Directive) bool {
	return d.Name == "location" || d.Name == "listen" || d.Name == "ssl" || d.Name == "proxy_pass" || strings.HasPrefix(d.Name, "ssl_")
}

func (w *ward) collect(in *scope) {
	for _, d := range in.list {
		switch {
		case d.Name == "http" && d.Opens:
			w.collect(in.inside(d))
		case d.Name == "server" && d.Opens:
			w.add(in.inside(d), d.Place)
		}
	}
}

func (w *ward) add(in *scope, at nginxconf.Place) {
	s := &server{scope: in, at: at, mode: "off"}
	s.tls = s.listensWith("ssl") || s.listensWith("quic")
	if d := in.nearest("ssl"); d != nil {
		s.tls = s.tls || d.Is("on")
	}
	if s.verify = in.nearest("ssl_verify_client"); s.verify != nil {
		s.mode = strings.ToLower(s.verify.Arg(0))
	}
	w.servers = append(w.servers, s)
}

// asking are the servers that ask for certificates.
func (w *ward) asking() (out []*server) {
	for _, s := range w.servers {
		if s.tls && s.asks() {
			out = append(out, s)
		}
	}
	return out
}

// locations are all locations of a server, those inside others too.
func (s *server) locations() []*scope { return locationsIn(s.scope) }

func locationsIn(in *scope) (out []*scope) {
	for _, d := range in.list {
		if d.Name == "location" && d.Opens {
			l := in.inside(d)
			out = append(append(out, l), locationsIn(l)...)
		}
	}
	return out
}

// pathOf is the path or pattern of a location.
func (s *scope) pathOf() string { return s.Arg(len(s.Args) - 1) }

// passes are the directives that hand a request to an application, by the one that
// sets headers for it.
var passes = map[string]string{"proxy_pass": "proxy_set_header", "grpc_pass": "grpc_set_header", "fastcgi_pass": "", "uwsgi_pass": "", "scgi_pass": ""}

// pass is where a block hands requests to an application, itself or in an if or
// limit_except in it; nil for nowhere.
func (s *scope) pass() (at *scope, d *nginxconf.Directive) {
	for _, d := range s.list {
		if _, ok := passes[d.Name]; ok && !d.Opens {
			return s, d
		}
	}
	for _, d := range s.list {
		if d.Opens && (d.Name == "if" || d.Name == "limit_except") {
			if at, pass := s.inside(d).pass(); pass != nil {
				return at, pass
			}
		}
	}
	return nil, nil
}

// target is the host that a proxy_pass names, without scheme and path.
func target(pass *nginxconf.Directive) string {
	to := pass.Arg(0)
	if _, rest, ok := strings.Cut(to, "://"); ok {
		to = rest
	}
	if strings.HasPrefix(to, "unix:") {
		return to
	}
	to, _, _ = strings.Cut(to, "/")
	return strings.ToLower(to)
}
