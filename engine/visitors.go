package engine

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"mtlsplan/internal/config"
	"mtlsplan/internal/gate"
	"mtlsplan/internal/inventory"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/probe"
)

// casting is what it takes to choose who is sent to a running site.
type casting struct {
	config *config.Config
	site   *config.Site
	world  gate.World // as it is to be in force at the site
	now    time.Time

	certificate func(*ledger.Entry) (*x509.Certificate, error)             // of the CA database
	signer      func(owner plan.Owner, spki string) (crypto.Signer, error) // a key that opens; the error says why none does
}

// visitors are who is sent to a site.
type visitors struct {
	list   []probe.Visitor
	notes  []plan.Note // legs that there are none of, and why
	noGood bool        // nobody whom the site lets in has a key that opens
}

// visitors chooses four: nobody in particular, somebody with a certificate that no CA has
// signed, somebody who was revoked, and somebody whom the site lets in. Of the last two
// the key has to open.
func (c *casting) visitors() (v visitors, err error) {
	owner := plan.Site(c.site.Proxy.Name, c.site.Name)
	note := func(message string, why error) {
		if why != nil {
			message += fmt.Sprintf(" (%v)", why)
		}
		v.notes = append(v.notes, plan.Note{Owner: owner, Code: plan.NotProbed, Message: message})
	}
	v.list = append(v.list, probe.Visitor{Who: "a client without a certificate", In: c.site.Proxy.OpenToAll(c.site.Settings)})
	good, why := c.admitted("")
	foreign, err := probe.Impostor(good.x509(), c.now)
	if err != nil {
		return v, err
	}
	who := "a self-signed certificate"
	if good != nil {
		who += " in the name of " + string(good.owner)
	}
	v.list = append(v.list, probe.Visitor{Who: who, Certificate: foreign})
	if revoked, why := c.revoked(); revoked != nil {
		v.list = append(v.list, probe.Visitor{Who: "the revoked certificate of " + string(revoked.owner), Certificate: revoked.certificate})
	} else if errors.Is(why, inventory.ErrKeyReplaced) {
		note("the probe cannot tell whether a revoked certificate is refused, because the key of none of those that were tried is kept: with --replace and at a renewal a new key takes the place of the old one, and only who leaves has a key that is kept", why)
	} else if why != nil {
		note("the probe cannot tell whether a revoked certificate is refused, because the key of none opens", why)
	}
	if v.noGood = good == nil; v.noGood {
		note("the probe cannot tell whether a good certificate is let in, because the site lets nobody in whose key opens", why)
	} else {
		v.list = append(v.list, probe.Visitor{Who: string(good.owner), Certificate: good.certificate, In: true})
	}
	return v, nil
}

// keyholder is a certificate with its key.
type keyholder struct {
	owner       plan.Owner
	certificate *tls.Certificate
}

func (h *keyholder) tls() *tls.Certificate {
	if h == nil {
		return nil
	}
	return h.certificate
}

func (h *keyholder) x509() *x509.Certificate {
	if h == nil {
		return nil
	}
	return h.certificate.Leaf
}

// keysTried bounds how many keys are opened for one visitor: each may take a second.
const keysTried = 5

// search opens keys until one opens.
type search struct {
	*casting
	tried int
	err   error // why the first of them did not open; that a key is gone for good comes last
}

// done reports whether enough was tried.
func (s *search) done() bool { return s.tried >= keysTried }

// open is an entry's certificate with its key, nil where there is none, or where the gate
// says another thing of the certificate than is looked for.
func (s *search) open(e *ledger.Entry, want plan.Code) *keyholder {
	cert, err := s.certificate(e)
	if err != nil {
		s.fail(err)
		return nil
	}
	said := s.world.Judge(cert, s.now)
	if said.Code != want || said.Certificate.Generation == 0 {
		return nil
	}
	s.tried++
	key, err := s.signer(plan.Owner(e.Owner), e.SPKI)
	if err != nil {
		s.fail(err)
		return nil
	}
	return &keyholder{plan.Owner(e.Owner), &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}}
}

func (s *search) fail(err error) {
	if s.err == nil || errors.Is(s.err, inventory.ErrKeyReplaced) && !errors.Is(err, inventory.ErrKeyReplaced) {
		s.err = err
	}
}

// admitted is somebody whom the site lets in, or for a name the user of that name,
// whatever the site says of the user's groups.
// Whose passphrase mtlsplan has made comes first, since it is at hand and opens soonest;
// whose passphrase a program gives comes last.
func (c *casting) admitted(user string) (*keyholder, error) {
	var users []*config.User
	for i := range c.config.Users {
		u := &c.config.Users[i]
		if (u.Name == user || user == "" && c.admits(u)) && u.Revoked == "" && u.CSR == "" {
			users = append(users, u)
		}
	}
	rank := map[config.SourceKind]int{config.Generated: 0, config.FromEnv: 1, config.FromFile: 1, config.FromCommand: 2}
	slices.SortStableFunc(users, func(a, b *config.User) int { return rank[a.Passphrase.Kind] - rank[b.Passphrase.Kind] })
	s := search{casting: c}
	for _, u := range users {
		e := c.world.Ledger.IssuedTo(string(plan.User(u.Name))).Last()
		if e == nil || !c.ownsSerial(e) {
			continue
		}
		if h := s.open(e, plan.Admitted); h != nil {
			return h, nil
		}
		if s.done() {
			break
		}
	}
	return nil, s.err
}

// admits reports whether a site is for a user's groups.
func (c *casting) admits(u *config.User) bool {
	allowed := c.site.Settings.AllowGroups
	return len(allowed) == 0 || slices.ContainsFunc(u.Groups, func(g string) bool { return slices.Contains(allowed, g) })
}

// letsIn is [casting.admits] of an owner.
func (c *casting) letsIn(owner plan.Owner) bool {
	i := slices.IndexFunc(c.config.Users, func(u config.User) bool { return plan.User(u.Name) == owner })
	return i >= 0 && c.admits(&c.config.Users[i])
}

// ownsSerial reports whether a serial is of one certificate alone: a site knows nothing of
// the others' users.
func (c *casting) ownsSerial(e *ledger.Entry) bool {
	r := c.world.Ledger.Row(e.Serial)
	return r != nil && r.Owner == e.Owner
}

// revoked is the holder of the certificate that was revoked last, of those that have not
// ended and whose key opens.
func (c *casting) revoked() (*keyholder, error) {
	return c.newest(plan.Revoked, func(r *ledger.Row) (time.Time, bool) {
		return r.Revoked, r.State == ledger.Revoked && c.now.Before(r.NotAfter)
	})
}

// expired is the same of the certificate that ended last.
func (c *casting) expired() (*keyholder, error) {
	return c.newest(plan.Expired, func(r *ledger.Row) (time.Time, bool) {
		return r.NotAfter, r.State != ledger.Revoked && c.now.After(r.NotAfter)
	})
}

// newest opens certificates of the rows that when picks, the latest first.
func (c *casting) newest(want plan.Code, when func(*ledger.Row) (time.Time, bool)) (*keyholder, error) {
	type dated struct {
		at    time.Time
		entry *ledger.Entry
	}
	var list []dated
	entries := c.world.Ledger.Entries()
	for i := range entries {
		e := &entries[i]
		if !ledger.IsUser(e.Owner) || e.SPKI == "" {
			continue
		}
		if r := c.world.Ledger.Row(e.Serial); r != nil {
			if at, ok := when(r); ok {
				list = append(list, dated{at, e})
			}
		}
	}
	// Of those of one run the ones that were issued last: their keys are more likely kept.
	slices.Reverse(list)
	slices.SortStableFunc(list, func(a, b dated) int { return b.at.Compare(a.at) })
	s := search{casting: c}
	for _, d := range list {
		if h := s.open(d.entry, want); h != nil {
			return h, nil
		}
		if s.done() {
			break
		}
	}
	return nil, s.err
}

// targetOf is where a site is asked. A name with an asterisk stands for any name in its
// place.
func targetOf(site *config.Site, address string) probe.Target {
	s := &site.Settings
	to := probe.Target{Address: address, ProxyProtocol: s.ProxyProtocol}
	if len(s.ServerNames) > 0 {
		to.ServerName = s.ServerNames[0]
	} else if host, _, err := net.SplitHostPort(address); err == nil {
		to.ServerName = host
	}
	if rest, wild := strings.CutPrefix(to.ServerName, "*"); wild {
		to.ServerName = "probe" + rest
	}
	return to
}

// castFor chooses visitors by what a directory holds, with the sites and CRLs as the
// ledger has them now. Keys are opened when they are asked for, with the passphrases that
// this run has read.
func (r *run) castFor(site *config.Site, st stock, led *ledger.Ledger, trusted []*x509.Certificate) *casting {
	return &casting{
		config: r.cfg, site: site, now: r.opt.Now,
		world:       gate.World{CAs: trusted, Generations: led.Generations(string(st.have.CA.Owner), r.opt.Now), Ledger: led, CRLs: st.have.CRL.Lists},
		certificate: r.in.IssuedCertificate, signer: r.in.HolderKey,
	}
}
