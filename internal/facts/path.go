package facts

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
)

// Path is where a file lies, relative to the output directory. That of a user's
// file is put together only when somebody asks for it: there are five for each
// of 100,000 users.
type Path struct {
	dir, base, ending string
}

// At is a path as it is.
func At(name string) Path { return Path{base: name} }

func (p Path) String() string { return p.dir + p.base + p.ending }

// Directories below the output directory.
const (
	SecretsDir = "secrets"    // generated passphrases
	RetiredDir = "db/retired" // files of removed users, as ada-m.key, then ada-m.key.1, and of earlier CA generations
)

// IsPass reports whether a kind is that of a generated passphrase, in clear or sealed.
func IsPass(kind plan.Kind) bool { return kind == plan.KindPass || kind == plan.KindSealed }

// PassKind is the kind of a generated passphrase that is sealed to recipients, if any.
func PassKind(recipients []string) plan.Kind {
	if len(recipients) > 0 {
		return plan.KindSealed
	}
	return plan.KindPass
}

// CAPath is where a file of the CA lies.
func CAPath(ca string, kind plan.Kind) Path {
	p := Path{base: "ca." + ca, ending: "." + kind}
	if IsPass(kind) {
		p.dir = SecretsDir + "/"
	}
	return p
}

// PastKeyPath is where the key of an earlier generation of the CA lies.
func PastKeyPath(ca string, generation int) Path {
	return At(fmt.Sprintf("%s/ca.%s.G%d.key", RetiredDir, ca, generation))
}

// Base is what the names of a user's files begin with: NAME-CA, of a device
// NAME.DEVICE-CA, since not every file system takes a colon.
func Base(user, ca string) string { return strings.Replace(user, plan.DeviceSign, ".", 1) + "-" + ca }

// UserPath is where a file of a user lies; base is that of [Base].
func UserPath(base string, kind plan.Kind) Path {
	p := Path{base: base, ending: endings[kind]}
	if IsPass(kind) {
		p.dir = SecretsDir + "/"
	}
	return p
}

// endings spare putting them together for each of many users.
var endings = func() map[plan.Kind]string {
	m := map[plan.Kind]string{}
	for _, k := range UserKinds {
		m[k] = "." + k
	}
	return m
}()

// UserKinds are the kinds of file that a user may have, whatever the spec says.
var UserKinds = append([]plan.Kind{plan.KindPass, plan.KindSealed, plan.KindKey, plan.KindCSR, plan.KindCrt}, P12Kinds...)

// P12Kinds are the kinds of .p12 that there are.
var P12Kinds = func() []plan.Kind {
	var list []plan.Kind
	for i := range 2 {
		for _, p := range pki.Profiles {
			if kind := P12Kind(i, p); !slices.Contains(list, kind) {
				list = append(list, kind)
			}
		}
	}
	return list
}()

// P12Kind is the kind of a user's i-th .p12: the first has no profile in its name.
func P12Kind(i int, p pki.Profile) plan.Kind { return p.Ending(i == 0) }

// IsP12 reports whether a kind is that of a .p12.
func IsP12(kind plan.Kind) bool { return slices.Contains(P12Kinds, kind) }

// Modes of what lies in an output directory.
const (
	ModePrivate fs.FileMode = 0o700 // directories that hold secrets or the database
	ModeSecret  fs.FileMode = 0o600
	ModePublic  fs.FileMode = 0o644
)

// Widest is the widest mode that a file or directory may have.
func (f File) Widest() fs.FileMode {
	if name := f.Name(); name == "db" || name == SecretsDir {
		return ModePrivate
	}
	return ModeOf(f.Kind)
}

// ModeOf is the mode of the artefacts of a kind.
func ModeOf(kind plan.Kind) fs.FileMode {
	switch kind {
	case plan.KindCSR, plan.KindCrt, plan.KindCRL, plan.KindSite, plan.KindGit:
		return ModePublic
	}
	return ModeSecret
}
