package nginx

import (
	"slices"
	"strings"
	"testing"
)

// TestRefusedValues: each setting says what it takes, in a sentence with an
// example, and takes nothing else.
func TestRefusedValues(t *testing.T) {
	always := []string{"", " ", "a b", "a;b", "a{", "}", "$host", `"a"`, "'a'", "`id`", `a\b`, "a\n", "a\r", "a\tb", "a\x00", "\x7f", "#a", "ü\u202e", "\xff"}
	tests := map[string][]string{
		"file":            {"/etc/nginx/x", "../x", "a/../b", "a//b", "a/", ".x", "db/index.txt", "secrets/x", "db", "ca.mattermost.key", "nginx/x.crt", "x.p12", "-x"},
		"server_name":     {"~^x", "*", "*.", "*x.example", "a.*", ".example.com", "example.com.", "-a.example", "a..b", "_", "256.1.1.1", "*.1", "bücher.example", "http://x", "x:443", strings.Repeat("a", 64), strings.Repeat("a.", 127) + "a"},
		"listen":          {"0", "65536", "0443", "443 ssl", "example.com:443", "192.0.2.1", "192.0.2.256:443", "[::]", "::1:443", "[::1%eth0]:443", "unix:/x", "[192.0.2.1]:443", "[::ffff:192.0.2.1]:443", "+443"},
		"upstream":        {"127.0.0.1", "http://127.0.0.1:80", "127.0.0.1:8065 weight=2", "::1:80", "unix:x", "unix:/a:b", "unix:/a/../b", "host:", ":80", "a_:80/x", "256.1.1.1:80", "1.2.3:80"},
		"nginx_version":   {"1", "v1.22", "1.22.1.1", "1.x", "latest", "1.13.4", "1.10", "0.8.55", "1.13"},
		"certificate":     {"x.pem", "./x", "/", "/a/", "/a//b", "/a/../b", "/a/./b", "data:x", "engine:x:y", "/a|b", "/a*"},
		"certificate_key": {"x.pem"},
		"client_ca":       {"x.pem"},
		"crl":             {"x.pem"},
		"exempt":          {"/", "//", "hooks/", "/hooks//x", "/a/../b", "/..", "/a/./", "/a%2fb", "/a?b", "/a#b", "/a[b]", "/a^b", "/a|b"},
	}
	for _, s := range Proxy.Attributes {
		if s.Check == nil {
			continue
		}
		for _, value := range slices.Concat(always, tests[s.Name]) {
			err := s.Check(value)
			if err == nil {
				t.Errorf("%s takes %q", s.Name, value)
				continue
			}
			if text := err.Error(); !strings.HasSuffix(text, ".") || strings.ToUpper(text[:1]) != text[:1] || len(text) < 60 {
				t.Errorf("%s: %q is not a full explanation", s.Name, text)
			}
		}
	}
}

func TestDeployValues(t *testing.T) {
	for _, s := range Proxy.Blocks[0].Attributes {
		if s.Check == nil {
			t.Errorf("deploy.%s is not checked", s.Name)
			continue
		}
		for _, value := range []string{"", "a\nb", "a\x00", "\xff"} {
			if s.Check(value) == nil {
				t.Errorf("deploy.%s takes %q", s.Name, value)
			}
		}
	}
	for _, probe := range []string{"127.0.0.1:443", "[::1]:443", "chat.example.com:8443"} {
		if err := checkProbe(probe); err != nil {
			t.Error(err)
		}
	}
}

func TestPathsOnTheProxysHost(t *testing.T) {
	deploy := said{"deploy.client_ca": "/d/ca", "deploy.crl": "/d/crl"}
	own := said{"client_ca": "/c/ca", "crl": "/c/crl"}
	for _, tt := range []struct {
		said    said
		ca, crl string
	}{{nil, "", ""}, {deploy, "/d/ca", "/d/crl"}, {own, "/c/ca", "/c/crl"}} {
		if s := Proxy.Complete("x", tt.said.settings()); s.ClientCA != tt.ca || s.CRL != tt.crl {
			t.Errorf("%v: %q and %q", tt.said, s.ClientCA, s.CRL)
		}
	}
}

func TestContradictions(t *testing.T) {
	long := strings.Repeat("a", 47) + ".example"
	tests := []struct {
		name string
		said said
		want []string // "setting: summary", warnings with "(warning)"
	}{
		{"nothing wrong", nil, nil},
		{"exempt", said{"exempt": []string{"/hooks/", "/hooks"}}, nil},
		{"exempt, optional", said{"exempt": []string{"/hooks/"}, "verify": "optional"}, nil},
		{"exempt, on", said{"exempt": []string{"/hooks/"}, "verify": "on"}, nil},
		{"optional alone", said{"verify": "optional"}, []string{"verify: Everybody is let in (warning)"}},
		{"optional and nobody told", said{"verify": "optional", "identity_headers": false},
			[]string{"verify: Everybody is let in (warning)", "identity_headers: The certificate decides nothing (warning)"}},
		{"no TLS port", said{"listen": []string{}}, []string{"listen: Empty list"}},
		{"no name", said{"server_name": []string{}}, []string{"server_name: Empty list"}},
		{"no upstream", said{"upstream": []string{}}, []string{"upstream: Empty list"}},
		{"no redirect", said{"redirect_from": []string{}}, nil},
		{"same port twice", said{"listen": []string{"443", "0.0.0.0:443"}}, []string{"listen: Entry given twice"}},
		{"same IPv6 twice", said{"listen": []string{"[::1]:443", "[0:0::1]:443"}}, []string{"listen: Entry given twice"}},
		{"same redirect twice", said{"redirect_from": []string{"80", "*:80"}}, []string{"redirect_from: Entry given twice"}},
		{"TLS and plain on one port", said{"redirect_from": []string{"*:443"}}, []string{"redirect_from: Address is used for TLS"}},
		{"one port of two addresses", said{"listen": []string{"192.0.2.1:80"}, "redirect_from": []string{"192.0.2.2:80"}}, nil},
		{"same name twice", said{"server_name": []string{"a.example", "A.example"}}, []string{"server_name: Entry given twice"}},
		{"same path twice", said{"exempt": []string{"/a", "/a"}}, []string{"exempt: Entry given twice"}},
		{"same server twice", said{"upstream": []string{"app:80", "app:80"}}, []string{"upstream: Entry given twice"}},
		{"two sockets", said{"upstream": []string{"unix:/run/A", "unix:/run/a"}}, nil},
		{"resumption", said{"session_resumption": true}, []string{"session_resumption: Resumed sessions are not verified again (warning)"}},
		{"long name", said{"server_name": []string{long}}, []string{"server_name: Long server name (warning)"}},
		{"two CA paths", said{"client_ca": "/a", "deploy.client_ca": "/b"}, []string{"deploy.client_ca: Two paths for one file"}},
		{"one CA path twice", said{"client_ca": "/a", "deploy.client_ca": "/a"}, nil},
		{"CRL without use", said{"crl": "/a"}, []string{"crl: The CRL is not used (warning)"}},
		{"CRL in use", said{"crl": "/a", "revocation": "crl"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, p := range Proxy.Check(plain(tt.said).settings()) {
				text := p.Attribute + ": " + p.Summary
				if p.Warning {
					text += " (warning)"
				}
				got = append(got, text)
				if !strings.HasSuffix(p.Detail, ".") {
					t.Errorf("%s: %q", text, p.Detail)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}
