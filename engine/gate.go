package engine

import (
	"context"
	"path/filepath"
	"slices"
	"sync"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/gate"
	"mtlsplan/internal/inventory"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/outdir"
	"mtlsplan/internal/plan"
)

// Gate is an output directory that is looked at again and again: who gets in by what
// it holds now. It takes no lock, writes nothing and reads no secret.
type Gate struct {
	ctx context.Context
	cfg *config.Config
	opt Options

	mu    sync.Mutex
	sight string // of the files when world was read
	world *gate.World
}

// NewGate begins to look at the output directory of a spec.
func NewGate(ctx context.Context, cfg *config.Config, opt Options) *Gate {
	opt.scope, opt.blind = func(plan.Owner) bool { return false }, true
	return &Gate{ctx: ctx, cfg: cfg, opt: opt}
}

// World is what decides who gets in now. Files are read again only when one of them
// has changed. It may be called by several goroutines.
func (g *Gate) World() (*gate.World, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	dir, err := openDir(g.cfg)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	sight := dir.Sight(inventory.GateFiles(g.cfg.CA.Name)...)
	if g.world != nil && sight == g.sight {
		return g.world, nil
	}
	world, err := g.read(dir)
	if err == nil {
		g.world, g.sight = world, sight
	}
	return world, err
}

func (g *Gate) read(dir *outdir.Dir) (*gate.World, error) {
	r := newRun(g.ctx, g.cfg, g.opt, dir)
	defer r.in.Close()
	crt, crl, led, gens, err := r.in.Gate()
	if err == nil && (led.Blank() || len(led.Lost()) > 0) {
		err = refused(g.ctx, g.cfg, g.opt, dir)
	}
	switch {
	case err != nil:
		return nil, err
	case led.Blank():
		return nil, errNothingIssued(g.cfg)
	case crt.Cert == nil:
		what := "holds no certificate that can be read"
		if crt.Missing {
			what = "is not there"
		}
		return nil, plan.Errorf(plan.FileError, "%s %s: mtlsplan apply puts it back", filepath.Join(g.cfg.Output, crt.Name()), what)
	}
	w := &gate.World{Generations: gens, Ledger: led, CRLs: crl.Lists}
	for _, ca := range crt.All {
		if slices.ContainsFunc(gens, func(g ledger.Generation) bool { return slices.ContainsFunc(g.Parents, ca.Equal) }) {
			w.Above = true
			continue
		}
		w.CAs = append(w.CAs, ca)
	}
	return w, nil
}

// Importable is the files of the first user of a spec who has a .p12 to try a gate
// with, nil for none.
func Importable(cfg *config.Config) (*plan.ImportDetail, error) {
	dir, err := openDir(cfg)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	for i := range cfg.Users {
		u := &cfg.Users[i]
		if u.Revoked != "" || u.CSR != "" || len(u.P12) == 0 {
			continue
		}
		base := facts.Base(u.Name, cfg.CA.Name)
		path := func(kind plan.Kind) string {
			return filepath.Join(cfg.Output, filepath.FromSlash(facts.UserPath(base, kind).String()))
		}
		p12 := facts.P12Kind(0, u.P12[0])
		if _, exists := dir.FileMode(facts.UserPath(base, p12).String()); !exists {
			continue
		}
		d := &plan.ImportDetail{Owner: plan.User(u.Name), P12: path(p12), Key: path(plan.KindKey), Crt: path(plan.KindCrt), Users: len(cfg.Users)}
		if u.Passphrase.Kind == config.Generated {
			d.PassphraseFile = PassphraseFile(cfg, d.Owner)
		} else {
			d.PassphraseSource = u.Passphrase.String()
		}
		return d, nil
	}
	return nil, nil
}
