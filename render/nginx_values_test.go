package render

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
	for _, s := range nginx.Settings {
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
	for _, s := range nginx.Blocks[0].Settings {
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

func TestFile(t *testing.T) {
	if got := nginx.File("chat", Values{}); got != "nginx/chat" {
		t.Errorf("default file %q", got)
	}
	if got := nginx.File("chat", Values{"file": "sites/x"}); got != "sites/x" {
		t.Errorf("named file %q", got)
	}
}

func TestPathsOnTheProxysHost(t *testing.T) {
	deploy := Values{"deploy.client_ca": "/d/ca", "deploy.crl": "/d/crl"}
	if deploy.ClientCA("/out/ca") != "/d/ca" || deploy.CRL("/out/crl") != "/d/crl" {
		t.Error("deploy's paths are not used")
	}
	if (Values{}).ClientCA("/out/ca") != "/out/ca" || (Values{}).CRL("/out/crl") != "/out/crl" {
		t.Error("the output directory's paths are not used")
	}
	own := Values{"client_ca": "/c/ca", "crl": "/c/crl"}
	if own.ClientCA("/out/ca") != "/c/ca" || own.CRL("/out/crl") != "/c/crl" {
		t.Error("the site's paths are not used")
	}
}

func TestContradictions(t *testing.T) {
	long := strings.Repeat("a", 47) + ".example"
	tests := []struct {
		name   string
		values Values
		want   []string // "setting: summary", warnings with "(warning)"
	}{
		{"nothing wrong", nil, nil},
		{"exempt", Values{"exempt": []string{"/hooks/", "/hooks"}}, nil},
		{"exempt, optional", Values{"exempt": []string{"/hooks/"}, "verify": "optional"}, nil},
		{"exempt, on", Values{"exempt": []string{"/hooks/"}, "verify": "on"}, nil},
		{"optional alone", Values{"verify": "optional"}, []string{"verify: Everybody is let in (warning)"}},
		{"optional and nobody told", Values{"verify": "optional", "identity_headers": false},
			[]string{"verify: Everybody is let in (warning)", "identity_headers: The certificate decides nothing (warning)"}},
		{"no TLS port", Values{"listen": []string{}}, []string{"listen: Empty list"}},
		{"no name", Values{"server_name": []string{}}, []string{"server_name: Empty list"}},
		{"no upstream", Values{"upstream": []string{}}, []string{"upstream: Empty list"}},
		{"no redirect", Values{"redirect_from": []string{}}, nil},
		{"same port twice", Values{"listen": []string{"443", "0.0.0.0:443"}}, []string{"listen: Entry given twice"}},
		{"same IPv6 twice", Values{"listen": []string{"[::1]:443", "[0:0::1]:443"}}, []string{"listen: Entry given twice"}},
		{"same redirect twice", Values{"redirect_from": []string{"80", "*:80"}}, []string{"redirect_from: Entry given twice"}},
		{"TLS and plain on one port", Values{"redirect_from": []string{"*:443"}}, []string{"redirect_from: Address is used for TLS"}},
		{"one port of two addresses", Values{"listen": []string{"192.0.2.1:80"}, "redirect_from": []string{"192.0.2.2:80"}}, nil},
		{"same name twice", Values{"server_name": []string{"a.example", "A.example"}}, []string{"server_name: Entry given twice"}},
		{"same path twice", Values{"exempt": []string{"/a", "/a"}}, []string{"exempt: Entry given twice"}},
		{"same server twice", Values{"upstream": []string{"app:80", "app:80"}}, []string{"upstream: Entry given twice"}},
		{"two sockets", Values{"upstream": []string{"unix:/run/A", "unix:/run/a"}}, nil},
		{"resumption", Values{"session_resumption": true}, []string{"session_resumption: Resumed sessions are not verified again (warning)"}},
		{"long name", Values{"server_name": []string{long}}, []string{"server_name: Long server name (warning)"}},
		{"two CA paths", Values{"client_ca": "/a", "deploy.client_ca": "/b"}, []string{"deploy.client_ca: Two paths for one file"}},
		{"one CA path twice", Values{"client_ca": "/a", "deploy.client_ca": "/a"}, nil},
		{"CRL without use", Values{"crl": "/a"}, []string{"crl: The CRL is not used (warning)"}},
		{"CRL in use", Values{"crl": "/a", "revocation": "crl"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, p := range nginx.Check(plainSite(tt.values).Values) {
				text := p.Setting + ": " + p.Summary
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
