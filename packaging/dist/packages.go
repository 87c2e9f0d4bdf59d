package main

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"

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
	variables := map[string]string{"VERSION": r.version, "ARCH": b.arch, "MAINTAINER": r.maintainer}
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
			if err != nil || !d.Type().IsRegular() {
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
			out = append(out, &files.Content{
				Source:      file,
				Destination: path.Join(c.Destination, filepath.ToSlash(name)),
				FileInfo:    &files.ContentFileInfo{Mode: mode(info)},
			})
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// mode is that of a file in a release: of a checkout, only whether it can be run counts.
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
