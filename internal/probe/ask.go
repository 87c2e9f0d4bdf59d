// Package probe asks a running site who gets in: it connects as a browser does, with a
// certificate or without one, and reads from the answer who gave it. ask.go makes one
// connection, gate.go compares what several visitors are answered with what is wanted.
//
// What the site itself refuses has the header X-Mtlsplan-Gate, which no application
// behind it can send. So a status tells nothing here: 502 is an application that is
// down, 403 may be the application's own, and both mean that the gate has let somebody in.
package probe

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// Header is the name of the header that the site's own refusals have. Its value is a
// checksum of the site that the proxy serves, as in [render.File].
const Header = "X-Mtlsplan-Gate"

// Versions are the versions of TLS that browsers speak, oldest first.
var Versions = []uint16{tls.VersionTLS12, tls.VersionTLS13}

// Target is a running site.
type Target struct {
	Address       string // host:port
	ServerName    string // in the TLS handshake (SNI) and in the Host header; an IP address is not named in the handshake
	ProxyProtocol bool   // the site expects the PROXY protocol's header before each connection
	Gate          string // the checksum that the site's refusals carry; "" for any

	Patience time.Duration // how long an application may take to answer; 0 for four seconds

	Path    string   // of the page that is asked for; "" for "/"
	Headers []string // further lines of the request, as in "X-Name: value"
}

// Answer is what a visitor was answered.
type Answer struct {
	In     bool   // the gate has let the visitor in, whatever the application then said
	Gate   string // checksum of the site that answered, "" where it did not say; of those let in too, where the connection stayed open
	Status int    // of HTTP; 0 for a handshake that the server has ended
	Alert  string // what the server said when it ended the handshake, such as "certificate required"; "" for an HTTP answer
	Page   string // the first kilobytes of the page

	Asked       bool     // the server has asked for a certificate
	Authorities [][]byte // CA names that it announced, DER of each subject, in its order
	Resumed     bool     // the session of an earlier connection was resumed
}

// Unspoken reports whether the server does not speak the version of TLS at all, which is
// no judgement on the visitor: TLS 1.3 needs OpenSSL 1.1.1.
func (a Answer) Unspoken() bool { return a.Alert == "protocol version not supported" }

// How long the parts of a question may take; the context may end all of it sooner.
const (
	answerLimit  = 4 * time.Second        // until an application that does not answer is taken out of the question
	restLimit    = 500 * time.Millisecond // for the rest of a page, and for the site's checksum
	connectLimit = 5 * time.Second
	pageLimit    = 64 << 10
	restBytes    = 1 << 20
)

// Ask makes one connection of a version of TLS with a certificate, nil for none, and asks
// for the page "/". The certificate is sent whatever CA names the server announces, and
// the server's own certificate is not judged.
//
// An alert in the handshake is a refusal, also where it comes with the first answer, as
// in TLS 1.3. All else that keeps an answer away is an error: nobody listens, the
// connection is closed, nothing comes in time.
func Ask(ctx context.Context, to Target, cert *tls.Certificate, version uint16) (Answer, error) {
	return ask(ctx, to, newConfig(to, cert, version))
}

// AskTwice asks a second time with the TLS session of the first connection, if the
// server has given one out; whether it took it says [Answer.Resumed] of the second
// answer. Over TLS 1.2 that is a session ticket: the library does not take up sessions
// that a server of TLS 1.2 keeps itself.
func AskTwice(ctx context.Context, to Target, cert *tls.Certificate, version uint16) (first, second Answer, err error) {
	c := newConfig(to, cert, version)
	c.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	if first, err = ask(ctx, to, c); err != nil {
		return first, second, err
	}
	second, err = ask(ctx, to, c)
	return first, second, err
}

// presented is what a connection with a certificate is made with.
type presented struct {
	*tls.Config
	cert *tls.Certificate
}

func newConfig(to Target, cert *tls.Certificate, version uint16) presented {
	if cert == nil {
		cert = &tls.Certificate{}
	}
	return presented{&tls.Config{
		ServerName: to.ServerName, MinVersion: version, MaxVersion: version,
		InsecureSkipVerify: true, // it is the gate that is tried, and nothing secret is sent
	}, cert}
}

// request asks for a page that every application has. It says that the connection is
// to stay open, for [checksum].
const request = "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: mtlsplan\r\nAccept: */*\r\n%s\r\n"

// tooLarge is a request that NGINX answers with 413 as soon as the gate has let it in,
// in place of an application that does not answer.
const tooLarge = "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: mtlsplan\r\nContent-Length: 4611686018427387904\r\nConnection: close\r\n%s\r\n"

func ask(ctx context.Context, to Target, c presented) (Answer, error) {
	a, err := converse(ctx, to, c, request)
	if late, ok := errors.AsType[*lateError](err); ok && ctx.Err() == nil {
		// The site refuses at once, so it is the application that is slow. A proxy that
		// says nothing at all to the second request is not up.
		if second, err := converse(ctx, to, c, tooLarge); err == nil {
			return second, nil
		}
		return a, late
	}
	if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		// A server that refuses a certificate in TLS 1.3 and hangs up at once may reset the
		// connection over the request that it has not read, and its alert is lost.
		if second, err := converse(ctx, to, c, ""); err == nil && second.Alert != "" {
			return second, nil
		}
	}
	return a, err
}

// lateError is the lack of an answer on a connection that stays open.
type lateError struct{ address string }

func (e *lateError) Error() string {
	return fmt.Sprintf("%s takes the connection and does not answer", e.address)
}

func converse(ctx context.Context, to Target, c presented, request string) (a Answer, err error) {
	raw, err := dial(ctx, to)
	if err != nil {
		return a, err
	}
	defer raw.Close()
	inTime, cancel := context.WithTimeout(ctx, cmp.Or(min(to.Patience, answerLimit), answerLimit))
	defer cancel()
	// Ending the context ends whatever is read or written.
	stop := context.AfterFunc(inTime, func() { _ = raw.Close() })
	defer stop()
	late := func(err error) error {
		if inTime.Err() != nil {
			return &lateError{to.Address}
		}
		return failed(to, err)
	}

	if to.ProxyProtocol {
		if _, err := io.WriteString(raw, proxyHeader(raw)); err != nil {
			return a, late(err)
		}
	}
	config := c.Config.Clone()
	config.GetClientCertificate = func(asked *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		a.Asked, a.Authorities = true, asked.AcceptableCAs
		return c.cert, nil
	}
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(inTime); err != nil {
		if a.Alert = alert(err); a.Alert != "" {
			return a, nil
		}
		return a, late(err)
	}
	a.Resumed = conn.ConnectionState().DidResume
	host := to.ServerName
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is6() {
		host = "[" + host + "]"
	}
	var sendErr error
	if request != "" {
		lines := ""
		for _, h := range to.Headers {
			lines += h + "\r\n"
		}
		_, sendErr = fmt.Fprintf(conn, request, cmp.Or(to.Path, "/"), host, lines)
	}
	// Whatever became of the request: a server that has refused the certificate may be gone
	// already, and what it said is read all the same.
	in := bufio.NewReader(conn)
	res, err := response(in, request)
	if err != nil {
		if a.Alert = alert(err); a.Alert != "" {
			return a, nil
		}
		return a, late(cmp.Or(sendErr, err))
	}
	defer res.Body.Close()
	a.Status, a.Gate = res.StatusCode, res.Header.Get(Header)
	a.In = a.Gate == ""

	// The answer is known; what follows is as much as comes soon.
	soon, cancel := context.WithTimeout(inTime, restLimit)
	defer cancel()
	stopRest := context.AfterFunc(soon, func() { _ = raw.Close() })
	defer stopRest()
	var page strings.Builder
	_, _ = io.CopyN(&page, res.Body, pageLimit)
	a.Page = page.String()
	_, err = io.CopyN(io.Discard, res.Body, restBytes)
	if a.In && err == io.EOF && !res.Close {
		a.Gate = checksum(conn, in)
	}
	return a, nil
}

// response is the final answer to a request; "103 Early Hints" and its like are none.
func response(in *bufio.Reader, request string) (*http.Response, error) {
	method, _, _ := strings.Cut(request, " ")
	for {
		res, err := http.ReadResponse(in, &http.Request{Method: cmp.Or(method, http.MethodGet)})
		if err != nil || res.StatusCode >= 200 || res.StatusCode == http.StatusSwitchingProtocols {
			return res, err
		}
	}
}

// checksum asks the site which it is, on a connection over which somebody was let in: a
// request without a Host header is refused by the site itself (RFC 9112, section 3.2). So
// the answer is of the worker process that has let them in, which after a reload may
// still be an old one.
func checksum(conn net.Conn, in *bufio.Reader) string {
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\n\r\n"); err != nil {
		return ""
	}
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	return res.Header.Get(Header)
}

func dial(ctx context.Context, to Target) (net.Conn, error) {
	d := net.Dialer{Timeout: connectLimit}
	conn, err := d.DialContext(ctx, "tcp", to.Address)
	if err != nil {
		return nil, failed(to, err)
	}
	return conn, nil
}

// proxyHeader is version 1 of the PROXY protocol's header of a connection that its
// sender has made itself.
func proxyHeader(conn net.Conn) string {
	from, err := netip.ParseAddrPort(conn.LocalAddr().String())
	if err != nil {
		return "PROXY UNKNOWN\r\n"
	}
	at, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return "PROXY UNKNOWN\r\n"
	}
	family := "TCP6"
	if from.Addr().Unmap().Is4() {
		family = "TCP4"
	}
	return fmt.Sprintf("PROXY %s %s %s %d %d\r\n", family, from.Addr().Unmap().WithZone(""), at.Addr().Unmap().WithZone(""), from.Port(), at.Port())
}

// alert is what a server said when it ended a handshake, "" for any other error. The
// library's text is "remote error: tls: bad certificate".
func alert(err error) string {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Op != "remote error" {
		return ""
	}
	return strings.TrimPrefix(op.Err.Error(), "tls: ")
}

func isTimeout(err error) bool {
	t, ok := errors.AsType[net.Error](err)
	return ok && t.Timeout()
}

// failed says in plain words why there was no answer.
func failed(to Target, err error) error {
	_, plain := errors.AsType[tls.RecordHeaderError](err)
	_, dns := errors.AsType[*net.DNSError](err)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nobody listens on %s", to.Address)
	case plain:
		return fmt.Errorf("%s does not speak TLS", to.Address)
	case dns:
		return fmt.Errorf("the name of %s is not known here: %w; give the address of the proxy in its place", to.Address, err)
	case isTimeout(err):
		return fmt.Errorf("%s cannot be reached: nothing comes back in time", to.Address)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		hint := ""
		if !to.ProxyProtocol {
			hint = ", as one does that expects the PROXY protocol"
		}
		return fmt.Errorf("%s closes the connection without an answer%s: %w", to.Address, hint, err)
	}
	return fmt.Errorf("no answer from %s: %w", to.Address, err)
}
