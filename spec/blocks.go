package spec

import (
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"mtlsplan/internal/config"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
)

// Each kind of block has a type with its attributes as fields. Attributes that
// several kinds share are in a type of their own, which they embed. A value that
// is wrong was reported, and counts as not set.

// said is a value together with its place. It is unset where the spec does not
// set it.
type said[T any] struct {
	value T
	at    hcl.Range
	set   bool
}

func say[T any](v T, at hcl.Range) said[T] { return said[T]{v, at, true} }

// or is s, or the fallback where s is unset.
func (s said[T]) or(fallback said[T]) said[T] {
	if s.set {
		return s
	}
	return fallback
}

// fileBlock is the file itself, outside of any block.
type fileBlock struct {
	output         said[string]
	versionControl said[bool]
}

type caBlock struct {
	owner
	issuance
	generation  said[int]
	compromised said[[]said[int]]
	crl         crlBlock
	body        *hclsyntax.Body // to tell a missing attribute from a wrong one
}

type crlBlock struct {
	lifetime
}

type defaultsBlock struct {
	issuance
	reuseKey    said[bool]
	p12         said[[]pki.Profile]
	renewSpread said[time.Duration]
	overlap     said[time.Duration]
	groups      said[[]string]
	seal        said[[]string] // recipients
}

// sealBlock is that of the file.
type sealBlock struct {
	at         hcl.Range
	recipients said[[]string]
	identity   said[config.Source]
}

// userBlock is a user block, or a user of a roster: it can say whatever the
// defaults can.
type userBlock struct {
	owner
	defaultsBlock
	challengePassword said[config.Source]
	email             said[string]
	csr               said[string]
	revoked           said[string]
	devices           said[[]said[string]]
}

type rosterBlock struct {
	file      said[string]
	command   said[[]string]
	format    said[string]
	separator said[byte]
	columns   said[[]columnFrom]
	where     said[[]condition]
}

type movedBlock struct {
	from, to said[plan.Owner]
}

type guardBlock struct {
	maxRevocations said[int]
}

// subjectBlock holds the fields of a subject by their index in subjectFields.
type subjectBlock [len(subjectFields)]said[string]

// owner is what tells the CA and a user from all others.
type owner struct {
	name               string // the label; in a roster, the name
	origin             hcl.Range
	previousPassphrase said[config.Source]
}

// issuance is what the CA, the defaults and a user say of a certificate and its
// key.
type issuance struct {
	lifetime
	subject       subjectBlock
	key           said[pki.KeyType]
	passphrase    said[config.Source]
	kdfIterations said[int]
}

// lifetime is what holds for certificates and CRLs alike.
type lifetime struct {
	validity    said[time.Duration]
	renewBefore said[time.Duration]
}

// target is the block that is being read. Each row of the table of attributes
// sets a field of one of its parts; the parts that the block does not have are
// nil.
type target struct {
	in scope

	file     *fileBlock
	ca       *caBlock
	defaults *defaultsBlock
	user     *userBlock
	roster   *rosterBlock
	guard    *guardBlock
	moved    *movedBlock
	seal     *sealBlock

	recipients *said[[]string] // of either kind of seal block
	owner      *owner
	issuance   *issuance
	lifetime   *lifetime
}

func (b *fileBlock) target() target   { return target{in: inFile, file: b} }
func (b *rosterBlock) target() target { return target{in: inRoster, roster: b} }
func (b *movedBlock) target() target  { return target{in: inMoved, moved: b} }
func (b *sealBlock) target() target   { return target{in: inSeal, seal: b, recipients: &b.recipients} }
func (b *guardBlock) target() target  { return target{in: inGuard, guard: b} }
func (b *crlBlock) target() target    { return target{in: inCRL, lifetime: &b.lifetime} }

func (b *caBlock) target() target {
	return target{in: inCA, ca: b, owner: &b.owner, issuance: &b.issuance, lifetime: &b.lifetime}
}

func (b *defaultsBlock) target() target {
	return target{in: inDefaults, defaults: b, issuance: &b.issuance, lifetime: &b.lifetime}
}

func (b *userBlock) target() target {
	return target{in: inUser, user: b, owner: &b.owner, defaults: &b.defaultsBlock, issuance: &b.issuance, lifetime: &b.lifetime}
}

// sealFor is the seal block in a defaults or user block.
func (t target) sealFor() target { return target{in: inSealFor, recipients: &t.defaults.seal} }

// subject is the subject block in a ca, defaults or user block.
func (t target) subject() target { return target{in: inSubject, issuance: t.issuance} }
