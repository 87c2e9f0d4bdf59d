package deploy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mtlsplan/internal/input"
)

// Run runs a program in a directory, without a shell, with a clean environment and a time
// limit, at which its children end, too; so they do once the run is urgent. The error is a
// sentence with the program's own words.
func Run(ctx context.Context, dir string, command []string, limit time.Duration) error {
	if len(command) == 0 {
		return nil
	}
	running, stop := context.WithTimeout(ctx, limit)
	defer stop()
	defer context.AfterFunc(input.Urgent(ctx), stop)()
	if input.Urgent(ctx).Err() != nil {
		return errors.New("the run was interrupted twice")
	}
	words := &tail{}
	dirs := searchPath()
	cmd := exec.CommandContext(running, look(command[0], dirs), command[1:]...)
	cmd.Dir, cmd.Env = dir, environment(dirs)
	cmd.Stdout, cmd.Stderr = words, words
	stopWithChildren(cmd)
	// A program that goes into the background, as nginx does when it is started, may keep
	// its output open.
	cmd.WaitDelay = 2 * time.Second
	err := cmd.Run()
	name := strings.Join(command, " ")
	switch {
	case err == nil || errors.Is(err, exec.ErrWaitDelay):
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case input.Urgent(ctx).Err() != nil:
		return fmt.Errorf("%s was ended, because the run was interrupted twice", name)
	case running.Err() != nil:
		return fmt.Errorf("%s did not end within %s%s", name, limit, words.said())
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return fmt.Errorf("%s ended with %s%s", name, exit.ProcessState, words.said())
	}
	if e, ok := errors.AsType[*exec.Error](err); ok {
		err = e.Err
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%s cannot be started: %w: %s; a path is taken from %s", name, err, input.NotExecutable, dir)
	}
	return fmt.Errorf("%s cannot be started: %w: install the program, or name another in deploy, as test or reload; a path is taken from %s", name, err, dir)
}

// administration is where proxies lie, and what cron's PATH leaves out.
var administration = []string{"/usr/local/sbin", "/usr/sbin", "/sbin"}

// searchPath is PATH, with the directories of administration behind it.
func searchPath() []string {
	dirs := filepath.SplitList(cmp.Or(os.Getenv("PATH"), "/usr/local/bin:/usr/bin:/bin"))
	for _, dir := range administration {
		if !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// look finds a program as a shell does.
func look(name string, dirs []string) string {
	if strings.Contains(name, "/") {
		return name
	}
	for _, dir := range dirs {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 && filepath.IsAbs(path) {
			return path
		}
	}
	return name
}

// environment is PATH and the locale of this process: whatever else it has may be a secret.
func environment(dirs []string) []string {
	env := []string{"PATH=" + strings.Join(dirs, string(filepath.ListSeparator))}
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if name == "LANG" || name == "LANGUAGE" || strings.HasPrefix(name, "LC_") {
			env = append(env, kv)
		}
	}
	return env
}

// tail keeps the end of what a program says: the reason is there.
type tail struct{ text []byte }

const tailSize = 2048

func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	if cut := len(t.text) - tailSize; cut > 0 {
		t.text = append(t.text[:0], t.text[cut:]...)
	}
	return len(p), nil
}

// said is the words in one line.
func (t *tail) said() string {
	var lines []string
	for line := range strings.Lines(strings.ToValidUTF8(string(t.text), "?")) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return ""
	}
	return ": " + strings.Join(lines, "; ")
}
