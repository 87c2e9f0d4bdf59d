package plan

import "slices"

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
	KindPass Kind = "pass"
	KindDB   Kind = "db"
)

// kinds are in the order in which a step names its artefacts.
var kinds = []Kind{KindKey, KindCSR, KindCrt, KindP12, "compat.p12", "modern.p12", KindCRL, KindSite, KindPass, KindDB}

// SortKinds sorts kinds as steps name them and drops repetitions.
func SortKinds(list []Kind) []Kind {
	slices.SortFunc(list, func(a, b Kind) int { return slices.Index(kinds, a) - slices.Index(kinds, b) })
	return slices.Compact(list)
}
