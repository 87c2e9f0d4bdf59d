package spec

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"mtlsplan/internal/pki"
)

// subjectFields are the attributes of a subject block in the order of the DN.
var subjectFields = [...]struct {
	name, doc string
	in        func(*pki.Subject) *string
	inherited bool
}{
	{"country", "C: two letters.", func(s *pki.Subject) *string { return &s.Country }, true},
	{"province", "ST: state or province.", func(s *pki.Subject) *string { return &s.Province }, true},
	{"locality", "L: town.", func(s *pki.Subject) *string { return &s.Locality }, true},
	{"organization", "O.", func(s *pki.Subject) *string { return &s.Organization }, true},
	{"organizational_unit", "OU.", func(s *pki.Subject) *string { return &s.OrganizationalUnit }, true},
	{"common_name", "CN: required of the CA, at most 60 characters there; a user's name where a user says nothing.",
		func(s *pki.Subject) *string { return &s.CommonName }, false},
	{"email", "emailAddress. Of a user also in the SAN.", func(s *pki.Subject) *string { return &s.Email }, false},
}

const (
	fieldCN    = 5
	fieldEmail = 6
)

// maxCommonName is ub-common-name of RFC 5280, appendix A.1, in characters.
const maxCommonName = 64

// maxCACommonName leaves room for " G99".
const maxCACommonName = maxCommonName - 4

func subjectAttributes() []attribute {
	var rows []attribute
	for i, f := range subjectFields {
		rows = append(rows, attribute{f.name, inSubject,
			func(l *loader, to target, v value) { to.issuance.subject[i] = l.string(v) }, false, "none", f.doc})
	}
	return rows
}

// inherit fills what s leaves open from what it inherits.
func (s subjectBlock) inherit(from subjectBlock) subjectBlock {
	for i, f := range subjectFields {
		if f.inherited {
			s[i] = s[i].or(from[i])
		}
	}
	return s
}

func (s subjectBlock) subject() pki.Subject {
	var out pki.Subject
	for i, f := range subjectFields {
		*f.in(&out) = s[i].value
	}
	return out
}

// checkSubject reports what is wrong with the fields that own sets. Inherited
// ones were checked where they were set.
func (l *loader) checkSubject(own subjectBlock, complete pki.Subject) {
	problems := complete.Problems()
	for i, f := range subjectFields {
		if !own[i].set {
			continue
		}
		wrong := false
		for _, p := range problems {
			if p.Field == f.name {
				l.error(own[i].at, capital(p.Summary), p.Detail)
				wrong = true
			}
		}
		if i == fieldEmail && !wrong && own[i].value != "" {
			if err := pki.CheckEmail(own[i].value); err != nil {
				l.error(own[i].at, "Unusable e-mail address", sentence(err.Error()))
				wrong = true
			}
		}
		if !wrong && l.tellsDN && strings.ContainsAny(own[i].value, "/=") {
			l.error(own[i].at, "Character that the identity header cannot carry",
				`"/" and "=" separate the parts of a DN in the header with which a site tells the application who came, so a name that contains them could be taken for another. Leave them out, or let no header of the site carry dn: headers = {} tells nothing, and headers = { "X-Email" = "email" } only the address.`)
		}
	}
}

// userSubject merges the user's e-mail attribute with the subject block's.
func (l *loader) userSubject(u *userBlock) subjectBlock {
	own := u.subject
	if u.email.set && own[fieldEmail].set && u.email.value != own[fieldEmail].value {
		l.error(own[fieldEmail].at, "Two e-mail addresses",
			fmt.Sprintf("The attribute email, %s, gives another address. A certificate has only one: set it in one place.", place(u.email.at)))
	}
	own[fieldEmail] = u.email.or(own[fieldEmail])
	if !own[fieldCN].set {
		own[fieldCN] = say(u.name, u.origin)
	}
	return own
}

// people finds users who could be taken for one another.
type people struct {
	emails map[string]hcl.Range
	names  map[pki.Subject]hcl.Range // of users without an e-mail; with one, the address tells
}

func newPeople(count int) people {
	return people{make(map[string]hcl.Range, count), map[pki.Subject]hcl.Range{}}
}

// checkPeople looks at a user, or at one device of one; again for another of the same
// user's, with which it shares the address.
func (l *loader) checkPeople(u User, email said[string], again bool) {
	if ca := l.cfg.CA.Subject; strings.EqualFold(u.Subject.CommonName, ca.CommonName) && foldSubject(u.Subject) == foldSubject(ca) {
		l.error(u.Origin, "Subject of the CA", "This user's DN is that of the CA. A certificate whose subject is its issuer is taken for the end of the chain. Give the user another common name.")
	}
	if u.Subject.Email == "" {
		key := foldSubject(u.Subject)
		if first, taken := l.people.names[key]; taken {
			l.error(u.Origin, "Two users with one subject",
				fmt.Sprintf("The user %s has the same DN, so an application could not tell the two apart. Give one of them another common_name or an email.", place(first)))
			return
		}
		l.people.names[key] = u.Origin
		return
	}
	if again {
		return
	}
	key := strings.ToLower(u.Subject.Email)
	if first, taken := l.people.emails[key]; taken {
		l.error(email.at, "Two users with one e-mail address",
			fmt.Sprintf("The user %s has the same address, so an application could not tell the two apart. Give each user an address of their own. Two devices of one person are one user%s.",
				place(first), l.asDevices(email.at)))
		return
	}
	l.people.emails[key] = email.at
}

// asDevices is how a user with devices is written, in a spec or in a roster.
func (l *loader) asDevices(at hcl.Range) string {
	switch {
	case l.inSpec(at):
		return `: devices = ["laptop", "phone"]`
	case strings.EqualFold(filepath.Ext(at.Filename), ".csv"):
		return `, in one row: the column devices holds "laptop phone"`
	}
	return `: devices: ["laptop", "phone"]`
}

// foldSubject ignores case as RFC 5280, section 7.1 does.
func foldSubject(s pki.Subject) pki.Subject {
	for _, f := range subjectFields {
		*f.in(&s) = strings.ToLower(strings.Join(strings.Fields(*f.in(&s)), " "))
	}
	return s
}

func place(at hcl.Range) string { return fmt.Sprintf("at %s:%d", at.Filename, at.Start.Line) }

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// sentence makes an error's text the detail of a diagnostic.
func sentence(s string) string {
	s = capital(s)
	if !strings.HasSuffix(s, ".") && !strings.HasSuffix(s, "?") {
		s += "."
	}
	return s
}
