package gate

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
)

// Server answers every request with who the visitor is, or why the visitor is
// refused. It asks for a certificate and requires none, so that a wrong one gets a
// page and never a broken connection.
type Server struct {
	World func() (*World, error)                                     // as it is now; called for each connection and each request
	Now   func() time.Time                                           // the time to judge at; called for each request
	Page  func(v plan.VisitDocument, accept string) (string, []byte) // an answer: its media type and its text; accept is the request's Accept
	Heard func(v plan.VisitDocument, err error)                      // hears of every answer, from one goroutine for each connection; err is that of World
}

// Certificate is a self-signed certificate for a server of these names and
// addresses, for a year, with a key that is nowhere but in memory.
func Certificate(hosts []string, now time.Time) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: pki.NewSerial(), Subject: pkix.Name{CommonName: "mtlsplan try"},
		NotBefore: now.Add(-pki.Backdate), NotAfter: now.AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// Fingerprint is the SHA-256 of a server's certificate, in lower-case hex.
func Fingerprint(c tls.Certificate) string {
	sum := sha256.Sum256(c.Certificate[0])
	return hex.EncodeToString(sum[:])
}

// Serve answers on a listener until ctx ends; then it gives the answers under way
// a moment, and returns nil.
func (s *Server) Serve(ctx context.Context, l net.Listener, certificate tls.Certificate) error {
	server := &http.Server{
		Handler: s, TLSConfig: s.config(certificate),
		// The handshake lasts as long as a person takes to choose a certificate.
		ReadHeaderTimeout: 2 * time.Minute, ReadTimeout: 2 * time.Minute, WriteTimeout: 3 * time.Minute, IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10,
		// What a browser thinks of the certificate of the server is no news.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		moment, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if server.Shutdown(moment) != nil {
			_ = server.Close()
		}
	})
	err := server.ServeTLS(l, "", "")
	if stop() {
		return err
	}
	<-ended
	return nil
}

// config asks for a certificate of the CAs that are trusted when the connection
// begins: a browser then offers those alone. Without session tickets each connection
// proves anew who is there.
func (s *Server) config(certificate tls.Certificate) *tls.Config {
	base := &tls.Config{
		Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		ClientAuth: tls.RequestClientCert, SessionTicketsDisabled: true,
	}
	asks := base.Clone()
	asks.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		w, err := s.World()
		if err != nil {
			return base, nil // the page says what is wrong
		}
		c := base.Clone()
		c.ClientCAs = x509.NewCertPool()
		for _, ca := range w.CAs {
			c.ClientCAs.AddCert(ca)
		}
		return c, nil
	}
	return asks
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v, status := plan.VisitDocument{FormatVersion: plan.FormatVersion, Code: plan.Unavailable}, http.StatusServiceUnavailable
	world, err := s.World()
	if err == nil {
		var shown *x509.Certificate
		if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
			shown = r.TLS.PeerCertificates[0]
		}
		if v, status = world.Judge(shown, s.Now()), http.StatusForbidden; v.Admitted {
			status = http.StatusOK
		}
	}
	s.Heard(v, err)
	mime, text := s.Page(v, r.Header.Get("Accept"))
	h := w.Header()
	h.Set("Content-Type", mime)
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	if status != http.StatusOK {
		h.Set("Connection", "close") // the next request may come with another certificate
	}
	w.WriteHeader(status)
	_, _ = w.Write(text) // a visitor who has gone needs no answer
}
