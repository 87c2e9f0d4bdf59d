package nginx

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"mtlsplan/render"
)

// TestOtherTrust: neither what the http block trusts, nor another site's CA on
// the same address, lets anybody in here.
func TestOtherTrust(t *testing.T) {
	l := newLab(t)
	others := newAuthority(t, "Others")
	l.write("others.crt", pemCert(others.cert))
	upstream := []string{echo(t)}
	first := l.site(said{"server_name": []string{"first.test"}, "upstream": upstream})
	first.Name, first.ClientCA = "first", l.path("others.crt")
	second := l.site(said{"server_name": []string{"chat.test", "*.wild.test"}, "upstream": upstream, "listen": first.Listen, "exempt": []string{"/hooks/"}})
	second.Name = "second"
	alone := l.site(said{"upstream": upstream})
	alone.Name = "alone"
	l.start("ssl_trusted_certificate "+l.path("others.crt")+";", first, second, alone)
	stranger, user := others.issue(nil), l.ca.issue(nil)
	tests := []struct {
		name, addr, sni, host string
		cert                  *tls.Certificate
		want                  int
	}{
		{"trusted for other purposes", addrOf(alone), "chat.test", "chat.test", stranger, 403},
		{"own user", addrOf(alone), "chat.test", "chat.test", user, 200},
		{"own user, by address", addrOf(alone), "", "127.0.0.1", user, 200},
		{"nobody, by address", addrOf(alone), "", "127.0.0.1", nil, 403},
		{"own user, other case", addrOf(alone), "CHAT.test", "chat.TEST:8443", user, 200},
		{"SNI of the first, Host of the second", addrOf(second), "first.test", "chat.test", stranger, 421},
		{"SNI of nobody, Host of the second", addrOf(second), "nobody.test", "chat.test", stranger, 421},
		{"no SNI, Host of the second", addrOf(second), "", "chat.test", stranger, 421},
		{"no SNI, Host below a wildcard of the second", addrOf(second), "", "a.wild.test", stranger, 421},
		{"SNI of the second", addrOf(second), "chat.test", "chat.test", stranger, 403},
		{"own user of the second", addrOf(second), "chat.test", "chat.test", user, 200},
		{"own user below the wildcard", addrOf(second), "a.wild.test", "a.wild.test", user, 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res, body := get(t, client(tt.addr, tt.sni, tt.cert), tt.host, "/")
			if res.StatusCode != tt.want {
				t.Errorf("status %d, want %d: %s", res.StatusCode, tt.want, body)
			}
		})
	}
}

// TestRevocationEndsSessions: a TLS session that was made before a revocation
// is of no use after it.
func TestRevocationEndsSessions(t *testing.T) {
	if testing.Short() {
		t.Skip("make test runs it")
	}
	zone := regexp.MustCompile(`shared:[^;]+;`)
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		for _, tt := range []struct {
			resumption, keepZone bool
			revocation           string
			resumedAfter         bool
		}{
			{false, false, "map", false},
			{false, false, "crl", false},
			{true, false, "map", false},
			{true, false, "crl", false},
			{true, true, "map", true}, // the map alone, as if the cache had kept its name
		} {
			t.Run(fmt.Sprintf("%s/%+v", version, tt), func(t *testing.T) {
				l := newLab(t)
				s := l.site(said{"session_resumption": tt.resumption, "revocation": tt.revocation, "upstream": []string{echo(t)}})
				if tt.keepZone {
					l.edit = func(text []byte) []byte { return zone.ReplaceAll(text, []byte("shared:kept:1m;")) }
				}
				l.start("", s)
				user, other := l.session(s, version, nil), l.session(s, version, nil)
				for _, who := range []*session{user, other} {
					if status, resumed := who.get(); status != 200 || resumed {
						t.Fatalf("first request: status %d, resumed %v", status, resumed)
					}
					if status, resumed := who.get(); status != 200 || resumed != tt.resumption {
						t.Fatalf("second request: status %d, resumed %v", status, resumed)
					}
				}
				s.Revoked, s.Generation = []string{serialOf(user.cert)}, "2"
				l.write("ca.crl", l.ca.revocations(time.Hour, user.cert))
				l.reload(s)
				if status, resumed := user.get(); status != 403 || resumed != tt.resumedAfter {
					t.Errorf("revoked: status %d, resumed %v", status, resumed)
				}
				if status, _ := other.get(); status != 200 {
					t.Errorf("another user: status %d", status)
				}
			})
		}
	}
}

// TestSessionsOfANeighbour: the first site of an address keeps sessions for all
// sites there, and those of this one must not outlive a revocation or the
// certificate. TLS 1.2 has no such sessions.
func TestSessionsOfANeighbour(t *testing.T) {
	later := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(48 * time.Hour) }
	for _, tt := range []struct {
		revocation       string
		lasting, lastDay int // status of a resumed session, by how long its certificate still lasts
	}{
		{"map", 200, 403},
		{"both", 200, 403},
		{"crl", 403, 403},
	} {
		t.Run(tt.revocation, func(t *testing.T) {
			l := newLab(t)
			s := l.site(said{"revocation": tt.revocation, "upstream": []string{echo(t)}, "nginx_version": "1.22"})
			neighbour := fmt.Sprintf(`server { listen %s ssl default_server; server_name other.test; ssl_protocols TLSv1.2 TLSv1.3; ssl_early_data on;
				ssl_certificate %s; ssl_certificate_key %s;
				ssl_session_cache shared:le_nginx_SSL:1m; ssl_session_timeout 1440m; ssl_session_tickets off; }`,
				addrOf(s), l.path("server.crt"), l.path("server.key"))
			l.start(neighbour, s)
			user, lastDay := l.session(s, "-tls1_3", later), l.session(s, "-tls1_3", nil)
			for _, c := range []struct {
				who  *session
				want int
			}{{user, tt.lasting}, {lastDay, tt.lastDay}} {
				if status, resumed := c.who.get(); status != 200 || resumed {
					t.Fatalf("first request: status %d, resumed %v", status, resumed)
				}
				if status, resumed := c.who.get(); status != c.want || !resumed {
					t.Errorf("second request: status %d, resumed %v, want %d", status, resumed, c.want)
				}
			}
			early := *user
			early.early, early.addr = true, slowAnswers(t, user.addr)
			if status, resumed := early.get(); status != 425 || !resumed {
				t.Errorf("early data: status %d, resumed %v", status, resumed)
			}
			s.Revoked, s.Generation = []string{serialOf(user.cert)}, "2"
			l.write("ca.crl", l.ca.revocations(time.Hour, user.cert))
			l.reload(s)
			if status, resumed := user.get(); status != 403 || !resumed {
				t.Errorf("revoked: status %d, resumed %v", status, resumed)
			}
		})
	}
}

// slowAnswers passes a connection on and holds back what the server says, so
// that the client cannot end the handshake before its early data is answered.
func slowAnswers(t *testing.T, addr string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		client, err := l.Accept()
		if err != nil {
			return
		}
		defer client.Close()
		server, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		defer server.Close()
		go io.Copy(server, client)
		time.Sleep(500 * time.Millisecond)
		io.Copy(client, server)
	}()
	return l.Addr().String()
}

// session is an openssl client that keeps its TLS session in a file.
type session struct {
	l             *lab
	cert          *tls.Certificate
	addr, version string
	file          string
	early         bool // sends the request before the handshake is over
}

func (l *lab) session(s render.Site, version string, change func(*x509.Certificate)) *session {
	cert := l.ca.issue(change)
	name := serialOf(cert)
	l.write(name+".crt", pemCert(cert.Leaf))
	l.write(name+".key", pemKey(l.t, cert))
	return &session{l: l, cert: cert, addr: addrOf(s), version: version, file: l.path(name)}
}

// get offers the session that the last call was given.
func (s *session) get() (status int, resumed bool) {
	s.l.t.Helper()
	args := []string{"s_client", "-connect", s.addr, "-servername", "chat.test", s.version, "-ign_eof",
		"-cert", s.file + ".crt", "-key", s.file + ".key", "-sess_out", s.file + ".session"}
	if _, err := os.Stat(s.file + ".session"); err == nil {
		args = append(args, "-sess_in", s.file+".session")
	}
	const request = "GET / HTTP/1.1\r\nHost: chat.test\r\nConnection: close\r\n\r\n"
	input := request
	if s.early {
		s.l.write("request", []byte(request))
		args, input = append(args, "-early_data", s.l.path("request")), ""
	}
	cmd := exec.Command("openssl", args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	must(s.l.t, err)
	_, answer, ok := strings.Cut(string(out), "HTTP/1.1 ")
	if !ok {
		s.l.t.Fatalf("no answer: %s", out)
	}
	status, err = strconv.Atoi(answer[:3])
	must(s.l.t, err)
	return status, strings.Contains(string(out), "\nReused, ")
}

// TestListOfOthers: a CRL that the http block has for other CAs is not asked,
// not even read, by a site that refuses by the map.
func TestListOfOthers(t *testing.T) {
	l := newLab(t)
	l.config("ssl_crl nowhere.crl;", l.site(nil))
	l.test()
}
