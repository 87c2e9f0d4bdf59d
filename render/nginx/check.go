package nginx

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

// longestHashed is the length of a name that still fits one bucket of NGINX's
// default hash tables: 64 bytes less two pointers and the name's length field,
// rounded to a pointer.
const longestHashed = 46

// check finds attributes that contradict each other.
func check(s settings) []problem {
	var out []problem
	for _, l := range lists {
		if entries := l.entries(s); l.empty != "" && entries != nil && len(entries) == 0 {
			out = append(out, problem{Attribute: l.name, Summary: "Empty list", Detail: l.empty})
		}
	}
	out = append(out, duplicates(s)...)
	out = append(out, checkBalancer(s)...)
	out = append(out, checkUpstreams(s)...)
	out = append(out, checkVerify(s)...)
	out = append(out, checkIdentity(s)...)
	out = append(out, checkPaths(s)...)
	if s.SessionResumption {
		out = append(out, problem{Attribute: "session_resumption", Warning: true, Summary: "Resumed sessions are not verified again",
			Detail: "Until its TLS session ends, " + sessionTimeoutWords + " at most, a client is let in although its certificate has expired meanwhile. Revocations and a new CA take effect at once, because they rename the session cache. All sites on an address use the cache of the first one, so let this site be the first."})
	}
	if s.SessionResumption && s.Revocation == "crl" {
		out = append(out, problem{Attribute: "session_resumption", Summary: "Revoked users with a session stay in",
			Detail: `With revocation = "crl" a revocation is seen in handshakes only, and a resumed session has none; the first site on the address may keep such sessions. Set revocation to "map" or "both", which ask on every request, or leave session_resumption out.`})
	}
	for _, p := range s.Exempt {
		if strings.Contains(p, "*") {
			out = append(out, problem{Attribute: "exempt", Warning: true, Summary: "An asterisk is no pattern here", Detail: literalAsterisk(p)})
		} else if m := patternSign.FindStringIndex(p); m != nil {
			out = append(out, problem{Attribute: "exempt", Warning: true, Summary: "A path is no pattern here", Detail: literalPattern(p, m[0])})
		} else if strings.Contains(p, ",/") {
			out = append(out, problem{Attribute: "exempt", Warning: true, Summary: "Several paths in one",
				Detail: fmt.Sprintf(`%q stands for one path with a comma in it. If these are several, put each in quotes of its own: ["%s"].`, p, strings.ReplaceAll(p, ",/", `", "/`))})
		}
	}
	for _, name := range s.ServerNames {
		if len(name) > longestHashed {
			out = append(out, problem{Attribute: "server_name", Warning: true, Summary: "Long server name",
				Detail: fmt.Sprintf("NGINX's default hash tables hold server names of up to %d characters once several sites share a port. Set server_names_hash_bucket_size 128 in the http block of nginx.conf.", longestHashed)})
			break
		}
	}
	return out
}

// lists are the attributes in which no two entries may mean the same.
var lists = []struct {
	name    string
	entries func(settings) []string
	key     func(string) string // the same for entries that mean the same
	empty   string              // what is wrong with an empty list; "" for nothing
}{
	{"server_name", func(s settings) []string { return s.ServerNames }, strings.ToLower, "A site needs at least one entry here."},
	{"upstream", func(s settings) []string { return s.Upstream }, upstreamKey, "A site needs at least one entry here."},
	{"real_ip_from", func(s settings) []string { return s.RealIPFrom }, strings.ToLower, ""},
	{"allow_groups", func(s settings) []string { return s.AllowGroups }, strings.Clone, "Nobody would come in. Name the groups that may, or leave the setting out for everybody with a certificate."},
	{"exempt", func(s settings) []string { return s.Exempt }, strings.Clone, ""},
	{"listen", func(s settings) []string { return s.Listen }, listenKey,
		"A site without a TLS port cannot ask for certificates. Name at least one, or leave the setting out for 443."},
	{"redirect_from", func(s settings) []string { return s.RedirectFrom }, listenKey, ""},
}

// duplicates finds entries that NGINX would refuse or that say nothing new.
func duplicates(s settings) []problem {
	var out []problem
	for _, l := range lists {
		seen := map[string]string{}
		for _, entry := range l.entries(s) {
			key := l.key(entry)
			if seen[key] != "" {
				out = append(out, problem{Attribute: l.name, Summary: "Entry given twice",
					Detail: fmt.Sprintf("%q and %q are the same to NGINX. Remove one.", seen[key], entry)})
			}
			seen[key] = entry
		}
	}
	tls := map[string]bool{}
	for _, entry := range s.Listen {
		tls[listenKey(entry)] = true
	}
	for _, entry := range s.RedirectFrom {
		if tls[listenKey(entry)] {
			out = append(out, problem{Attribute: "redirect_from", Summary: "Address is used for TLS",
				Detail: fmt.Sprintf("%q is in listen, too, so plain HTTP cannot be answered there. Name another port, or [] for no redirect; plain HTTP that reaches a TLS port is redirected in any case.", entry)})
		}
	}
	return out
}

// upstreamKey ignores the case of a host; the path of a socket has one.
func upstreamKey(s string) string {
	if strings.HasPrefix(s, "unix:") {
		return s
	}
	return strings.ToLower(s)
}

// listenKey is the same for all ways to write one address.
func listenKey(s string) string {
	addr, port, err := splitListen(s)
	if err != nil {
		return s
	}
	return fmt.Sprintf("%s %d", addr, port)
}

// checkBalancer compares what a load balancer says with whom it is believed of.
func checkBalancer(s settings) []problem {
	if s.ProxyProtocol && len(s.RealIPFrom) == 0 {
		return []problem{{Attribute: "proxy_protocol", Warning: true, Summary: "Everybody has the load balancer's address",
			Detail: "X-Real-IP and X-Forwarded-For name the load balancer and not the client, and limits by address count all clients as one. Set real_ip_from to the addresses of the load balancer, as NGINX sees them."}}
	}
	if !s.ProxyProtocol && len(s.RealIPFrom) > 0 {
		return []problem{{Attribute: "real_ip_from", Summary: "No load balancer to believe",
			Detail: "A load balancer before this site cannot look into TLS, so it names the client in the PROXY protocol's header only. Set proxy_protocol = true and let the load balancer send that header, or remove real_ip_from."}}
	}
	for _, n := range s.RealIPFrom {
		if strings.HasSuffix(n, "/0") {
			return []problem{{Attribute: "real_ip_from", Warning: true, Summary: "Everybody is believed",
				Detail: fmt.Sprintf("%q is every address, so whoever reaches the port may claim to come from anywhere. Name the addresses of the load balancer.", n)}}
		}
	}
	return nil
}

// checkUpstreams holds that NGINX speaks either TLS or plain HTTP with all servers
// of an upstream, and knows them all by one name.
func checkUpstreams(s settings) []problem {
	var out []problem
	find := func(attribute, summary, detail string) {
		out = append(out, problem{Attribute: attribute, Summary: summary, Detail: detail})
	}
	warn := func(attribute, summary, detail string) {
		out = append(out, problem{Attribute: attribute, Warning: true, Summary: summary, Detail: detail})
	}
	hosts := upstreamHosts(s)
	switch {
	case len(hosts) == 0:
		if s.UpstreamCA != "" {
			warn("upstream_ca", "No upstream speaks TLS", `The application is spoken to in plain HTTP, so upstream_ca is not used. Write "https://" before the servers in upstream, or remove upstream_ca.`)
		}
		if !s.UpstreamVerify {
			warn("upstream_verify", "No upstream speaks TLS", `The application is spoken to in plain HTTP, so upstream_verify is not used. Write "https://" before the servers in upstream, or remove upstream_verify.`)
		}
		return out
	case len(hosts) < len(s.Upstream):
		find("upstream", "TLS and plain HTTP in one upstream",
			`NGINX speaks either TLS or plain HTTP with all servers of an application. Write "https://" before each of them or before none.`)
		return out
	}
	first := hosts[0]
	_, err := netip.ParseAddr(first)
	address := err == nil
	for _, h := range hosts[1:] {
		if !strings.EqualFold(h, first) && (s.UpstreamVerify || !address) {
			find("upstream", "Several names for one application", fmt.Sprintf("NGINX asks all servers of an application for one name, and these are %q and %q. Name one host that resolves to all of them: NGINX uses every address of a name.", first, h))
			return out
		}
	}
	switch {
	case !s.UpstreamVerify:
		warn("upstream_verify", "The application is not verified", "The connection to the application is encrypted, but NGINX does not check who answers. Whoever can get between the two reads everything, and learns what is told about users. Set upstream_ca to the CA that issued the application's certificate, or to the certificate itself if it is self-signed, and remove upstream_verify.")
	case s.UpstreamCA == "":
		find("upstream", "No CA for the application", `NGINX has to know which CA issued the certificate of an https upstream. Set upstream_ca to a file with that CA's certificate on NGINX's host, or with the application's own certificate if it is self-signed; for a public CA it is "/etc/ssl/certs/ca-certificates.crt" on Debian. Without any check of who answers: upstream_verify = false.`)
	case address:
		warn("upstream", "Verified by address", fmt.Sprintf("NGINX compares %q with the DNS names of the application's certificate, else with its common name, and never with the IP addresses in it. If it is not among them, everybody gets 502. Write a name that the certificate has, and let it resolve to the address, in /etc/hosts for example.", first))
	}
	return out
}

// upstreamHosts are the hosts of the servers that speak TLS.
func upstreamHosts(s settings) []string {
	var hosts []string
	for _, u := range s.Upstream {
		if server, ok := strings.CutPrefix(u, overTLS); ok {
			host, _, _ := cutPort(server)
			hosts = append(hosts, strings.Trim(host, "[]"))
		}
	}
	return hosts
}

func checkIdentity(s settings) []problem {
	var out []problem
	if !s.IdentityHeaders && len(s.Headers) > 0 {
		out = append(out, problem{Attribute: "identity_headers", Summary: "Headers, and none",
			Detail: "identity_headers = false says that the application is told nothing, and headers says what it is told. Remove one of the two."})
	}
	if s.AllowGroups != nil && s.Verify == "optional" && !gated(s) {
		out = append(out, problem{Attribute: "allow_groups", Summary: "Clients without certificate come in",
			Detail: `With verify = "optional" and nothing exempt, whoever is in none of the groups comes in by sending no certificate. Remove verify, or name the open paths in exempt.`})
	}
	return out
}

func checkVerify(s settings) []problem {
	if s.Verify != "optional" || gated(s) {
		return nil
	}
	out := []problem{{Attribute: "verify", Warning: true, Summary: "Everybody is let in",
		Detail: `With verify = "optional" and nothing exempt, clients without certificate reach every path, and the application must tell them apart by the identity headers. Name the open paths in exempt to close all others.`}}
	if len(tells(s)) == 0 {
		attribute := "identity_headers"
		if s.IdentityHeaders {
			attribute = "verify"
		}
		out = append(out, problem{Attribute: attribute, Warning: true, Summary: "The certificate decides nothing",
			Detail: `With verify = "optional", nothing exempt and no identity headers, neither NGINX nor the application uses the certificate.`})
	}
	return out
}

// literalAsterisk says what to write in place of a path that looks like a pattern.
func literalAsterisk(p string) string {
	detail := fmt.Sprintf("%q stands for a path with an asterisk in it. ", p)
	return detail + pathsInstead(p, strings.IndexByte(p, '*'))
}

// patternSign is what stands in the patterns of other programs, and hardly in a path.
var patternSign = regexp.MustCompile(`/\([^/]*\)|\.\+|/:[A-Za-z]`)

// literalPattern says the same of a path with another such sign, which begins at a place.
func literalPattern(p string, at int) string {
	if p[at] == '/' {
		at++
	}
	return fmt.Sprintf("%q is taken literally, with every character in it. ", p) + pathsInstead(p, at)
}

// pathsInstead says how what was meant is written, where the sign of a pattern stands at a place.
func pathsInstead(p string, at int) string {
	open := p[:strings.LastIndexByte(p[:at], '/')+1]
	if open == "/" {
		return `A path that ends in "/" stands for all below it; name the paths that need no certificate one by one, as in "/hooks/".`
	}
	return fmt.Sprintf(`A path that ends in "/" stands for all below it: write %q if nothing below it needs a certificate, or name the paths one by one.`, open)
}

func checkPaths(s settings) []problem {
	var out []problem
	if s.Deploy.Site != "" && s.Deploy.Probe == "" {
		out = append(out, problem{Attribute: "deploy", Warning: true, Summary: "Deployment without probe",
			Detail: "Nothing asks the running NGINX whether it refuses who must not get in: a reload may succeed and the gate be open. Set probe to the address where the site answers, such as 127.0.0.1:443."})
	}
	for _, path := range []struct{ name, read, put string }{
		{"client_ca", s.ClientCA, s.Deploy.ClientCA},
		{"crl", s.CRL, s.Deploy.CRL},
	} {
		if path.read != "" && path.put != "" && path.read != path.put {
			out = append(out, problem{Attribute: "deploy." + path.name, Summary: "Two paths for one file",
				Detail: fmt.Sprintf("The site would read %q, but the file is put at %q. Give one of them.", path.read, path.put)})
		}
	}
	if s.ACMEChallenge != "" && len(s.RedirectFrom) == 0 {
		out = append(out, problem{Attribute: "acme_challenge", Summary: "No plain HTTP to answer on",
			Detail: "An ACME challenge is asked for over plain HTTP on port 80, and with redirect_from = [] this site does not answer there. Name port 80 in redirect_from, or remove acme_challenge if another site on this host answers for the name."})
	}
	if s.Revocation == "map" && s.CRL != "" {
		out = append(out, problem{Attribute: "crl", Warning: true, Summary: "The CRL is not used",
			Detail: `With revocation = "map" the site reads no CRL. Set revocation to "crl" or "both", or remove the path.`})
	}
	return out
}
