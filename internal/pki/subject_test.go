package pki

import (
	"strings"
	"testing"
)

func TestProblems(t *testing.T) {
	for _, c := range []struct {
		name, field, summary, detail string
		change                       func(*Subject)
	}{
		{"the guide's name", "", "", "", func(*Subject) {}},
		{"64 characters of several octets", "", "", "", func(s *Subject) { s.CommonName = strings.Repeat("ü", 64) }},
		{"128 characters of a locality", "", "", "", func(s *Subject) { s.Locality = strings.Repeat("x", 128) }},
		{"only a common name", "", "", "", func(s *Subject) { *s = Subject{CommonName: "x"} }},
		{"a no-break space inside", "", "", "", func(s *Subject) { s.Organization = "a\u00a0b" }},

		{"no common name", "common_name", "the common name is empty", "Give it", func(s *Subject) { s.CommonName = "" }},
		{"65 characters", "common_name", "longer than 64 characters", "Shorten it by 1", func(s *Subject) { s.CommonName = strings.Repeat("x", 65) }},
		{"a long organization", "organization", "longer than 64", "It has 70 characters", func(s *Subject) { s.Organization = strings.Repeat("ü", 70) }},
		{"a long unit", "organizational_unit", "the organizational unit is longer than 64", "", func(s *Subject) { s.OrganizationalUnit = strings.Repeat("x", 65) }},
		{"a long locality", "locality", "longer than 128", "", func(s *Subject) { s.Locality = strings.Repeat("x", 129) }},
		{"a long province", "province", "longer than 128", "", func(s *Subject) { s.Province = strings.Repeat("x", 129) }},
		{"a country of three letters", "country", "not a two-letter code", "ISO 3166-1", func(s *Subject) { s.Country = "DEU" }},
		{"a country of digits", "country", "not a two-letter code", "", func(s *Subject) { s.Country = "49" }},
		{"a country in lower case", "country", "lower case", "Write DE", func(s *Subject) { s.Country = "de" }},
		{"a country that becomes ASCII", "country", "not a two-letter code", "", func(s *Subject) { s.Country = "ıß" }},
		{"an e-mail address", "email", "not an e-mail address", "The domain", func(s *Subject) { s.Email = "a@b_c" }},
		{"NUL", "common_name", "U+0000", "is NUL", func(s *Subject) { s.CommonName = "a\x00b" }},
		{"a newline", "organization", "U+000A", "a control character", func(s *Subject) { s.Organization = "a\nb" }},
		{"C1", "organization", "U+0085", "a control character", func(s *Subject) { s.Organization = "a\u0085b" }},
		{"an override", "common_name", "U+202E", "a bidirectional control", func(s *Subject) { s.CommonName = "a\u202eb" }},
		{"a mark", "common_name", "U+061C", "a bidirectional control", func(s *Subject) { s.CommonName = "a\u061cb" }},
		{"a zero-width space", "common_name", "U+200B", "invisible", func(s *Subject) { s.CommonName = "a\u200bb" }},
		{"a line separator", "common_name", "U+2028", "invisible", func(s *Subject) { s.CommonName = "a\u2028b" }},
		{"a tag", "common_name", "U+E0041", "invisible", func(s *Subject) { s.CommonName = "a\U000e0041b" }},
		{"a variation", "common_name", "U+FE0F", "invisible", func(s *Subject) { s.CommonName = "a\ufe0fb" }},
		{"private use", "common_name", "U+E000", "private-use", func(s *Subject) { s.CommonName = "a\ue000b" }},
		{"unassigned", "common_name", "U+0378", "unassigned", func(s *Subject) { s.CommonName = "a\u0378b" }},
		{"lost characters", "common_name", "U+FFFD", "lost", func(s *Subject) { s.CommonName = "a\ufffdb" }},
		{"not UTF-8", "common_name", "not valid UTF-8", "Save the file", func(s *Subject) { s.CommonName = "a\xffb" }},
		{"a space before", "common_name", "spaces around the common name", "", func(s *Subject) { s.CommonName = " a" }},
		{"a space after", "locality", "spaces around", "", func(s *Subject) { s.Locality = "a\u00a0" }},
		{"a space only", "province", "spaces around", "", func(s *Subject) { s.Province = " " }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := caName
			c.change(&s)
			got := s.Problems()
			if c.field == "" {
				if len(got) > 0 {
					t.Errorf("%+v", got)
				}
				return
			}
			if len(got) != 1 || got[0].Field != c.field || !strings.Contains(got[0].Summary, c.summary) || !strings.Contains(got[0].Detail, c.detail) {
				t.Fatalf("%+v", got)
			}
			if d := got[0].Detail; !strings.HasSuffix(d, ".") || strings.ContainsAny(d, "\x00\n\u202e") {
				t.Errorf("the detail is no harmless sentence: %q", d)
			}
			if _, err := s.DER(); err == nil {
				t.Error("it is encoded all the same")
			}
		})
	}
	if got := (Subject{Country: "x", Email: "x"}).Problems(); len(got) != 3 {
		t.Errorf("not all problems are told: %+v", got)
	}
}

func TestCheckEmail(t *testing.T) {
	for _, c := range []struct{ email, want string }{
		{"mmuser@mattermost.com", ""},
		{"first.last+tag@sub.example.org", ""},
		{"!#$%&'*/=?^_`{|}~-@x", ""},
		{"a@xn--mller-kva.de", ""},
		{strings.Repeat("x", 64) + "@" + strings.Repeat("a.", 90) + "org", ""},

		{"", "has the form name@domain"},
		{"a", "has the form name@domain"},
		{"@b", "has the form name@domain"},
		{"a@", "has the form name@domain"},
		{"a b@c", "before the @ holds a space"},
		{"a@b@c", "before the @ holds"},
		{`"a"@c`, "before the @ holds"},
		{"a\n@c", "before the @ holds"},
		{".a@c", "a dot in an e-mail address"},
		{"a.@c", "a dot in an e-mail address"},
		{"a..b@c", "a dot in an e-mail address"},
		{"jürgen@example.org", "before the @ is not ASCII"},
		{"a@müller.de", "write a@xn--mller-kva.de"},
		{"a@mü ller.de", "nor a valid international domain name"},
		{"a@b..c", "a part that is empty"},
		{"a@b.", "a part that is empty"},
		{"a@-b.c", "hyphen at its edge"},
		{"a@b_c", "a character other than"},
		{"a@[127.0.0.1]", "a character other than"},
		{"a@b\x00", "a character other than"},
		{"a@xn--\x61\x61\x61\x61-\x7a\x7a\x7a\x7a\x7a\x7a\x7a\x7a\x7a\x7a", "is not an A-label"},
		{strings.Repeat("x", 65) + "@c", "65 octets"},
		{"a@" + strings.Repeat("b.", 130) + "c", "has 261 characters"},
		{strings.Repeat("x", 64) + "@" + strings.Repeat("a.", 95) + "c", "RFC 5280 allows 255"},
	} {
		err := CheckEmail(c.email)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%q: %v, want %q", c.email, err, c.want)
		}
	}
}

func TestSafe(t *testing.T) {
	if got := safe("a\x1b[31m\u202eb ü"); got != `a\u001b[31m\u202eb ü` {
		t.Error(got)
	}
}
