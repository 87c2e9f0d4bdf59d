package policy

import (
	"crypto/sha256"
	"crypto/x509"
	"testing"

	"mtlsplan/internal/ledger"
	"mtlsplan/render"
)

func TestSiteSaysWhatChanged(t *testing.T) {
	w := newWorld(t, "ann", "bob")
	w.revoke("02", "superseded")
	v := w.judge()
	if m := v.Plan.Steps[1].Reasons[0].Message; m != "proxy/app was written before the revocations changed" {
		t.Error(m)
	}
	files := RenderSite(w.cfg, w.cfg.Sites[0], Public{Trusted: w.judge().Trust.Certificates(), Revoked: []string{"02"}})
	sum := sha256.Sum256(files[0].Data)
	w.have.Sites[0].Files[0].Sum = sum
	w.putCRL(w.signCRL(1, "02"))
	if m := w.judge().Plan.Steps[0].Reasons[0].Message; m != "db/rendered does not have the checksum of proxy/app; it is recorded" {
		t.Error(m)
	}
	w.record(ledger.Render{Path: files[0].Name, Sum: sum})
	if v := w.judge(); len(v.Plan.Steps) != 1 {
		t.Error(text(v.Plan))
	}
}

// The generation of a site goes by the CAs' certificates: two specs with one CA each
// must not resume each other's sessions.
func TestGenerationOfSite(t *testing.T) {
	w := newWorld(t)
	a, b := w.ca, newWorld(t).ca
	seen := map[string]int{}
	for i, g := range []string{
		generation([]*x509.Certificate{a}, nil), generation([]*x509.Certificate{b}, nil), generation([]*x509.Certificate{a, b}, nil),
		generation([]*x509.Certificate{b, a}, nil), generation([]*x509.Certificate{{}, a}, nil), generation([]*x509.Certificate{{}}, nil),
		generation([]*x509.Certificate{a}, []string{"02"}), generation([]*x509.Certificate{a}, []string{"0203"}), generation([]*x509.Certificate{a}, []string{"02", "03"}),
		generation(nil, nil),
	} {
		if other, twice := seen[g]; twice {
			t.Errorf("%d and %d have one generation", other, i)
		}
		seen[g] = i
	}
}

// A site that was written before the CA certificate was renewed says so.
func TestSiteSaysThatTheCAChanged(t *testing.T) {
	w := newWorld(t)
	w.cfg.CA.RenewBefore = 3650 * dayLong
	if m := w.judge().Plan.Steps[1].Reasons[0].Message; m != "proxy/app was written before the CAs changed" {
		t.Error(m)
	}
}

// A site may have several files; each is judged by itself.
func TestSiteOfSeveralFiles(t *testing.T) {
	w := newWorld(t)
	first := w.cfg.Sites[0].Proxy.Render
	w.cfg.Sites[0].Proxy.Render = func(s render.Site) []render.File {
		return append(first(s), render.File{Name: "proxy/second", Data: []byte("second")})
	}
	w.want(w.judge(), "proxy.app create site: missing")
}
