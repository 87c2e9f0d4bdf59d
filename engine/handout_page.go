package engine

import (
	"cmp"
	"crypto/sha1" // a fingerprint that Windows shows, and no proof of anything
	"crypto/x509"
	"encoding/hex"
	"net"
	"slices"
	"strings"

	"mtlsplan/internal/config"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
)

// mostOld is how many earlier certificates a page lists: the newest ones.
const mostOld = 6

// page is what the page for a user tells.
func (h *handing) page(u *config.User, s *plan.OwnerStatus, crt *x509.Certificate) plan.HandoutPage {
	ca := &h.cfg.CA
	old := sha1.Sum(crt.Raw)
	p := plan.HandoutPage{
		Name: u.Person(), Device: u.Device, CommonName: crt.Subject.CommonName, Email: u.Subject.Email,
		Service: cmp.Or(ca.Subject.Organization, ca.Subject.CommonName, ca.Name), Contact: ca.Subject.Email,
		SHA256: colons(hex.EncodeToString(s.Sum[:])), SHA1: colons(hex.EncodeToString(old[:])), Serial: colons(s.Serial),
		NotBefore: crt.NotBefore.UTC(), NotAfter: crt.NotAfter.UTC(),
	}
	var chain []*x509.Certificate
	if g := h.verdict.Trust.Current(); g != nil {
		chain = append(chain, g.Cert)
	}
	p.Label = pki.FriendlyName(crt, chain)
	for i := range h.cfg.Sites {
		site := &h.cfg.Sites[i].Settings
		if name := site.ServerNames; admits(&h.cfg.Sites[i], u) && len(name) > 0 && !strings.Contains(name[0], "*") {
			p.Addresses = append(p.Addresses, "https://"+name[0]+portOf(site.Listen)+"/")
		}
	}
	rows := h.verdict.Ledger.RowsOf(string(plan.User(u.Name)))
	for i := len(rows) - 1; i >= 0 && len(p.Old) < mostOld; i-- {
		if r := &rows[i]; r.Serial != s.Serial {
			p.Old = append(p.Old, plan.OldCertificate{Name: pki.CommonNameIn(r.Subject), Serial: colons(r.Serial), NotAfter: r.NotAfter.UTC(), Revoked: r.State == ledger.Revoked})
		}
	}
	return p
}

// admits reports whether a site is one for a user.
func admits(site *config.Site, u *config.User) bool {
	groups := site.Settings.AllowGroups
	return len(groups) == 0 || slices.ContainsFunc(u.Groups, func(g string) bool { return slices.Contains(groups, g) })
}

// portOf is the port of an address where it is not the usual one.
func portOf(listen []string) string {
	if len(listen) == 0 {
		return ""
	}
	port := listen[0]
	if _, p, err := net.SplitHostPort(port); err == nil {
		port = p
	}
	if port == "443" {
		return ""
	}
	return ":" + port
}

// colons writes hex as people compare it: A1:B2:C3.
func colons(digits string) string {
	var b strings.Builder
	for i, r := range strings.ToUpper(digits) {
		if i > 0 && i%2 == 0 {
			b.WriteByte(':')
		}
		b.WriteRune(r)
	}
	return b.String()
}
