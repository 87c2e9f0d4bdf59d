package plan

import "strings"

// Owners by what they are.

// CA is the owner of a certificate authority.
func CA(name string) Owner { return Owner("ca." + name) }

// CRL is the owner of the CRLs of a certificate authority.
func CRL(ca string) Owner { return Owner("crl." + ca) }

// User is the owner of a user's files.
func User(name string) Owner { return Owner("user." + name) }

// Site is the owner of a site of a proxy.
func Site(proxy, name string) Owner { return Owner(proxy + "." + name) }

// UserName is the name of the user that an owner is; ok is false for another owner.
func (o Owner) UserName() (name string, ok bool) { return strings.CutPrefix(string(o), "user.") }
