package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// rowTime is about how long a scenario is repeated, beyond its least turns.
const rowTime = 45 * time.Second

// lab is where everything is measured, and with what.
type lab struct {
	ctx      context.Context
	dir      string // work directory; nothing in it is deleted before the end
	mtlsplan string // the program
	ours     string // this program, which holds the floor
	floorBin string // another floor, "" for ours
	smoke    bool
	image    bool // dir is a file system of its own
	worlds   map[int]*world
	certyaml map[int]string // directories that it has filled, by number of users
	closers  []func() error
}

// newLab makes a work directory: below WORK if that is set, else, where that is
// allowed, on a file system of its own, else in the temporary directory. ext4
// makes files many times slower for an hour after a big tree was deleted, so
// that a file system of its own keeps both the measurement and the machine clean.
func newLab(ctx context.Context, smoke bool) (l *lab, err error) {
	l = &lab{ctx: ctx, smoke: smoke, worlds: map[int]*world{}, certyaml: map[int]string{}, floorBin: os.Getenv("FLOOR")}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	if l.ours, err = os.Executable(); err != nil {
		return l, err
	}
	if l.dir, err = os.MkdirTemp(os.Getenv("WORK"), "mtlsplan-bench-"); err != nil {
		return l, err
	}
	base := l.dir
	l.closers = append(l.closers, func() error { return os.RemoveAll(base) })
	if os.Getenv("WORK") == "" && !smoke && os.Geteuid() == 0 {
		if mounted, err := l.mountImage(base, "lab", "64G", "loop,noinit_itable"); err == nil {
			l.dir, l.image = mounted, true
		} else {
			fmt.Fprintf(os.Stderr, "no file system of its own, measuring in %s: %v\n", base, err)
		}
	}
	l.mtlsplan = filepath.Join(base, "mtlsplan")
	return l, l.build()
}

// build makes the program from the module that one stands in.
func (l *lab) build() error {
	cmd := exec.CommandContext(l.ctx, "go", "build", "-trimpath", "-o", l.mtlsplan, "mtlsplan/cmd/mtlsplan")
	cmd.Stderr = os.Stderr
	return cmd.Run()
}

func (l *lab) close() error {
	var errs []error
	for len(l.closers) > 0 {
		last := len(l.closers) - 1
		errs = append(errs, l.closers[last]())
		l.closers = l.closers[:last]
	}
	return errors.Join(errs...)
}

// mountImage makes an ext4 file system in a sparse file and mounts it. It takes
// the rights of root.
func (l *lab) mountImage(base, name, size, options string) (string, error) {
	image, point := filepath.Join(base, name+".img"), filepath.Join(base, name)
	if err := os.Mkdir(point, 0o755); err != nil {
		return "", err
	}
	for _, argv := range [][]string{
		{"truncate", "-s", size, image},
		{"mkfs.ext4", "-q", "-F", image},
		{"mount", "-o", options, image, point},
	} {
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("%s: %w: %s", argv[0], err, out)
		}
	}
	l.closers = append(l.closers, func() error {
		if out, err := exec.Command("umount", point).CombinedOutput(); err != nil {
			return fmt.Errorf("umount %s: %w: %s", point, err, out)
		}
		return nil
	})
	return point, nil
}

// fresh makes a new directory that no run has seen.
func (l *lab) fresh(name string) (string, error) { return os.MkdirTemp(l.dir, name+"-") }

// floor is the floor program's command for one scenario in a directory.
func (l *lab) floor(dir, scenario string, args ...string) command {
	binary := l.ours
	if l.floorBin != "" && len(args) == 0 { // another floor knows none of our flags
		binary = l.floorBin
	}
	return l.floorOf(binary, dir, scenario, args...)
}

func (l *lab) floorOf(binary, dir, scenario string, args ...string) command {
	argv := append([]string{binary, "ref", scenario, "-dir", dir}, args...)
	return command{who: floorName, argv: argv, dir: dir, writes: dir}
}

// apply is mtlsplan's command to make a directory match a spec in it.
func (l *lab) apply(dir, spec, says string, flags ...string) command {
	argv := append([]string{l.mtlsplan, "apply"}, flags...)
	return command{who: productName, argv: append(argv, spec), dir: dir, says: says, writes: filepath.Join(dir, "pki")}
}

// countWritten counts the files below a directory that were written since.
func countWritten(dir string, since time.Time) int {
	if dir == "" {
		return -1
	}
	// The kernel's file times are behind its clock by up to a tick of 10 ms.
	since = since.Add(-10 * time.Millisecond)
	n := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil && info.ModTime().After(since) {
			n++
		}
		return err
	})
	if err != nil {
		return -1
	}
	return n
}

// writeFile writes a file piece by piece: this program must stay small.
func writeFile(path string, write func(w *bufio.Writer)) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	write(w)
	return errors.Join(w.Flush(), f.Close())
}
