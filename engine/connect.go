package engine

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/probe"
	"mtlsplan/internal/verify"
)

// Connect asks the proxy that runs at host:port who gets in, for each site of the spec
// that is to be found there, and answers the checks of a checklist in its order. user is
// who must get in, "" for anybody whose key opens; echo is the path of a page that shows
// the headers of its request, "" for none. The notes say who could not be sent.
//
// It changes no byte and takes no lock. An error means that nothing could be asked:
// nobody answers there.
func Connect(ctx context.Context, cfg *config.Config, opt Options, address string, user plan.Owner, echo string) ([]plan.Check, []plan.Note, error) {
	sites, err := sitesAt(cfg, address)
	if err != nil {
		return nil, nil, err
	}
	if err := checkCaller(cfg, user); err != nil {
		return nil, nil, err
	}
	dir, err := openDir(cfg)
	if err != nil {
		return nil, nil, err
	}
	defer dir.Close()
	opt.scope = func(plan.Owner) bool { return false } // of users, only those who are sent
	r := newRun(ctx, cfg, opt, dir)
	defer r.in.Close()
	st, err := r.takeStock()
	if err != nil {
		return nil, nil, err
	}
	if st.ledger.Blank() {
		return nil, nil, cmp.Or(st.refusal(), errNothingIssued(cfg))
	}
	var checks []plan.Check
	var notes []plan.Note
	for _, site := range sites {
		to := targetOf(site, address)
		to.Gate = gateOf(st.have, site)
		if to, err = reach(ctx, to); err != nil {
			return nil, nil, err
		}
		of, told, err := r.ask(st, site, to, user, echo)
		if err == nil && slices.ContainsFunc(of, func(c plan.Check) bool { return !c.OK }) {
			// NGINX's workers from before a reload take connections for a moment yet.
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
				of, told, err = r.ask(st, site, to, user, echo)
			}
		}
		if err != nil {
			return nil, nil, err
		}
		checks, notes = append(checks, of...), append(notes, told...)
	}
	return checks, notes, ctx.Err()
}

// sitesAt are the sites that are to be found at an address: those that have its host
// among their names; else those that listen on its port; else, behind a forwarded port,
// all.
func sitesAt(cfg *config.Config, address string) ([]*config.Site, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || port == "" {
		return nil, plan.Errorf(plan.Usage, "--connect %q: give host and port, as in 127.0.0.1:443 or [::1]:443", address)
	}
	if len(cfg.Sites) == 0 {
		return nil, plan.Errorf(plan.Usage, "--connect: %s has no site to ask for: describe it in an nginx block", cfg.File)
	}
	pick := func(fits func(*config.Site) bool) (out []*config.Site) {
		for i := range cfg.Sites {
			if fits(&cfg.Sites[i]) {
				out = append(out, &cfg.Sites[i])
			}
		}
		return out
	}
	named := pick(func(s *config.Site) bool {
		return slices.ContainsFunc(s.Settings.ServerNames, func(n string) bool { return strings.EqualFold(n, host) })
	})
	if len(named) > 0 {
		return named, nil
	}
	listening := pick(func(s *config.Site) bool {
		return slices.ContainsFunc(s.Settings.Listen, func(l string) bool { return l == port || strings.HasSuffix(l, ":"+port) })
	})
	if len(listening) > 0 {
		return listening, nil
	}
	return pick(func(*config.Site) bool { return true }), nil
}

// checkCaller refuses a user who cannot be sent.
func checkCaller(cfg *config.Config, user plan.Owner) error {
	if user == "" {
		return nil
	}
	i := slices.IndexFunc(cfg.Users, func(u config.User) bool { return plan.User(u.Name) == user })
	switch {
	case i < 0:
		return &UnknownOwnerError{Owner: user}
	case cfg.Users[i].Revoked != "":
		return plan.Errorf(plan.Usage, "--user: the spec marks %s as revoked; without --user, somebody who is revoked is sent too", user)
	case cfg.Users[i].CSR != "":
		return plan.Errorf(plan.Usage, "--user: the key of %s is not here, because the user has made the CSR: name another user", user)
	}
	return nil
}

// gateOf is the checksum in a site's file in place, "" for none.
func gateOf(have *facts.Inventory, site *config.Site) string {
	for i := range have.Sites {
		if s := &have.Sites[i]; s.Owner == plan.Site(site.Proxy.Name, site.Name) {
			for _, f := range s.Files {
				if f.Gate != "" {
					return f.Gate
				}
			}
		}
	}
	return ""
}

// reach makes a first connection. Where the site is behind a load balancer, the address
// may be the site's or the balancer's, which puts the PROXY header there itself.
func reach(ctx context.Context, to probe.Target) (probe.Target, error) {
	var first error
	for _, header := range []bool{to.ProxyProtocol, false} {
		to.ProxyProtocol = header
		for _, version := range slices.Backward(probe.Versions) {
			_, err := probe.Ask(ctx, to, nil, version)
			if err == nil {
				return to, nil
			}
			if first == nil {
				first = err
			}
		}
	}
	return to, fmt.Errorf("--connect: %w; nothing was checked: is NGINX running there, and the port open from here?", first)
}

// ask sends the visitors of a site, and judges what they were answered.
func (r *run) ask(st stock, site *config.Site, to probe.Target, user plan.Owner, echo string) ([]plan.Check, []plan.Note, error) {
	cast := r.castFor(site, st, st.ledger, st.have.CA.Crt.All)
	running := verify.Running{Config: r.cfg, Site: site, Target: to, Trusted: st.have.CA.Crt.All, User: user}
	add := func(check plan.CheckName, v probe.Visitor) {
		running.Callers = append(running.Callers, verify.Caller{Check: check, Visitor: v})
	}
	var notes []plan.Note
	unsent := func(kind string, why error) {
		message := "no " + kind + " certificate was tried: "
		if why != nil {
			message += why.Error()
		} else {
			message += "there is none"
		}
		notes = append(notes, plan.Note{Owner: plan.Site(site.Proxy.Name, site.Name), Code: plan.NotProbed, Message: message})
	}

	name, _ := user.UserName()
	good, why := cast.admitted(name)
	add(plan.ProxyNobody, probe.Visitor{Who: "a client without a certificate", In: site.Proxy.OpenToAll(site.Settings)})
	foreign, err := probe.Impostor(good.x509(), r.opt.Now)
	if err != nil {
		return nil, nil, err
	}
	who := "a self-signed certificate"
	if good != nil {
		who += " in the name of " + string(good.owner)
	}
	add(plan.ProxyForeign, probe.Visitor{Who: who, Certificate: foreign})
	if h, why := cast.expired(); h != nil {
		add(plan.ProxyExpired, probe.Visitor{Who: "an expired certificate of " + string(h.owner), Certificate: h.certificate})
	} else {
		unsent("expired", why)
	}
	if h, why := cast.revoked(); h != nil {
		add(plan.ProxyRevoked, probe.Visitor{Who: "the revoked certificate of " + string(h.owner), Certificate: h.certificate})
	} else {
		unsent("revoked", why)
	}
	if good != nil {
		add(plan.ProxyLetsIn, probe.Visitor{Who: "the certificate of " + string(good.owner), Certificate: good.certificate, In: cast.letsIn(good.owner)})
		running.User = good.owner
	} else if running.Unsent = why; why == nil {
		running.Unsent = fmt.Errorf("there is no valid certificate in the CA database: mtlsplan apply issues one")
	}
	for i := range running.Callers {
		v := &running.Callers[i]
		for _, version := range probe.Versions {
			leg := verify.Leg{Version: version}
			leg.First, leg.Second, leg.Err = probe.AskTwice(r.ctx, to, v.Visitor.Certificate, version)
			v.Legs = append(v.Legs, leg)
		}
	}
	if echo != "" {
		running.Echo = &verify.Echo{Path: echo, Names: site.Proxy.Identity(site.Settings)}
		to.Path, to.Headers = echo, running.Echo.Lines()
		for _, version := range probe.Versions {
			running.Echo.Answer, running.Echo.Err = probe.Ask(r.ctx, to, good.tls(), version)
			if running.Echo.Err == nil && !running.Echo.Answer.Unspoken() {
				break
			}
		}
	}
	return verify.Connected(running), notes, r.ctx.Err()
}
