package bench

import (
	"bufio"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"software.sslmate.com/src/go-pkcs12"

	"mtlsplan/internal/testing/tools"
)

// BenchmarkGate measures what a rendered site costs NGINX: run=LOAD/prog=SITE. Each site has an
// NGINX of its own with one worker, whose CPU time counts. It is compared with the smallest site
// that asks for a certificate.
func BenchmarkGate(b *testing.B) {
	l := newLab(b)
	describeMachine(l)
	var gates []*gate
	for _, load := range loads {
		b.Run("run="+load.name, func(b *testing.B) {
			tools.Need(b, "nginx")
			if gates == nil {
				l.nginxVersion()
				gates = l.newGates(10_000)
			}
			l.TB = b
			report(b, l.gateTurns(load, gates, int(flag.Lookup("test.count").Value.(flag.Getter).Get().(uint)), 1))
		})
	}
}

// TestGates puts a little of every load on every site. It judges no time.
func TestGates(t *testing.T) {
	if testing.Short() {
		t.Skip("it makes sites and starts their NGINX")
	}
	tools.Need(t, "nginx")
	page, err := os.ReadFile("../../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	l := newLab(t)
	gates := l.newGates(3)
	for _, load := range loads {
		for _, s := range l.gateTurns(load, gates, 1, 500) {
			if s.samples[0]["worker-ns/op"] <= 0 {
				t.Errorf("%s, %s: %v is no measurement", load.name, s.prog, s.samples)
			}
		}
		if !strings.Contains(string(page), "`"+load.name+"`") {
			t.Errorf("docs/performance.md does not describe `%s`", load.name)
		}
	}
}

// parts is the number of parts in which a turn puts its load on each site, A B A B: a
// disturbance of the machine is shorter than a turn and longer than a part.
const parts = 10

// clients are those that a site serves at the same time.
const clients = 4

// load is what a client asks of a site.
type load struct {
	name string
	part int // operations of each client in a part
	do   func(g *gate, n int) error
	// told is whether sites that tell the application who comes are measured too.
	told bool
}

var loads = []load{
	{"handshake", 50, (*gate).handshakes, false},
	{"request", 1000, (*gate).requests, true},
}

// A gate is a site that an NGINX of its own serves.
type gate struct {
	name   string
	addr   string
	client *tls.Config
	worker int // process ID
	// identity is whether the application must be told who came.
	identity bool
}

const gateHost = "gate.example.com"

// newGates starts the smallest site, and those of each program: with and without the two headers
// that tell who comes, and with a number of revoked certificates.
func (l *lab) newGates(revoked int) (all []*gate) {
	dir := l.fresh("gate")
	out, err := exec.Command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "30",
		"-subj", "/CN="+gateHost, "-keyout", filepath.Join(dir, "server.key"), "-out", filepath.Join(dir, "server.crt")).CombinedOutput()
	l.check(err, string(out))
	application := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "told: %t", r.Header.Get("X-SSL-Client-Cert") != "" && r.Header.Get("X-SSL-Client-Cert-Subject-DN") != "")
	}))
	l.Cleanup(application.Close)
	upstream, addrs := application.Listener.Addr().String(), map[string]string{}

	for i, p := range l.programs {
		for _, revoked := range []int{0, revoked} {
			w := l.newWorld(p, revoked+1, "ec")
			var blocks string
			for _, s := range gateSites {
				addrs[s.label] = freeAddr(l)
				blocks += fmt.Sprintf(gateBlock, s.label, gateHost, addrs[s.label], upstream, dir, s.identity)
			}
			apply := func(flags ...string) {
				l.check(w.write("ec"))
				l.check(w.add(blocks))
				l.measure(w.command("apply", rosterSpec, applied, flags...))
			}
			apply()
			if revoked > 0 {
				w.first = revoked
				apply(allow(revoked))
			}
			client := l.clientOf(w, revoked)
			if i == 0 && revoked == 0 && compared == "" {
				addr := freeAddr(l)
				site := filepath.Join(dir, "smallest")
				l.check(os.WriteFile(site, fmt.Appendf(nil, smallestSite, upstream, addr, gateHost, dir, filepath.Join(w.dir, "pki/ca.bench.crt")), 0o644))
				all = append(all, l.newGate(&gate{name: "smallest site", addr: addr, client: client}, site))
			}
			for _, s := range gateSites {
				g := &gate{name: p.name + s.suffix, addr: addrs[s.label], client: client, identity: s.identity}
				if revoked > 0 {
					g.name += fmt.Sprintf(", %d revoked", revoked)
				}
				if revoked == 0 || s.label != control {
					all = append(all, l.newGate(g, filepath.Join(w.dir, "pki/nginx", s.label)))
				}
			}
		}
	}
	return all
}

// gateSites are the sites of a spec. The control is as the first one: how much the two differ is
// how much cannot be measured.
var gateSites = []struct {
	label, suffix string
	identity      bool
}{
	{"plain", "", false},
	{control, ", a second NGINX", false},
	{"told", ", two headers", true},
}

const control = "control"

const gateBlock = `
nginx %q {
  server_name      = [%q]
  listen           = [%q]
  redirect_from    = []
  upstream         = [%q]
  certificate      = "%s/server.crt"
  certificate_key  = "%[5]s/server.key"
  identity_headers = %t
}
`

// smallestSite asks for a certificate, and passes everything on to an application with which
// connections are kept. Sessions are off, as they are in a rendered site, so that no ticket is
// paid for.
const smallestSite = `upstream application { server %s; keepalive 32; }
server {
    listen %s ssl;
    server_name %s;
    ssl_certificate %[4]s/server.crt;
    ssl_certificate_key %[4]s/server.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache off;
    ssl_session_tickets off;
    ssl_client_certificate %[5]s;
    ssl_verify_client on;
    location / {
        proxy_pass http://application;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
    }
}
`

// add adds blocks to a spec.
func (w *world) add(blocks string) error {
	f, err := os.OpenFile(filepath.Join(w.dir, rosterSpec), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(blocks)
	return err
}

// clientOf is a client with the certificate of a user. It never resumes a session.
func (l *lab) clientOf(w *world, user int) *tls.Config {
	name := fmt.Sprintf("user%06d-bench", user)
	passphrase, err := os.ReadFile(filepath.Join(w.dir, "pki/secrets", name+".pass"))
	l.check(err)
	data, err := os.ReadFile(filepath.Join(w.dir, "pki", name+".p12"))
	l.check(err)
	key, cert, _, err := pkcs12.DecodeChain(data, strings.TrimSpace(string(passphrase)))
	l.check(err)
	return &tls.Config{
		InsecureSkipVerify: true, ServerName: gateHost,
		Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}},
	}
}

func freeAddr(l *lab) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	l.check(err)
	defer listener.Close()
	return listener.Addr().String()
}

// newGate starts the NGINX of a site, and sees who is let in.
func (l *lab) newGate(g *gate, site string) *gate {
	dir := l.fresh("nginx")
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;\n" // the directory is for nobody else
	}
	l.check(os.WriteFile(filepath.Join(dir, "nginx.conf"), fmt.Appendf(nil, `%sdaemon off;
worker_processes 1;
pid nginx.pid;
error_log error.log crit;
events { worker_connections 1024; }
http {
    access_log off;
    keepalive_requests 1000000;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    include %q;
}
`, user, site), 0o644))
	master := exec.Command("nginx", "-p", dir+"/", "-c", "nginx.conf", "-e", "error.log")
	l.check(master.Start())
	l.Cleanup(func() {
		master.Process.Signal(syscall.SIGTERM)
		master.Wait()
	})
	for range 1000 {
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", master.Process.Pid))
		l.check(err)
		if n, _ := fmt.Sscan(string(children), &g.worker); n == 1 && g.letsIn(g.client) == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	l.check(g.letsIn(g.client), g.name)
	if g.letsIn(&tls.Config{InsecureSkipVerify: true, ServerName: gateHost}) == nil {
		l.Fatal(g.name, " lets somebody in without a certificate")
	}
	return g
}

// letsIn makes one request.
func (g *gate) letsIn(client *tls.Config) error {
	conn, err := tls.Dial("tcp", g.addr, client)
	if err != nil {
		return err
	}
	defer conn.Close()
	return g.request(conn, bufio.NewReader(conn))
}

// request asks for a page, and expects the application's.
func (g *gate) request(conn net.Conn, answers *bufio.Reader) error {
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+gateHost+"\r\n\r\n"); err != nil {
		return err
	}
	answer, err := http.ReadResponse(answers, nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if want := fmt.Sprintf("told: %t", g.identity); err == nil && (answer.StatusCode != http.StatusOK || string(body) != want) {
		err = fmt.Errorf("%s: %s with %q, not 200 with %q", g.name, answer.Status, body, want)
	}
	return err
}

// requests makes requests on one connection.
func (g *gate) requests(n int) error {
	conn, err := tls.Dial("tcp", g.addr, g.client)
	if err != nil {
		return err
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	for range n {
		if err := g.request(conn, answers); err != nil {
			return err
		}
	}
	return nil
}

// handshakes makes full handshakes, each to its end: the server closes a connection after its
// client has, so after the client's certificate was verified.
func (g *gate) handshakes(n int) error {
	for range n {
		conn, err := tls.Dial("tcp", g.addr, g.client)
		if err != nil {
			return err
		}
		err = conn.CloseWrite()
		if err == nil {
			_, err = io.Copy(io.Discard, conn)
		}
		conn.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// gateTurns puts a load, divided by less, on all sites in turns.
func (l *lab) gateTurns(load load, gates []*gate, count, less int) []series {
	gates = slices.DeleteFunc(slices.Clone(gates), func(g *gate) bool { return g.identity && !load.told })
	all := make([]series, len(gates))
	for i, g := range gates {
		all[i].prog = g.name
	}
	n := max(1, load.part/less)
	for range count {
		for i := range all {
			all[i].samples = append(all[i].samples, sample{})
		}
		for range parts {
			for i, g := range gates {
				wall, cpu := l.loadGate(load, g, n)
				s, ops := all[i].samples[len(all[i].samples)-1], float64(parts*clients*n)
				s["ns/op"] += float64(wall) / ops
				s["worker-ns/op"] += float64(cpu) / ops
			}
		}
	}
	return all
}

// loadGate lets each client do n operations. A request before them fails where
// the site is not as it should be.
func (l *lab) loadGate(load load, g *gate, n int) (wall, cpu time.Duration) {
	l.check(g.letsIn(g.client))
	cpu, begin := workerTime(l, g.worker), time.Now()
	var wait sync.WaitGroup
	failed := make(chan error, clients)
	for range clients {
		wait.Go(func() { failed <- load.do(g, n) })
	}
	wait.Wait()
	wall, cpu = time.Since(begin), workerTime(l, g.worker)-cpu
	for range clients {
		l.check(<-failed)
	}
	return wall, cpu
}

// workerTime is the CPU time of a process, in user and in system mode, to the nanosecond:
// /proc/PID/stat has it in hundredths of a second. The clock is that of clock_getcpuclockid(3).
func workerTime(l *lab, pid int) time.Duration {
	var t unix.Timespec
	l.check(unix.ClockGettime(int32(^pid<<3|2), &t))
	return time.Duration(t.Nano())
}

// nginxVersion adds a line in the benchmark format.
func (l *lab) nginxVersion() {
	out, err := exec.Command("nginx", "-v").CombinedOutput()
	l.check(err)
	fmt.Printf("nginx: %s\n", strings.TrimPrefix(strings.TrimSpace(string(out)), "nginx version: nginx/"))
}
