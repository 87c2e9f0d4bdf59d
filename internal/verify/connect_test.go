package verify

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"mtlsplan/internal/config"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/probe"
	"mtlsplan/render"
)

const (
	ownGate   = "00112233445566aa"
	otherGate = "ffffffffffffffff"
)

func ca(t *testing.T, name string) *x509.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// scene is a proxy of which all holds.
type scene struct {
	Running
	announced [][]byte
}

func newScene(t *testing.T) *scene {
	trusted := ca(t, "CA of m")
	s := &scene{announced: [][]byte{trusted.RawSubject}}
	s.Config = &config.Config{Output: "/out", CA: config.CA{Name: "m"}}
	s.Site = &config.Site{Name: "m", Proxy: &render.Proxy{Name: "nginx", Files: func(render.Settings) []string { return []string{"nginx/m"} }}}
	s.Target = probe.Target{Address: "192.0.2.1:443", ServerName: "chat.test", Gate: ownGate}
	s.Trusted = []*x509.Certificate{trusted}
	s.User = "user.ann"
	refused := func(title string) probe.Answer {
		return probe.Answer{Gate: ownGate, Status: 403, Page: "<h1>" + title + "</h1>", Asked: true, Authorities: s.announced}
	}
	s.add(plan.ProxyNobody, "nobody", false, nil, refused("Your certificate is missing"))
	s.add(plan.ProxyForeign, "a stranger", false, &tls.Certificate{}, refused("Your certificate is from another issuer"))
	s.add(plan.ProxyExpired, "somebody late", false, &tls.Certificate{}, refused("Your certificate has expired"))
	s.add(plan.ProxyRevoked, "somebody gone", false, &tls.Certificate{}, refused("Your certificate was revoked"))
	s.add(plan.ProxyLetsIn, "user.ann", true, &tls.Certificate{}, probe.Answer{In: true, Gate: ownGate, Status: 502, Asked: true, Authorities: s.announced})
	return s
}

func (s *scene) add(check plan.CheckName, who string, in bool, cert *tls.Certificate, a probe.Answer) {
	c := Caller{Check: check, Visitor: probe.Visitor{Who: who, Certificate: cert, In: in}}
	for _, version := range probe.Versions {
		c.Legs = append(c.Legs, Leg{Version: version, First: a, Second: a})
	}
	s.Callers = append(s.Callers, c)
}

// legs changes all legs of a caller; "" for all callers.
func (s *scene) legs(check plan.CheckName, change func(l *Leg)) {
	for i := range s.Callers {
		for k := range s.Callers[i].Legs {
			if check == "" || s.Callers[i].Check == check {
				change(&s.Callers[i].Legs[k])
			}
		}
	}
}

func (s *scene) answers(check plan.CheckName, a probe.Answer) {
	s.legs(check, func(l *Leg) {
		a.Asked, a.Authorities = l.First.Asked, l.First.Authorities
		l.First, l.Second = a, a
	})
}

func TestConnected(t *testing.T) {
	page := func(title string) probe.Answer {
		return probe.Answer{Gate: ownGate, Status: 403, Page: "<main>\n<h1>" + title + "</h1>"}
	}
	in := probe.Answer{In: true, Gate: ownGate, Status: 200}
	own := func(text string) probe.Answer {
		return probe.Answer{In: true, Status: 400, Page: "<center><h1>400 Bad Request</h1></center>\n<center>" + text + "</center>"}
	}
	tests := map[string]struct {
		change func(s *scene)
		want   []string // check, code, and a part of the message of each that fails
	}{
		"all holds": {func(s *scene) {}, nil},
		"not asked": {func(s *scene) { s.legs("", func(l *Leg) { l.First.Asked, l.First.Authorities = false, nil }) },
			[]string{"proxy-asks not-asked chat.test at 192.0.2.1:443 asks for no certificate, so no browser shows one"}},
		"a CA too many": {func(s *scene) {
			s.legs("", func(l *Leg) { l.First.Authorities = append(l.First.Authorities, ca(t, "Old").RawSubject) })
		}, []string{"proxy-asks other-cas the proxy announces CN = Old beside those in /out/ca.m.crt: whoever has a certificate of it is taken for a user; copy /out/ca.m.crt"}},
		"no CA": {func(s *scene) { s.legs("", func(l *Leg) { l.First.Authorities = nil }) },
			[]string{"proxy-asks other-cas the proxy announces no other CA and not CN = CA of m, which is in /out/ca.m.crt"}},
		"an older text": {func(s *scene) { s.legs("", func(l *Leg) { l.First.Gate = otherGate }) },
			[]string{"proxy-serves other-site another text of the site (checksum " + otherGate + ") than /out/nginx/m (" + ownGate + ")"}},
		"two texts": {func(s *scene) { s.legs(plan.ProxyNobody, func(l *Leg) { l.First.Gate = otherGate }) },
			[]string{"proxy-serves other-site several texts of the site (checksums " + ownGate + ", " + otherGate + "): a reload is under way"}},
		"no file": {func(s *scene) { s.Target.Gate = "" },
			[]string{"proxy-serves missing /out/nginx/m is not there, or has no checksum"}},
		"everybody in": {func(s *scene) { a := in; a.Gate = ""; s.answers("", a) }, []string{
			"proxy-serves other-site nobody is refused, so chat.test at 192.0.2.1:443 is not the site that mtlsplan has written",
			"proxy-no-certificate gate-open nobody, over TLS 1.2 and TLS 1.3, is let in (status 200) and must be refused: the gate is open; ssl_verify_client must be on",
			"proxy-foreign gate-open optional_no_ca",
			"proxy-expired gate-open the clock of the proxy's host is behind",
			"proxy-revoked gate-open NGINX has not read the site that lists it; copy /out/nginx/m"}},
		"revoked in, by CRL": {func(s *scene) { s.Site.Settings.Revocation = "crl"; s.answers(plan.ProxyRevoked, in) },
			[]string{"proxy-revoked gate-open NGINX has not read the CRL that lists it; copy /out/ca.m.crl to"}},
		"deployed": {func(s *scene) { s.Site.Settings.Deploy.Site = "/etc/nginx/m"; s.answers(plan.ProxyRevoked, in) },
			[]string{"proxy-revoked gate-open reload NGINX; mtlsplan apply does so too, where /etc/nginx/m is not as /out/nginx/m yet"}},
		"one version open": {func(s *scene) {
			s.legs(plan.ProxyForeign, func(l *Leg) {
				if l.Version == tls.VersionTLS13 {
					l.First.In, l.First.Gate = true, ""
				}
			})
		}, []string{"proxy-foreign gate-open a stranger, over TLS 1.3, is let in"}},
		"one version unspoken": {func(s *scene) {
			s.legs("", func(l *Leg) {
				if l.Version == tls.VersionTLS13 {
					l.First = probe.Answer{Alert: "protocol version not supported"}
				}
			})
		}, nil},
		"no version spoken": {func(s *scene) { s.answers("", probe.Answer{Alert: "protocol version not supported"}) }, []string{
			"proxy-asks not-asked ", "proxy-serves other-site ", "proxy-lets-in shut-out is refused (TLS alert: protocol version not supported)"}},
		"no answer": {func(s *scene) { s.legs(plan.ProxyLetsIn, func(l *Leg) { l.Err = errors.New("it hangs") }) },
			[]string{"proxy-lets-in no-answer user.ann, over TLS 1.2 and TLS 1.3, has no answer: it hangs"}},
		"good, none arrived": {func(s *scene) { s.answers(plan.ProxyLetsIn, page("Your certificate is missing")) },
			[]string{`proxy-lets-in shut-out user.ann, over TLS 1.2 and TLS 1.3, is refused (status 403, "Your certificate is missing") and must be let in: a certificate was sent and did not arrive, so something before NGINX ends TLS`}},
		"good, none arrived at the guide's": {func(s *scene) { s.answers(plan.ProxyLetsIn, own("No required SSL certificate was sent")) },
			[]string{`proxy-lets-in shut-out is refused (status 400, "No required SSL certificate was sent") and must be let in: a certificate was sent and did not arrive`}},
		"good, in the guide's words": {func(s *scene) { s.answers(plan.ProxyLetsIn, own("The SSL certificate error")) },
			[]string{"proxy-lets-in shut-out NGINX's error log says why"}},
		"good, revoked":       {func(s *scene) { s.answers(plan.ProxyLetsIn, page("Your certificate was revoked")) }, []string{"proxy-lets-in shut-out the CA database does not say so"}},
		"good, expired":       {func(s *scene) { s.answers(plan.ProxyLetsIn, page("Your certificate has expired")) }, []string{"proxy-lets-in shut-out the clock of the proxy's host is wrong"}},
		"good, CRL ended":     {func(s *scene) { s.answers(plan.ProxyLetsIn, page("Certificates cannot be checked now")) }, []string{"proxy-lets-in shut-out the CRL that NGINX has read has ended"}},
		"good, other issuer":  {func(s *scene) { s.answers(plan.ProxyLetsIn, page("Your certificate is from another issuer")) }, []string{"proxy-lets-in shut-out NGINX does not trust the CA that has signed it; copy /out/ca.m.crt"}},
		"good, weak":          {func(s *scene) { s.answers(plan.ProxyLetsIn, page("Your certificate is too weak")) }, []string{"proxy-lets-in shut-out mtlsplan apply --replace user.ann"}},
		"good, other groups":  {func(s *scene) { s.answers(plan.ProxyLetsIn, page("You may not come in here")) }, []string{"proxy-lets-in shut-out is for other groups"}},
		"good, alert":         {func(s *scene) { s.answers(plan.ProxyLetsIn, probe.Answer{Alert: "bad certificate"}) }, []string{"proxy-lets-in shut-out another program answers at 192.0.2.1:443"}},
		"none, must get in":   {func(s *scene) { s.Callers[0].Visitor.In = true }, []string{`proxy-no-certificate shut-out the spec has verify = "optional"`}},
		"refused, resumed in": {func(s *scene) { s.legs(plan.ProxyRevoked, func(l *Leg) { l.Second = in; l.Second.Resumed = true }) }, []string{"proxy-sessions session-resumption somebody gone, over TLS 1.2, is let in by resuming a TLS session"}},
		"good, resumed":       {func(s *scene) { s.legs(plan.ProxyLetsIn, func(l *Leg) { l.Second.Resumed = true }) }, nil},
		"good, resumed, older": {func(s *scene) {
			s.legs(plan.ProxyLetsIn, func(l *Leg) { l.Second.Resumed, l.First.Gate = true, otherGate })
		}, []string{"proxy-serves other-site", "proxy-sessions session-resumption user.ann, over TLS 1.2, resumes a TLS session, and NGINX does not verify the certificate again"}},
		"resumed, refused": {func(s *scene) {
			s.legs(plan.ProxyLetsIn, func(l *Leg) { l.Second = page("Certificates cannot be checked now"); l.Second.Resumed = true })
		}, nil},
		"no key": {func(s *scene) {
			s.Callers, s.Unsent = s.Callers[:4], errors.New("ann-m.key: wrong passphrase")
		}, []string{"proxy-lets-in passphrase-unavailable user.ann could not be sent: ann-m.key: wrong passphrase. curl says"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			tt.change(s)
			checks := Connected(s.Running)
			if len(checks) < 8-len(tt.want) {
				t.Errorf("only %d checks", len(checks))
			}
			bad := tt.want
			for _, c := range checks {
				if c.OK {
					continue
				}
				if len(bad) == 0 {
					t.Errorf("fails too: %s %s %s", c.Check, c.Code, c.Message)
					continue
				}
				check, rest, _ := strings.Cut(bad[0], " ")
				code, part, _ := strings.Cut(rest, " ")
				if c.Check != check || string(c.Code) != code || !strings.Contains(c.Message, part) || c.Owner != "nginx.m" || c.Unproven != (code == "passphrase-unavailable") {
					t.Errorf("%s %s %s\nwant %s", c.Check, c.Code, c.Message, bad[0])
				}
				bad = bad[1:]
			}
			if len(bad) > 0 {
				t.Errorf("not found: %q", bad)
			}
		})
	}
}
