package spec

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"mtlsplan/internal/config"
)

// What version_control asks of the rest of a spec: a repository is read by more than
// those who may have a passphrase, and is checked out in more than one place.

// checkout holds what was found of the users, who are told of once.
type checkout struct {
	at     hcl.Range // of the first
	who    string
	others int
}

// writtenInClear reports whether a passphrase from this source lies in the output
// directory in clear: a generated one that is sealed to nobody does.
func writtenInClear(source config.Source, recipients []string) bool {
	return source.Kind == config.Generated && len(recipients) == 0
}

// checkCommitted reports a file with a secret that lies in the output directory itself.
// A previous_passphrase may: the run that needs it removes it.
func (l *loader) checkCommitted(source said[config.Source], what string) {
	file, output := source.value.File, cmp.Or(l.cfg.Output, l.file.output.value)
	if l.cfg.VersionControl && strings.HasPrefix(file, output+"/") && !l.committed[file] {
		l.committed[file] = true
		l.error(source.at, "Secret in a repository", fmt.Sprintf(
			"With version_control = true the output directory lies in a repository, and this file in it holds %s in clear. Keep the file outside of the repository, or name another source: { env = \"VARIABLE\" } or { command = [\"program\", \"argument\"] }.", what))
	}
}

// checkInClear finds a user whose passphrase a repository would hold in clear.
func (l *loader) checkInClear(s *userBlock, pass said[config.Source], recipients []string) {
	l.checkCommitted(pass, "the passphrase of user."+s.name)
	if !l.cfg.VersionControl || s.csr.set || !writtenInClear(pass.value, recipients) {
		return
	}
	if l.inClear.who != "" {
		l.inClear.others++
		return
	}
	l.inClear.who, l.inClear.at = "user."+s.name, s.origin
	if pass.set {
		l.inClear.at = pass.at
	}
}

// checkCheckout reports what version_control cannot be true beside.
func (l *loader) checkCheckout() {
	if !l.cfg.VersionControl {
		return
	}
	if pass := l.ca.passphrase.or(generated); l.ca.body != nil && writtenInClear(pass.value, l.cfg.CA.Seal) {
		at := l.ca.origin
		if pass.set {
			at = pass.at
		}
		l.errorInClear(at, "ca."+l.ca.name, 0)
	}
	l.checkCommitted(l.ca.passphrase, "the passphrase of ca."+l.ca.name)
	if c := l.inClear; c.who != "" {
		l.errorInClear(c.at, c.who, c.others)
	}
	for _, site := range l.cfg.Sites {
		if unset := site.Proxy.Unnamed(site.Settings); len(unset) > 0 {
			l.error(site.Origin, "Path of a checkout", fmt.Sprintf(
				"With version_control = true the output directory lies elsewhere in every checkout, so the site cannot name files in it. Set %s: the path at which the proxy's host has that file.", strings.Join(unset, " and ")))
		}
	}
}

func (l *loader) errorInClear(at hcl.Range, owner string, others int) {
	detail := fmt.Sprintf("With version_control = true the output directory lies in a repository, and %s has a generated passphrase, which would lie there in clear beside the key that it protects. Seal it, with seal { recipients = [\"age1…\"] }, or name another source: %s.", owner, secretForms)
	switch {
	case others == 1:
		detail += " The same goes for one other user."
	case others > 1:
		detail += fmt.Sprintf(" The same goes for %d other users.", others)
	}
	l.error(at, "Generated passphrase in a repository", detail)
}
