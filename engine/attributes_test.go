package engine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mtlsplan/internal/plan"
	"mtlsplan/render/proxies"
	"mtlsplan/spec"
)

// A mutation gives one attribute another value, alone, after runs with the old value. steps
// lists everything that follows: a file that no step names keeps its bytes.
type mutation struct {
	block, attribute string
	before, after    string              // HCL; "" for a missing attribute
	with             map[string][]string // other attributes, by block: "attribute = value", the same before and after
	also             map[string][]string // other attributes that change with it
	gone             string              // a user who departs with it
	history          []int               // days on which the old spec was applied; none: on the first
	day              int                 // on which the new spec is applied
	steps            []string            // OWNER ACTION ARTEFACTS: CODE(FIELD)…; "OWNER failed"
	note             string              // must be in the plan
}

var mutations = []mutation{
	{block: "", attribute: "output", before: `"pki"`, after: `"other"`, steps: []string{
		"ca.m create key crt pass: missing",
		"crl.m create crl: missing",
		"nginx.m create site: missing",
		"user.ann create key csr crt p12 pass: missing",
		"user.bob create key csr crt p12 pass: missing",
		"user.cyd create key csr crt p12: missing"}},

	{block: "ca", attribute: "key", before: `"ecdsa-p256"`, after: `"ecdsa-p384"`, note: "with the next generation"},
	{block: "ca", attribute: "validity", after: `"400d"`, note: "at the next renewal"},
	{block: "ca", attribute: "renew_before", after: `"3649d"`, day: 1, steps: []string{"ca.m reissue crt: expiring(renew_before)"}},
	{block: "ca", attribute: "passphrase", before: env("A"), after: env("B"), steps: []string{"ca.m failed", "crl.m failed"}},
	{block: "ca", attribute: "passphrase", before: env("A"), after: env("B"), also: map[string][]string{"ca": {"previous_passphrase = " + env("A")}},
		steps: []string{"ca.m rebuild key: passphrase-changed"}},
	{block: "ca", attribute: "passphrase", before: generate, after: env("B"), also: map[string][]string{"ca": {"previous_passphrase = " + generate}},
		steps: []string{"ca.m rebuild key pass: passphrase-changed passphrase-changed(passphrase)"}},
	{block: "ca", attribute: "previous_passphrase", after: env("A")},
	{block: "ca", attribute: "kdf_iterations", before: "2048", after: "2049", steps: []string{"ca.m rebuild key: encoding-changed(kdf_iterations)"}},
	{block: "ca", attribute: "generation", before: "1", after: "2", steps: []string{
		"ca.m rekey key crt: key-changed(generation)", "crl.m reissue crl: upstream", "nginx.m rebuild site: upstream"}},
	{block: "ca", attribute: "compromised", after: "[1]", also: map[string][]string{"ca": {"generation = 2"}}, steps: []string{
		"ca.m revoke key crt: revoked(compromised) key-changed(generation)", "crl.m reissue crl: upstream", "nginx.m rebuild site: upstream",
		"user.ann rekey key csr crt p12: issuer-changed(issuer)", "user.bob rekey key csr crt p12: issuer-changed(issuer)",
		"user.cyd rekey key csr crt p12: issuer-changed(issuer)"}},
	{block: "ca.crl", attribute: "validity", after: `"60d"`},
	{block: "ca.crl", attribute: "renew_before", after: `"29d"`, day: 1, steps: []string{"crl.m reissue crl: expiring"}},
	{block: "ca.subject", attribute: "common_name", before: `"The CA"`, after: `"Another CA"`, note: "with the next generation"},
	{block: "ca.subject", attribute: "email", after: `"admin@example.com"`, note: "with the next generation", steps: []string{
		"nginx.m rebuild site: settings-changed(line)"}},

	{block: "defaults", attribute: "key", after: `"ecdsa-p384"`, steps: both("rekey key csr crt p12: key-changed(key)")},
	{block: "defaults", attribute: "validity", after: `"90d"`, note: "at the next renewal"},
	{block: "defaults", attribute: "renew_before", after: `"364d"`, day: 1, steps: both("rekey key csr crt p12: expiring(renew_before)")},
	{block: "defaults", attribute: "renew_spread", after: `"0d"`, history: []int{0, 322}, day: 334},
	{block: "defaults", attribute: "reuse_key", after: "true", day: 1},
	{block: "defaults", attribute: "reuse_key", after: "true", history: []int{0, 322}, day: 340, steps: both("reissue crt p12: expiring(renew_before)")},
	{block: "defaults", attribute: "passphrase", before: env("A"), after: env("B"), steps: []string{"user.ann failed", "user.bob failed"}},
	{block: "defaults", attribute: "p12", after: `["modern"]`, steps: both("rebuild p12: encoding-changed(p12)")},
	{block: "defaults", attribute: "kdf_iterations", before: "2048", after: "2049", steps: both("rebuild key p12: encoding-changed(kdf_iterations) encoding-changed(kdf_iterations)")},
	{block: "defaults", attribute: "overlap", after: `"9d"`, history: []int{0, 340}, day: 348},
	{block: "defaults", attribute: "overlap", after: `"9d"`, history: []int{0, 340}, day: 350, steps: []string{
		"user.ann revoke : overlap-over(overlap)", "user.bob revoke : overlap-over(overlap)", "crl.m reissue crl: revoked", "nginx.m rebuild site: upstream"}},

	{block: "user", attribute: "key", after: `"ed25519"`, steps: []string{"user.ann rekey key csr crt p12: key-changed(key)"}},
	{block: "user", attribute: "validity", after: `"90d"`, note: "at the next renewal"},
	{block: "user", attribute: "renew_before", after: `"364d"`, day: 1, steps: []string{"user.ann rekey key csr crt p12: expiring(renew_before)"}},
	{block: "user", attribute: "renew_spread", after: `"0d"`, history: []int{0, 322}, day: 330, steps: []string{"user.bob rekey key csr crt p12: expiring(renew_before)"}},
	{block: "user", attribute: "reuse_key", after: "true", history: []int{0, 322}, day: 340, steps: []string{
		"user.ann reissue crt p12: expiring(renew_before)", "user.bob rekey key csr crt p12: expiring(renew_before)"}},
	{block: "user", attribute: "passphrase", before: env("A"), after: env("B"), steps: []string{"user.ann failed"}},
	{block: "user", attribute: "passphrase", before: env("A"), after: env("B"), also: map[string][]string{"user": {"previous_passphrase = " + env("A")}},
		steps: []string{"user.ann rebuild key p12: passphrase-changed passphrase-changed"}},
	{block: "user", attribute: "passphrase", before: env("A"), after: generate, also: map[string][]string{"user": {"previous_passphrase = " + env("A")}},
		steps: []string{"user.ann rebuild key p12 pass: passphrase-changed passphrase-changed"}},
	{block: "user", attribute: "previous_passphrase", after: env("A")},
	{block: "user", attribute: "challenge_password", after: env("C"), steps: []string{"user.ann rebuild csr: passphrase-changed(challenge_password)"}},
	{block: "user", attribute: "p12", after: `["compat", "modern"]`, steps: []string{"user.ann rebuild modern.p12: missing"}},
	{block: "user", attribute: "p12", before: `["compat", "modern"]`, after: `["modern"]`, steps: []string{
		"user.ann rebuild p12 modern.p12: encoding-changed(p12) encoding-changed(p12)"}},
	{block: "user", attribute: "kdf_iterations", after: "3000", steps: []string{"user.ann rebuild key p12: encoding-changed(kdf_iterations) encoding-changed(kdf_iterations)"}},
	{block: "user", attribute: "email", before: `"ann@example.com"`, after: `"ann@example.org"`, steps: []string{"user.ann rekey key csr crt p12: subject-changed(subject.email) san-changed(email)"}},
	{block: "user", attribute: "csr", after: `"ann.csr"`, steps: []string{"user.ann rekey key csr crt p12 pass: key-changed(csr) encoding-changed(p12) upstream(csr)"}},
	{block: "user", attribute: "revoked", after: `"keyCompromise"`, steps: []string{
		"user.ann retire key csr crt p12 pass: revoked(serial)", "crl.m reissue crl: revoked", "nginx.m rebuild site: upstream"}},
	{block: "user", attribute: "devices", before: `["laptop", "phone"]`, after: `["laptop"]`, steps: []string{
		"user.ann:phone retire key csr crt p12 pass: removed(serial)", "crl.m reissue crl: revoked", "nginx.m rebuild site: upstream"}},
	{block: "user", attribute: "devices", before: `["laptop"]`, after: `["laptop", "phone"]`, steps: []string{
		"user.ann:phone create key csr crt p12 pass: missing"}},
	{block: "user", attribute: "groups", after: `["a"]`},
	{block: "user", attribute: "groups", after: `["a"]`, with: map[string][]string{"nginx": {`headers = { "X-Groups" = "groups" }`}}, steps: []string{
		"nginx.m rebuild site: settings-changed(line)"}},
	{block: "defaults", attribute: "groups", before: `["b"]`, after: `["a"]`, with: map[string][]string{"nginx": {`allow_groups = ["a"]`}}, steps: []string{
		"nginx.m rebuild site: settings-changed(line)"}},
	{block: "user", attribute: "email", before: `"ann@example.com"`, after: `"ann@example.org"`, with: map[string][]string{"nginx": {`headers = { "X-Email" = "email" }`}}, steps: []string{
		"nginx.m rebuild site: settings-changed(line)", "user.ann rekey key csr crt p12: subject-changed(subject.email) san-changed(email)"}},
	{block: "user", attribute: "overlap", after: `"9d"`, history: []int{0, 340}, day: 350, steps: []string{
		"user.ann revoke : overlap-over(overlap)", "crl.m reissue crl: revoked", "nginx.m rebuild site: upstream"}},

	// What becomes of a user who is renamed, scripts show: moved_*.
	{block: "moved", attribute: "from", before: `"user.zed"`, after: `"user.yan"`, with: map[string][]string{"moved": {`to = "user.ann"`}}, note: "knows nothing of user.yan"},
	{block: "moved", attribute: "to", before: `"user.ann"`, after: `"user.bob"`, with: map[string][]string{"moved": {`from = "user.zed"`}}, note: "knows nothing of user.zed"},
	{block: "moved", attribute: "from", before: `"user.zed"`, after: `"user.bob"`, gone: "bob", with: map[string][]string{"moved": {`to = "user.ann"`}}, steps: []string{"user.ann refuse : moved"}},
	{block: "moved", attribute: "to", before: `"user.ann"`, after: `"user.yan"`, gone: "bob", with: map[string][]string{"moved": {`from = "user.zed"`}},
		also: map[string][]string{"moved": {`from = "user.bob"`}}, steps: []string{"user.bob refuse : moved"}},

	{block: "guard", attribute: "max_revocations", after: "0", gone: "bob", steps: []string{"ca.m refuse : removed(guard.max_revocations)"}},
	{block: "guard", attribute: "max_revocations", after: "2", gone: "bob", steps: []string{
		"user.bob retire key csr crt p12 pass: removed(serial)", "crl.m reissue crl: revoked", "nginx.m rebuild site: upstream"}},
	{block: "guard", attribute: "max_revocations", after: "0"},

	roster("file", `"one.csv"`, `"two.csv"`),
	roster("command", `["cat", "one.csv"]`, `["cat", "two.csv"]`, `format = "csv"`),
	roster("columns", `{ name = "name" }`, `{ name = "login" }`, `file = "both.csv"`, `where = { status = ["here"] }`),
	roster("where", `{ status = ["here"] }`, `{ status = ["new"] }`, `file = "both.csv"`, `columns = { name = "name" }`),
	roster("separator", `","`, `";"`, `file = "two-ways.csv"`, `columns = { name = "name" }`),
	{block: "roster", attribute: "format", after: `"csv"`, with: map[string][]string{"roster": {`file = "one.csv"`}}},

	site("server_name", `["chat.example.com"]`, `["chat.example.org"]`),
	site("listen", "", `["8443"]`),
	site("redirect_from", "", `[]`),
	site("upstream", `["127.0.0.1:8065"]`, `["127.0.0.1:8066"]`),
	site("upstream_ca", `"/etc/tls/app.crt"`, `"/etc/tls/ca.crt"`, `upstream = ["https://app.internal:443"]`),
	site("upstream_verify", "", "false", `upstream = ["https://app.internal:443"]`, `upstream_ca = "/etc/tls/app.crt"`),
	site("application", "", `"generic"`),
	site("proxy_protocol", "", "true"),
	site("real_ip_from", `["10.0.0.1"]`, `["10.0.0.0/8"]`, "proxy_protocol = true"),
	site("acme_challenge", "", `"/var/www/html"`),
	site("max_body_size", "", `"10G"`),
	site("nginx_version", "", `"1.26"`),
	site("certificate", "", `"/etc/tls/chain.pem"`),
	site("certificate_key", "", `"/etc/tls/key.pem"`),
	site("verify", "", `"optional"`),
	site("exempt", "", `["/hooks/"]`),
	site("cors_preflight", "", "true"),
	site("revocation", "", `"both"`),
	site("identity_headers", "", "false"),
	site("headers", "", `{ "X-Email" = "email" }`),
	site("headers", `{ "X-Email" = "email" }`, `{}`),
	site("allow_groups", `["a"]`, `["a", "b"]`),
	site("session_resumption", "", "true"),
	site("client_ca", "", `"/etc/nginx/ca.crt"`),
	site("crl", "", `"/etc/nginx/ca.crl"`, `revocation = "crl"`),
	{block: "nginx", attribute: "file", after: `"sites/chat"`, steps: []string{"nginx.m create site: missing"}},

	deployed("site", `"/etc/nginx/chat"`, `"/etc/nginx/talk"`, "nginx.m rebuild site: settings-changed", "nginx.m rebuild deploy: upstream"),
	deployed("client_ca", "", `"/etc/nginx/ca.crt"`, "nginx.m rebuild site: settings-changed(line)", "nginx.m rebuild deploy: upstream upstream"),
	deployed("crl", "", `"/etc/nginx/ca.crl"`, "nginx.m rebuild site: settings-changed(line)", "nginx.m rebuild deploy: upstream upstream"),
	deployed("test", `["true"]`, `["true", "again"]`),
	deployed("reload", `["true"]`, `["true", "again"]`),
	deployed("probe", "", `"127.0.0.1:443"`),
	deployed("timeout", "", `"1m"`),
}

// both are the steps of the two users without own values.
func both(step string) []string { return []string{"user.ann " + step, "user.bob " + step} }

func site(attribute, before, after string, with ...string) mutation {
	return mutation{block: "nginx", attribute: attribute, before: before, after: after, with: map[string][]string{"nginx": with},
		steps: []string{"nginx.m rebuild site: settings-changed(line)"}}
}

// roster is a list in which eve takes dan's place.
func roster(attribute, before, after string, with ...string) mutation {
	return mutation{block: "roster", attribute: attribute, before: before, after: after, with: map[string][]string{"roster": with}, steps: []string{
		"user.dan retire key csr crt p12 pass: removed(serial)", "crl.m reissue crl: revoked", "nginx.m rebuild site: upstream", "user.eve create key csr crt p12 pass: missing"}}
}

func deployed(attribute, before, after string, steps ...string) mutation {
	return mutation{block: "nginx.deploy", attribute: attribute, before: before, after: after, with: map[string][]string{"nginx": {`revocation = "crl"`}}, steps: steps}
}

func init() {
	// A name that users inherit is theirs, too; cyd has own values for all of it.
	for _, field := range []string{"country", "province", "locality", "organization", "organizational_unit"} {
		value := map[string]string{"country": `"DE"`}[field]
		if value == "" {
			value = `"Other"`
		}
		step := "rekey key csr crt p12: subject-changed(subject." + field + ")"
		mutations = append(mutations,
			mutation{block: "ca.subject", attribute: field, after: value, steps: both(step), note: "with the next generation"},
			mutation{block: "defaults.subject", attribute: field, after: value, steps: both(step)},
			mutation{block: "user.subject", attribute: field, after: value, steps: []string{"user.ann " + step}})
	}
	mutations = append(mutations,
		mutation{block: "user.subject", attribute: "common_name", after: `"Ann"`, steps: []string{"user.ann rekey key csr crt p12: subject-changed(subject.common_name)"}},
		mutation{block: "user.subject", attribute: "email", after: `"ann@example.org"`, steps: []string{"user.ann rekey key csr crt p12: subject-changed(subject.email) san-changed(email)"}})
}

// refusedInDefaults are attributes that a subject block takes, but not in the
// the defaults.
var refusedInDefaults = []string{"common_name", "email"}

// hcl writes the spec before or after the mutation.
func (m mutation) hcl(after bool) string {
	said := map[string]map[string]string{
		"":             {"output": `"pki"`},
		"ca":           {"key": `"ecdsa-p256"`, "kdf_iterations": "2048"},
		"ca.subject":   {"common_name": `"The CA"`},
		"defaults":     {"kdf_iterations": "2048"},
		"nginx":        {"server_name": `["chat.example.com"]`, "upstream": `["127.0.0.1:8065"]`},
		"nginx.deploy": {"site": `"/etc/nginx/chat"`, "test": `["true"]`, "reload": `["true"]`},
	}
	say := func(block, attribute, value string) { said[block] = set(said[block], attribute, value) }
	lines := func(more map[string][]string) {
		for block, attributes := range more {
			for _, line := range attributes {
				name, value, _ := strings.Cut(line, " = ")
				say(block, name, value)
			}
		}
	}
	lines(m.with)
	if say(m.block, m.attribute, m.before); after {
		say(m.block, m.attribute, m.after)
		lines(m.also)
	}
	var b strings.Builder
	body := func(block string) string {
		var b strings.Builder
		for _, name := range slices.Sorted(keysOf(said[block])) {
			fmt.Fprintf(&b, "%s = %s\n", name, said[block][name])
		}
		return b.String()
	}
	fmt.Fprintf(&b, "%s\nca \"m\" {\n%ssubject {\n%s}\ncrl {\n%s}\n}\n", body(""), body("ca"), body("ca.subject"), body("ca.crl"))
	fmt.Fprintf(&b, "defaults {\n%ssubject {\n%s}\n}\nguard {\n%s}\n", body("defaults"), body("defaults.subject"), body("guard"))
	fmt.Fprintf(&b, "user \"ann\" {\n%ssubject {\n%s}\n}\n", body("user"), body("user.subject"))
	if !after || m.gone != "bob" {
		b.WriteString("user \"bob\" {}\n")
	}
	b.WriteString(`user "cyd" {
  key            = "ecdsa-p256"
  validity       = "365d"
  renew_before   = "1d"
  reuse_key      = false
  passphrase     = { env = "CYD" }
  p12            = ["compat"]
  kdf_iterations = 2048
  overlap        = "300d"
  subject {
    country             = "US"
    province            = "Maryland"
    locality            = "Meade"
    organization        = "Mattermost"
    organizational_unit = "Smarttotem"
  }
}
`)
	if len(said["moved"]) > 0 {
		fmt.Fprintf(&b, "moved {\n%s}\n", body("moved"))
	}
	if m.block == "roster" {
		fmt.Fprintf(&b, "roster \"staff\" {\n%s}\n", body("roster"))
	}
	inner := ""
	if m.block == "nginx.deploy" {
		inner = "deploy {\n" + body("nginx.deploy") + "}\n"
	}
	fmt.Fprintf(&b, "nginx \"m\" {\n%s%s}\n", body("nginx"), inner)
	return b.String()
}

// TestEveryAttribute changes every attribute of the language alone and compares the steps
// that follow.
func TestEveryAttribute(t *testing.T) {
	supported := attributesOfTheLanguage()
	have := map[string]bool{}
	for i, m := range mutations {
		name := strings.TrimPrefix(m.block+"."+m.attribute, ".")
		if _, known := supported[name]; !known {
			t.Errorf("a row changes %s, which the language does not have", name)
		}
		if have[name] = true; !supported[name] {
			continue
		}
		t.Run(fmt.Sprintf("%s %d", name, i), func(t *testing.T) {
			t.Parallel()
			m.ran(t)
		})
	}
	for name := range supported {
		if !have[name] {
			t.Errorf("no row changes %s: add a row with the steps that follow", name)
		}
	}
}

// attributesOfTheLanguage are all attributes by block and name, and whether
// this version acts on them.
func attributesOfTheLanguage() map[string]bool {
	out := map[string]bool{}
	for _, block := range spec.Reference() {
		places := []string{block.Name}
		if len(block.In) > 0 {
			places = nil
			for _, outer := range block.In {
				places = append(places, outer+"."+block.Name)
			}
		}
		for _, place := range places {
			for _, a := range block.Attributes {
				if place != "defaults.subject" || !slices.Contains(refusedInDefaults, a.Name) {
					out[strings.TrimPrefix(place+"."+a.Name, ".")] = true
				}
			}
		}
	}
	for _, proxy := range proxies.All {
		for _, s := range proxy.Attributes {
			out[proxy.Name+"."+s.Name] = true
		}
		for _, block := range proxy.Blocks {
			for _, s := range block.Attributes {
				out[proxy.Name+"."+block.Name+"."+s.Name] = true
			}
		}
	}
	return out
}

func (m mutation) ran(t *testing.T) {
	dir := t.TempDir()
	secrets := map[string]string{"A": "passphrase-a", "B": "passphrase-b", "C": "passphrase-c", "CYD": "passphrase-cyd"}
	for name, text := range map[string]string{"one.csv": "name\ndan\n", "two.csv": "name\neve\n", "both.csv": "name,login,status\ndan,eve,here\neve,dan,new\n",
		"two-ways.csv": "name,x;name\ndan,x;eve\n", "ann.csr": string(requests()["ann1"])} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	w := &world{t: t, dir: dir}
	host := t.TempDir()
	config := func(after bool) *spec.Config {
		file := filepath.Join(dir, "mtlsplan.hcl")
		w.write(file, []byte(strings.ReplaceAll(m.hcl(after), "/etc/nginx/", host+"/")), 0o600)
		cfg, _, diags := spec.Load(t.Context(), file, "")
		if diags.HasErrors() {
			t.Fatalf("%v\n%s", diags, m.hcl(after))
		}
		return cfg
	}
	apply := func(cfg *spec.Config, day int) *Report {
		opt := Options{Now: first.AddDate(0, 0, day), LookupEnv: func(name string) (string, bool) { s, ok := secrets[name]; return s, ok }}
		r, err := Apply(context.Background(), cfg, opt, quiet{})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, day := range append([]int{0}, m.history...) {
		if r := apply(config(false), day); len(r.Failures) > 0 || r.Plan.Refused() {
			t.Fatalf("before: %s", summary(r))
		}
	}
	before := w.snapshot()
	cfg := config(true)
	r := apply(cfg, m.day)
	if have := stepLines(r.Plan); !slices.Equal(have, m.steps) {
		t.Errorf("steps\n  %s\nwant\n  %s", strings.Join(have, "\n  "), strings.Join(m.steps, "\n  "))
	}
	notes := ""
	for _, n := range r.Plan.Notes {
		notes += n.Message + "\n"
	}
	if !strings.Contains(notes, m.note) {
		t.Errorf("the plan lacks %q; it says: %s", m.note, notes)
	}
	if cfg.Output == filepath.Join(dir, "pki") {
		w.checkEffects(ran{cfg: cfg, report: r, before: before, after: w.snapshot()})
	} else if diff := changes(before, w.snapshot()); len(diff) > 0 {
		t.Errorf("the former output directory has changed: %v", diff)
	}
}

// stepLines are a plan's steps, one line each, in the form of the table.
func stepLines(p *plan.Plan) []string {
	var out []string
	for _, s := range p.Steps {
		var codes []string
		for _, r := range s.Reasons {
			code := string(r.Code)
			if r.Field != "" {
				code += "(" + r.Field + ")"
			}
			codes = append(codes, code)
		}
		out = append(out, fmt.Sprintf("%s %s %s: %s", s.Owner, s.Action, strings.Join(s.Artefacts, " "), strings.Join(codes, " ")))
	}
	for _, f := range p.Failures {
		out = append(out, string(f.Owner)+" failed")
	}
	return out
}
