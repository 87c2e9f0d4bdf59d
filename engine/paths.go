package engine

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"mtlsplan/internal/outdir"
	"mtlsplan/internal/pki"
	"mtlsplan/spec"
)

// Kinds of artefact, as plans name them. A further .p12 of a user has the kind
// "PROFILE.p12".
const (
	kindPass = "pass"
	kindKey  = "key"
	kindCSR  = "csr"
	kindCrt  = "crt"
	kindP12  = "p12"
	kindCRL  = "crl"
	kindSite = "site"
	kindDB   = "db"
)

// kindOrder is the order in which a step names its artefacts.
var kindOrder = []string{kindKey, kindCSR, kindCrt, kindP12, "compat.p12", "modern.p12", kindCRL, kindSite, kindPass, kindDB}

func sortKinds(kinds []string) []string {
	slices.SortFunc(kinds, func(a, b string) int { return slices.Index(kindOrder, a) - slices.Index(kindOrder, b) })
	return slices.Compact(kinds)
}

// kindMode is the widest mode that an artefact may have.
func kindMode(kind string) fs.FileMode {
	switch kind {
	case kindCSR, kindCrt, kindCRL, kindSite:
		return outdir.ModePublic
	}
	return outdir.ModeSecret
}

const (
	indexName  = outdir.DB + "/index.txt"
	attrName   = outdir.DB + "/index.txt.attr"
	numberName = outdir.DB + "/crlnumber"
	issuedName = outdir.DB + "/issued.pem"
)

func caOwner(cfg *spec.Config) Owner  { return Owner("ca." + cfg.CA.Name) }
func crlOwner(cfg *spec.Config) Owner { return Owner("crl." + cfg.CA.Name) }
func userOwner(name string) Owner     { return Owner("user." + name) }
func siteOwner(s spec.Site) Owner     { return Owner(s.Proxy.Name + "." + s.Name) }

// Owners are all owners of a spec, in the order in which a plan treats them.
func Owners(cfg *spec.Config) []Owner {
	all := []Owner{caOwner(cfg)}
	for _, u := range cfg.Users {
		all = append(all, userOwner(u.Name))
	}
	all = append(all, crlOwner(cfg))
	for _, s := range cfg.Sites {
		all = append(all, siteOwner(s))
	}
	return all
}

// caFile and userFile are the only places that know the names of artefacts.
func caFile(cfg *spec.Config, kind string) string {
	if kind == kindPass {
		return "secrets/ca." + cfg.CA.Name + ".pass"
	}
	return "ca." + cfg.CA.Name + "." + kind
}

// pastKeyFile is where the key of an earlier generation lies.
func pastKeyFile(cfg *spec.Config, generation int) string {
	return fmt.Sprintf("%s/retired/ca.%s.G%d.key", outdir.DB, cfg.CA.Name, generation)
}

func userFile(cfg *spec.Config, user, kind string) string {
	base := user + "-" + cfg.CA.Name
	if kind == kindPass {
		return "secrets/" + base + ".pass"
	}
	return base + "." + kind
}

// PassphraseFile is the absolute path at which the generated passphrase of a
// user or the CA lies.
func PassphraseFile(cfg *spec.Config, owner Owner) string {
	name := caFile(cfg, kindPass)
	if user, ok := strings.CutPrefix(string(owner), "user."); ok {
		name = userFile(cfg, user, kindPass)
	}
	return filepath.Join(cfg.Output, filepath.FromSlash(name))
}

// p12Kind is the kind of a user's i-th .p12: the first has no profile in its name.
func p12Kind(i int, p pki.Profile) string {
	if i == 0 {
		return kindP12
	}
	return string(p) + "." + kindP12
}
