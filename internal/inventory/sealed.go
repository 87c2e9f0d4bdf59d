package inventory

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/seal"
	"mtlsplan/internal/secret"
)

// identity is what opens sealed passphrases.
type identity struct {
	keys   *seal.Identity // nil for none
	absent error          // why there is none, where nothing is wrong with that
	err    error          // why the one that is there cannot be used
}

// identities reads the identity once, when something is to be opened for the first time.
type identities struct {
	mu   sync.Mutex
	read *identity

	looked sync.Once
	absent error
}

// identity reads it. Without one, nothing that is sealed is opened, and nothing is wrong.
func (r *Reader) identity() *identity {
	ids, src := &r.secrets.identities, r.opt.Config.Seal.Identity
	ids.mu.Lock()
	defer ids.mu.Unlock()
	switch {
	case ids.read != nil:
		return ids.read
	case src.Kind == config.FromCommand && r.secrets.isUnasked():
		return &identity{err: errUnasked}
	}
	id := &identity{}
	ids.read = id
	if id.absent = r.identityAbsent(); id.absent != nil {
		return id
	}
	defer r.opt.Trace("ask", src.String())()
	text, err := secret.Ref(src).ReadIdentity(r.ctx, r.opt.LookupEnv, r.secrets.hide)
	if err == nil {
		if id.keys, err = seal.ParseIdentity(text); err != nil {
			err = fmt.Errorf("%s cannot be used: %w", src, err)
		}
	}
	if err != nil {
		id.err = fmt.Errorf("the identity of seal: %w", err)
	}
	return id
}

// identityAbsent says why there is no identity, without reading one; nil where there may
// be one.
func (r *Reader) identityAbsent() error {
	ids, src := &r.secrets.identities, r.opt.Config.Seal.Identity
	ids.looked.Do(func() {
		if src.IsZero() {
			ids.absent = errors.New("the spec names no identity that opens it")
		} else if err := secret.Ref(src).Absent(r.opt.LookupEnv); err != nil {
			ids.absent = fmt.Errorf("the identity is not at hand: %w", err)
		}
	})
	return ids.absent
}

// readSealed reads to whom passphrases are sealed.
func (r *Reader) readSealed() error {
	f, err := r.read(ledger.SealedName)
	r.sealed = ledger.ParseSealed(f.Data)
	return err
}

// Sealed is to whom passphrases are sealed, as it was read last.
func (r *Reader) Sealed() *ledger.Sealed { return r.sealed }

// passFiles are the files of a generated passphrase.
type passFiles struct{ clear, sealed file }

// passFiles reads them. Where nothing is sealed, nobody looks for what could be, unless the
// one in clear is missed.
func (r *Reader) passFiles(path func(plan.Kind) facts.Path, recipients []string, sources ...config.Source) (p passFiles, err error) {
	clear, err := r.fileOrSecret(plan.KindPass, path(plan.KindPass))
	at := path(plan.KindSealed)
	p = passFiles{clear, file{File: facts.File{Kind: plan.KindSealed, Path: at, Missing: true}}}
	if _, recorded := r.sealed.Of(at.String()); len(recipients) > 0 || recorded || clear.Missing && slices.ContainsFunc(sources, isGenerated) {
		var errSealed error
		p.sealed, errSealed = r.fileOrSecret(plan.KindSealed, at)
		err = firstOf(err, errSealed)
	}
	return p, err
}

func isGenerated(s config.Source) bool { return s.Kind == config.Generated }

// used is which of the files counts, and the other, where it is there too.
func (p *passFiles) used(sealed bool) (file, *facts.File) {
	f, other := p.clear, p.sealed
	if sealed {
		f, other = other, f
	}
	if other.Missing {
		return f, nil
	}
	return f, &other.File
}

// isSealed reports whether the sealed file counts: the one that the spec asks for, unless
// it is not there, or opened says that it does not open and the other can be read.
func (p *passFiles) isSealed(recipients []string, opened bool) bool {
	if len(recipients) > 0 {
		return p.clear.Missing || !p.sealed.Missing && opened
	}
	return p.clear.Missing && !p.sealed.Missing
}

// unsealed is what was tried with a sealed passphrase.
type unsealed struct {
	value  secret.Value
	closed error // why it was not opened, where nothing is wrong with it
	wrong  bool  // that is because the identity is another's
	err    error // why it cannot be had
}

// unseal opens a sealed passphrase, if it can be opened here.
func (r *Reader) unseal(f file) (u unsealed) {
	if err := seal.Inspect(f.content.Data); err != nil {
		return unsealed{err: damagedSeal(f, err)}
	}
	id := r.identity()
	rec, recorded := r.recorded(f)
	switch {
	case id.err != nil:
		return unsealed{err: plan.Errorf(plan.PassphraseUnavailable, "%s is sealed: %w", f.Name(), id.err)}
	case id.absent != nil:
		return unsealed{closed: closedSeal(f.Name(), id.absent)}
	case recorded && !id.keys.Opens(rec.Recipients):
		return unsealed{closed: closedSeal(f.Name(), errWrongIdentity), wrong: true}
	}
	ended := r.opt.Trace("open", f.Name())
	value, err := id.keys.Open(f.content.Data)
	ended()
	switch {
	case errors.Is(err, seal.ErrOther):
		return unsealed{closed: closedSeal(f.Name(), errWrongIdentity), wrong: true}
	case err == nil:
		err = secret.Check(value)
	}
	if err != nil {
		return unsealed{err: damagedSeal(f, err)}
	}
	return unsealed{value: value}
}

// Generated reads the generated passphrase of a user, which is empty where it is sealed and
// not opened here, and says which file it is in. It may be asked where no secret is read
// otherwise.
func (r *Reader) Generated(u *config.User) (secret.Value, facts.File, error) {
	base := r.base(u)
	clear, err := r.file(plan.KindPass, facts.UserPath(base, plan.KindPass))
	closed, errSealed := r.file(plan.KindSealed, facts.UserPath(base, plan.KindSealed))
	if err := firstOf(err, errSealed); err != nil {
		return secret.Value{}, clear.File, err
	}
	files := passFiles{clear, closed}
	var opened unsealed
	if !closed.Missing {
		opened = r.unseal(closed)
	}
	sealed := files.isSealed(u.Seal, opened.closed == nil && opened.err == nil)
	f, _ := files.used(sealed)
	switch {
	case f.Missing:
		return secret.Value{}, f.File, plan.Errorf(plan.PassphraseUnavailable, "%s is not there", f.Name())
	case sealed:
		return opened.value, f.File, opened.err
	}
	value, err := r.secrets.of(u.Passphrase, clear.content)
	return value, f.File, err
}

// unavailable is why a passphrase is not at hand to open something with.
func unavailable(p *facts.Passphrase) error { return firstOf(p.Err, p.Closed) }

var errWrongIdentity = errors.New("the identity at hand is none of those that it is sealed to")

func closedSeal(name string, why error) error {
	return plan.Errorf(plan.PassphraseUnavailable, "%s is sealed, and %w", name, why)
}

func damagedSeal(f file, err error) error {
	return plan.Errorf(plan.PassphraseUnavailable, "%s holds no sealed passphrase (%w): restore it from a backup; a user can be given a new one with --replace, where the CA can sign", f.Name(), err)
}

// opensNone reports whether the identity is of none of the recipients.
func (r *Reader) opensNone(recipients []string) bool {
	keys := r.identity().keys
	return keys != nil && !keys.Opens(recipients)
}

// recorded is to whom a sealed file is known to be sealed.
func (r *Reader) recorded(f file) (ledger.SealedFile, bool) {
	rec, ok := r.sealed.Of(f.Name())
	return rec, ok && (r.opt.Blind || rec.Sum == sha256.Sum256(f.content.Data))
}

// sealedFacts says of a sealed passphrase what is known without reading it.
func (r *Reader) sealedFacts(f *facts.Passphrase) {
	rec, ok := r.sealed.Of(f.Name())
	f.Recorded, f.Recipients = ok, rec.Recipients
	if r.opt.Granted {
		return
	}
	if why := r.identityAbsent(); why != nil {
		f.Closed = closedSeal(f.Name(), why)
	} else if !r.opt.Blind && ok && r.opensNone(rec.Recipients) {
		f.Closed, f.Wrong = closedSeal(f.Name(), errWrongIdentity), true
	}
}
