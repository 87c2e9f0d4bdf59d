package probe

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
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
	"mtlsplan/render/nginx"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// authority is a CA made for a test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

var lastSerial int64 = 0x2000

func newAuthority(t *testing.T, name string) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	a := &authority{t: t, key: key, cert: &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}}
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, key.Public(), key)
	must(t, err)
	a.cert, err = x509.ParseCertificate(der)
	must(t, err)
	return a
}

func (a *authority) issue() *tls.Certificate {
	lastSerial++
	c := &x509.Certificate{
		Subject: pkix.Name{CommonName: "somebody"}, SerialNumber: big.NewInt(lastSerial), NotBefore: a.cert.NotBefore, NotAfter: a.cert.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(a.t, err)
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, key.Public(), a.key)
	must(a.t, err)
	leaf, err := x509.ParseCertificate(der)
	must(a.t, err)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func serialOf(c *tls.Certificate) string { return fmt.Sprintf("%X", c.Leaf.SerialNumber.Bytes()) }

func freeAddr(*testing.T) string { return fmt.Sprintf("127.0.0.1:%d", tools.Port()) }

// lab is a directory in which NGINX runs.
type lab struct {
	t      *testing.T
	dir    string
	ca     *authority
	master *exec.Cmd
	hand   string // a site made by hand
}

func newLab(t *testing.T) *lab {
	tools.Need(t, "nginx")
	l := &lab{t: t, dir: t.TempDir(), ca: newAuthority(t, "Clients")}
	server := newAuthority(t, "Servers").issue()
	key, err := x509.MarshalPKCS8PrivateKey(server.PrivateKey)
	must(t, err)
	l.write("server.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate[0]}))
	l.write("server.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	l.write("ca.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: l.ca.cert.Raw}))
	return l
}

func (l *lab) write(name string, data []byte) {
	must(l.t, os.MkdirAll(filepath.Dir(filepath.Join(l.dir, name)), 0o755))
	must(l.t, os.WriteFile(filepath.Join(l.dir, name), data, 0o600))
}

// site is a complete site on a free port, on which nothing is revoked.
func (l *lab) site(name string, upstream string) render.Site {
	s := render.Site{Name: name, CA: "clients"}
	for _, a := range nginx.Proxy.Attributes {
		a.SetDefault(&s.Settings)
	}
	s.ServerNames, s.Upstream, s.Listen, s.RedirectFrom = []string{name + ".test"}, []string{upstream}, []string{freeAddr(l.t)}, nil
	s.Certificate, s.CertificateKey = filepath.Join(l.dir, "server.crt"), filepath.Join(l.dir, "server.key")
	s.Settings = nginx.Proxy.Complete(name, s.Settings)
	s.ClientCA = filepath.Join(l.dir, "ca.crt")
	return s
}

// target is the site as it is rendered.
func target(s render.Site) Target {
	return Target{Address: s.Listen[0], ServerName: s.ServerNames[0], ProxyProtocol: s.ProxyProtocol, Gate: nginx.Proxy.Render(s)[0].Gate}
}

func (l *lab) config(sites ...render.Site) {
	must(l.t, os.RemoveAll(filepath.Join(l.dir, "sites")))
	must(l.t, os.Mkdir(filepath.Join(l.dir, "sites"), 0o755))
	for i, s := range sites {
		l.write(fmt.Sprintf("sites/%d", i), nginx.Proxy.Render(s)[0].Data)
	}
	user := ""
	if os.Getuid() == 0 {
		user = "user root;\n" // workers write beside a directory of mode 0700
	}
	l.write("nginx.conf", []byte(user+`daemon off;
worker_processes 2;
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
    include sites/*;
`+l.hand+`}
`))
}

// start runs NGINX until the test ends.
func (l *lab) start(sites ...render.Site) {
	l.config(sites...)
	l.master = exec.Command("nginx", "-p", l.dir+"/", "-c", "nginx.conf", "-e", "start.log")
	must(l.t, l.master.Start())
	l.t.Cleanup(func() {
		must(l.t, l.master.Process.Signal(syscall.SIGTERM))
		must(l.t, l.master.Wait())
	})
	for _, s := range sites {
		waitFor(l.t, s.Listen[0])
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

func (l *lab) reload(sites ...render.Site) {
	l.config(sites...)
	must(l.t, l.master.Process.Signal(syscall.SIGHUP))
}

// application answers with a status, 0 for no answer at all.
func application(t *testing.T, status int) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	done := make(chan struct{})
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(Header, "0123456789abcdef")
		if status == 0 {
			<-done
			return
		}
		w.WriteHeader(status)
		fmt.Fprint(w, strings.Repeat("<h1>No required SSL certificate was sent</h1>\n", 1000))
	})}
	go server.Serve(l)
	t.Cleanup(func() { close(done); server.Close() })
	return l.Addr().String()
}
