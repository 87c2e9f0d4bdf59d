package engine

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"mtlsplan/internal/plan"
)

// specModel is a spec as the property test edits it. Copies share nothing that an edit changes
// in place.
type specModel struct {
	ca    caModel
	users []userModel
	site  map[string]string // attributes of the nginx block, as HCL
	guard string            // max_revocations, "" for none
	seal  string            // recipients, as HCL; "" for no block
	moved []movedModel
}

type caModel struct {
	generation           int
	passphrase, previous string            // HCL of a source, "" for none
	attributes           map[string]string // validity, renew_before, …
	crl                  map[string]string
	subject              map[string]string
}

type userModel struct {
	name                 string
	passphrase, previous string
	attributes           map[string]string
	subject              map[string]string
	seal                 string // recipients of the user's own, as HCL
}

// movedModel is a moved block, with names as in owners.
type movedModel struct{ from, to string }

// owners are those of a user: of each device, or the user alone.
func (u userModel) owners() []string {
	if u.attributes["devices"] == "" || u.attributes["csr"] != "" {
		return []string{u.name}
	}
	var out []string
	for device := range strings.SplitSeq(strings.Trim(u.attributes["devices"], "[]"), ", ") {
		out = append(out, u.name+":"+strings.Trim(device, `"`))
	}
	return out
}

// movedBlocks are those that a spec can have: people take out what a later edit rules out.
func (s specModel) movedBlocks() []movedModel {
	var out []movedModel
	for _, m := range s.moved {
		listed := func(owner string) bool {
			return slices.ContainsFunc(s.users, func(u userModel) bool { return slices.Contains(u.owners(), owner) })
		}
		clash := slices.ContainsFunc(out, func(o movedModel) bool { return o.from == m.from || o.to == m.to || o.from == m.to || o.to == m.from })
		if !listed(m.from) && listed(m.to) && !clash {
			out = append(out, m)
		}
	}
	return out
}

// leaving reports whether a name is still that of somebody who is to have another.
func (s specModel) leaving(name string) bool {
	return slices.ContainsFunc(s.moved, func(m movedModel) bool { return plan.Owner(m.from).Person() == plan.Owner(name) })
}

// move adds a moved block; one that led to where it begins leads on.
func (s *specModel) move(from, to string) {
	s.moved = slices.Clone(s.moved)
	for i := range s.moved {
		if s.moved[i].to == from {
			s.moved[i].to = to
			return
		}
	}
	s.moved = append(s.moved, movedModel{from, to})
}

func env(name string) string { return fmt.Sprintf("{ env = %q }", name) }

const generate = "{ generate = true }"

// set returns a copy of a map with one entry changed, or removed by "".
func set(m map[string]string, key, value string) map[string]string {
	out := map[string]string{}
	for k, v := range m {
		out[k] = v
	}
	if out[key] = value; value == "" {
		delete(out, key)
	}
	return out
}

// hcl writes the spec.
func (s specModel) hcl() string {
	var b strings.Builder
	block := func(head string, attributes map[string]string, inner func()) {
		b.WriteString(head + " {\n")
		for _, k := range slices.Sorted(keysOf(attributes)) {
			fmt.Fprintf(&b, "%s = %s\n", k, attributes[k])
		}
		if inner != nil {
			inner()
		}
		b.WriteString("}\n")
	}
	sources := func(m map[string]string, now, previous string) map[string]string {
		return set(set(m, "passphrase", now), "previous_passphrase", previous)
	}
	ca := set(sources(s.ca.attributes, s.ca.passphrase, s.ca.previous), "generation", fmt.Sprint(s.ca.generation))
	block(`ca "m"`, ca, func() {
		block("subject", s.ca.subject, nil)
		block("crl", s.ca.crl, nil)
	})
	// The smallest number of iterations: there are many runs, and each opens every file.
	block("defaults", map[string]string{"p12": `["modern"]`, "kdf_iterations": "1000"}, nil)
	for _, u := range s.users {
		if u.attributes["csr"] != "" {
			// Attributes of a generated key go with it.
			for _, name := range []string{"key", "reuse_key", "p12", "kdf_iterations", "challenge_password"} {
				u.attributes = set(u.attributes, name, "")
			}
			u.passphrase, u.previous = "", ""
		}
		if u.attributes["csr"] != "" {
			u.attributes = set(u.attributes, "devices", "")
		}
		if strings.Contains(u.attributes["p12"], "compat") && u.attributes["kdf_iterations"] == "" {
			u.attributes = set(u.attributes, "kdf_iterations", "2048")
		}
		block(fmt.Sprintf("user %q", u.name), sources(u.attributes, u.passphrase, u.previous), func() {
			block("subject", u.subject, nil)
			if u.seal != "" {
				block("seal", map[string]string{"recipients": u.seal}, nil)
			}
		})
	}
	for _, m := range s.movedBlocks() {
		block("moved", map[string]string{"from": fmt.Sprintf("%q", "user."+m.from), "to": fmt.Sprintf("%q", "user."+m.to)}, nil)
	}
	if s.seal != "" {
		block("seal", map[string]string{"recipients": s.seal, "identity": env("IDENTITY")}, nil)
	}
	if s.guard != "" {
		block("guard", map[string]string{"max_revocations": s.guard}, nil)
	}
	site := s.site
	if site["revocation"] == `"crl"` {
		site = set(site, "session_resumption", "") // the two exclude one another
	}
	block(`nginx "m"`, site, nil)
	return b.String()
}

func keysOf(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// firstSpec is the beginning of histories, with parts that rarely arise by edits.
func firstSpec() specModel {
	return specModel{
		ca: caModel{
			generation: 1,
			attributes: map[string]string{"key": `"ecdsa-p256"`, "kdf_iterations": "1000", "validity": `"1200d"`},
			subject:    map[string]string{"organization": `"Mattermost"`, "common_name": `"example.mattermost.com"`},
		},
		users: []userModel{
			{name: "ann", attributes: map[string]string{"overlap": `"9d"`, "email": `"ann@mattermost.com"`}},
			{name: "bob", attributes: map[string]string{"reuse_key": "true", "validity": `"5y"`}},
			{name: "cyd", passphrase: env("ONE")},
			{name: "dan", passphrase: env("ONE")},
		},
		site: map[string]string{"server_name": `["example.mattermost.com"]`, "upstream": `["127.0.0.1:8065"]`},
	}
}

var names = []string{"ann", "bob", "cyd", "dan", "eve"}

// choice is an attribute with the values that an edit may give it; "" removes it.
type choice struct {
	name   string
	values []string
}

var caChoices = []choice{
	{"validity", []string{"", `"400d"`, `"1200d"`}},
	{"renew_before", []string{"", `"30d"`, `"100d"`}},
	{"key", []string{`"ecdsa-p256"`, `"ecdsa-p384"`}},
	{"kdf_iterations", []string{"1000", "2048"}},
}

var crlChoices = []choice{
	{"validity", []string{"", `"7d"`, `"90d"`}},
	{"renew_before", []string{"", `"1d"`, `"6d"`}},
}

// Only one user may have an e-mail address or a common name, so each has its own.
func userChoices(name string) []choice {
	return []choice{
		{"email", []string{"", fmt.Sprintf("%q", name+"@mattermost.com"), fmt.Sprintf("%q", name+"@example.com")}},
		{"key", []string{"", `"ecdsa-p384"`, `"ed25519"`}},
		{"validity", []string{"", `"24h"`, `"10d"`, `"90d"`, `"5y"`}},
		{"renew_before", []string{"", `"1h"`, `"20h"`}},
		{"reuse_key", []string{"", "true", "false"}},
		{"p12", []string{"", `["compat"]`, `["compat", "modern"]`, `["modern", "compat"]`}},
		{"kdf_iterations", []string{"", "2048", "3000"}},
		{"overlap", []string{"", `"1h"`, `"9d"`, `"40d"`}},
		{"revoked", []string{"", "", `"keyCompromise"`, `"affiliationChanged"`, `"unspecified"`}},
		{"challenge_password", []string{"", env("CHALLENGE1"), env("CHALLENGE2")}},
		{"csr", []string{"", "", fmt.Sprintf("%q", name+".1.csr"), fmt.Sprintf("%q", name+".2.csr")}},
	}
}

var subjectChoices = []choice{
	{"organization", []string{"", `"Other"`}},
	{"organizational_unit", []string{"", `"Staff"`, `"Zoë & Söhne"`}},
	{"country", []string{"", `"US"`}},
}

var siteChoices = []choice{
	{"revocation", []string{"", `"crl"`, `"both"`}},
	{"session_resumption", []string{"", "true"}},
	{"exempt", []string{"", `["/hooks/"]`}},
	{"file", []string{"", `"nginx/other"`}},
}

// draw gives one of the attributes another value.
func draw(t *rapid.T, m map[string]string, choices []choice) map[string]string {
	c := rapid.SampledFrom(choices).Draw(t, "attribute")
	return set(m, c.name, rapid.SampledFrom(c.values).Draw(t, c.name))
}

// edits are people's edits of a spec. applied is the spec of the last run: a changed passphrase
// must name the one there as the previous one.
var edits = map[string]func(t *rapid.T, s, applied *specModel){
	"a user joins": func(t *rapid.T, s, applied *specModel) {
		var free []string
		for _, n := range names {
			if s.user(n) == nil && !s.leaving(n) {
				free = append(free, n)
			}
		}
		if len(free) == 0 {
			t.Skip("all users are in the spec")
		}
		u := userModel{name: rapid.SampledFrom(free).Draw(t, "user")}
		if was := applied.user(u.name); was != nil {
			u.passphrase = was.passphrase // removed and put back between two runs: the key is still there
		}
		s.users = append(slices.Clone(s.users), u)
	},
	"a user leaves": func(t *rapid.T, s, _ *specModel) {
		name := s.someone(t).name
		s.users = slices.DeleteFunc(slices.Clone(s.users), func(u userModel) bool { return u.name == name })
	},
	"a user is renamed": func(t *rapid.T, s, applied *specModel) {
		u := s.someone(t)
		i := slices.IndexFunc(names, func(n string) bool {
			return s.user(n) == nil && applied.user(n) == nil && !s.leaving(n)
		})
		if i < 0 {
			t.Skip("all names are taken")
		}
		was := u.owners()
		for _, of := range []*specModel{s, applied} { // who keeps key and passphrase
			if of.user(u.name) != nil {
				of.users = slices.Clone(of.users)
				of.user(u.name).name = names[i]
			}
		}
		u.name = names[i]
		for k, owner := range u.owners() {
			s.move(was[k], owner)
		}
	},
	"a user has other devices": func(t *rapid.T, s, _ *specModel) {
		u := s.someone(t)
		was := u.owners()
		u.attributes = set(u.attributes, "devices", rapid.SampledFrom([]string{"", `["laptop"]`, `["laptop", "phone"]`, `["phone"]`}).Draw(t, "devices"))
		s.put(u)
		if is := u.owners(); !slices.Contains(is, was[0]) && !slices.Contains(was, is[0]) && rapid.IntRange(0, 3).Draw(t, "moved") > 0 {
			s.move(was[0], is[0])
		}
	},
	"several users leave": func(t *rapid.T, s, _ *specModel) {
		stay := rapid.SliceOfN(rapid.Bool(), len(s.users), len(s.users)).Draw(t, "stay")
		var users []userModel
		for i, u := range s.users {
			if stay[i] {
				users = append(users, u)
			}
		}
		s.users = users
	},
	"a user changes": func(t *rapid.T, s, _ *specModel) {
		u := s.someone(t)
		u.attributes = draw(t, u.attributes, userChoices(u.name))
		s.put(u)
	},
	"a user's subject changes": func(t *rapid.T, s, _ *specModel) {
		u := s.someone(t)
		u.subject = draw(t, u.subject, append(slices.Clone(subjectChoices), choice{"common_name", []string{"", fmt.Sprintf("%q", "The "+u.name)}}))
		s.put(u)
	},
	"a user's passphrase changes": func(t *rapid.T, s, applied *specModel) {
		u := s.someone(t)
		old := ""
		if was := applied.user(u.name); was != nil {
			old = was.passphrase
		}
		u.passphrase, u.previous = newSource(t, old, []string{"", env("ONE"), env("TWO")})
		s.put(u)
	},
	"the CA changes":        func(t *rapid.T, s, _ *specModel) { s.ca.attributes = draw(t, s.ca.attributes, caChoices) },
	"the CA's CRL changes":  func(t *rapid.T, s, _ *specModel) { s.ca.crl = draw(t, s.ca.crl, crlChoices) },
	"the CA's name changes": func(t *rapid.T, s, _ *specModel) { s.ca.subject = draw(t, s.ca.subject, subjectChoices[1:2]) },
	"the site changes":      func(t *rapid.T, s, _ *specModel) { s.site = draw(t, s.site, siteChoices) },
	"the guard changes": func(t *rapid.T, s, _ *specModel) {
		s.guard = rapid.SampledFrom([]string{"", "0", "2"}).Draw(t, "guard")
	},
	"the CA's key is rolled": func(t *rapid.T, s, applied *specModel) { s.ca.generation = min(applied.ca.generation+1, 99) },
	"the CA's passphrase changes": func(t *rapid.T, s, applied *specModel) {
		s.ca.passphrase, s.ca.previous = newSource(t, applied.ca.passphrase, []string{"", env("CA1"), env("CA2")})
	},
}

// newSource draws a passphrase's source, and returns the one in use as the previous one.
func newSource(t *rapid.T, old string, sources []string) (now, previous string) {
	now = rapid.SampledFrom(sources).Draw(t, "passphrase")
	if now == old {
		return now, ""
	}
	if old == "" {
		old = generate
	}
	return now, old
}

func (s *specModel) user(name string) *userModel {
	for i := range s.users {
		if s.users[i].name == name {
			return &s.users[i]
		}
	}
	return nil
}

func (s *specModel) someone(t *rapid.T) userModel {
	if len(s.users) == 0 {
		t.Skip("there are no users")
	}
	return rapid.SampledFrom(s.users).Draw(t, "user")
}

func (s *specModel) put(u userModel) {
	s.users = slices.Clone(s.users)
	*s.user(u.name) = u
}

// steps are distances of time.
var timeSteps = []time.Duration{
	time.Second, time.Hour, 23 * time.Hour, 9 * 24 * time.Hour, 20 * 24 * time.Hour, 60 * 24 * time.Hour, 340 * 24 * time.Hour, 1200 * 24 * time.Hour,
}
