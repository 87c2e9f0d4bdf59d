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

	identities identities
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
	hide(cfg.CA.Passphrase, cfg.CA.PreviousPassphrase, cfg.Seal.Identity)
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

func (s *secrets) isUnasked() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unasked
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

// of is the passphrase of a source; generated is the owner's generated one, in clear. A
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
	file          file        // of the generated one that counts
}

// passphrases reads an owner's secrets, and what may be known of them. previous
// may fail without harm: it is there for the one run that changes the passphrase.
func (r *Reader) passphrases(now, previous config.Source, recipients []string, generated passFiles) (p passphrases, f facts.Passphrase) {
	if r.opt.Blind {
		p.file, f.Other = generated.used(generated.isSealed(recipients, true))
		f.File = p.file.File
		glancedPass(now, &f)
		if f.Kind == plan.KindSealed && !f.Missing {
			r.sealedFacts(&f)
		}
		return p, f
	}
	var u unsealed
	if !generated.sealed.Missing && (now.Kind == config.Generated || previous.Kind == config.Generated) {
		u = r.unseal(generated.sealed)
	}
	sealed := generated.isSealed(recipients, u.closed == nil && u.err == nil)
	p.file, f.Other = generated.used(sealed)
	f.File = p.file.File
	of := func(src config.Source) (secret.Value, error) {
		if src.Kind == config.Generated && sealed {
			return u.value, firstOf(u.err, u.closed)
		}
		return r.secrets.of(src, generated.clear.content)
	}
	switch {
	case now.Kind == config.Generated && sealed && !f.Missing:
		p.now, f.Err, f.Closed, f.Wrong = u.value, u.err, u.closed, u.wrong
		rec, ok := r.recorded(p.file)
		f.Recorded, f.Recipients = ok, rec.Recipients
	default:
		p.now, f.Err = of(now)
	}
	if now.Kind == config.Generated && (len(recipients) > 0 || sealed) {
		err := r.identity().err
		f.Unusable = err != nil && !errors.Is(err, errUnasked)
		if err != nil && f.Err == nil { // before something is sealed that nobody here could open
			f.Err = plan.Errorf(plan.PassphraseUnavailable, "the passphrase is to be sealed: %w", err)
		}
	}
	if f.Err == nil && now.Kind == config.FromFile {
		p.source = r.secrets.from(now).file
	}
	f.Made = !p.now.IsZero() || f.Closed != nil
	if !previous.IsZero() {
		p.previous, f.PreviousErr = of(previous)
	}
	return p, f
}
