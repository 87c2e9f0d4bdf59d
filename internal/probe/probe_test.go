package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"mtlsplan/render"
)

func ending(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// TestAsk: who is refused is told from who is let in, whatever the application says and
// also where it does not answer.
func TestAsk(t *testing.T) {
	l := newLab(t)
	good, revoked := l.ca.issue(), l.ca.issue()
	foreign := newAuthority(t, "Clients").issue()
	sites := map[string]render.Site{
		"answers":   l.site("answers", application(t, 200)),
		"forbids":   l.site("forbids", application(t, 403)),
		"bad":       l.site("bad", application(t, 400)),
		"moves":     l.site("moves", application(t, 301)),
		"down":      l.site("down", freeAddr(t)),
		"balanced":  l.site("balanced", application(t, 200)),
		"http2":     l.site("http2", application(t, 200)),
		"beside":    l.site("beside", application(t, 200)),
		"throttled": l.site("throttled", application(t, 500)),
	}
	var all []render.Site
	for name, s := range sites {
		s.Revoked = []string{serialOf(revoked)}
		switch name {
		case "balanced":
			s.ProxyProtocol = true
		case "http2":
			s.Version = "1.22"
		case "beside":
			s.Listen = sites["answers"].Listen
		}
		sites[name] = s
		all = append(all, s)
	}
	l.start(all...)
	status := map[string]int{"answers": 200, "forbids": 403, "bad": 400, "moves": 301, "down": 502, "balanced": 200, "http2": 200, "beside": 200, "throttled": 500}
	for name, s := range sites {
		to := target(s)
		for who, cert := range map[string]*tls.Certificate{"none": nil, "good": good, "revoked": revoked, "foreign": foreign} {
			for _, version := range Versions {
				a, err := Ask(ending(t, 10*time.Second), to, cert, version)
				what := name + ", " + who + ", " + tls.VersionName(version)
				if err != nil {
					t.Errorf("%s: %v", what, err)
					continue
				}
				if a.In != (who == "good") || a.Gate != to.Gate || a.Resumed || a.Alert != "" || a.Unmarked() {
					t.Errorf("%s: %+v, want the gate %s", what, a, to.Gate)
				}
				if want := status[name]; a.In && a.Status != want || !a.In && a.Status != 403 {
					t.Errorf("%s: status %d", what, a.Status)
				}
				if !a.Asked || len(a.Authorities) != 1 || string(a.Authorities[0]) != string(l.ca.cert.RawSubject) {
					t.Errorf("%s: announced are %q", what, a.Authorities)
				}
				if title := map[string]string{"none": "missing", "revoked": "revoked", "foreign": "another issuer"}[who]; !strings.Contains(a.Title(), title) || (title == "") != (a.Title() == "") {
					t.Errorf("%s: the page says %q", what, a.Title())
				}
			}
		}
	}
}

// TestApplicationHangs: the gate has let somebody in whom the application leaves without
// an answer.
func TestApplicationHangs(t *testing.T) {
	if testing.Short() {
		t.Skip("waits")
	}
	l := newLab(t)
	s := l.site("hangs", application(t, 0))
	l.start(s)
	for cert, in := range map[*tls.Certificate]bool{nil: false, l.ca.issue(): true} {
		if a, err := Ask(ending(t, 20*time.Second), target(s), cert, tls.VersionTLS13); err != nil || a.In != in {
			t.Errorf("%+v %v, want in: %v", a, err, in)
		}
	}
}

// TestResumption: a session is taken up again only where the site gives sessions out.
func TestResumption(t *testing.T) {
	l := newLab(t)
	never, does := l.site("never", application(t, 200)), l.site("does", application(t, 200))
	does.SessionResumption = true
	l.start(never, does)
	good := l.ca.issue()
	for _, s := range []render.Site{never, does} {
		for _, version := range Versions {
			first, second, err := AskTwice(ending(t, 10*time.Second), target(s), good, version)
			resumes := s.SessionResumption && version == tls.VersionTLS13 // over TLS 1.2 the site gives out no tickets
			if err != nil || first.Resumed || !first.In || !second.In || second.Resumed != resumes {
				t.Errorf("%s, %s: %+v, then %+v, %v", s.Name, tls.VersionName(version), first.Resumed, second.Resumed, err)
			}
		}
	}
}

// TestAlerts: a server that refuses in the handshake.
func TestAlerts(t *testing.T) {
	ca := newAuthority(t, "Clients")
	server := newAuthority(t, "Servers").issue()
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{*server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool})
	must(t, err)
	defer listener.Close()
	go http.Serve(quiet{listener}, http.NotFoundHandler())
	to := Target{Address: listener.Addr().String(), ServerName: "chat.test"}
	foreign := newAuthority(t, "Others").issue()
	for range 20 {
		for _, version := range Versions {
			for _, cert := range []*tls.Certificate{nil, foreign} {
				if a, err := Ask(ending(t, 5*time.Second), to, cert, version); err != nil || a.In || a.Alert == "" {
					t.Errorf("%s: %+v, %v", tls.VersionName(version), a, err)
				}
			}
			if a, err := Ask(ending(t, 5*time.Second), to, ca.issue(), version); err != nil || !a.In || a.Status != 404 {
				t.Errorf("%s: %+v, %v", tls.VersionName(version), a, err)
			}
		}
	}
}

// TestUnspokenVersion: a server without TLS 1.3 shuts nobody out; one that speaks neither
// version does.
func TestUnspokenVersion(t *testing.T) {
	ca, server := newAuthority(t, "Clients"), newAuthority(t, "Servers").issue()
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	for version, want := range map[uint16]Finding{tls.VersionTLS12: AsWanted, tls.VersionTLS11: ShutOut} {
		listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{*server}, MinVersion: tls.VersionTLS10, MaxVersion: version, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool})
		must(t, err)
		defer listener.Close()
		go http.Serve(quiet{listener}, http.NotFoundHandler())
		err = Gate(ending(t, time.Second), Target{Address: listener.Addr().String(), ServerName: "chat.test"}, []Visitor{{"user.ada", ca.issue(), true}, {"nobody", nil, false}})
		gate, failed := errors.AsType[*GateError](err)
		if failed != (want != AsWanted) || failed && gate.Worst() != want {
			t.Errorf("up to %s: %v", tls.VersionName(version), err)
		}
	}
}

// quiet keeps failed handshakes out of the log.
type quiet struct{ net.Listener }

func (q quiet) Accept() (net.Conn, error) {
	for {
		c, err := q.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c.(*tls.Conn).Handshake() == nil {
			return c, nil
		}
		c.Close()
	}
}

// TestNoAnswer: what is no answer is no refusal either.
func TestNoAnswer(t *testing.T) {
	server := newAuthority(t, "Servers").issue()
	serve := func(handle func(net.Conn)) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go handle(c)
			}
		}()
		return l.Addr().String()
	}
	for name, tt := range map[string]struct{ address, want string }{
		"refused": {freeAddr(t), "nobody listens on 127.0.0.1:"},
		"closed":  {serve(func(c net.Conn) { c.Close() }), "closes the connection without an answer, as one does that expects the PROXY protocol"},
		"plain": {serve(func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
			time.Sleep(100 * time.Millisecond)
			c.Close()
		}), "does not speak TLS"},
		"silent": {serve(func(c net.Conn) {}), "takes the connection and does not answer"},
		"closed after the request": {serve(func(c net.Conn) {
			s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{*server}})
			http.ReadRequest(bufio.NewReader(s))
			s.Close()
		}), "closes the connection without an answer"},
		"no name": {"nobody.invalid:443", "the name of nobody.invalid:443 is not known"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, version := range Versions {
				a, err := Ask(ending(t, 500*time.Millisecond), Target{Address: tt.address, ServerName: "chat.test"}, nil, version)
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%+v, %v, want %s", a, err, tt.want)
				}
			}
		})
	}
}

// TestGateAfterReload: the question is repeated until the processes of the old
// configuration are gone.
func TestGateAfterReload(t *testing.T) {
	l := newLab(t)
	good, gone := l.ca.issue(), l.ca.issue()
	old := l.site("chat", application(t, 200))
	renewed := old
	renewed.Revoked = []string{serialOf(gone)}
	l.start(old)
	visitors := []Visitor{{"user.ada", good, true}, {"user.bob", gone, false}, {"a client without a certificate", nil, false}}

	err := Gate(ending(t, time.Second), target(renewed), visitors)
	gate, ok := errors.AsType[*GateError](err)
	if !ok || len(gate.Legs) != 6 || gate.Worst() != Open {
		t.Fatalf("before the reload: %v", err)
	}
	for _, want := range []string{
		"chat.test at " + old.Listen[0] + ": user.bob, over TLS 1.2 and 1.3, is let in (status 200) and must be refused: the gate is open",
		"a client without a certificate, over TLS 1.2 and 1.3, is refused by another text of the site (" + target(old).Gate + ") than the one in place (" + target(renewed).Gate + "): the proxy has not read it yet",
		"user.ada, over TLS 1.2 and 1.3, is let in by another text of the site",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s\nlacks\n%s", err, want)
		}
	}

	for range 3 {
		probed := make(chan error)
		go func() { probed <- Gate(ending(t, 10*time.Second), target(renewed), visitors) }()
		time.Sleep(100 * time.Millisecond)
		l.reload(renewed)
		must(t, <-probed)
		go func() {
			probed <- Gate(ending(t, 10*time.Second), target(old), []Visitor{{"user.bob", gone, true}, visitors[2]})
		}()
		l.reload(old)
		must(t, <-probed)
	}
}

// TestGateErrors: each way in which a gate can be wrong is named.
func TestGateErrors(t *testing.T) {
	l := newLab(t)
	good := l.ca.issue()
	shut, open := l.site("shut", application(t, 200)), l.site("open", application(t, 200))
	shut.Revoked = []string{serialOf(good)}
	open.Verify = "optional"
	l.start(shut, open)
	visitors := []Visitor{{"user.ada", good, true}, {"a client without a certificate", nil, false}}
	for _, tt := range []struct {
		to    Target
		worst Finding
		want  string
	}{
		{target(shut), ShutOut, `user.ada, over TLS 1.2 and 1.3, is refused (status 403, "Your certificate was revoked") and must be let in: people with good certificates are shut out`},
		{target(open), Open, "a client without a certificate, over TLS 1.2 and 1.3, is let in (status 200) and must be refused: the gate is open"},
		{Target{Address: freeAddr(t), ServerName: "x.test"}, Silent, "whether the gate of x.test is shut is not known"},
	} {
		err := Gate(ending(t, time.Second), tt.to, visitors)
		gate, ok := errors.AsType[*GateError](err)
		if !ok || gate.Worst() != tt.worst || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, want %s", err, tt.want)
		}
	}
	visitors[1].In = true // as verify = "optional" has it
	must(t, Gate(ending(t, 5*time.Second), target(open), visitors))
}

// TestOtherSite: NGINX's own page is no answer of the application, and none of a site
// that mtlsplan has written.
func TestOtherSite(t *testing.T) {
	l := newLab(t)
	s := l.site("chat", application(t, 200))
	l.hand = "server { listen " + s.Listen[0] + " ssl; ssl_certificate " + s.Certificate + "; ssl_certificate_key " + s.CertificateKey +
		"; ssl_client_certificate " + s.ClientCA + "; ssl_verify_client on; location / { proxy_pass http://" + s.Upstream[0] + "; } }\n"
	l.start()
	waitFor(t, s.Listen[0])
	err := Gate(ending(t, time.Second), target(s), []Visitor{{"a client without a certificate", nil, false}})
	gate, ok := errors.AsType[*GateError](err)
	if !ok || gate.Worst() != Stale || !strings.Contains(err.Error(), "is refused by NGINX (status 400, \"No required SSL certificate was sent\") and not by the site in place") {
		t.Errorf("%v", err)
	}
}
