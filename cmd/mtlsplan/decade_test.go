package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mtlsplan/internal/pki"
	"mtlsplan/internal/secret"
)

// decade is a team over ten years of monthly runs, and what must be true of
// every certificate that was ever issued to it.
type decade struct {
	t          *testing.T
	dir        string
	now        time.Time
	generation int
	team       map[string]bool
	issued     []*issuance
	port       int
	upstream   string
}

type issuance struct {
	user, file string
	notAfter   time.Time
	revoked    bool
	pair       tls.Certificate
}

// good reports whether a certificate must get in now: renewed ones do, until
// they end.
func (i *issuance) good(now time.Time) bool { return !i.revoked && now.Before(i.notAfter) }

// TestTenYearsOfATeam lets people join, leave, come back and lose laptops; the
// CA is reissued once and rolled over once, and one month nobody runs mtlsplan.
// After every month OpenSSL must agree on everybody, and at seven points a real
// NGINX whose clock is that month's.
func TestTenYearsOfATeam(t *testing.T) {
	d := &decade{t: t, dir: t.TempDir(), now: time.Date(2026, 1, 15, 4, 0, 0, 0, time.UTC), generation: 1, team: map[string]bool{}}
	d.port = freePort(t)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "in") }))
	defer app.Close()
	d.upstream = app.Listener.Addr().String()
	d.serverCertificate()

	for month := range 120 {
		var flags []string
		for _, name := range []string{"ann", "bob", "cid", "dan"} {
			d.team[name] = d.team[name] || month == 0
		}
		switch {
		case month == 61:
			d.now = d.now.AddDate(0, 1, 0)
			continue // nobody ran it that month
		case month == 84:
			d.generation = 2
		case month%10 == 3:
			d.team[fmt.Sprintf("new%d", month)] = true
		case month%10 == 7:
			d.leave(fmt.Sprintf("new%d", month-4))
		case month%24 == 12:
			d.leave("bob")
		case month%24 == 16:
			d.team["bob"] = true
		case month%18 == 5:
			flags = []string{"--replace", "user.cid", "--reason", "keyCompromise"}
			d.revoke("cid")
		}
		d.run(flags...)
		d.openssl(month)
		if slices.Contains([]int{0, 17, 40, 70, 85, 98, 119}, month) {
			d.nginx()
		}
		d.now = d.now.AddDate(0, 1, 0)
	}
	if n := len(d.cas()); n != 1 {
		t.Errorf("%d CAs are trusted at the end: the old one has not left", n)
	}
}

func (d *decade) leave(name string) {
	delete(d.team, name)
	d.revoke(name)
}

func (d *decade) revoke(name string) {
	for _, i := range d.issued {
		if i.user == name && d.now.Before(i.notAfter) {
			i.revoked = true
		}
	}
}

func (d *decade) path(name string) string { return filepath.Join(d.dir, name) }

func (d *decade) spec() string {
	var b strings.Builder
	fmt.Fprintf(&b, `output = "out"

ca "m" {
  subject {
    organization = "Mattermost"
    common_name  = "example.mattermost.com"
    email        = "admin@mattermost.com"
  }
  key          = "ecdsa-p256"
  validity     = "2190d"
  renew_before = "365d"
  generation   = %d

  crl {
    validity     = "80d"
    renew_before = "45d"
  }
}

nginx "m" {
  server_name     = ["localhost"]
  listen          = ["127.0.0.1:%d"]
  redirect_from   = []
  upstream        = [%q]
  certificate     = %q
  certificate_key = %q
}
`, d.generation, d.port, d.upstream, d.path("server.crt"), d.path("server.key"))
	for _, name := range slices.Sorted(maps.Keys(d.team)) {
		fmt.Fprintf(&b, "\nuser %q {\n  email     = \"%s@mattermost.com\"\n  reuse_key = %v\n}\n", name, name, name == "dan")
	}
	return b.String()
}

// mtlsplan runs a command as of now and returns its exit code and output.
func (d *decade) mtlsplan(args ...string) (int, string) {
	var out bytes.Buffer
	args = append(args, d.path("m.hcl"), "--at", d.now.Format(time.RFC3339))
	code := run(context.Background(), args, process{strings.NewReader(""), &out, &out, os.LookupEnv, time.Now})
	return code, out.String()
}

// run is the month's run, and a second one that must have nothing to do.
func (d *decade) run(flags ...string) {
	d.t.Helper()
	d.write("m.hcl", []byte(d.spec()))
	if code, out := d.mtlsplan(append([]string{"apply"}, flags...)...); code != exitDone {
		d.t.Fatalf("%s: apply ends with %d:\n%s", d.now.Format(time.DateOnly), code, out)
	}
	if code, out := d.mtlsplan("apply"); code != exitDone || !strings.Contains(out, "Nothing to do") {
		d.t.Fatalf("%s: the second apply ends with %d:\n%s", d.now.Format(time.DateOnly), code, out)
	}
	for name := range d.team {
		d.collect(name)
	}
}

// collect keeps a copy of a user's certificate that was not seen before.
func (d *decade) collect(name string) {
	text := d.read("out/" + name + "-m.crt")
	cert, err := pki.ParseCertificates(text)
	if err != nil {
		d.t.Fatal(err)
	}
	file := fmt.Sprintf("%s-%s.crt", name, pki.SerialHex(cert[0].SerialNumber))
	if slices.ContainsFunc(d.issued, func(i *issuance) bool { return i.file == file }) {
		return
	}
	d.write(file, text)
	key, err := pki.OpenKey(d.read("out/"+name+"-m.key"), secret.Line(d.read("out/secrets/"+name+"-m.pass")))
	if err != nil {
		d.t.Fatal(err)
	}
	d.issued = append(d.issued, &issuance{user: name, file: file, notAfter: cert[0].NotAfter,
		pair: tls.Certificate{Certificate: [][]byte{cert[0].Raw}, PrivateKey: key, Leaf: cert[0]}})
}

// openssl asks OpenSSL about every certificate that was ever issued.
func (d *decade) openssl(month int) {
	d.t.Helper()
	for _, wanted := range []bool{true, false} {
		args := []string{"verify", "-x509_strict", "-crl_check", "-purpose", "sslclient", "-attime", fmt.Sprint(d.now.Unix()),
			"-CAfile", d.path("out/ca.m.crt"), "-CRLfile", d.path("out/ca.m.crl")}
		n := 0
		for _, i := range d.issued {
			if i.good(d.now) == wanted {
				args = append(args, d.path(i.file))
				n++
			}
		}
		if n == 0 {
			continue
		}
		out, _ := exec.Command("openssl", args...).CombinedOutput()
		if ok := bytes.Count(out, []byte(": OK\n")); wanted && ok != n || !wanted && ok != 0 {
			d.t.Fatalf("month %d, %s: %d of %d certificates pass, and it should be %v for all:\n%s", month, d.now.Format(time.DateOnly), ok, n, wanted, out)
		}
	}
}

// nginx starts the proxy with this month's clock and lets everybody knock,
// twice, so that the second handshake could resume the first.
func (d *decade) nginx() {
	d.t.Helper()
	dir := d.t.TempDir()
	user := ""
	if os.Getuid() == 0 {
		user = "user root;\n"
	}
	conf := user + "daemon off;\nworker_processes 1;\npid nginx.pid;\nerror_log error.log info;\nevents { worker_connections 256; }\nhttp {\naccess_log off;\n" +
		"client_body_temp_path body;\nproxy_temp_path proxy;\nfastcgi_temp_path fastcgi;\nuwsgi_temp_path uwsgi;\nscgi_temp_path scgi;\n" +
		"include " + d.path("out/nginx/m") + ";\n}\n"
	if err := os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(conf), 0o600); err != nil {
		d.t.Fatal(err)
	}
	// The wrapper faketime would stand between us and the process to end.
	libraries, err := filepath.Glob("/usr/lib/*/faketime/libfaketime.so.1")
	if err != nil || len(libraries) == 0 {
		d.t.Fatal("libfaketime is not there: install the package faketime")
	}
	proxy := exec.Command("nginx", "-p", dir+"/", "-c", "nginx.conf", "-e", "start.log")
	proxy.Env = append(os.Environ(), "TZ=UTC", "LD_PRELOAD="+libraries[0], "FAKETIME=@"+d.now.Format("2006-01-02 15:04:05"))
	if err := proxy.Start(); err != nil {
		d.t.Fatal(err)
	}
	defer func() {
		proxy.Process.Signal(syscall.SIGTERM)
		proxy.Wait()
	}()
	for n := 0; ; n++ {
		if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", d.port)); err == nil {
			c.Close()
			break
		}
		if n == 500 {
			log, _ := os.ReadFile(filepath.Join(dir, "error.log"))
			d.t.Fatalf("NGINX does not listen:\n%s", log)
		}
		time.Sleep(10 * time.Millisecond)
	}
	for _, i := range d.issued {
		want := http.StatusForbidden
		if i.good(d.now) {
			want = http.StatusOK
		}
		sessions := tls.NewLRUClientSessionCache(0)
		for _, visit := range []string{"first", "second"} {
			if got := d.knock(i, sessions); got != want {
				d.t.Errorf("%s, %s visit: %s is answered %d, want %d", d.now.Format(time.DateOnly), visit, i.file, got, want)
			}
		}
	}
}

func (d *decade) knock(i *issuance, sessions tls.ClientSessionCache) int {
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
		InsecureSkipVerify: true, ServerName: "localhost", ClientSessionCache: sessions,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &i.pair, nil },
	}}}
	r, err := client.Get(fmt.Sprintf("https://localhost:%d/", d.port))
	if err != nil {
		d.t.Fatal(err)
	}
	defer r.Body.Close()
	_, _ = io.Copy(io.Discard, r.Body)
	return r.StatusCode
}

func (d *decade) cas() []*x509.Certificate {
	cas, err := pki.ParseCertificates(d.read("out/ca.m.crt"))
	if err != nil {
		d.t.Fatal(err)
	}
	return cas
}

// serverCertificate is good for all of the years.
func (d *decade) serverCertificate() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		d.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"},
		NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2060, 1, 1, 0, 0, 0, 0, time.UTC)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		d.t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		d.t.Fatal(err)
	}
	d.write("server.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}))
	d.write("server.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func (d *decade) write(name string, data []byte) {
	if err := os.WriteFile(d.path(name), data, 0o600); err != nil {
		d.t.Fatal(err)
	}
}

func (d *decade) read(name string) []byte {
	data, err := os.ReadFile(d.path(name))
	if err != nil {
		d.t.Fatal(err)
	}
	return data
}

func freePort(t *testing.T) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
