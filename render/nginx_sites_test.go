package render

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// TestSitesInOneNginx holds the check against NGINX's own judgement: what it
// calls a conflict is one here, and nothing else is.
func TestSitesInOneNginx(t *testing.T) {
	l := newLab(t)
	for _, tt := range []struct {
		name       string
		one, other Values
		want       string // the setting that is pointed at
	}{
		{"apart", Values{}, Values{"server_name": []string{"b.test"}}, ""},
		{"one name", Values{}, Values{}, "server_name"},
		{"in another case", Values{}, Values{"server_name": []string{"b.test", "CHAT.test"}}, "server_name"},
		{"wildcard", Values{"server_name": []string{"*.test"}}, Values{"server_name": []string{"*.test"}}, "server_name"},
		{"within a wildcard", Values{"server_name": []string{"*.test"}}, Values{"server_name": []string{"chat.test"}}, ""},
		{"port and any address", Values{"listen": []string{"18443"}}, Values{"listen": []string{"0.0.0.0:18443"}}, "server_name"},
		{"port and star", Values{"listen": []string{"18443"}}, Values{"listen": []string{"*:18443"}}, "server_name"},
		{"port and one address", Values{"listen": []string{"18443"}}, Values{"listen": []string{"127.0.0.1:18443"}}, ""},
		{"both families", Values{"listen": []string{"18443"}}, Values{"listen": []string{"[::]:18443"}}, ""},
		{"other ports", Values{"listen": []string{"18443"}}, Values{"listen": []string{"18444"}}, ""},
		{"redirects alone", Values{"redirect_from": []string{"18080"}, "listen": []string{"18443"}}, Values{"redirect_from": []string{"18080"}, "listen": []string{"18444"}}, "server_name"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l.t = t
			var sites []Site
			var named []Named
			for i, v := range []Values{tt.one, tt.other} {
				if v["listen"] == nil {
					v["listen"] = []string{"127.0.0.1:18443"}
				}
				s := l.site(v)
				s.Name = fmt.Sprintf("s%d", i)
				sites, named = append(sites, s), append(named, Named{s.Name, s.Values})
			}
			l.config("", sites...)
			out, err := l.nginx("-t").CombinedOutput()
			if conflict := bytes.Contains(out, []byte("conflicting server name")); err != nil || conflict != (tt.want != "") {
				t.Fatalf("%v\n%s", err, out)
			}
			found := ""
			for _, p := range nginx.CheckAll(named) {
				if p.Site != 1 || p.Warning {
					t.Errorf("%+v", p)
				}
				found += p.Setting
			}
			if found != tt.want {
				t.Errorf("%q, want %q", found, tt.want)
			}
		})
	}
}

func TestRedirectFromAnothersPort(t *testing.T) {
	a := Named{"a", Values{"server_name": []string{"a.test"}, "listen": []string{"443"}, "redirect_from": []string{"80"}}}
	b := Named{"b", Values{"server_name": []string{"b.test"}, "listen": []string{"8443"}, "redirect_from": []string{"*:443"}}}
	for _, sites := range [][]Named{{a, b}, {b, a}} {
		if got := nginx.CheckAll(sites); len(got) != 1 || got[0].Site != 1 || got[0].Summary != "Address of another site" {
			t.Errorf("%+v", got)
		}
	}
}

// TestManyVariables counts what is rendered.
func TestManyVariables(t *testing.T) {
	for _, v := range []Values{{}, {"exempt": []string{"/x/"}, "application": "generic"}, {"revocation": "crl"}, {"session_resumption": true}, {"server_name": []string{"192.0.2.1"}}} {
		s := plainSite(v)
		if have, want := newNginxSite(s).variables(), strings.Count(string(nginx.Render(s)), "\nmap "); have != want {
			t.Errorf("%v: %d variables, rendered %d", v, have, want)
		}
	}
	var sites []Named
	for i := range 7 {
		if got := nginx.CheckAll(sites); len(got) != 0 {
			t.Errorf("%d sites: %v", i, got)
		}
		name := fmt.Sprintf("s%d", i)
		sites = append(sites, Named{name, plainSite(Values{"server_name": []string{name + ".test"}}).Values})
	}
	if got := nginx.CheckAll(sites); len(got) != 1 || got[0].Site != 6 || !got[0].Warning {
		t.Errorf("%+v", got)
	}
}
