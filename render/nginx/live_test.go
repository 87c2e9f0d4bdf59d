package nginx

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mtlsplan/internal/testing/tools"
	"mtlsplan/render"
)

// authority is a CA made for a test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

var lastSerial int64 = 0x1000

func newKey(t *testing.T) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newAuthority(t *testing.T, name string) *authority {
	a := &authority{t: t, key: newKey(t)}
	a.cert = &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, a.key.Public(), a.key)
	must(t, err)
	a.cert, err = x509.ParseCertificate(der)
	must(t, err)
	return a
}

// issue makes a certificate for clients and servers alike. A changed template
// is what a test is about.
func (a *authority) issue(change func(*x509.Certificate)) *tls.Certificate {
	lastSerial++
	c := &x509.Certificate{
		Subject: pkix.Name{CommonName: "somebody"}, SerialNumber: big.NewInt(lastSerial),
		NotBefore: a.cert.NotBefore, NotAfter: a.cert.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	if change != nil {
		change(c)
	}
	key := newKey(a.t)
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, key.Public(), a.key)
	must(a.t, err)
	leaf, err := x509.ParseCertificate(der)
	must(a.t, err)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// revocations is a CRL in PEM.
func (a *authority) revocations(next time.Duration, revoked ...*tls.Certificate) []byte {
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(next)}
	for _, c := range revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: c.Leaf.SerialNumber, RevocationTime: list.ThisUpdate})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.cert, a.key)
	must(a.t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
}

func pemCert(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

func pemKey(t *testing.T, c *tls.Certificate) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	must(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// serialOf is a serial as $ssl_client_serial writes it.
func serialOf(c *tls.Certificate) string { return fmt.Sprintf("%X", c.Leaf.SerialNumber.Bytes()) }

// lab is a directory with a server certificate, a CA and NGINX.
type lab struct {
	t      *testing.T
	dir    string
	ca     *authority
	master *exec.Cmd
	extra  string                   // what NGINX was started with in the http block
	edit   func(text []byte) []byte // changes what was rendered; nil for a test of the sites as they are
}

func newLab(t *testing.T) *lab {
	l := &lab{t: t, dir: t.TempDir(), ca: newAuthority(t, "Clients")}
	server := newAuthority(t, "Servers").issue(nil)
	l.write("server.crt", pemCert(server.Leaf))
	l.write("server.key", pemKey(t, server))
	l.write("ca.crt", pemCert(l.ca.cert))
	l.write("ca.crl", l.ca.revocations(time.Hour))
	return l
}

func (l *lab) path(name string) string { return filepath.Join(l.dir, name) }

func (l *lab) write(name string, data []byte) {
	l.t.Helper()
	must(l.t, os.MkdirAll(filepath.Dir(l.path(name)), 0o755))
	must(l.t, os.WriteFile(l.path(name), data, 0o600))
}

// site is a complete site on a free port whose files are in the lab.
func (l *lab) site(v said) render.Site {
	base := said{
		"server_name": []string{"chat.test"}, "upstream": []string{"127.0.0.1:1"},
		"listen": []string{freeAddr(l.t)}, "redirect_from": []string{},
		"certificate": l.path("server.crt"), "certificate_key": l.path("server.key"),
	}
	maps.Copy(base, v)
	s := plainSite(base)
	s.ClientCA, s.CRL = l.path("ca.crt"), l.path("ca.crl")
	return s
}

func freeAddr(*testing.T) string { return fmt.Sprintf("127.0.0.1:%d", tools.Port()) }

func addrOf(s render.Site) string { return s.Listen[0] }

// config writes nginx.conf, which includes the sites as they are; extra is for
// the http block.
func (l *lab) config(extra string, sites ...render.Site) {
	l.t.Helper()
	must(l.t, os.RemoveAll(l.path("sites")))
	for i, s := range sites {
		text := rendered(s)
		if l.edit != nil {
			text = l.edit(text)
		}
		l.write(fmt.Sprintf("sites/%03d", i), text)
	}
	user := ""
	if os.Getuid() == 0 {
		user = "user root;\n" // workers write beside a directory of mode 0700
	}
	l.write("nginx.conf", []byte(user+`daemon off;
worker_processes 1;
pid nginx.pid;
error_log error.log info;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
`+extra+`
    include sites/*;
}
`))
}

func (l *lab) nginx(args ...string) *exec.Cmd {
	return exec.Command("nginx", append([]string{"-p", l.dir + "/", "-c", "nginx.conf", "-e", "start.log"}, args...)...)
}

// test runs nginx -t and wants nothing but its two lines of praise.
func (l *lab) test() {
	l.t.Helper()
	out, err := l.nginx("-t").CombinedOutput()
	if err != nil || bytes.Count(out, []byte("\n")) != 2 || !bytes.Contains(out, []byte("test is successful")) {
		l.t.Fatalf("nginx -t: %v\n%s", err, out)
	}
}

// start runs NGINX until the test ends.
func (l *lab) start(extra string, sites ...render.Site) {
	l.t.Helper()
	l.extra = extra
	l.config(extra, sites...)
	l.test()
	l.master = l.nginx()
	must(l.t, l.master.Start())
	l.t.Cleanup(func() {
		must(l.t, l.master.Process.Signal(syscall.SIGTERM))
		must(l.t, l.master.Wait())
	})
	for _, s := range sites {
		waitFor(l.t, addrOf(s))
	}
}

func waitFor(t *testing.T, addr string) {
	t.Helper()
	for range 500 {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("nothing listens on %s", addr)
}

// reload makes NGINX read changed sites and waits until new workers answer.
func (l *lab) reload(sites ...render.Site) {
	l.t.Helper()
	l.config(l.extra, sites...)
	l.test()
	before := l.log("gracefully shutting down")
	must(l.t, l.master.Process.Signal(syscall.SIGHUP))
	for range 500 {
		if l.log("gracefully shutting down") > before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	l.t.Fatal("NGINX did not reload")
}

func (l *lab) log(text string) int {
	data, err := os.ReadFile(l.path("error.log"))
	must(l.t, err)
	return bytes.Count(data, []byte(text))
}

// client is somebody with a certificate, or with none. Without sni the
// handshake names no host.
func client(addr, sni string, cert *tls.Certificate) *http.Client {
	config := &tls.Config{InsecureSkipVerify: true, ServerName: sni}
	if cert != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
	}
	return &http.Client{
		Timeout:       10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(_ context.Context, network, _ string) (net.Conn, error) {
				return net.Dial(network, addr)
			},
			DialTLSContext: func(_ context.Context, network, _ string) (net.Conn, error) {
				conn, err := net.Dial(network, addr)
				if err != nil {
					return nil, err
				}
				return tls.Client(conn, config), nil
			},
		},
	}
}

// echo is an application that answers with the request as it got it.
func echo(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "path %s\n", r.RequestURI)
		for name, values := range r.Header {
			for _, v := range values {
				fmt.Fprintf(w, "%s: %s\n", strings.ToLower(name), v)
			}
		}
		fmt.Fprintf(w, "host: %s\n", r.Host)
	})}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return l.Addr().String()
}
