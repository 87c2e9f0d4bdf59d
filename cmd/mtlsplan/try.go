package main

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"mtlsplan/engine"
	"mtlsplan/internal/gate"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/ui"
	"mtlsplan/spec"
)

func (a *app) tryCmd() *cobra.Command {
	var at, listen string
	cmd := &cobra.Command{
		Use:   "try [FILE]",
		Short: "Open a gate on this computer, to try certificates in a browser",
		Long: `Opens a gate on this computer that asks browsers for a certificate, as the proxy
will: whoever gets in sees who they are, and everybody else why not and whom to
ask. It goes by the CA certificates and the revocations in the output directory,
as they are at each visit. It writes nothing, takes no lock and reads no key and
no passphrase. Its own certificate is made for this run and kept in memory.

The answer is a page for browsers, JSON for clients that accept it, as in
curl -H 'Accept: application/json', and else a text. Ctrl-C ends the gate.`,
		Example: `  mtlsplan try
  mtlsplan try --at +400d staff.hcl           # who would get in then
  mtlsplan try --listen 127.0.0.1:9443`,
		Args:              atMostOneFile,
		ValidArgsFunction: completeFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, opt, err := a.prepared(cmd, args, runFlags{at: at})
			if err != nil {
				return err
			}
			return a.try(cmd, cfg, opt, listen)
		},
	}
	addDate(cmd, &at)
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:8443", "listen on this `ADDR`, a host and a port; port 0 takes a free one")
	return cmd
}

func (a *app) try(cmd *cobra.Command, cfg *spec.Config, opt engine.Options, listen string) error {
	ctx := cmd.Context()
	door := engine.NewGate(ctx, cfg, opt)
	if _, err := door.World(); err != nil {
		return err
	}
	imported, err := engine.Importable(cfg)
	if err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return usageError("--listen %q: give a host and a port, as in 127.0.0.1:8443", listen)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return interruption(cmd, cannotListen(listen, err), "interrupted")
	}
	defer listener.Close()
	certificate, err := gate.Certificate(namesOf(host), a.started)
	if err != nil {
		return err
	}

	doc := plan.TryDocument{
		FormatVersion: plan.FormatVersion, URL: urlOf(host, listener.Addr()), Listen: listener.Addr().String(),
		Loopback: isLoopback(listener.Addr()), ServerSHA256: gate.Fingerprint(certificate), Import: imported,
	}
	now := a.now
	if opt.Dated {
		at := plan.Seconds(opt.Now)
		doc.At, now = &at, func() time.Time { return opt.Now }
	}
	if !doc.Loopback {
		ui.Notes(a.stderr, ui.StyleFor(a.stderr, a.lookupEnv), []plan.Note{{Warning: true, Message: "others can reach " + doc.Listen +
			" over the network, and no proxy stands in front of this gate: it is for trying, not for use"}})
	}
	if a.documents() {
		err = a.answer(doc)
	} else {
		ui.Try(a.stdout, ui.StyleFor(a.stdout, a.lookupEnv), doc, shortPath())
	}
	if err != nil {
		return err
	}
	var mu sync.Mutex
	server := &gate.Server{
		World: door.World, Now: now,
		Page: func(v plan.VisitDocument, accept string) (string, []byte) {
			return ui.Visit(v, cfg.CA.Subject.Email, accept)
		},
		Heard: func(v plan.VisitDocument, err error) {
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				ui.Error(a.stderr, err.Error())
			} else {
				fmt.Fprintln(a.stderr, ui.Visited(v))
			}
		},
	}
	if err := server.Serve(ctx, listener, certificate); err != nil {
		return err
	}
	fmt.Fprintln(a.stderr, "The gate is closed.")
	return nil
}

// namesOf are the names under which the gate is opened: always those of this
// computer, and the one that was asked for.
func namesOf(host string) []string {
	names := []string{"localhost", "127.0.0.1", "::1"}
	if ip := net.ParseIP(host); host == "" || host == "localhost" || ip != nil && (ip.IsLoopback() || ip.IsUnspecified()) {
		return names
	}
	return append(names, host)
}

// urlOf is the address to open in a browser on this computer.
func urlOf(host string, addr net.Addr) string {
	_, port, _ := net.SplitHostPort(addr.String())
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "https://" + net.JoinHostPort(host, port) + "/"
}

func isLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// cannotListen says what to do about an address that cannot be had.
func cannotListen(listen string, err error) error {
	remedy := "give another address with --listen, as in 127.0.0.1:9443"
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return usageError("%s: another program listens there: end it, or %s", listen, remedy)
	case errors.Is(err, syscall.EACCES):
		return usageError("%s: only root may listen on a port below 1024: %s", listen, remedy)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return usageError("%s: this is no address of this computer: %s", listen, remedy)
	}
	return usageError("%s: nothing can listen there (%v): %s", listen, err, remedy)
}
