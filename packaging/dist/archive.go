package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// A member is a file of an archive.
type member struct {
	name string // with slashes
	data []byte
	mode fs.FileMode
}

// archive makes a .tar.gz, for Windows a .zip, with one directory in it.
func (r *release) archive(b build, stage string) error {
	var members []member
	add := func(name, file string, mode fs.FileMode) error {
		data, err := os.ReadFile(file)
		members = append(members, member{name, data, mode})
		return err
	}
	program := "mtlsplan"
	if b.os == "windows" {
		program += ".exe"
	}
	if err := add(program, b.file, 0o755); err != nil {
		return err
	}
	for _, file := range []string{"README.md", "CHANGELOG.md", "SECURITY.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "LICENSE"} {
		if err := add(file, file, 0o644); err != nil {
			return err
		}
	}
	members = append(members, member{"LICENSES-OF-LIBRARIES", b.notices, 0o644})
	trees := map[string]string{"docs": "docs", "examples": "examples", "completions": filepath.Join(stage, "completions")}
	if b.os == "linux" {
		trees["systemd"], trees["cron"] = "packaging/systemd", "packaging/cron"
	}
	for to, from := range trees {
		err := filepath.WalkDir(from, func(file string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			name, err := filepath.Rel(from, file)
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			return add(path.Join(to, filepath.ToSlash(name)), file, mode(info))
		})
		if err != nil {
			return err
		}
	}
	slices.SortFunc(members, func(a, b member) int { return strings.Compare(a.name, b.name) })
	top := "mtlsplan-" + r.version
	if b.os == "windows" {
		data, err := r.zipped(top, members)
		if err != nil {
			return err
		}
		return os.WriteFile(r.name(b, ".zip"), data, 0o644)
	}
	data, err := r.tarred(top, members)
	if err != nil {
		return err
	}
	return os.WriteFile(r.name(b, ".tar.gz"), compressed(data, gzip.DefaultCompression), 0o644)
}

func (r *release) tarred(top string, members []member) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, m := range members {
		h := &tar.Header{Name: path.Join(top, m.name), Mode: int64(m.mode), Size: int64(len(m.data)), ModTime: r.at, Format: tar.FormatUSTAR}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(m.data); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return out.Bytes(), err
}

func (r *release) zipped(top string, members []member) ([]byte, error) {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, m := range members {
		h := &zip.FileHeader{Name: path.Join(top, m.name), Method: zip.Deflate, Modified: r.at}
		h.SetMode(m.mode)
		w, err := z.CreateHeader(h)
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(m.data); err != nil {
			return nil, err
		}
	}
	err := z.Close()
	return out.Bytes(), err
}
