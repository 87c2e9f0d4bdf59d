package inventory

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"sync"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/outdir"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/secret"
)

// file is one that was read, and what may be known of it.
type file struct {
	facts.File
	content outdir.File
}

// file reads a file.
func (r *Reader) file(kind plan.Kind, path facts.Path) (file, error) {
	f, err := r.read(path.String())
	if err != nil {
		err = plan.Errorf(plan.FileError, "%w", err)
	}
	return file{r.asKept(facts.File{Kind: kind, Path: path, Missing: f.Missing, Mode: f.Mode, Owner: f.Owner}), f}, err
}

// read reads a file of the directory.
func (r *Reader) read(name string) (outdir.File, error) {
	defer r.opt.Trace("read", name)()
	return r.dir.Read(name)
}

// fileOrSecret is file, but for a passphrase that must not be read.
func (r *Reader) fileOrSecret(kind plan.Kind, path facts.Path) (file, error) {
	if facts.IsPass(kind) && r.opt.Blind {
		f, _ := r.unread(kind, path)
		return file{File: f}, nil
	}
	return r.file(kind, path)
}

// unread is a file of which no more is known than whether it is there.
func (r *Reader) unread(kind plan.Kind, path facts.Path) (f facts.File, exists bool) {
	mode, owner, exists := r.dir.Look(path.String())
	return r.asKept(facts.File{Kind: kind, Path: path, Missing: !exists, Mode: mode, Owner: owner}), exists
}

// openings remembers which container opened under which passphrase, so that one
// that this process has made or opened is not put through its key derivation
// again. It holds no passphrase.
type openings struct {
	m     sync.Map // digest of container and passphrase → contents
	keep  bool     // the keys of key files, too
	keys  sync.Map // SPKI → crypto.Signer
	certs bool     // the certificates of every .p12, too
}

// contents is what a container holds.
type contents struct {
	typ   pki.KeyType
	spki  string
	cert  [sha256.Size]byte   // of a .p12, of the certificate's DER
	certs []*x509.Certificate // all of a .p12, where they are kept or the first is not the one expected
}

func contentsOf(key crypto.PublicKey) contents {
	return contents{typ: pki.KeyTypeOf(key), spki: pki.PublicID(key)}
}

func idOf(data []byte, pass secret.Value) [sha256.Size]byte {
	h := sha256.New()
	inner := sha256.Sum256([]byte(pass.Reveal()))
	h.Write(inner[:])
	h.Write(data)
	return [sha256.Size]byte(h.Sum(nil))
}

func (o *openings) add(data []byte, pass secret.Value, c contents) { o.m.Store(idOf(data, pass), c) }

func (o *openings) open(data []byte, pass secret.Value, really func() (contents, error)) (contents, error) {
	id := idOf(data, pass)
	if known, ok := o.m.Load(id); ok {
		return known.(contents), nil
	}
	c, err := really()
	if err == nil {
		o.m.Store(id, c)
	}
	return c, err
}

func (o *openings) key(data []byte, pass secret.Value) (contents, error) {
	return o.open(data, pass, func() (contents, error) {
		key, err := pki.OpenKey(data, pass)
		if err != nil {
			return contents{}, err
		}
		c := contentsOf(key.Public())
		if o.keep {
			o.keys.Store(c.spki, key)
		}
		return c, nil
	})
}

func (o *openings) p12(profile pki.Profile, data []byte, pass secret.Value, expected ledger.Sum) (contents, error) {
	return o.open(data, pass, func() (contents, error) {
		open, err := profile.Open(data, pass)
		if err != nil {
			return contents{}, err
		}
		c := contentsOf(open.Key.Public())
		c.cert = sha256.Sum256(open.Cert.Raw)
		if o.certs || c.cert != expected {
			c.certs = certsOf(open)
		}
		return c, nil
	})
}

// key tells what is in a key file, and which passphrase opens it. known is what is
// in it where that is known, nil otherwise.
func (r *Reader) key(f file, p passphrases, unavailable error, known *contents) (k facts.Key, opens secret.Value) {
	k.File, opens = f.File, p.now
	if k.Missing {
		return k, opens
	}
	var err error
	if k.Info, err = pki.InspectKey(f.content.Data); err != nil {
		k.Opening, k.Why = facts.Unreadable, err
		return k, opens
	}
	if known != nil && unavailable == nil {
		k.Opening, k.Type, k.SPKI = facts.OpensNow, known.typ, known.spki
		return k, opens
	}
	if unavailable != nil || r.opt.Blind {
		return k, opens
	}
	for _, try := range p.tries() {
		if try.pass.IsZero() && !k.Info.Plain() {
			continue
		}
		ended := r.opt.Trace("open", f.Name())
		c, err := r.opened.key(f.content.Data, try.pass)
		ended()
		switch {
		case errors.Is(err, pki.ErrPassphrase):
			continue
		case err != nil:
			k.Opening, k.Why = facts.Unreadable, err
			return k, opens
		}
		k.Opening, k.Type, k.SPKI = try.opening, c.typ, c.spki
		return k, try.pass
	}
	k.Opening = facts.OpensNeither
	return k, opens
}

// try is a passphrase, and what it says of a file that it opens it.
type try struct {
	pass    secret.Value
	opening facts.Opening
}

func (p passphrases) tries() []try {
	return []try{{p.now, facts.OpensNow}, {p.previous, facts.OpensPrevious}}
}

// fromP12 looks into .p12 files that were made by hand: for the certificates in them, which
// a new file would make forgotten. With --adopt it also takes the key out of the first that
// can be read where there is no file of it, and the certificate for the key likewise.
func (r *Reader) fromP12(u *config.User, m *Material) {
	f := m.Facts
	lacking := r.opt.Adopt && (f.Key.Missing || f.Crt.Missing)
	for i, profile := range u.P12 {
		p := &f.P12[i]
		likeOurs := p.Info.Profile == profile && p.Info.Iterations == profile.Iterations(u.KDFIterations)
		if p.Missing || p.Info.Encoding == "" || !lacking && (p.Opening == facts.OpensNow || likeOurs && !r.opt.Adopt) {
			continue
		}
		open, opening, err := openByHand(profile, m.files[atP12+i].content.Data, m.passphrases)
		if err != nil && lacking {
			p.Opening, p.Why = facts.Unreadable, err
		}
		if err != nil {
			continue
		}
		if open != nil {
			p.All = certsOf(open)
		}
		if lacking {
			m.takeOut(p, open, opening)
			lacking = false
		}
	}
}

// openByHand opens a .p12 that was made by hand, which may have the empty passphrase, or
// no MAC, and then opens with that alone. It gives nil where none of them opens it, and an
// error where no passphrase would.
func openByHand(profile pki.Profile, data []byte, pass passphrases) (*pki.P12, facts.Opening, error) {
	var why error
	for _, try := range append(pass.tries(), try{secret.Value{}, facts.OpensNow}) {
		if try.pass.IsZero() && try.opening == facts.OpensPrevious {
			continue // there is none
		}
		open, err := profile.Open(data, try.pass)
		switch {
		case err == nil:
			return open, try.opening, nil
		case !errors.Is(err, pki.ErrPassphrase) && why == nil:
			why = err
		}
	}
	return nil, facts.OpensNeither, why
}

// takeOut takes key and certificate out of a .p12, where there are no files of them. open
// is nil where it does not open.
func (m *Material) takeOut(p *facts.P12, open *pki.P12, opening facts.Opening) {
	f := m.Facts
	found := facts.Key{File: facts.File{Kind: plan.KindKey, Path: p.Path}, Info: pki.KeyInfo{Encoding: "PKCS #12"}, Opening: opening, InP12: true}
	if open != nil {
		found.Type, found.SPKI = pki.KeyTypeOf(open.Key.Public()), pki.PublicID(open.Key.Public())
		if f.Key.Missing {
			m.inside = open.Key
		}
		if f.Crt.Missing && (f.Key.Missing || f.Key.SPKI == found.SPKI) {
			f.Crt.Cert, f.Crt.All = factsOf(open.Cert), []*x509.Certificate{open.Cert}
		}
	}
	if f.Key.Missing {
		f.Key = found
	}
}

// certsOf are all certificates of a .p12.
func certsOf(p *pki.P12) []*x509.Certificate {
	return append([]*x509.Certificate{p.Cert}, p.Chain...)
}

// p12 tells what is in a .p12. crt is the certificate beside it, nil for none; known is what
// is in it where that is known, nil otherwise.
func (r *Reader) p12(f file, profile pki.Profile, pass secret.Value, known *contents, crt *facts.Certificate) facts.P12 {
	p := facts.P12{File: f.File, Profile: profile}
	if p.Missing {
		return p
	}
	var err error
	if p.Info, err = profile.Inspect(f.content.Data); err != nil {
		p.Opening, p.Why = facts.Unreadable, err
		return p
	}
	if pass.IsZero() {
		return p
	}
	var expected ledger.Sum
	if crt != nil {
		expected = crt.Sum
	}
	if known == nil || known.cert != expected { // then all certificates in it count
		ended := r.opt.Trace("open", f.Name())
		c, err := r.opened.p12(profile, f.content.Data, pass, expected)
		ended()
		switch {
		case errors.Is(err, pki.ErrPassphrase):
			p.Opening = facts.OpensNeither
			return p
		case err != nil:
			p.Opening, p.Why = facts.Unreadable, err
			return p
		}
		known = &c
	}
	p.Opening, p.Cert, p.SPKI, p.All = facts.OpensNow, known.cert, known.spki, known.certs
	return p
}

// firstOf is the first error of several: one is enough to say, on one line.
func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
