package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"mtlsplan/internal/ui"
	"mtlsplan/spec"
)

// formatting is what fmt was asked for.
type formatting struct {
	check bool // change nothing, tell by the exit code
	diff  bool // show what changes
}

func (a *app) fmtCmd() *cobra.Command {
	var f formatting
	cmd := &cobra.Command{
		Use:   "fmt [FILE...]",
		Short: "Write specs in the canonical style",
		Long: `Rewrites specs in the canonical style of HCL and prints the names of those that
it changed. Only blanks change.

With --check no file is changed, and the exit code is 2 when one would be. A
file that is not HCL is left as it is and gives 10.

With --diff, "(hidden)" stands for what could be a passphrase that somebody
wrote into the file; patch takes the diff of any other file.`,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				args = []string{defaultSpec}
			}
			return a.fmt(args, f)
		},
	}
	cmd.Flags().BoolVar(&f.check, "check", false, "change nothing; exit with 2 when a file would change")
	cmd.Flags().BoolVar(&f.diff, "diff", false, "show what changes")
	return cmd
}

// fmt goes on after a file that cannot be formatted, and ends with the code of
// what went worst.
func (a *app) fmt(files []string, f formatting) error {
	var failed error
	invalid, changed := false, false
	for _, file := range files {
		different, err := a.fmtFile(file, f)
		var exit exitError
		switch {
		case errors.As(err, &exit):
			invalid = true
		case err != nil:
			failed = errors.Join(failed, err)
		}
		changed = changed || different
	}
	switch {
	case failed != nil:
		return failed
	case invalid:
		return exitError{exitInvalid, nil}
	case changed && f.check:
		return exitError{exitPending, nil}
	}
	return nil
}

func (a *app) fmtFile(file string, f formatting) (changed bool, err error) {
	old, diags := spec.ReadFile(file)
	if diags.HasErrors() {
		a.explain(nil, diags)
		return false, exitError{exitInvalid, nil}
	}
	text, src, diags := spec.Format(old, file)
	if diags.HasErrors() {
		a.explain(src, diags)
		return false, exitError{exitInvalid, nil}
	}
	if bytes.Equal(old, text) {
		return false, nil
	}
	if !f.check {
		if err := rewrite(file, text); err != nil {
			return false, err
		}
	}
	before, after := spec.Mask(old), spec.Mask(text)
	if !f.diff || bytes.Equal(before, after) {
		_, err = fmt.Fprintln(a.stdout, ui.Clean(file))
		return true, err
	}
	return true, ui.Diff(a.stdout, file, before, after)
}

// rewrite replaces a file's content by rename, so that it is never partly
// written. A symbolic link stays one: what it points to is replaced.
func rewrite(file string, text []byte) (err error) {
	target, err := filepath.EvalSymlinks(file)
	if err != nil {
		return fmt.Errorf("%s cannot be written: %w", file, cause(err))
	}
	info, err := os.Stat(target)
	if err != nil {
		return fmt.Errorf("%s cannot be written: %w", file, cause(err))
	}
	tmp, err := os.CreateTemp(filepath.Dir(target), "."+filepath.Base(target)+".*")
	if err != nil {
		return fmt.Errorf("%s cannot be written: no file can be made in its directory: %w", file, cause(err))
	}
	defer func() {
		if err != nil {
			os.Remove(tmp.Name())
		}
	}()
	_, err = tmp.Write(text)
	err = errors.Join(err, tmp.Chmod(info.Mode().Perm()), tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), target)
	}
	if err != nil {
		return fmt.Errorf("%s cannot be written and is left as it was: %w", file, cause(err))
	}
	return nil
}
