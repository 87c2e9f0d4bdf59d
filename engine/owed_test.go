package engine

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mtlsplan/internal/authority"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/outdir"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/secret"
)

// service signs with the CA's key and outlives the runs that use it.
type service struct {
	t   *testing.T
	out string

	mu      sync.Mutex
	issued  map[string]*x509.Certificate
	revoked map[string]bool
}

func (s *service) path(name string) string { return filepath.Join(s.out, filepath.FromSlash(name)) }

func (s *service) read(name string) []byte {
	data, err := os.ReadFile(s.path(name))
	if err != nil {
		s.t.Fatal(err)
	}
	return data
}

// client is the service in the view of one run.
type client struct {
	authority.Authority
	*service
}

func (s *service) client(ca *x509.Certificate) authority.Authority {
	return client{authority.NewKeyFile(ca, func() (crypto.Signer, error) {
		return pki.OpenKey(s.read("ca.m.key"), secret.Line(s.read("secrets/ca.m.pass")))
	}), s}
}

func (c client) Issue(ctx context.Context, r authority.Request) (*x509.Certificate, error) {
	if !strings.Contains(string(c.read(ledger.OwedName)), r.ID) {
		c.t.Errorf("%s is requested before the request is recorded", r.ID)
	}
	cert, err := c.Authority.Issue(ctx, r)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.issued[r.ID] = cert
	}
	return cert, err
}

func (c client) Revoke(_ context.Context, serial, _ string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.revoked[serial] = true
	return nil
}

func (c client) Issued(_ context.Context, id string) (*x509.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.issued[id], nil
}

// TestNothingThatAServiceIssuedIsLost kills a run at each of its changes while a signer that
// outlives it has issued certificates. The next run records each of them, revokes those whose
// keys were lost with the run, and leaves no request open.
func TestNothingThatAServiceIssuedIsLost(t *testing.T) {
	if testing.Short() {
		t.Skip("a sweep")
	}
	killed := errors.New("killed")
	for strike := 1; ; strike++ {
		dir := tempDir(t)
		if err := os.WriteFile(filepath.Join(dir, "dan.csr"), requests()["dan1"], 0o600); err != nil {
			t.Fatal(err)
		}
		spec := strings.Replace(everyKind, `user "bea" {`, `user "dan" { csr = "`+dir+`/dan.csr" }
user "bea" {`, 1)
		cfg := load(t, spec)
		cfg.Output = filepath.Join(dir, "pki")
		s := &service{t: t, out: cfg.Output, issued: map[string]*x509.Certificate{}, revoked: map[string]bool{}}
		opt := Options{Now: time.Now(), LookupEnv: os.LookupEnv, authority: s.client}
		n := 0
		ctx := outdir.WithTrace(t.Context(), func(_ outdir.Change, do func() error) error {
			if n++; n >= strike {
				return killed
			}
			return do()
		})
		_, err := Apply(ctx, cfg, opt, quiet{})
		undisturbed := err == nil
		opt.Now = opt.Now.Add(time.Minute)
		r, err := Apply(t.Context(), cfg, opt, quiet{})
		if err != nil || len(r.Failures) > 0 || r.Plan.Refused() {
			t.Fatalf("after a strike at change %d: %v, %+v", strike, err, r)
		}
		rows, err := ledger.ParseIndex(s.read(ledger.IndexName))
		if err != nil {
			t.Fatal(err)
		}
		recorded := map[string]ledger.Row{}
		for _, row := range rows {
			recorded[row.Serial] = row
		}
		valid := map[string]int{}
		for id := range s.issued {
			row, ok := recorded[id]
			if !ok {
				t.Fatalf("after a strike at change %d, %s was issued but is not recorded", strike, id)
			}
			if row.State == ledger.Valid {
				valid[row.Owner]++
			}
		}
		if valid["user.mmuser"] != 1 || valid["user.bea"] != 1 || valid["user.dan"] != 1 {
			t.Fatalf("after a strike at change %d, the valid certificates are %v", strike, valid)
		}
		if _, err := os.Stat(s.path(ledger.OwedName)); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("after a strike at change %d, db/owed.json still exists: %v", strike, err)
		}
		if undisturbed {
			if strike < 20 {
				t.Fatalf("a run has only %d changes", strike)
			}
			return
		}
	}
}
