package inventory

import (
	"errors"
	"io/fs"
	"slices"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/input"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
)

// readCSRUser reads a user who has made the key. Only the request's public key is
// used: subject and names are the spec's, whatever the request asks for. A bad
// request is the owner's failure: the other users do not wait for it.
func (r *Reader) readCSRUser(u *config.User) *Material {
	m := &Material{Facts: &facts.User{Owner: plan.User(u.Name)}}
	f, base := m.Facts, r.base(u)
	path := func(kind plan.Kind) facts.Path { return facts.UserPath(base, kind) }
	crt, crtErr := r.file(plan.KindCrt, path(plan.KindCrt))
	csr, csrErr := r.file(plan.KindCSR, path(plan.KindCSR))
	f.Key.File = facts.File{Kind: plan.KindKey, Path: path(plan.KindKey), Missing: true}
	f.Passphrase.File = facts.File{Kind: plan.KindPass, Path: path(plan.KindPass), Missing: true}
	f.Crt.File, f.CSR.File = crt.File, csr.File
	if f.Err = firstOf(crtErr, csrErr); f.Err != nil {
		return m
	}
	f.Crt = certificates(crt)
	if c, err := pki.ParseCSR(csr.content.Data); err == nil {
		f.CSR.Request = request(c)
	}
	for _, kind := range append(slices.Clone(facts.UserKinds[2:]), plan.KindPass, plan.KindSealed) { // a passphrase leaves behind its key
		if kind == plan.KindCSR || kind == plan.KindCrt {
			continue
		}
		if s, exists := r.unread(kind, path(kind)); exists {
			f.Stray = append(f.Stray, s)
		}
	}
	data, _, err := input.Read(r.ctx, u.CSR, largestRequest)
	if err != nil {
		f.Err = plan.Errorf(plan.CSRInvalid, "the request %s cannot be read: %w: %s", u.CSR, err, advice(err))
		return m
	}
	asked, err := pki.ParseCSR(data)
	if err != nil {
		f.Err = plan.Errorf(plan.CSRInvalid, "the request %s: %w", u.CSR, err)
		return m
	}
	m.Request, f.Asked = asked, request(asked)
	f.Asked.Key = asked.Public
	f.Key.Type, f.Key.SPKI = f.Asked.Type, f.Asked.SPKI
	return m
}

// largestRequest is the limit in bytes for a request that a user has made. One
// with the longest RSA key that is in use, and its text, has a third of that.
const largestRequest = 64 << 10

// advice says what to do about a request that cannot be read.
func advice(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "put it there, or correct csr in the spec"
	case errors.Is(err, fs.ErrPermission):
		return "make it readable for the user that runs mtlsplan"
	}
	return "name the file that holds the user's request, 64 KiB at most"
}
