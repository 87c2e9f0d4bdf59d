package nginx

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"mtlsplan/render"
)

func markOf(s render.Site) string { return renderSite(s)[0].Gate }

// TestMarkIsOfTheSite: each change of a site's text changes its mark, which can be
// computed again from the text.
func TestMarkIsOfTheSite(t *testing.T) {
	plain := plainSite(nil)
	revoked := plainSite(nil)
	revoked.Revoked = []string{"03FF"}
	seen := map[string]bool{}
	for _, s := range []render.Site{plain, revoked, plainSite(said{"server_name": []string{unmarked}}), plainSite(said{"application": "generic"})} {
		f := renderSite(s)[0]
		if n := strings.Count(string(f.Data), ": "+f.Gate+";\n"); n != len(marked) || seen[f.Gate] || len(f.Gate) != markDigits {
			t.Errorf("the mark %q stands %d times in the site", f.Gate, n)
		}
		if got := markIn(f.Data); got != f.Gate {
			t.Errorf("the mark is read back as %q, want %q", got, f.Gate)
		}
		seen[f.Gate] = true
		sum := sha256.Sum256([]byte(strings.ReplaceAll(string(f.Data), f.Gate, unmarked)))
		if !strings.HasPrefix(hex.EncodeToString(sum[:]), f.Gate) {
			t.Errorf("the mark %s is not the checksum", f.Gate)
		}
	}
	if !strings.Contains(string(rendered(plainSite(said{"server_name": []string{unmarked}}))), "server_name "+unmarked+";") {
		t.Error("the mark took the place of a server name")
	}
}

// TestRefusalsAreMarked: every answer by which the site refuses has its mark.
func TestRefusalsAreMarked(t *testing.T) {
	l := newLab(t)
	revoked, good, outsider := l.ca.issue(nil), l.ca.issue(nil), l.ca.issue(nil)
	expired := l.ca.issue(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	foreign := newAuthority(t, "Clients").issue(nil)
	l.write("ca.crl", l.ca.revocations(time.Hour, revoked))
	app := fakeGate(t)
	for _, revocation := range []string{"map", "crl", "both"} {
		for _, exempt := range [][]string{nil, {"/hooks/"}} {
			for _, groups := range [][]string{nil, {"admins"}} {
				name := fmt.Sprint(revocation, len(exempt), len(groups))
				t.Run(name, func(t *testing.T) {
					l.t = t
					s := l.site(said{"revocation": revocation, "exempt": exempt, "allow_groups": groups, "upstream": []string{app}})
					s.Revoked = []string{serialOf(revoked)}
					s.Users = []render.User{{Serial: serialOf(good), Name: "good", Groups: []string{"admins"}}, {Serial: serialOf(outsider), Name: "out"}}
					l.start("", s)
					bad := map[string]*tls.Certificate{"none": nil, "revoked": revoked, "expired": expired, "foreign": foreign}
					if groups != nil {
						bad["outsider"] = outsider
					}
					for who, cert := range bad {
						for _, path := range []string{"/", "/api/v4/websocket", "/x"} {
							res, _ := get(t, client(addrOf(s), "chat.test", cert), "chat.test", path)
							wantMark(t, who+path, res, 403, markOf(s))
						}
					}
					for _, path := range []string{"/", "/api/v4/websocket", "/403", "/400", "/421"} {
						res, _ := get(t, client(addrOf(s), "chat.test", good), "chat.test", path)
						wantMark(t, "good"+path, res, 0, "")
					}
					if exempt != nil {
						res, _ := get(t, client(addrOf(s), "chat.test", nil), "chat.test", "/hooks/403")
						wantMark(t, "exempt", res, 0, "")
						res, _ = get(t, client(addrOf(s), "chat.test", revoked), "chat.test", "/hooks/403")
						wantMark(t, "revoked, exempt", res, 403, markOf(s))
					}
					res, _ := get(t, client(addrOf(s), "other.test", good), "chat.test", "/")
					wantMark(t, "another name", res, 421, markOf(s))
					for request, status := range map[string]int{
						"GET / HTTP/1.1\r\nHost: chat.test\r\nX: " + strings.Repeat("x", 40000) + "\r\n\r\n": 400,
						"GET / HTTP/1.1\r\n\r\n":    400,
						"GET / HTTP/1.1\r\nHost\n:": 400,
					} {
						res, _ := raw(t, addrOf(s), good, request)
						wantMark(t, request[:18], res, status, markOf(s))
					}
				})
			}
		}
	}
}

func wantMark(t *testing.T, who string, res *http.Response, status int, mark string) {
	t.Helper()
	if status != 0 && res.StatusCode != status || strings.Join(res.Header.Values(markHeader), "|") != mark {
		t.Errorf("%s: status %d, marked %q, want %d, %q", who, res.StatusCode, res.Header.Values(markHeader), status, mark)
	}
}

// fakeGate is an application that marks its own answers, which have the status that
// the path ends with.
func fakeGate(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(markHeader, "0123456789abcdef")
		status := 200
		fmt.Sscanf(r.URL.Path[strings.LastIndex(r.URL.Path, "/"):], "/%d", &status)
		if r.URL.Path == "/page" {
			w.Header().Set("X-Accel-Redirect", "@refused")
		}
		w.WriteHeader(status)
	})}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return l.Addr().String()
}

// TestApplicationsAnswersAreNotMarked: not those of the application, also where a cache
// gives them again or NGINX in its place, not those for an application that is down,
// and not those for a request that is let in and too large.
func TestApplicationsAnswersAreNotMarked(t *testing.T) {
	for _, extra := range []string{"", "proxy_intercept_errors on;", "proxy_cache_path cache keys_zone=c:1m; proxy_cache c; proxy_cache_valid any 1m;"} {
		t.Run(extra, func(t *testing.T) { testApplicationsAnswers(t, extra) })
	}
}

func testApplicationsAnswers(t *testing.T, extra string) {
	l := newLab(t)
	good := l.ca.issue(nil)
	s := l.site(said{"upstream": []string{fakeGate(t)}, "application": "generic"})
	down := l.site(nil)
	down.Name = "down"
	l.start(extra, s, down)
	for range 2 { // the second time from a cache, if there is one
		for _, path := range []string{"/", "/400", "/403", "/421", "/425", "/495", "/496", "/500", "/page"} {
			res, _ := get(t, client(addrOf(s), "chat.test", good), "chat.test", path)
			wantMark(t, path, res, 0, "")
		}
		res, _ := get(t, client(addrOf(down), "chat.test", good), "chat.test", "/")
		wantMark(t, "down", res, 502, "")
		res, _ = get(t, client(addrOf(down), "chat.test", nil), "chat.test", "/")
		wantMark(t, "down, nobody", res, 403, markOf(down))
	}
	res, _ := raw(t, addrOf(s), good, "POST / HTTP/1.1\r\nHost: chat.test\r\nContent-Length: 9000000000\r\n\r\n")
	wantMark(t, "large", res, 413, "")
	res, _ = raw(t, addrOf(s), good, "POST / HTTP/1.1\r\nHost: chat.test\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
	wantMark(t, "chunks", res, 400, "")
}

// TestMisdirectedIsMarked: NGINX's own 421, for a request to another site than the
// handshake was made for, is an answer of the site that made the handshake.
func TestMisdirectedIsMarked(t *testing.T) {
	l := newLab(t)
	good := l.ca.issue(nil)
	first := l.site(nil)
	second := l.site(said{"server_name": []string{"second.test"}, "listen": first.Listen})
	second.Name = "second"
	l.start("", first, second)
	for _, s := range [][2]render.Site{{first, second}, {second, first}} {
		res, _ := get(t, client(addrOf(first), s[0].ServerNames[0], good), s[1].ServerNames[0], "/")
		wantMark(t, s[0].Name, res, 421, markOf(s[0]))
	}
}
