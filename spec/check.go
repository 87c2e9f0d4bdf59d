package spec

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"

	"mtlsplan/internal/config"
	"mtlsplan/internal/pki"
)

// advice is a warning that is given once for the whole spec, where it first
// applies.
type advice struct {
	at              hcl.Range
	summary, detail string
	others          int
}

func (l *loader) advise(at hcl.Range, summary, detail string) {
	for _, a := range l.advice {
		if a.summary == summary {
			if a.at != at {
				a.others++
			}
			return
		}
	}
	l.advice = append(l.advice, &advice{at, summary, detail, 0})
}

func (l *loader) giveAdvice() {
	for _, a := range l.advice {
		detail := a.detail
		switch {
		case a.others == 1:
			detail += " The same goes for one other user."
		case a.others > 1:
			detail += fmt.Sprintf(" The same goes for %d other users.", a.others)
		}
		l.diags = append(l.diags, &hcl.Diagnostic{Severity: hcl.DiagWarning, Summary: a.summary, Detail: detail, Subject: &a.at})
	}
}

// checkRequest refuses attributes of a key that only the user has. The defaults
// may set them: they are for the other users.
func (l *loader) checkRequest(s *userBlock) {
	if s.devices.set {
		l.error(s.devices.at, "Devices beside a csr", fmt.Sprintf("The csr, %s, is for one key, and each device has one of its own. Remove one of the two.", place(s.csr.at)))
	}
	for _, c := range []struct {
		name string
		at   hcl.Range
		set  bool
	}{
		{"key", s.key.at, s.key.set},
		{"reuse_key", s.reuseKey.at, s.reuseKey.set},
		{"passphrase", s.passphrase.at, s.passphrase.set},
		{"previous_passphrase", s.previousPassphrase.at, s.previousPassphrase.set},
		{"p12", s.p12.at, s.p12.set},
		{"kdf_iterations", s.kdfIterations.at, s.kdfIterations.set},
		{"challenge_password", s.challengePassword.at, s.challengePassword.set},
		{"seal", s.seal.at, s.seal.set},
	} {
		if c.set {
			l.error(c.at, "Attribute that csr rules out",
				fmt.Sprintf("With csr, %s, the user has made the key and the request: no key, passphrase or .p12 is made here, and %s would do nothing. Remove one of the two.", place(s.csr.at), c.name))
		}
	}
}

func (l *loader) checkPrevious(pass, previous said[config.Source]) {
	if previous.set && previous.value.Same(pass.value) {
		l.advise(previous.at, "Previous passphrase from the same source",
			"passphrase and previous_passphrase name the same source, so the second is of no use. Let it name the source of the old passphrase, or remove it.")
	}
}

func (l *loader) checkChallenge(pass, challenge said[config.Source]) {
	switch {
	case !challenge.set:
	case challenge.value.Kind == config.Generated:
		l.error(challenge.at, "Generated challenge password",
			"A challenge password is agreed on with the CA beforehand, and nobody knows a generated one. Name its source: "+secretForms+".")
	case challenge.value.Same(pass.value):
		l.error(challenge.at, "Challenge password is the passphrase",
			"A CSR is not encrypted, so this would publish the passphrase of the key. Name another source, or leave challenge_password out: nothing here needs it.")
	default:
		l.advise(challenge.at, "Challenge password in the clear",
			"A CSR is not encrypted: anybody who has the file can read its challenge password. Do not use a password that opens anything else.")
	}
}

// checkEncryption judges key, passphrase, profile and rounds together.
func (l *loader) checkEncryption(u User, pass said[config.Source], key said[pki.KeyType], rounds said[int]) {
	if u.Key == pki.Ed25519 {
		l.advise(key.at, "Key that browsers cannot use",
			`No browser offers a client certificate with an Ed25519 key. For people use "ecdsa-p256"; for programs such as curl it is fine.`)
	}
	for _, p := range u.P12 {
		old := p.OldCiphers()
		if old == "" {
			continue
		}
		if rounds.set && u.KDFIterations < p.MinIterations() && !l.weak[rounds.at] {
			l.weak[rounds.at] = true
			l.error(rounds.at, "Too few iterations",
				fmt.Sprintf(`The .p12 profile %q needs at least %d: its ciphers are old, and only the passphrase protects the key.`, p, p.MinIterations()))
		}
		if pass.set && pass.value.Kind != config.Generated {
			better := "Use { generate = true }"
			if l.cfg.VersionControl {
				better = "Take a random one, as openssl rand -hex 16 prints"
			}
			l.advise(pass.at, "Chosen passphrase with old ciphers",
				fmt.Sprintf(`The .p12 profile %q is %s, which give little protection to a passphrase that a person chose. %s, or p12 = ["modern"] where every device can read that.`, p, old, better))
		}
	}
}
