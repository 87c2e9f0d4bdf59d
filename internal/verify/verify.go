// Package verify proves an output directory: it answers every check of every owner.
//
// What the policies judge already is taken from their verdict. The package adds what
// they take on trust, because it was checked when it was made: signatures, the
// agreement of the database's columns, and whether a TLS server lets the right people
// in. It reads nothing; the directory was read with [inventory.Options.Prove].
package verify

import (
	"cmp"
	"context"
	"crypto"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/policy"
)

// Subject is what is proven.
type Subject struct {
	Config   *config.Config
	Have     *facts.Inventory
	Ledger   *ledger.Ledger // as it was read
	Verdict  *policy.Verdict
	Now      time.Time
	Parallel int // how many users are let in at a time

	// Signer is a user's key by its SPKI, nil for one that is not at hand.
	Signer func(spki string) crypto.Signer
}

// Checks answers every check: those that fail first, each time in the order of the
// owners. The end of ctx ends it with an error.
func Checks(ctx context.Context, s Subject) ([]plan.Check, error) {
	g, err := newGate(s.Have.CA.Crt.All, s.Now)
	if err != nil {
		return nil, err
	}
	p := &proof{Subject: s, ctx: ctx, gate: g, failed: map[string]bool{}, absent: map[plan.Owner]bool{}, unjudged: map[plan.Owner]bool{}}
	p.revocations()
	p.judged()
	p.database()
	p.ca()
	p.users()
	p.crl()
	p.keptOut()
	return p.answer(), ctx.Err()
}

// revocations finds which serials the files in place refuse.
func (p *proof) revocations() {
	p.onCRL = map[string]map[string]bool{}
	for spki, list := range p.Have.CRL.Lists {
		p.onCRL[spki] = map[string]bool{}
		for i := range list.RevokedCertificateEntries {
			p.onCRL[spki][pki.SerialHex(list.RevokedCertificateEntries[i].SerialNumber)] = true
		}
	}
	for i := range p.Have.Sites {
		refused := map[string]bool{}
		for _, f := range p.Have.Sites[i].Files {
			for _, serial := range f.Refused {
				refused[serial] = true
			}
		}
		p.mapped = append(p.mapped, refused)
	}
}

// proof is a proof under way.
type proof struct {
	Subject
	ctx  context.Context
	gate *gate

	bad    []plan.Check
	failed map[string]bool // owner and check: those that fail, and those that are left open
	mu     sync.Mutex

	onCRL  map[string]map[string]bool // serials on the CRLs in place, by the SPKI of the CA
	mapped []map[string]bool          // serials that each site refuses by its map

	anyDue   bool                // time alone has made something due
	absent   map[plan.Owner]bool // owners of whom nothing was made yet
	unjudged map[plan.Owner]bool // owners of whom the verdict has a failure in place of an answer
}

func id(owner plan.Owner, check plan.CheckName) string { return string(owner) + "\n" + string(check) }

// add takes a check that fails.
func (p *proof) add(c plan.Check) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bad = append(p.bad, c)
	p.failed[id(c.Owner, c.Check)] = true
}

func (p *proof) fail(owner plan.Owner, check plan.CheckName, code plan.Code, format string, args ...any) {
	p.add(plan.Check{Owner: owner, Check: check, Code: code, Message: fmt.Sprintf(format, args...)})
}

func (p *proof) has(owner plan.Owner, check plan.CheckName) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failed[id(owner, check)]
}

// forEach calls f for every index, so many at a time, until the context ends.
func (p *proof) forEach(n int, f func(int)) {
	var wg sync.WaitGroup
	var next atomic.Int64
	for range min(n, max(1, p.Parallel)) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && p.ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
}

// own are the checks that this package makes itself, so that they are answered also of
// an owner that could not be judged.
var own = []plan.CheckName{plan.CertificateValid, plan.LetIn, plan.KeptOut, plan.CRLNumber, plan.CRLEntries, plan.DatabaseWhole}

var (
	ofCA = []plan.CheckName{plan.FilesPresent, plan.Modes, plan.KeyOpens, plan.KeyMatches, plan.Encodings,
		plan.CertificateRecorded, plan.CertificateValid, plan.CertificateAsSpecified, plan.DatabaseWhole}
	ofUser = []plan.CheckName{plan.FilesPresent, plan.Modes, plan.KeyOpens, plan.KeyMatches, plan.Encodings, plan.CertificateRecorded,
		plan.CertificateValid, plan.CertificateAsSpecified, plan.CSRMatches, plan.P12Opens, plan.P12Matches, plan.LetIn, plan.KeptOut}
	ofCSRUser = []plan.CheckName{plan.FilesPresent, plan.Modes, plan.KeyMatches, plan.CertificateRecorded,
		plan.CertificateValid, plan.CertificateAsSpecified, plan.CSRMatches, plan.LetIn, plan.KeptOut}
	ofDeparted = []plan.CheckName{plan.DepartedGone, plan.KeptOut}
	ofCRL      = []plan.CheckName{plan.FilesPresent, plan.Modes, plan.CRLSigned, plan.CRLCurrent, plan.CRLNumber, plan.CRLEntries}
	ofSite     = []plan.CheckName{plan.FilesPresent, plan.Modes, plan.SiteCurrent}
)

// answer gives what fails, in the order of the owners, and then what holds.
func (p *proof) answer() []plan.Check {
	place := map[plan.Owner]int{}
	var good []plan.Check
	add := func(owner plan.Owner, checks []plan.CheckName) {
		if _, twice := place[owner]; twice {
			return
		}
		place[owner] = len(place)
		for _, check := range checks {
			if !p.failed[id(owner, check)] && !p.absent[owner] && (!p.unjudged[owner] || slices.Contains(own, check)) {
				good = append(good, plan.Check{Owner: owner, Check: check, OK: true})
			}
		}
	}
	add(p.Have.CA.Owner, ofCA)
	for i := range p.Config.Users {
		switch u := &p.Config.Users[i]; {
		case u.Revoked != "":
			add(plan.User(u.Name), ofDeparted)
		case u.CSR != "":
			add(plan.User(u.Name), ofCSRUser)
		default:
			add(plan.User(u.Name), ofUser)
		}
	}
	for _, owner := range p.Ledger.Owners() {
		if ledger.IsUser(owner) {
			add(plan.Owner(owner), ofDeparted)
		}
	}
	add(plan.CRL(p.Config.CA.Name), ofCRL)
	for i := range p.Have.Sites {
		add(p.Have.Sites[i].Owner, ofSite)
	}
	rank := map[plan.CheckName]int{}
	for i, w := range plan.CheckNames() {
		rank[w.Name] = i
	}
	for i := range p.bad {
		if _, known := place[p.bad[i].Owner]; !known {
			place[p.bad[i].Owner] = len(place)
		}
	}
	slices.SortStableFunc(p.bad, func(a, b plan.Check) int {
		return cmp.Or(cmp.Compare(place[a.Owner], place[b.Owner]), cmp.Compare(rank[a.Check], rank[b.Check]), cmp.Compare(a.Message, b.Message))
	})
	return append(p.bad, good...)
}
