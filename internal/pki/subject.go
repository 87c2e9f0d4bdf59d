package pki

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// FieldProblem is the reason why a field of a [Subject] cannot be issued.
type FieldProblem struct {
	Field   string // as the spec writes it: "common_name"
	Summary string // a few words, without the value
	Detail  string // what, why and what to do, in full sentences
}

// Problems are all reasons why the name cannot be issued: the upper bounds of
// RFC 5280 appendix A.1, counted in characters, an empty common name, and
// characters that do not belong in a name.
func (s Subject) Problems() []FieldProblem {
	var found []FieldProblem
	for _, f := range fields {
		if p := f.problem(*f.in(&s)); p != nil {
			p.Field = f.name
			found = append(found, *p)
		}
	}
	return found
}

func (f field) problem(value string) *FieldProblem {
	label := strings.ReplaceAll(f.name, "_", " ")
	if value == "" {
		if f.name == "common_name" {
			return &FieldProblem{Summary: "the common name is empty",
				Detail: "People tell certificates apart by their common name, and some programs refuse an empty one. Give it at least one character."}
		}
		return nil
	}
	if p := characterProblem(label, value); p != nil {
		return p
	}
	switch f.name {
	case "country":
		return countryProblem(value)
	case "email":
		if err := CheckEmail(value); err != nil {
			return &FieldProblem{Summary: "not an e-mail address that a certificate can hold", Detail: sentence(err.Error())}
		}
		return nil
	}
	if n := utf8.RuneCountInString(value); n > f.max {
		return &FieldProblem{Summary: fmt.Sprintf("the %s is longer than %d characters", label, f.max),
			Detail: fmt.Sprintf("It has %d characters; RFC 5280 allows %d, and programs refuse or cut a longer one. Shorten it by %d.", n, f.max, n-f.max)}
	}
	return nil
}

func countryProblem(value string) *FieldProblem {
	if len(value) == 2 && isUpper(value[0]) && isUpper(value[1]) {
		return nil
	}
	p := &FieldProblem{Summary: "the country is not a two-letter code",
		Detail: "RFC 5280 requires exactly two capital letters here, the country's code in ISO 3166-1. Write the code, such as US or DE, or leave the country out."}
	if up := strings.ToUpper(value); len(up) == 2 && isUpper(up[0]) && isUpper(up[1]) {
		p.Summary = "the country is written in lower case"
		p.Detail = fmt.Sprintf("Country codes of ISO 3166-1 are written in capital letters, and names are compared byte by byte. Write %s.", up)
	}
	return p
}

func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }

func characterProblem(label, value string) *FieldProblem {
	if !utf8.ValidString(value) {
		return &FieldProblem{Summary: "the " + label + " is not valid UTF-8",
			Detail: "Names in a certificate are UTF-8, and these bytes are not. Save the file as UTF-8."}
	}
	for _, r := range value {
		if unicode.IsControl(r) || invisible(r) {
			return &FieldProblem{Summary: fmt.Sprintf("the %s holds the character U+%04X", label, r),
				Detail: fmt.Sprintf("U+%04X is %s: it can make a name look like another, or end it early in some programs. Remove it.", r, characterClass(r))}
		}
	}
	if strings.TrimSpace(value) != value {
		return &FieldProblem{Summary: "there are spaces around the " + label,
			Detail: "A space at the start or the end of a name cannot be seen, and makes two names differ that look alike. Remove it."}
	}
	return nil
}

// invisible reports characters that have no glyph or change how others are
// shown: format characters, bidirectional controls among them, line and
// paragraph separators, private use, and those that Unicode does not assign.
func invisible(r rune) bool {
	return r == utf8.RuneError || !unicode.IsGraphic(r) && !unicode.IsControl(r) || unicode.Is(unicode.Variation_Selector, r)
}

func characterClass(r rune) string {
	switch {
	case r == 0:
		return "NUL"
	case unicode.IsControl(r):
		return "a control character"
	case unicode.Is(unicode.Bidi_Control, r):
		return "a bidirectional control character"
	case r == utf8.RuneError:
		return "the replacement for a character that was lost"
	case unicode.In(r, unicode.Co):
		return "a private-use character"
	}
	return "an invisible or unassigned character"
}

// safe makes text harmless to print: control and invisible characters become
// their code points.
func safe(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsControl(r) || invisible(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] + "." }

// Bounds of an e-mail address in octets: RFC 5321 section 4.5.3.1 for the
// local part, RFC 1035 section 2.3.4 for domain and label, RFC 5280 appendix
// A.1 (ub-emailaddress-length) for the whole.
const (
	maxLocal  = 64
	maxDomain = 253
	maxLabel  = 63
	maxEmail  = 255
)

// CheckEmail reports why an address cannot be an rfc822Name (RFC 5280 section
// 4.2.1.6): it must be ASCII, a dot-atom of RFC 5322, an at sign and a domain
// of letters, digits and hyphens. Quoted local parts and address literals,
// which hardly anything accepts, are refused.
func CheckEmail(email string) error {
	at := strings.LastIndexByte(email, '@')
	if at < 1 || at == len(email)-1 {
		return errors.New("an e-mail address has the form name@domain: write both parts")
	}
	local, domain := email[:at], email[at+1:]
	if err := checkLocal(local); err != nil {
		return err
	}
	if err := checkDomain(local, domain); err != nil {
		return err
	}
	if len(email) > maxEmail {
		return fmt.Errorf("the e-mail address has %d characters, and RFC 5280 allows %d: use a shorter one", len(email), maxEmail)
	}
	return nil
}

func checkLocal(local string) error {
	if len(local) > maxLocal {
		return fmt.Errorf("the part of the e-mail address before the @ has %d octets, and RFC 5321 allows %d: use a shorter one", len(local), maxLocal)
	}
	for _, r := range local {
		switch {
		case r >= 0x80:
			return errors.New("the part of the e-mail address before the @ is not ASCII, and a certificate cannot hold such an address: use one in ASCII")
		case r == '.' || isAlnum(byte(r)) || strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r):
		default:
			return errors.New("the part of the e-mail address before the @ holds a space or another character that RFC 5322 does not allow there: remove it")
		}
	}
	if local[0] == '.' || local[len(local)-1] == '.' || strings.Contains(local, "..") {
		return errors.New("a dot in an e-mail address must be between two other characters: remove the one that is not")
	}
	return nil
}

func checkDomain(local, domain string) error {
	for _, r := range domain {
		if r < 0x80 {
			continue
		}
		if a, err := idna.Lookup.ToASCII(domain); err == nil {
			return fmt.Errorf("the domain of the e-mail address is not ASCII, and a certificate holds its A-label form: write %s@%s", local, a)
		}
		return errors.New("the domain of the e-mail address is neither ASCII nor a valid international domain name: write its A-label form (xn--...)")
	}
	if len(domain) > maxDomain {
		return fmt.Errorf("the domain of the e-mail address has %d characters, and a domain has at most %d: correct it", len(domain), maxDomain)
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' {
			return fmt.Errorf("the domain of the e-mail address has a part that is empty, longer than %d characters or with a hyphen at its edge: correct it", maxLabel)
		}
		for i := range len(label) {
			if !isAlnum(label[i]) && label[i] != '-' {
				return errors.New("the domain of the e-mail address holds a character other than a letter, a digit, a hyphen or a dot: correct it")
			}
		}
		if len(label) > 4 && strings.EqualFold(label[:4], "xn--") {
			if _, err := idna.Lookup.ToUnicode(label); err != nil {
				return errors.New("the domain of the e-mail address has a part that begins with xn-- and is not an A-label: correct it")
			}
		}
	}
	return nil
}

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
