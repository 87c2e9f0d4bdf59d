package engine

import (
	"fmt"
	"slices"
	"strings"

	"mtlsplan/internal/cadb"
)

// Adoption takes files over that were made by hand: what the CA has issued
// goes into the database as it is, and then the policies judge it like
// everything else. Nothing that works is replaced for being foreign.

// adopt takes the CA into the database in memory; the plan's first batch makes
// it durable.
func (ca *caFacts) adopt(db *database) {
	if len(db.issued[ca.owner]) > 0 || ca.key.missing || ca.crt.cert == nil {
		return
	}
	ca.taken = true
	db.issue(ca.owner, ca.crt.all[0])
	ca.gens = db.generations(ca.owner)
}

func (u *userFacts) adopt(obs *Observed) {
	if u.err != nil {
		return
	}
	there := !u.key.missing || !u.crt.missing || !u.csr.missing
	c := u.crt.cert
	ours := c != nil && obs.db.holder(c) == "" && signedByAny(u.crt.all[0], obs.trust())
	u.lost = len(obs.db.issued[u.owner]) > 0
	if u.taken = there && (ours || !u.lost); ours {
		obs.db.issue(u.owner, u.crt.all[0])
	}
}

// adoptRest records the certificates of users whom --only leaves out. Nothing of
// theirs is touched, but a serial that they share must be known to be theirs
// too, before somebody revokes it.
func (o *observer) adoptRest(obs *Observed, opt Options) error {
	for _, u := range o.cfg.Users {
		owner := userOwner(u.Name)
		if opt.covers(owner) || len(obs.db.issued[owner]) > 0 {
			continue
		}
		c, err := o.crt(userFile(o.cfg, u.Name, kindCrt))
		if err != nil {
			return err
		}
		if c.cert != nil && signedByAny(c.all[0], obs.trust()) {
			obs.db.issue(owner, c.all[0])
		}
	}
	return nil
}

// adopted says what was found. It is a reason of its own: with nothing else to
// mend, recording it is all there is to do.
func adopted(v userView) []finding {
	if !v.taken {
		return nil
	}
	return []finding{{Reason: Reason{Code: Unrecorded, Message: v.describe() + "; it is taken over"}, action: Adopt, makes: nil}}
}

// describe says what was made by hand.
func (u *userFacts) describe() string {
	var parts []string
	switch {
	case u.asked != nil:
	case u.key.missing:
		parts = append(parts, "no key")
	case u.key.typ != "":
		parts = append(parts, fmt.Sprintf("a key of type %s (%s)", u.key.typ, u.key.info.Encoding))
	default:
		parts = append(parts, "a key that does not open")
	}
	parts = append(parts, describeCert(u.crt))
	if i := slices.IndexFunc(u.p12, func(p p12Facts) bool { return !p.missing }); i >= 0 {
		parts = append(parts, "a .p12 ("+u.p12[i].info.Encoding+")")
	}
	origin := "made by hand: "
	if u.lost {
		origin = "issued by the CA and lost from its database: "
	}
	return origin + strings.Join(parts, ", ")
}

func describeCert(c crtFacts) string {
	switch {
	case c.missing:
		return "no certificate"
	case c.cert == nil:
		return "a certificate that cannot be read"
	}
	return fmt.Sprintf("a version %d certificate with serial %s until %s", c.cert.version, c.cert.serial, day(c.cert.notAfter))
}

// sharedSerial moves users off a serial that others have too: revoking one
// would revoke all.
func sharedSerial(v userView) []finding {
	if len(v.shared) < 2 {
		return nil
	}
	var also []string
	for _, o := range v.shared {
		if o != v.owner {
			also = append(also, string(o))
		}
	}
	return rekey(v.userFacts, Reason{Message: "the serial is shared with " + strings.Join(also, ", ") + ": who has one cannot be told apart when it is revoked",
		Field: "serial", Have: v.cert.serial})
}

// needed reports whether a shared serial is still the only valid certificate
// of an owner whom the spec lists.
func (obs *Observed) needed(r cadb.Row) bool {
	owners := rowOwners(r)
	return len(owners) > 1 && slices.ContainsFunc(owners, func(o Owner) bool {
		return isUser(o) && !obs.leaving[o] && len(obs.db.valid(o, obs.now)) == 1
	})
}

// others names the owners of rows beside one.
func others(rows []cadb.Row, owner Owner) string {
	var out []string
	for _, r := range rows {
		for _, o := range rowOwners(r) {
			if o != owner {
				out = append(out, string(o))
			}
		}
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), ", ")
}

// caAdopted says what was found of the CA.
func caAdopted(v caView) []finding {
	if !v.taken {
		return nil
	}
	return []finding{{Reason: Reason{Code: Unrecorded, Message: fmt.Sprintf("made by hand: a key of type %s (%s), %s; it is taken over",
		v.key.typ, v.key.info.Encoding, describeCert(v.crt))}, action: Adopt}}
}
