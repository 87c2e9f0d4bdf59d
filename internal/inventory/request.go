package inventory

import (
	"slices"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
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
	for _, kind := range append(slices.Clone(facts.UserKinds[1:]), plan.KindPass) { // a passphrase leaves behind its key
		if kind == plan.KindCSR || kind == plan.KindCrt {
			continue
		}
		if s, exists := r.unread(kind, path(kind)); exists {
			f.Stray = append(f.Stray, s)
		}
	}
	data, err := r.opt.ReadRequest(u.CSR)
	if err != nil {
		f.Err = plan.Errorf(plan.CSRInvalid, "%w", err)
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
