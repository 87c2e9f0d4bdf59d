package plan

import (
	"cmp"
	"slices"
	"strings"
)

// Kind is a kind of artefact, as plans name it. A further .p12 of a user has the
// kind "PROFILE.p12".
type Kind = string

const (
	KindKey  Kind = "key"
	KindCSR  Kind = "csr"
	KindCrt  Kind = "crt"
	KindP12  Kind = "p12"
	KindCRL  Kind = "crl"
	KindSite Kind = "site"
	// KindDeploy is the copies of a site and of what it reads on the proxy's host, and the
	// proxy that has read them.
	KindDeploy Kind = "deploy"
	KindPass   Kind = "pass"
	KindSealed Kind = "pass.age" // a generated passphrase that is sealed
	KindDB     Kind = "db"
	// KindGit is the two files that tell git what of the directory to keep, and how.
	KindGit Kind = "git"
)

// SortKinds sorts kinds as steps name them and drops repetitions: what is made of
// key and certificate behind them, a further .p12 behind the first.
func SortKinds(list []Kind) []Kind {
	slices.SortFunc(list, func(a, b Kind) int {
		return cmp.Or(rank(a)-rank(b), strings.Count(a, ".")-strings.Count(b, "."), strings.Compare(a, b))
	})
	return slices.Compact(list)
}

func rank(kind Kind) int {
	before, after := []Kind{KindKey, KindCSR, KindCrt}, []Kind{KindCRL, KindSite, KindDeploy, KindPass, KindSealed, KindDB, KindGit}
	if i := slices.Index(before, kind); i >= 0 {
		return i
	}
	return len(before) + 1 + slices.Index(after, kind)
}
