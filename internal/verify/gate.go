package verify

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"time"

	served "mtlsplan/internal/gate"
)

// gate is a TLS server as a site of the spec makes a proxy: it asks every client for
// a certificate of a CA in the trust file.
type gate struct {
	now    time.Time
	roots  *x509.CertPool
	server tls.Certificate // lives and dies with the gate
}

func newGate(trusted []*x509.Certificate, now time.Time) (*gate, error) {
	g := &gate{now: now, roots: x509.NewCertPool()}
	for _, ca := range trusted {
		g.roots.AddCert(ca)
	}
	var err error
	if g.server, err = served.Certificate([]string{"localhost"}, now); err != nil {
		return nil, err
	}
	return g, nil
}

// chain is nil for a certificate that a CA in the trust file has signed for clients
// and that is valid now.
func (g *gate) chain(cert *x509.Certificate) error {
	_, err := cert.Verify(x509.VerifyOptions{Roots: g.roots, CurrentTime: g.now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return err
}

// letsIn is nil where the server lets somebody in who has the certificate and its
// key, over each version of TLS that browsers speak.
func (g *gate) letsIn(ctx context.Context, cert *x509.Certificate, key crypto.Signer) error {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		if err := g.handshake(ctx, version, tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}); err != nil {
			return fmt.Errorf("%s: %w", tls.VersionName(version), err)
		}
	}
	return nil
}

// handshake connects a client to the server in memory, and gives the server's verdict.
func (g *gate) handshake(ctx context.Context, version uint16, cert tls.Certificate) error {
	clock := func() time.Time { return g.now }
	near, far := net.Pipe()
	server := tls.Server(near, &tls.Config{Time: clock, MinVersion: version, MaxVersion: version, SessionTicketsDisabled: true,
		Certificates: []tls.Certificate{g.server}, ClientCAs: g.roots, ClientAuth: tls.RequireAndVerifyClientCert})
	client := tls.Client(far, &tls.Config{Time: clock, MinVersion: version, MaxVersion: version,
		InsecureSkipVerify: true, // it is the server that is tried, and it is in this process
		// A certificate is sent whatever the server says of its CAs: a refusal then says why.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }})
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer far.Close()
		if client.HandshakeContext(ctx) == nil {
			_, _ = client.Read(make([]byte, 1)) // until the server hangs up
		}
	}()
	err := server.HandshakeContext(ctx)
	near.Close()
	<-done
	return err
}
