package engine

import (
	"context"
	"fmt"
	"sync"

	"mtlsplan/internal/config"
	"mtlsplan/internal/outdir"
	"mtlsplan/internal/secret"
	"mtlsplan/spec"
)

// vault reads passphrases, each source once a run, and keeps them in memory.
type vault struct {
	ctx    context.Context
	lookup func(string) (string, bool)
	hide   []string // variables that a command must not see
	mu     sync.Mutex
	read   map[string]*reading
}

type reading struct {
	once  sync.Once
	value secret.Value
	err   error
	file  outdir.Stat // of the file, of before it was read
}

func newVault(ctx context.Context, cfg *spec.Config, lookup func(string) (string, bool)) *vault {
	v := &vault{ctx: ctx, lookup: lookup, read: map[string]*reading{}}
	hide := func(refs ...config.Source) {
		for _, r := range refs {
			if r.Kind == config.FromEnv {
				v.hide = append(v.hide, r.Env)
			}
		}
	}
	hide(cfg.CA.Passphrase, cfg.CA.PreviousPassphrase)
	for _, u := range cfg.Users {
		hide(u.Passphrase, u.PreviousPassphrase, u.ChallengePassword)
	}
	return v
}

// open returns the secret of a source that is not generated.
func (v *vault) open(r config.Source) (secret.Value, error) {
	entry := v.reading(r)
	return entry.value, entry.err
}

// source is the stat of the file that a secret was read from, zero for none.
func (v *vault) source(r config.Source) outdir.Stat {
	if r.Kind != config.FromFile {
		return outdir.Stat{}
	}
	return v.reading(r).file
}

func (v *vault) reading(r config.Source) *reading {
	id := fmt.Sprintf("%d\x00%s\x00%s\x00%q\x00%s", r.Kind, r.Env, r.File, r.Command, r.Dir)
	v.mu.Lock()
	entry := v.read[id]
	if entry == nil {
		entry = &reading{}
		v.read[id] = entry
	}
	v.mu.Unlock()
	entry.once.Do(func() {
		if info, ok := secret.Ref(r).Info(); ok {
			entry.file = sourceStat(info)
		}
		value, err := secret.Ref(r).Read(v.ctx, v.lookup, v.hide)
		if err == nil {
			err = secret.Check(value)
		}
		entry.value, entry.err = value, err
	})
	return entry
}

// of returns the passphrase of a source; pass is the owner's generated file. A
// generated passphrase that was never made is empty, without an error.
func (v *vault) of(r config.Source, pass outdir.File) (secret.Value, error) {
	if r.Kind != config.Generated {
		value, err := v.open(r)
		if err != nil {
			err = fmt.Errorf("passphrase: %w", err)
		}
		return value, err
	}
	if pass.Missing {
		return secret.Value{}, nil
	}
	value := secret.Line(pass.Data)
	if err := secret.Check(value); err != nil {
		return secret.Value{}, fmt.Errorf("generated passphrase in %s: %w", pass.Name, err)
	}
	return value, nil
}
