package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// settings are the lines of unit files that set the key, the later ones behind the earlier;
// an empty one drops what was set (systemd.unit(5)).
func settings(t *testing.T, key string, files ...string) (values []string) {
	t.Helper()
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if value, ok := strings.CutPrefix(strings.TrimSpace(line), key+"="); ok && value == "" {
				values = nil
			} else if ok {
				values = append(values, strings.Fields(value)...)
			}
		}
	}
	return values
}

// world makes a root directory, $1, with this machine's programs, an NGINX of its own and
// nothing else of this machine, and runs a line in it: all in namespaces of its own.
const world = `set -e
root=$1 line=$2
ip link set lo up
mount --bind "$root" "$root"
cd "$root"
mkdir -p usr dev proc tmp run var/lib/nginx var/log/nginx var/lib/mtlsplan
mount --rbind /usr usr; mount --rbind /dev dev; mount -t proc proc proc
for name in bin sbin lib lib64; do
	if [ -L "/$name" ]; then ln -s "$(readlink "/$name")" "$name"; else mkdir "$name"; mount --rbind "/$name" "$name"; fi
done
cp /etc/passwd /etc/group /etc/ld.so.cache etc/
eval "$line"
`

// sandbox runs the service's command: on a file system that can be written in $writable
// alone, and with no capability but $capabilities. systemd does more, and is not asked here.
const sandbox = `sandboxed() (
	set -e
	view=$root.view
	mkdir -p "$view"
	mount --rbind "$root" "$view"
	for dir in $writable; do
		case $dir in -*) dir=${dir#-}; [ -d "$root$dir" ] || continue ;; esac
		mount --bind "$root$dir" "$view$dir"
	done
	mount -o remount,bind,ro "$view"
	bounding=-all
	for c in $capabilities; do bounding=$bounding,+$c; done
	exec chroot "$view" setpriv --bounding-set="$bounding" --inh-caps=-all --no-new-privs /opt/mtlsplan apply --quiet /etc/mtlsplan/office.hcl
)
`

// TestServiceDeploys lets a real NGINX be tested, reloaded and probed within the bounds of
// the service. The drop-in for it gives what it needs, and without it nothing is deployed.
func TestServiceDeploys(t *testing.T) {
	need(t, "nginx", "openssl", "ip", "setpriv", "unshare", "chroot")
	service, dropIn := "packaging/systemd/mtlsplan@.service", "packaging/systemd/deploy-nginx.conf"
	root := t.TempDir()
	for _, dir := range []string{"etc/nginx/conf.d", "etc/mtlsplan", "opt"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	unpacked := t.TempDir()
	run(t, 0, "dpkg-deb", "--extract", made(t, full, ".deb"), unpacked)
	run(t, 0, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=office.example.com",
		"-keyout", filepath.Join(root, "etc/nginx/site.key"), "-out", filepath.Join(root, "etc/nginx/site.crt"))
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("etc/nginx/nginx.conf", `user www-data;
pid /run/nginx.pid;
error_log /var/log/nginx/error.log;
events {}
http {
	access_log /var/log/nginx/access.log;
	include /etc/nginx/conf.d/*.conf;
}
`)
	write("etc/mtlsplan/office.hcl", `output = "/var/lib/mtlsplan/office"
ca "office" {
  subject { common_name = "Office" }
  key = "ecdsa-p256"
}
user "ada" { email = "ada@example.com" }
nginx "office" {
  server_name     = ["office.example.com"]
  application     = "generic"
  upstream        = ["127.0.0.1:8065"]
  certificate     = "/etc/nginx/site.crt"
  certificate_key = "/etc/nginx/site.key"
  deploy {
    site      = "/etc/nginx/conf.d/office.conf"
    client_ca = "/etc/nginx/office-ca.crt"
    reload    = ["nginx", "-s", "reload"] # there is no systemctl to ask
    probe     = "127.0.0.1:443"
  }
}
`)
	if err := copyFile(filepath.Join(root, "opt", "mtlsplan"), filepath.Join(unpacked, "usr/bin/mtlsplan"), 0o755); err != nil {
		t.Fatal(err)
	}
	bounds := func(files ...string) string {
		writable := append(settings(t, "ReadWritePaths", files...), "/var/lib/"+settings(t, "StateDirectory", files...)[0], "/tmp")
		var capabilities []string
		for _, c := range settings(t, "CapabilityBoundingSet", files...) {
			capabilities = append(capabilities, strings.ToLower(strings.TrimPrefix(c, "CAP_")))
		}
		return "writable='" + strings.Join(writable, " ") + "' capabilities='" + strings.Join(capabilities, " ") + "'\n"
	}
	line := sandbox + "chroot . nginx\n" +
		bounds(service) + "set +e; sandboxed; bare=$?; umount -R \"$root.view\"\n" +
		bounds(service, dropIn) + "capabilities=\"$capabilities kill\"\n" + // which systemctl does without
		"sandboxed; whole=$?\nchroot . nginx -s stop\necho; echo status $bare $whole"
	out := run(t, 0, "unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", world, "sh", root, line)
	last := slices.Collect(strings.Lines(out))
	if last[len(last)-1] != "status 1 0\n" || !strings.Contains(out, ": its file system is read-only") {
		t.Errorf("with the service alone, and with the drop-in:\n%s", out)
	}
	_, err := os.Stat(filepath.Join(root, "etc/nginx/conf.d/office.conf"))
	_, ca := os.Stat(filepath.Join(root, "etc/nginx/office-ca.crt"))
	if err := errors.Join(err, ca); err != nil {
		t.Error(err)
	}
}
