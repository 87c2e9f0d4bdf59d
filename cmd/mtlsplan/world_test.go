package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"mtlsplan/internal/testing/sample"
)

func init() {
	scriptCommands["mounted"] = cmdMounted
	scriptCommands["immutable"] = cmdImmutable
	scriptCommands["fill"] = cmdFill
	scriptCommands["sound"] = cmdSound
	scriptCommands["hostile"] = cmdHostile
}

// scriptCondition evaluates conditions of the environment. [mounts]: file systems can be
// mounted. [browser]: a browser can run. In continuous integration they must be: there it is an
// error if they cannot, so that no script is skipped silently.
func scriptCondition(name string) (bool, error) {
	conditions := map[string]func() error{"mounts": canMount, "browser": canRunBrowsers, "axe": hasAxe}
	can, ok := conditions[name]
	if !ok {
		return false, fmt.Errorf("unknown condition %q", name)
	}
	err := can()
	if os.Getenv("CI") != "" {
		return err == nil, err
	}
	return err == nil, nil
}

// canMount tries to mount a file system.
func canMount() error {
	dir, err := os.MkdirTemp("", "mounts")
	if err != nil {
		return err
	}
	defer os.Remove(dir)
	if exec.Command("mount", "-t", "tmpfs", "none", dir).Run() != nil {
		return errors.New("this script mounts file systems, which is forbidden here: run as root, in a container with --privileged")
	}
	return exec.Command("umount", dir).Run()
}

// mounted DIR ARG... makes a directory and mounts a file system on it until the script ends;
// the arguments are mount's.
func cmdMounted(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: mounted DIR ARG...")
	}
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	ts.Check(mount(dir, args[1:]...))
	ts.Defer(func() { _ = exec.Command("umount", "-l", dir).Run() })
	_ = os.Chmod(dir, 0o755) // a tmpfs is open to everybody; some file systems refuse it
}

func mount(dir string, args ...string) error {
	out, err := exec.Command("mount", append(args, dir)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("mount %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// immutable DIR makes a directory unchangeable, also for root; ! immutable undoes that, as
// does the end of the script.
func cmdImmutable(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: [!] immutable DIR")
	}
	dir := ts.MkAbs(args[0])
	flag := "+i"
	if neg {
		flag = "-i"
	}
	if out, err := exec.Command("chattr", flag, dir).CombinedOutput(); err != nil {
		ts.Fatalf("chattr: %v: %s", err, out)
	}
	ts.Defer(func() { _ = exec.Command("chattr", "-i", dir).Run() })
}

// fill DIR WHAT LEFT fills a file system until LEFT kilobytes ("bytes") or files ("files") are
// free, with files named fill.
func cmdFill(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: fill DIR bytes|files LEFT")
	}
	left, err := strconv.ParseUint(args[2], 10, 32)
	ts.Check(err)
	dir := filepath.Join(ts.MkAbs(args[0]), "fill")
	ts.Check(os.RemoveAll(dir))
	var st syscall.Statfs_t
	ts.Check(syscall.Statfs(filepath.Dir(dir), &st))
	if args[1] == "bytes" {
		ts.Check(os.WriteFile(dir, make([]byte, st.Bavail*uint64(st.Bsize)-left*1024), 0o600))
		return
	}
	ts.Check(os.Mkdir(dir, 0o700))
	for i := range st.Ffree - left - 1 {
		ts.Check(os.WriteFile(filepath.Join(dir, strconv.FormatUint(i, 10)), nil, 0o600))
	}
}

// sound DIR... checks the invariants of output directories.
func cmdSound(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: sound DIR...")
	}
	for _, dir := range args {
		if err := checkState(ts.MkAbs(dir)); err != nil {
			ts.Fatalf("%s: %v", dir, err)
		}
	}
}

// intruders put another kind of file in the place of a file. Each may use a victim, a file or
// directory outside the output directory.
var intruders = []struct {
	kind string
	put  func(path, victim string) error
}{
	{"symbolic link", func(path, victim string) error { return os.Symlink(victim, path) }},
	{"dangling link", func(path, victim string) error { return os.Symlink(victim+".new", path) }},
	{"hard link", func(path, victim string) error { return os.Link(victim, path) }},
	{"fifo", func(path, _ string) error { return syscall.Mkfifo(path, 0o600) }},
	{"directory", func(path, _ string) error { return os.Mkdir(path, 0o700) }},
	{"socket", func(path, _ string) error { return syscall.Mknod(path, syscall.S_IFSOCK|0o600, 0) }},
	{"device", func(path, _ string) error { return syscall.Mknod(path, syscall.S_IFCHR|0o600, 1<<8|3) }}, // /dev/null
}

// hostile SPEC LEAVER DIR ARG... applies SPEC, which lacks the user LEAVER, to copies of DIR.
// In each copy one file or directory of mtlsplan is replaced by another kind of file, of
// which a plain run tries two or three in each place. Each run must refuse it with a
// message, within ten seconds, and change nothing outside. Once the intruder is removed, the
// next run must succeed.
func cmdHostile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: hostile SPEC LEAVER DIR ARG...")
	}
	h := &hostile{program: realProgram(ts), spec: ts.MkAbs(args[0]), base: ts.MkAbs(args[2]), leaver: args[1], args: args[3:], work: memoryDir(ts)}
	names, err := ownedPaths(h.base)
	ts.Check(err)
	var errs []error
	all := make([]int, len(intruders))
	for i := range all {
		all[i] = i
	}
	for _, name := range names {
		for _, i := range sample.OneIn(3, all) {
			if err := h.try(name, i); err != nil {
				errs = append(errs, fmt.Errorf("%s in the place of %s: %w", intruders[i].kind, name, err))
			}
		}
	}
	ts.Check(errors.Join(errs...))
	fmt.Fprintf(ts.Stdout(), "%d places, %d intruders, %d refused, %d were in nobody's way\n", len(names), len(intruders), h.refused, h.passed)
}

// ownedPaths are the files and directories below an output directory.
func ownedPaths(dir string) ([]string, error) {
	text, err := snapshot(dir)
	if err != nil {
		return nil, err
	}
	names := []string{"db/lock"}
	for _, name := range timeSavers {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			names = append(names, name)
		}
	}
	for line := range strings.Lines(text) {
		if name, _, _ := strings.Cut(line, " "); name != "." {
			names = append(names, name)
		}
	}
	return names, nil
}

type hostile struct {
	program, spec, base string
	leaver              string
	args                []string
	work                string
	refused, passed     int
}

// sentence is the form of a refusal: owner, file, fault and remedy.
var sentence = regexp.MustCompile(`(?m)^(mtlsplan|[a-z]+\.[^ :]+): .+: .+`)

func (h *hostile) try(name string, intruder int) error {
	dir, outside := filepath.Join(h.work, "out"), filepath.Join(h.work, "outside")
	if err := errors.Join(copyTree(h.base, dir), os.RemoveAll(outside), os.Mkdir(outside, 0o700)); err != nil {
		return err
	}
	path, victim := filepath.Join(dir, name), filepath.Join(outside, "victim")
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		if intruders[intruder].kind == "directory" || intruders[intruder].kind == "hard link" {
			return nil
		}
		err = copyTree(path, victim)
	} else {
		var data []byte
		if data, err = os.ReadFile(path); err == nil {
			err = errors.Join(os.WriteFile(victim, data, info.Mode().Perm()), os.Chmod(victim, info.Mode().Perm()))
		}
	}
	err = errors.Join(err, os.Rename(path, filepath.Join(h.work, "aside")))
	defer os.RemoveAll(filepath.Join(h.work, "aside"))
	if err == nil {
		err = intruders[intruder].put(path, victim)
	}
	if err != nil {
		return err
	}
	before, err := snapshot(outside)
	if err != nil {
		return err
	}
	code, said, err := h.apply(dir)
	if err != nil {
		return err
	}
	after, err := snapshot(outside)
	if err != nil {
		return err
	}
	switch {
	case after != before:
		return fmt.Errorf("it changed the files outside from\n%s\nto\n%s", before, after)
	case code == exitDone:
		// An intruder in the place of a file to be removed stays there. A file that only saves
		// time is not needed.
		h.passed++
		if !slices.Contains(timeSavers, name) && !strings.HasPrefix(name, "db/retired/") && !strings.Contains(name, h.leaver+"-m.") {
			return fmt.Errorf("it ended with 0: %s", said)
		}
	case code != exitFailure && code != exitIncomplete && code != exitRefused || !sentence.MatchString(said):
		return fmt.Errorf("it ended with %d: %s", code, said)
	default:
		h.refused++
	}
	if err := errors.Join(os.RemoveAll(path), os.Rename(filepath.Join(h.work, "aside"), path)); err != nil {
		return err
	}
	if code, said, err := h.apply(dir); err != nil || code != exitDone {
		return fmt.Errorf("after the intruder was removed, the next run ended with %d: %v: %s", code, err, said)
	}
	return checkState(dir)
}

func (h *hostile) apply(dir string) (int, string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, h.program, append([]string{"apply", h.spec, "--output", dir}, h.args...)...)
	cmd.Stderr = &stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		return 0, "", errors.New("it hangs")
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode(), stderr.String(), nil
	}
	return 0, stderr.String(), err
}
