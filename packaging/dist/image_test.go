package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// unpackImage reads the image as the OCI's specification says (image-spec, image-layout.md),
// checks every digest on the way, and puts its one layer into root.
func unpackImage(t *testing.T, root string) (config imageConfig) {
	t.Helper()
	files := map[string][]byte{}
	packed, err := os.ReadFile(made(t, full, "_oci.tar"))
	if err != nil {
		t.Fatal(err)
	}
	eachFile(t, bytes.NewReader(packed), func(h *tar.Header, data []byte) { files[h.Name] = data })
	blob := func(d descriptor) []byte {
		t.Helper()
		data := files["blobs/"+strings.Replace(d.Digest, ":", "/", 1)]
		if sum := fmt.Sprintf("sha256:%x", sha256.Sum256(data)); sum != d.Digest || int64(len(data)) != d.Size {
			t.Fatalf("blob %s has %s and %d bytes, not %d", d.Digest, sum, len(data), d.Size)
		}
		return data
	}
	read := func(data []byte, into any) {
		t.Helper()
		if err := json.Unmarshal(data, into); err != nil {
			t.Fatal(err)
		}
	}
	if string(files["oci-layout"]) == "" {
		t.Fatal("there is no oci-layout")
	}
	var top, index struct{ Manifests []descriptor }
	read(files["index.json"], &top)
	read(blob(top.Manifests[0]), &index)
	if p := index.Manifests[0].Platform; len(index.Manifests) != 1 || p.OS != "linux" || p.Architecture != runtime.GOARCH {
		t.Errorf("the index has %+v", index)
	}
	var manifest struct {
		Config descriptor
		Layers []descriptor
	}
	read(blob(index.Manifests[0]), &manifest)
	read(blob(manifest.Config), &config)
	if len(manifest.Layers) != 1 {
		t.Fatalf("the image has %d layers", len(manifest.Layers))
	}
	layer, err := gzip.NewReader(bytes.NewReader(blob(manifest.Layers[0])))
	if err != nil {
		t.Fatal(err)
	}
	eachFile(t, layer, func(h *tar.Header, data []byte) {
		to := filepath.Join(root, h.Name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, data, h.FileInfo().Mode().Perm())); err != nil {
			t.Fatal(err)
		}
	})
	return config
}

type descriptor struct {
	Digest   string
	Size     int64
	Platform struct{ OS, Architecture string }
}

type imageConfig struct {
	Config struct {
		User       string
		Entrypoint []string
		Labels     map[string]string
	}
}

func eachFile(t *testing.T, r io.Reader, do func(h *tar.Header, data []byte)) {
	t.Helper()
	for in := tar.NewReader(r); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		do(h, data)
	}
}

// cronJob is what the test plays of examples/kubernetes/cronjob.yaml; package kubernetes
// holds the whole to its schema.
type cronJob struct {
	Kind string
	Data map[string]string
	Spec struct {
		JobTemplate struct {
			Spec struct {
				Template struct {
					Spec struct {
						SecurityContext struct {
							User    int  `yaml:"runAsUser"`
							Group   int  `yaml:"runAsGroup"`
							OfFiles int  `yaml:"fsGroup"`
							NonRoot bool `yaml:"runAsNonRoot"`
						} `yaml:"securityContext"`
						Containers []struct{ Args []string }
					}
				}
			}
		} `yaml:"jobTemplate"`
	}
}

// TestImageAsCronJob runs the image as the CronJob in examples does: as its user, on a root
// file system that cannot be written, and on a volume whose top the kubelet has opened to
// its group.
func TestImageAsCronJob(t *testing.T) {
	need(t, "chroot", "unshare", "mount")
	root := t.TempDir()
	if err := os.Chmod(filepath.Dir(root), 0o755); err != nil {
		t.Fatal(err)
	}
	image := unpackImage(t, root)
	if c := image.Config; c.User != "65532:65532" || len(c.Entrypoint) != 1 || c.Entrypoint[0] != "/mtlsplan" || c.Labels["org.opencontainers.image.version"] != older {
		t.Errorf("the image is to run %+v", c)
	}

	var spec string
	var job cronJob
	manifest, err := os.Open("examples/kubernetes/cronjob.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer manifest.Close()
	for documents := yaml.NewDecoder(manifest); ; {
		var d cronJob
		if err := documents.Decode(&d); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		switch d.Kind {
		case "ConfigMap":
			spec = d.Data["office.hcl"]
		case "CronJob":
			job = d
		}
	}
	pod := job.Spec.JobTemplate.Spec.Template.Spec
	who := pod.SecurityContext
	if fmt.Sprintf("%d:%d", who.User, who.Group) != image.Config.User || who.OfFiles != who.Group || !who.NonRoot {
		t.Errorf("the job runs as %+v, the image as %s", who, image.Config.User)
	}

	mount := func(name string, mode os.FileMode) string {
		dir := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.Chown(dir, 0, who.OfFiles), os.Chmod(dir, mode)); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	write := func(file, text string, mode os.FileMode) {
		if err := errors.Join(os.WriteFile(file, []byte(text), mode), os.Chown(file, 0, who.OfFiles)); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(mount("etc/mtlsplan", 0o755), "office.hcl"), spec, 0o644)
	write(filepath.Join(root, "etc/mtlsplan/top.hcl"), strings.Replace(spec, "/var/lib/mtlsplan/office", "/var/lib/mtlsplan", 1), 0o644)
	// As the kubelet does: the files of a Secret are links, so that it can change them at once.
	secrets := mount("run/secrets/mtlsplan", 0o755)
	write(filepath.Join(mount("run/secrets/mtlsplan/..2026", 0o755), "passphrase"), "correct horse battery staple\n", 0o440)
	if err := errors.Join(os.Symlink("..2026", filepath.Join(secrets, "..data")), os.Symlink("..data/passphrase", filepath.Join(secrets, "passphrase"))); err != nil {
		t.Fatal(err)
	}
	volume := mount("var/lib/mtlsplan", 0o2775|os.ModeSetgid)

	inside := func(status int, args ...string) string {
		t.Helper()
		return run(t, status, append([]string{"unshare", "--mount", "sh", "-c",
			`root=$1 volume=$2 user=$3 && shift 3 &&
			mount --bind "$root" "$root" && mount --bind "$volume" "$volume" && mount -o remount,bind,ro "$root" &&
			exec chroot --userspec="$user" --groups="${user#*:}" "$root" /mtlsplan "$@"`,
			"sh", root, volume, image.Config.User}, args...)...)
	}
	if out := inside(0, pod.Containers[0].Args...); !strings.Contains(out, "user.ada") {
		t.Error(out)
	}
	inside(0, pod.Containers[0].Args...)
	inside(0, "verify", "/etc/mtlsplan/office.hcl")
	key, err := os.Stat(filepath.Join(volume, "office", "ada-office.key"))
	if err != nil || key.Mode().Perm() != 0o600 {
		t.Errorf("the key is %v, %v", key, err)
	}
	// The volume's own top is refused, with what to do.
	if out := inside(1, "apply", "/etc/mtlsplan/top.hcl"); !strings.Contains(out, "chmod go-w") {
		t.Error(out)
	}
}
