package render

import (
	"fmt"
	"strings"
)

// longestHashed is the length of a name that still fits one bucket of NGINX's
// default hash tables: 64 bytes less two pointers and the name's length field,
// rounded to a pointer.
const longestHashed = 46

// checkNginx finds what no single setting shows.
func checkNginx(v Values) []Problem {
	var out []Problem
	for _, name := range []string{"server_name", "upstream"} {
		if v[name] != nil && len(v.Strings(name)) == 0 {
			out = append(out, Problem{Setting: name, Summary: "Empty list",
				Detail: "A site needs at least one entry here."})
		}
	}
	if v["listen"] != nil && len(v.Strings("listen")) == 0 {
		out = append(out, Problem{Setting: "listen", Summary: "Empty list",
			Detail: "A site without a TLS port cannot ask for certificates. Name at least one, or leave the setting out for 443."})
	}
	out = append(out, duplicates(v)...)
	out = append(out, checkVerify(v)...)
	out = append(out, checkPaths(v)...)
	if v.Bool("session_resumption") {
		out = append(out, Problem{Setting: "session_resumption", Warning: true, Summary: "Resumed sessions are not verified again",
			Detail: "Until its TLS session ends, " + sessionTimeoutWords + " at most, a client is let in although its certificate has expired meanwhile. Revocations and a new CA take effect at once, because they rename the session cache; so let the site be the first of its address, whose cache serves all sites there."})
	}
	if v.Bool("session_resumption") && v.String("revocation") == "crl" {
		out = append(out, Problem{Setting: "session_resumption", Summary: "Revoked users with a session stay in",
			Detail: `With revocation = "crl" a revocation is seen in handshakes only, and a resumed session has none: another site on the address may keep it. Set revocation to "map" or "both", which ask on every request, or leave session_resumption out.`})
	}
	for _, name := range v.Strings("server_name") {
		if len(name) > longestHashed {
			out = append(out, Problem{Setting: "server_name", Warning: true, Summary: "Long server name",
				Detail: fmt.Sprintf("NGINX's default hash tables hold server names of up to %d characters once several sites share a port. Set server_names_hash_bucket_size 128 in the http block of nginx.conf.", longestHashed)})
			break
		}
	}
	return out
}

// lists are the settings in which no two entries may mean the same, with what
// is equal for those that do.
var lists = []struct {
	name string
	key  func(string) string
}{
	{"server_name", strings.ToLower},
	{"upstream", upstreamKey},
	{"exempt", strings.Clone},
	{"listen", listenKey},
	{"redirect_from", listenKey},
}

// duplicates finds entries that NGINX would refuse or that say nothing new.
func duplicates(v Values) []Problem {
	var out []Problem
	for _, l := range lists {
		seen := map[string]string{}
		for _, s := range v.Strings(l.name) {
			key := l.key(s)
			if seen[key] != "" {
				out = append(out, Problem{Setting: l.name, Summary: "Entry given twice",
					Detail: fmt.Sprintf("%q and %q are the same to NGINX. Remove one.", seen[key], s)})
			}
			seen[key] = s
		}
	}
	tls := map[string]bool{}
	for _, s := range v.Strings("listen") {
		tls[listenKey(s)] = true
	}
	for _, s := range v.Strings("redirect_from") {
		if tls[listenKey(s)] {
			out = append(out, Problem{Setting: "redirect_from", Summary: "Address is used for TLS",
				Detail: fmt.Sprintf("%q is in listen, too, so plain HTTP cannot be answered there. Name another port, or [] for no redirect; plain HTTP that reaches a TLS port is redirected in any case.", s)})
		}
	}
	return out
}

// upstreamKey knows that hosts are named in any case, and sockets in one.
func upstreamKey(s string) string {
	if strings.HasPrefix(s, "unix:") {
		return s
	}
	return strings.ToLower(s)
}

// listenKey is equal for the ways to write one address.
func listenKey(s string) string {
	addr, port, err := splitListen(s)
	if err != nil {
		return s
	}
	return fmt.Sprintf("%s %d", addr, port)
}

func checkVerify(v Values) []Problem {
	if v.String("verify") != "optional" || len(v.Strings("exempt")) > 0 {
		return nil
	}
	out := []Problem{{Setting: "verify", Warning: true, Summary: "Everybody is let in",
		Detail: `With verify = "optional" and no exempt paths, clients without certificate reach every path, and the application must tell them apart by the identity headers. Name the open paths in exempt to close all others.`}}
	if v["identity_headers"] != nil && !v.Bool("identity_headers") {
		out = append(out, Problem{Setting: "identity_headers", Warning: true, Summary: "The certificate decides nothing",
			Detail: `With verify = "optional", no exempt paths and no identity headers, neither NGINX nor the application uses the certificate.`})
	}
	return out
}

func checkPaths(v Values) []Problem {
	var out []Problem
	for _, name := range []string{"client_ca", "crl"} {
		if a, b := v.String(name), v.String("deploy."+name); a != "" && b != "" && a != b {
			out = append(out, Problem{Setting: "deploy." + name, Summary: "Two paths for one file",
				Detail: fmt.Sprintf("The site would read %q, but the file is put at %q. Give one of them.", a, b)})
		}
	}
	if v.String("revocation") == "map" && v.String("crl") != "" {
		out = append(out, Problem{Setting: "crl", Warning: true, Summary: "The CRL is not used",
			Detail: `With revocation = "map" the site reads no CRL. Set revocation to "crl" or "both", or remove the path.`})
	}
	return out
}
