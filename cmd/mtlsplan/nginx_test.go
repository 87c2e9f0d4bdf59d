package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"mtlsplan/internal/testing/tools"

	"github.com/rogpeppe/go-internal/testscript"
)

func init() {
	scriptCommands["free-port"] = cmdFreePort
	scriptCommands["servercert"] = cmdServerCert
	scriptCommands["nginx-start"] = cmdNginxStart
	scriptCommands["nginx-reload"] = cmdNginxReload
}

// cmdFreePort implements "free-port VAR...": sets each variable to a TCP port
// of 127.0.0.1 on which nothing listens.
func cmdFreePort(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: free-port VAR...")
	}
	for _, name := range args {
		ts.Setenv(name, strconv.Itoa(tools.Port()))
	}
}

// cmdServerCert implements "servercert DIR NAME...": writes fullchain.pem and privkey.pem for
// a server of these names to DIR, and root.pem, their issuer.
func cmdServerCert(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: servercert DIR NAME...")
	}
	now := time.Now()
	root := &x509.Certificate{
		Subject: pkix.Name{CommonName: "Root of servers"}, SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
	}
	server := &x509.Certificate{
		Subject: pkix.Name{CommonName: args[1]}, SerialNumber: big.NewInt(2), DNSNames: args[1:], KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, NotBefore: root.NotBefore, NotAfter: now.AddDate(0, 3, 0),
	}
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, rootKey.Public(), rootKey)
	ts.Check(err)
	der, err := x509.CreateCertificate(rand.Reader, server, root, key.Public(), rootKey)
	ts.Check(err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	for name, block := range map[string]*pem.Block{
		"root.pem": {Type: "CERTIFICATE", Bytes: rootDER}, "fullchain.pem": {Type: "CERTIFICATE", Bytes: der}, "privkey.pem": {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		ts.Check(os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600))
	}
}

// cmdNginxStart implements "nginx-start SITE...": runs an NGINX with the unchanged sites until
// the script ends. It must print no warning about them.
func cmdNginxStart(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: nginx-start SITE...")
	}
	dir := nginxDir(ts)
	ts.Check(os.Mkdir(dir, 0o755))
	user := ""
	if os.Getuid() == 0 {
		user = "user root;\n" // its workers write below a directory of mode 0700
	}
	includes := ""
	for _, site := range args {
		includes += fmt.Sprintf("    include %q;\n", ts.MkAbs(site))
	}
	ts.Check(os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(user+`daemon off;
worker_processes 1;
pid nginx.pid;
error_log error.log info;
events { worker_connections 256; }
http {
    log_format client '$status $ssl_client_verify $ssl_client_serial "$request"';
    access_log access.log client;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
`+includes+"}\n"), 0o644))
	testNginx(ts)
	master := nginxCommand(dir)
	ts.Check(master.Start())
	ts.Defer(func() {
		master.Process.Signal(syscall.SIGTERM)
		master.Wait()
	})
	waitForLog(ts, "start worker process ", 1)
}

// cmdNginxReload implements "nginx-reload": the running NGINX reads its sites again.
func cmdNginxReload(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: nginx-reload")
	}
	testNginx(ts)
	pid := 0
	_, err := fmt.Sscan(ts.ReadFile(filepath.Join(nginxDir(ts), "nginx.pid")), &pid)
	ts.Check(err)
	stopped := countInLog(ts, "gracefully shutting down")
	ts.Check(syscall.Kill(pid, syscall.SIGHUP))
	waitForLog(ts, "gracefully shutting down", stopped+1)
}

func nginxDir(ts *testscript.TestScript) string { return filepath.Join(ts.Getenv("WORK"), ".nginx") }

func nginxCommand(dir string, args ...string) *exec.Cmd {
	return exec.Command("nginx", append([]string{"-p", dir + "/", "-c", "nginx.conf", "-e", "start.log"}, args...)...)
}

// testNginx runs nginx -t and expects its two lines of success and no other.
func testNginx(ts *testscript.TestScript) {
	out, err := nginxCommand(nginxDir(ts), "-t").CombinedOutput()
	if err != nil || bytes.Count(out, []byte("\n")) != 2 || !bytes.Contains(out, []byte("test is successful")) {
		ts.Fatalf("nginx -t: %v\n%s", err, out)
	}
}

func countInLog(ts *testscript.TestScript, text string) int {
	data, _ := os.ReadFile(filepath.Join(nginxDir(ts), "error.log"))
	return strings.Count(string(data), text)
}

// waitForLog returns when a text is in the error log this number of times.
func waitForLog(ts *testscript.TestScript, text string, times int) {
	for range 1000 {
		if countInLog(ts, text) >= times {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	ts.Fatalf("NGINX does not log %q:\n%s", text, ts.ReadFile(filepath.Join(nginxDir(ts), "start.log")))
}
