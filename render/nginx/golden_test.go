package nginx

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mtlsplan/render"

	"github.com/pmezard/go-difflib/difflib"
)

// said is what a block of the spec says, by attribute.
type said map[string]any

// settings are those that the spec package makes of it.
func (v said) settings() settings {
	var s settings
	for _, a := range Proxy.Attributes {
		a.SetDefault(&s)
		if value, ok := v[a.Name]; ok {
			a.Default = value
			a.SetDefault(&s)
		}
	}
	for _, a := range Proxy.Blocks[0].Attributes {
		if value, ok := v["deploy."+a.Name]; ok {
			a.Default = value
			a.SetDefault(&s)
		}
	}
	return s
}

// plain is a block that says only what it must, and v.
func plain(v said) said {
	all := said{
		"server_name": []string{"example.mattermost.com"},
		"upstream":    []string{"127.0.0.1:8065"},
	}
	maps.Copy(all, v)
	return all
}

func plainSite(v said) render.Site {
	s := render.Site{Name: "mattermost", CA: "mattermost", Contact: "admin@mattermost.com"}
	s.Settings = Proxy.Complete(s.Name, plain(v).settings())
	s.ClientCA = cmp.Or(s.ClientCA, "/srv/pki/ca.mattermost.crt")
	s.CRL = cmp.Or(s.CRL, "/srv/pki/ca.mattermost.crl")
	return s
}

// rendered is the one file that a site has.
func rendered(s render.Site) []byte { return Proxy.Render(s)[0].Data }

func TestGolden(t *testing.T) {
	many := make([]string, fullTable+1)
	for i := range many {
		many[i] = fmt.Sprintf("%032X", i*257+1)
	}
	tests := map[string]func() render.Site{
		"defaults":   func() render.Site { return plainSite(nil) },
		"nginx-1.22": func() render.Site { return plainSite(said{"nginx_version": "1.22"}) },
		"nginx-1.26.3": func() render.Site {
			return plainSite(said{"nginx_version": "1.26.3"})
		},
		"exempt": func() render.Site {
			return plainSite(said{"exempt": []string{"/hooks/", "/api/v4/system/ping"}, "identity_headers": false})
		},
		"generic-resumption-both": func() render.Site {
			s := plainSite(said{
				"server_name": []string{"*.example.org", "example.org"}, "listen": []string{"192.0.2.1:8443"},
				"redirect_from": []string{}, "upstream": []string{"unix:/run/app.sock", "app.internal:80"},
				"application": "generic", "revocation": "both", "session_resumption": true,
			})
			s.Name, s.Contact, s.Revoked = "my.site", "", []string{"03FF", "0A0B0C"}
			return s
		},
		"users": func() render.Site {
			s := plainSite(said{
				"application": "generic", "cors_preflight": true, "proxy_protocol": true, "real_ip_from": []string{"10.0.0.0/8"},
				"upstream": []string{"https://app.internal:443"}, "upstream_ca": "/etc/tls/app.crt", "max_body_size": "10G", "acme_challenge": "/var/www/html",
				"allow_groups": []string{"admins", "a.b"}, "headers": map[string]string{
					"x-ssl-client-cert": "serial", "X-Name": "name", "X-CN": "common_name", "X-Email": "email", "X-Groups": "groups", "X-Finger": "fingerprint", "X-DN": "dn", "X-Cert": "certificate"},
			})
			s.Users = []render.User{
				{Serial: "03FF", Name: "ada", CommonName: `Ada "$5" | Zoë%`, Email: "ada@example.com", Groups: []string{"admins", "ops"}},
				{Serial: "04FF", Name: "bob", CommonName: "bob"},
			}
			return s
		},
		"many-revoked": func() render.Site {
			s := plainSite(nil)
			s.Revoked = many
			return s
		},
	}
	for name, site := range tests {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join("testdata", name+".conf")
			got := rendered(site())
			if !bytes.Equal(got, rendered(site())) {
				t.Fatal("the same site gives different bytes")
			}
			readBack(t, directives(site()))
			if os.Getenv("MTLSPLAN_UPDATE") != "" {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				diff, _ := difflib.GetUnifiedDiffString(difflib.UnifiedDiff{
					A: difflib.SplitLines(string(want)), B: difflib.SplitLines(string(got)), FromFile: file, ToFile: "rendered", Context: 2})
				t.Errorf("%s", diff)
			}
		})
	}
}

// TestHTTP2Form holds the one form that differs between versions against
// NGINX's change log: no form may warn or be unknown in any release meant.
func TestHTTP2Form(t *testing.T) {
	tests := []struct{ version, want string }{
		{"", "none"}, {"1.13.5", "listen"}, {"1.22", "listen"}, {"1.24.0", "listen"}, {"1.25.0", "listen"},
		{"1.25", "none"}, {"1.25.1", "directive"}, {"1.26", "directive"}, {"1.31.4", "directive"}, {"2.0", "directive"},
	}
	for _, tt := range tests {
		text := string(rendered(plainSite(said{"nginx_version": tt.version})))
		got := "none"
		if strings.Contains(text, " ssl http2;") {
			got = "listen"
		}
		if strings.Contains(text, "    http2 on;") {
			got = "directive"
		}
		if got != tt.want {
			t.Errorf("%q: HTTP/2 as %s, want %s", tt.version, got, tt.want)
		}
	}
}

// TestEveryProxyHasIdentityLines: a location without the two lines would pass
// a client's own headers on.
func TestEveryProxyHasIdentityLines(t *testing.T) {
	for _, application := range applicationNames() {
		for _, on := range []bool{true, false} {
			text := string(rendered(plainSite(said{"application": application, "identity_headers": on, "exempt": []string{"/x/"}})))
			cert, subject := `X-SSL-Client-Cert "";`, `X-SSL-Client-Cert-Subject-DN "";`
			if on && len(applicationNamed(application).headers) > 0 {
				cert, subject = "X-SSL-Client-Cert $ssl_client_escaped_cert;", "X-SSL-Client-Cert-Subject-DN $ssl_client_s_dn_legacy;"
			}
			for _, part := range strings.Split(text, "    location ")[1:] {
				if strings.Contains(part, "proxy_pass") && (strings.Count(part, cert) != 1 || strings.Count(part, subject) != 1) {
					t.Errorf("%s, identity_headers %v: location %s", application, on, part)
				}
			}
			if n := strings.Count(text, "proxy_pass"); n == 0 || n != strings.Count(text, cert) {
				t.Errorf("%s: %d locations proxy, %d have the header", application, n, strings.Count(text, cert))
			}
		}
	}
}

// TestSiteNames: two sites never have a name in common, be they of one spec or of
// two, and NGINX's table of variables takes many of this length.
func TestSiteNames(t *testing.T) {
	seen := map[string]string{}
	for _, key := range []string{"", "one key", "another key"} {
		for _, label := range []string{"mattermost", "Chat", "a.b", "a_b", strings.Repeat("x", 64)} {
			s := newSite(render.Site{Name: label, CAKey: []byte(key)})
			who := key + " " + label
			if other, ok := seen[s.id]; ok {
				t.Errorf("%q and %q are both %q", who, other, s.id)
			}
			seen[s.id] = who
		}
	}
	all := plainSite(said{"application": "generic", "exempt": []string{"/x/"}, "cors_preflight": true, "session_resumption": true})
	all.CAKey = []byte("one key")
	for i := range fullTable + 1 {
		all.Revoked = append(all.Revoked, fmt.Sprintf("%032X", i*257+1))
	}
	id := newSite(all).id
	names := 0
	walk(directives(all), func(args []string) {
		for _, a := range args {
			for _, name := range regexp.MustCompile(`[0-9a-z]+_[0-9a-f]{8}`).FindAllString(a, -1) {
				names++
				if len(name) > 22 || strings.HasPrefix(a, "$") && len(name) > 14 || !strings.HasSuffix(name, "_"+id) || len(id) != 8 {
					t.Errorf("name %q", name)
				}
			}
		}
	})
	if names < 20 {
		t.Errorf("%d names were found", names)
	}
}

func TestSessionCacheIsRenamed(t *testing.T) {
	site := plainSite(said{"session_resumption": true})
	base := newSite(site).generation()
	changed := map[string]render.Site{"generation": site, "client CA": site, "CRL": site, "revoked": site}
	for what, s := range changed {
		switch what {
		case "generation":
			s.Generation = "2"
		case "client CA":
			s.ClientCA += "2"
		case "CRL":
			s.CRL += "2"
		case "revoked":
			s.Revoked = []string{"01"}
		}
		if newSite(s).generation() == base {
			t.Errorf("the cache keeps its name when %s changes", what)
		}
	}
}

// TestPageFits: NGINX takes no argument of 4,096 bytes or more
// (NGX_CONF_BUFFER).
func TestPageFits(t *testing.T) {
	s := plainSite(nil)
	s.Contact = strings.Repeat("ü$", 64) + "@" + strings.Repeat("x.", 60)
	s.CA = strings.Repeat("+", 64)
	walk(directives(s), func(args []string) {
		for _, a := range args {
			if len(a) > 4000 {
				t.Errorf("%s has an argument of %d bytes", args[0], len(a))
			}
		}
	})
}

// TestFiles: the names that are told beforehand are those of the files.
func TestFiles(t *testing.T) {
	for _, tt := range []struct {
		said said
		want string
	}{{nil, "nginx/mattermost"}, {said{"file": "sites/x"}, "sites/x"}} {
		s := plainSite(tt.said)
		var names []string
		for _, f := range Proxy.Render(s) {
			names = append(names, f.Name)
		}
		if told := Proxy.Files(s.Settings); !slices.Equal(names, told) || !slices.Equal(told, []string{tt.want}) {
			t.Errorf("%q, said to be %q, want %q", names, told, tt.want)
		}
	}
}
