package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// sums is the file of checksums.
const sums = "SHA256SUMS"

// A release is what is made of one commit.
type release struct {
	root, out  string
	version    string // without the v
	maintainer string
	kinds      []string
	at         time.Time // of the commit
}

// A build is the program for one platform.
type build struct {
	os, arch string
	file     string
	info     *buildinfo.BuildInfo
	notices  []byte // licences of what is linked into it
}

// make makes everything, and last the sums: a directory without them is not whole.
func (r *release) make(platforms []string) error {
	if err := os.Chdir(r.root); err != nil {
		return err
	}
	if err := r.clear(); err != nil {
		return err
	}
	if err := os.MkdirAll("build", 0o755); err != nil {
		return err
	}
	stage, err := os.MkdirTemp("build", "stage-") // of its own, since two may run at once
	if err != nil {
		return err
	}
	defer os.RemoveAll(stage)

	here, named := runtime.GOOS+"/"+runtime.GOARCH, r.version != ""
	own, err := r.compile(here, stage, named)
	if err != nil {
		return err
	}
	if err := r.identify(own.info); err != nil {
		return err
	}
	if err := r.prepare(own, stage); err != nil {
		return err
	}
	var images []build
	for _, platform := range platforms {
		b := own
		if platform != here {
			if b, err = r.compile(platform, stage, named); err != nil {
				return err
			}
		}
		if err := r.makeFor(b, stage); err != nil {
			return fmt.Errorf("%s: %w", platform, err)
		}
		if b.os == "linux" {
			images = append(images, b)
		}
	}
	if r.wants("image") && len(images) > 0 {
		if err := r.image(images, stage); err != nil {
			return fmt.Errorf("image: %w", err)
		}
	}
	return r.sum()
}

// clear empties the directory for what is made, which must hold nothing else.
func (r *release) clear() error {
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(r.out)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		if !e.Type().IsRegular() || name != sums && !strings.HasPrefix(name, "mtlsplan_") && !strings.HasPrefix(name, "mtlsplan-") {
			return fmt.Errorf("%s holds %s, which is nothing that is made here: name a directory with -o that is empty or not there yet", r.out, name)
		}
	}
	for _, e := range entries {
		if err := os.Remove(filepath.Join(r.out, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func (r *release) wants(kind string) bool { return slices.Contains(r.kinds, kind) }

// name is the name of a file of the release.
func (r *release) name(b build, ending string) string {
	return filepath.Join(r.out, fmt.Sprintf("mtlsplan_%s_%s_%s%s", r.version, b.os, b.arch, ending))
}

func (r *release) makeFor(b build, stage string) error {
	if b.os == "linux" && (r.wants("deb") || r.wants("rpm")) {
		if err := r.packages(b, stage); err != nil {
			return err
		}
	}
	if r.wants("archive") {
		if err := r.archive(b, stage); err != nil {
			return err
		}
	}
	if r.wants("sbom") {
		return r.bill(b)
	}
	return nil
}

// compile builds the program for a platform, static, with neither a path nor a setting of
// this machine in it. Where the version is not the commit's, it is told.
func (r *release) compile(platform, stage string, named bool) (build, error) {
	b := build{}
	var ok bool
	if b.os, b.arch, ok = strings.Cut(platform, "/"); !ok {
		return b, fmt.Errorf("%q is no platform: write it as GOOS/GOARCH", platform)
	}
	b.file = filepath.Join(stage, "mtlsplan-"+b.os+"-"+b.arch)
	flags := "-ldflags=-s -w"
	if named {
		flags += " -X main.version=v" + strings.TrimPrefix(r.version, "v")
	}
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=auto", flags, "-o", b.file, "./cmd/mtlsplan")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOEXPERIMENT=", "GOOS="+b.os, "GOARCH="+b.arch, "GOAMD64=v1", "GOARM64=v8.0")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return b, fmt.Errorf("go build for %s: %w", platform, err)
	}
	var err error
	if b.info, err = buildinfo.ReadFile(b.file); err != nil {
		return b, err
	}
	b.notices, err = notices(b.info)
	return b, err
}

// identify finds version and time of the commit, as they stand in the program itself.
// SOURCE_DATE_EPOCH, in seconds, goes before the commit's time.
func (r *release) identify(info *buildinfo.BuildInfo) error {
	if r.version == "" {
		if setting(info, "vcs.modified") == "true" {
			return errors.New("the checkout has changes, so what is made of it would be no commit's: commit them, or name a version")
		}
		r.version = info.Main.Version
	}
	r.version = strings.TrimPrefix(r.version, "v")
	if r.version == "" || r.version == "(devel)" {
		return errors.New("go build finds no version here, as in a worktree or without git: make this in a clone, or name a version")
	}
	if epoch := os.Getenv("SOURCE_DATE_EPOCH"); epoch != "" {
		seconds, err := strconv.ParseInt(epoch, 10, 64)
		if err != nil {
			return fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
		}
		r.at = time.Unix(seconds, 0).UTC()
		return nil
	}
	at, err := time.Parse(time.RFC3339, setting(info, "vcs.time"))
	if err != nil {
		return errors.New("go build finds no time of a commit here, as in a worktree or without git: make this in a clone, or set SOURCE_DATE_EPOCH")
	}
	r.at = at.UTC()
	return nil
}

func setting(info *buildinfo.BuildInfo, key string) string {
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

// sum writes SHA256SUMS for sha256sum --check.
func (r *release) sum() error {
	entries, err := os.ReadDir(r.out)
	if err != nil {
		return err
	}
	var list strings.Builder
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(r.out, e.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&list, "%x  %s\n", sha256.Sum256(data), e.Name())
	}
	return os.WriteFile(filepath.Join(r.out, sums), []byte(list.String()), 0o644)
}
