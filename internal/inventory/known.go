package inventory

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/outdir"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/statcache"
)

// A record is kept only of files that fit together: key, request, certificate and
// .p12 are of one key and one subject, and the passphrase opens the encrypted ones.
// All other files of a user are read anew in each run.

// record is what the cache holds of an owner, nil for nothing.
func (r *Reader) record(owner string) *statcache.Record {
	if r.opt.Thorough {
		return nil
	}
	return r.cache.Get(owner)
}

// known is the record of a user whose files are all those that it tells of, nil
// otherwise. Of a passphrase that nothing can be told of without asking for it,
// the key has to open once more; a .p12 that opened together with it need not.
func (r *Reader) known(u *config.User, owner plan.Owner, stray func(*config.User) bool) *statcache.Record {
	if u.CSR != "" || !u.ChallengePassword.IsZero() || !r.knownSeal(u) {
		return nil
	}
	var buf [atP12 + 2]string
	rec := r.cache.Known(string(owner), r.namesOf(u, buf[:0])...)
	k, ok := r.keyRecord(rec)
	if !ok || k.challenged || k.kind != u.Passphrase.Kind || stray(u) || k.sealed != r.sumOf(u) {
		return nil
	}
	switch u.Passphrase.Kind {
	case config.Generated, config.FromFile:
		ok = k.bound(u.Passphrase, k.pass)
	default:
		ok = r.stillOpens(u, &k)
	}
	if !ok {
		return nil
	}
	return rec
}

// knownSeal reports whether what is known of a user's passphrase need not be read: to whom
// it is sealed is on record, and no other file of it lies beside it.
func (r *Reader) knownSeal(u *config.User) bool {
	sealed := len(u.Seal) > 0
	if !sealed && r.sealed.Len() == 0 {
		return true
	}
	base := r.base(u)
	_, recorded := r.sealed.Of(facts.UserPath(base, plan.KindSealed).String())
	switch {
	case sealed != recorded:
		return false
	case !sealed:
		return true
	}
	return (r.opt.Blind || r.identity().err == nil) && r.cache.Missing(facts.UserPath(base, plan.KindPass).String())
}

// sumOf is that of the user's sealed passphrase, as it is on record; zero for one that is
// not sealed.
func (r *Reader) sumOf(u *config.User) ledger.Sum {
	if len(u.Seal) == 0 {
		return ledger.Sum{}
	}
	f, _ := r.sealed.Of(facts.UserPath(r.base(u), plan.KindSealed).String())
	return f.Sum
}

// namesOf are the names of a user's files, in the order of a record's stats.
func (r *Reader) namesOf(u *config.User, names []string) []string {
	base := r.base(u)
	var kinds [atP12 + 2]plan.Kind
	for _, kind := range appendKinds(kinds[:0], u) {
		names = append(names, facts.UserPath(base, kind).String())
	}
	return names
}

// stillOpens reports whether the key of a record opens with the user's passphrase.
func (r *Reader) stillOpens(u *config.User, k *keyRecord) bool {
	if r.opt.Blind {
		return true // it did when these files were opened last
	}
	pass := r.secrets.from(u.Passphrase)
	if pass.err != nil {
		return false
	}
	f, err := r.file(plan.KindKey, facts.UserPath(r.base(u), plan.KindKey))
	if err != nil || f.Missing || f.content.Stat != k.key {
		return false
	}
	c, err := r.opened.key(f.content.Data, pass.value)
	return err == nil && c.typ == k.typ && c.spki == k.spki
}

// manyUsers is from where on one look at all names costs less than two at each
// user's.
const manyUsers = 256

// strays returns what tells whether a user has a .p12 that the spec does not ask
// for. For many users all names are looked at once, unless the directory is as it
// was when every .p12 in it was the first of a user's.
func (r *Reader) strays(users int) func(*config.User) bool {
	unasked := func(u *config.User, there func(name string) bool) bool {
		asked := kindsOf(u)
		return slices.ContainsFunc(facts.P12Kinds, func(kind plan.Kind) bool {
			return !slices.Contains(asked, kind) && there(facts.UserPath(r.base(u), kind).String())
		})
	}
	each := func(u *config.User) bool {
		return unasked(u, func(name string) bool { return !r.cache.Missing(name) })
	}
	const usual = plan.KindP12 // of nearly everybody, and asked for
	if users < manyUsers || !r.allHave(usual) {
		return each
	}
	all := "every .p12 is the first of a user: no " + strings.Join(facts.P12Kinds, " ")
	if rec := r.cache.Known(statcache.Top, statcache.Top); rec != nil && rec.Facts == all {
		return func(*config.User) bool { return false }
	}
	top, ok := r.cache.Stat(statcache.Top)
	names := map[string]bool{}
	err := r.dir.Names(func(name []byte) {
		for _, kind := range facts.P12Kinds {
			if kind != usual && bytes.HasSuffix(name, []byte("."+kind)) {
				names[string(name)] = true
			}
		}
	})
	switch {
	case err != nil:
		return each
	case len(names) == 0 && ok:
		r.cache.Put(statcache.Top, &statcache.Record{Stats: statcache.StatsOf(top), Facts: all}, statcache.Top)
	}
	return func(u *config.User) bool {
		return len(names) > 0 && unasked(u, func(name string) bool { return names[name] })
	}
}

// allHave reports whether a kind of .p12 is the first of every user.
func (r *Reader) allHave(kind plan.Kind) bool {
	for i := range r.opt.Config.Users {
		if u := &r.opt.Config.Users[i]; len(u.P12) > 0 && facts.P12Kind(0, u.P12[0]) != kind {
			return false
		}
	}
	return true
}

// remember gives a user's record, nil where the files do not fit together, and has
// the cache keep it if it may.
func (r *Reader) remember(u *config.User, m *Material) *statcache.Record {
	f := m.Facts
	if p := &f.Passphrase; !fits(f) || p.Other != nil || p.Kind != facts.PassKind(u.Seal) || p.Kind == plan.KindSealed && !p.Recorded {
		return nil
	}
	k, ok := keyRecordOf(u.Passphrase, m.passphrases, f.Passphrase, f.Key, m.files[atPass], m.files[atKey])
	if !ok {
		return nil
	}
	k.cert, k.challenged, k.sealed = f.Crt.Cert.Sum, f.CSR.Request.Challenged, r.sumOf(u)
	stats := make([]outdir.Stat, len(m.files))
	for i := range m.files {
		if stats[i] = m.files[i].content.Stat; i > atPass && stats[i] == (outdir.Stat{}) {
			return nil
		}
	}
	rec := &statcache.Record{Stats: statcache.StatsOf(stats...), Facts: k.packed() + packUser(f)}
	if !k.challenged { // a digest does not tell of a challenge password
		rec.Digest = m.digest
	}
	if r.settled(&k) && f.Passphrase.Closed == nil { // one that nobody has opened is remembered for this run alone
		r.cache.Put(string(f.Owner), rec, r.namesOf(u, nil)...)
	}
	return rec
}

// fits reports whether all files of a user but the passphrase's are there and
// belong together.
func fits(f *facts.User) bool {
	if f.Err != nil || f.Asked != nil || len(f.Stray) > 0 || f.CSR.Request == nil || f.Crt.Cert == nil || len(f.P12) == 0 {
		return false
	}
	if f.Passphrase.Owner != "" || f.Key.Owner != "" || f.CSR.Owner != "" || f.Crt.Owner != "" { // stats do not tell whose they are
		return false
	}
	cert, csr := f.Crt.Cert, f.CSR.Request
	for _, p := range f.P12 {
		if p.Missing || p.Owner != "" || p.Opening != facts.OpensNow || p.Cert != cert.Sum || p.SPKI != cert.SPKI || p.Info.Profile == "" {
			return false
		}
	}
	return f.Crt.Alone && len(cert.Unusual) == 0 && cert.Authority != "" && cert.Plain && onlyEmails(cert.SANs) &&
		cert.SPKI == f.Key.SPKI && csr.SPKI == f.Key.SPKI && csr.Subject == cert.Subject && slices.Equal(csr.SANs, cert.SANs)
}

func onlyEmails(sans []pki.SAN) bool {
	return !slices.ContainsFunc(sans, func(s pki.SAN) bool { return s.Type != pki.SANEmail })
}

// elsewhere is how far the clock of another file system may be from the output
// directory's, in nanoseconds.
const elsewhere = int64(2 * time.Second)

// settled reports whether the file that a passphrase came from cannot have changed
// since without a trace.
func (r *Reader) settled(k *keyRecord) bool { return k.source.Before(r.cache.Clock() - elsewhere) }
