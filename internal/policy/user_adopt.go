package policy

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"mtlsplan/internal/facts"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
)

// userAdopted says what was found. It is a reason of its own: with nothing else
// to mend, recording it is all there is to do.
func userAdopted(v *userView) []finding {
	var said []string
	if v.adopted {
		said = append(said, v.describe()+"; it is taken over")
	}
	if n := len(v.further); n > 0 {
		said = append(said, fmt.Sprintf("the user's files hold %s of this CA (serial %s): %s recorded too, and revoked when the user leaves",
			plural(n, "further certificate"), strings.Join(v.further, ", "), agree(n, "it is", "they are")))
	}
	if len(said) == 0 {
		return nil
	}
	return one(plan.Adopt, plan.Reason{Message: strings.Join(said, "; ")})
}

// describe says what was made by hand.
func (v *userView) describe() string {
	var parts []string
	switch {
	case v.Asked != nil:
	case v.Key.InP12 && v.Key.Type != "":
		parts = append(parts, fmt.Sprintf("no key file (%s has a key of type %s)", v.Key.Name(), v.Key.Type))
	case v.Key.Missing || v.Key.InP12:
		parts = append(parts, "no key")
	case v.Key.Type != "":
		parts = append(parts, fmt.Sprintf("a key of type %s (%s)", v.Key.Type, v.Key.Info.Encoding))
	default:
		parts = append(parts, "a key that does not open")
	}
	parts = append(parts, describeCert(&v.Crt))
	for i := range v.P12 {
		if p := &v.P12[i]; !p.Missing {
			how := ""
			if p.Info.Encoding != "" {
				how = " (" + p.Info.Encoding + ")"
			}
			parts = append(parts, "a .p12"+how)
			break
		}
	}
	origin := "made by hand: "
	if v.lost {
		origin = "issued by the CA and lost from its database: "
	}
	return origin + strings.Join(parts, ", ")
}

// furtherLost are the serials of certificates of the CA that lie in a user's files beside
// the first and are not on record, "" for none: a new file would make them forgotten. With
// --adopt they are on record by now.
func (j *judgement) furtherLost(v *userView) string {
	if len(v.Crt.All) < 2 && !slices.ContainsFunc(v.P12, func(p facts.P12) bool { return len(p.All) > 0 }) {
		return "" // nearly everybody
	}
	var serials []string
	for _, c := range j.found.lostOf(v.User, v.ca.trusted) {
		if v.Crt.Cert == nil || v.Crt.Cert.Sum != sha256.Sum256(c.Raw) {
			serials = append(serials, pki.SerialHex(c.SerialNumber))
		}
	}
	return strings.Join(serials, ", ")
}

// errNoKeyInside says why no key is taken out of a user's .p12, and what helps.
func errNoKeyInside(output string, v *userView) error {
	inside, help := "that", fmt.Sprintf("put the key into %s, or move it away to have the user made anew", v.Key.Name())
	if i := slices.IndexFunc(v.P12, func(p facts.P12) bool { return p.Why != nil }); i >= 0 {
		p := &v.P12[i]
		inside = fmt.Sprintf("%s (%v)", p.Name(), p.Why)
		if how := takenOut(output, v, p); how != "" {
			help = how + ", or move it away to have the user made anew"
		}
	}
	return plan.Errorf(plan.Unreadable, "%s: no key can be taken out of %s, and nothing was touched: %s", v.describe(), inside, help)
}

// takenOut is how somebody makes a .p12 readable, "" for one that is damaged. OpenSSL reads
// more of them.
func takenOut(output string, v *userView, p *facts.P12) string {
	at := func(f facts.File) string { return filepath.Join(output, f.Name()) }
	from := at(p.File)
	if errors.Is(p.Why, pki.ErrBase64) {
		return fmt.Sprintf("decode it (umask 077; base64 -d %s > %s.new && mv %s.new %s)", from, from, from, from)
	}
	if !errors.Is(p.Why, pki.ErrUnsupported) {
		return ""
	}
	if e, ok := errors.AsType[*pki.CipherError](p.Why); pki.Legacy(p.Info.Encoding) || ok && pki.Legacy(e.Name) {
		from += " -legacy"
	}
	return fmt.Sprintf("take key and certificate out of it (openssl pkcs12 -in %s -nodes -nocerts -out %s && openssl pkcs12 -in %s -nokeys -out %s)",
		from, at(v.Key.File), from, at(v.Crt.File))
}
