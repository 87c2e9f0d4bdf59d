package render

// A location is where requests are passed on, with the settings that differ
// between locations and applications.
type location struct {
	match    []string
	settings [][]string
}

// mattermost follows the NGINX page of Mattermost's deployment guide. Three
// things are otherwise: Host keeps a port other than 443, because the server
// compares it with the Origin of a WebSocket; X-Frame-Options is left to the
// server, which sends that response header itself (the guide sets it on
// requests, where it does nothing); and there is no cache, which the guide
// declares without using it.
var mattermost = []location{
	{
		match: []string{"~", `/api/v[0-9]+/(users/)?websocket$`},
		settings: [][]string{
			{"proxy_set_header", "Upgrade", "$http_upgrade"},
			{"proxy_set_header", "Connection", "upgrade"},
			{"client_max_body_size", "50M"},
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
		match: []string{"/"},
		settings: [][]string{
			{"proxy_set_header", "Connection", ""},
			{"client_max_body_size", "100M"},
			{"proxy_buffers", "256", "16k"},
			{"proxy_buffer_size", "16k"},
			{"proxy_read_timeout", "600s"},
		},
	},
}

// generic is one location for everything. Ten minutes of silence end a
// WebSocket.
func (s nginxSite) generic() []location {
	return []location{{
		match: []string{"/"},
		settings: [][]string{
			{"proxy_set_header", "Upgrade", "$http_upgrade"},
			{"proxy_set_header", "Connection", s.variable("ws")},
			{"client_max_body_size", "100M"},
			{"proxy_read_timeout", "600s"},
		},
	}}
}

func (s nginxSite) locations(c *conf) {
	all := mattermost
	if s.Values.String("application") == "generic" {
		all = s.generic()
	}
	for _, l := range all {
		c.gap()
		c.block(func() { s.proxy(c, l) }, append([]string{"location"}, l.match...)...)
	}
}

// proxy writes a location. NGINX inherits proxy_set_header only where a
// location has none of its own, so each has all: a client's own identity
// headers would pass through one that has not.
func (s nginxSite) proxy(c *conf, l location) {
	cert, subject := "", ""
	if s.Values.Bool("identity_headers") {
		cert, subject = "$ssl_client_escaped_cert", "$ssl_client_s_dn_legacy"
	}
	c.set("proxy_pass", "http://"+s.name("upstream"))
	c.set("proxy_http_version", "1.1")
	c.set("proxy_set_header", "Host", "$http_host")
	c.set("proxy_set_header", "X-Real-IP", "$remote_addr")
	c.set("proxy_set_header", "X-Forwarded-For", "$proxy_add_x_forwarded_for")
	c.set("proxy_set_header", "X-Forwarded-Proto", "$scheme")
	c.set("proxy_set_header", "X-SSL-Client-Cert", cert)
	c.set("proxy_set_header", "X-SSL-Client-Cert-Subject-DN", subject)
	for _, line := range l.settings {
		c.set(line...)
	}
}
