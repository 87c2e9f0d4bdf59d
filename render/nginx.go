package render

import "path"

// nginx renders a complete NGINX site: one file for sites-available, which
// nginx.conf includes in its http block.
//
// Every form is chosen by nginx_version. The oldest version that can be named
// is 1.13.5, the first with $ssl_client_escaped_cert.
var nginx = &Proxy{
	Name:     "nginx",
	Doc:      "A complete NGINX site that asks browsers for a client certificate and proxies those who have one.",
	Check:    checkNginx,
	CheckAll: checkNginxSites,
	Render:   renderNginx,
	ReadBack: readBackNginx,
	Settings: []Setting{
		{Name: "file", Type: String, Check: checkSiteFile,
			Doc: "Where the site is written, relative to the output directory; nginx/NAME when not set."},
		{Name: "server_name", Type: Strings, Required: true, Check: checkServerName,
			Doc: "Names that the site answers to, such as chat.example.com or *.example.com; directive server_name. A client that names none in its TLS handshake (no SNI) gets 421."},
		{Name: "listen", Type: Strings, Default: []string{"443", "[::]:443"}, Check: checkListen,
			Doc: "Ports, or addresses with ports, for TLS; directive listen."},
		{Name: "redirect_from", Type: Strings, Default: []string{"80", "[::]:80"}, Check: checkListen,
			Doc: "Ports, or addresses with ports, where plain HTTP is sent on to HTTPS; [] for none."},
		{Name: "upstream", Type: Strings, Required: true, Check: checkUpstream,
			Doc: "The application's servers, spoken to in plain HTTP: host:port or unix:/path. A name must resolve when NGINX starts."},
		{Name: "application", Type: String, Default: "mattermost", Words: []string{"mattermost", "generic"},
			Doc: "What is proxied: mattermost has its official sizes, timeouts and WebSocket location; generic has one location that also upgrades WebSockets."},
		{Name: "nginx_version", Type: String, Check: checkNginxVersion,
			Doc: "The version that will run the site, such as 1.22 or 1.26.3, at least 1.13.5; when not set, only forms that every version accepts without a warning, which means no HTTP/2."},
		{Name: "certificate", Type: String, Check: CheckPath,
			Doc: "Absolute path of the server's certificate chain on the proxy's host; /etc/letsencrypt/live/SERVER_NAME/fullchain.pem, with the first server name, when not set."},
		{Name: "certificate_key", Type: String, Check: CheckPath,
			Doc: "Absolute path of the server's private key there; /etc/letsencrypt/live/SERVER_NAME/privkey.pem when not set."},
		{Name: "verify", Type: String, Default: "on", Words: []string{"on", "optional"},
			Doc: "Whether a client must have a certificate: on means on every path that is not exempt; optional leaves it to the application. Directive ssl_verify_client, which is optional where paths are exempt."},
		{Name: "exempt", Type: Strings, Check: checkExempt,
			Doc: "Paths that need no certificate: /hooks/ is all below it, /ping is that path alone. Each one is a hole in the gate. It must be spelled plainly: a request with %2F, %2E, %25, ', ; or raw UTF-8 in its path needs a certificate."},
		{Name: "revocation", Type: String, Default: "map", Words: []string{"map", "crl", "both"},
			Doc: "How revoked certificates are refused: by a map of serials that is asked on every request and never expires, by ssl_crl, or by both."},
		{Name: "identity_headers", Type: Bool, Default: true,
			Doc: "Whether the application is told who came, in X-SSL-Client-Cert (URL-escaped PEM) and X-SSL-Client-Cert-Subject-DN (/C=US/.../emailAddress=..., in which OpenSSL escapes: anna\\+tls@example.com, and \\xC3\\xBC for ü); a client's own are dropped either way."},
		{Name: "session_resumption", Type: Bool, Default: false,
			Doc: "Whether TLS sessions may be resumed; a resumed session is not verified again."},
		{Name: "client_ca", Type: String, Check: CheckPath,
			Doc: "Absolute path of the CA certificates as the proxy's host sees them; deploy's client_ca, else the file in the output directory, when not set."},
		{Name: "crl", Type: String, Check: CheckPath,
			Doc: "Absolute path of the CRL as the proxy's host sees it; deploy's crl, else the file in the output directory, when not set."},
	},
	Blocks: []Block{{
		Name: "deploy",
		Doc:  "Where the site and what it reads are put on this host, and how NGINX is told.",
		Settings: []Setting{
			{Name: "site", Type: String, Required: true, Check: CheckPath,
				Doc: "Absolute path of the site, such as /etc/nginx/sites-available/mattermost."},
			{Name: "client_ca", Type: String, Check: CheckPath,
				Doc: "Absolute path of the copy of the CA certificates."},
			{Name: "crl", Type: String, Check: CheckPath,
				Doc: "Absolute path of the copy of the CRL."},
			{Name: "test", Type: Strings, Default: []string{"nginx", "-t"}, Check: checkWord,
				Doc: "Program and arguments that test the configuration."},
			{Name: "reload", Type: Strings, Default: []string{"systemctl", "reload", "nginx"}, Check: checkWord,
				Doc: "Program and arguments that make NGINX read it."},
			{Name: "probe", Type: String, Check: checkProbe,
				Doc: "Address, as host:port, where the running site can be asked."},
		},
	}},
}

// File is where a site is written, relative to the output directory.
func (p *Proxy) File(name string, v Values) string {
	if f := v.String("file"); f != "" {
		return path.Clean(f)
	}
	return p.Name + "/" + name
}

// ClientCA is the path of the CA certificates as the proxy's host sees them:
// client_ca, else deploy's, else the fallback.
func (v Values) ClientCA(fallback string) string {
	return firstSet(v.String("client_ca"), v.String("deploy.client_ca"), fallback)
}

// CRL is the path of the CRLs as the proxy's host sees them: crl, else
// deploy's, else the fallback.
func (v Values) CRL(fallback string) string {
	return firstSet(v.String("crl"), v.String("deploy.crl"), fallback)
}

func firstSet(values ...string) string {
	for _, s := range values {
		if s != "" {
			return s
		}
	}
	return ""
}
