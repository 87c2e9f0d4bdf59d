package inventory

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/outdir"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/secret"
)

// secrets reads passphrases, each source once a run, and keeps them in memory.
type secrets struct {
	ctx     context.Context
	lookup  func(string) (string, bool)
	trace   func(doing, what string) func()
	hide    []string // variables that a command must not see
	mu      sync.Mutex
	unasked bool // programs that were not asked yet are not asked
	read    map[string]*reading
}

var errUnasked = errors.New("the program is not asked yet")

type reading struct {
	once  sync.Once
	value secret.Value
	err   error
	file  outdir.Stat // of the file, of before it was read
}

func newSecrets(ctx context.Context, cfg *config.Config, lookup func(string) (string, bool)) *secrets {
	s := &secrets{ctx: ctx, lookup: lookup, read: map[string]*reading{}}
	hide := func(sources ...config.Source) {
		for _, src := range sources {
			if src.Kind == config.FromEnv {
				s.hide = append(s.hide, src.Env)
			}
		}
	}
	hide(cfg.CA.Passphrase, cfg.CA.PreviousPassphrase)
	for i := range cfg.Users {
		u := &cfg.Users[i]
		hide(u.Passphrase, u.PreviousPassphrase, u.ChallengePassword)
	}
	return s
}

// ask says whether programs are asked from now on.
func (s *secrets) ask(yes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unasked = !yes
}

// from reads a source that is not generated.
func (s *secrets) from(src config.Source) *reading {
	id := fmt.Sprintf("%d\x00%s\x00%s\x00%q\x00%s", src.Kind, src.Env, src.File, src.Command, src.Dir)
	s.mu.Lock()
	entry := s.read[id]
	if entry == nil && src.Kind == config.FromCommand && s.unasked {
		s.mu.Unlock()
		return &reading{err: errUnasked}
	}
	if entry == nil {
		entry = &reading{}
		s.read[id] = entry
	}
	s.mu.Unlock()
	entry.once.Do(func() {
		defer s.trace("ask", src.String())()
		if info, ok := secret.Ref(src).Info(); ok {
			entry.file = sourceStat(info)
		}
		value, err := secret.Ref(src).Read(s.ctx, s.lookup, s.hide)
		if err == nil {
			if err = secret.Check(value); err != nil {
				err = fmt.Errorf("%s: %w", secret.Ref(src), err)
			}
		}
		entry.value, entry.err = value, err
	})
	return entry
}

// sourceStat is what a passphrase's file is known by: not its size, which would
// tell how long the passphrase is. Of a file in secrets/ that is no news to
// whoever may read db/, both being private to the same user.
func sourceStat(info fs.FileInfo) outdir.Stat {
	s := outdir.StatOf(info)
	s.Size = 0
	return s
}

// of is the passphrase of a source; generated is the owner's generated one. A
// generated passphrase that was never made is empty, without an error.
func (s *secrets) of(src config.Source, generated outdir.File) (secret.Value, error) {
	if src.Kind != config.Generated {
		entry := s.from(src)
		if entry.err != nil {
			return secret.Value{}, plan.Errorf(plan.PassphraseUnavailable, "passphrase: %w", entry.err)
		}
		return entry.value, nil
	}
	if generated.Missing {
		return secret.Value{}, nil
	}
	value := secret.Line(generated.Data)
	if err := secret.Check(value); err != nil {
		return secret.Value{}, plan.Errorf(plan.PassphraseUnavailable, "generated passphrase in %s: %w", generated.Name, err)
	}
	return value, nil
}

// passphrases open an owner's files.
type passphrases struct {
	now, previous secret.Value
	source        outdir.Stat // of the file that now was read from, where that is the source
}

// passphrases reads an owner's secrets, and what may be known of them. previous
// may fail without harm: it is there for the one run that changes the passphrase.
func (r *Reader) passphrases(now, previous config.Source, generated file) (p passphrases, f facts.Passphrase) {
	f.File = generated.File
	if r.opt.Sealed {
		glancedPass(now, &f)
		return p, f
	}
	if p.now, f.Err = r.secrets.of(now, generated.content); f.Err == nil && now.Kind == config.FromFile {
		p.source = r.secrets.from(now).file
	}
	f.Made = !p.now.IsZero()
	if !previous.IsZero() {
		p.previous, f.PreviousErr = r.secrets.of(previous, generated.content)
	}
	return p, f
}
