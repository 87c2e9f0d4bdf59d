package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// older and newer are versions as go build finds them: between two tags, and at one.
const (
	older = "0.4.1-0.20260301120000-0123456789ab"
	newer = "0.4.1"
)

var (
	full    string // directory with a whole release for this machine's architecture, as older
	upgrade string // directory with a .deb and an .rpm alone, as newer
)

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "mtlsplan-dist")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		full, upgrade = filepath.Join(dir, "full"), filepath.Join(dir, "upgrade")
		os.Setenv("SOURCE_DATE_EPOCH", "1772366400")
		for _, r := range []release{
			{root: "../..", out: full, version: older, kinds: strings.Fields("deb rpm archive sbom image")},
			{root: ".", out: upgrade, version: newer, kinds: strings.Fields("deb rpm")},
		} {
			r.maintainer = "Ada <ada@debian.org>"
			if err := r.make([]string{"linux/" + runtime.GOARCH}); err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
		}
		return m.Run()
	}())
}

// need skips a test for which a program or root's rights are missing, and fails it in
// continuous integration.
func need(t *testing.T, programs ...string) {
	t.Helper()
	why := ""
	if runtime.GOOS != "linux" {
		why = "this is for Linux"
	} else if os.Geteuid() != 0 {
		why = "only root may change the root directory: run this as root"
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			why = "there is no " + p + ": .ci/tools installs it"
		}
	}
	switch {
	case why != "" && os.Getenv("CI") != "":
		t.Fatal(why)
	case why != "":
		t.Skip(why)
	}
}

// run runs a program that has to end with the status.
func run(t *testing.T, status int, args ...string) string {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != status {
		t.Fatalf("%s: %v, not %d\n%s", strings.Join(args, " "), err, status, out)
	}
	return string(out)
}

func made(t *testing.T, dir, ending string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*"+ending))
	if err != nil || len(found) != 1 {
		t.Fatalf("%d files *%s in %s", len(found), ending, dir)
	}
	return found[0]
}

// photograph has everything about the files below a directory.
func photograph(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		all[path] = fmt.Sprint(info.Mode(), info.ModTime())
		if d.Type().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			all[path] += fmt.Sprintf(" %x", sha256.Sum256(data))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// life is the life of a package in a root directory in which nothing else lies, not even
// a C library.
func life(t *testing.T, root, ending string, installed func() string, install func(file string), remove func()) {
	t.Helper()
	program := func(status int, args ...string) string {
		t.Helper()
		return run(t, status, append([]string{"chroot", root, "/usr/bin/mtlsplan"}, args...)...)
	}
	install(made(t, full, ending))
	first := installed()
	config := filepath.Join(root, "etc", "mtlsplan")
	if info, err := os.Stat(config); err != nil || info.Mode().Perm() != 0o750 {
		t.Errorf("/etc/mtlsplan is %v, %v", info, err)
	}
	spec := `output = "/var/lib/mtlsplan/office"
ca "office" {
  subject { common_name = "Office" }
}
user "ada" { email = "ada@example.com" }
`
	if err := os.WriteFile(filepath.Join(config, "office.hcl"), []byte(spec), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, "var", "lib", "mtlsplan"), 0o755); err != nil {
		t.Fatal(err)
	}
	program(0, "apply", "/etc/mtlsplan/office.hcl")
	state := func() map[string]string {
		all := photograph(t, filepath.Join(root, "var", "lib", "mtlsplan"))
		maps.Copy(all, photograph(t, filepath.Join(config, "office.hcl")))
		return all
	}
	before := state()
	same := func(after string) {
		t.Helper()
		if !maps.Equal(before, state()) {
			t.Errorf("%s has changed the state", after)
		}
	}
	install(made(t, upgrade, ending))
	if second := installed(); second == first || !strings.Contains(second, newer) {
		t.Errorf("%s was not upgraded to %s: %s", first, newer, second)
	}
	same("the upgrade")
	program(0, "plan", "--detailed-exitcode", "/etc/mtlsplan/office.hcl")
	program(0, "verify", "/etc/mtlsplan/office.hcl")
	same("a plan")
	remove()
	same("the removal")
	for _, gone := range []string{"usr/bin/mtlsplan", "usr/lib/systemd/system/mtlsplan@.timer", "usr/share/doc/mtlsplan"} {
		if _, err := os.Lstat(filepath.Join(root, gone)); err == nil {
			t.Errorf("the removal has left %s", gone)
		}
	}
}

func TestDeb(t *testing.T) {
	need(t, "dpkg", "dpkg-query", "chroot")
	root := t.TempDir()
	for _, dir := range []string{"updates", "info"} {
		if err := os.MkdirAll(filepath.Join(root, "var", "lib", "dpkg", dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "var", "lib", "dpkg", "status"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	life(t, root, ".deb",
		func() string {
			return run(t, 0, "dpkg-query", "--root="+root, "-W", "-f", "${Version} ${db:Status-Status}")
		},
		func(file string) { run(t, 0, "dpkg", "--root="+root, "--refuse-downgrade", "--install", file) },
		func() {
			run(t, 0, "dpkg", "--root="+root, "--remove", "mtlsplan")
			run(t, 0, "dpkg", "--root="+root, "--purge", "mtlsplan")
		})
	if scripts, _ := filepath.Glob(filepath.Join(root, "var", "lib", "dpkg", "info", "*.p*")); len(scripts) > 0 {
		t.Errorf("the package brings scripts: %v", scripts)
	}
}

func TestDebHasNoFaults(t *testing.T) {
	need(t, "lintian")
	if out := run(t, 0, "lintian", "--allow-root", "--fail-on", "error,warning", made(t, full, ".deb")); strings.Contains(out, "mtlsplan:") {
		t.Error(out)
	}
}

func TestRPM(t *testing.T) {
	need(t, "rpm", "chroot")
	root := t.TempDir()
	if out := run(t, 0, "rpm", "--checksig", made(t, full, ".rpm")); !strings.Contains(out, "digests OK") {
		t.Errorf("rpm --checksig: %s", out)
	}
	if out := run(t, 0, "rpm", "-qp", "--scripts", made(t, full, ".rpm")); out != "" {
		t.Errorf("the package brings scripts: %s", out)
	}
	rpm := func(args ...string) string {
		return run(t, 0, append([]string{"rpm", "--root", root}, args...)...)
	}
	life(t, root, ".rpm",
		func() string { return rpm("-q", "mtlsplan") },
		func(file string) { rpm("--upgrade", file) },
		func() { rpm("--erase", "mtlsplan") })
}

var link = regexp.MustCompile(`\]\(([^)#:]+)[)#]`)

// linked looks for what the pages below dir link, but for the source.
func linked(t *testing.T, dir string) {
	t.Helper()
	pages, err := filepath.Glob(filepath.Join(dir, "docs", "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("%d pages in %s: %v", len(pages), dir, err)
	}
	for _, page := range append(pages, filepath.Join(dir, "README.md")) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllSubmatch(text, -1) {
			to := filepath.Join(filepath.Dir(page), string(m[1]))
			if source, _ := filepath.Rel(dir, to); strings.HasPrefix(source, "internal/") {
				continue
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s links what is not there: %v", page, err)
			}
		}
	}
}

// TestOut keeps what is in the directory for what is made, unless it was made before.
func TestOut(t *testing.T) {
	dir := t.TempDir()
	write := func(name string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r := release{out: dir}
	write("mtlsplan_1.0.0_linux_amd64.tar.gz")
	write("mtlsplan-1.0.0-1.x86_64.rpm")
	write("SHA256SUMS")
	if err := r.clear(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	write("SHA256SUMS")
	write("thesis.txt")
	if err := r.clear(); err == nil || !strings.Contains(err.Error(), "holds thesis.txt") {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestContents looks at what is installed besides the program.
func TestContents(t *testing.T) {
	need(t, "dpkg-deb", "bash", "systemd-analyze")
	root := t.TempDir()
	run(t, 0, "dpkg-deb", "--extract", made(t, full, ".deb"), root)
	for _, name := range []string{
		"usr/share/man/man1/mtlsplan.1.gz", "usr/share/zsh/vendor-completions/_mtlsplan",
		"usr/share/fish/vendor_completions.d/mtlsplan.fish", "usr/share/doc/mtlsplan/examples/mattermost.hcl",
		"usr/share/doc/mtlsplan/examples/systemd/deploy-nginx.conf", "usr/share/doc/mtlsplan/docs/reference.md",
	} {
		if info, err := os.Stat(filepath.Join(root, name)); err != nil || info.Size() == 0 || info.Mode().Perm() != 0o644 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	linked(t, filepath.Join(root, "usr/share/doc/mtlsplan"))
	copyright, err := os.ReadFile(filepath.Join(root, "usr/share/doc/mtlsplan/copyright"))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"Go go1", "github.com/spf13/cobra v1", "Mozilla Public License"} {
		if !bytes.Contains(copyright, []byte(part)) {
			t.Errorf("the licences of what is linked in lack %q", part)
		}
	}
	completion := filepath.Join(root, "usr/share/bash-completion/completions/mtlsplan")
	run(t, 0, "bash", "-uec", `source "$1" && complete -p mtlsplan`, "bash", completion)

	units := filepath.Join(root, "usr/lib/systemd/system")
	// The unit names the program where the package puts it, and this test does not install it.
	run(t, 0, "sed", "-i", "s,=/usr/bin/mtlsplan,="+filepath.Join(root, "usr/bin/mtlsplan")+",", filepath.Join(units, "mtlsplan@.service"))
	analyze := []string{"env", "SYSTEMD_UNIT_PATH=" + units + ":", "systemd-analyze", "--man=no"}
	if out := run(t, 0, append(analyze, "verify", "mtlsplan@office.service", "mtlsplan@office.timer", "mtlsplan-failed@office.service")...); strings.Contains(out, "mtlsplan") {
		t.Error(out)
	}
	exposure := func(limit string) {
		t.Helper()
		run(t, 0, append(analyze, "security", "--offline=true", "--no-pager", "--threshold="+limit, "mtlsplan@office.service")...)
	}
	exposure("18") // tenths
	dropIn := filepath.Join(units, "mtlsplan@office.service.d")
	if err := os.Mkdir(dropIn, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := copyFile(filepath.Join(dropIn, "deploy-nginx.conf"), filepath.Join(root, "usr/share/doc/mtlsplan/examples/systemd/deploy-nginx.conf"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out := run(t, 0, append(analyze, "verify", "mtlsplan@office.service")...); strings.Contains(out, "mtlsplan") {
		t.Error(out)
	}
	exposure("24")
}

// TestReleaseIsReproducible makes a release again, in the environment of somebody else.
func TestReleaseIsReproducible(t *testing.T) {
	if testing.Short() {
		t.Skip("make test runs it")
	}
	defer syscall.Umask(syscall.Umask(0o077))
	t.Setenv("TZ", "Asia/Tokyo")
	t.Setenv("USER", "somebody")
	time.Local = time.FixedZone("JST", 9*60*60)
	defer func() { time.Local = time.UTC }()
	readme, err := os.Stat("README.md")
	if err != nil {
		t.Fatal(err)
	}
	touch := func(at time.Time) {
		if err := os.Chtimes("README.md", at, at); err != nil {
			t.Fatal(err)
		}
	}
	touch(readme.ModTime().Add(-time.Hour))
	defer touch(readme.ModTime())
	r := release{root: ".", out: t.TempDir(), version: older, kinds: strings.Fields("deb rpm archive sbom image"), maintainer: "Ada <ada@debian.org>"}
	if err := r.make([]string{"linux/" + runtime.GOARCH}); err != nil {
		t.Fatal(err)
	}
	one, err := os.ReadFile(filepath.Join(full, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(filepath.Join(r.out, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one, other) || bytes.Count(one, []byte("\n")) != 5 {
		t.Errorf("two releases of one commit differ:\n%s\n%s", one, other)
	}
}

func TestArchives(t *testing.T) {
	need(t, "sha256sum", "tar")
	run(t, 0, "sh", "-c", `cd "$1" && sha256sum --strict --check SHA256SUMS`, "sh", full)
	dir := t.TempDir()
	run(t, 0, "tar", "-C", dir, "-xf", made(t, full, ".tar.gz"))
	top := filepath.Join(dir, "mtlsplan-"+older)
	if out := run(t, 0, filepath.Join(top, "mtlsplan"), "version"); !strings.HasPrefix(out, "mtlsplan v"+older+", ") {
		t.Error(out)
	}
	linked(t, top)
	for _, name := range []string{"README.md", "LICENSE", "LICENSES-OF-LIBRARIES", "docs/mtlsplan.1", "completions/mtlsplan.ps1", "examples/mattermost.hcl", "systemd/mtlsplan@.timer", "cron/mtlsplan"} {
		if _, err := os.Stat(filepath.Join(top, name)); err != nil {
			t.Error(err)
		}
	}

	r := release{out: t.TempDir(), version: newer, at: time.Unix(1772366400, 0)}
	stage := t.TempDir()
	if err := os.Mkdir(filepath.Join(stage, "completions"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := r.archive(build{os: "windows", arch: "amd64", file: filepath.Join(top, "mtlsplan")}, stage); err != nil {
		t.Fatal(err)
	}
	z, err := zip.OpenReader(made(t, r.out, "_windows_amd64.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var names []string
	for _, f := range z.File {
		names = append(names, f.Name)
	}
	if !slices.Contains(names, "mtlsplan-"+newer+"/mtlsplan.exe") || slices.ContainsFunc(names, func(n string) bool { return strings.Contains(n, "systemd") }) {
		t.Errorf("in the archive for Windows: %v", names)
	}
}

// TestBill compares the bill of materials with what go version says of the program.
func TestBill(t *testing.T) {
	data, err := os.ReadFile(made(t, full, ".cdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	var bom struct {
		BOMFormat, SpecVersion string
		Components             []struct{ Name, Version, PURL string }
	}
	if err := json.Unmarshal(data, &bom); err != nil {
		t.Fatal(err)
	}
	if bom.BOMFormat != "CycloneDX" || bom.SpecVersion != "1.6" {
		t.Errorf("%s %s", bom.BOMFormat, bom.SpecVersion)
	}
	dir := t.TempDir()
	run(t, 0, "tar", "-C", dir, "-xf", made(t, full, ".tar.gz"))
	out, err := exec.Command("go", "version", "-m", filepath.Join(dir, "mtlsplan-"+older, "mtlsplan")).Output()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) > 2 && f[0] == "dep" {
			want["pkg:golang/"+strings.ToLower(f[1])+"@"+f[2]] = f[1]
		}
	}
	want["pkg:golang/std@"+strings.TrimPrefix(runtime.Version(), "go")] = "std"
	have := map[string]string{}
	for _, c := range bom.Components {
		have[c.PURL] = c.Name
	}
	if !maps.Equal(have, want) || len(have) < 10 {
		t.Errorf("the bill has %v, the program %v", have, want)
	}
}

// TestIdentify finds the version where go build has put it, and refuses where it has not.
func TestIdentify(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "")
	info := func(version, modified, at string) *debug.BuildInfo {
		return &debug.BuildInfo{
			Main:     debug.Module{Version: version},
			Settings: []debug.BuildSetting{{Key: "vcs.modified", Value: modified}, {Key: "vcs.time", Value: at}},
		}
	}
	for _, c := range []struct{ version, modified, at, asked, want, fails string }{
		{"v1.2.3", "false", "2026-03-01T12:00:00Z", "", "1.2.3", ""},
		{"v1.2.3", "true", "2026-03-01T12:00:00Z", "", "", "commit them"},
		{"v1.2.3", "true", "2026-03-01T12:00:00Z", "v2.0.0", "2.0.0", ""},
		{"(devel)", "", "", "", "", "name a version"},
		{"(devel)", "", "", "2.0.0", "", "SOURCE_DATE_EPOCH"},
	} {
		r := release{version: c.asked}
		err := r.identify(info(c.version, c.modified, c.at))
		if c.fails != "" {
			if err == nil || !strings.Contains(err.Error(), c.fails) {
				t.Errorf("%+v: %v", c, err)
			}
		} else if err != nil || r.version != c.want || r.at.Year() != 2026 {
			t.Errorf("%+v: %+v, %v", c, r, err)
		}
	}
}
