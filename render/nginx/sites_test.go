package nginx

import (
	"bytes"
	"fmt"
	"testing"

	"mtlsplan/render"
)

// TestSitesInOneNginx holds the check against NGINX's own judgement: what it
// calls a conflict is one here, and nothing else is.
func TestSitesInOneNginx(t *testing.T) {
	l := newLab(t)
	for _, tt := range []struct {
		name       string
		one, other said
		want       string // the setting that is pointed at
	}{
		{"apart", said{}, said{"server_name": []string{"b.test"}}, ""},
		{"one name", said{}, said{}, "server_name"},
		{"in another case", said{}, said{"server_name": []string{"b.test", "CHAT.test"}}, "server_name"},
		{"wildcard", said{"server_name": []string{"*.test"}}, said{"server_name": []string{"*.test"}}, "server_name"},
		{"within a wildcard", said{"server_name": []string{"*.test"}}, said{"server_name": []string{"chat.test"}}, ""},
		{"port and any address", said{"listen": []string{"18443"}}, said{"listen": []string{"0.0.0.0:18443"}}, "server_name"},
		{"port and star", said{"listen": []string{"18443"}}, said{"listen": []string{"*:18443"}}, "server_name"},
		{"port and one address", said{"listen": []string{"18443"}}, said{"listen": []string{"127.0.0.1:18443"}}, ""},
		{"both families", said{"listen": []string{"18443"}}, said{"listen": []string{"[::]:18443"}}, ""},
		{"other ports", said{"listen": []string{"18443"}}, said{"listen": []string{"18444"}}, ""},
		{"redirects alone", said{"redirect_from": []string{"18080"}, "listen": []string{"18443"}}, said{"redirect_from": []string{"18080"}, "listen": []string{"18444"}}, "server_name"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l.t = t
			var sites []render.Site
			for i, v := range []said{tt.one, tt.other} {
				if v["listen"] == nil {
					v["listen"] = []string{"127.0.0.1:18443"}
				}
				s := l.site(v)
				s.Name = fmt.Sprintf("s%d", i)
				sites = append(sites, s)
			}
			l.config("", sites...)
			out, err := l.nginx("-t").CombinedOutput()
			if conflict := bytes.Contains(out, []byte("conflicting server name")); err != nil || conflict != (tt.want != "") {
				t.Fatalf("%v\n%s", err, out)
			}
			found := ""
			for _, p := range Proxy.CheckAll(sites) {
				if p.Site != 1 || p.Warning {
					t.Errorf("%+v", p)
				}
				found += p.Attribute
			}
			if found != tt.want {
				t.Errorf("%q, want %q", found, tt.want)
			}
		})
	}
}

func TestRedirectFromAnothersPort(t *testing.T) {
	site := func(name, listen, redirect string) render.Site {
		return render.Site{Name: name, Settings: settings{ServerNames: []string{name + ".test"}, Listen: []string{listen}, RedirectFrom: []string{redirect}}}
	}
	a, b := site("a", "443", "80"), site("b", "8443", "*:443")
	for _, sites := range [][]render.Site{{a, b}, {b, a}} {
		if got := Proxy.CheckAll(sites); len(got) != 1 || got[0].Site != 1 || got[0].Summary != "Address of another site" {
			t.Errorf("%+v", got)
		}
	}
}

// TestManyVariables: twelve sites of five variables each are quiet, one more is
// not.
func TestManyVariables(t *testing.T) {
	var sites []render.Site
	for i := range 13 {
		if got := Proxy.CheckAll(sites); len(got) != 0 {
			t.Errorf("%d sites: %v", i, got)
		}
		name := fmt.Sprintf("s%d", i)
		sites = append(sites, render.Site{Name: name, Settings: plainSite(said{"server_name": []string{name + ".test"}}).Settings})
	}
	if got := Proxy.CheckAll(sites); len(got) != 1 || got[0].Site != 12 || !got[0].Warning {
		t.Errorf("%+v", got)
	}
}
