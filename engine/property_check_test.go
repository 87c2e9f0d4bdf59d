package engine

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"os"
	"slices"
	"strings"
	"time"

	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
	"mtlsplan/spec"
)

// memory is knowledge that a run must never lose, whatever happens to the directory.
type memory struct {
	serials map[string]string     // ever issued, with the certificate
	revoked map[string]revocation // by serial
	numbers map[string]*big.Int   // the highest CRL number, by the CA's key identifier
}

type revocation struct {
	end    time.Time
	issuer string // key identifier
}

func newMemory() memory {
	return memory{map[string]string{}, map[string]revocation{}, map[string]*big.Int{}}
}

// records are the CA database and the CRLs, read without the engine.
type records struct {
	rows   []ledger.Row
	issued []ledger.Record
	raw    []byte // of issued.pem
	crls   map[string]*x509.RevocationList
}

func (w *world) records() records {
	w.t.Helper()
	var r records
	index, _ := os.ReadFile(w.out("db/index.txt"))
	r.raw, _ = os.ReadFile(w.out("db/issued.pem"))
	var err error
	r.rows, err = ledger.ParseIndex(index)
	w.check(err)
	r.issued, _, err = ledger.ParseRecords(r.raw)
	w.check(err)
	r.crls = map[string]*x509.RevocationList{}
	text, _ := os.ReadFile(w.out("ca.m.crl"))
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if list, err := x509.ParseRevocationList(block.Bytes); err == nil {
			r.crls[hex.EncodeToString(list.AuthorityKeyId)] = list
		}
	}
	return r
}

func (r records) row(serial string) *ledger.Row {
	for i := range r.rows {
		if r.rows[i].Serial == serial {
			return &r.rows[i]
		}
	}
	return nil
}

func (r records) newest(owner string) *x509.Certificate {
	for _, e := range slices.Backward(r.issued) {
		if e.Owner == owner {
			cert, _ := x509.ParseCertificate(e.DER)
			return cert
		}
	}
	return nil
}

// lives reports whether a row is a certificate with which its owner gets in. An older copy of
// the database may say so of one that is on the CRL.
func (w *world) lives(r ledger.Row) bool {
	_, revoked := w.memory.revoked[r.Serial]
	return !revoked && r.State != ledger.Revoked && w.now.Before(r.NotAfter)
}

// active are the people with a certificate, on any device and under whatever name they have
// had.
func (w *world) active(r records) map[plan.Owner]bool {
	users := map[plan.Owner]bool{}
	for _, row := range r.rows {
		if strings.HasPrefix(row.Owner, "user.") && w.lives(row) {
			users[w.nowCalled(row.Owner).Person()] = true
		}
	}
	return users
}

// nowCalled is an owner under the name that the spec's moved blocks give.
func (w *world) nowCalled(owner string) plan.Owner {
	for _, m := range w.spec.movedBlocks() {
		if owner == "user."+m.from {
			return plan.User(m.to)
		}
	}
	return plan.Owner(owner)
}

// wouldLose counts the active users who keep none of their certificates, on no device.
func (w *world) wouldLose(cfg *spec.Config) int {
	is := w.records()
	lost, stays := w.active(is), map[plan.Owner]bool{}
	for _, u := range cfg.Users {
		stays[plan.User(u.Name)] = u.Revoked == ""
	}
	for _, row := range is.rows {
		if owner := w.nowCalled(row.Owner); stays[owner] && w.lives(row) {
			delete(lost, owner.Person())
		}
	}
	return len(lost)
}

// guardLimit is the number of users that a run may leave without a certificate.
func guardLimit(cfg *spec.Config, opt Options, active int) int {
	limit := max(1, active/10)
	if m := cfg.Guard.MaxRevocations; m != nil {
		limit = *m
	}
	return max(limit, opt.Allow)
}

// owned are the names that may have files: those of users, and of their devices.
var owned = func() []string {
	all := slices.Clone(names)
	for _, user := range names {
		for _, device := range []string{"laptop", "phone"} {
			all = append(all, user+plan.DeviceSign+device)
		}
	}
	return all
}()

// ownerOf returns the owner and the kind of a file; "" when it has none.
func (w *world) ownerOf(cfg *spec.Config, name string) (plan.Owner, string) {
	for _, kind := range []string{plan.KindKey, plan.KindCrt, plan.KindPass, plan.KindSealed} {
		if name == facts.CAPath(cfg.CA.Name, kind).String() {
			return "ca.m", kind
		}
	}
	if name == facts.CAPath(cfg.CA.Name, plan.KindCRL).String() {
		return "crl.m", plan.KindCRL
	}
	for _, user := range owned {
		for _, kind := range []string{plan.KindPass, plan.KindSealed, plan.KindKey, plan.KindCSR, plan.KindCrt, plan.KindP12, "compat.p12", "modern.p12"} {
			if name == facts.UserPath(facts.Base(user, cfg.CA.Name), kind).String() {
				return plan.User(user), kind
			}
		}
	}
	if s := cfg.Sites[0]; name == s.Settings.File {
		return plan.Site(s.Proxy.Name, s.Name), plan.KindSite
	}
	return "", ""
}

// checkEffects compares the changes with the plan: there must be no others, and none may be
// missing.
func (w *world) checkEffects(r ran) {
	w.t.Helper()
	announced := map[plan.Owner][]string{}
	for _, s := range r.report.Done {
		announced[s.Owner] = append(announced[s.Owner], s.Artefacts...)
	}
	for _, name := range visible(changes(r.before, r.after)) {
		if strings.HasPrefix(name, "db/") {
			continue
		}
		if slices.Contains(facts.GitNames(), name) && slices.Contains(announced[plan.CA(r.cfg.CA.Name)], plan.KindGit) {
			continue
		}
		owner, kind := w.ownerOf(r.cfg, name)
		if _, there := r.after[name]; !there && w.nowCalled(string(owner)) != owner {
			now := w.nowCalled(string(owner)) // it has another name, which is announced, or was removed under it
			if user, _ := now.UserName(); r.after[facts.UserPath(facts.Base(user, "m"), kind).String()] == (file{}) {
				announced[now] = slices.DeleteFunc(announced[now], func(k string) bool { return k == kind })
			}
			continue
		}
		if owner == "" {
			if r.after[name].mode.IsDir() {
				continue
			}
			w.t.Fatalf("%s has no owner, but has changed", name)
		}
		i := slices.Index(announced[owner], kind)
		if i < 0 {
			w.t.Fatalf("%s has changed, but no step announces it: %s", name, summary(r.report))
		}
		announced[owner] = slices.Delete(announced[owner], i, i+1)
	}
	for owner, kinds := range announced {
		if kinds = slices.DeleteFunc(kinds, func(k string) bool {
			return k == plan.KindDB || k == plan.KindGit || k == plan.KindDeploy /* elsewhere */
		}); len(kinds) > 0 {
			w.t.Fatalf("%s: %v was announced, but has not changed: %s", owner, kinds, summary(r.report))
		}
	}
}

// checkRecords compares the database before and after a run.
func (w *world) checkRecords(r ran, was records) {
	w.t.Helper()
	is := w.records()
	if !bytes.HasPrefix(is.raw, was.raw) {
		w.t.Fatal("issued.pem was changed, not only appended to")
	}
	for i, row := range was.rows {
		now := is.rows[i]
		if now.Owner != row.Owner && now.Owner == string(w.nowCalled(row.Owner)) {
			row.Owner = now.Owner
		}
		if now.Serial != row.Serial || row.State == ledger.Revoked && now != row {
			w.t.Fatalf("index.txt: %+v has become %+v", row, now)
		}
	}
	seen := map[string]bool{}
	for _, row := range is.rows {
		if seen[row.Serial] {
			w.t.Fatalf("serial %s occurs twice in index.txt", row.Serial)
		}
		seen[row.Serial] = true
	}
	for _, e := range is.issued[len(was.issued):] {
		cert, err := x509.ParseCertificate(e.DER)
		w.check(err)
		if e.Owner == ledger.ParentOwner("ca.m") || e.Owner == "ca.m" && !pki.SelfIssued(cert) {
			continue // another CA has given the serial
		}
		serial := pki.SerialHex(cert.SerialNumber)
		if before, ok := w.memory.serials[serial]; ok && before != string(e.DER) {
			w.t.Fatalf("serial %s was issued twice", serial)
		}
		w.memory.serials[serial] = string(e.DER)
		if row := is.row(serial); row == nil || !slices.Contains(row.Owners(), e.Owner) || !row.NotAfter.Equal(cert.NotAfter) {
			w.t.Fatalf("%s %s is in issued.pem, but index.txt has %+v", e.Owner, serial, row)
		}
	}
	active := w.active(was) // as known before this run
	w.remember(is)
	w.checkRevocations(was, is)
	lost := 0
	for owner := range active {
		if !w.active(is)[owner] {
			lost++
		}
	}
	if limit := guardLimit(r.cfg, r.opt, len(active)); lost > limit {
		w.t.Fatalf("%d users have lost access, but the guard allows %d", lost, limit)
	}
}

// remember adds every revocation to the memory, with the issuer of its CRL.
func (w *world) remember(is records) {
	issuers := map[string]string{}
	for _, e := range is.issued {
		if cert, err := x509.ParseCertificate(e.DER); err == nil {
			issuers[pki.SerialHex(cert.SerialNumber)] = hex.EncodeToString(cert.AuthorityKeyId)
		}
	}
	for _, row := range is.rows {
		if _, known := w.memory.revoked[row.Serial]; row.State == ledger.Revoked && !known {
			w.memory.revoked[row.Serial] = revocation{row.NotAfter, issuers[row.Serial]}
		}
	}
}

// checkRevocations: a revocation stays in the database, and on the CRL for as long as its CA is
// trusted and the certificate would be valid; and CRL numbers rise.
func (w *world) checkRevocations(was, is records) {
	w.t.Helper()
	for serial, m := range w.memory.revoked {
		if !w.now.Before(m.end) {
			continue
		}
		if row := is.row(serial); row == nil || row.State != ledger.Revoked {
			w.t.Fatalf("%s was revoked, but index.txt has %+v", serial, row)
		}
	}
	for ca, list := range is.crls {
		before := was.crls[ca]
		if before != nil && bytes.Equal(before.Raw, list.Raw) {
			continue
		}
		if last := w.memory.numbers[ca]; last != nil && list.Number.Cmp(last) <= 0 {
			w.t.Fatalf("CRL number %d follows %d", list.Number, last)
		}
		w.memory.numbers[ca] = list.Number
		if before == nil {
			continue
		}
		for _, e := range before.RevokedCertificateEntries {
			serial := pki.SerialHex(e.SerialNumber)
			if m := w.memory.revoked[serial]; w.now.Before(m.end) && !lists(list, e.SerialNumber) {
				w.t.Fatalf("%s is missing from the CRL before its end", serial)
			}
		}
	}
}

func lists(list *x509.RevocationList, serial *big.Int) bool {
	return slices.ContainsFunc(list.RevokedCertificateEntries, func(e x509.RevocationListEntry) bool { return e.SerialNumber.Cmp(serial) == 0 })
}
