package policy

import (
	"crypto/x509"
	"math/big"
	"slices"
	"time"

	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
)

// found is what the directory tells and the ledger does not.
type found struct {
	*Question
	ledger *ledger.Ledger // with changes
	trust  Trust          // of that ledger

	changes []ledger.Change
	reasons []ledger.Change // of revocations that the ledger has without one: they matter to the next CRL only
	taken   map[ledger.Sum]bool

	renamed  renamings
	ca       bool                    // the CA is adopted
	renewed  *x509.Certificate       // ours that a CA above it has signed anew, or the renewed one of that CA; nil for neither
	declined string                  // why a certificate that is there for the key of the CA is not taken over
	users    map[plan.Owner]adopted  // those who are adopted
	further  map[plan.Owner][]string // serials of certificates that are taken over beside the one that counts
	departed []departed              // those who still have something
	learnt   int                     // revocations that only a CRL lists
	restored []string                // owners of certificates that only issued.pem has
	behind   bool                    // the next CRL would have the number of one in place, or a lower one
}

// adopted tells how a user came to be adopted.
type adopted struct {
	lost bool // the CA has issued to the user before, and the ledger has lost the certificate
}

// find compares directory and ledger. Each stage goes by what those before it
// have found.
func find(q Question) *found {
	f := &found{Question: &q, ledger: q.Ledger, taken: map[ledger.Sum]bool{}, users: map[plan.Owner]adopted{}, further: map[plan.Owner][]string{}}
	f.trust = newTrust(q.Config, f.ledger, q.Now)
	f.rename()
	f.record(f.restore())
	f.record(f.settle())
	f.record(f.renewedCA())
	if q.Ask.Adopt {
		f.record(f.adoptCA())
		f.record(f.adoptUsers())
	}
	f.record(f.learn())
	f.record(f.adoptDeparted())
	f.departed = f.findDeparted()
	return f
}

// all are the changes that a run records.
func (f *found) all() []ledger.Change { return append(f.changes, f.reasons...) }

func (f *found) record(changes []ledger.Change) {
	if len(changes) == 0 {
		return
	}
	f.changes = append(f.changes, changes...)
	f.ledger = f.ledger.With(changes...)
	f.trust = newTrust(f.Config, f.ledger, f.Now)
}

// restore records again what issued.pem holds and index.txt lacks, because another
// program has written an older copy of it. What was revoked of it is on the last CRL,
// from which learn takes it; without one it cannot be told. An index that is gone
// altogether is made anew only with --adopt.
func (f *found) restore() []ledger.Change {
	if f.Config.VersionControl && !f.Ask.Adopt {
		return f.unfinished()
	}
	if len(f.ledger.Rows()) == 0 && !f.Ask.Adopt || f.Have.CRL.Missing || f.Have.CRL.Damaged || f.Have.CRL.Err != nil {
		return nil
	}
	var out []ledger.Change
	for _, e := range f.ledger.Lost() {
		cert, err := x509.ParseCertificate(e.DER)
		if err != nil {
			continue
		}
		f.restored = append(f.restored, e.Owner)
		out = append(out, ledger.Restore{Owner: e.Owner, Cert: cert})
	}
	return out
}

// settle records what an authority has issued for a run that was killed, and revokes
// it: nobody was given it, and the keys were lost with that run.
func (f *found) settle() []ledger.Change {
	var out []ledger.Change
	for _, o := range f.Have.Owed {
		if o.Cert == nil || f.ledger.Row(o.ID) != nil {
			continue
		}
		when := f.Now.Add(-pki.Backdate).Truncate(time.Second).UTC()
		out = append(out, ledger.Issue{Owner: string(o.Owner), Cert: o.Cert}, ledger.Revoke{Serial: o.ID, When: when, Reason: ledger.Superseded})
	}
	return out
}

// learn takes over what a CRL of ours lists and the ledger does not say: of an
// adopted CA, or because the ledger is from an older backup. A revoked
// certificate stays revoked.
func (f *found) learn() []ledger.Change {
	var out []ledger.Change
	lists := f.Have.CRL.Lists
	if used := newestNumber(f.Have.CRL); used != nil && f.ledger.Number().Cmp(used) <= 0 {
		f.behind = true
		out = append(out, ledger.PassNumber{Used: used})
	}
	seen := map[string]int{} // place in out
	revoke := func(r ledger.Revoke) {
		row := f.ledger.Row(r.Serial)
		at, again := seen[r.Serial]
		switch {
		case again:
			out[at] = onBoth(out[at].(ledger.Revoke), r)
		case row == nil || row.State != ledger.Revoked:
			f.learnt++
			seen[r.Serial] = len(out)
			out = append(out, r)
		case row.Reason == "" && r.Reason != "unspecified":
			f.reasons = append(f.reasons, r)
		}
	}
	for i, g := range f.trust.Generations {
		list := lists[g.SPKI]
		if list == nil {
			if newest := lists[f.trust.Current().SPKI]; i < len(f.trust.Generations)-1 && newest != nil && f.behind && !f.Have.CRL.Damaged {
				f.leftBehind(g, newest.ThisUpdate, revoke)
			}
			continue
		}
		for _, e := range entries(f.Have.CRL, g, list) {
			if e.SerialNumber.Sign() < 0 {
				continue // no certificate has it (RFC 5280 section 4.1.2.2), nor has index.txt a way to write it
			}
			revoke(ledger.Revoke{
				Serial: pki.SerialHex(e.SerialNumber), When: e.RevocationTime.UTC(), Reason: pki.ReasonName(e.ReasonCode),
				Owner: unknownOwner(g), NotAfter: g.Cert.NotAfter,
			})
		}
	}
	return out
}

// onBoth is a revocation that the CRLs of two generations list, so that nothing tells
// which of them has issued the certificate.
func onBoth(older, newer ledger.Revoke) ledger.Revoke {
	if older.Owner != newer.Owner && newer.Owner != "" {
		older.Owner = unknown
		if newer.NotAfter.After(older.NotAfter) {
			older.NotAfter = newer.NotAfter
		}
	}
	return older
}

// entries are those of the CRL of a generation, and of older ones beside it.
func entries(crl facts.CRL, g ledger.Generation, list *x509.RevocationList) []x509.RevocationListEntry {
	out := list.RevokedCertificateEntries
	for _, more := range crl.More {
		if pki.SignedCRL(more, g.Cert) {
			out = append(slices.Clip(out), more.RevokedCertificateEntries...)
		}
	}
	return out
}

// leftBehind revokes what the ledger says to be valid of a generation that has
// left since: it left because nobody had a valid certificate of it, and its CRL,
// which would list them, left with it.
func (f *found) leftBehind(g ledger.Generation, left time.Time, revoke func(ledger.Revoke)) {
	rows := f.ledger.Rows()
	for i := range rows {
		r := &rows[i]
		if r.State != ledger.Revoked && f.Now.Before(r.NotAfter) && ledger.IsUser(r.Owner) && f.trust.issuers[r.Serial] == g.SPKI {
			revoke(ledger.Revoke{Serial: r.Serial, When: left.Add(-time.Second).UTC()})
		}
	}
}

// newestNumber is the highest number of the CRLs in place, nil for none.
func newestNumber(crl facts.CRL) *big.Int {
	var newest *big.Int
	for _, list := range crl.Lists {
		if list.Number != nil && (newest == nil || list.Number.Cmp(newest) > 0) {
			newest = list.Number
		}
	}
	return newest
}
