package engine

import (
	"fmt"
	"io/fs"
	"time"

	"mtlsplan/internal/config"
	"mtlsplan/internal/outdir"
	"mtlsplan/internal/pki"
)

// What is asked of the CA and of users alike.

// lookCloser is found where what is remembered of a user does not tell all, and
// stands for whatever the files themselves show.
var lookCloser = []finding{{}}

// errWrongPassphrase says what can be done about a key that does not open.
func errWrongPassphrase(k keyFacts, p passphrases, generated, hasPrevious bool) error {
	switch {
	case generated && p.now.IsZero():
		return fmt.Errorf("the generated passphrase %s is gone, and %s does not open without it: restore it from a backup, or name the passphrase as previous_passphrase", p.file.name, k.name)
	case p.previousErr != nil:
		return fmt.Errorf("the passphrase does not open %s, and previous_passphrase cannot be had: %w", k.name, p.previousErr)
	case hasPrevious:
		return fmt.Errorf("neither passphrase nor previous_passphrase opens %s; nothing was touched: name the one that it was made with as previous_passphrase", k.name)
	}
	if !generated && !p.file.missing {
		return fmt.Errorf("the passphrase does not open %s; nothing was touched: a generated one lies in %s; to go over from it, say previous_passphrase = { generate = true }", k.name, p.file.name)
	}
	return fmt.Errorf("the passphrase does not open %s; nothing was touched: correct it, or name the one that the key was made with as previous_passphrase", k.name)
}

// ahead reports whether a date lies further ahead than clocks differ: what bears
// it was made while the clock was wrong.
func ahead(now, date time.Time) bool { return now.Before(date.Add(-backdate)) }

func keyPassphrase(k keyFacts, p passphrases) []finding {
	if k.opened != opensPrevious {
		return nil
	}
	makes := []string{kindKey}
	if p.now.IsZero() {
		makes = append(makes, kindPass)
	}
	return []finding{{Reason: Reason{Message: k.name + " opens with previous_passphrase and not with passphrase"}, action: Rebuild, makes: makes}}
}

func keyEncoding(k keyFacts, iterations int) []finding {
	change := func(field, have, want string) []finding {
		return []finding{{Reason: Reason{Message: k.name + " has another " + field + " than the spec asks for", Field: field, Have: have, Want: want},
			action: Rebuild, makes: []string{kindKey}}}
	}
	switch {
	case k.missing:
		return nil
	case k.info.Encoding != pki.KeyEncoding:
		return change("encoding", k.info.Encoding, pki.KeyEncoding)
	case k.info.Iterations != iterations:
		return change("kdf_iterations", fmt.Sprint(k.info.Iterations), fmt.Sprint(iterations))
	}
	return nil
}

// strayPass removes a generated passphrase that opens nothing any more.
func strayPass(p passphrases, source config.Source) []finding {
	if p.file.missing || source.Kind == config.Generated {
		return nil
	}
	return []finding{{Reason: Reason{Message: p.file.name + " holds a generated passphrase, and the spec names another source", Field: "passphrase"},
		action: Rebuild, removes: []fileFacts{p.file}}}
}

// widest is the widest mode that a file or directory may have.
func widest(f fileFacts) fs.FileMode {
	if f.name == outdir.DB || f.name == "secrets" {
		return outdir.ModePrivate
	}
	return kindMode(f.kind)
}

// modes finds files whose permission bits are wider than they may be.
func modes(files ...fileFacts) []finding {
	var out []finding
	for _, f := range files {
		want := widest(f)
		if f.missing || f.mode&^want == 0 {
			continue
		}
		out = append(out, finding{Reason: Reason{Message: f.name + " is open to more than it should be", Field: "mode", Have: perm(f.mode), Want: perm(f.mode & want)},
			action: Repair, fixes: []fileFacts{f}})
	}
	return out
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
