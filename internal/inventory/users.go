package inventory

import (
	"slices"
	"strings"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/statcache"
)

// users are the users of the spec who may come in and whom the run is about. Of
// 100,000 nearly all are known by a packed record, from which the facts are made
// when somebody asks.
type users struct {
	r     *Reader
	slots []slot
	last  unpacked // the facts of the one who was asked for last
}

// slot is one user: known by a record, or read, or absent.
type slot struct {
	spec   int // place in the users of the spec
	owner  plan.Owner
	rec    *statcache.Record // nil for one who has none
	full   *facts.User       // nil for one whom the record tells all of
	absent bool              // nothing of the user is there yet
}

// Len is how many there are.
func (us *users) Len() int { return len(us.slots) }

// Spec is the place of the i-th in the users of the spec.
func (us *users) Spec(i int) int { return us.slots[i].spec }

func (us *users) config(i int) *config.User { return &us.r.opt.Config.Users[us.slots[i].spec] }

// User gives the facts of the i-th. They hold until the next call.
func (us *users) User(i int) *facts.User {
	s, u := &us.slots[i], us.config(i)
	switch {
	case s.full != nil:
		return s.full
	case s.absent:
		absent(&us.last.User, u, s.owner, us.r.base(u))
	case us.last.unpack(s.rec, u, s.owner, us.r.base(u)) != nil:
		return &facts.User{Owner: s.owner, Err: errRecord}
	default:
		us.r.keepModes(&us.last.User)
		if len(u.Seal) > 0 && u.Passphrase.Kind == config.Generated {
			us.r.sealedFacts(&us.last.Passphrase)
		}
	}
	return &us.last.User
}

// readUsers finds the users and what is there of them: those whose files are all
// known first, then the others by reading.
func (r *Reader) readUsers() (*users, error) {
	us := &users{r: r}
	for i := range r.opt.Config.Users {
		u := &r.opt.Config.Users[i]
		if owner := plan.User(u.Name); u.Revoked == "" && r.opt.Covers(owner) {
			us.slots = append(us.slots, slot{spec: i, owner: owner})
		}
	}
	if !r.opt.Thorough && !r.opt.Adopt && r.cache.Works() {
		stray := r.strays(len(us.slots))
		forEach(r.ctx, r.opt.Parallel, len(us.slots), func(i int) {
			us.slots[i].rec = r.known(us.config(i), us.slots[i].owner, stray)
		})
	}
	var unknown []int
	for i := range us.slots {
		if us.slots[i].rec == nil {
			unknown = append(unknown, i)
		}
	}
	one := r.progress(len(unknown))
	forEach(r.ctx, r.opt.Parallel, len(unknown), func(i int) {
		r.look(us.config(unknown[i]), &us.slots[unknown[i]])
		one()
	})
	return us, r.ctx.Err()
}

// look reads the files of a user, and keeps no more of it than is needed.
func (r *Reader) look(u *config.User, s *slot) {
	m := r.readUser(u)
	s.full = m.Facts
	if r.opt.Thorough || r.opt.Adopt || r.opt.Blind {
		return
	}
	if nothing(u, m.Facts) {
		s.full, s.absent = nil, true
		return
	}
	if rec := r.remember(u, m); rec != nil && !m.Facts.CSR.Request.Challenged && u.ChallengePassword.IsZero() {
		s.rec, s.full = rec, nil
	}
}

// relate finds what the ledger holds of each user. Of one who is known by a record,
// that is enough where the certificate in place is the newest for its key;
// otherwise the files themselves are read. A reader beside a writer then reads the
// ledger again too, which was of an earlier moment.
func (r *Reader) relate() error {
	for {
		closer := r.compare()
		if len(closer) == 0 {
			return nil
		}
		one := r.progress(len(closer))
		forEach(r.ctx, r.opt.Parallel, len(closer), func(i int) {
			r.users.slots[closer[i]].full = r.readUser(r.users.config(closer[i])).Facts
			one()
		})
		if err := r.ctx.Err(); err != nil {
			return err
		}
		if r.dir.Writable() {
			continue
		}
		if err := r.readLedger(); err != nil {
			return err
		}
	}
}

// compare finds the recorded certificates of the users who were read, and the
// users of whom a record does not tell enough.
func (r *Reader) compare() (closer []int) {
	for i := range r.users.slots {
		s := &r.users.slots[i]
		switch {
		case s.full != nil:
			r.findRecorded(s.full)
			if r.opt.Glance || s.full.Passphrase.Closed != nil {
				r.glanceUser(r.users.config(i), s.full)
			}
		case !s.absent:
			cert, spki := headOf(s.rec)
			newest := r.ledger.IssuedTo(string(r.recordedAs(s.owner))).Newest(spki, r.opt.Now)
			if newest == nil || newest.Sum != cert {
				closer = append(closer, i)
			}
		}
	}
	return closer
}

func (r *Reader) findRecorded(u *facts.User) {
	u.Recorded = nil
	newest := r.ledger.IssuedTo(string(r.recordedAs(u.Owner))).Newest(u.Key.SPKI, r.opt.Now)
	switch {
	case newest == nil:
	case u.Crt.Cert != nil && u.Crt.Cert.Sum == newest.Sum:
		u.Recorded = u.Crt.Cert
	default:
		cert, err := r.certificate(newest)
		if err != nil {
			if u.Err == nil {
				u.Err = plan.Errorf(plan.FileError, "%w", err)
			}
			return
		}
		u.Recorded = factsOf(cert)
	}
}

// bystanders finds certificates of users whom the run is not about and of whom the
// ledger knows nothing. Nothing of theirs is touched, but a serial that they share
// must be known to be theirs too, before somebody revokes it.
func (r *Reader) bystanders() (out []facts.Bystander, err error) {
	if !r.opt.Adopt {
		return nil, nil
	}
	for i := range r.opt.Config.Users {
		u := &r.opt.Config.Users[i]
		owner := plan.User(u.Name)
		if r.opt.Covers(owner) || r.ledger.IssuedTo(string(r.recordedAs(owner))).Len() > 0 {
			continue
		}
		f, err := r.file(plan.KindCrt, facts.UserPath(r.base(u), plan.KindCrt))
		if err != nil {
			return nil, err
		}
		if c := certificates(f); c.Cert != nil {
			out = append(out, facts.Bystander{Owner: owner, Crt: c})
		}
	}
	return out, nil
}

// strangers finds certificates in files that are called like those of users, of nobody
// whom spec or ledger knows, and those that easy-rsa has issued.
func (r *Reader) strangers() ([]facts.CertificateFile, error) {
	if !r.opt.Adopt && !r.opt.Prove && !r.opt.Config.VersionControl {
		return nil, nil
	}
	names, err := r.dir.List(".")
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for i := range r.opt.Config.Users {
		known[r.base(&r.opt.Config.Users[i])] = true
	}
	for _, owner := range r.ledger.Owners() {
		if name, isUser := plan.Owner(owner).UserName(); isUser {
			known[r.baseOf(name)] = true
		}
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		base, isCrt := strings.CutSuffix(name, "."+plan.KindCrt)
		return !isCrt || known[base] || !strings.HasSuffix(base, "-"+r.opt.Config.CA.Name)
	})
	issued, _ := r.dir.List("issued") // where easy-rsa has them; whatever else has that name is nobody's business
	for _, name := range issued {
		if strings.HasSuffix(name, "."+plan.KindCrt) {
			names = append(names, "issued/"+name)
		}
	}
	var out []facts.CertificateFile
	for _, name := range names {
		f, err := r.file(plan.KindCrt, facts.At(name))
		if err != nil {
			continue // a directory, say: no certificate
		}
		if c := certificates(f); c.Cert != nil && c.Cert.X509 != nil {
			out = append(out, c)
		}
	}
	return out, nil
}

var _ ledger.Reader = database{}
