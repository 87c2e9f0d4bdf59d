package engine

import (
	"context"
	"slices"

	"mtlsplan/internal/config"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/plan"
)

// Departed are the users of the CA database who are no longer in the spec, sorted.
func Departed(ctx context.Context, cfg *config.Config, opt Options) ([]plan.Owner, error) {
	dir, err := openDir(cfg)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	r := newRun(ctx, cfg, opt, dir)
	defer r.in.Close()
	led, err := r.in.Ledger()
	if err != nil {
		return nil, err
	}
	listed := map[string]bool{}
	for i := range cfg.Users {
		listed[string(plan.User(cfg.Users[i].Name))] = true
	}
	var out []plan.Owner
	for _, owner := range led.Owners() {
		if ledger.IsUser(owner) && !listed[owner] {
			out = append(out, plan.Owner(owner))
		}
	}
	return out, nil
}

// departed shows a user who must have no valid certificate: the certificate most
// lately issued, from the ledger, and the files that are still in place.
func (d details) departed(r *run, st stock) error {
	d.Departed = !slices.ContainsFunc(d.cfg.Users, func(u config.User) bool { return plan.User(u.Name) == d.Owner })
	cert, err := r.in.LastIssued(d.Owner)
	if err != nil {
		return err
	}
	if cert != nil {
		d.Certificates = append(d.Certificates, cert)
	}
	for i := range st.have.Departed {
		if have := &st.have.Departed[i]; have.Owner == d.Owner {
			for _, f := range have.Files {
				d.file(f, fileState{code: plan.FileUnread}, nil)
			}
		}
	}
	return nil
}
