package nginx

import (
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"mtlsplan/render"
)

// below makes a CA that another has signed.
func (a *authority) below(name string) *authority {
	sub := &authority{t: a.t, key: newKey(a.t)}
	lastSerial++
	c := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, SerialNumber: big.NewInt(lastSerial), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, NotBefore: a.cert.NotBefore, NotAfter: a.cert.NotAfter,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, sub.key.Public(), a.key)
	must(a.t, err)
	sub.cert, err = x509.ParseCertificate(der)
	must(a.t, err)
	return sub
}

func admitted(certs ...*tls.Certificate) []render.Admitted {
	var out []render.Admitted
	for _, c := range certs {
		fingerprint := fmt.Sprintf("%x", sha1.Sum(c.Leaf.Raw))
		i := slices.IndexFunc(out, func(a render.Admitted) bool { return a.Serial == serialOf(c) })
		if i < 0 {
			i = len(out)
			out = append(out, render.Admitted{Serial: serialOf(c)})
		}
		out[i].Fingerprints = append(out[i].Fingerprints, fingerprint)
	}
	slices.SortFunc(out, func(a, b render.Admitted) int { return strings.Compare(a.Serial, b.Serial) })
	return out
}

// TestAdmitted: where CAs above the site's are trusted, nobody gets in but with a
// certificate that is listed, however the site asks for one.
func TestAdmitted(t *testing.T) {
	l := newLab(t)
	root := newAuthority(t, "Root")
	middle := root.below("Middle")
	ours, sister, aunt := middle.below("Ours"), middle.below("Sister"), root.below("Aunt")
	l.write("ca.crt", slices.Concat(pemCert(ours.cert), pemCert(middle.cert), pemCert(root.cert)))
	sends := func(c *tls.Certificate, above ...*authority) *tls.Certificate {
		for _, a := range above {
			c.Certificate = append(c.Certificate, a.cert.Raw)
		}
		return c
	}
	user, twin, revoked, unlisted := ours.issue(nil), ours.issue(nil), ours.issue(nil), ours.issue(nil)
	same := func(c *x509.Certificate) { c.SerialNumber = user.Leaf.SerialNumber }
	shared := ours.issue(func(c *x509.Certificate) { c.SerialNumber = twin.Leaf.SerialNumber })
	ended := ours.issue(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	listed := []*tls.Certificate{user, twin, shared, revoked, ended}
	var many []*tls.Certificate
	for range 300 { // so that the map is a tree
		many = append(many, &tls.Certificate{Leaf: &x509.Certificate{SerialNumber: big.NewInt(0x200000 + int64(len(many))), Raw: fmt.Append(nil, len(many))}})
	}
	refused := map[string]*tls.Certificate{
		"ours, not listed":                     unlisted,
		"a sister's":                           sends(sister.issue(nil), sister),
		"a sister's with a serial of ours":     sends(sister.issue(same), sister),
		"an aunt's with a serial of ours":      sends(aunt.issue(same), aunt),
		"the middle CA's with a serial":        middle.issue(same),
		"the root's with a serial":             root.issue(same),
		"ours with the serial of another":      ours.issue(same),
		"a sister's below a CA of her own":     sends(sister.below("Niece").issue(same), sister),
		"another root's with a serial of ours": newAuthority(t, "Root").issue(same),
	}
	for _, v := range []said{
		{}, {"verify": "optional"}, {"exempt": []string{"/hooks/"}}, {"session_resumption": true}, {"nginx_version": "1.22"},
		{"cors_preflight": true, "headers": map[string]string{"X-Serial": "serial"}},
	} {
		for _, tree := range []bool{false, true} {
			t.Run(fmt.Sprint(v, tree), func(t *testing.T) {
				v["upstream"] = []string{echo(t)}
				s := l.site(v)
				s.Parents, s.Revoked, s.Generation = 2, []string{serialOf(revoked)}, "1"
				s.Admitted = admitted(listed...)
				if tree {
					s.Admitted = admitted(slices.Concat(listed, many)...)
				}
				lab := *l
				lab.t = t
				lab.start("", s)
				ask := func(c *tls.Certificate) (int, string) {
					res, body := get(t, client(addrOf(s), "chat.test", c), "chat.test", "/")
					return res.StatusCode, body
				}
				for name, c := range map[string]*tls.Certificate{"user": user, "one of a serial": twin, "the other": shared} {
					if status, body := ask(c); status != 200 {
						t.Errorf("%s: status %d: %s", name, status, body)
					}
				}
				for name, c := range refused {
					if status, body := ask(c); status != 403 || !strings.Contains(body, "another issuer") {
						t.Errorf("%s: status %d: %s", name, status, body)
					}
				}
				if status, body := ask(revoked); status != 403 || !strings.Contains(body, "was revoked") {
					t.Errorf("revoked: status %d: %s", status, body)
				}
				if status, body := ask(ended); status != 403 || !strings.Contains(body, "has expired") {
					t.Errorf("expired: status %d: %s", status, body)
				}
			})
		}
	}
}
