package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"mtlsplan/internal/testing/killat"
)

func init() { scriptCommands["power-cut"] = cmdPowerCut }

// power-cut SPEC DIR DATE MOMENTS PAUSE TYPE [OPTION...] puts a copy of DIR on a
// file system of this type on a disk image, mounted with the options, and
// applies SPEC to it as if it were DATE. At this number of moments, evenly over all
// file-changing calls, the power is cut: the image is copied while it is mounted, PAUSE
// seconds after the call, with everything that the kernel has written to it by then. The
// copy is mounted and must be sound, and the next run must give the result of an undisturbed
// one. If the run had ended with 0, nothing may be lost.
func cmdPowerCut(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 6 {
		ts.Fatalf("usage: power-cut SPEC DIR DATE MOMENTS PAUSE TYPE [OPTION...]")
	}
	moments, err := strconv.Atoi(args[3])
	ts.Check(err)
	pause, err := time.ParseDuration(args[4] + "s")
	ts.Check(err)
	p := &powerCut{
		sweeper: sweeper{program: realProgram(ts), spec: ts.MkAbs(args[0]), base: ts.MkAbs(args[1]), at: args[2], work: memoryDir(ts)},
		pause:   pause, kind: args[5], options: strings.Join(append([]string{"loop"}, args[6:]...), ","),
	}
	p.image, p.disk = filepath.Join(p.work, "image"), filepath.Join(p.work, "disk")
	reference := filepath.Join(p.work, "reference")
	ts.Check(copyTree(p.base, reference))
	r, _, stderr, err := p.run(reference, killat.Strike{})
	ts.Check(err)
	if r.Code != 0 {
		ts.Fatalf("the run fails even without harm: exit %d: %s", r.Code, stderr)
	}
	p.want, err = shape(reference)
	ts.Check(err)
	ts.Defer(func() {
		for exec.Command("umount", "-l", p.disk).Run() == nil { // a copy may be mounted over the first one
		}
	})
	ts.Check(p.makeDisk())
	n := len(r.Calls)
	for i := range moments {
		ts.Check(p.cut(killat.Strike{At: 1 + i*(n-1)/max(1, moments-1)}))
	}
	ts.Check(p.cut(killat.Strike{}))
	fmt.Fprintf(ts.Stdout(), "%s: power cut at %d of %d calls, and behind the run\n", p.kind, moments, n)
}

type powerCut struct {
	sweeper
	kind, options string
	image, disk   string
	pause         time.Duration
}

func (p *powerCut) makeDisk() error {
	f, err := os.Create(p.image)
	if err != nil {
		return err
	}
	// The smallest size for mkfs.xfs; the file is sparse.
	if err := f.Truncate(320 << 20); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if out, err := exec.Command("mkfs."+p.kind, "-q", p.image).CombinedOutput(); err != nil {
		return fmt.Errorf("mkfs.%s: %w: %s", p.kind, err, out)
	}
	if err := os.Mkdir(p.disk, 0o700); err != nil {
		return err
	}
	return mount(p.disk, "-o", p.options, p.image)
}

// cut runs up to a strike and examines the disk.
func (p *powerCut) cut(strike killat.Strike) (err error) {
	dir := filepath.Join(p.disk, "out")
	if err := copyTree(p.base, dir); err != nil {
		return err
	}
	if out, err := exec.Command("sync", "-f", p.disk).CombinedOutput(); err != nil {
		return fmt.Errorf("sync: %w: %s", err, out)
	}
	r, stdout, stderr, err := p.run(dir, strike)
	if err != nil {
		return err
	}
	time.Sleep(p.pause)
	// cp reads the data that has reached the image. The program's pages that are still in
	// memory are lost, as in a power cut.
	after := filepath.Join(p.work, "after")
	if out, err := exec.Command("cp", "--sparse=always", p.image, after).CombinedOutput(); err != nil {
		return fmt.Errorf("cp: %w: %s", err, out)
	}
	options := "loop"
	if p.kind == "xfs" {
		options += ",nouuid" // the image's twin is mounted
	}
	// Over the first one, since a site names the paths of its directory.
	if err := mount(p.disk, "-o", options, after); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, unmount(p.disk))
		if err != nil {
			err = fmt.Errorf("%s, %d calls, the last one %s: %w\n%s%s", p.kind, len(r.Calls), last(r.Calls), err, stdout, stderr)
		}
	}()
	return p.survived(dir, r)
}

// survived checks the directory after a power cut.
func (p *powerCut) survived(dir string, r killat.Result) error {
	if err := checkState(dir); err != nil {
		return err
	}
	code, out := p.next(dir, "apply")
	if code != exitDone {
		return fmt.Errorf("the next run ends with %d: %s", code, out)
	}
	if !r.Fired && !bytes.Contains([]byte(out), []byte("Nothing to do")) {
		return fmt.Errorf("the run had ended with %d, but the next one had something to do: %s", r.Code, out)
	}
	have, err := shape(dir)
	if err == nil && have != p.want {
		err = fmt.Errorf("the next run gives\n%s\nwhere an undisturbed one gives\n%s", have, p.want)
	}
	return err
}

// unmount waits for children of other tests that still use the file system between their fork
// and their exec.
func unmount(dir string) error {
	for tries := 1; ; tries++ {
		out, err := exec.Command("umount", dir).CombinedOutput()
		if err == nil {
			return nil
		}
		if tries == 50 {
			return fmt.Errorf("umount: %w: %s", err, out)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
