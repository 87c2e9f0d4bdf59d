package nginx

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"mtlsplan/render"
)

// get asks for a path and gives status and body.
func get(t *testing.T, c *http.Client, host, path string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest("GET", "https://"+host+path, nil)
	must(t, err)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := c.Do(req)
	must(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	must(t, err)
	return res, string(body)
}

// raw sends a request line as it is.
func raw(t *testing.T, addr string, cert *tls.Certificate, request string) (*http.Response, string) {
	t.Helper()
	config := &tls.Config{InsecureSkipVerify: true, ServerName: "chat.test"}
	if cert != nil {
		config.Certificates = []tls.Certificate{*cert}
	}
	conn, err := tls.Dial("tcp", addr, config)
	must(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, request)
	must(t, err)
	method, _, _ := strings.Cut(request, " ")
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	must(t, err)
	body, err := io.ReadAll(res.Body)
	must(t, err)
	return res, string(body)
}

// TestRefusalsSayWhy: everybody who may not come in is told the reason, with
// status 403, whether NGINX or the map refuses.
func TestRefusalsSayWhy(t *testing.T) {
	l := newLab(t)
	revoked := l.ca.issue(nil)
	l.write("ca.crl", l.ca.revocations(time.Hour, revoked))
	people := []struct {
		name string
		cert *tls.Certificate
		want string // "" for those who are let in
	}{
		{"good", l.ca.issue(nil), ""},
		{"none", nil, "Your certificate is missing"},
		{"revoked", revoked, "Your certificate was revoked"},
		{"expired", l.ca.issue(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), "Your certificate has expired"},
		{"early", l.ca.issue(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(30 * time.Minute) }), "Your certificate is not valid yet"},
		{"foreign", newAuthority(t, "Others").issue(nil), "Your certificate is from another issuer"},
		{"same name, foreign", newAuthority(t, "Clients").issue(nil), "Your certificate is from another issuer"},
		{"for servers only", l.ca.issue(func(c *x509.Certificate) { c.ExtKeyUsage = c.ExtKeyUsage[1:] }), "Your certificate was not accepted"},
	}
	upstream := echo(t)
	var sites []render.Site
	for _, revocation := range []string{"map", "crl", "both"} {
		for _, exempt := range [][]string{nil, {"/hooks/"}} {
			s := l.site(said{"revocation": revocation, "exempt": exempt, "upstream": []string{upstream}})
			s.Name, s.Contact, s.Revoked = fmt.Sprintf("%s%d", revocation, len(exempt)), `"a"&$host@x.test`, []string{serialOf(revoked)}
			sites = append(sites, s)
		}
	}
	l.start("", sites...)
	for _, s := range sites {
		for _, p := range people {
			t.Run(s.Name+"/"+p.name, func(t *testing.T) {
				res, body := get(t, client(addrOf(s), "chat.test", p.cert), "chat.test", "/")
				if p.want == "" {
					if res.StatusCode != 200 || !strings.Contains(body, "path /\n") {
						t.Errorf("status %d: %s", res.StatusCode, body)
					}
					return
				}
				if res.StatusCode != 403 || !strings.Contains(body, "<h1>"+p.want+"</h1>") {
					t.Errorf("status %d: %s", res.StatusCode, body)
				}
				if !strings.Contains(body, "mailto:%22a%22&#38;&#36;host@x.test'>&#34;a&#34;&#38;&#36;host@x.test</a>") {
					t.Errorf("contact is not as written: %s", body)
				}
				for name, want := range map[string]string{"Content-Type": "text/html", "Cache-Control": "no-store",
					"Strict-Transport-Security": "max-age=15768000", "X-Reject-Reason": ""} {
					if got := res.Header.Get(name); got != want {
						t.Errorf("%s: %q, want %q", name, got, want)
					}
				}
			})
		}
	}
}

// TestCRLThatRanOut: the page does not blame the person.
func TestCRLThatRanOut(t *testing.T) {
	l := newLab(t)
	l.write("ca.crl", l.ca.revocations(-time.Minute))
	s := l.site(said{"revocation": "crl"})
	l.start("", s)
	res, body := get(t, client(addrOf(s), "chat.test", l.ca.issue(nil)), "chat.test", "/")
	if res.StatusCode != 403 || !strings.Contains(body, "Certificates cannot be checked now") {
		t.Errorf("status %d: %s", res.StatusCode, body)
	}
}

// TestRefusalsOfOtherMethods: no method, size or upgrade gets past or around
// the page.
func TestRefusalsOfOtherMethods(t *testing.T) {
	l := newLab(t)
	s := l.site(said{"exempt": []string{"/hooks/"}, "upstream": []string{echo(t)}})
	on := l.site(said{"upstream": []string{echo(t)}})
	on.Name = "on"
	l.start("", s, on)
	upgrade := "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
	for _, addr := range []string{addrOf(s), addrOf(on)} {
		for name, request := range map[string]string{
			"HEAD":      "HEAD / HTTP/1.1\r\nHost: chat.test\r\n\r\n",
			"POST":      "POST /api/v4/posts HTTP/1.1\r\nHost: chat.test\r\nContent-Length: 5\r\n\r\nhello",
			"big POST":  "POST /api/v4/files HTTP/1.1\r\nHost: chat.test\r\nContent-Length: 9000000000\r\n\r\nhello",
			"expect":    "PUT /x HTTP/1.1\r\nHost: chat.test\r\nContent-Length: 900000\r\nExpect: 100-continue\r\n\r\n",
			"DELETE":    "DELETE /x HTTP/1.1\r\nHost: chat.test\r\n\r\n",
			"odd":       "FROBNICATE /x HTTP/1.1\r\nHost: chat.test\r\n\r\n",
			"WebSocket": "GET /api/v4/websocket HTTP/1.1\r\nHost: chat.test\r\n" + upgrade + "\r\n",
			"HTTP/1.0":  "GET / HTTP/1.0\r\n\r\n",
		} {
			res, body := raw(t, addr, nil, request)
			if res.StatusCode != 403 || (name != "HEAD") != strings.Contains(body, "Your certificate is missing") {
				t.Errorf("%s: status %d, %q", name, res.StatusCode, body)
			}
		}
	}
}

// TestExemptPaths: without a certificate exactly the exempt paths are
// reached, however a path is spelled.
func TestExemptPaths(t *testing.T) {
	l := newLab(t)
	s := l.site(said{"exempt": []string{"/hooks/", "/api/v4/system/ping"}, "upstream": []string{echo(t)}})
	l.start("", s)
	open := []string{"/hooks/", "/hooks/abc", "/hooks/abc?x=/../y", "/hooks/a/b/", "/hooks/a%20b", "/hooks/%C3%A4", "/hooks/.well", "/hooks/...", "/hooks/a.b~c!(d)*+,=:@-_",
		"/api/v4/system/ping", "/api/v4/system/ping?get_server_status=true", "https://chat.test/hooks/abc"}
	closed := []string{"/", "/hooks", "/hook", "/HOOKS/x", "/hooksx", "/xhooks/", "/api/v4/system/pin", "/api/v4/system/ping/", "/api/v4/system/pingx",
		"/api/v4/system/ping%0A", "/api/v4/system/ping%00", "/api/v4/system/ping/..", "/api/v4/system/%70ing", "/api/v4/users?/hooks/",
		"/hooks/..", "/hooks/../api/v4/users", "/hooks/./../api/v4/users", "/hooks/%2e%2e/api/v4/users", "/hooks/.%2E/api/v4/users", "/hooks/..%2fapi/v4/users",
		"/hooks/..%2Fapi", "/hooks/x%2f..%2f..%2fapi", "/hooks/..%5capi", "/hooks/..\\api", "/hooks/..;/api/v4/users", "/hooks/x;/../../api", "/hooks/%252e%252e/api",
		"/hooks/..%00/api", "/hooks/x%0d%0a", "//hooks/x", "/hooks//x", "/hooks//../api", "/./hooks/x", "/x/../hooks/x", "/%68ooks/x", "/hooks%2fx", "/hooks/x#/../../api",
		"/api/v4/users/%2e%2e/%2e%2e/%2e%2e/hooks/x", "/api/v4/users/../../../hooks/x", "https://chat.test/api/v4/users", "https://chat.test/hooks/../api",
		"/hooks/.", "/hooks/./x", "/hooks/x/.", "/hooks/x/..?y", "/hooks/%", "/hooks/%zz", "/hooks/a%7fb"}
	certified := l.ca.issue(nil)
	for _, target := range open {
		res, body := raw(t, addrOf(s), nil, "GET "+target+" HTTP/1.1\r\nHost: chat.test\r\nConnection: close\r\n\r\n")
		path := strings.TrimPrefix(target, "https://chat.test")
		if res.StatusCode != 200 || !strings.Contains(body, "path "+path+"\n") {
			t.Errorf("%s: status %d %s", target, res.StatusCode, body)
		}
	}
	for _, target := range closed {
		res, body := raw(t, addrOf(s), nil, "GET "+target+" HTTP/1.1\r\nHost: chat.test\r\nConnection: close\r\n\r\n")
		if res.StatusCode != 403 && res.StatusCode != 400 || strings.Contains(body, "path ") {
			t.Errorf("%s: status %d %s", target, res.StatusCode, body)
		}
	}
	for _, target := range []string{"/", "/api/v4/users", "/hooks/../api/v4/users", "//hooks//x"} {
		if res, _ := raw(t, addrOf(s), certified, "GET "+target+" HTTP/1.1\r\nHost: chat.test\r\nConnection: close\r\n\r\n"); res.StatusCode != 200 {
			t.Errorf("%s with a certificate: status %d", target, res.StatusCode)
		}
	}
}

// TestIdentityHeaders: what the application reads is what NGINX verified, in
// every location; a client's own headers never arrive.
func TestIdentityHeaders(t *testing.T) {
	l := newLab(t)
	mail := func(c *x509.Certificate) { c.Subject.Organization, c.Subject.CommonName = []string{"O"}, "mm user" }
	user := l.ca.issue(mail)
	own := []string{"X-SSL-Client-Cert: SPOOF", "X-SSL-Client-Cert-Subject-DN: /emailAddress=admin@mattermost.com", "X_SSL_Client_Cert: SPOOF"}
	for _, application := range applicationNames() {
		for _, on := range []bool{true, false} {
			t.Run(fmt.Sprint(application, on), func(t *testing.T) {
				l.t = t
				headers := guideHeaders
				if !on {
					headers = nil
				}
				s := l.site(said{"application": application, "identity_headers": on, "headers": headers, "exempt": []string{"/hooks/", "/api/v4/websocket"}, "upstream": []string{echo(t)}})
				l.start("underscores_in_headers on;", s)
				for _, path := range []string{"/", "/hooks/x", "/api/v4/websocket"} {
					_, body := get(t, client(addrOf(s), "chat.test", user), "chat.test", path, own...)
					cert, subject := headerLine(body, "x-ssl-client-cert"), headerLine(body, "x-ssl-client-cert-subject-dn")
					if !on {
						if cert+subject != "" {
							t.Errorf("%s: identity arrives: %q %q", path, cert, subject)
						}
						continue
					}
					text, err := url.PathUnescape(cert)
					must(t, err)
					if block, _ := pem.Decode([]byte(text)); block == nil || string(block.Bytes) != string(user.Certificate[0]) {
						t.Errorf("%s: the certificate arrives as %q", path, cert)
					}
					if subject != "/O=O/CN=mm user" {
						t.Errorf("%s: the subject arrives as %q", path, subject)
					}
				}
				for _, path := range []string{"/hooks/x", "/api/v4/websocket"} {
					res, body := get(t, client(addrOf(s), "chat.test", nil), "chat.test", path, own...)
					if res.StatusCode != 200 || strings.Contains(strings.ToLower(body), "ssl-client") || strings.Contains(body, "SPOOF") {
						t.Errorf("%s without certificate: status %d %s", path, res.StatusCode, body)
					}
				}
			})
		}
	}
}

func headerLine(body, name string) string {
	for line := range strings.Lines(body) {
		if value, ok := strings.CutPrefix(line, name+": "); ok {
			return strings.TrimSuffix(value, "\n")
		}
	}
	return ""
}

// TestApplicationsAnswersPass: what the application refuses is not answered
// with the page.
func TestApplicationsAnswersPass(t *testing.T) {
	l := newLab(t)
	s := l.site(said{"exempt": []string{"/hooks/"}})
	app := l.site(nil)
	l.start(fmt.Sprintf("server { listen %s; location / { return 403 own; } location /hooks/495 { return 495; } }", addrOf(app)), func() render.Site {
		s.Upstream = []string{addrOf(app)}
		return s
	}())
	res, body := get(t, client(addrOf(s), "chat.test", nil), "chat.test", "/hooks/x")
	if res.StatusCode != 403 || body != "own" || res.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("status %d %q %v", res.StatusCode, body, res.Header)
	}
}

// TestPlainHTTP: both ways to come without TLS lead to the TLS port.
func TestPlainHTTP(t *testing.T) {
	l := newLab(t)
	s := l.site(said{"redirect_from": []string{freeAddr(t)}})
	l.start("", s)
	_, port, _ := strings.Cut(addrOf(s), ":")
	for _, addr := range []string{addrOf(s), s.RedirectFrom[0]} {
		waitFor(t, addr)
		req, err := http.NewRequest("GET", "http://chat.test/a%20b?c=d", nil)
		must(t, err)
		res, err := client(addr, "", nil).Do(req)
		must(t, err)
		res.Body.Close()
		if res.StatusCode != 301 || res.Header.Get("Location") != "https://chat.test:"+port+"/a%20b?c=d" {
			t.Errorf("%s: status %d to %q", addr, res.StatusCode, res.Header.Get("Location"))
		}
	}
}
