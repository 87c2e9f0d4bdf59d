package spec

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"

	"mtlsplan/internal/config"
	"mtlsplan/internal/pki"
	"mtlsplan/render"
)

const smallCA = `
ca "m" {
  subject {
    country      = "US"
    organization = "Example"
    common_name  = "Root"
    email        = "admin@example.com"
  }
}
`

func loadText(t testing.TB, text string) (*Config, *Sources, hcl.Diagnostics) {
	t.Helper()
	src := &Sources{files: map[string]*source{}}
	cfg, diags := newLoader(t.Context(), src, "test.hcl", "/spec").load([]byte(text), "")
	return cfg, src, diags
}

func mustLoad(t testing.TB, text string) *Config {
	t.Helper()
	cfg, _, diags := loadText(t, text)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return cfg
}

func TestDefaults(t *testing.T) {
	cfg := mustLoad(t, smallCA+`
user "alice" {
}
`)
	if cfg.Output != "/spec/pki" {
		t.Errorf("output %q", cfg.Output)
	}
	ca := cfg.CA
	ca.Origin = hcl.Range{}
	want := CA{
		Name:    "m",
		Subject: pki.Subject{Country: "US", Organization: "Example", CommonName: "Root", Email: "admin@example.com"},
		Key:     pki.RSA4096, Validity: 3650 * day, RenewBefore: 3650 * day / 3,
		Passphrase: config.Source{Kind: config.Generated}, KDFIterations: 2048, Generation: 1,
		CRLValidity: 30 * day, CRLRenewBefore: 10 * day,
	}
	if !reflect.DeepEqual(ca, want) {
		t.Errorf("CA\n%+v, want\n%+v", ca, want)
	}
	u := cfg.Users[0]
	u.Origin = hcl.Range{}
	wantUser := User{
		Name:    "alice",
		Subject: pki.Subject{Country: "US", Organization: "Example", CommonName: "alice"},
		Key:     pki.ECDSAP256, Validity: 365 * day, RenewBefore: 30 * day, RenewSpread: 10 * day,
		Passphrase: config.Source{Kind: config.Generated}, P12: []pki.Profile{pki.Compat}, KDFIterations: 2048,
	}
	if !reflect.DeepEqual(u, wantUser) {
		t.Errorf("user\n%+v, want\n%+v", u, wantUser)
	}
}

// TestInheritance follows each setting from the CA through the defaults to a
// user.
func TestInheritance(t *testing.T) {
	cfg := mustLoad(t, smallCA+`
defaults {
  subject {
    organization = "Guests"
    locality     = "Town"
  }
  key            = "rsa-2048"
  validity       = "8w"
  renew_before   = "36h"
  reuse_key      = true
  passphrase     = { command = ["pass", "show", "all"] }
  p12            = ["modern", "compat"]
  kdf_iterations = 5000
}

user "a" {
  email = "a@example.com"
}

user "b" {
  subject {
    common_name  = "Bee"
    organization = "Hive"
    email        = "b@example.com"
  }
  key                 = "ecdsa-p384"
  validity            = "2y"
  renew_before        = "1w"
  reuse_key           = false
  passphrase          = { env = "B" }
  previous_passphrase = { file = "b.pass" }
  challenge_password  = { file = "/etc/b" }
  p12                 = ["modern"]
  kdf_iterations      = 1000
}

user "c" {
  passphrase = { generate = true }
}
`)
	a, b, c := cfg.Users[0], cfg.Users[1], cfg.Users[2]
	for _, tt := range []struct {
		what       string
		have, want any
	}{
		{"a subject", a.Subject, pki.Subject{Country: "US", Locality: "Town", Organization: "Guests", CommonName: "a", Email: "a@example.com"}},
		{"a key", a.Key, pki.RSA2048},
		{"a validity", a.Validity, 56 * day},
		{"a renew_before", a.RenewBefore, 36 * time.Hour},
		{"a reuse_key", a.ReuseKey, true},
		{"a passphrase", a.Passphrase, config.Source{Kind: config.FromCommand, Command: []string{"pass", "show", "all"}, Dir: "/spec"}},
		{"a p12", a.P12, []pki.Profile{pki.Modern, pki.Compat}},
		{"a iterations", a.KDFIterations, 5000},
		{"b subject", b.Subject, pki.Subject{Country: "US", Locality: "Town", Organization: "Hive", CommonName: "Bee", Email: "b@example.com"}},
		{"b key", b.Key, pki.ECDSAP384},
		{"b validity", b.Validity, 730 * day},
		{"b renew_before", b.RenewBefore, 7 * day},
		{"b reuse_key", b.ReuseKey, false},
		{"b passphrase", b.Passphrase, config.Source{Kind: config.FromEnv, Env: "B"}},
		{"b previous", b.PreviousPassphrase, config.Source{Kind: config.FromFile, File: "/spec/b.pass"}},
		{"b challenge", b.ChallengePassword, config.Source{Kind: config.FromFile, File: "/etc/b"}},
		{"b p12", b.P12, []pki.Profile{pki.Modern}},
		{"b iterations", b.KDFIterations, 1000},
		{"c passphrase", c.Passphrase, config.Source{Kind: config.Generated}},
		{"c iterations", c.KDFIterations, 5000},
	} {
		if !reflect.DeepEqual(tt.have, tt.want) {
			t.Errorf("%s: %v, want %v", tt.what, tt.have, tt.want)
		}
	}
}

func TestIterationsFollowPassphrase(t *testing.T) {
	cfg := mustLoad(t, smallCA+`
user "a" {
  passphrase = { env = "A" }
}

user "b" {
}
`)
	if a, b := cfg.Users[0].KDFIterations, cfg.Users[1].KDFIterations; a != 600000 || b != 2048 {
		t.Errorf("chosen %d, generated %d", a, b)
	}
}

// TestRenewBefore is a third of the validity, of users at most 30 days.
func TestRenewBefore(t *testing.T) {
	for validity, want := range map[string]time.Duration{"1h": 20 * time.Minute, "30d": 10 * day, "90d": 30 * day, "91d": 30 * day, "10y": 30 * day} {
		cfg := mustLoad(t, fmt.Sprintf(smallCA+"user \"a\" {\n  validity = %q\n}\n", validity))
		if have := cfg.Users[0].RenewBefore; have != want {
			t.Errorf("validity %s: %v, want %v", validity, have, want)
		}
	}
}

// TestRenewSpread is a third of renew_before, and leaves half of the rest alone.
func TestRenewSpread(t *testing.T) {
	for lifetime, want := range map[string]time.Duration{
		`validity = "365d"`:                            10 * day,
		`validity = "30d"`:                             80 * time.Hour,
		"validity = \"30d\"\n  renew_before = \"29d\"": 12 * time.Hour,
		"validity = \"30d\"\n  renew_before = \"10d\"\n  renew_spread = \"19d\"": 19 * day,
		`renew_spread = "0d"`: 0,
	} {
		cfg := mustLoad(t, smallCA+"user \"a\" {\n  "+lifetime+"\n}\n")
		if have := cfg.Users[0].RenewSpread; have != want {
			t.Errorf("%s: %v, want %v", lifetime, have, want)
		}
	}
}

func TestSiteValues(t *testing.T) {
	cfg := mustLoad(t, smallCA+`
nginx "chat" {
  server_name        = ["chat.example.com"]
  upstream           = ["127.0.0.1:8065"]
  redirect_from      = []
  session_resumption = false
}
`)
	s := cfg.Sites[0]
	if s.Name != "chat" || s.Proxy.Name != "nginx" {
		t.Errorf("%s %q", s.Proxy.Name, s.Name)
	}
	want := render.Settings{
		File:            "nginx/chat",
		ServerNames:     []string{"chat.example.com"},
		Listen:          []string{"443", "[::]:443"},
		RedirectFrom:    []string{},
		Upstream:        []string{"127.0.0.1:8065"},
		UpstreamVerify:  true,
		Application:     "mattermost",
		Verify:          "on",
		Revocation:      "map",
		IdentityHeaders: true,
	}
	if !reflect.DeepEqual(s.Settings, want) {
		t.Errorf("got  %#v\nwant %#v", s.Settings, want)
	}
}

// TestParts loads the same text with the parts apart and, because of a comment
// that could hide the beginning of a block, as one.
func TestParts(t *testing.T) {
	text := smallCA
	for i := range 8000 {
		switch i {
		case 2000:
			text += "defaults {\n  validity = \"90d\"\n}\n"
		case 4000:
			text += "  output = \"x\"\n"
		case 6000:
			text += "nginx \"s\" {\n  server_name = [\"a.example.com\"]\n  upstream = [\"127.0.0.1:80\"]\n}\n"
		}
		text += fmt.Sprintf("user \"u%d\" {\n  email = \"u%d@example.com\"\n}\n", i, i)
	}
	if n := len(split([]byte(text))); n < 7 {
		t.Fatalf("%d parts", n)
	}
	apart, one := mustLoad(t, text), mustLoad(t, text+"/* */\n")
	if len(split([]byte(text+"/* */\n"))) != 1 {
		t.Fatal("not one part")
	}
	if !reflect.DeepEqual(apart.Users, one.Users) || !reflect.DeepEqual(apart.CA, one.CA) || apart.Output != one.Output || len(apart.Sites) != 1 {
		t.Error("parts and whole differ")
	}
	if u := apart.Users[7999]; u.Name != "u7999" || u.Validity != 90*day || apart.Output != filepath.FromSlash("/spec/x") {
		t.Errorf("%+v %s", u, apart.Output)
	}
}

// TestPartsKeepProblems breaks one block after another: whatever is wrong in
// one of them, the problem in the last is reported too.
func TestPartsKeepProblems(t *testing.T) {
	for _, broken := range []string{"user \"a\" {\n", "user \"a\" {\n  email = \"x\n}\n", "user \"a\" {\n  p12 = [\n}\n", "user a b c\n", "}\n", "user \"a\" {\n  ) (\n}\n"} {
		_, _, diags := loadText(t, smallCA+broken+"user \"z\" {\n  emial = \"z\"\n}\n")
		found := false
		for _, d := range diags {
			found = found || strings.Contains(d.Detail, "emial")
		}
		if !found || len(diags) < 2 {
			t.Errorf("behind %q: %v", broken, diags)
		}
	}
}

// TestLongLists is about time that grows with the square: it would take
// minutes then.
func TestLongLists(t *testing.T) {
	if testing.Short() {
		t.Skip("long input")
	}
	var b strings.Builder
	b.WriteString(smallCA)
	for i := range 20_000 {
		fmt.Fprintf(&b, "user \"u%d\" {\n  emial = \"x\"\n  passphrase = \"x\"\n}\n", i)
	}
	start := time.Now()
	_, src, diags := loadText(t, b.String())
	if len(diags) != 40_000 {
		t.Errorf("%d problems", len(diags))
	}
	for _, d := range diags {
		if _, ok := src.Snippet(*d.Subject); !ok || src.Block(*d.Subject) == "" {
			t.Fatal("no line for a problem")
		}
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestStarter(t *testing.T) {
	if _, diags := newLoader(t.Context(), &Sources{files: map[string]*source{}}, "starter.hcl", "/").load(Starter(), ""); len(diags) > 0 {
		t.Error(diags)
	}
	text, _, diags := Format(Starter(), "starter.hcl")
	if len(diags) > 0 || string(text) != string(Starter()) {
		t.Errorf("not formatted: %v", diags)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(string(Starter()))
	f.Add(smallCA + "user \"a\" {\n  passphrase = { env = \"A\" }\n  p12 = [\"modern\"]\n}\n")
	f.Add("user \"a\" {\n  email = \"${x}\"\n  key = <<EOT\nx\nEOT\n}\nca {\n")
	f.Add("nginx \"a\" {\n  deploy {\n    site = 1\n  }\n}\nroster \"x\" { file = \"x.csv\" }\n")
	f.Add("ca = { a = { b = [1, -2, null, true, \"\\u202e\"] } }\n  output = \"\"\n")
	f.Add("output = \"a\"\noutput = \"b\"\nuser \"a\" \"b\" { }\n/* */ user \"c\" {}")
	f.Fuzz(func(t *testing.T, text string) {
		cfg, src, diags := loadText(t, text)
		if (cfg == nil) != diags.HasErrors() {
			t.Errorf("Config %v with %v", cfg, diags)
		}
		for _, d := range diags {
			if d.Subject == nil || d.Summary == "" || d.Detail == "" || d.Severity == hcl.DiagInvalid {
				t.Fatalf("incomplete: %+v", d)
			}
			snip, ok := src.Snippet(*d.Subject)
			if !ok || snip.Start > snip.End || snip.End > len(snip.Text) {
				t.Fatalf("%+v shows %+v", d, snip)
			}
			at := 0
			for _, h := range snip.Hidden {
				if h[0] < at || h[1] <= h[0] || h[1] > len(snip.Text) {
					t.Fatalf("hidden %v of %d bytes", snip.Hidden, len(snip.Text))
				}
				at = h[1]
			}
		}
	})
}
