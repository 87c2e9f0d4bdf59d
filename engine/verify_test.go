package engine

import (
	"bytes"
	"context"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"mtlsplan/internal/plan"
	"mtlsplan/internal/testing/sample"
	"mtlsplan/spec"
)

const verified = small + `
user "rsa" {
  email = "rsa@mattermost.com"
  key   = "rsa-2048"
  p12   = ["modern"]
}
user "gone" { email = "gone@mattermost.com" }
`

// whole is a directory of which every check holds: somebody has left, somebody was
// replaced, and there is an earlier generation of the CA.
func whole(t *testing.T) (*spec.Config, Options) {
	t.Helper()
	output := filepath.Join(t.TempDir(), "out")
	opt := Options{Now: time.Now(), LookupEnv: os.LookupEnv}
	text := strings.Replace(verified, `ca "m" {`, "output = "+`"`+output+`"`+"\nca \"m\" {", 1)
	apply := func(text string, opt Options) *spec.Config {
		cfg := load(t, text)
		if r, err := Apply(context.Background(), cfg, opt, quiet{}); err != nil || len(r.Failures) > 0 {
			t.Fatal(err, r)
		}
		return cfg
	}
	apply(text, opt)
	text = text[:strings.Index(text, `user "gone"`)]
	apply(text, opt)
	text = strings.Replace(text, `ca "m" {`, "ca \"m\" {\n  generation = 2", 1)
	apply(text, opt)
	replace := opt
	replace.Replace, replace.Reason = []plan.Owner{"user.mmuser"}, "superseded"
	return apply(text, replace), opt
}

func wrong(checks []plan.Check) (out []plan.Check) {
	for _, c := range checks {
		if !c.OK {
			out = append(out, c)
		}
	}
	return out
}

// spare reports whether nobody can tell that a byte was altered: the line end of two
// files, which git may write in another way, and the minutes of a revocation, which
// another program may have made shortly before the CRL that lists it.
func spare(name string, data []byte, at int) bool {
	switch name {
	case "db/crlnumber", "db/index.txt.attr":
		return at == len(data)-1
	case "db/index.txt":
		line := bytes.LastIndexByte(data[:at], '\n') + 1
		column := bytes.LastIndexByte(data[:at], '\t') + 1
		return bytes.Count(data[line:at], []byte("\t")) == 2 && at-column >= len("YYMMDDHH")
	}
	return false
}

// Whatever byte of a file is altered, verify finds it.
func TestVerifyFindsEveryByte(t *testing.T) {
	cfg, opt := whole(t)
	checks, err := Verify(t.Context(), cfg, opt)
	if bad := wrong(checks); err != nil || len(bad) > 0 {
		t.Fatal(err, bad)
	}
	var names []string
	err = fs.WalkDir(os.DirFS(cfg.Output), ".", func(name string, d fs.DirEntry, err error) error {
		outOfUse := strings.HasPrefix(name, "db/retired/") && !strings.HasSuffix(name, ".G1.key")
		if err == nil && d.Type().IsRegular() && name != "db/lock" && name != "db/cache" && !outOfUse {
			names = append(names, name)
		}
		return err
	})
	if err != nil || !slices.Contains(names, "db/retired/ca.m.G1.key") {
		t.Fatal(err, names)
	}
	places := 6
	switch {
	case testing.Short():
		places = 3
	case sample.All:
		places = 40
	}
	random := rand.New(rand.NewPCG(1, 2))
	for _, name := range names {
		path := filepath.Join(cfg.Output, filepath.FromSlash(name))
		was, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for range places {
			at := random.IntN(len(was))
			if spare(name, was, at) {
				continue
			}
			data := slices.Clone(was)
			data[at] ^= 1
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			if checks, err := Verify(t.Context(), cfg, opt); err == nil && len(wrong(checks)) == 0 {
				t.Errorf("%s: byte %d of %d was altered, and all checks hold", name, at, len(was))
			}
		}
		if err := os.WriteFile(path, was, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if checks, err := Verify(t.Context(), cfg, opt); err != nil || len(wrong(checks)) > 0 {
		t.Fatal(err, wrong(checks))
	}
}

// The cache is not asked: a file that has changed behind its back is read.
func TestVerifyTrustsNoCache(t *testing.T) {
	cfg, opt := whole(t)
	for range 2 {
		if _, err := Apply(t.Context(), cfg, opt, quiet{}); err != nil {
			t.Fatal(err)
		}
	}
	checks, err := Verify(t.Context(), cfg, opt)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(cfg.Output, "db", "cache")); err != nil {
		t.Fatal(err)
	}
	again, err := Verify(t.Context(), cfg, opt)
	if err != nil || !reflect.DeepEqual(checks, again) {
		t.Error(err, "the cache makes a difference")
	}
}
