package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"mtlsplan/internal/plan"
	"mtlsplan/internal/ui"
	"mtlsplan/spec"
)

func (a *app) initCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "init [FILE]",
		Short: "Write a commented spec to start from",
		Long: `Writes a valid spec with comments, ready to be edited. An existing file is never
overwritten.`,
		Args: atMostOneFile,
		RunE: func(_ *cobra.Command, args []string) error { return a.init(specArg(args)) },
	}
}

func (a *app) init(file string) error {
	if file == "-" {
		return usageError("init: a spec is written to a file and not to standard output: name it")
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return plan.Errorf(plan.FileError, "%s exists and is left as it is: choose another name", file)
	}
	if err != nil {
		return plan.Errorf(plan.FileError, "%s cannot be written: %w", file, cause(err))
	}
	_, err = f.Write(spec.Starter())
	if err = errors.Join(err, f.Close()); err != nil {
		return plan.Errorf(plan.FileError, "%s was only partly written: %w: remove it and try again", file, cause(err))
	}
	if a.documents() {
		return a.answer(plan.InitDocument{FormatVersion: plan.FormatVersion, File: file})
	}
	arg := ""
	if file != defaultSpec {
		arg = " " + file
	}
	_, err = fmt.Fprintf(a.stdout, "Wrote %s. Edit it, then see what apply would do: mtlsplan plan%s\n", ui.Clean(file), ui.Clean(arg))
	return err
}

// cause strips operation and path from an error of the os package, for
// messages that begin with the path.
func cause(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	if le, ok := errors.AsType[*os.LinkError](err); ok {
		return le.Err
	}
	return err
}
