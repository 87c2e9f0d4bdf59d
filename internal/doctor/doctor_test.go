package doctor

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"mtlsplan/internal/nginxconf"
	"mtlsplan/internal/plan"
)

var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// authority is a CA made for a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// newAuthority makes a CA that another one signs, or that signs itself for nil.
func newAuthority(name string, by *authority, change func(*x509.Certificate)) *authority {
	a := &authority{key: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}
	c := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(1, 0, 0),
	}
	if change != nil {
		change(c)
	}
	parent, key := c, a.key
	if by != nil {
		parent, key = by.cert, by.key
	}
	a.cert = must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, c, parent, a.key.Public(), key))))
	return a
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

func (a *authority) keyPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(a.key))})
}

func (a *authority) crl(from, until time.Time) []byte {
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: from, NextUpdate: until}
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: must(x509.CreateRevocationList(rand.Reader, list, a.cert, a.key))})
}

var (
	good    = newAuthority("Good", nil, nil)
	goodCRL = good.crl(now.AddDate(0, 0, -1), now.AddDate(0, 0, 30))
)

// noFiles stands for everything that a site includes.
type noFiles struct{}

func (noFiles) Read(string) ([]byte, error)   { return nil, nil }
func (noFiles) Glob(string) ([]string, error) { return nil, nil }

// examine judges a site whose CA and CRL are good, but for those given.
func examine(text, version string, ca, crl File) []Finding {
	s := Site{File: "site", Prefix: "/etc/nginx", Now: now, Files: map[string]File{}}
	if version != "" {
		s.Version = must(ParseVersion(version))
	}
	s.Directives, s.Errors = nginxconf.Load("site", []byte(text), s.Prefix, noFiles{})
	if ca.Text == nil && ca.Err == nil {
		ca.Text = good.pem()
	}
	if crl.Text == nil && crl.Err == nil {
		crl.Text = goodCRL
	}
	for _, path := range Paths(s.Directives, s.Prefix) {
		if strings.Contains(path, "crl") {
			s.Files[path] = crl
		} else {
			s.Files[path] = ca
		}
	}
	return Examine(s)
}

func listed(found []Finding) string {
	var out []string
	for _, f := range found {
		out = append(out, fmt.Sprintf("%s:%d", f.Code, f.Line))
	}
	return strings.Join(out, " ")
}

func readSites(t *testing.T, pattern string) map[string]string {
	t.Helper()
	names := must(filepath.Glob(pattern))
	if len(names) == 0 {
		t.Fatalf("no file is %s", pattern)
	}
	sites := map[string]string{}
	for _, n := range names {
		sites[strings.TrimSuffix(filepath.Base(n), ".conf")] = string(must(os.ReadFile(n)))
	}
	return sites
}

func versionOf(text string) string {
	if strings.Contains(text, "http2 on;") {
		return "1.26.3"
	}
	return ""
}

// TestNoFalseAlarm judges sites as people write them, and those that mtlsplan renders,
// none of which has a mistake.
func TestNoFalseAlarm(t *testing.T) {
	sites := readSites(t, "testdata/sites/*.conf")
	if len(sites) < 30 {
		t.Errorf("there are only %d sites", len(sites))
	}
	for name, text := range sites {
		if found := examine(text, versionOf(text), File{}, File{}); len(found) > 0 {
			t.Errorf("%s: %s", name, listed(found))
		}
	}
	for name, text := range readSites(t, "../../render/nginx/testdata/*.conf") {
		if found := examine(text, versionOf(text), File{}, File{}); len(found) > 0 {
			t.Errorf("rendered %s: %s", name, listed(found))
		}
	}
}

// mistake is one change that makes a good site a bad one.
type mistake struct {
	name    string
	find    string // the first match of this is replaced; the finding is in its line
	replace string
	code    plan.Code
	only    string // sites that it is made in, else all that have a match
	not     string // but not in these
	version string
	line    string // where the finding is, in the changed text, if not in the line of the change
}

var asks = `ssl_verify_client +(?:on|optional);`

var mistakes = []mistake{
	{name: "off", find: asks, replace: "ssl_verify_client off;", code: plan.VerifyOff},
	{name: "not verified", find: asks, replace: "", code: plan.VerifyMissing, line: "ssl_client_certificate", not: "whole"},
	{name: "no CRL", find: `ssl_crl [^;]+;`, replace: "", code: plan.NoRevocation, line: "ssl_verify_client", not: "whole"},
	{name: "ssl on", find: asks, replace: "$0 ssl on;", code: plan.SSLOn},
	{name: "shared cache", find: `(` + asks + `)`, replace: "$1 ssl_session_cache builtin:1000 shared:SSL:10m;", code: plan.SessionResumption, not: "mattermost home-assistant grafana openresty whole"},
	{name: "shared cache for a day", find: asks, replace: "$0 ssl_session_cache shared:SSL:50m; ssl_session_timeout 1d;", code: plan.SessionResumption, only: "openresty whole"},
	{name: "official cache", find: "ssl_session_cache off;", replace: "ssl_session_cache shared:SSL:50m;", code: plan.SessionResumption},
	{name: "tickets", find: asks, replace: "$0 ssl_session_tickets on;", code: plan.SessionResumption, not: "mattermost home-assistant grafana openresty whole"},
	{name: "keys of tickets", find: asks, replace: "$0 ssl_session_ticket_key t.key;", code: plan.SessionResumption, not: "mattermost home-assistant grafana openresty whole"},
	{name: "a longer session", find: "ssl_session_timeout 10m;", replace: "ssl_session_timeout 1d;", code: plan.SessionResumption, line: "ssl_session_cache", only: "grafana"},
	{name: "early data", find: asks, replace: "$0 ssl_early_data on;", code: plan.EarlyData, not: "mattermost"},
	{name: "official early data", find: "ssl_early_data off;", replace: "ssl_early_data on;", code: plan.EarlyData},
	{name: "old protocols", find: `ssl_protocols [^;]+;`, replace: "ssl_protocols TLSv1 TLSv1.1 TLSv1.2;", code: plan.OldProtocol},
	{name: "SSL 3", find: asks, replace: "$0 ssl_protocols SSLv3;", code: plan.OldProtocol, only: "kibana minio whole"},
	{name: "no CA demanded", find: `ssl_verify_client +on;`, replace: "ssl_verify_client optional_no_ca;", code: plan.VerifyNoCA, not: "grafana"},
	{name: "no CA demanded, the application judges", find: `ssl_verify_client optional;`, replace: "ssl_verify_client optional_no_ca;", code: plan.VerifyNoCA, only: "keycloak superset"},
	{name: "optional", find: `ssl_verify_client +on;`, replace: "ssl_verify_client optional;", code: plan.VerifyUnchecked, not: "grafana rocket-chat"},
	{name: "no CA", find: `ssl_client_certificate [^;]+;`, replace: "", code: plan.CAUnset, line: "ssl_verify_client"},
	{name: "public CAs", find: `ssl_client_certificate +[^;]+;`, replace: "ssl_client_certificate /etc/ssl/certs/ca-certificates.crt;", code: plan.CAPublic},
	{name: "several lines", find: `\$ssl_client_escaped_cert`, replace: "$$ssl_client_cert", code: plan.MultilineHeader},
	{name: "several lines, in braces", find: `\$ssl_client_escaped_cert`, replace: "$${ssl_client_raw_cert}", code: plan.MultilineHeader},
	{name: "the DN of RFC 2253", find: `\$ssl_client_s_dn_legacy`, replace: "$$ssl_client_s_dn", code: plan.DNForm},
	{name: "one header fewer", find: `(?s)proxy_set_header X-SSL-Client-Cert-Subject-DN [^;]+;`, replace: "", code: plan.HeaderMissing, line: "location ~", only: "mattermost"},
	{name: "no header in the second", find: `(?s)(/api/live.*?)proxy_set_header X-WEBAUTH-USER [^;]+;`, replace: "$1", code: plan.HeaderMissing, line: "location /api/live", only: "grafana"},
	{name: "a header is not inherited", find: `client_max_body_size 512M;`, replace: "proxy_set_header X-A b;", code: plan.HeaderMissing, line: "location /", only: "gitea"},
	{name: "gRPC without a header", find: `grpc_set_header [^;]+;`, replace: "", code: plan.HeaderMissing, line: "location /argocd", only: "argocd"},
	{name: "a header not cleared", find: `proxy_set_header X-SSL-Client-Verify "";`, replace: "", code: plan.HeaderMissing, line: "location /livechat", only: "rocket-chat"},
	{name: "a location more", find: `server_name [^;]+;`, replace: "$0 location /a { proxy_pass http://b; }", code: plan.HeaderMissing, only: "keycloak minio redmine paperless"},
	{name: "underscores", find: asks, replace: "$0 underscores_in_headers on;", code: plan.Underscores, only: "mattermost gitea grafana rocket-chat minio"},
	{name: "http2 for a newer one", find: `http2 on;`, replace: "$0", code: plan.HTTP2Form, version: "1.22"},
	{name: "http2 for an unknown one", find: `http2 on;`, replace: "$0", code: plan.HTTP2Form, version: "?"},
	{name: "http2 for an older one", find: `listen (?:443|8443) ssl http2;`, replace: "$0", code: plan.HTTP2Form, version: "1.26", only: "jellyfin"},
	{name: "FAILED is no value", find: `!= SUCCESS`, replace: "= FAILED", code: plan.CheckDefeated, only: "home-assistant redmine phpmyadmin"},
	{name: "the wrong way round", find: `!= "?SUCCESS"?\) \{\s+return 403;`, replace: "= SUCCESS) { return 403;", code: plan.CheckDefeated, only: "phpmyadmin redmine"},
	{name: "rewritten away", find: `(?s)(location / \{\s+)if`, replace: "$1 rewrite ^/app/(.*)$$ /$$1 break; if", code: plan.CheckSkipped, line: "rewrite ^/app", only: "jenkins immich uptime-kuma"},
	{name: "if is not inherited", find: `(return 403 "no certificate"; \})`, replace: "$1 location /api/ { proxy_pass http://10.0.0.5:2283; }", code: plan.CheckDefeated, only: "immich"},
	{name: "a map that stops nobody", find: `default 1;`, replace: "default 0;", code: plan.CheckDefeated, line: "if ($stop)", only: "synapse"},
	{name: "no check", find: `if \(\$(?:stop|deny|no_push)\) [^}]+\}`, replace: "", code: plan.VerifyUnchecked, line: "ssl_verify_client", only: "synapse home-assistant registry"},
	{name: "a password or nothing", find: `auth_basic [^;]+;`, replace: "", code: plan.VerifyUnchecked, line: "ssl_verify_client", only: "kibana"},
	{name: "plain HTTP beside it", find: `return 301 https://\$server_name\$request_uri;`, replace: "location / { proxy_pass http://backend; }", code: plan.OpenServer, only: "mattermost"},
	{name: "no semicolon", find: `(ssl_verify_client on);(\s+ssl_)`, replace: "$1$2", code: plan.SiteSyntax},
	{name: "an error page that lets in", find: `location @nocert \{[^}]+\}`, replace: "location @nocert { proxy_pass http://rocket; proxy_set_header X-SSL-Client-Verify \"\"; }", code: plan.CheckDefeated, line: "error_page 495", only: "rocket-chat"},
	{name: "Lua that looks elsewhere", find: `(?s)access_by_lua_block \{.*\n        \}`, replace: "access_by_lua_block { ngx.header.x = '}' } set $$x $$ssl_client_serial; if ($$x = 01) { return 403; }", code: plan.VerifyUnchecked, line: "ssl_verify_client", only: "openresty"},
	{name: "capitals", find: `ssl_verify_client on;`, replace: "ssl_verify_client OFF;", code: plan.VerifyOff, only: "minio"},
	{name: "no TLS", find: ` ssl;`, replace: ";", code: plan.NoTLS, line: "server {", only: "prometheus portainer kibana"},
}

func TestOneMistakeEach(t *testing.T) {
	sites := readSites(t, "testdata/sites/*.conf")
	made := 0
	for _, m := range mistakes {
		find := regexp.MustCompile(m.find)
		n := 0
		for name, text := range sites {
			if m.only != "" && !slices.Contains(strings.Fields(m.only), name) || slices.Contains(strings.Fields(m.not), name) {
				continue
			}
			at := find.FindStringSubmatchIndex(text)
			if at == nil {
				if m.only != "" {
					t.Errorf("%s: %s has no match", m.name, name)
				}
				continue
			}
			changed := text[:at[0]] + string(find.ExpandString(nil, m.replace, text, at)) + text[at[1]:]
			where := at[0]
			if m.line != "" {
				where = strings.Index(changed, m.line)
			}
			version := versionOf(text)
			if m.version != "" {
				version = strings.TrimSuffix(m.version, "?")
			}
			want := fmt.Sprintf("%s:%d", m.code, 1+strings.Count(changed[:where], "\n"))
			if have := listed(examine(changed, version, File{}, File{})); have != want {
				t.Errorf("%s in %s: found %q, want %q", m.name, name, have, want)
			}
			n++
		}
		if n == 0 {
			t.Errorf("%s is made in no site", m.name)
		}
		made += n
	}
	t.Logf("%d sites with one mistake each", made)
}

// replaced are the codes whose lines stand for the directive that is wrong; other lines
// are put behind it, or into the location.
var replaced = "ssl-on http2-form old-protocol verify-off verify-no-ca session-resumption early-data multiline-header dn-form underscores verify-depth ca-public"

// obey does what a finding says.
func obey(text string, f Finding) string {
	at := 0
	for range f.Line - 1 {
		at += strings.IndexByte(text[at:], '\n') + 1
	}
	for range f.Column - 1 {
		_, n := utf8.DecodeRuneInString(text[at:])
		at += n
	}
	end := at + strings.IndexAny(text[at:], ";{") + 1
	lines := "\n" + strings.Join(f.Write, "\n") + "\n"
	if slices.Contains(strings.Fields(replaced), string(f.Code)) {
		return text[:at] + lines + text[end:]
	}
	return text[:end] + lines + text[end:]
}

// TestDoJustThat does what is said to each mistake, after which nothing is wrong.
func TestDoJustThat(t *testing.T) {
	done := map[plan.Code]int{}
	for name, text := range changedSites(t) {
		found := examine(text, versionOf(text), File{}, File{})
		if len(found) != 1 || len(found[0].Write) == 0 {
			continue
		}
		f := found[0]
		switch f.Code {
		case plan.NoTLS, plan.OpenServer, plan.CheckDefeated: // more than one line
			continue
		case plan.VerifyUnchecked: // either of two
			f.Write = f.Write[1:]
		}
		after := obey(text, f)
		if rest := examine(after, versionOf(text), File{}, File{}); len(rest) > 0 {
			t.Errorf("%s: after %s: %s\n%s", name, listed(found), listed(rest), strings.Join(f.Write, "\n"))
		}
		done[f.Code]++
	}
	t.Log(done)
	for _, code := range strings.Fields("no-revocation verify-missing ca-unset header-missing verify-unchecked old-protocol verify-off verify-no-ca session-resumption early-data multiline-header dn-form underscores") {
		if done[plan.Code(code)] == 0 {
			t.Errorf("nobody has obeyed %s", code)
		}
	}
}

// TestTakenForRight has what other people's sites do beside a mistake that it makes good.
func TestTakenForRight(t *testing.T) {
	sites := readSites(t, "testdata/sites/*.conf")
	for _, c := range []struct{ site, old, new string }{
		{"keycloak", "server_name sso.example.com;", "$0 location /a { proxy_pass_request_headers off; proxy_pass http://b; }"},
		{"keycloak", "server_name sso.example.com;", "$0 more_clear_input_headers 'SSL-Client-*'; location /a { proxy_pass http://b; }"},
		{"mattermost", "ssl_verify_client on;", "ssl_verify_client ON;"},
		{"redmine", "if ($ssl_client_verify != SUCCESS) { return 403; }", "access_by_lua_file check.lua;"},
		{"redmine", "if ($ssl_client_verify != SUCCESS) { return 403; }", "auth_request /sso;"},
		{"redmine", "if ($ssl_client_verify != SUCCESS) { return 403; }", "if ($ssl_client_s_dn !~ O=Example) { return 403; }"},
		{"redmine", "if ($ssl_client_verify != SUCCESS) { return 403; }", "set $c \"${ssl_client_verify}x\"; if ($c != SUCCESSx) { return 403; }"},
		{"redmine", "if ($ssl_client_verify != SUCCESS) { return 403; }", "if ($ssl_client_verify = SUCCESS) { set $ok 1; } if ($ok = '') { return 403; }"},
	} {
		text := strings.Replace(sites[c.site], c.old, strings.ReplaceAll(c.new, "$0", c.old), 1)
		if text == sites[c.site] {
			t.Errorf("%s has no %s", c.site, c.old)
		}
		if found := examine(text, "", File{}, File{}); len(found) > 0 {
			t.Errorf("%s with %s: %s", c.site, c.new, listed(found))
		}
	}
}

func TestFiles(t *testing.T) {
	root := newAuthority("Root", nil, nil)
	middle := newAuthority("Middle", root, nil)
	low := newAuthority("Low", middle, nil)
	expired := newAuthority("Expired", nil, func(c *x509.Certificate) { c.NotAfter = now.AddDate(0, 0, -1) })
	later := newAuthority("Later", nil, func(c *x509.Certificate) { c.NotBefore = now.AddDate(0, 0, 1) })
	user := newAuthority("User", good, func(c *x509.Certificate) { c.IsCA = false })
	old := &authority{key: good.key}
	old.cert = must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, &x509.Certificate{
		Subject: pkix.Name{CommonName: "Good"}, SerialNumber: big.NewInt(2), IsCA: true, BasicConstraintsValid: true, NotBefore: now.AddDate(-3, 0, 0), NotAfter: now.AddDate(0, 0, -1),
	}, good.cert, good.key.Public(), good.key))))
	day, month := now.AddDate(0, 0, -1), now.AddDate(0, 0, 30)
	text := func(parts ...[]byte) File { return File{Text: slices.Concat(parts...), Mode: 0o644} }
	for _, c := range []struct {
		name    string
		ca, crl File   // named in lines 4 and 6
		extra   string // in line 7
		want    string
	}{
		{"good", File{}, File{}, "", ""},
		{"no CA", File{Err: fs.ErrNotExist}, File{}, "", "ca-unreadable:4"},
		{"a CA in DER", text(good.cert.Raw), File{}, "", "ca-unreadable:4"},
		{"a key beside it", text(good.keyPEM(), good.pem()), File{}, "", "ca-private-key:4"},
		{"expired", text(expired.pem()), text(expired.crl(day, month)), "", "ca-expired:4"},
		{"not begun", text(later.pem()), text(later.crl(day, month)), "", "ca-expired:4"},
		{"expired beside its renewal", text(old.pem(), good.pem()), File{}, "", ""},
		{"a user's", text(good.pem(), user.pem()), File{}, "", "ca-not-a-ca:4"},
		{"version 1", text(version1(t)), File{Text: []byte("x"), Err: errors.New("none")}, "", "ca-version-1:4 crl-unreadable:6"},
		{"others write it", File{Text: good.pem(), Mode: 0o664}, File{}, "", "ca-writable:4"},
		{"a CA below a root", text(root.pem(), middle.pem()), text(root.crl(day, month), middle.crl(day, month)), "", ""},
		{"two below a root", text(low.pem(), middle.pem(), root.pem()), text(root.crl(day, month), middle.crl(day, month), low.crl(day, month)), "", "verify-depth:4"},
		{"two below a root, and depth 2", text(low.pem(), middle.pem(), root.pem()), text(root.crl(day, month), middle.crl(day, month), low.crl(day, month)), "ssl_verify_depth 2;", ""},
		{"depth 0", text(middle.pem(), root.pem()), text(root.crl(day, month), middle.crl(day, month)), "ssl_verify_depth 0;", "verify-depth:7"},
		{"no root", text(middle.pem()), text(middle.crl(day, month)), "", "ca-incomplete:4"},
		{"no CRL", File{}, File{Err: fs.ErrNotExist}, "", "crl-unreadable:6"},
		{"an empty CRL", File{}, text([]byte("\n")), "", "crl-unreadable:6"},
		{"a CRL that ended", File{}, text(good.crl(day.AddDate(0, 0, -9), day)), "", "crl-ended:6"},
		{"one that ended beside a new one", File{}, text(good.crl(day.AddDate(0, 0, -9), day), goodCRL), "", ""},
		{"a CRL of tomorrow", File{}, text(good.crl(now.AddDate(0, 0, 1), month)), "", "crl-ended:6"},
		{"a CRL of another CA", File{}, text(root.crl(day, month)), "", "crl-missing:6"},
		{"a CRL of one of two", text(good.pem(), root.pem()), File{}, "", "crl-missing:6"},
		{"a CRL that ended, without the CA", File{Err: fs.ErrPermission}, text(good.crl(day.AddDate(0, 0, -9), day)), "", "ca-unreadable:4 crl-ended:6"},
	} {
		site := "server {\nlisten 443 ssl;\n\nssl_client_certificate a.crt;\nssl_verify_client on;\nssl_crl crl.pem;\n" + c.extra + "\nlocation / { proxy_pass http://a; }\n}\n"
		if have := listed(examine(site, "", c.ca, c.crl)); have != c.want {
			t.Errorf("%s: found %q, want %q", c.name, have, c.want)
		}
	}
}

// version1 is a certificate of X.509 version 1, as openssl x509 -req makes it without
// extensions: crypto/x509 makes none.
func version1(t *testing.T) []byte {
	t.Helper()
	var c struct {
		TBS struct {
			Version    int `asn1:"optional,explicit,default:0,tag:0"`
			Serial     *big.Int
			Algorithm  pkix.AlgorithmIdentifier
			Issuer     asn1.RawValue
			Validity   asn1.RawValue
			Subject    asn1.RawValue
			Key        asn1.RawValue
			Extensions asn1.RawValue `asn1:"optional,explicit,tag:3"`
		}
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	must(asn1.Unmarshal(good.cert.Raw, &c))
	c.TBS.Version = 0
	c.TBS.Extensions = asn1.RawValue{}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: must(asn1.Marshal(c))})
}

// TestGuide wants every mistake of Mattermost's guide that a site shows to be found, in
// the site that it says to make of the official one.
func TestGuide(t *testing.T) {
	text := string(must(os.ReadFile("testdata/guide.conf")))
	want := "ssl-on:16 no-revocation:20 session-resumption:22 early-data:24 multiline-header:29 dn-form:30 header-missing:38 multiline-header:47 dn-form:48"
	if have := listed(examine(text, "", File{}, File{})); have != want {
		t.Errorf("found %s\n want %s", have, want)
	}
	want = "http2-form:14 " + want
	if have := listed(examine(text, "1.26", File{}, File{})); have != want {
		t.Errorf("for 1.26: found %s\n want %s", have, want)
	}
	lines := string(must(os.ReadFile("testdata/guide-lines.conf"))) // as printed there, with lines left out
	want = "ssl-on:1 no-revocation:5 syntax:7 multiline-header:10 dn-form:11 syntax:13 multiline-header:16 dn-form:17 syntax:20"
	if have := listed(examine(lines, "", File{}, File{})); have != want {
		t.Errorf("its lines: found %s\n want %s", have, want)
	}
}

// TestCodes wants each code to be found by the tests above, and to be in the table.
func TestCodes(t *testing.T) {
	var tested strings.Builder
	tested.Write(must(os.ReadFile("doctor_test.go")))
	for _, m := range mistakes {
		tested.WriteString(" " + string(m.code) + ":")
	}
	for _, c := range plan.CheckCodes() {
		if !strings.Contains(tested.String(), string(c.Code)+":") {
			t.Errorf("%s is found in no test", c.Code)
		}
	}
}

func FuzzExamine(f *testing.F) {
	for _, name := range must(filepath.Glob("testdata/sites/*.conf")) {
		f.Add(string(must(os.ReadFile(name))))
	}
	f.Fuzz(func(t *testing.T, text string) {
		lines := 1 + strings.Count(text, "\n")
		for _, found := range examine(text, "", File{}, File{}) {
			if found.Line < 1 || found.Line > lines || found.Message == "" || found.Check == "" {
				t.Fatalf("%+v", found)
			}
		}
	})
}
