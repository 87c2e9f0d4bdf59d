package main

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm"
)

// packages makes the .deb and the .rpm as nfpm.yaml says.
func (r *release) packages(b build, stage string) error {
	if err := copyFile(filepath.Join(stage, "mtlsplan"), b.file, 0o755); err != nil {
		return err
	}
	licence, err := os.ReadFile("LICENSE")
	if err != nil {
		return err
	}
	copyright := "mtlsplan is under the licence that follows. Below it are those of what is linked into the program.\n\n" +
		string(licence) + string(b.notices)
	if err := os.WriteFile(filepath.Join(stage, "copyright"), []byte(copyright), 0o644); err != nil {
		return err
	}
	variables := map[string]string{"VERSION": packageVersion(r.version), "ARCH": b.arch, "MAINTAINER": r.maintainer, "STAGE": filepath.ToSlash(stage)}
	config, err := nfpm.ParseFileWithEnvMapping("packaging/nfpm.yaml", func(name string) string { return variables[name] })
	if err != nil {
		return err
	}
	for _, kind := range []string{"deb", "rpm"} {
		if !r.wants(kind) {
			continue
		}
		info, err := config.Get(kind)
		if err != nil {
			return err
		}
		info.MTime = r.at
		if info.Contents, err = plain(info.Contents); err != nil {
			return err
		}
		for _, c := range info.Contents {
			c.FileInfo.MTime = r.at
		}
		packager, err := nfpm.Get(kind)
		if err != nil {
			return err
		}
		info = nfpm.WithDefaults(info)
		w, err := os.Create(filepath.Join(r.out, packager.ConventionalFileName(info)))
		if err != nil {
			return err
		}
		if err := packager.Package(info, w); err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
	}
	return nil
}

// packageVersion is a version as both families of packages take it: a hyphen would begin the
// number of a revision, so only the one before a pre-release is left, which nfpm makes a
// tilde, that 1.0.0-rc.1 sorts before 1.0.0.
func packageVersion(version string) string {
	number, pre, ok := strings.Cut(version, "-")
	if !ok {
		return version
	}
	return number + "-" + strings.ReplaceAll(pre, "-", ".")
}

// plain has the files of a tree in its place: nfpm gives all of a tree one mode, its
// directories too, or those that they happen to have in this checkout.
func plain(contents files.Contents) (files.Contents, error) {
	var out files.Contents
	for _, c := range contents {
		if c.Type != files.TypeTree {
			out = append(out, c)
			continue
		}
		err := filepath.WalkDir(c.Source, func(file string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			name, err := filepath.Rel(c.Source, file)
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			to := &files.Content{Destination: path.Join(c.Destination, filepath.ToSlash(name)), FileInfo: &files.ContentFileInfo{Mode: mode(info)}}
			if d.IsDir() {
				to.Type = files.TypeDir // rpm removes no directory that belongs to no package
			} else {
				to.Source = file
			}
			out = append(out, to)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// mode is that of a file or a directory in a release: of a checkout, only whether it can be
// run counts.
func mode(info fs.FileInfo) fs.FileMode {
	if info.Mode()&0o100 != 0 {
		return 0o755
	}
	return 0o644
}

func copyFile(to, from string, mode os.FileMode) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, mode)
}
