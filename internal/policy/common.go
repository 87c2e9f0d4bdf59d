package policy

import (
	"errors"
	"fmt"
	"path/filepath"

	"mtlsplan/internal/config"
	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
)

// Rules that hold for the CA and for users alike.

// fallback gives an error a code unless it has one.
func fallback(code plan.Code, err error) error {
	if _, has := errors.AsType[*plan.Error](err); has {
		return err
	}
	return &plan.Error{Code: code, Err: err}
}

// errUnavailable is why an owner's passphrase could not be read, nil when it
// could.
func errUnavailable(p *facts.Passphrase) error {
	if p.Err == nil {
		return nil
	}
	return fallback(plan.PassphraseUnavailable, p.Err)
}

// errWrongPassphrase says what can be done about a key that does not open; adopted
// says that it was made by hand.
func errWrongPassphrase(owner plan.Owner, k *facts.Key, p *facts.Passphrase, source, previous config.Source, adopted bool) error {
	ways := func(ways ...string) string {
		if ledger.IsUser(string(owner)) {
			ways = append(ways, "have a new key made with "+replaceFlag(owner, adopted))
		}
		return either(ways)
	}
	const asPrevious = "name the passphrase that it was made with as previous_passphrase"
	generated := source.Kind == config.Generated
	switch {
	case generated && !p.Made && adopted:
		return plan.Errorf(plan.PassphraseUnavailable, "%s is encrypted with a passphrase of its own, and none was generated for it yet: %s", k.Name(), ways(asPrevious))
	case generated && !p.Made:
		return plan.Errorf(plan.PassphraseUnavailable, "the generated passphrase %s is gone, and %s does not open without it: %s", p.Name(), k.Name(),
			ways("restore it from a backup", asPrevious))
	case p.PreviousErr != nil:
		return plan.Errorf(plan.PassphraseUnavailable, "the passphrase does not open %s, and previous_passphrase cannot be read: %w", k.Name(), p.PreviousErr)
	case !previous.IsZero():
		return plan.Errorf(plan.PassphraseWrong, "neither passphrase nor previous_passphrase opens %s; nothing was touched: %s", k.Name(), ways(asPrevious))
	case !generated && !p.Missing:
		return plan.Errorf(plan.PassphraseWrong, "the passphrase does not open %s; nothing was touched: %s holds a generated one: %s", k.Name(), p.Name(),
			ways("to change from it, set previous_passphrase = { generate = true }"))
	}
	return plan.Errorf(plan.PassphraseWrong, "the passphrase does not open %s; nothing was touched: %s", k.Name(), ways("correct it", asPrevious))
}

// errOtherCipher says how a key becomes readable that is encrypted in a way that is not read
// here, nil for any other key: it is sound, and neither a backup nor a new one is called
// for.
func errOtherCipher(output string, k *facts.Key) error {
	e, ok := errors.AsType[*pki.CipherError](k.Why)
	if !ok || k.Opening != facts.Unreadable {
		return nil
	}
	legacy, path := "", filepath.Join(output, k.Name())
	if pki.Legacy(e.Name) {
		legacy = "-provider legacy -provider default "
	}
	return plan.Errorf(plan.Unreadable, "%s is encrypted with %s, which mtlsplan does not read; nothing was touched: encrypt it anew, with the same passphrase (openssl pkcs8 -topk8 -v2 aes-256-cbc %s-in %s -out %s.new && mv %s.new %s)",
		k.Name(), e.Name, legacy, path, path, path, path)
}

func keyPassphrase(k *facts.Key, p *facts.Passphrase, source config.Source, recipients []string) []finding {
	if k.Opening != facts.OpensPrevious {
		return nil
	}
	return encrypt(p, source, recipients, plan.Reason{Message: k.Name() + " opens with previous_passphrase and not with passphrase"})
}

// encrypt writes a key under the spec's passphrase, which is made with it where it was
// never generated.
func encrypt(p *facts.Passphrase, source config.Source, recipients []string, r plan.Reason) []finding {
	f := one(plan.Rebuild, r, plan.KindKey)
	if source.Kind == config.Generated && !p.Made {
		f[0].fresh(recipients)
	}
	return f
}

func keyEncoding(k *facts.Key, p *facts.Passphrase, source config.Source, recipients []string, iterations int) []finding {
	change := func(field, have, want string) []finding {
		return encrypt(p, source, recipients, plan.Reason{Message: k.Name() + " has another " + field + " than the spec asks for", Field: field, Have: have, Want: want})
	}
	switch {
	case k.Missing:
		return nil
	case k.InP12:
		return encrypt(p, source, recipients, plan.Reason{Message: "there is no key file: the key is taken out of " + k.Name()})
	case k.Info.Plain():
		return encrypt(p, source, recipients, plan.Reason{Message: k.Name() + " is not encrypted, so whoever gets a copy of it has the key", Field: "encoding", Have: k.Info.Encoding, Want: pki.KeyEncoding})
	case k.Info.Encoding != pki.KeyEncoding:
		return change("encoding", k.Info.Encoding, pki.KeyEncoding)
	case k.Info.Iterations != iterations:
		return change("kdf_iterations", fmt.Sprint(k.Info.Iterations), fmt.Sprint(iterations))
	}
	return nil
}

// strayPass removes a generated passphrase that opens nothing any more.
func strayPass(p *facts.Passphrase, source config.Source) []finding {
	if p.Missing || source.Kind == config.Generated {
		return nil
	}
	removes := []facts.File{p.File}
	if p.Other != nil {
		removes = append(removes, *p.Other)
	}
	return []finding{{Reason: plan.Reason{Message: p.Name() + " holds a generated passphrase, and the spec names another source", Field: "passphrase"},
		action: plan.Rebuild, removes: removes}}
}

// wide appends a finding to out when a file's permission bits are wider than
// they may be, or when a secret belongs to somebody else, who can read it.
func wide(out []finding, f *facts.File) []finding {
	if f.Owner != "" && !f.Missing && facts.ModeOf(f.Kind) == facts.ModeSecret {
		return append(out, finding{Reason: plan.Reason{Message: fmt.Sprintf("%s belongs to %s, and not to the owner of the directory", f.Name(), f.Owner), Field: "owner", Have: f.Owner},
			action: plan.Repair, fixes: []facts.File{*f}})
	}
	// The narrowest comes first: it is enough for nearly all files of many users.
	if f.Missing || f.Mode&^facts.ModeOf(f.Kind) == 0 || f.Mode&^f.Widest() == 0 {
		return out
	}
	return append(out, finding{Reason: plan.Reason{Message: f.Name() + " is open to more than it should be", Field: "mode", Have: perm(f.Mode), Want: perm(f.Mode & f.Widest())},
		action: plan.Repair, fixes: []facts.File{*f}})
}

// subjectDiff names the attributes in which two subjects differ.
func subjectDiff(have, want pki.Subject) []pki.Mismatch {
	if have == want {
		return nil
	}
	var out []pki.Mismatch
	w := subjectFields(want)
	for i, h := range subjectFields(have) {
		if h.value != w[i].value {
			out = append(out, pki.Mismatch{Field: "subject." + h.name, Have: h.value, Want: w[i].value})
		}
	}
	return out
}

// subjectFields are a subject's attributes by the names that the spec has for them.
func subjectFields(s pki.Subject) []struct{ name, value string } {
	return []struct{ name, value string }{
		{"country", s.Country}, {"province", s.Province}, {"locality", s.Locality}, {"organization", s.Organization},
		{"organizational_unit", s.OrganizationalUnit}, {"common_name", s.CommonName}, {"email", s.Email},
	}
}

// describeCert says what certificate was found.
func describeCert(c *facts.CertificateFile) string {
	switch {
	case c.Missing:
		return "no certificate"
	case c.Cert == nil:
		return "a certificate that cannot be read"
	}
	return fmt.Sprintf("a version %d certificate with serial %s until %s", c.Cert.Version, c.Cert.Serial, day(c.Cert.NotAfter))
}
