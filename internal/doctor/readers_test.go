package doctor

import (
	"crypto/rand"
	"crypto/x509"
	"maps"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mtlsplan/internal/nginxconf"
	"mtlsplan/internal/testing/sample"
	"mtlsplan/internal/testing/tools"
)

// changedSites are the good sites and those of [mistakes], by what they are.
func changedSites(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for name, text := range readSites(t, "testdata/sites/*.conf") {
		all[name] = text
		for _, m := range mistakes {
			find := regexp.MustCompile(m.find)
			if at := find.FindStringSubmatchIndex(text); at != nil {
				all[name+": "+m.name] = text[:at[0]] + string(find.ExpandString(nil, m.replace, text, at)) + text[at[1]:]
			}
		}
	}
	for name, text := range readSites(t, "../../render/nginx/testdata/*.conf") {
		all["rendered "+name] = text
	}
	return all
}

var (
	grammar   = regexp.MustCompile(`\[emerg\] (?:unexpected|too long parameter)`)
	fileNames = regexp.MustCompile(`(ssl_certificate|ssl_certificate_key|ssl_client_certificate|ssl_crl|ssl_session_ticket_key)( +)(?:"[^"]+"|[^";\s]+);`)
	// whether NGINX knows the directive, the host or the file depends on its build and on the
	// computer
	elsewhere = regexp.MustCompile(`unknown directive "(?:http2|access_by_lua_block)"|directive is duplicate|host not found|cannot load certificate|open\(\) .* failed|invalid number of arguments in "ssl_verify_client"|ocsp|directive is not allowed here|has no "ssl_certificate"|no "ssl_certificate|invalid parameter "off"|no ssl_client_certificate for|ssl_client_certificate`)
)

// many is one in how many sites another reader is given.
func many(short, plain int) int {
	if testing.Short() {
		return short
	}
	return plain
}

// TestNginxReadsTheSame lets NGINX read them: it complains of the grammar where
// Parse does, and takes those that have no mistake.
func TestNginxReadsTheSame(t *testing.T) {
	tools.Need(t, "nginx")
	dir := t.TempDir()
	write := func(name string, data []byte) {
		must(0, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	server := newAuthority("Server", nil, func(c *x509.Certificate) { c.SerialNumber = big.NewInt(7) })
	write("ssl_certificate", server.pem())
	write("ssl_certificate_key", server.keyPEM())
	write("ssl_client_certificate", good.pem())
	write("ssl_crl", goodCRL)
	ticket := make([]byte, 80)
	must(rand.Read(ticket))
	write("ssl_session_ticket_key", ticket)
	for _, name := range []string{"fastcgi_params", "uwsgi_params", "mime.types", "snippets/ssl.conf"} {
		must(0, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		write(name, nil)
	}
	write("snippets/ssl.conf", []byte("ssl_certificate ssl_certificate; ssl_certificate_key ssl_certificate_key;"))
	const http = "pid x.pid; events {} http { access_log off; client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;\n"
	taken, n := 0, 0
	all := changedSites(t)
	for _, name := range sample.OneIn(many(16, 4), slices.Sorted(maps.Keys(all))) {
		n++
		text := all[name]
		text = fileNames.ReplaceAllString(text, "$1$2$1;")
		text = strings.ReplaceAll(text, "/var/log/nginx/", "")
		switch {
		case strings.HasPrefix(name, "lines-of-a-server"):
			text = http + "server { listen 127.0.0.1:1 ssl; " + text + "}}"
		case strings.HasPrefix(name, "whole"):
			text = strings.Replace(strings.Replace(text, "pid /run/nginx.pid;", "pid x.pid;", 1), "sendfile on;", "access_log off; client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;", 1)
			text = text[:strings.Index(text, "stream {")] // a module of its own
		default:
			text = http + text + "}"
		}
		write("nginx.conf", []byte(text))
		out, err := exec.Command("nginx", "-t", "-p", dir+"/", "-c", "nginx.conf", "-e", "err.log").CombinedOutput()
		_, errs := nginxconf.Parse("site", []byte(text))
		switch {
		case err == nil && len(errs) == 0:
			taken++
		case err == nil:
			t.Errorf("%s: NGINX takes it, Parse says %v", name, errs)
		case grammar.Match(out) && len(errs) == 0:
			t.Errorf("%s: Parse takes it, NGINX says %s", name, out)
		case len(errs) == 0 && !elsewhere.Match(out):
			t.Errorf("%s: %s", name, out)
		}
	}
	t.Logf("NGINX takes %d of %d", taken, n)
	if taken < n/3 {
		t.Errorf("NGINX takes only %d of %d", taken, n)
	}
}

// TestCertbotReadsTheSame compares the directives with those that the parser of certbot's
// plugin reads. It leaves quotes and escapes, and knows neither Lua nor a byte order mark.
func TestCertbotReadsTheSame(t *testing.T) {
	sites, all := 0, changedSites(t)
	for _, name := range sample.OneIn(many(16, 6), slices.Sorted(maps.Keys(all))) {
		text := all[name]
		list, errs := nginxconf.Parse("site", []byte(text))
		if len(errs) > 0 || strings.Contains(text, "_by_lua_block") {
			continue
		}
		sites++
		tree := tools.Certbot(t, []byte(text))
		nodes, ok := tree.([]any)
		if !ok {
			t.Errorf("%s: %v", name, tree)
			continue
		}
		if have, want := shape(list), certbotShape(nodes); !reflect.DeepEqual(have, want) {
			t.Errorf("%s: read as\n%v\ncertbot reads\n%v", name, have, want)
		}
	}
	t.Logf("%d sites", sites)
}

// words is how many arguments a directive has. Of the brackets of an if, certbot makes
// other words.
func words(d *nginxconf.Directive) int {
	if d.Name == "if" {
		return 0
	}
	return len(d.Args)
}

// shape has for each directive its name, the number of its arguments, and its block.
func shape(list []*nginxconf.Directive) []any {
	out := []any{}
	for _, d := range list {
		out = append(out, d.Name, words(d))
		if d.Opens {
			out = append(out, shape(d.Block))
		}
	}
	return out
}

func certbotShape(nodes []any) []any {
	out := []any{}
	for _, n := range nodes {
		parts := n.([]any)
		if parts[0] == "#" {
			continue
		}
		var block []any
		opens := false
		if head, ok := parts[0].([]any); ok {
			block, opens = certbotShape(parts[1].([]any)), true
			parts = head
		}
		d := &nginxconf.Directive{}
		for i, p := range parts {
			if word := strings.Trim(p.(string), `"'`); i == 0 {
				d.Name = word
			} else {
				d.Args = append(d.Args, word)
			}
		}
		out = append(out, d.Name, words(d))
		if opens {
			out = append(out, block)
		}
	}
	return out
}
