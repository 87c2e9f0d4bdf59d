package nginx

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"mtlsplan/render"
)

// guideHeaders are the two of Mattermost's guide. The server read them until
// version 10; plugins still may.
var guideHeaders = map[string]string{
	"X-SSL-Client-Cert":            "certificate",
	"X-SSL-Client-Cert-Subject-DN": "dn",
}

// A fact is what a header can carry.
type fact struct {
	word     string
	variable string // of NGINX, where that has it
	role     string // of the map that takes it from a user's record, else
	field    int    // its place in the record
}

var facts = []fact{
	{word: "certificate", variable: "$ssl_client_escaped_cert"},
	{word: "dn", variable: "$ssl_client_s_dn_legacy"},
	{word: "name", role: "name", field: 0},
	{word: "common_name", role: "cn", field: 1},
	{word: "email", role: "mail", field: 2},
	{word: "device", role: "dev", field: 3},
	{word: "groups", role: "grps", field: 4},
	{word: "serial", variable: "$ssl_client_serial"},
	{word: "fingerprint", variable: "$ssl_client_fingerprint"},
}

// carried are the words of all facts.
var carried = func() []string {
	var words []string
	for _, f := range facts {
		words = append(words, f.word)
	}
	return words
}()

// tells gives the headers of a site.
func tells(s settings) map[string]string {
	switch {
	case !s.IdentityHeaders:
		return nil
	case s.Headers != nil:
		return s.Headers
	}
	return applicationNamed(s.Application).headers
}

// told are the facts that the application is told, sorted.
func told(s settings) []string { return slices.Sorted(maps.Values(tells(s))) }

func namesUsers(s settings) bool {
	return len(s.AllowGroups) > 0 || slices.ContainsFunc(facts, func(f fact) bool { return f.role != "" && slices.Contains(told(s), f.word) })
}

func headerDocs() string {
	var docs []string
	for _, a := range applications {
		var pairs []string
		for _, name := range slices.Sorted(maps.Keys(a.headers)) {
			pairs = append(pairs, a.headers[name]+" in "+name)
		}
		if len(pairs) > 0 {
			docs = append(docs, a.name+" is told "+strings.Join(pairs, " and "))
		}
	}
	return strings.Join(docs, ", ") + ", and any other application nothing"
}

// identity sets the headers, and drops what a client sends in their place and in
// that of the guide's two.
func (s site) identity(c *conf) {
	values := map[string]string{}
	for name, word := range tells(s.Settings) {
		values[strings.ToLower(name)] = s.fact(word)
	}
	for _, name := range identityNames(s.Settings) {
		c.set("proxy_set_header", name, values[strings.ToLower(name)])
	}
}

// identityNames are the names of these headers, sorted; the guide's where two differ in
// case alone.
func identityNames(s settings) []string {
	names := slices.Collect(maps.Keys(guideHeaders))
	for name := range tells(s) {
		if !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) }) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// fact is the variable that has what a word stands for.
func (s site) fact(word string) string {
	i := slices.IndexFunc(facts, func(f fact) bool { return f.word == word })
	if facts[i].variable != "" {
		return facts[i].variable
	}
	return s.variable(facts[i].role)
}

// userMaps give what is known of the user whose certificate it is. Nothing is
// parsed from a DN, in which a common name can look like an e-mail address.
func (s site) userMaps(c *conf) {
	c.gap()
	c.comment("Whose certificate it is: name|common name|email|device|groups, by the CA database",
		"and the spec. What is not printable, and %, $ and |, is URL-escaped.")
	s.mapping(c, s.serial(), "rec", "", func() {
		if s.levels > 0 {
			c.set("hostnames")
		}
		for _, u := range s.Users {
			c.set(treeName(u.Serial, s.levels), record(u))
		}
	})
	words := told(s.Settings)
	for _, f := range facts {
		if f.role != "" && slices.Contains(words, f.word) {
			c.gap()
			s.mapping(c, s.variable("rec"), f.role, "", func() {
				c.set("~^"+strings.Repeat("[^|]*[|]", f.field)+"([^|]*)", "$1")
			})
		}
	}
}

// record is what the map knows of a user. NGINX takes no value of 4,096 bytes or
// more; the spec's limits on its parts keep it below 3,000.
func record(u render.User) string {
	return escaped(u.Name) + "|" + escaped(u.CommonName) + "|" + escaped(u.Email) + "|" + escaped(u.Device) + "|" + strings.Join(u.Groups, ",")
}

// escaped keeps a text to one part of a record, to one line of ASCII, and free of
// "$", for which NGINX has no escape.
func escaped(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		if c < ' ' || c >= 0x7f || c == '%' || c == '$' || c == '|' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// outsider is what the map of groups adds to $ssl_client_verify.
const outsider = ", outsider"

// groupMap finds users with a good certificate who are in none of the groups that
// may come in.
func (s site) groupMap(c *conf) {
	revoked := "0"
	if s.mapped {
		revoked = s.variable("rev")
	}
	words := make([]string, len(s.AllowGroups))
	for i, g := range s.AllowGroups {
		words[i] = literal(g)
	}
	c.gap()
	c.comment("Set for a user of another group.")
	s.mapping(c, "$ssl_client_verify:"+revoked+":"+s.variable("rec"), "out", "", func() {
		c.set("~^SUCCESS:0:.*[|](?:[^|]*,)?(?:"+strings.Join(words, "|")+")(?:,[^|]*)?$", "")
		c.set("~^SUCCESS:0:", outsider)
	})
}
