package nginx

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mtlsplan/render"
)

func walk(ds []directive, f func(args []string)) {
	for _, d := range ds {
		if d.args != nil {
			f(d.args)
			walk(d.block, f)
		}
	}
}

// shape is the tree with the names of directives and the number of their
// arguments, and nothing of their contents. The entries of a map have no
// names.
func shape(ds []directive) string {
	var b strings.Builder
	for _, d := range withoutComments(ds) {
		fmt.Fprintf(&b, "%s/%d", d.args[0], len(d.args))
		switch {
		case d.args[0] == "map":
			for _, entry := range d.block {
				fmt.Fprintf(&b, " entry/%d{%s}", len(entry.args), shape(entry.block))
			}
		case d.block != nil:
			b.WriteString("{" + shape(d.block) + "}")
		}
		b.WriteByte(' ')
	}
	return b.String()
}

// changed are the directives of odd that plain, of the same shape, has with
// other arguments.
func changed(plain, odd []directive) []directive {
	var out []directive
	for i, d := range odd {
		if slices.Equal(d.args, plain[i].args) {
			out = append(out, changed(plain[i].block, d.block)...)
		} else {
			out = append(out, d)
		}
	}
	return out
}

// TestArgumentsAreReadBack: whatever an argument holds, it stays that one
// argument.
func TestArgumentsAreReadBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		piece := rapid.SampledFrom([]string{";", "{", "}", "$", "${", `"`, "'", `\`, "\n", "\t", " ", "#", "a", "~", "/", "ü", `\n`, "(", "[", "on"})
		args := []string{"name"}
		for range rapid.IntRange(1, 3).Draw(rt, "n") {
			args = append(args, strings.Join(rapid.SliceOfN(piece, 0, 8).Draw(rt, "arg"), ""))
		}
		c := &conf{}
		c.block(func() { c.set(args...) }, args...)
		readBack(rt, c.written)
	})
}

// hostile are values that would change the configuration if a check let them
// through or the writer wrote them bare.
var hostile = rapid.OneOf(
	rapid.StringMatching(`[a-z*.\[\]:0-9/@+=~-]{1,24}`),
	rapid.StringMatching(`/[A-Za-z0-9._~!&()*+,=:@/-]{1,24}`),
	rapid.StringMatching(`[a-z0-9.-]{1,12}:[0-9]{1,5}`),
	rapid.SampledFrom([]string{"a;b", "a{b", "}", "$host", "${host}", `a"b`, "a'b", `a\b`, "a b", "a\nb", "#a", "unix:/a;b", "/a;", "/a#b",
		"~^.*$", "443 ssl", "443;", "[::]:443", "example.org\n", "example.org\x00", "/etc/x\u2028y", "1.22\n", "\u202e/x"}),
	rapid.String(),
)

// TestNoValueChangesTheTree feeds every setting with whatever its check
// accepts: the directives must be those of a plain site with as many entries.
func TestNoValueChangesTheTree(t *testing.T) {
	for _, setting := range Proxy.Attributes {
		if setting.Check == nil {
			continue
		}
		t.Run(setting.Name, func(t *testing.T) {
			for _, value := range wellFormed[setting.Name] {
				if err := setting.Check(value); err != nil {
					t.Errorf("%q: %v", value, err)
				}
				keepsTree(t, setting, value)
			}
			rapid.Check(t, func(rt *rapid.T) {
				if value := hostile.Draw(rt, "value"); setting.Check(value) == nil {
					keepsTree(rt, setting, value)
				}
			})
		})
	}
}

func keepsTree(t rapid.TB, a attribute, value string) {
	t.Helper()
	if strings.ContainsAny(value, ";{}$\"'`\\ \t\r\n\x00") {
		t.Fatalf("%s accepts %q", a.Name, value)
	}
	plainValue := wellFormed[a.Name][0]
	switch a.Name {
	case "nginx_version":
		plainValue = value // its forms differ on purpose
	case "upstream":
		if strings.HasPrefix(value, overTLS) {
			plainValue = "https://app.internal:443"
		}
	case "server_name":
		if _, err := parseIP(value); err == nil {
			plainValue = "192.0.2.1" // a handshake cannot name it: one map less
		}
	}
	set := func(value string) render.Site {
		v := maps.Clone(beside[a.Name])
		if v == nil {
			v = said{}
		}
		switch a.Field(&settings{}).(type) {
		case *[]string:
			v[a.Name] = []string{value}
		case *map[string]string:
			v[a.Name] = map[string]string{value: "email"}
		default:
			v[a.Name] = value
		}
		return plainSite(v)
	}
	plain, odd := directives(set(plainValue)), directives(set(value))
	if got, want := shape(odd), shape(plain); got != want {
		t.Fatalf("%s = %q gives\n%s\nwant\n%s", a.Name, value, got, want)
	}
	readBack(t, changed(plain, odd))
}

// beside is what a setting needs to be rendered at all.
var beside = map[string]said{
	"real_ip_from": {"proxy_protocol": true},
	"upstream_ca":  {"upstream": []string{"https://app.internal:443"}},
}

// wellFormed are values that each setting with a check must accept.
var wellFormed = map[string][]string{
	"file":            {"nginx/mattermost", "site.conf", "a/b/c"},
	"server_name":     {"chat.example.com", "*.example.com", "xn--bcher-kva.example", "localhost", "a_b.example", "192.0.2.1"},
	"listen":          {"8443", "192.0.2.1:8443", "[::1]:8443", "*:8443"},
	"redirect_from":   {"8080", "192.0.2.1:80", "[::]:8080"},
	"real_ip_from":    {"192.0.2.10", "10.0.0.0/8", "2001:db8::/32", "::1"},
	"acme_challenge":  {"/var/www/html"},
	"upstream":        {"127.0.0.1:8065", "[::1]:8065", "app.internal:80", "unix:/run/app.sock", "https://app.internal:443", "https://127.0.0.1:8006", "https://[::1]:8006"},
	"upstream_ca":     {"/etc/ssl/certs/ca-certificates.crt"},
	"headers":         {"X-Email", "Remote-User", "x"},
	"allow_groups":    {"admins", "a.b-c_d", "_"},
	"max_body_size":   {"512M", "10g", "1048576", "0", "999999999G"},
	"nginx_version":   {"1.22", "1.26.3", "1.13.5", "2.0"},
	"certificate":     {"/etc/letsencrypt/live/example.mattermost.com/fullchain.pem", "/a"},
	"certificate_key": {"/etc/ssl/private/key.pem"},
	"exempt":          {"/hooks/", "/api/v4/system/ping", "/plugins/com.github.x/webhook", "/a~b!(c)*+,=:@/"},
	"client_ca":       {"/opt/mattermost/config/ca.mattermost.crt"},
	"crl":             {"/opt/mattermost/config/ca.mattermost.crl"},
}

// TestSitesOfOtherFieldsKeepTheTree does the same for what the run gives.
func TestSitesOfOtherFieldsKeepTheTree(t *testing.T) {
	site := func() render.Site {
		s := plainSite(said{"revocation": "both", "headers": map[string]string{"X-Email": "email"}})
		s.Users = []render.User{{Serial: "02", Name: "ada", CommonName: "ada"}}
		return s
	}
	plain := directives(site())
	rapid.Check(t, func(rt *rapid.T) {
		s := site()
		s.Users[0].CommonName = hostile.Draw(rt, "common name")
		s.Users[0].Email = hostile.Draw(rt, "email")
		s.Contact = hostile.Draw(rt, "contact")
		s.CA = hostile.Draw(rt, "ca")
		s.ClientCA = "/" + hostile.Draw(rt, "client_ca")
		s.CRL = "/" + hostile.Draw(rt, "crl")
		ds := directives(s)
		if got, want := shape(ds), shape(plain); got != want {
			rt.Fatalf("%+v gives\n%s", s, got)
		}
		readBack(rt, changed(plain, ds))
		walk(ds, func(args []string) {
			if args[0] == "02" && (strings.ContainsAny(args[1], "$\n") || strings.Count(args[1], "|") != 4) {
				rt.Fatalf("the record %q is not plain", args[1])
			}
			if args[0] == "return" && len(args) == 3 && strings.Contains(args[2], "<html") && strings.Count(args[2], "$") != 1 {
				rt.Fatalf("the page has more variables than its own: %s", args[2])
			}
		})
	})
}
