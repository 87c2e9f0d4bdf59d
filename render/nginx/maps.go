package nginx

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"mtlsplan/render"
)

// siteID tells a site's names from those of all other sites in one NGINX, also
// of other specs: two that have the same label have another CA.
func siteID(s render.Site) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d:%s%s", len(s.CAKey), s.CAKey, s.Name)
	return hex.EncodeToString(h.Sum(nil)[:4])
}

// name is unique to a site and a role. NGINX keeps all variables in one hash table
// of small buckets, in which two names of up to 14 bytes have room, so the role of
// a variable has at most 5 characters; with names over 22 bytes NGINX warns at some
// 20 variables (variables_hash_max_size 1024, variables_hash_bucket_size 64).
func (s site) name(role string) string     { return role + "_" + s.id }
func (s site) variable(role string) string { return "$" + s.name(role) }

// mapping writes "map source variable { default fallback; … }", directive map
// of ngx_http_map_module.
func (s site) mapping(c *conf, source, role, fallback string, body func()) {
	c.block(func() {
		c.set("default", fallback)
		body()
	}, "map", source, s.variable(role))
}

// literal is a regular expression that matches nothing but the text.
func literal(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		if strings.IndexByte(`.+*()|`, c) >= 0 {
			b.WriteString("[" + string(c) + "]")
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// mismatchMap finds requests for this site over a connection whose handshake
// another site may have made. NGINX itself answers 421 when the handshake
// named another site than the request does. When it named no site that NGINX
// knows, the first site on the address makes the handshake, with its own CA,
// and the Host header still picks this one.
func (s site) mismatchMap(c *conf) {
	var names []string
	for _, n := range s.ServerNames {
		if _, err := parseIP(n); err == nil {
			continue // a handshake never names an address
		}
		n = strings.ToLower(n)
		if rest, ok := strings.CutPrefix(n, "*"); ok {
			names = append(names, "~"+literal(rest)+"$")
		} else {
			names = append(names, "~:"+literal(n)+"$")
		}
	}
	if len(names) == 0 {
		return
	}
	c.gap()
	c.comment("1 for a request whose TLS handshake did not name the host that it asks for:",
		"another site, with another CA, may have verified the certificate.")
	s.mapping(c, "$ssl_server_name:$host", "sni", "0", func() {
		c.set(`~*^([^:]+?)[.]?:\1$`, "0")
		for _, n := range names {
			c.set(n, "1")
		}
	})
}

// segment is one part of a path that can mean only one thing: not "." or "..",
// and no encoded dot, slash, backslash, percent sign, semicolon or control
// character.
const segment = `(?![.]{1,2}(?:[/?]|$))(?:[A-Za-z0-9._~!&()*+,=:@-]|%(?![01]|2[5EeFf]|3[Bb]|5[Cc]|7[Ff])[0-9A-Fa-f]{2})+`

// pathMap is half of the decision whether a request is for an exempt path. NGINX
// compares one form of the path ($uri) and passes on another ($request_uri), so
// both must be exempt.
func (s site) pathMap(c *conf) {
	c.gap()
	c.comment("0 for a request line that spells an exempt path plainly. NGINX passes on what",
		"the client wrote, so a path that only becomes exempt once dots, slashes and",
		"escapes are resolved is not.")
	other := "1"
	if s.CORSPreflight {
		other = s.variable("pre")
	}
	s.mapping(c, "$request_uri", "path", other, func() {
		for _, p := range s.Exempt {
			if strings.HasSuffix(p, "/") {
				c.set("~^"+literal(p)+"(?:"+segment+"/)*(?:"+segment+")?(?:[?]|$)", "0")
			} else {
				c.set("~^"+literal(p)+"(?:[?]|$)", "0")
			}
		}
	})
}

// preflightMap finds what the Fetch standard calls a CORS-preflight request: the
// method and both headers. An origin has colons, so it stands before the last one.
func (s site) preflightMap(c *conf) {
	c.gap()
	c.comment("0 for a CORS preflight, with which a browser sends no certificate.")
	s.mapping(c, "$request_method:$http_origin:$http_access_control_request_method", "pre", "1", func() {
		c.set("~^OPTIONS:[^:].*:[^:]+$", "0")
	})
}

// denyMap decides whether a request without certificate goes further.
func (s site) denyMap(c *conf) {
	c.gap()
	c.comment("1 for a request that needs a certificate and has none.")
	s.mapping(c, "$ssl_client_verify:$uri", "deny", "1", func() {
		c.set("~^SUCCESS:", "0")
		for _, p := range s.Exempt {
			end := `\z`
			if strings.HasSuffix(p, "/") {
				end = ""
			}
			c.set("~^NONE:"+literal(p)+end, s.variable("path"))
		}
		if s.CORSPreflight {
			c.set("~^NONE:", s.variable("pre"))
		}
	})
}

// fullTable is how many serials go into one hash table. With the defaults of
// map_hash_max_size and map_hash_bucket_size a table has at most 2,048 buckets,
// and a serial of 16 bytes fills one. NGINX warns when it finds no size without
// a collision. That is already rare with 128 random serials, and does not
// happen with 64.
const fullTable = 64

// serials are all that maps of the site list.
func (s site) serials() []string {
	var out []string
	if s.mapped {
		out = append(out, s.Revoked...)
	}
	if s.named {
		for _, u := range s.Users {
			out = append(out, u.Serial)
		}
	}
	for _, a := range s.Admitted {
		out = append(out, a.Serial)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// serial is the variable that the maps of serials go by.
func (s site) serial() string {
	if s.levels > 0 {
		return s.variable("sn")
	}
	return "$ssl_client_serial"
}

// serialMap makes a serial a name below *.REST.LAST, where many are listed: with
// "hostnames" NGINX keeps a tree of tables, one for each last byte, in place of a
// single table.
func (s site) serialMap(c *conf) {
	c.gap()
	c.comment("The certificate's serial as x.sREST.LAST, so that the many below make a tree of",
		"small tables, one for each last byte, and NGINX's default sizes suffice.")
	pattern, dotted := "~^(.*)", "x.s$1"
	for i := range s.levels {
		pattern += "(..)"
		dotted += ".$" + string(rune('2'+i))
	}
	s.mapping(c, "$ssl_client_serial", "sn", "$ssl_client_serial", func() { c.set(pattern+"$", dotted) })
}

// revokedMap refuses serials on every request.
func (s site) revokedMap(c *conf) {
	c.gap()
	c.comment("1 for a revoked certificate. Asked on every request, on resumed sessions too.")
	s.mapping(c, s.serial(), "rev", "0", func() {
		if s.levels > 0 {
			c.set("hostnames")
		}
		for _, serial := range slices.Compact(slices.Sorted(slices.Values(s.Revoked))) {
			c.set(treeName(serial, s.levels), "1")
		}
	})
}

// alien is what the map of admitted certificates adds to $ssl_client_verify.
const alien = ", alien"

// admittedMap lets in only certificates that are listed. A serial alone would not
// do: another CA below the one that is trusted may give it, too.
func (s site) admittedMap(c *conf) {
	c.gap()
	c.comment("The certificates that get in: a CA above the one that has issued them is trusted,",
		"and with it all other CAs below that. By serial, the SHA-1 fingerprints.")
	s.mapping(c, s.serial(), "adm", "", func() {
		if s.levels > 0 {
			c.set("hostnames")
		}
		for _, a := range s.Admitted {
			c.set(treeName(a.Serial, s.levels), strings.Join(a.Fingerprints, ","))
		}
	})
	c.gap()
	c.comment("Set for a certificate that is not among them.")
	revoked := "0" // a revoked one has a refusal of its own
	if s.mapped {
		revoked = s.variable("rev")
	}
	s.mapping(c, "$ssl_client_verify:"+revoked+":$ssl_client_fingerprint,"+s.variable("adm"), "alien", "", func() {
		c.set("~^SUCCESS:0:([0-9a-f]{40}),(?:[0-9a-f]{40},)*\\1(?:,|$)", "")
		c.set("~^SUCCESS:0:", alien)
	})
}

// tableLevels is how many bytes must be split off at the end of serials so that
// no table holds more than fullTable of them.
func tableLevels(serials []string) int {
	const most = 3
	for levels := range most {
		count := map[string]int{}
		full := false
		for _, s := range serials {
			last := s[max(0, len(s)-2*levels):]
			count[last]++
			full = full || count[last] > fullTable
		}
		if !full {
			return levels
		}
	}
	return most
}

// treeName is a serial as the map lists it. One that is too short for the tree
// is listed as it is: the map that splits serials leaves it alone, too.
func treeName(serial string, levels int) string {
	cut := len(serial) - 2*levels
	if levels == 0 || cut < 0 {
		return serial
	}
	name := "*.s" + serial[:cut]
	for i := cut; i < len(serial); i += 2 {
		name += "." + serial[i:i+2]
	}
	return name
}

// refused are the serials that [site.revokedMap] has written into a text: the lines
// of its map, up to the end of the block.
func refused(data []byte) []string {
	var out []string
	inside := false
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		switch name, listed := strings.CutSuffix(line, " 1;"); {
		case strings.HasPrefix(line, "map "):
			inside = strings.Contains(line, " $rev_") && strings.HasSuffix(line, "{")
		case line == "}":
			inside = false
		case inside && listed:
			name, tree := strings.CutPrefix(strings.TrimSpace(name), "*.s")
			if tree {
				name = strings.ReplaceAll(name, ".", "")
			}
			out = append(out, name)
		}
	}
	return out
}

// resumed is what the map of resumed sessions adds to $ssl_client_verify.
const resumed = ", resumed"

// resumedMap refuses resumed sessions whose certificate a handshake might no
// longer accept. There are such sessions although this site keeps none: OpenSSL
// uses the session cache of the first site on the address, which may be
// somebody else's.
func (s site) resumedMap(c *conf) {
	c.gap()
	c.comment("Set for a resumed session, which NGINX does not verify again, when its certificate",
		"may be good no longer. There are such sessions where the first site on the same",
		"address has an ssl_session_cache: it serves all sites there.")
	source, refused := "$ssl_session_reused:$ssl_client_v_remain", "r:0"
	if !s.mapped {
		source, refused = "$ssl_session_reused:$ssl_client_verify", "r:SUCCESS"
	}
	s.mapping(c, source, "old", "", func() { c.set(refused, resumed) })
}
