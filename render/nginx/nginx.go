// Package nginx renders a complete NGINX site: one file for sites-available,
// which nginx.conf includes in its http block.
//
// nginx.go has the rows of the spec's block, values.go and check.go what they
// take, sites.go what one site must leave to another. server.go, maps.go, page.go,
// mark.go, identity.go and application.go make the site as a tree of directives, which
// conf.go prints. All forms are chosen by nginx_version; the oldest version that can
// be named is 1.13.5, the first with $ssl_client_escaped_cert.
package nginx

import (
	"slices"

	"mtlsplan/render"
)

type (
	attribute = render.Attribute
	settings  = render.Settings
	problem   = render.Problem
)

// Proxy is NGINX.
var Proxy = &render.Proxy{
	Name:       "nginx",
	Doc:        "A complete NGINX site that asks browsers for a client certificate and proxies those who have one.",
	Check:      check,
	CheckAll:   checkSites,
	NamesUsers: namesUsers,
	Identity:   identityNames,
	OpenToAll:  func(s settings) bool { return s.Verify == "optional" && !gated(s) }, // "/" is never exempt
	TellsDN:    func(s settings) bool { return slices.Contains(told(s), "dn") },
	Files:      func(s settings) []string { return []string{s.File} },
	Gate:       markIn,
	Refused:    refused,
	Render:     renderSite,
	Attributes: []attribute{
		{Name: "file", Field: func(s *settings) any { return &s.File }, Check: checkSiteFile,
			Doc: "Where the site is written, relative to the output directory; nginx/NAME when not set."},
		{Name: "server_name", Field: func(s *settings) any { return &s.ServerNames }, Required: true, Check: checkServerName,
			Doc: "Names that the site answers to, such as chat.example.com or *.example.com; directive server_name. A client that names none in its TLS handshake (no SNI) gets 421."},
		{Name: "listen", Field: func(s *settings) any { return &s.Listen }, Default: []string{"443", "[::]:443"}, Check: checkListen,
			Doc: "Ports, or addresses with ports, for TLS; directive listen."},
		{Name: "redirect_from", Field: func(s *settings) any { return &s.RedirectFrom }, Default: []string{"80", "[::]:80"}, Check: checkListen,
			Doc: "Ports, or addresses with ports, where plain HTTP is sent on to HTTPS; [] for none."},
		{Name: "proxy_protocol", Field: func(s *settings) any { return &s.ProxyProtocol }, Default: false,
			Doc: "Whether the site is behind a TCP load balancer that puts the PROXY protocol's header before each connection, on every address of listen and redirect_from; parameter proxy_protocol of listen. A connection without the header is closed."},
		{Name: "real_ip_from", Field: func(s *settings) any { return &s.RealIPFrom }, Check: checkNetwork,
			Doc: "Addresses and networks of the load balancers, such as 10.0.0.0/8, whose PROXY header is believed: the application and the log are then told the client's address and not the balancer's. Directive set_real_ip_from, of a module that packaged versions of NGINX have."},
		{Name: "acme_challenge", Field: func(s *settings) any { return &s.ACMEChallenge }, Check: checkWebroot,
			Doc: "Absolute path of a webroot on the proxy's host, as in certbot's -w: below /.well-known/acme-challenge/, plain HTTP is answered from it and not sent on, so that the server's own certificate can be renewed."},
		{Name: "upstream", Field: func(s *settings) any { return &s.Upstream }, Required: true, Check: checkUpstream,
			Doc: "The application's servers: host:port or unix:/path for plain HTTP, https://host:port for TLS. A name must resolve when NGINX starts; NGINX uses all addresses that it resolves to."},
		{Name: "upstream_ca", Field: func(s *settings) any { return &s.UpstreamCA }, Check: checkPath,
			Doc: "Absolute path, on the proxy's host, of the CA certificates against which an https upstream is verified; its certificate must have the host in upstream as a DNS name. Directive proxy_ssl_trusted_certificate."},
		{Name: "upstream_verify", Field: func(s *settings) any { return &s.UpstreamVerify }, Default: true,
			Doc: "Whether an https upstream is verified; directive proxy_ssl_verify."},
		{Name: "application", Field: func(s *settings) any { return &s.Application }, Default: applications[0].name, Words: applicationNames(),
			Doc: "The application behind the proxy: " + applicationDocs() + "."},
		{Name: "max_body_size", Field: func(s *settings) any { return &s.MaxBodySize }, Check: checkSize,
			Doc: "The largest request body, an upload for example, such as 512M or 10G; 0 for any size; " + maxBodyDocs() + " when not set. Directive client_max_body_size."},
		{Name: "nginx_version", Field: func(s *settings) any { return &s.Version }, Check: checkNginxVersion,
			Doc: "The version that will run the site, such as 1.22 or 1.26.3, at least 1.13.5; when not set, only forms that every version accepts without a warning, which means no HTTP/2."},
		{Name: "certificate", Field: func(s *settings) any { return &s.Certificate }, Check: checkPath,
			Doc: "Absolute path of the server's certificate chain on the proxy's host; /etc/letsencrypt/live/SERVER_NAME/fullchain.pem, with the first server name, when not set."},
		{Name: "certificate_key", Field: func(s *settings) any { return &s.CertificateKey }, Check: checkPath,
			Doc: "Absolute path of the server's private key on the proxy's host; /etc/letsencrypt/live/SERVER_NAME/privkey.pem when not set."},
		{Name: "verify", Field: func(s *settings) any { return &s.Verify }, Default: "on", Words: []string{"on", "optional"},
			Doc: "Whether a client must have a certificate: on asks for one on every path that is not exempt; optional leaves it to the application. Directive ssl_verify_client, which is optional where paths or preflights are exempt."},
		{Name: "exempt", Field: func(s *settings) any { return &s.Exempt }, Check: checkExempt,
			Doc: "Paths that need no certificate: /hooks/ is all below it, /ping is that path alone. Each one is a hole in the gate. It must be spelled plainly: a request with %2F, %2E, %25, ', ; or raw UTF-8 in its path needs a certificate."},
		{Name: "cors_preflight", Field: func(s *settings) any { return &s.CORSPreflight }, Default: false,
			Doc: "Whether a CORS preflight reaches the application without a certificate, because browsers send none with it: an OPTIONS request with Origin and Access-Control-Request-Method, on every path. Every other request needs one as before. ssl_verify_client is optional then."},
		{Name: "revocation", Field: func(s *settings) any { return &s.Revocation }, Default: "map", Words: []string{"map", "crl", "both"},
			Doc: "How revoked certificates are refused: by a map of serials that is asked on every request and never expires, by ssl_crl, or by both."},
		{Name: "identity_headers", Field: func(s *settings) any { return &s.IdentityHeaders }, Default: true,
			Doc: "Whether the application is told who came; false is the same as headers = {}."},
		{Name: "headers", Field: func(s *settings) any { return &s.Headers }, Check: checkHeader, Words: carried,
			Doc: "Headers that tell the application who came, each with what it carries: certificate (URL-escaped PEM), dn (/C=US/.../emailAddress=..., in which OpenSSL escapes: anna\\+tls@example.com, and \\xC3\\xBC for ü), name (in the spec), common_name, email, device (of a user with several, else empty), groups (with commas between), serial, or fingerprint (SHA-1). name, common_name, email, device and groups come from the CA database and the spec, not from the certificate; what is not printable ASCII in them, and %, $ and |, is URL-escaped. When not set, " + headerDocs() + ". A header of these names, or of Mattermost's two, that a client sends is dropped in any case."},
		{Name: "allow_groups", Field: func(s *settings) any { return &s.AllowGroups }, Check: checkGroup,
			Doc: "Groups whose users come in, as the attribute groups of users names them; everybody with a certificate when not set. Others read that they may not come in, and whom to ask."},
		{Name: "session_resumption", Field: func(s *settings) any { return &s.SessionResumption }, Default: false,
			Doc: "Whether TLS sessions may be resumed; a resumed session is not verified again."},
		{Name: "client_ca", Field: func(s *settings) any { return &s.ClientCA }, Check: checkPath,
			Doc: "Absolute path of the CA certificates as the proxy's host sees them; deploy's client_ca, else the file in the output directory, when not set."},
		{Name: "crl", Field: func(s *settings) any { return &s.CRL }, Check: checkPath,
			Doc: "Absolute path of the CRL as the proxy's host sees it; deploy's crl, else the file in the output directory, when not set."},
	},
	Blocks: []render.Block{{
		Name: "deploy",
		Doc:  "Where the site and what it reads are put on this host, and how NGINX is told. Each file is replaced whole and keeps its mode and owner; what was there is put back when anything fails.",
		Attributes: []attribute{
			{Name: "site", Field: func(s *settings) any { return &s.Deploy.Site }, Required: true, Check: checkPath,
				Doc: "Absolute path of the site, such as /etc/nginx/sites-available/mattermost."},
			{Name: "client_ca", Field: func(s *settings) any { return &s.Deploy.ClientCA }, Check: checkPath,
				Doc: "Absolute path of the copy of the CA certificates."},
			{Name: "crl", Field: func(s *settings) any { return &s.Deploy.CRL }, Check: checkPath,
				Doc: "Absolute path of the copy of the CRL."},
			{Name: "test", Field: func(s *settings) any { return &s.Deploy.Test }, Default: []string{"nginx", "-t"}, Check: checkWord,
				Doc: "Program and arguments that test the configuration. Like reload it is run in the directory of the spec, without a shell, with PATH and the locale alone."},
			{Name: "reload", Field: func(s *settings) any { return &s.Deploy.Reload }, Default: []string{"systemctl", "reload", "nginx"}, Check: checkWord,
				Doc: "Program and arguments that make NGINX read it."},
			{Name: "probe", Field: func(s *settings) any { return &s.Deploy.Probe }, Check: checkProbe,
				Doc: "Address, as host:port, where the running site is asked after a reload whether it refuses who must not get in and lets the others in."},
			{Name: "timeout", Field: func(s *settings) any { return &s.Deploy.Timeout }, Default: "30s", Check: checkTimeout,
				Doc: "How long test and reload may take each, and the probe, such as 30s or 2m."},
		},
	}},
}
