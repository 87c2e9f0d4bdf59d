package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"mtlsplan/engine"
	"mtlsplan/internal/input"
	"mtlsplan/internal/plan"
)

// maxSaved is far above the plan of 100,000 users, in bytes.
const maxSaved = 512 << 20

// checkSaving refuses to save a plan where it would be of no use, or would take the place
// of another file.
func (a *app) checkSaving(ctx context.Context, out string, f runFlags) error {
	if out == "" {
		return nil
	}
	if f.at != "" && !f.rehearsal {
		return usageError("--out with --at: a plan for another time cannot be applied; leave out one of the two, or say --rehearsal as well")
	}
	text, _, err := input.Read(ctx, out, maxSaved)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return plan.Errorf(plan.FileError, "--out %s: %w", out, err)
	case len(text) > 0 && !plan.IsSaved(text):
		return usageError("--out %s: there is a file of that name that is no saved plan, and it is not overwritten: give another name, or move it away", out)
	}
	return nil
}

// savePlan writes a plan to a file.
func (a *app) savePlan(file string, s *plan.SavedPlan) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetIndent("", "  ")
	if err := enc.Encode(s); err != nil {
		return err
	}
	return putWhole(file, text.Bytes(), 0o644)
}

// savedFlags are the flags of a plan as it is saved.
func (a *app) savedFlags(f runFlags, opt engine.Options) plan.SavedFlags {
	s := plan.SavedFlags{Output: a.output, Only: f.only, Replace: f.replace, Reason: f.reason, AllowRevocations: f.allow,
		Adopt: f.adopt, AcceptClock: f.acceptClock, Rehearsal: f.rehearsal}
	if opt.Dated {
		s.At = plan.SavedAt(opt.Now)
	}
	return s
}

// readSaved reads the saved plan that apply was given, and puts its flags into place; nil
// for a spec, and for a file that cannot be read, which is the matter of whoever reads
// specs.
func (a *app) readSaved(cmd *cobra.Command, file string, f *runFlags) (*plan.SavedPlan, error) {
	text, _, err := input.Read(cmd.Context(), file, maxSaved)
	if err != nil || !plan.IsSaved(text) {
		return nil, nil
	}
	s, err := plan.ParseSaved(file, text)
	if err != nil {
		return nil, err
	}
	given, flags := s.Flags, cmd.Flags()
	for name, put := range map[string]func(){
		"output":            func() { given.Output = a.output },
		"only":              func() { given.Only = f.only },
		"replace":           func() { given.Replace = f.replace },
		"reason":            func() { given.Reason = f.reason },
		"allow-revocations": func() { given.AllowRevocations = f.allow },
		"adopt":             func() { given.Adopt = f.adopt },
		"accept-clock":      func() { given.AcceptClock = f.acceptClock },
		"rehearsal":         func() { given.Rehearsal = f.rehearsal },
		"at":                func() { given.At = f.at },
	} {
		if flags.Changed(name) {
			put()
		}
	}
	if moved := s.DifferentFlags(given); len(moved) > 0 {
		return nil, plan.OtherFlags(file, moved)
	}
	was := s.Flags
	a.output = was.Output
	f.only, f.replace, f.reason, f.allow, f.adopt = was.Only, was.Replace, was.Reason, was.AllowRevocations, was.Adopt
	f.acceptClock, f.rehearsal, f.at = was.AcceptClock, was.Rehearsal, was.At
	return s, nil
}

// savedElsewhere says of a spec that a saved plan names, and that is not there, where it
// was looked for.
func savedElsewhere(saved *plan.SavedPlan, file string, err error) error {
	if saved == nil {
		return err
	}
	if _, missing := os.Stat(saved.Spec.File); !errors.Is(missing, fs.ErrNotExist) {
		return err
	}
	here, _ := os.Getwd() // for the message only
	return plan.OutOfDate(file, []string{fmt.Sprintf("there is no spec %s in %s; a saved plan is applied in the working directory in which it was made", saved.Spec.File, here)})
}
