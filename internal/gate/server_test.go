package gate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"mtlsplan/internal/plan"
)

// TestServer visits one gate over one connection while its world changes.
func TestServer(t *testing.T) {
	var none *authority
	ca := none.issue(t, 100, "ca", 400, nil)
	ann := ca.issue(t, 1, "ann", 200, nil)
	good := world(t, []*x509.Certificate{ca.cert}, []issue{{owner: "ca.m", cert: ca.cert}, {owner: "user.ann", cert: ann.cert}})
	bad := world(t, []*x509.Certificate{ca.cert}, []issue{{owner: "ca.m", cert: ca.cert}, {owner: "user.ann", cert: ann.cert, state: "R\t270601000000Z\t270106000000Z"}})

	var now atomic.Pointer[World]
	now.Store(good)
	s := &Server{
		World: func() (*World, error) {
			if w := now.Load(); w != nil {
				return w, nil
			}
			return nil, errors.New("nobody knows")
		},
		Now:   func() time.Time { return start.AddDate(0, 0, 10) },
		Page:  func(v plan.VisitDocument, accept string) (string, []byte) { return "text/plain", []byte(v.Code) },
		Heard: func(plan.VisitDocument, error) {},
	}
	certificate, err := Certificate([]string{"localhost", "127.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l, certificate) }()

	server, err := x509.ParseCertificate(certificate.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(server)
	dials := 0
	client := &http.Client{Transport: &http.Transport{
		ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			dials++
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
		TLSClientConfig: &tls.Config{
			RootCAs: roots, ClientSessionCache: tls.NewLRUClientSessionCache(4),
			GetClientCertificate: func(asked *tls.CertificateRequestInfo) (*tls.Certificate, error) {
				if len(asked.AcceptableCAs) == 1 && string(asked.AcceptableCAs[0]) == string(ca.cert.RawSubject) {
					return &tls.Certificate{Certificate: [][]byte{ann.cert.Raw}, PrivateKey: ann.key}, nil
				}
				return new(tls.Certificate), nil
			},
		},
	}}
	for i, step := range []struct {
		world  *World
		status int
		code   plan.Code
		dials  int
	}{
		{good, 200, plan.Admitted, 1},
		{good, 200, plan.Admitted, 1},
		{bad, 403, plan.Revoked, 1},   // in the same connection,
		{good, 200, plan.Admitted, 2}, // which ends then
		{nil, 503, plan.Unavailable, 2},
		{nil, 503, plan.Unavailable, 3}, // here nobody was asked for a certificate of a CA
		{good, 200, plan.Admitted, 4},
	} {
		now.Store(step.world)
		res, err := client.Get("https://" + l.Addr().String() + "/any/path")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != step.status || string(text) != string(step.code) || dials != step.dials || res.TLS.DidResume {
			t.Errorf("visit %d: %d %s by connection %d, resumed %v: %v; want %+v", i, res.StatusCode, text, dials, res.TLS.DidResume, err, step)
		}
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("the gate is still open")
	}
}
