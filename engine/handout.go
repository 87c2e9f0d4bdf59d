package engine

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/handout"
	"mtlsplan/internal/input"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/outdir"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/policy"
)

// HandoutRequest is what [Handout] is asked for.
type HandoutRequest struct {
	Owners    []plan.Owner // users and devices of the spec
	Pending   bool         // beside them, everybody who has not been handed out the newest certificate
	Dir       string       // where the directories of users are made, absolute
	Given     bool         // nothing is written: the users have it already
	Overwrite bool         // files that lie there are replaced

	// Page makes the page for a user.
	Page func(plan.HandoutPage) ([]byte, error)

	// Progress, if set, is told how many of all who are meant are done with, from 0 on.
	Progress func(done, total int)
}

// Handout gives users what they need to get in, each in a directory of their own, and
// remembers it. It works under the lock, and reads no passphrase but generated ones, to
// see that they open what is given; one that is sealed, where the identity is at hand. A
// directory that was rehearsed in is refused. A user to whom nothing can be given is a
// failure, and the others go on. Beside an error that has ended it midway stands what was
// handed out until then.
func Handout(ctx context.Context, cfg *config.Config, opt Options, ask HandoutRequest) (*plan.Handout, error) {
	if err := nothingIssued(ctx, cfg, opt); err != nil {
		return nil, err
	}
	if input.Within(ask.Dir, cfg.Output) {
		return nil, plan.Errorf(plan.Usage, "-o %s is in the output directory: name one outside it", ask.Dir)
	}
	// A crash: the lock is the kernel's.
	dir, err := lock(ctx, cfg, opt)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	opt.glance = true
	r := newRun(ctx, cfg, opt, dir)
	defer r.in.Close()
	have, led, err := r.in.Take()
	if err != nil {
		return nil, err
	}
	v, o := r.outlook(have, led)
	h := &handing{run: r, ask: ask, verdict: v, out: &plan.Handout{}}
	for _, n := range v.Plan.Notes {
		if n.Code == plan.HandoutsDamaged {
			h.out.Notes = append(h.out.Notes, n)
		}
	}
	if h.given, err = readHandouts(dir); err != nil && h.given == nil {
		return nil, err
	}
	err = h.all(o.Owners(0))
	h.notInPlace(o.Deployments())
	if len(h.out.Done) > 0 {
		if err := h.remember(); err != nil {
			return h.out, fmt.Errorf("what was handed out is not remembered, so hand it out again: %w", err)
		}
	}
	return h.out, err
}

// remember records what was handed out, once all of it is durable. A crash before: the
// files are there, and their users still wait for them, so that the next handout finds
// them as they are to be. Behind it, all of it is done.
func (h *handing) remember() error {
	if !h.ask.Given {
		if err := handout.Settle(h.ask.Dir); err != nil {
			return err
		}
	}
	batch := h.dir.Begin()
	batch.Put(ledger.HandoutsName, h.given.Text(), outdir.ModeSecret)
	return batch.Commit()
}

// nothingIssued refuses a directory in which there is nothing to hand out, before the
// lock makes one, and one that was rehearsed in.
func nothingIssued(ctx context.Context, cfg *config.Config, opt Options) error {
	dir, err := openDir(cfg)
	if err != nil {
		return err
	}
	defer dir.Close()
	if _, err := checkRehearsal(dir, opt); err != nil {
		return err
	}
	if _, there := dir.FileMode(ledger.IndexName); !there && !dir.Interrupted() {
		return cmp.Or(refused(ctx, cfg, opt, dir), errNothingIssued(cfg))
	}
	return nil
}

// readHandouts reads what users were given. With an error, the result is what could be
// read; nil where the file cannot be written either.
func readHandouts(dir *outdir.Dir) (*ledger.Handouts, error) {
	f, err := dir.Read(ledger.HandoutsName)
	if err != nil {
		return nil, plan.Errorf(plan.FileError, "%w: move it away, and say mtlsplan handout --given NAME of those who have their newest .p12", err)
	}
	h := ledger.ParseHandouts(f.Data)
	if h.Broken > 0 {
		return h, plan.Errorf(plan.FileError, "%s has %d that cannot be read: its users count as waiting for their newest .p12; say mtlsplan handout --given NAME of those who have it",
			filepath.Join(dir.Path(), filepath.FromSlash(ledger.HandoutsName)), h.Broken)
	}
	return h, nil
}

// handing is a handout at work.
type handing struct {
	*run
	ask     HandoutRequest
	verdict *policy.Verdict
	given   *ledger.Handouts
	out     *plan.Handout
}

func (h *handing) all(owners []plan.OwnerStatus) error {
	status := map[plan.Owner]*plan.OwnerStatus{}
	for i := range owners {
		status[owners[i].Owner] = &owners[i]
	}
	asked := map[plan.Owner]bool{}
	for _, o := range h.ask.Owners {
		asked[o] = true
	}
	var meant []*config.User
	for i := range h.cfg.Users {
		u := &h.cfg.Users[i]
		owner := plan.User(u.Name)
		if s := status[owner]; asked[owner] || h.ask.Pending && s != nil && s.Waits() {
			meant = append(meant, u)
		}
	}
	for i, u := range meant {
		if err := h.ctx.Err(); err != nil {
			return err
		}
		if h.ask.Progress != nil {
			h.ask.Progress(i, len(meant))
		}
		owner := plan.User(u.Name)
		s := status[owner]
		d, err := h.one(u, s)
		if err != nil {
			h.out.Failures = append(h.out.Failures, plan.FailureOf(owner, err))
			continue
		}
		h.given.Add(string(owner), s.Sum, h.opt.Now)
		h.out.Done = append(h.out.Done, d)
	}
	return nil
}

// notInPlace warns of sites that may not let in yet whom something was handed out to.
func (h *handing) notInPlace(sites []plan.DeploymentStatus) {
	done := map[plan.Owner]bool{}
	for _, d := range h.out.Done {
		done[d.Owner] = true
	}
	for i := range h.cfg.Sites {
		site := &h.cfg.Sites[i]
		owner := plan.Site(site.Proxy.Name, site.Name)
		j := slices.IndexFunc(sites, func(d plan.DeploymentStatus) bool { return d.Owner == owner })
		if h.ask.Given || j < 0 || sites[j].State == plan.DeploymentCurrent {
			continue
		}
		if !slices.ContainsFunc(h.cfg.Users, func(u config.User) bool { return done[plan.User(u.Name)] && admits(site, &u) }) {
			continue
		}
		why := "the last deployment has failed or was interrupted"
		if sites[j].State == plan.DeploymentBehind {
			why = "what lies on the host of the proxy is not what the directory holds"
		}
		h.out.Notes = append(h.out.Notes, plan.Note{Owner: owner, Code: plan.NotDeployed, Warning: true,
			Message: why + ": who is given a new certificate now may not get in until mtlsplan apply succeeds"})
	}
}

// one hands out to one user.
func (h *handing) one(u *config.User, s *plan.OwnerStatus) (d plan.HandoutDetail, err error) {
	owner := plan.User(u.Name)
	if err := h.ready(u, owner, s); err != nil {
		return d, err
	}
	base := facts.Base(u.Name, h.cfg.CA.Name)
	crt, err := h.certificate(base, s)
	if err != nil {
		return d, err
	}
	d = plan.HandoutDetail{Owner: owner, Email: u.Subject.Email, Serial: s.Serial, SHA256: hex.EncodeToString(s.Sum[:]), NotAfter: plan.Seconds(crt.NotAfter), Files: []string{}}
	name := strings.Replace(u.Name, plan.DeviceSign, ".", 1)
	page := h.page(u, s, crt)
	var files []handout.File
	if u.CSR != "" {
		page.Crt, page.P12 = facts.UserPath(base, plan.KindCrt).String(), name+".p12"
		files = append(files, handout.File{Name: page.Crt, Data: h.withCA(crt)})
	} else {
		p12, profile, pass, err := h.p12(u, s)
		if err != nil {
			return d, err
		}
		page.P12, page.Mobileconfig, page.Modern = p12.Name, name+".mobileconfig", profile != pki.Compat
		files = append(files, handout.File{Name: page.P12, Data: p12.Data}, handout.File{Name: page.Mobileconfig, Data: handout.AppleProfile(handout.Profile{
			ID: h.cfg.CA.Name + "." + name, Cert: s.Sum, Name: page.Label, Service: page.Service, File: page.P12, P12: p12.Data})})
		if u.Passphrase.Kind == config.Generated {
			d.PassphraseFile = filepath.Join(h.cfg.Output, filepath.FromSlash(pass.Name()))
			if page.Open = h.ownWays(u, pass.Name(), name); len(page.Open) > 0 {
				f, err := h.dir.Read(pass.Name())
				if err != nil {
					return d, plan.Errorf(plan.FileError, "%w", err)
				}
				page.Sealed = name + "." + plan.KindSealed
				files = append(files, handout.File{Name: page.Sealed, Data: f.Data})
			}
		} else {
			d.PassphraseSource = u.Passphrase.String()
		}
	}
	if h.ask.Given {
		return d, nil
	}
	html, err := h.ask.Page(page)
	if err != nil {
		return d, err
	}
	files = append(files, handout.File{Name: "index.html", Data: html})
	for _, f := range files {
		d.Files = append(d.Files, f.Name)
	}
	d.Dir = filepath.Join(h.ask.Dir, name)
	err = handout.Put(h.ask.Dir, name, files, h.ask.Overwrite)
	switch {
	case errors.Is(err, handout.ErrTaken):
		return d, plan.Errorf(plan.TargetExists, "%w", err)
	case err != nil:
		return d, plan.Errorf(plan.FileError, "%w", err)
	}
	return d, nil
}

// p12 is the file to hand out: of the profile that opens everywhere, where there is one.
func (h *handing) p12(u *config.User, s *plan.OwnerStatus) (f outdir.File, profile pki.Profile, pass facts.File, err error) {
	i := max(0, slices.Index(u.P12, pki.Compat))
	path := facts.UserPath(facts.Base(u.Name, h.cfg.CA.Name), facts.P12Kind(i, u.P12[i])).String()
	f, err = h.dir.Read(path)
	if err == nil && f.Missing {
		err = errors.New(path + " is not there: run mtlsplan apply first")
	}
	if err != nil {
		return f, "", pass, plan.Errorf(plan.FileError, "%w", err)
	}
	pass, err = h.opens(u, f, u.P12[i], s)
	return f, u.P12[i], pass, err
}

// ownWays are the commands with which a user opens the sealed passphrase, in a file of
// that name in the handout: only where the user's own key is among the recipients.
func (h *handing) ownWays(u *config.User, sealed, name string) []string {
	var out []string
	file, _ := h.in.Sealed().Of(sealed)
	for _, r := range file.Recipients {
		if !slices.Contains(u.OwnSeal, r) {
			continue
		}
		key := "KEY-FILE"
		if kind, _, ssh := strings.Cut(r, " "); ssh {
			key = "~/.ssh/id_" + strings.TrimPrefix(kind, "ssh-")
		}
		if way := "age -d -i " + key + " " + name + "." + plan.KindSealed; !slices.Contains(out, way) {
			out = append(out, way)
		}
	}
	return out
}

// withCA is a certificate and that of the CA which has issued it, in PEM, for mtlsplan
// bundle.
func (h *handing) withCA(crt *x509.Certificate) []byte {
	text := pki.EncodeCertificate(crt.Raw)
	for _, g := range h.verdict.Trust.Generations {
		if crt.CheckSignatureFrom(g.Cert) == nil {
			return append(text, pki.EncodeCertificate(g.Cert.Raw)...)
		}
	}
	return text
}

// ready refuses a user who has nothing to be given, or whom apply gives something else.
func (h *handing) ready(u *config.User, owner plan.Owner, s *plan.OwnerStatus) error {
	for _, f := range h.verdict.Plan.Failures {
		if f.Owner == owner {
			return plan.Errorf(plan.NotReady, "%s; mtlsplan plan says more", f.Message)
		}
	}
	step := pendingStep(h.verdict.Plan, owner)
	switch {
	case u.Revoked != "":
		return plan.Errorf(plan.NotReady, "the spec marks the user as revoked, who is given nothing")
	case step != nil && step.Owner == owner && (step.NotAfter != nil || step.Reimport || slices.ContainsFunc(step.Artefacts, facts.IsP12)):
		return plan.Errorf(plan.NotReady, "apply has something newer for the user: run mtlsplan apply first; mtlsplan plan says why")
	case s == nil || s.HandedOut == nil:
		return plan.Errorf(plan.NotReady, "there is no valid certificate: run mtlsplan apply first; mtlsplan explain %s says more", owner)
	}
	return nil
}

// certificate reads the one that counts.
func (h *handing) certificate(base string, s *plan.OwnerStatus) (*x509.Certificate, error) {
	name := facts.UserPath(base, plan.KindCrt).String()
	f, err := h.dir.Read(name)
	if err != nil {
		return nil, plan.Errorf(plan.FileError, "%w", err)
	}
	certs, err := pki.ParseCertificates(f.Data)
	if f.Missing || err != nil {
		return nil, plan.Errorf(plan.NotReady, "%s cannot be read: mtlsplan apply puts it back", name)
	}
	for _, c := range certs {
		if sha256.Sum256(c.Raw) == s.Sum {
			return c, nil
		}
	}
	return nil, plan.Errorf(plan.NotReady, "%s does not hold the newest certificate: mtlsplan apply puts it back", name)
}

// opens checks a .p12 as far as that can be done without asking for a passphrase: one
// that was generated opens it, and the newest certificate is in it.
func (h *handing) opens(u *config.User, p12 outdir.File, profile pki.Profile, s *plan.OwnerStatus) (pass facts.File, err error) {
	wrong := plan.Errorf(plan.NotReady, "%s does not hold the newest certificate, or does not open with its passphrase: run mtlsplan apply first", p12.Name)
	if _, err := profile.Inspect(p12.Data); err != nil {
		return pass, wrong
	}
	if u.Passphrase.Kind != config.Generated {
		return pass, nil
	}
	value, pass, err := h.in.Generated(u)
	if err != nil {
		return pass, plan.Errorf(plan.PassphraseUnavailable, "%s cannot be read, and the user cannot be told the passphrase: mtlsplan plan says what to do", filepath.Join(h.cfg.Output, filepath.FromSlash(pass.Name())))
	}
	if value.IsZero() { // sealed, and for others to open
		return pass, nil
	}
	inside, err := profile.Open(p12.Data, value)
	if err != nil || sha256.Sum256(inside.Cert.Raw) != s.Sum {
		return pass, wrong
	}
	return pass, nil
}
