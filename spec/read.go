package spec

import (
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"mtlsplan/internal/config"
	"mtlsplan/internal/pki"
	"mtlsplan/render"
)

const day = 24 * time.Hour

// maxDuration keeps every date that follows from one within what programs agree
// on, and far below the limit of a time.Duration.
const maxDuration = 100 * 365 * day

var units = map[string]time.Duration{"h": time.Hour, "d": day, "w": 7 * day, "y": 365 * day}

var bareNumber = regexp.MustCompile(`^[0-9]{1,9}$`)

var durationForm = regexp.MustCompile(`^(-?)([0-9]+)([hdwy])$`)

func (l *loader) is(v value, want kind, example string) bool {
	if v.kind == want || v.kind == cell && want == text {
		return true
	}
	detail := fmt.Sprintf("This is %s, but %s is expected", v.kind, want)
	brackets := v.kind == list || v.kind == object
	switch {
	case l.inSpec(v.at) && brackets && want == text:
		detail += ": one value in double quotes, without brackets"
	case l.inSpec(v.at) && brackets && want == list:
		detail += `: values in brackets, as in ["…"]`
	case l.inSpec(v.at): // the example is in the language of a spec
		detail += ": " + example
	case v.kind == cell && want == number:
		detail = "A number is expected: digits and nothing else"
	case v.kind == cell:
		detail = capital(want.String()) + " is expected"
	}
	l.error(v.at, "Wrong kind of value", detail+".")
	return false
}

func (l *loader) inSpec(at hcl.Range) bool { return at.Filename == l.cfg.File }

func (l *loader) string(v value) (none said[string]) {
	if !l.is(v, text, `put it in double quotes`) {
		return none
	}
	if v.text == "" {
		l.error(v.at, "Empty text", "To set nothing, leave the attribute out.")
		return none
	}
	return say(v.text, v.at)
}

func (l *loader) boolean(v value) (none said[bool]) {
	if v = v.as(boolean); !l.is(v, boolean, "write true or false, without quotes") {
		return none
	}
	return say(v.yes, v.at)
}

func (l *loader) integer(v value, low, high int64) (none said[int]) {
	if v = v.as(number); !l.is(v, number, "write digits without quotes") {
		return none
	}
	n, exact := v.number.Int64()
	if exact != 0 || n < low || n > high {
		detail := fmt.Sprintf("This must be a whole number from %d to %d.", low, high)
		if high == math.MaxInt32 {
			detail = fmt.Sprintf("This must be a whole number, at least %d.", low)
		}
		l.error(v.at, "Number out of range", detail)
		return none
	}
	return say(int(n), v.at)
}

// generation reads one that maxCACommonName leaves room for.
func (l *loader) generation(v value) said[int] { return l.integer(v, 1, 99) }

// generations reads a list of them.
func (l *loader) generations(v value) (none said[[]said[int]]) {
	if v = v.as(list); !l.is(v, list, "put the numbers in brackets, as in [1]") {
		return none
	}
	var out []said[int]
	for _, e := range v.list {
		n := l.generation(e)
		switch {
		case !n.set:
			return none
		case slices.ContainsFunc(out, func(s said[int]) bool { return s.value == n.value }):
			l.error(e.at, "Generation named twice", "Name each generation only once.")
			return none
		}
		out = append(out, n)
	}
	return say(out, v.at)
}

// duration reads one number with one unit.
func (l *loader) duration(v value) said[time.Duration] { return l.span(v, false) }

// span is duration, which may also be zero.
func (l *loader) span(v value, zero bool) (none said[time.Duration]) {
	const form = `A duration is one number and one unit: h, d, w or y (365 days), as in "365d".`
	if v.kind == number {
		l.error(v.at, "Duration without a unit", fmt.Sprintf(`Which unit? For days, write %q.`, v.number.Text('f', 0)+"d"))
		return none
	}
	if !l.is(v, text, `a duration such as "365d"`) {
		return none
	}
	m := durationForm.FindStringSubmatch(v.text)
	if m == nil && bareNumber.MatchString(v.text) {
		l.error(v.at, "Duration without a unit", fmt.Sprintf(`Which unit? For days, write %q.`, v.text+"d"))
		return none
	}
	if m == nil {
		l.error(v.at, "Not a duration", form)
		return none
	}
	d, ok := lasting(m)
	switch {
	case m[1] != "" && zero:
		l.error(v.at, "Duration below zero", "It must be zero or longer. "+form)
		return none
	case m[1] != "" || !zero && strings.Trim(m[2], "0") == "":
		l.error(v.at, "Duration not above zero", "It must be longer than zero. "+form)
		return none
	case !ok:
		l.error(v.at, "Duration too long", "The longest is 100 years (36500 days): programs disagree on dates far beyond that.")
		return none
	}
	return say(d, v.at)
}

// path resolves a path against the spec's directory.
func (l *loader) path(v value) (none said[string]) {
	s := l.string(v)
	if !s.set {
		return none
	}
	switch {
	case strings.ContainsRune(s.value, 0):
		l.error(v.at, "Not a path", "A path cannot contain a NUL.")
		return none
	case s.value == "~" || strings.HasPrefix(s.value, "~/"):
		l.error(v.at, "Home directory in a path", `Only a shell expands "~", and no shell reads this. Write the path from "/", or relative to the spec.`)
		return none
	case strings.Contains(s.value, "$"):
		l.error(v.at, "Variable in a path", `Only a shell expands "$" and a name, and no shell reads this. Write the path itself, without "$", from "/" or relative to the spec.`)
		return none
	case filepath.Clean(s.value) == "/":
		l.error(v.at, "Root directory", "This is the root of the file system. Name a directory below it.")
		return none
	}
	return say(l.absolute(s.value), v.at)
}

func (l *loader) absolute(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(l.cfg.Dir, path)
}

func (l *loader) keyType(v value) (none said[pki.KeyType]) {
	if !l.is(v, text, `put the type of key in double quotes, as in "ecdsa-p256"`) {
		return none
	}
	if slices.Contains(pki.KeyTypes, pki.KeyType(v.text)) {
		return say(pki.KeyType(v.text), v.at)
	}
	if v.text == "rsa-1024" {
		l.error(v.at, "Key too short",
			`RSA with 1024 bits is no longer safe, and OpenSSL at its usual security level 2, and with it NGINX and curl, refuses such a certificate. Use "ecdsa-p256", or "rsa-2048" for old devices.`)
		return none
	}
	l.error(v.at, "Unknown type of key", fmt.Sprintf("There is no key type %q. %s", v.text, didYouMean(v.text, words(pki.KeyTypes))))
	return none
}

// profileDocs lists the profiles for the reference.
func profileDocs() string {
	var docs []string
	for _, p := range pki.Profiles {
		docs = append(docs, fmt.Sprintf("`%s` (%s)", p, p.Doc()))
	}
	return strings.Join(docs, ", ")
}

const mostGroups = 32

var groupName = regexp.MustCompile(`^` + render.GroupPattern + `$`)

func (l *loader) groups(v value) (none said[[]string]) {
	if v = v.as(list); !l.is(v, list, `put the names in brackets, as in ["admins"]`) {
		return none
	}
	if len(v.list) > mostGroups {
		l.error(v.at, "Too many groups", fmt.Sprintf("A user is in at most %d groups, because a site has them in one line.", mostGroups))
		return none
	}
	out := []string{}
	for _, e := range v.list {
		switch {
		case !l.is(e, text, `put the name in double quotes, as in "admins"`):
			return none
		case !groupName.MatchString(e.text):
			l.error(e.at, "Unusable group", `A group is a word of at most 32 letters, digits, "_", "." and "-", such as "admins".`+severalIn(e.text, "admins", "ops"))
			return none
		case slices.Contains(out, e.text):
			l.error(e.at, "Group named twice", "A user is in a group or not. Name it only once.")
			return none
		}
		out = append(out, e.text)
	}
	return say(out, v.at)
}

// severalIn says how several names are given where one looks like several.
func severalIn(name, one, another string) string {
	if !strings.ContainsAny(name, ",;|") {
		return ""
	}
	return fmt.Sprintf(` Each is a name of its own: [%q, %q], or in a cell of a CSV list "%s %s".`, one, another, one, another)
}

// mostDevices is more than anybody carries.
const mostDevices = 32

// devices reads the names of a user's devices, each with its place.
func (l *loader) devices(v value) (none said[[]said[string]]) {
	if v = v.as(list); !l.is(v, list, `put the names in brackets, as in ["laptop", "phone"]`) {
		return none
	}
	switch {
	case len(v.list) == 0:
		l.error(v.at, "Empty list", "Without a device the user would have no certificate. To revoke all of them, remove the user, or set revoked; for a user without devices, leave devices out.")
		return none
	case len(v.list) > mostDevices:
		l.error(v.at, "Too many devices", fmt.Sprintf("A user has at most %d devices. Is this the list of another attribute?", mostDevices))
		return none
	}
	var out []said[string]
	bad := false
	seen := map[string]bool{}
	for _, e := range v.list {
		key := strings.ToLower(e.text)
		switch {
		case !l.is(e, text, `put the name in double quotes, as in "laptop"`):
			bad = true
		case !config.ValidDevice(e.text):
			l.error(e.at, "Unusable device", `A device's name becomes part of file names. Use at most 32 characters from A-Z, a-z, 0-9 and . _ @ + -, and begin with a letter, a digit or "_", as in "laptop".`+severalIn(e.text, "laptop", "phone"))
			bad = true
		case seen[key]:
			l.error(e.at, "Device named twice", "Each device has files named after it, so the names must differ in more than upper and lower case.")
			bad = true
		}
		seen[key] = true
		out = append(out, say(e.text, e.at))
	}
	if bad {
		return none
	}
	return say(out, v.at)
}

func (l *loader) profiles(v value) (none said[[]pki.Profile]) {
	if v = v.as(list); !l.is(v, list, `put the names in brackets, as in ["compat"]`) {
		return none
	}
	if len(v.list) == 0 {
		l.error(v.at, "Empty list", `A user needs at least one .p12 to import the certificate from: "compat", "modern" or both.`)
		return none
	}
	var out []pki.Profile
	for _, e := range v.list {
		p := pki.Profile(e.text)
		switch {
		case !l.is(e, text, `put the name in double quotes, as in "compat"`):
			return none
		case !slices.Contains(pki.Profiles, p):
			l.error(e.at, "Unknown .p12 profile", fmt.Sprintf("There is no profile %q. %s", e.text, didYouMean(e.text, words(pki.Profiles))))
			return none
		case slices.Contains(out, p):
			l.error(e.at, "Profile named twice", "Each profile gives one .p12. Name it only once.")
			return none
		}
		out = append(out, p)
	}
	return say(out, v.at)
}

func words[T ~string](of []T) []string {
	out := make([]string, len(of))
	for i, w := range of {
		out[i] = string(w)
	}
	return out
}

// userReasons are the reasons of RFC 5280, section 5.3.1, for which a user's
// certificate can be revoked for good.
var userReasons = []string{"unspecified", "keyCompromise", "affiliationChanged", "superseded", "cessationOfOperation", "privilegeWithdrawn"}

// otherReasons are the remaining ones, and why they do not fit a user.
var otherReasons = map[string]string{
	"certificateHold": "A hold can be lifted, but a certificate that is revoked here stays revoked.",
	"removeFromCRL":   "It appears only in delta CRLs, to lift a hold; a certificate that is revoked here stays revoked.",
	"cACompromise":    "It is for the certificate of a CA, not of a user.",
	"aACompromise":    "It is for an attribute authority, not for a user.",
}

func (l *loader) reason(v value) (none said[string]) {
	if !l.is(v, text, `name the reason in double quotes, as in "keyCompromise"`) {
		return none
	}
	if slices.Contains(userReasons, v.text) {
		return say(v.text, v.at)
	}
	if why, ok := otherReasons[v.text]; ok {
		l.error(v.at, "Reason that does not fit", why+" Use "+orList(userReasons)+".")
		return none
	}
	l.error(v.at, "Unknown reason", fmt.Sprintf("There is no reason %q in RFC 5280. %s", v.text, didYouMean(v.text, userReasons)))
	return none
}

var (
	envName      = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	secretPlaces = []string{"env", "file", "command", "generate"}
)

const secretForms = `{ env = "VARIABLE" }, { file = "path" } or { command = ["program", "argument"] }`

// secretRef reads the object that names the source of a secret. Its messages
// never quote that object: somebody may have put the secret itself there.
func (l *loader) secretRef(v value) (none said[config.Source]) {
	if len(v.members) != 1 {
		l.error(v.at, "Not exactly one source", "A secret has exactly one source: "+secretForms+", or { generate = true }.")
		return none
	}
	m := v.members[0]
	ref := config.Source{}
	switch m.name {
	case "env":
		if !l.is(m.value, text, `name the variable in double quotes`) {
			return none
		}
		if !envName.MatchString(m.value.text) {
			l.src.hide(m.value.at)
			l.error(m.value.at, "Not the name of a variable",
				`Expected the name of an environment variable, never the secret itself: letters, digits and "_", not beginning with a digit.`)
			return none
		}
		ref = config.Source{Kind: config.FromEnv, Env: m.value.text}
	case "file":
		p := l.path(m.value)
		if !p.set {
			return none
		}
		ref = config.Source{Kind: config.FromFile, File: p.value}
	case "command":
		args, ok := l.arguments(m.value)
		if !ok {
			return none
		}
		ref = config.Source{Kind: config.FromCommand, Command: args, Dir: l.cfg.Dir}
	case "generate":
		yes := l.boolean(m.value)
		if yes.set && !yes.value {
			detail := "To use a passphrase of your own, say where it is"
			if l.inSpec(m.at) {
				detail += ": " + secretForms
			}
			l.error(m.value.at, "No source", detail+".")
		}
		if !yes.value {
			return none
		}
		ref = config.Source{Kind: config.Generated}
	default:
		detail := "A secret can only come from one of these: " + secretForms + ", or { generate = true }."
		if s := suggest(m.name, secretPlaces); s != "" {
			detail = fmt.Sprintf("Did you mean %q? %s", s, detail)
		}
		l.error(m.at, "Unknown source", detail)
		return none
	}
	return say(ref, v.at)
}

// arguments reads a program with its arguments.
func (l *loader) arguments(v value) ([]string, bool) {
	const example = `a program and its arguments, as in ["pass", "show", "mtls/mmuser"]; no shell reads them`
	if v.kind == cell && strings.ContainsAny(v.text, `"'\`) {
		l.error(v.at, "Quotes in a command", `The words are separated by spaces and nothing else: no shell reads them, so quotes and backslashes have no effect. `+
			`Use words without spaces, or a list of words in a YAML or JSON roster or in a user block.`)
		return nil, false
	}
	if v = v.as(list); !l.is(v, list, example) {
		return nil, false
	}
	var args []string
	for _, e := range v.list {
		if !l.is(e, text, `put every argument in double quotes`) {
			return nil, false
		}
		if strings.ContainsRune(e.text, 0) {
			l.error(e.at, "NUL in an argument", "An argument of a program cannot contain a NUL.")
			return nil, false
		}
		args = append(args, e.text)
	}
	if len(args) == 0 || args[0] == "" {
		l.error(v.at, "No program", "Expected "+example+".")
		return nil, false
	}
	return args, true
}
