package nginx

import "strings"

// application is what a site passes requests on to: one row a name of the
// spec's attribute of that name.
type application struct {
	name      string
	doc       string // what it has, for the reference: "NAME has DOC"
	maxBody   string // client_max_body_size: the largest request body
	maps      []requestMap
	locations []location
	headers   map[string]string // what it is told of who came, where the spec says nothing
}

// A location is where requests are passed on. [site.proxy] has what all
// locations have in common.
type location struct {
	match   []string
	headers [][2]string // request headers, beside those that every location sets
	tuning  [][]string  // directives that may stand in a location: timeouts, buffers
}

// requestMap is a variable that the headers of an application's locations can
// name, as "$" and its role. In the site it has a name of the site's own.
type requestMap struct {
	role     string // see [site.name]
	comment  string
	source   string
	fallback string
	entries  [][2]string
}

// connection is the Connection header where WebSockets and plain requests
// share a location.
var connection = requestMap{
	role:     "ws",
	comment:  "WebSockets are upgraded, all else keeps its connection.",
	source:   "$http_upgrade",
	fallback: "upgrade",
	entries:  [][2]string{{"", ""}},
}

var applications = []application{
	{
		// The NGINX page of Mattermost's deployment guide, but for three things.
		// Host keeps a port other than 443, because the server compares it with
		// the Origin of a WebSocket. X-Frame-Options is left to the server, which
		// sends that response header itself; the guide sets it on requests, where
		// it does nothing. There is no cache: the guide declares one and does not
		// use it.
		name:    "mattermost",
		doc:     "its official sizes, timeouts and WebSocket location",
		maxBody: "100M",
		headers: guideHeaders,
		locations: []location{
			{
				match:   []string{"~", `/api/v[0-9]+/(users/)?websocket$`},
				headers: [][2]string{{"Upgrade", "$http_upgrade"}, {"Connection", "upgrade"}},
				tuning: [][]string{
					{"client_body_timeout", "60s"},
					{"send_timeout", "300s"},
					{"lingering_timeout", "5s"},
					{"proxy_buffers", "256", "16k"},
					{"proxy_buffer_size", "16k"},
					{"proxy_connect_timeout", "90s"},
					{"proxy_send_timeout", "300s"},
					{"proxy_read_timeout", "90s"},
				},
			},
			{
				match:   []string{"/"},
				headers: [][2]string{{"Connection", ""}},
				tuning: [][]string{
					{"proxy_buffers", "256", "16k"},
					{"proxy_buffer_size", "16k"},
					{"proxy_read_timeout", "600s"},
				},
			},
		},
	},
	{
		name:    "generic",
		doc:     "one location that also upgrades WebSockets",
		maxBody: "1M",
		maps:    []requestMap{connection},
		locations: []location{everywhere(
			[]string{"proxy_read_timeout", "600s"}, // ten minutes of silence end a WebSocket
		)},
	},
	{
		// https://docs.gitea.com/administration/reverse-proxies: a push or a package
		// needs a large body, and paths are passed on as they are, "%2F" too, which
		// NGINX does where proxy_pass has no path.
		name:      "gitea",
		doc:       "the sizes of its documentation, for pushes and packages, and WebSockets",
		maxBody:   "512M",
		maps:      []requestMap{connection},
		locations: []location{everywhere()},
	},
	{
		// https://grafana.com/tutorials/run-grafana-behind-a-proxy: Grafana compares
		// Host with the Origin of requests, and Live is a WebSocket that it keeps
		// alive itself. The documentation has a location for it, with the same lines.
		name:      "grafana",
		doc:       "the WebSocket of Grafana Live",
		maxBody:   "1M",
		maps:      []requestMap{connection},
		locations: []location{everywhere()},
	},
	{
		// https://github.com/dani-garcia/vaultwarden/wiki/Proxy-examples: an
		// attachment has up to 500 MB, and notifications come over a WebSocket on the
		// same port. The address of a client is read from X-Real-IP.
		name:      "vaultwarden",
		doc:       "room for its attachments, and WebSockets for notifications",
		maxBody:   "525M",
		maps:      []requestMap{connection},
		locations: []location{everywhere()},
	},
}

// everywhere is one location for all requests, WebSockets among them.
func everywhere(tuning ...[]string) location {
	return location{
		match:   []string{"/"},
		headers: [][2]string{{"Upgrade", "$http_upgrade"}, {"Connection", "$ws"}},
		tuning:  tuning,
	}
}

func applicationNames() []string {
	var names []string
	for _, a := range applications {
		names = append(names, a.name)
	}
	return names
}

func applicationDocs() string {
	var docs []string
	for _, a := range applications {
		docs = append(docs, a.name+" has "+a.doc)
	}
	return strings.Join(docs, "; ")
}

func maxBodyDocs() string {
	var docs []string
	for _, a := range applications {
		docs = append(docs, a.maxBody+" for "+a.name)
	}
	return strings.Join(docs, ", ")
}

// applicationNamed is the row of a name that the spec's check has let through.
func applicationNamed(name string) application {
	for _, a := range applications {
		if a.name == name {
			return a
		}
	}
	return applications[0]
}

func (s site) applicationMaps(c *conf) {
	for _, m := range s.application.maps {
		c.gap()
		c.comment(m.comment)
		s.mapping(c, m.source, m.role, m.fallback, func() {
			for _, e := range m.entries {
				c.set(e[0], e[1])
			}
		})
	}
}

func (s site) locations(c *conf) {
	for _, l := range s.application.locations {
		c.gap()
		c.block(func() { s.proxy(c, l) }, append([]string{"location"}, l.match...)...)
	}
}

// proxy writes a location. NGINX inherits proxy_set_header only where a
// location has none of its own, so each has all: a client's own identity
// headers would pass through one that lacks them.
func (s site) proxy(c *conf, l location) {
	scheme := "http://"
	if len(upstreamHosts(s.Settings)) > 0 {
		scheme = overTLS
	}
	c.set("proxy_pass", scheme+s.name("upstream"))
	c.set("proxy_http_version", "1.1")
	c.set("proxy_set_header", "Host", "$http_host")
	c.set("proxy_set_header", "X-Real-IP", "$remote_addr")
	c.set("proxy_set_header", "X-Forwarded-For", "$proxy_add_x_forwarded_for")
	c.set("proxy_set_header", "X-Forwarded-Proto", "$scheme")
	s.identity(c)
	for _, h := range l.headers {
		c.set("proxy_set_header", h[0], s.ownVariable(h[1]))
	}
	for _, line := range l.tuning {
		c.set(line...)
	}
}

// ownVariable gives the variable of one of the application's maps the name
// that it has in this site.
func (s site) ownVariable(value string) string {
	for _, m := range s.application.maps {
		if value == "$"+m.role {
			return s.variable(m.role)
		}
	}
	return value
}
