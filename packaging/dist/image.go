package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// imageUser is the user and the group that a container runs as, by number: the image has
// no /etc/passwd.
const imageUser = "65532:65532"

// image makes a container image with the program and nothing else, for every platform of
// builds, as one file: an archive of an OCI image layout, which podman, skopeo and
// containerd read. No daemon is asked.
func (r *release) image(builds []build, stage string) error {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, b := range builds {
		img, err := r.imageFor(b)
		if err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        img,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: b.os, Architecture: b.arch}},
		})
	}
	dir := filepath.Join(stage, "image")
	to, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	named := layout.WithAnnotations(map[string]string{
		"org.opencontainers.image.ref.name": "mtlsplan:" + r.version,
		"io.containerd.image.name":          "docker.io/library/mtlsplan:" + r.version, // what a name without a host means there
	})
	if err := to.AppendIndex(index, named); err != nil {
		return err
	}
	var members []member
	err = filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(file)
		members = append(members, member{filepath.ToSlash(name), data, 0o644})
		return err
	})
	if err != nil {
		return err
	}
	data, err := r.tarred("", members)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.out, "mtlsplan_"+r.version+"_oci.tar"), data, 0o644)
}

func (r *release) imageFor(b build) (v1.Image, error) {
	program, err := os.ReadFile(b.file)
	if err != nil {
		return nil, err
	}
	licence, err := os.ReadFile("LICENSE")
	if err != nil {
		return nil, err
	}
	files, err := r.tarred("", []member{
		{"mtlsplan", program, 0o755},
		{"licences/mtlsplan", licence, 0o644},
		{"licences/libraries", b.notices, 0o644},
	})
	if err != nil {
		return nil, err
	}
	packed := compressed(files, gzip.DefaultCompression)
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed)), nil },
		tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err := mutate.Append(base, mutate.Addendum{Layer: layer, History: v1.History{Created: v1.Time{Time: r.at}}})
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = b.os, b.arch, v1.Time{Time: r.at}
	config.Config = v1.Config{
		Entrypoint: []string{"/mtlsplan"},
		User:       imageUser,
		Labels: map[string]string{
			"org.opencontainers.image.title":    "mtlsplan",
			"org.opencontainers.image.version":  r.version,
			"org.opencontainers.image.revision": setting(b.info, "vcs.revision"),
			"org.opencontainers.image.licenses": "Apache-2.0",
		},
	}
	return mutate.ConfigFile(img, config)
}
