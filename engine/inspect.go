package engine

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/policy"
	"mtlsplan/render"
)

// RenderSite renders a site of the spec as it would be with what the
// directory holds now. It needs no passphrase and no directory. An error of the code
// [plan.Refused] is of a directory that apply refuses: its database may lack revocations,
// and whoever is revoked would get in through the site.
func RenderSite(ctx context.Context, cfg *config.Config, opt Options, site config.Site) ([]render.File, error) {
	dir, err := openDir(cfg)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	opt.scope, opt.glance = func(plan.Owner) bool { return false }, true
	r := newRun(ctx, cfg, opt, dir)
	defer r.in.Close()
	st, err := r.takeStock()
	if err != nil {
		return nil, err
	}
	// A CA that was made by hand and is not adopted yet has revoked nobody that is known.
	byHand := st.ledger.Blank() && st.have.CRL.Missing
	if err := st.refusal(); err != nil && !byHand {
		return nil, err
	}
	trust := st.verdict.Trust
	barred := trust.Barred(st.verdict.Ledger, st.have.CRL, opt.Now, false)
	return policy.RenderSite(cfg, site, policy.Public{
		Ledger: st.verdict.Ledger, Trusted: trust.Certificates(), Revoked: policy.Refused(st.have.CRL, barred), Since: policy.Since(st.have.CRL)}), nil
}

// Inspect returns one owner in full: a user of the spec or of the CA database, or
// the CA.
func Inspect(ctx context.Context, cfg *config.Config, opt Options, owner plan.Owner) (*plan.Details, error) {
	dir, err := openDir(cfg)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	opt.Only, opt.thorough = []plan.Owner{owner}, true
	r := newRun(ctx, cfg, opt, dir)
	defer r.in.Close()
	st, err := r.takeStock()
	if err != nil {
		return nil, err
	}
	d := &plan.Details{Owner: owner}
	for _, f := range st.verdict.Plan.Failures {
		if f.Owner == owner {
			d.Failures = append(d.Failures, f)
		}
	}
	d.Step = pendingStep(st.verdict.Plan, owner)
	for _, row := range st.verdict.Ledger.RowsOf(string(owner)) {
		d.Issued = append(d.Issued, issuedDetail(row, r.opt.Now))
	}
	show := details{Details: d, cfg: cfg}
	switch {
	case owner == st.have.CA.Owner:
		show.ca(st)
	case st.have.Users.Len() > 0:
		given, _ := readHandouts(dir)
		if given == nil {
			given = ledger.ParseHandouts(nil) // status warns of it
		}
		show.user(st.have.Users.User(0), &cfg.Users[st.have.Users.Spec(0)], given)
	default:
		err = show.departed(r, st)
	}
	return d, err
}

// pendingStep is what apply would do for an owner, nil for nothing; where the plan
// is refused, the refusal, whose ever it is.
func pendingStep(p *plan.Plan, owner plan.Owner) *plan.Step {
	i := slices.IndexFunc(p.Steps, func(s plan.Step) bool { return s.Owner == owner })
	if i < 0 && p.Refused() {
		i = 0
	}
	if i < 0 {
		return nil
	}
	return &p.Steps[i]
}

// details fills [plan.Details].
type details struct {
	*plan.Details
	cfg *config.Config
}

func (d details) ca(st stock) {
	ca := &st.have.CA
	d.Certificates = append(d.Certificates, ca.Crt.All...)
	d.file(ca.Key.File, keyState(ca.Key, ca.Passphrase), keyFacts(ca.Key, ca.Passphrase))
	d.file(ca.Crt.File, readable(ca.Crt.Cert != nil), certificateFacts(ca.Crt))
	d.file(st.have.CRL.File, readable(!st.have.CRL.Damaged), crlFacts(st))
	d.passphrase(ca.Passphrase, d.cfg.CA.Passphrase)
}

func (d details) user(u *facts.User, spec *config.User, given *ledger.Handouts) {
	if u.Crt.Cert != nil {
		d.Certificates = append(d.Certificates, u.Crt.Cert.X509)
		if at := given.At(u.Crt.Cert.Sum); !at.IsZero() {
			d.HandedOut = new(plan.Seconds(at))
		}
	}
	own := spec.CSR != "" // the key is with the user
	if !own {
		d.file(u.Key.File, keyState(u.Key, u.Passphrase), keyFacts(u.Key, u.Passphrase))
	}
	d.file(u.CSR.File, readable(u.CSR.Request != nil), requestFacts(u.CSR))
	d.file(u.Crt.File, readable(u.Crt.Cert != nil), certificateFacts(u.Crt))
	if own {
		return
	}
	for _, p := range u.P12 {
		d.file(p.File, p12State(p, u.Passphrase), p12Facts(p, u))
	}
	d.passphrase(u.Passphrase, spec.Passphrase)
}

// fileState is what can be said of a file that is there.
type fileState struct{ code, message string }

var fileOK = fileState{code: plan.FileOK}

func (d details) file(f facts.File, state fileState, list []plan.FileFact) {
	out := plan.FileDetail{Kind: f.Kind, Path: filepath.Join(d.cfg.Output, filepath.FromSlash(f.Name())), State: plan.FileMissing}
	if !f.Missing {
		out.Mode, out.State, out.Message, out.Facts = fmt.Sprintf("%04o", (f.Mode|f.Loose).Perm()), state.code, state.message, list
	}
	d.Files = append(d.Files, out)
}

func (d details) passphrase(p facts.Passphrase, source config.Source) {
	if source.Kind != config.Generated {
		return
	}
	var list []plan.FileFact
	state := fileOK
	if p.Kind == plan.KindSealed {
		to := "not known"
		if p.Recorded {
			to = config.ShortRecipients(p.Recipients)
		}
		list = append(list, plan.FileFact{Name: plan.FactRecipients, Value: to})
		if why := cmp.Or(p.Err, p.Closed); why != nil {
			state = fileState{plan.FileLocked, why.Error()}
		}
	}
	d.file(p.File, state, list)
}

func issuedDetail(r ledger.Row, now time.Time) plan.IssuedDetail {
	d := plan.IssuedDetail{Serial: r.Serial, State: "valid", NotAfter: r.NotAfter, Subject: r.Subject}
	switch {
	case r.State == ledger.Revoked:
		d.State, d.RevokedAt, d.Reason = "revoked", &r.Revoked, r.Reason
		if d.Reason == "" {
			d.Reason = "unspecified"
		}
	case now.After(r.NotAfter):
		d.State = "expired"
	}
	return d
}

func readable(ok bool) fileState {
	if ok {
		return fileOK
	}
	return fileState{plan.FileDamaged, "it cannot be read"}
}

func keyState(k facts.Key, p facts.Passphrase) fileState {
	switch {
	case k.Opening == facts.Unreadable:
		return fileState{plan.FileDamaged, "it holds no key that can be read"}
	case p.Err != nil:
		return fileState{plan.FileLocked, p.Err.Error()}
	case p.Closed != nil:
		return fileState{plan.FileLocked, p.Closed.Error()}
	case k.Opening == facts.OpensNeither:
		return fileState{plan.FileLocked, "the passphrase is wrong"}
	case k.Opening == facts.OpensPrevious:
		return fileState{plan.FilePreviousPassphrase, "it opens with previous_passphrase"}
	}
	return fileOK
}

func p12State(p facts.P12, pass facts.Passphrase) fileState {
	switch {
	case p.Opening == facts.Unreadable:
		return fileState{plan.FileDamaged, "it cannot be read"}
	case pass.Err != nil:
		return fileState{plan.FileLocked, pass.Err.Error()}
	case pass.Closed != nil:
		return fileState{plan.FileLocked, pass.Closed.Error()}
	case p.Opening != facts.OpensNow:
		return fileState{plan.FileLocked, "the passphrase is wrong"}
	}
	return fileOK
}

func keyFacts(k facts.Key, p facts.Passphrase) []plan.FileFact {
	list := []plan.FileFact{{Name: plan.FactEncoding, Value: k.Info.Encoding}, {Name: plan.FactIterations, Value: fmt.Sprint(k.Info.Iterations)}}
	if k.Type != "" && p.Closed == nil {
		list = append([]plan.FileFact{{Name: plan.FactType, Value: string(k.Type)}}, list...)
		list = append(list, plan.FileFact{Name: plan.FactSPKISHA256, Value: k.SPKI})
	}
	return list
}

func requestFacts(c facts.RequestFile) []plan.FileFact {
	if c.Request == nil {
		return nil
	}
	challenge := "none"
	if c.Request.Challenged {
		challenge = "set"
	}
	return []plan.FileFact{{Name: plan.FactSubject, Value: pki.NameString([]byte(c.Request.Subject))}, {Name: plan.FactEmail, Value: pki.SANText(c.Request.SANs)},
		{Name: plan.FactChallengePassword, Value: challenge}, {Name: plan.FactSPKISHA256, Value: c.Request.SPKI}}
}

func certificateFacts(c facts.CertificateFile) []plan.FileFact {
	if c.Cert == nil {
		return nil
	}
	return []plan.FileFact{{Name: plan.FactSerial, Value: c.Cert.Serial}, {Name: plan.FactNotAfter, Value: instant(c.Cert.NotAfter)}, {Name: plan.FactSPKISHA256, Value: c.Cert.SPKI}}
}

func crlFacts(st stock) []plan.FileFact {
	var list []plan.FileFact
	for _, g := range st.verdict.Trust.Signing() {
		crl := st.have.CRL.Lists[g.SPKI]
		if crl == nil {
			continue
		}
		list = append(list, plan.FileFact{Name: plan.FactGeneration, Value: fmt.Sprint(g.Number)})
		if crl.Number != nil {
			list = append(list, plan.FileFact{Name: plan.FactNumber, Value: crl.Number.String()})
		}
		list = append(list, plan.FileFact{Name: plan.FactThisUpdate, Value: instant(crl.ThisUpdate)}, plan.FileFact{Name: plan.FactNextUpdate, Value: instant(crl.NextUpdate)},
			plan.FileFact{Name: plan.FactRevoked, Value: fmt.Sprint(len(crl.RevokedCertificateEntries))})
	}
	return list
}

func p12Facts(p facts.P12, u *facts.User) []plan.FileFact {
	list := []plan.FileFact{{Name: plan.FactProfile, Value: string(p.Info.Profile)}, {Name: plan.FactEncoding, Value: p.Info.Encoding}}
	if n := p.Info.Iterations; n > 0 {
		list = append(list, plan.FileFact{Name: plan.FactIterations, Value: fmt.Sprint(n)})
	}
	if p.Opening != facts.OpensNow || u.Passphrase.Closed != nil {
		return list
	}
	same := "no"
	if u.Crt.Cert != nil && u.Crt.Cert.Sum == p.Cert && p.SPKI == u.Key.SPKI {
		same = "yes"
	}
	return append(list, plan.FileFact{Name: plan.FactHolds, Value: same})
}

// instant writes a time for scripts.
func instant(t time.Time) string { return t.UTC().Format(time.RFC3339) }
