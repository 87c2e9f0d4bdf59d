package plan

import (
	"path"
	"strings"
)

// Owners by what they are.

// CA is the owner of a certificate authority.
func CA(name string) Owner { return Owner("ca." + name) }

// CRL is the owner of the CRLs of a certificate authority.
func CRL(ca string) Owner { return Owner("crl." + ca) }

// User is the owner of a user's files; of a device's, for a name such as "ada:laptop".
func User(name string) Owner { return Owner("user." + name) }

// Site is the owner of a site of a proxy.
func Site(proxy, name string) Owner { return Owner(proxy + "." + name) }

// UserName is the name of the user that an owner is; ok is false for another owner.
func (o Owner) UserName() (name string, ok bool) { return strings.CutPrefix(string(o), "user.") }

// Person is the user whose device an owner is: "user.ada" of "user.ada:laptop". Any other
// owner is its own.
func (o Owner) Person() Owner {
	person, _, _ := strings.Cut(string(o), DeviceSign)
	return Owner(person)
}

// IsDevice reports whether an owner is a device of a user.
func (o Owner) IsDevice() bool { return strings.Contains(string(o), DeviceSign) }

// DeviceSign stands between a user and a device. No name holds it, so that nobody can be
// taken for the device of another.
const DeviceSign = ":"

// Fits reports whether a pattern of shells ([path.Match]) stands for the owner; one
// without a special character stands for the owner of that name alone. A pattern that
// is malformed stands for nobody: see [CheckPattern].
func (o Owner) Fits(pattern Owner) bool {
	ok, err := path.Match(string(pattern), string(o))
	return ok && err == nil
}

// CheckPattern refuses a malformed pattern of owners, such as one with an open "[".
func CheckPattern(pattern Owner) error {
	_, err := path.Match(string(pattern), "")
	return err
}

// IsPattern reports whether a pattern may stand for more than one owner.
func (o Owner) IsPattern() bool { return strings.ContainsAny(string(o), `*?[\`) }
