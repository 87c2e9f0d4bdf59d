package spec

import (
	"errors"
	"slices"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"mtlsplan/internal/config"
	"mtlsplan/internal/seal"
)

// recipients reads a list of them; none may only say that nothing is sealed any more.
func (l *loader) recipients(v value, none bool) (unset said[[]string]) {
	if v.kind == cell {
		words := seal.SplitRecipients(v.text)
		v.kind, v.list = list, nil
		for _, w := range words {
			v.list = append(v.list, value{at: v.at, kind: cell, text: w})
		}
	}
	if !l.is(v, list, `put the recipients in brackets, as in ["age1…"]`) {
		l.hideKey(v)
		return unset
	}
	if len(v.list) == 0 && !none {
		l.error(v.at, "Empty list", "This names nobody beside the recipients of the file's seal block. Leave the seal block out here, or name a recipient.")
		return unset
	}
	out := []string{}
	good := true
	for _, e := range v.list {
		if !l.is(e, text, `put the recipient in double quotes, as in "age1…"`) {
			good = false
			continue
		}
		r, err := seal.ParseRecipient(e.text)
		problem, bad := errors.AsType[*seal.RecipientError](err)
		switch {
		case bad && problem.Secret:
			l.src.hide(e.at)
			l.error(e.at, secretInSpec, problem.Why)
		case bad:
			l.error(e.at, problem.What, problem.Why)
		case slices.Contains(out, r):
			l.error(e.at, "Recipient named twice", "Name each recipient only once; the comment of an SSH key makes it no other.")
		default:
			out = append(out, r)
			continue
		}
		good = false
	}
	if !good {
		return unset
	}
	return say(out, v.at)
}

// hideKey hides a value that could be a private key.
func (l *loader) hideKey(v value) {
	if err, bad := errors.AsType[*seal.RecipientError](parseError(v.text)); bad && err.Secret {
		l.src.hide(v.at)
	}
}

func parseError(text string) error {
	_, err := seal.ParseRecipient(text)
	return err
}

// identity reads where the identity is.
func (l *loader) identity(v value) (none said[config.Source]) {
	s := l.secretRef(v)
	if s.value.Kind == config.Generated {
		l.error(s.at, "Generated identity", "Nothing is sealed to a key that is made here and now. Make one with age-keygen, put its recipient into recipients, and name where the key is: "+secretForms+".")
		return none
	}
	l.checkCommitted(s, "the identity")
	return s
}

// readSeal reads the file's block.
func (l *loader) readSeal(found []*hclsyntax.Block) {
	b := l.only(found, new(sealBlock).target())
	if b == nil {
		return
	}
	l.noLabel(b)
	s := &l.seal
	s.at = b.DefRange()
	l.readBlock(b.Body, s.target())
	l.needsRecipients(b)
	if s.recipients.set && len(s.recipients.value) == 0 && !tried(b.Body, "identity") {
		l.error(s.recipients.at, "Seal without a recipient", "Nobody could ever read a passphrase that is sealed to nobody. Name a recipient. To have what was sealed stored in clear again, name the identity that opens it; where there was nothing yet, remove the block.")
	}
	l.cfg.Seal.Identity = s.identity.value
}

// needsRecipients reports a seal block that names none.
func (l *loader) needsRecipients(b *hclsyntax.Block) {
	if !tried(b.Body, "recipients") {
		l.missing(b.DefRange(), "Seal without recipients", `Say to whom passphrases are sealed: recipients = ["age1…"].`)
	}
}

// sealUser gives a user the recipients of the file, the defaults and the user's own.
func (l *loader) sealUser(u *User, s *userBlock) {
	if u.Passphrase.Kind != config.Generated {
		if s.seal.set {
			l.advise(s.seal.at, "Nothing to seal", "Only a generated passphrase is sealed, and this user's is kept elsewhere. Remove the recipients, or use passphrase = { generate = true }.")
		}
		return
	}
	u.OwnSeal = s.seal.value
	u.Seal = l.seal.recipients.value // shared by many users
	for _, more := range [][]string{l.defaults.seal.value, s.seal.value} {
		for _, r := range more {
			if !slices.Contains(u.Seal, r) {
				u.Seal = append(slices.Clip(u.Seal), r)
			}
		}
	}
}

// checkSeal warns of a block that seals nothing, and of a CA that no later run can use.
func (l *loader) checkSeal() {
	s := &l.seal
	if len(s.recipients.value) == 0 {
		return
	}
	switch {
	case l.cfg.CA.Seal == nil && len(l.cfg.Users) > 0 && !slices.ContainsFunc(l.cfg.Users, func(u User) bool { return u.Seal != nil }):
		l.advise(s.recipients.at, "Nothing to seal", "Only generated passphrases are sealed, and every passphrase of this spec is kept elsewhere. Remove the block, or use passphrase = { generate = true }.")
	case l.cfg.CA.Seal != nil && !s.identity.set:
		l.advise(s.recipients.at, "CA that nobody can use", "The passphrase of the CA is sealed, and no identity opens it here: after the first run nothing can be signed, no certificate and no CRL. Name an identity, or keep the CA's passphrase elsewhere: passphrase = { env = \"VARIABLE\" } in its block.")
	}
}
