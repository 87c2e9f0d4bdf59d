package nginx

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"

	"mtlsplan/internal/testing/sample"
	"mtlsplan/render"
)

func randomSerials(n int) []string {
	out := make([]string, n)
	for i := range out {
		var b [16]byte
		rand.Read(b[:])
		out[i] = strings.ToUpper(hex.EncodeToString(b[:]))
	}
	slices.Sort(out)
	return out
}

// countedSerials are those of a hand-made CA: 01, 02, 03, ...
func countedSerials(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = strings.ToUpper(hex.EncodeToString(big.NewInt(int64(i + 1)).Bytes()))
	}
	slices.Sort(out)
	return out
}

// sameEnd are serials that a split by the last byte does not part.
func sameEnd(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%014X00", i)
	}
	return out
}

// TestSilentSites: nginx -t has nothing to say about any combination of
// settings that the version at hand can judge. A plain run tries one in five.
func TestSilentSites(t *testing.T) {
	if testing.Short() {
		t.Skip("many servers")
	}
	l := newLab(t)
	choices := []struct {
		name   string
		values []any
	}{
		{"application", anys(applicationNames())},
		{"nginx_version", []any{"", "1.22", "1.22.1"}},
		{"revocation", []any{"map", "crl", "both"}},
		{"session_resumption", []any{false, true}},
		{"cors_preflight", []any{false, true}},
		{"proxy_protocol", []any{false, true}},
		{"exempt", []any{[]string(nil), []string{"/hooks/", "/api/v4/system/ping", "/a~b!(c)*+,=:@/"}}},
		{"server_name", []any{[]string{"chat.test"}, []string{"*.wild.test", "a_b.test", "192.0.2.1"}}},
	}
	combinations := []said{{}}
	for _, c := range choices {
		var next []said
		for _, v := range combinations {
			for _, value := range c.values {
				w := said{c.name: value}
				for k, old := range v {
					w[k] = old
				}
				next = append(next, w)
			}
		}
		combinations = next
	}
	for i, v := range sample.OneIn(5, combinations) {
		v["upstream"] = []string{"127.0.0.1:8065", "[::1]:8065", "unix:/run/app.sock"}
		v["redirect_from"] = []string{"127.0.0.1:9080", "[::1]:9080"}
		s := l.site(v)
		if i%2 == 1 {
			s.Revoked = countedSerials(100)
		}
		l.config("", s)
		l.test()
	}
}

// TestSilentTables: NGINX's default hash sizes suffice, however many are
// revoked and whatever their serials look like.
func TestSilentTables(t *testing.T) {
	l := newLab(t)
	tests := map[string][]string{
		"none": nil, "one": countedSerials(1), "full": randomSerials(fullTable), "more": randomSerials(fullTable + 1),
		"10,000 random": randomSerials(10_000), "20,000 random": randomSerials(20_000), "100,000 random": randomSerials(100_000),
		"20,000 counted": countedSerials(20_000), "10,000 of one end": sameEnd(10_000),
	}
	for name, serials := range tests {
		t.Run(name, func(t *testing.T) {
			s := l.site(nil)
			s.Revoked = serials
			l.t = t
			l.config("", s)
			l.test()
			s = l.site(said{"headers": map[string]string{"X-Email": "email"}, "allow_groups": []string{"admins"}})
			for i, serial := range serials {
				s.Users = append(s.Users, render.User{Serial: serial, Name: fmt.Sprintf("user%d", i), Email: fmt.Sprintf("user%d@example.com", i), Groups: []string{"admins", "staff"}})
			}
			l.config("", s)
			l.test()
		})
	}
}

// TestSilentNeighbours: sites of any name live in one NGINX, whose table of
// variables they share.
func TestSilentNeighbours(t *testing.T) {
	l := newLab(t)
	var sites []render.Site
	for _, label := range []string{"mattermost", "a.b", "a_b", "A-b", strings.Repeat("x", 64), strings.Repeat(".@", 31) + "ab", "_"} {
		s := l.site(said{"application": "generic", "exempt": []string{"/x/"}, "session_resumption": true, "server_name": []string{fmt.Sprintf("host%d.test", len(sites))}})
		s.Name, s.Revoked = label, countedSerials(100)
		sites = append(sites, s)
	}
	l.config("", sites...)
	l.test()
}

// What a site refuses can be read back from it, however its tables are made.
func TestRefusedIsReadBack(t *testing.T) {
	for name, serials := range map[string][]string{"none": nil, "few": randomSerials(3), "many": randomSerials(3000), "counted": countedSerials(3000), "same end": sameEnd(200)} {
		s := plainSite(nil)
		s.Revoked = serials
		have := refused(rendered(s))
		slices.Sort(have)
		if !slices.Equal(have, serials) {
			t.Errorf("%s: %d serials are read of %d", name, len(have), len(serials))
		}
	}
}

// TestRevokedLookups asks a running NGINX about serials that are listed and
// about their neighbours. The serial comes from a header, the maps are those
// of the site.
func TestRevokedLookups(t *testing.T) {
	if testing.Short() {
		t.Skip("many serials")
	}
	l := newLab(t)
	for name, serials := range map[string][]string{
		"few": countedSerials(40), "counted": countedSerials(1000), "of one end": sameEnd(500),
		"10,000 random": randomSerials(10_000), "20,000 random": randomSerials(20_000), "mixed": append(randomSerials(9000), countedSerials(300)...),
	} {
		t.Run(name, func(t *testing.T) {
			l.t = t
			s := l.site(nil)
			s.Revoked = serials
			n := newSite(s)
			c := &conf{}
			if n.levels > 0 {
				n.serialMap(c)
			}
			n.revokedMap(c)
			addr := freeAddr(t)
			maps := strings.ReplaceAll(string(text(c.written)), "$ssl_client_serial", "$http_x_serial")
			l.start(maps + fmt.Sprintf("server { listen %s; keepalive_requests 1000000; return 200 \"%s\\n\"; }", addr, n.variable("rev")))
			waitFor(t, addr)
			listed := map[string]bool{}
			for _, serial := range serials {
				listed[serial] = true
			}
			asked := slices.Concat(serials[:min(len(serials), 4000)], serials[max(0, len(serials)-1000):], []string{"", "0", "00", "01", "FFFF"}, randomSerials(200))
			for _, serial := range serials[:min(len(serials), 500)] {
				asked = append(asked, serial+"00", "00"+serial, serial[:len(serial)-2], strings.Replace(serial, "0", "1", 1))
			}
			for _, serial := range asked {
				want := "0"
				if listed[serial] {
					want = "1"
				}
				if got := ask(t, addr, serial); got != want {
					t.Fatalf("serial %q: %q, want %q", serial, got, want)
				}
			}
		})
	}
}

func ask(t *testing.T, addr, serial string) string {
	t.Helper()
	req, err := http.NewRequest("GET", "http://"+addr+"/", nil)
	must(t, err)
	req.Header.Set("X-Serial", serial)
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	lines.Scan()
	return lines.Text()
}

func anys(list []string) (out []any) {
	for _, s := range list {
		out = append(out, s)
	}
	return out
}
