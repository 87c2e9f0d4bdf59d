package policy

import (
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
	"mtlsplan/render"
)

// Public is what sites are made of beside the spec.
type Public struct {
	Ledger  *ledger.Ledger
	Trusted []*x509.Certificate // the CAs, the current one first
	Revoked []string            // serials that must be refused, sorted
	Since   time.Time           // certificates that ended before are not named any more
}

// RenderSite renders a site.
func RenderSite(cfg *config.Config, site config.Site, p Public) []render.File {
	path := func(kind plan.Kind) string {
		return filepath.Join(cfg.Output, facts.CAPath(cfg.CA.Name, kind).String())
	}
	settings := site.Settings
	settings.ClientCA = cmp.Or(settings.ClientCA, path(plan.KindCrt))
	settings.CRL = cmp.Or(settings.CRL, path(plan.KindCRL))
	var key []byte
	if len(p.Trusted) > 0 {
		key = p.Trusted[0].RawSubjectPublicKeyInfo
	}
	var users []render.User
	if site.Proxy.NamesUsers(settings) {
		users = holders(cfg, p)
	}
	file := p.Ledger.TrustFile(string(plan.CA(cfg.CA.Name)), p.Trusted)
	var admitted []render.Admitted
	if signed(file, p.Trusted) {
		admitted = holding(p)
	}
	return site.Proxy.Render(render.Site{
		Parents:    len(file) - len(p.Trusted),
		Admitted:   admitted,
		Name:       site.Name,
		Settings:   settings,
		CA:         cfg.CA.Name,
		CAKey:      key,
		Contact:    cfg.CA.Subject.Email,
		Users:      users,
		Revoked:    p.Revoked,
		Generation: generation(file, p.Revoked),
	})
}

// holders are the users of the spec by their serials. A serial that an adopted CA
// has given to several certificates tells of nobody.
func holders(cfg *config.Config, p Public) []render.User {
	users := make(map[string]*config.User, len(cfg.Users))
	for i := range cfg.Users {
		users[string(plan.User(cfg.Users[i].Name))] = &cfg.Users[i]
	}
	for _, m := range cfg.Moved { // whom this run may not be about
		if u := users[string(m.To)]; u != nil {
			users[string(m.From)] = u
		}
	}
	var out []render.User
	for _, r := range p.Ledger.Rows() {
		u := users[r.Owner]
		if u == nil || r.NotAfter.Before(p.Since) {
			continue
		}
		if _, refused := slices.BinarySearch(p.Revoked, r.Serial); !refused {
			out = append(out, render.User{Serial: r.Serial, Name: u.Person(), Device: u.Device, CommonName: u.Subject.CommonName, Email: u.Subject.Email, Groups: u.Groups})
		}
	}
	slices.SortFunc(out, func(a, b render.User) int { return cmp.Compare(a.Serial, b.Serial) })
	return out
}

// holding are the certificates with which somebody gets in where a CA above ours is
// trusted too, and with it all that is below that.
func holding(p Public) []render.Admitted {
	at := map[string]int{}
	var out []render.Admitted
	for serial, fingerprint := range p.Ledger.Fingerprints(p.Since) {
		if _, refused := slices.BinarySearch(p.Revoked, serial); refused {
			continue
		}
		i, shared := at[serial]
		if !shared {
			i = len(out)
			at[serial] = i
			out = append(out, render.Admitted{Serial: serial})
		}
		out[i].Fingerprints = append(out[i].Fingerprints, fingerprint)
	}
	slices.SortFunc(out, func(a, b render.Admitted) int { return cmp.Compare(a.Serial, b.Serial) })
	return out
}

// Follows reports whether a site is another with each certificate that is issued.
func Follows(cfg *config.Config, site config.Site, l *ledger.Ledger, trusted []*x509.Certificate) bool {
	return site.Proxy.NamesUsers(site.Settings) || signed(l.TrustFile(string(plan.CA(cfg.CA.Name)), trusted), trusted)
}

// Since is when the oldest of the CRLs in place was made: sites forget certificates
// that ended before together with the CRLs. It is zero where there is none.
func Since(crl facts.CRL) (oldest time.Time) {
	for _, list := range crl.Lists {
		if oldest.IsZero() || list.ThisUpdate.Before(oldest) {
			oldest = list.ThisUpdate
		}
	}
	return oldest
}

// generation is a digest of the CA certificates and the revocations. Numbers would
// not do: two specs with one CA each would share the sessions of their users.
func generation(trusted []*x509.Certificate, revoked []string) string {
	h := sha256.New()
	for _, ca := range trusted {
		sum := sha256.Sum256(ca.Raw)
		h.Write(sum[:])
	}
	fmt.Fprint(h, strings.Join(revoked, "\n"))
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// judgeSites decides on the sites, which refuse some serials when the plan is
// done. A site that names users follows their certificates, whatever --only says.
func (j *judgement) judgeSites(revoked []string) {
	issues := slices.ContainsFunc(j.verdict.Tasks, func(t *Task) bool { return t.Part == OfUser && t.NewCert })
	for i := range j.Have.Sites {
		s := &j.Have.Sites[i]
		site := j.Config.Sites[i]
		follows := issues && Follows(j.Config, site, j.Ledger, j.issuer.after)
		switch {
		case !j.Ask.Covers(s.Owner) && !follows:
		case s.Err != nil:
			j.fail(s.Owner, fallback(plan.FileError, s.Err))
		case j.issuer.err != nil && j.Have.CA.Crt.Missing:
			j.fail(s.Owner, plan.Errorf(plan.CAUnavailable, "%w; the site would name a CA file that is not there", j.issuer.err))
		default:
			findings := j.examineSite(site, s, revoked)
			j.audience(s.Owner).hearEach(siteQuestions, findings)
			follows = follows && !isRefusal(findings) && !slices.ContainsFunc(findings, func(f finding) bool { return slices.Contains(f.makes, plan.KindSite) })
			if follows {
				findings = append(findings, one(plan.Rebuild, plan.Reason{Code: plan.Upstream, Message: site.Settings.File + " names the certificates that get in, or their users, and this run issues some; a copy made by hand has to be made again"}, plan.KindSite)...)
			}
			t := newTask(OfSite, i, s.Owner, findings)
			if t != nil {
				t.Follows = follows
				if len(s.Copies) == 0 {
					t.Step.Site = j.siteChange(site, s, revoked)
				}
			}
			j.add(t)
		}
	}
}

func (j *judgement) examineSite(site config.Site, have *facts.Site, revoked []string) []finding {
	var out []finding
	if signer := j.abovePublished(); signer != "" && site.Settings.Revocation != "map" {
		return refuse(plan.SettingsChanged, fmt.Sprintf("revocation = %q makes NGINX ask for a CRL of every CA up to %s, which is above this one, and mtlsplan has none of them, so that nobody would get in: set revocation = \"map\"", site.Settings.Revocation, signer))
	}
	trusted := j.issuer.after
	if len(trusted) == 0 {
		trusted = j.Have.CA.Crt.All // made by hand, and not taken over yet
	}
	for _, f := range RenderSite(j.Config, site, Public{j.Ledger, trusted, revoked, j.verdict.Since}) {
		i := slices.IndexFunc(have.Files, func(r facts.Rendered) bool { return r.Name() == f.Name })
		if i < 0 {
			out = append(out, one(plan.Create, plan.Reason{Code: plan.Missing, Check: plan.FilesPresent, Message: f.Name + " is not there"}, plan.KindSite)...)
			continue
		}
		there := &have.Files[i]
		out = append(out, j.examineRendered(site, there, f, revoked)...)
		out = append(out, checked(plan.Modes, coded(plan.Mode, wide(nil, &there.File)))...)
	}
	return out
}

// abovePublished is the CA at the top of those above one that is trusted, "" for none.
func (j *judgement) abovePublished() string {
	for _, g := range j.trust.Signing() {
		if n := len(g.Parents); n > 0 && slices.ContainsFunc(j.issuer.after, g.Cert.Equal) {
			return pki.NameString(g.Parents[n-1].RawSubject)
		}
	}
	return ""
}

// examineRendered compares a file with what it should be. The ledger's checksum
// says whether somebody has edited it, or whether it is to be another.
func (j *judgement) examineRendered(site config.Site, have *facts.Rendered, want render.File, revoked []string) []finding {
	found := func(code plan.Code, action plan.Action, message string) []finding {
		return one(action, plan.Reason{Code: code, Message: want.Name + message}, plan.KindSite)
	}
	written, recorded := j.Ledger.Rendered(want.Name)
	switch {
	case have.Missing:
		return found(plan.Missing, plan.Create, " is not there")
	case have.Sum == sha256.Sum256(want.Data) && (have.Sum == written || j.Ledger.Blank()):
		return nil
	case have.Sum == sha256.Sum256(want.Data):
		return one(plan.Repair, plan.Reason{Code: plan.Damaged, Message: ledger.RenderedName + " does not have the checksum of " + want.Name + "; it is recorded"}, plan.KindDB)
	case !recorded && !j.Ask.Adopt && (j.Ledger.Blank() || len(j.Ledger.RenderedPaths()) > 0):
		return refuse(plan.Unrecorded, want.Name+" is there, and mtlsplan has not written it: move it away, or say --adopt to have it written over")
	case !recorded && !j.Ask.Adopt:
		return found(plan.Damaged, plan.Repair, " is not what the spec asks for, and "+ledger.RenderedName+", which would tell by whom it was changed, is lost")
	case !recorded || have.Sum != written:
		return found(plan.Damaged, plan.Repair, " was edited by somebody else; the spec is the place for settings")
	}
	revocations := [][]string{onCRL(j.Have.CRL), Refused(j.Have.CRL, j.trust.Barred(j.Ledger, j.Have.CRL, j.Now, false))}
	for _, trusted := range [][]*x509.Certificate{j.trust.Certificates(), j.Have.CA.Crt.All} {
		for _, before := range revocations {
			old := Public{j.Ledger, trusted, before, Since(j.Have.CRL)}
			if slices.ContainsFunc(RenderSite(j.Config, site, old), func(f render.File) bool {
				return f.Name == want.Name && have.Sum == sha256.Sum256(f.Data)
			}) {
				cas := !slices.Equal(trusted, j.issuer.after)
				return found(plan.Upstream, plan.Rebuild, " was written before "+whatChanged(cas, !slices.Equal(before, revoked))+" changed")
			}
		}
	}
	what, parts := "settings", "its block in the spec, the CA's e-mail or generation, or the output path has changed"
	if Follows(j.Config, site, j.Ledger, j.issuer.after) {
		what, parts = "users or settings", "their names, e-mails, devices or groups, "+parts+", or a run was interrupted"
	}
	number, is, be := firstDifference(have, want)
	if number == 0 {
		return found(plan.SettingsChanged, plan.Rebuild, " was written from other "+what+": "+parts+", or mtlsplan writes it differently now")
	}
	out := found(plan.SettingsChanged, plan.Rebuild, fmt.Sprintf(" was written from other %s, or mtlsplan writes it differently now; the first line that differs is number %d", what, number))
	out[0].Field, out[0].Have, out[0].Want = "line", is, be
	return out
}

// firstDifference is the first line of a file that is to be another, its number, and what
// it is to be. Lines with the checksum of the whole differ in any case, and do not count;
// number is 0 where no other does.
func firstDifference(have *facts.Rendered, want render.File) (number int, is, be string) {
	lines := func(data []byte, gate string) (out []string, numbers []int) {
		n := 0
		for line := range strings.Lines(string(data)) {
			if n++; gate == "" || !strings.Contains(line, gate) {
				out, numbers = append(out, strings.TrimSpace(line)), append(numbers, n)
			}
		}
		return out, numbers
	}
	old, numbers := lines(have.Data, have.Gate)
	now, _ := lines(want.Data, want.Gate)
	for i := range min(len(old), len(now)) {
		if old[i] != now[i] {
			return numbers[i], shorten(old[i]), shorten(now[i])
		}
	}
	return 0, "", ""
}

// shorten cuts a line of a site to what a message has room for.
func shorten(line string) string {
	const most = 100
	if r := []rune(line); len(r) > most {
		return string(r[:most]) + "…"
	}
	return line
}

// whatChanged names that of which a site was made.
func whatChanged(cas, revocations bool) string {
	switch {
	case cas && revocations:
		return "the CAs and the revocations"
	case cas:
		return "the CAs"
	case revocations:
		return "the revocations"
	}
	return "the certificates that get in"
}
