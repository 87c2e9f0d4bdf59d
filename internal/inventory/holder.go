package inventory

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/secret"
)

// HolderKey opens the key of a certificate that a user has or had, by the key's
// [pki.PublicID]: the key file in place, or one that was retired. The passphrase is the
// spec's, or the generated one that lies beside the key. The error says why there is no
// such key at hand.
func (r *Reader) HolderKey(owner plan.Owner, spki string) (crypto.Signer, error) {
	if key := r.Signer(spki); key != nil {
		return key, nil
	}
	name, _ := owner.UserName()
	if !config.ValidUser(name) {
		return nil, fmt.Errorf("%s can have no files", owner)
	}
	u := &config.User{Name: name, Passphrase: config.Source{Kind: config.Generated}}
	if i := slices.IndexFunc(r.opt.Config.Users, func(u config.User) bool { return u.Name == name }); i >= 0 {
		u = &r.opt.Config.Users[i]
	}
	base := r.base(u)
	path := func(kind plan.Kind) facts.Path { return facts.UserPath(base, kind) }
	key, err := r.holderKey(u, path(plan.KindKey), func() (passFiles, error) { return r.passFiles(path, u.Seal, u.Passphrase) }, spki)
	if key != nil {
		return key, nil
	}
	names, listErr := r.dir.List(facts.RetiredDir)
	if listErr != nil {
		return nil, listErr
	}
	// The passphrase was retired with the key, unless the spec still has it elsewhere. Who
	// departs for the second time may have had another kind before, so the numbers of
	// the two need not agree.
	for _, n := range versions(names, base+"."+plan.KindKey) {
		for _, pass := range slices.Concat(versions(names, base+"."+plan.KindPass), versions(names, base+"."+plan.KindSealed), []string{""}) {
			of := *u
			if pass != "" {
				of.Passphrase, of.PreviousPassphrase = config.Source{Kind: config.Generated}, config.Source{}
			} else if u.Passphrase.Kind == config.Generated {
				continue
			}
			generated := func() (passFiles, error) {
				return r.retiredPass(pass, strings.HasPrefix(pass, base+"."+plan.KindSealed))
			}
			if key, _ := r.holderKey(&of, facts.At(facts.RetiredDir+"/"+n), generated, spki); key != nil {
				return key, nil
			}
		}
	}
	return nil, err
}

// retiredPass reads a generated passphrase that was retired.
func (r *Reader) retiredPass(name string, sealed bool) (passFiles, error) {
	p := passFiles{file{File: facts.File{Kind: plan.KindPass, Missing: true}}, file{File: facts.File{Kind: plan.KindSealed, Missing: true}}}
	var err error
	if at := facts.At(facts.RetiredDir + "/" + name); sealed {
		p.sealed, err = r.file(plan.KindSealed, at)
	} else {
		p.clear, err = r.file(plan.KindPass, at)
	}
	return p, err
}

// versions are the names of a retired file, the one that was retired last first.
func versions(names []string, base string) []string {
	var out []string
	for _, n := range names {
		if number, ok := strings.CutPrefix(n, base+"."); n == base || ok && strings.Trim(number, "0123456789") == "" {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(b, a)
	})
	return out
}

// ErrKeyReplaced says that a key file holds a later key: the one asked for is gone.
var ErrKeyReplaced = errors.New("has a newer key")

// holderKey opens a key file; the key must be the one that is asked for.
func (r *Reader) holderKey(u *config.User, at facts.Path, generated func() (passFiles, error), spki string) (crypto.Signer, error) {
	f, err := r.file(plan.KindKey, at)
	if err != nil {
		return nil, err
	}
	if f.Missing {
		return nil, fmt.Errorf("%s is not there", f.Name())
	}
	var pass passFiles
	if u.Passphrase.Kind == config.Generated {
		if pass, err = generated(); err != nil {
			return nil, err
		}
	}
	p, made := r.passphrases(u.Passphrase, u.PreviousPassphrase, u.Seal, pass)
	err = unavailable(&made)
	for _, try := range []secret.Value{p.now, p.previous} {
		if try.IsZero() {
			continue
		}
		key, openErr := pki.OpenKey(f.content.Data, try)
		switch {
		case openErr != nil:
			err = firstOf(err, fmt.Errorf("%s: %w", f.Name(), openErr))
		case pki.PublicID(key.Public()) != spki:
			return nil, fmt.Errorf("%s %w", f.Name(), ErrKeyReplaced)
		default:
			return key, nil
		}
	}
	return nil, firstOf(err, plan.Errorf(plan.PassphraseUnavailable, "there is no passphrase for %s", f.Name()))
}

// IssuedCertificate is the certificate of an entry of the CA database.
func (r *Reader) IssuedCertificate(e *ledger.Entry) (*x509.Certificate, error) {
	return r.certificate(e)
}
