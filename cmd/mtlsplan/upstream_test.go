package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/net/websocket"
	"software.sslmate.com/src/go-pkcs12"
)

func init() {
	scriptCommands["upstream"] = cmdUpstream
	scriptCommands["websocket"] = cmdWebSocket
}

// cmdUpstream implements "upstream NAME ADDR [DIR]": runs an application until the script ends. It
// answers with the request as received, and echoes messages on a WebSocket; /headers shows the headers, /chat is a page for
// browsers that does so. With a directory
// that servercert has made, it speaks TLS.
func cmdUpstream(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 && len(args) != 3 {
		ts.Fatalf("usage: upstream NAME ADDR [DIR]")
	}
	listener, err := net.Listen("tcp", args[1])
	ts.Check(err)
	if len(args) == 3 {
		dir := ts.MkAbs(args[2])
		cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "fullchain.pem"), filepath.Join(dir, "privkey.pem"))
		ts.Check(err)
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{cert}})
	}
	server := &http.Server{Handler: upstream(args[0]), ErrorLog: log.New(io.Discard, "", 0)}
	go server.Serve(listener)
	ts.Defer(func() { server.Close() })
}

type upstream string

func (name upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	who := readIdentity(r.Header)
	if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		websocket.Server{Handler: func(conn *websocket.Conn) {
			for text := ""; websocket.Message.Receive(conn, &text) == nil; {
				if websocket.Message.Send(conn, fmt.Sprintf("%s at %s says %s", who.email, r.RequestURI, text)) != nil {
					return
				}
			}
		}}.ServeHTTP(w, r)
		return
	}
	if r.URL.Path == "/chat" {
		name.showChat(w, r)
		return
	}
	if r.URL.Path == "/headers" {
		_ = r.Header.Write(w)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	fmt.Fprintf(w, "upstream: %s\nrequest: %s %s\nhost: %s\n", name, r.Method, r.RequestURI, r.Host)
	if r.TLS != nil {
		fmt.Fprintf(w, "tls name: %s\n", r.TLS.ServerName)
	}
	for _, key := range slices.Sorted(maps.Keys(r.Header)) {
		for _, value := range r.Header[key] {
			fmt.Fprintf(w, "%s: %s\n", strings.ToLower(key), value)
		}
	}
	fmt.Fprintf(w, "identity: %s\nserial: %s\nbody: %d bytes\n", who.email, who.serial, len(body))
}

// identity is an application's knowledge of a client, from its proxy.
type identity struct {
	email  string // by Mattermost's rule until version 10
	serial string // of the certificate in the other header
}

// readIdentity splits the subject as Mattermost did: at every "/", then at every "="; a part
// with exactly two pieces of which the first is "emailAddress" counts, and the last such part
// wins.
func readIdentity(h http.Header) identity {
	var who identity
	for part := range strings.SplitSeq(h.Get("X-SSL-Client-Cert-Subject-DN"), "/") {
		if pieces := strings.Split(part, "="); len(pieces) == 2 && pieces[0] == "emailAddress" {
			who.email = pieces[1]
		}
	}
	text, err := url.PathUnescape(h.Get("X-SSL-Client-Cert"))
	if err != nil {
		return who
	}
	if block, _ := pem.Decode([]byte(text)); block != nil {
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil {
			who.serial = fmt.Sprintf("%X", cert.SerialNumber.Bytes())
		}
	}
	return who
}

// cmdWebSocket implements "websocket ADDR HOST PATH TEXT [P12 PASSPHRASE]":
// opens a WebSocket over TLS, sends the text and prints the answer.
// "! websocket" expects a refused handshake.
func cmdWebSocket(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 4 && len(args) != 6 {
		ts.Fatalf("usage: [!] websocket ADDR HOST PATH TEXT [P12 PASSPHRASE]")
	}
	addr, host, path, text := args[0], args[1], args[2], args[3]
	client := &tls.Config{InsecureSkipVerify: true, ServerName: host}
	if len(args) == 6 {
		data, err := os.ReadFile(ts.MkAbs(args[4]))
		ts.Check(err)
		key, cert, _, err := pkcs12.DecodeChain(data, args[5])
		ts.Check(err)
		client.Certificates = []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}
	}
	conn, err := tls.Dial("tcp", addr, client)
	ts.Check(err)
	defer conn.Close()
	config, err := websocket.NewConfig("wss://"+host+path, "https://"+host)
	ts.Check(err)
	ws, err := websocket.NewClient(config, conn)
	if err != nil {
		if !neg {
			ts.Fatalf("websocket: %v", err)
		}
		return
	}
	if neg {
		ts.Fatalf("the handshake was not refused")
	}
	ts.Check(websocket.Message.Send(ws, text))
	ts.Check(websocket.Message.Receive(ws, &text))
	fmt.Fprintln(ts.Stdout(), text)
}
