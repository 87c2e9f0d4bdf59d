package nginx

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"mtlsplan/render"
)

const (
	sessionTimeout      = "10m"
	sessionTimeoutWords = "ten minutes"
)

// site is a site with everything that is derived from it.
type site struct {
	render.Site
	id          string
	versions    versions
	application application
	optional    bool // clients without certificate get past the handshake
	gated       bool // a map decides which of them go further
	named       bool // the site names users
	levels      int  // of the trees in which maps keep serials, see [tableLevels]
	mapped      bool // revocation by map
	pinned      bool // only certificates that are listed get in
	listed      bool // revocation by ssl_crl
	sni         bool // some server name can be named in a handshake
}

func newSite(of render.Site) site {
	s := site{Site: of, id: siteID(of), application: applicationNamed(of.Application)}
	s.versions, _ = parseVersion(of.Version)
	s.gated = gated(of.Settings)
	s.optional = of.Verify == "optional" || s.gated
	s.mapped = of.Revocation != "crl"
	s.named = namesUsers(of.Settings)
	s.pinned = of.Parents > 0
	s.levels = tableLevels(s.serials())
	s.listed = of.Revocation == "crl" || of.Revocation == "both"
	for _, name := range of.ServerNames {
		_, err := parseIP(name)
		s.sni = s.sni || err != nil
	}
	return s
}

// gated reports whether some requests need no certificate while all others do.
func gated(s settings) bool { return len(s.Exempt) > 0 || s.CORSPreflight }

// directives are the whole site.
func directives(of render.Site) []directive {
	s := newSite(of)
	c := &conf{}
	c.comment("Written by mtlsplan: changes made here are overwritten.",
		"A complete site for the http block of nginx.conf.",
		"",
		"To cut connections that are open when somebody is revoked, WebSockets above all,",
		"set worker_shutdown_timeout 60s; in the main context of nginx.conf.")
	c.gap()
	c.block(func() {
		for _, u := range s.Upstream {
			c.set("server", strings.TrimPrefix(u, overTLS))
		}
		c.set("keepalive", "32")
	}, "upstream", s.name("upstream"))
	s.mismatchMap(c)
	if s.CORSPreflight {
		s.preflightMap(c)
	}
	if len(s.Exempt) > 0 {
		s.pathMap(c)
	}
	if s.gated {
		s.denyMap(c)
	}
	if s.levels > 0 {
		s.serialMap(c)
	}
	if s.mapped {
		s.revokedMap(c)
	}
	if s.pinned {
		s.admittedMap(c)
	}
	if s.named {
		s.userMaps(c)
	}
	if len(s.AllowGroups) > 0 {
		s.groupMap(c)
	}
	if !s.SessionResumption {
		s.resumedMap(c)
	}
	s.reasonMap(c)
	s.markMap(c)
	s.applicationMaps(c)
	if len(s.RedirectFrom) > 0 {
		c.gap()
		c.block(func() { s.redirectServer(c) }, "server")
	}
	c.gap()
	c.block(func() { s.tlsServer(c) }, "server")
	return c.written
}

func (s site) redirectServer(c *conf) {
	for _, l := range s.RedirectFrom {
		c.set(append([]string{"listen", l}, s.balanced()...)...)
	}
	s.serverName(c)
	s.realIP(c)
	port := ""
	if len(s.Listen) > 0 {
		if _, n, err := splitListen(s.Listen[0]); err == nil && n != 443 {
			port = ":" + strconv.Itoa(n)
		}
	}
	redirect := func() { c.set("return", "301", "https://$host"+port+"$request_uri") }
	if s.ACMEChallenge == "" {
		redirect()
		return
	}
	c.gap()
	c.comment("The CA of the server's certificate asks here, without a certificate. A token is",
		"letters, digits, - and _ (RFC 8555, section 8.3), so no path leads elsewhere.")
	c.block(func() {
		c.set("root", s.ACMEChallenge)
		c.set("try_files", "$uri", "=404")
		c.set("default_type", "text/plain")
	}, "location", "~", `^/[.]well-known/acme-challenge/[A-Za-z0-9_-]+\z`)
	c.block(redirect, "location", "/")
}

func (s site) serverName(c *conf) {
	c.set(append([]string{"server_name"}, s.ServerNames...)...)
}

func (s site) tlsServer(c *conf) {
	s.listen(c)
	s.serverName(c)
	s.realIP(c)
	c.gap()
	chain, key := s.certificate()
	c.set("ssl_certificate", chain)
	c.set("ssl_certificate_key", key)
	c.set("ssl_protocols", "TLSv1.2", "TLSv1.3")
	c.set("ssl_ciphers", strings.Join(ciphers, ":"))
	s.sessions(c)
	s.clients(c)
	s.refusals(c)
	c.gap()
	c.set("add_header", "Strict-Transport-Security", "max-age=15768000", "always")
	s.mark(c)
	c.comment("The application cannot pass an answer off as the site's.")
	c.set("proxy_hide_header", markHeader)
	c.comment("To many applications X_SSL_Client_Cert is X-SSL-Client-Cert, and no client may send that.")
	c.set("underscores_in_headers", "off")
	c.gap()
	c.set("client_max_body_size", cmp.Or(s.MaxBodySize, s.application.maxBody))
	s.upstreamTLS(c)
	s.locations(c)
}

// upstreamTLS writes how an application that speaks TLS is spoken to. Without
// proxy_ssl_name NGINX would ask for the name of the upstream block; TLS 1.3 is
// not among the default protocols before 1.23.4.
func (s site) upstreamTLS(c *conf) {
	hosts := upstreamHosts(s.Settings)
	if len(hosts) == 0 {
		return
	}
	c.gap()
	c.set("proxy_ssl_protocols", "TLSv1.2", "TLSv1.3")
	c.set("proxy_ssl_server_name", "on")
	c.set("proxy_ssl_name", hosts[0])
	if !s.UpstreamVerify {
		c.set("proxy_ssl_verify", "off")
		return
	}
	c.set("proxy_ssl_verify", "on")
	c.set("proxy_ssl_verify_depth", "4")
	c.set("proxy_ssl_trusted_certificate", s.UpstreamCA)
}

// ciphers of TLS 1.2 with forward secrecy and authenticated encryption. TLS 1.3
// has no others.
var ciphers = []string{
	"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256",
	"ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384",
	"ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
}

// balanced is what a load balancer adds to an address.
func (s site) balanced() []string {
	if s.ProxyProtocol {
		return []string{"proxy_protocol"}
	}
	return nil
}

func (s site) realIP(c *conf) {
	if !s.ProxyProtocol || len(s.RealIPFrom) == 0 {
		return
	}
	c.gap()
	c.comment("The client's address is the one that the load balancer names.")
	for _, from := range s.RealIPFrom {
		c.set("set_real_ip_from", from)
	}
	c.set("real_ip_header", "proxy_protocol")
}

// listen writes HTTP/2 only where the version is known: the parameter of
// listen warns since 1.25.1, and the directive is unknown before.
func (s site) listen(c *conf) {
	extra := []string{"ssl"}
	if s.versions.allBefore(sinceHTTP2Alone) {
		extra = append(extra, "http2")
	}
	extra = append(extra, s.balanced()...)
	for _, l := range s.Listen {
		c.set(append([]string{"listen", l}, extra...)...)
	}
	switch {
	case s.versions.allSince(sinceHTTP2Alone):
		c.set("http2", "on")
	case !s.versions.allBefore(sinceHTTP2Alone):
		c.comment("No HTTP/2: how it is written changed in NGINX 1.25.1, and nginx_version does not",
			"say which side of it this is.")
	}
}

// certificate gives the server's chain and key, by default where certbot has
// them.
func (s site) certificate() (chain, key string) {
	live := "/etc/letsencrypt/live/"
	if len(s.ServerNames) > 0 {
		live += strings.TrimPrefix(s.ServerNames[0], "*.")
	}
	return cmp.Or(s.Certificate, live+"/fullchain.pem"),
		cmp.Or(s.CertificateKey, live+"/privkey.pem")
}

func (s site) sessions(c *conf) {
	c.gap()
	if s.SessionResumption {
		c.comment("A resumed session is not verified again. The cache's name changes with the CA and",
			"with every revocation, which ends all sessions.")
		c.set("ssl_session_cache", "shared:"+s.name(s.generation())+":10m")
		c.set("ssl_session_timeout", sessionTimeout)
	} else {
		c.comment("A resumed session would not be verified again: whoever is revoked, or whose",
			"certificate has expired, would stay in.")
		c.set("ssl_session_cache", "off")
	}
	c.set("ssl_session_tickets", "off")
	if s.versions.allSince(sinceEarlyData) {
		c.set("ssl_early_data", "off")
	}
}

// generation is different whenever trust or revocations are; it is the role in the
// name of the session cache.
func (s site) generation() string {
	h := sha256.New()
	for _, part := range append([]string{s.Generation, s.ClientCA, s.CRL}, s.Revoked...) {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil)[:4])
}

func (s site) clients(c *conf) {
	c.gap()
	verify := "on"
	if s.optional {
		verify = "optional"
	}
	c.set("ssl_client_certificate", s.ClientCA)
	c.set("ssl_verify_client", verify)
	c.set("ssl_verify_depth", strconv.Itoa(1+s.Parents))
	c.comment("CAs that the http block trusts for other purposes must not let clients in here.")
	c.set("ssl_trusted_certificate", "")
	crl := "" // nor may a CRL of the http block, which is of other CAs, keep clients out
	if s.listed {
		crl = s.CRL
	}
	c.set("ssl_crl", crl)
}

func (s site) refusals(c *conf) {
	c.gap()
	if s.sni {
		c.refuse(s.variable("sni"), "421")
	}
	if s.versions.allSince(sinceEarlyData) {
		c.comment("The first site on an address may turn early data on for all, which can be replayed;",
			"after 425 a client sends it again behind the handshake (RFC 8470).")
		c.refuse("$ssl_early_data", "425")
	}
	if s.gated {
		c.refuse(s.variable("deny"), "496")
	}
	if s.mapped {
		c.refuse(s.variable("rev"), "495")
	}
	if s.pinned {
		c.refuse(s.variable("alien"), "495")
	}
	if !s.SessionResumption {
		c.refuse(s.variable("old"), "495")
	}
	if len(s.AllowGroups) > 0 {
		c.refuse(s.variable("out"), "495")
	}
	c.comment("495 and 496 are NGINX's own for a bad and for no certificate; 497 is plain HTTP on",
		"a TLS port.")
	c.set("error_page", "495", "496", "=403", "@refused")
	c.set("error_page", "497", "=301", "https://$host:$server_port$request_uri")
	c.block(func() {
		c.set("default_type", "text/html")
		c.set("add_header", "Strict-Transport-Security", "max-age=15768000", "always")
		c.set("add_header", "Cache-Control", "no-store", "always")
		c.set("add_header", "X-Content-Type-Options", "nosniff", "always")
		c.set("add_header", "Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'", "always")
		s.mark(c)
		c.set("return", "403", s.page())
	}, "location", "@refused")
}
