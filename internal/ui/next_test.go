package ui

import (
	"slices"
	"strings"
	"testing"

	"mtlsplan/internal/plan"
	"mtlsplan/render"
	"mtlsplan/render/proxies"
	"mtlsplan/spec"
)

func TestNext(t *testing.T) {
	nginx := proxies.All[0]
	site := func(s render.Settings) spec.Site {
		s.File = "nginx/chat"
		return spec.Site{Name: "chat", Proxy: nginx, Settings: s}
	}
	copies := site(render.Settings{Revocation: "both", ClientCA: "/opt/ca.crt", CRL: "/opt/the ca's.crl"})
	inPlace := site(render.Settings{Revocation: "map"})
	step := func(owner plan.Owner, action plan.Action, artefacts ...string) plan.Step {
		return plan.Step{Owner: owner, Action: action, Artefacts: artefacts}
	}
	ca, crl := step("ca.m", plan.Create, "key", "crt"), step("crl.m", plan.Reissue, "crl")
	created, rebuilt := step("nginx.chat", plan.Create, "site"), step("nginx.chat", plan.Rebuild, "site")
	user := step("user.ada", plan.Create, "p12")
	user.Reimport = true
	gone, expired := step("user.bob", plan.Retire, "key"), step("user.cid", plan.Retire, "key")
	gone.Revokes = 1
	const reload = "  nginx -t && systemctl reload nginx"
	const host = "Next, on the host that runs NGINX:"
	for name, c := range map[string]struct {
		sites []spec.Site
		done  []plan.Step
		want  []string
	}{
		"nothing was done": {[]spec.Site{copies}, nil, nil},
		"no site":          {nil, []plan.Step{ca, user, crl, gone}, nil},
		"first run, copied": {[]spec.Site{copies}, []plan.Step{ca, user, crl, created}, []string{host,
			"  install -m 0644 out/ca.m.crt /opt/ca.crt",
			`  install -m 0644 out/ca.m.crl '/opt/the ca'\''s.crl'`,
			"  install -m 0644 out/nginx/chat /etc/nginx/sites-available/chat",
			"  ln -sf /etc/nginx/sites-available/chat /etc/nginx/sites-enabled/",
			reload}},
		"the CA is read in place":       {[]spec.Site{inPlace}, []plan.Step{ca}, []string{host, reload}},
		"the site reads no CRL":         {[]spec.Site{inPlace}, []plan.Step{crl}, nil},
		"two sites read the same files": {[]spec.Site{copies, copies}, []plan.Step{ca}, []string{host, "  install -m 0644 out/ca.m.crt /opt/ca.crt", reload}},
		"revoked": {[]spec.Site{inPlace}, []plan.Step{gone, expired, crl, rebuilt}, []string{host,
			"  install -m 0644 out/nginx/chat /etc/nginx/sites-available/chat", reload,
			"Until NGINX has reloaded, 1 user still gets in with what this run revoked."}},
		"a mode was repaired": {[]spec.Site{copies}, []plan.Step{step("ca.m", plan.Repair, "key")}, nil},
	} {
		cfg := &spec.Config{Output: "/srv/out", Sites: c.sites}
		cfg.CA.Name = "m"
		got := Next(c.done, cfg, func(p string) string { return strings.TrimPrefix(p, "/srv/") })
		if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s:\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
}

func TestToGive(t *testing.T) {
	step := func(owner plan.Owner) plan.Step { return plan.Step{Owner: owner, Action: plan.Rekey, Reimport: true} }
	as := func(p string) string { return p }
	cfg := &spec.Config{File: "mtlsplan.hcl"}
	quiet := plan.Step{Owner: "user.cem", Action: plan.Repair}
	if got := ToGive([]plan.Step{quiet}, cfg, as); got != nil {
		t.Errorf("nobody has a new file: %q", got)
	}
	got := strings.Join(ToGive([]plan.Step{step("user.ada:laptop"), quiet, step("user.bea")}, cfg, as), "\n")
	want := "Give a new .p12, and its passphrase by another channel, to user.ada:laptop, user.bea:\n  mtlsplan handout --pending -o DIR"
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	keeper := plan.Step{Owner: "user.dot", Action: plan.Reissue, Artefacts: []string{"crt"}}
	got = strings.Join(ToGive([]plan.Step{step("user.ada"), keeper}, cfg, as), "\n")
	want = "Give a new .p12, and its passphrase by another channel, to user.ada\nGive the new certificate, for the key that they have, to user.dot:\n  mtlsplan handout --pending -o DIR"
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if got := GiveInALog(strings.Split(got, "\n")); got != strings.Replace(want, ":\n ", ":", 1) || GiveInALog(nil) != "" {
		t.Errorf("in a log: %s", got)
	}
	cfg.File = "our staff.hcl"
	got = strings.Join(ToGive(slices.Repeat([]plan.Step{step("user.ada")}, mostNames+1), cfg, as), "\n")
	want = "Give a new .p12, and its passphrase by another channel, to 21 users, whom mtlsplan status lists:\n  mtlsplan handout 'our staff.hcl' --pending -o DIR"
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}
