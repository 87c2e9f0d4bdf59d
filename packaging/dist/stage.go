package main

import (
	"bytes"
	"compress/gzip"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// completions are the names of the scripts for shells, as the shells look for them.
var completions = map[string]string{
	"bash":       "mtlsplan.bash",
	"zsh":        "_mtlsplan",
	"fish":       "mtlsplan.fish",
	"powershell": "mtlsplan.ps1",
}

// prepare puts into stage what is the same for all platforms and does not lie in the
// repository.
func (r *release) prepare(own build, stage string) error {
	if err := os.Mkdir(filepath.Join(stage, "completions"), 0o755); err != nil {
		return err
	}
	program, err := filepath.Abs(own.file)
	if err != nil {
		return err
	}
	for shell, name := range completions {
		script, err := exec.Command(program, "completion", shell).Output()
		if err != nil {
			return fmt.Errorf("mtlsplan completion %s: %w", shell, err)
		}
		if err := os.WriteFile(filepath.Join(stage, "completions", name), script, 0o644); err != nil {
			return err
		}
	}
	manual, err := os.ReadFile("docs/mtlsplan.1")
	if err != nil {
		return err
	}
	changelog := fmt.Sprintf("mtlsplan (%s) stable; urgency=medium\n\n  * What is new in it stands in CHANGELOG.md of the source.\n\n -- %s  %s\n",
		strings.Replace(packageVersion(r.version), "-", "~", 1), r.maintainer, r.at.Format(time.RFC1123Z))
	for name, data := range map[string][]byte{
		"mtlsplan.1.gz": compressed(manual, gzip.BestCompression),
		"changelog.gz":  compressed([]byte(changelog), gzip.BestCompression),
	} {
		if err := os.WriteFile(filepath.Join(stage, name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// compressed has neither a name nor a time in it.
func compressed(data []byte, level int) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, level)
	_, _ = w.Write(data)
	_ = w.Close()
	return b.Bytes()
}

// notices has the licences of the modules in a program, and that of Go itself, whole, as
// they ask for.
func notices(info *buildinfo.BuildInfo) ([]byte, error) {
	var all bytes.Buffer
	add := func(module, dir string) error {
		found := false
		for _, pattern := range []string{"LICENSE*", "LICENCE*", "COPYING*", "NOTICE*"} {
			files, err := filepath.Glob(filepath.Join(dir, pattern))
			if err != nil {
				return err
			}
			for _, file := range files {
				text, err := os.ReadFile(file)
				if err != nil {
					return err
				}
				fmt.Fprintf(&all, "\n%s\n%s, %s\n\n%s", strings.Repeat("-", 72), module, filepath.Base(file), text)
				found = true
			}
		}
		if !found {
			return fmt.Errorf("%s has no licence in %s", module, dir)
		}
		return nil
	}
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, err
	}
	if err := add("Go "+runtime.Version(), strings.TrimSpace(string(goroot))); err != nil {
		return nil, err
	}
	list := []string{"list", "-m", "-f", "{{.Dir}}"}
	for _, m := range info.Deps {
		list = append(list, m.Path)
	}
	dirs, err := exec.Command("go", list...).Output()
	if err != nil {
		return nil, fmt.Errorf("go list -m: %w", err)
	}
	for i, dir := range strings.Split(strings.TrimSpace(string(dirs)), "\n") {
		m := info.Deps[i]
		if err := add(m.Path+" "+m.Version, dir); err != nil {
			return nil, err
		}
	}
	return all.Bytes(), nil
}
