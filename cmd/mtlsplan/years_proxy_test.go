package main

import (
	"bufio"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// yearsProxy is one NGINX for the sites of every team, one after the other. $FRESH and
// $RESUMED are the ports of the sites of these names.
type yearsProxy struct {
	ts      *testscript.TestScript
	running bool
}

// deploy puts a team's sites, and the files that they name, where NGINX reads them.
func (p *yearsProxy) deploy(t *team) {
	live := p.ts.MkAbs("live")
	p.ts.Check(os.MkdirAll(live, 0o755))
	for from, to := range map[string]string{"ca.team.crt": "ca.crt", "ca.team.crl": "ca.crl", "nginx/fresh": "fresh", "nginx/resumed": "resumed"} {
		data, err := os.ReadFile(t.out(from))
		p.ts.Check(err)
		p.ts.Check(os.WriteFile(filepath.Join(live, to), data, 0o644))
	}
	if p.running {
		cmdNginxReload(p.ts, false, nil)
		return
	}
	cmdNginxStart(p.ts, false, []string{"live/fresh", "live/resumed"})
	p.running = true
}

// visit is a user's client, which keeps its TLS session. With TLS 1.2 that is openssl
// s_client, because Go resumes no session by its identifier.
type visit struct {
	client  *client
	site    string
	version uint16
	cache   tls.ClientSessionCache // of TLS 1.3
	session string                 // of TLS 1.2, a file
}

func (v visit) String() string {
	return fmt.Sprintf("%s at %s with %s", filepath.Base(v.client.file), v.site, tls.VersionName(v.version))
}

// agrees plays the month of the comparison with NGINX, which is the real one: every user
// visits before the run, and again after it.
func (p *yearsProxy) agrees(t *team, m int) {
	p.deploy(t)
	var visits []visit
	for _, c := range t.certs {
		if time.Now().After(c.cert.NotAfter.Add(3 * month)) {
			continue
		}
		for _, site := range []string{"fresh", "resumed"} {
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				session := fmt.Sprintf("%s.%s.session", c.file, site)
				visits = append(visits, visit{c, site, version, tls.NewLRUClientSessionCache(1), session})
			}
		}
	}
	in, kept := p.ask(visits, m, "before the run"), 0
	for _, v := range visits {
		if resumed := p.come(v).resumed; resumed && v.site == "fresh" {
			p.ts.Fatalf("month %d: %s resumes a session", m, v)
		} else if resumed {
			kept++
		}
	}
	if in == 0 || kept != in/2 {
		p.ts.Fatalf("month %d: %d come in and %d resume a session, which one of the two sites allows", m, in, kept)
	}
	t.live(m)
	p.deploy(t)
	p.ask(visits, m, "after the run")
	for i := range visits {
		visits[i].cache, visits[i].session = nil, ""
	}
	p.ask(visits, m, "after the run, with a new session")
	fmt.Fprintf(p.ts.Stdout(), "month %d: %d of %d visits came in, %d sessions could be resumed\n", m, in, len(visits), kept)
}

// ask lets every user visit, expects success for those who may come in, and counts them.
func (p *yearsProxy) ask(visits []visit, m int, when string) (in int) {
	for _, v := range visits {
		a := p.come(v)
		want := "200"
		switch {
		case time.Now().After(v.client.cert.NotAfter):
			want = "expired"
		case v.client.revoked:
			want = "revoked"
		}
		if ok := a.status == 200; ok != (want == "200") || !ok && !strings.Contains(a.body, "<h1>") {
			p.ts.Fatalf("month %d, %s: %s: %d, want %s (session resumed: %v)\n%s", m, when, v, a.status, want, a.resumed, a.body)
		}
		if a.status == 200 {
			in++
		}
	}
	return in
}

type answer struct {
	status  int
	body    string
	resumed bool
}

const yearsRequest = "GET / HTTP/1.1\r\nHost: chat.example.com\r\nConnection: close\r\n\r\n"

func (p *yearsProxy) come(v visit) answer {
	address := "127.0.0.1:" + p.ts.Getenv(strings.ToUpper(v.site))
	if v.version == tls.VersionTLS12 {
		return p.comeWithOpenSSL(v, address)
	}
	conn, err := tls.Dial("tcp", address, &tls.Config{
		ServerName: "chat.example.com", InsecureSkipVerify: true, MinVersion: v.version, MaxVersion: v.version, ClientSessionCache: v.cache,
		Certificates: []tls.Certificate{{Certificate: [][]byte{v.client.cert.Raw}, PrivateKey: v.client.key.(crypto.PrivateKey)}},
	})
	p.ts.Check(err)
	defer conn.Close()
	fmt.Fprint(conn, yearsRequest)
	a := p.read(conn)
	a.resumed = conn.ConnectionState().DidResume
	return a
}

func (p *yearsProxy) read(from io.Reader) answer {
	response, err := http.ReadResponse(bufio.NewReader(from), nil)
	p.ts.Check(err)
	body, err := io.ReadAll(response.Body)
	p.ts.Check(err)
	return answer{status: response.StatusCode, body: string(body)}
}

func (p *yearsProxy) comeWithOpenSSL(v visit, address string) answer {
	keyFile := v.client.file + ".key"
	if _, err := os.Stat(keyFile); err != nil {
		der, err := x509.MarshalPKCS8PrivateKey(v.client.key)
		p.ts.Check(err)
		p.ts.Check(os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	}
	args := []string{"s_client", "-connect", address, "-servername", "chat.example.com", "-tls1_2", "-ign_eof", "-cert", v.client.file, "-key", keyFile}
	if v.session != "" {
		if _, err := os.Stat(v.session); err == nil {
			args = append(args, "-sess_in", v.session)
		}
		args = append(args, "-sess_out", v.session)
	}
	cmd := exec.Command("openssl", args...)
	cmd.Stdin = strings.NewReader(yearsRequest)
	out, err := cmd.Output()
	p.ts.Check(err)
	_, text, found := strings.Cut(string(out), "HTTP/1.1 ")
	if !found {
		p.ts.Fatalf("%s: no answer: %s", v, out)
	}
	a := p.read(strings.NewReader("HTTP/1.1 " + text))
	a.resumed = strings.Contains(string(out), "\nReused, TLSv1.2")
	return a
}
