package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"mtlsplan/internal/plan"
	"mtlsplan/internal/ui"
	"mtlsplan/spec"
)

// formatting holds the flags of fmt.
type formatting struct {
	check bool // change nothing, tell by the exit code
	diff  bool // show what changes
}

func (a *app) fmtCmd() *cobra.Command {
	var f formatting
	cmd := &cobra.Command{
		Use:   "fmt [FILE...]",
		Short: "Write specs in the canonical style",
		Long: `Rewrites specs in the canonical style of HCL and prints the names of the files
that it changed. Only white space changes.

With --check no file is changed, and the exit code is 2 if one would be. A file
that is not HCL is left as it is, and the exit code is 10.

With --diff, a value that could be a passphrase is shown as "(hidden)". The diff
of a file without one can be given to patch.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				args = []string{defaultSpec}
			}
			return a.fmt(cmd.Context(), args, f)
		},
	}
	cmd.Flags().BoolVar(&f.check, "check", false, "change nothing; exit with 2 if a file would change")
	cmd.Flags().BoolVar(&f.diff, "diff", false, "print the changes as a diff")
	return cmd
}

// fmt goes on after a file that cannot be formatted, and ends with the gravest
// exit status.
func (a *app) fmt(ctx context.Context, files []string, f formatting) error {
	var failed error
	var invalid specError
	doc := plan.FmtDocument{FormatVersion: plan.FormatVersion, Changed: []plan.FormattedFile{}}
	for _, file := range files {
		changed, err := a.fmtFile(ctx, file, f)
		if changed != nil {
			doc.Changed = append(doc.Changed, *changed)
		}
		if bad, ok := errors.AsType[*specError](err); ok {
			invalid.add(bad)
			if !a.documents() {
				a.explain(bad.src, bad.diags)
			}
		} else if err != nil {
			failed = errors.Join(failed, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	if failed == nil && invalid.diags != nil {
		failed = &plan.Error{Code: plan.SpecInvalid, Err: &invalid}
	}
	if a.documents() {
		if failed != nil {
			detail := errorDetail(ctx, failed)
			detail.Diagnostics = ui.Diagnostics(invalid.diags)
			doc.Error = &detail
		}
		if err := a.answer(doc); err != nil {
			return err
		}
	}
	switch {
	case failed != nil && !a.documents() && plan.CodeOf(failed) == plan.SpecInvalid:
		return exitStatus(exitInvalid) // each was explained in its turn
	case failed != nil:
		return failed
	case f.check && len(doc.Changed) > 0:
		return exitStatus(exitPending)
	}
	return nil
}

// fmtFile formats one file; nil means that it is as it should be.
func (a *app) fmtFile(ctx context.Context, file string, f formatting) (*plan.FormattedFile, error) {
	old, diags := spec.ReadFile(ctx, file)
	if ctx.Err() != nil {
		return nil, plan.Errorf(plan.Interrupted, "interrupted: %s and what follows is left as it was", file)
	}
	if diags.HasErrors() {
		return nil, invalidSpec(file, nil, diags)
	}
	text, src, diags := spec.Format(old, file)
	if diags.HasErrors() {
		return nil, invalidSpec(file, src, diags)
	}
	if bytes.Equal(old, text) {
		return nil, nil
	}
	if !f.check {
		if err := rewrite(file, text); err != nil {
			return nil, err
		}
	}
	changed := &plan.FormattedFile{File: file}
	before, after := spec.Mask(old), spec.Mask(text)
	if f.diff && !bytes.Equal(before, after) {
		diff, err := ui.Diff(file, before, after)
		if err != nil {
			return changed, err
		}
		changed.Diff = diff
	}
	return changed, a.printFormatted(changed)
}

func (a *app) printFormatted(changed *plan.FormattedFile) error {
	switch {
	case a.documents():
		return nil
	case changed.Diff == "":
		_, err := fmt.Fprintln(a.stdout, ui.Clean(changed.File))
		return err
	}
	return ui.WriteDiff(a.stdout, changed.Diff)
}

// rewrite replaces a file's content by rename, so that it is never partly
// written. A symbolic link stays one: what it points to is replaced.
func rewrite(file string, text []byte) (err error) {
	target, err := filepath.EvalSymlinks(file)
	if err != nil {
		return plan.Errorf(plan.FileError, "%s cannot be written: %w", file, cause(err))
	}
	info, err := os.Stat(target)
	if err != nil {
		return plan.Errorf(plan.FileError, "%s cannot be written: %w", file, cause(err))
	}
	tmp, err := os.CreateTemp(filepath.Dir(target), "."+filepath.Base(target)+".*")
	if err != nil {
		return plan.Errorf(plan.FileError, "%s cannot be written: no file can be made in its directory: %w", file, cause(err))
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
		return plan.Errorf(plan.FileError, "%s cannot be written and is left as it was: %w", file, cause(err))
	}
	return nil
}
